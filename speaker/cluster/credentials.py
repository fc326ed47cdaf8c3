"""Where the API server is and how we prove who we are: a kubeconfig, or the Pod's ServiceAccount.

Reads through `kubernetes.aio.config` and mends what it leaves open: a newline behind a token, an
error that is a traceback. Knows nothing of requests. A token never appears in a text from here.
"""

import asyncio
import hashlib
import logging
import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from speaker import __version__
from speaker.cluster.config import ClusterConfig
from speaker.errors import ClusterError

if TYPE_CHECKING:
    from kubernetes.aio.client import ApiClient, Configuration

TOKEN = "BearerToken"  # noqa: S105 # the package's name for the header, not a secret
READ_BUFFER_BYTES = 2**17
"""Bounds how much of a stream is decoded before the event loop turns; the package takes 2 MiB."""

LONGEST_COMPLAINT = 200

CONNECTIONS = 512
"""Many watches stay open at once; none may wait for another's connection."""


@dataclass(frozen=True, slots=True)
class Connection:
    """A client for one reading of the configuration.

    Attributes:
        api: the package's client.
        identity: changes when the client cannot go on with the new configuration: another server, CA
            or client certificate. A new token is no other identity.
    """

    api: "ApiClient"
    identity: str

    @property
    def token(self) -> str | None:
        """The Authorization header, or None."""
        token = self.api.configuration.api_key.get(TOKEN)
        return None if token is None else str(token)

    def take_token(self, token: str | None) -> None:
        """Go on with another token."""
        self.api.configuration.api_key = {} if token is None else {TOKEN: token}


def token_file(config: ClusterConfig) -> Path | None:
    """The projected token, which the kubelet replaces before it expires; None with a kubeconfig."""
    return None if config.kubeconfig is not None else Path(config.service_account_dir) / "token"


def bearer(text: str) -> str:
    """The Authorization header for a token file's content; HTTP refuses the newline it may end with."""
    return f"Bearer {text.strip()}"


def own_namespace(config: ClusterConfig) -> str:
    """The namespace of this Pod; "" outside a cluster."""
    if config.namespace or config.kubeconfig is not None:
        return config.namespace
    try:
        return (Path(config.service_account_dir) / "namespace").read_text().strip()
    except OSError:
        return ""


async def connection(config: ClusterConfig) -> Connection:
    """Read the configuration and make a client of it; nothing is sent yet.

    Raises:
        ClusterError: the kubeconfig or the ServiceAccount cannot be used.
    """
    # The package takes a third of a second to import.
    from kubernetes.aio.client import ApiClient, Configuration  # noqa: PLC0415
    from kubernetes.aio.config import ConfigException  # noqa: PLC0415
    from yaml import YAMLError  # noqa: PLC0415

    where = "the Pod's ServiceAccount" if config.kubeconfig is None else f"the kubeconfig {config.kubeconfig}"
    configuration = Configuration()
    configuration.connection_pool_maxsize = CONNECTIONS
    configuration.client_session_kwargs = {"read_bufsize": READ_BUFFER_BYTES}
    try:
        if config.kubeconfig is None:
            await asyncio.to_thread(_read_service_account, configuration, config)
        else:
            await _read_kubeconfig(configuration, config.kubeconfig)
        _check_server(str(configuration.host))
        identity = await asyncio.to_thread(_identity, configuration)
        api = ApiClient(configuration)
    except ConfigException as error:
        raise ClusterError(f"{where} cannot be used to reach the API server: {error}") from None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, YAMLError) as error:
        raise ClusterError(f"{where} cannot be used to reach the API server: {_words(error)}") from None
    api.user_agent = f"kube-route-speaker/{__version__}"
    return Connection(api, identity)


def _words(error: Exception) -> str:
    """Never a parser's own words: it quotes the line it stumbles on, which may be a secret."""
    if isinstance(error, ssl.SSLError):
        return "a CA or client certificate in it is none"
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return f"its content cannot be understood ({type(error).__name__})"


def _check_server(host: str) -> None:
    from kubernetes.aio.config import ConfigException  # noqa: PLC0415

    if not host.startswith(("https://", "http://")):
        raise ConfigException(f"the server {host[:100]!r} is not a URL with https:// or http://")


def _read_service_account(configuration: "Configuration", config: ClusterConfig) -> None:
    from kubernetes.aio.config.incluster_config import InClusterConfigLoader  # noqa: PLC0415

    folder = Path(config.service_account_dir)
    token = folder / "token"
    loader = InClusterConfigLoader(  # type: ignore[no-untyped-call]
        token_filename=str(token), cert_filename=str(folder / "ca.crt"), try_refresh_token=False
    )
    loader.load_and_set(configuration)  # type: ignore[no-untyped-call]
    configuration.api_key[TOKEN] = bearer(token.read_text())


async def _read_kubeconfig(configuration: "Configuration", paths: str) -> None:
    from kubernetes.aio.config import ConfigException, load_kube_config  # noqa: PLC0415

    if not any(map(os.path.isfile, map(os.path.expanduser, paths.split(os.pathsep)))):
        raise ConfigException("there is no such file")
    with _overheard() as complaints:
        await load_kube_config(config_file=paths, client_configuration=configuration)  # type: ignore[no-untyped-call]
    token = configuration.api_key.get(TOKEN)
    if token is not None:
        configuration.api_key[TOKEN] = token.strip()
    elif complaints and not configuration.cert_file:
        # Without this the requests would go out as nobody's.
        raise ConfigException(f"the credential plugin fails: {complaints[0]}")


@contextmanager
def _overheard() -> Iterator[list[str]]:
    """What the package only logs, bounded and on one line, instead of its lines in the log."""
    said: list[str] = []

    def keep(record: logging.LogRecord) -> bool:
        if record.levelno >= logging.WARNING:
            said.append(" ".join(record.getMessage().split())[:LONGEST_COMPLAINT])
        return False

    logger = logging.getLogger("kubernetes.aio.config.kube_config")
    logger.addFilter(keep)
    try:
        yield said
    finally:
        logger.removeFilter(keep)


def _identity(configuration: "Configuration") -> str:
    """A digest of everything but the token that a connection is made with."""
    digest = hashlib.sha256(str(configuration.host).encode())
    for path in (configuration.ssl_ca_cert, configuration.cert_file, configuration.key_file):
        content = Path(path).read_bytes() if path else b""
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()

"""Kubeconfigs, in all their variants, as an `Account`.

The package `kubernetes` reads them, and takes a quarter of a second and 20 MiB for being imported. So
what holds no more than a server, its CA and a token is read here (`plain`), and the package is asked
for everything else: plugins, client certificates, several files, and whatever is wrong. Both give the
same account; a property test holds them to it. Knows nothing of a Pod, and sends nothing.
"""

import asyncio
import base64
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from speaker.cluster.account import Account, Unusable
from speaker.cluster.wire import Struct

if TYPE_CHECKING:
    from kubernetes.aio.client import Configuration

TOKEN = "BearerToken"  # noqa: S105 # the package's name for the header, not a secret
LONGEST_COMPLAINT = 200


class _Cluster(Struct, rename="kebab", forbid_unknown_fields=True):
    server: str
    certificate_authority: str | None = None
    certificate_authority_data: str | None = None


class _User(Struct, forbid_unknown_fields=True):
    token: str

    def __repr__(self) -> str:
        return "_User()"


async def account(paths: str) -> Account:
    """What a kubeconfig says, or several with a colon between them.

    Raises:
        Unusable: it is none, or its credential plugin gives nothing.
        OSError, ValueError, TypeError, KeyError, AttributeError: so fails the package.
    """
    return await asyncio.to_thread(plain, paths) or await any_kind(paths)


def plain(path: str) -> Account | None:
    """What one file says that holds a server, its CA and a token and no more; None for any other."""
    # A Pod does without.
    import yaml  # noqa: PLC0415

    file = Path(path).expanduser()
    try:
        document = yaml.safe_load(file.read_text())
        context = _only(document, "context", document["current-context"])
        cluster = msgspec.convert(_only(document, "cluster", context["cluster"]), _Cluster)
        user = msgspec.convert(_only(document, "user", context["user"]), _User)
        return _account(cluster, user, file.parent)
    except (OSError, ValueError, TypeError, LookupError, yaml.YAMLError, msgspec.ValidationError):
        # The package has the words for what is wrong with it, if anything is.
        return None


def _only(document: Any, kind: str, name: object) -> Any:  # noqa: ANN401 # YAML that nobody has looked at
    """What stands under a name; raises ValueError where that is not one thing."""
    (found,) = (each[kind] for each in document[f"{kind}s"] if each["name"] == name)
    return found


def _account(cluster: _Cluster, user: _User, folder: Path) -> Account | None:
    """Nothing that is there may be empty: the package has its own opinion of that."""
    file, data = cluster.certificate_authority, cluster.certificate_authority_data
    if "" in (file, data, user.token.strip()):
        return None
    server, authorization = cluster.server.rstrip("/"), f"Bearer {user.token}".strip()
    if not server.startswith("https") or (file is None and data is None):
        return Account(server=server, authorization=authorization)
    if data is not None:
        text = base64.standard_b64decode(data).decode("ascii")
        return Account(server=server, authorization=authorization, ca_text=text) if text else None
    path = os.path.normpath(folder.absolute() / str(file))
    # A file that is missing is told in the package's words.
    known = Path(path).is_file()
    return Account(server=server, authorization=authorization, ca_file=path) if known else None


async def any_kind(paths: str) -> Account:
    """What the package makes of a kubeconfig; raises as `account`."""
    # A quarter of a second, which the event loop need not wait for.
    await asyncio.to_thread(import_module, "kubernetes.aio.config")
    from kubernetes.aio.client import Configuration  # noqa: PLC0415
    from kubernetes.aio.config import ConfigException, load_kube_config  # noqa: PLC0415
    from yaml import YAMLError  # noqa: PLC0415

    if not any(map(os.path.isfile, map(os.path.expanduser, paths.split(os.pathsep)))):
        raise Unusable("there is no such file")
    configuration = Configuration()
    try:
        with _overheard() as complaints:
            await load_kube_config(config_file=paths, client_configuration=configuration)  # type: ignore[no-untyped-call]
    except ConfigException as error:
        raise Unusable(str(error)) from None
    except YAMLError as error:
        # Not its words: they quote the line it stumbles on, which may be a secret.
        raise Unusable(f"its content cannot be understood ({type(error).__name__})") from None
    token = configuration.api_key.get(TOKEN)
    if token is None and complaints and not configuration.cert_file:
        # Without this the requests would go out as nobody's.
        raise Unusable(f"the credential plugin fails: {complaints[0]}")
    return _converted(configuration, None if token is None else str(token).strip())


def _converted(configuration: "Configuration", authorization: str | None) -> Account:
    return Account(
        server=str(configuration.host),
        authorization=authorization,
        ca_file=configuration.ssl_ca_cert,
        certificate_file=configuration.cert_file,
        key_file=configuration.key_file,
        verifies=bool(configuration.verify_ssl),
        tls_server_name=configuration.tls_server_name,
        proxy=configuration.proxy,
    )


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

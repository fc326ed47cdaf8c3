"""Who we are to the API server: what a kubeconfig says, or the Pod's ServiceAccount.

Reads, checks, and says in plain words what cannot be used. Knows nothing of requests. A token never
appears in a text from here.
"""

import asyncio
import os
import ssl
from collections.abc import Mapping
from pathlib import Path

from speaker.cluster import kubeconfig
from speaker.cluster.account import Account, Unusable, bearer
from speaker.cluster.config import ClusterConfig
from speaker.errors import ClusterError


def token_file(config: ClusterConfig) -> Path | None:
    """The projected token, which the kubelet replaces before it expires; None with a kubeconfig."""
    return None if config.kubeconfig is not None else Path(config.service_account_dir) / "token"


def own_namespace(config: ClusterConfig) -> str:
    """The namespace of this Pod; "" outside a cluster."""
    if config.namespace or config.kubeconfig is not None:
        return config.namespace
    try:
        return (Path(config.service_account_dir) / "namespace").read_text().strip()
    except OSError:
        return ""


async def credentials(config: ClusterConfig) -> tuple[Account, str, ssl.SSLContext | None]:
    """Read the configuration: the account, its identity, and how to speak TLS.

    Raises:
        ClusterError: the kubeconfig or the ServiceAccount cannot be used.
    """
    where = "the Pod's ServiceAccount" if config.kubeconfig is None else f"the kubeconfig {config.kubeconfig}"
    try:
        if config.kubeconfig is None:
            folder = Path(config.service_account_dir)
            account = await asyncio.to_thread(service_account, folder, os.environ)
        else:
            account = await kubeconfig.account(config.kubeconfig)
        _check_server(account.server)
        return account, *await asyncio.to_thread(_read_files, account)
    except Unusable as error:
        raise ClusterError(f"{where} cannot be used to reach the API server: {error}") from None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ClusterError(f"{where} cannot be used to reach the API server: {_words(error)}") from None


def service_account(folder: Path, environment: Mapping[str, str]) -> Account:
    """What the kubelet gives every Pod (https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/).

    Args:
        folder: where the ServiceAccount is mounted.
        environment: which says where the API server is.

    Raises:
        Unusable: something is missing or empty.
        OSError, ValueError: a file cannot be read.
    """
    host = environment.get("KUBERNETES_SERVICE_HOST")
    port = environment.get("KUBERNETES_SERVICE_PORT")
    if not host or not port:
        raise Unusable("Service host/port is not set (KUBERNETES_SERVICE_HOST, KUBERNETES_SERVICE_PORT)")
    token, authority = folder / "token", folder / "ca.crt"
    for path in (token, authority):
        if not path.is_file() or not path.stat().st_size:
            raise Unusable(f"there is no {path}, or it is empty")
    return Account(
        server=f"https://{f'[{host}]' if ':' in host else host}:{port}",
        authorization=bearer(token.read_text()),
        ca_file=str(authority),
    )


def _check_server(host: str) -> None:
    if not host.startswith(("https://", "http://")):
        raise Unusable(f"the server {host[:100]!r} is not a URL with https:// or http://")


def _read_files(account: Account) -> tuple[str, ssl.SSLContext | None]:
    return account.identity(), account.tls()


def _words(error: Exception) -> str:
    """Never a parser's own words: it quotes the line it stumbles on, which may be a secret."""
    if isinstance(error, ssl.SSLError):
        return "a CA or client certificate in it is none"
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return f"its content cannot be understood ({type(error).__name__})"

"""A pool of HTTP connections to one API server, as one account.

Knows how a request is written and how a connection is kept. Knows nothing of what an answer means,
and reads no configuration: `credentials` does.
"""

import json
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from speaker import __version__
from speaker.cluster.account import Account
from speaker.cluster.config import ClusterConfig
from speaker.cluster.credentials import credentials

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession, ClientTimeout

READ_BUFFER_BYTES = 2**17
"""Bounds how much of a stream is decoded before the event loop turns."""

CONNECTIONS = 512
"""Many watches stay open at once; none may wait for another's connection."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked: `path` and `query` on the server, and a `body` that JSON has a form for."""

    method: str
    path: str
    query: Mapping[str, str]
    body: object = None
    content_type: str = "application/json"


class Connection:
    """A client for one reading of the configuration.

    Args:
        account: where to, and who we are.
        identity: changes when the client cannot go on with the new configuration: another server, CA
            or client certificate. A new token is no other identity.
        session: the pool.
    """

    def __init__(self, account: Account, identity: str, session: "ClientSession") -> None:
        self.server = account.server
        self.identity = identity
        self.authorization = account.authorization
        self._session = session
        self._way: dict[str, Any] = {}
        if account.tls_server_name:
            self._way["server_hostname"] = account.tls_server_name
        if account.proxy:
            self._way["proxy"] = account.proxy

    async def send(self, request: Request, timeout: "ClientTimeout") -> "ClientResponse":  # noqa: ASYNC109
        """Send and return when the head of the answer is there; raises one of `network_errors`."""
        headers = {"Content-Type": request.content_type}
        if self.authorization is not None:
            headers["Authorization"] = self.authorization
        response = await self._session.request(
            request.method,
            f"{self.server}{request.path}",
            params=request.query,
            headers=headers,
            data=None if request.body is None else json.dumps(request.body).encode(),
            timeout=timeout,
            **self._way,
        )
        _keep_alive(response)
        return response

    async def close(self) -> None:
        """End all that is under way, and close."""
        await self._session.close()


async def connect(config: ClusterConfig) -> Connection:
    """Read the configuration and make a client of it; nothing is sent yet.

    Raises:
        ClusterError: the kubeconfig or the ServiceAccount cannot be used.
    """
    account, identity, tls = await credentials(config)
    return Connection(account, identity, _session(tls))


def import_client() -> None:
    """Import what connections are made of, a sixth of a second: before an event loop would wait for it."""
    import encodings.idna  # noqa: F401, PLC0415 # by which TLS writes the server's name

    import aiohttp  # noqa: F401, PLC0415


def _session(tls: ssl.SSLContext | None) -> "ClientSession":
    import aiohttp  # noqa: PLC0415 # see import_client

    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=CONNECTIONS, ssl=tls or True),
        headers={"Accept": "application/json", "User-Agent": f"kube-route-speaker/{__version__}"},
        # The proxies that the environment names.
        trust_env=True,
        read_bufsize=READ_BUFFER_BYTES,
    )


def _keep_alive(response: "ClientResponse") -> None:
    """Let the kernel find a dead peer in half a minute, long before a watch counts as silent."""
    link = response.connection
    sock = link.transport.get_extra_info("socket") if link and link.transport else None
    if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in ((socket.TCP_KEEPIDLE, 10), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 3)):
        sock.setsockopt(socket.IPPROTO_TCP, option, value)

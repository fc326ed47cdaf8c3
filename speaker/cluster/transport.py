"""Requests and streams to the API server, over `kubernetes.aio`'s configuration and HTTP client.

The only place that calls the package: its low-level signatures change between majors. The package is
imported when a connection is made, because importing it takes a third of a second.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from speaker import __version__
from speaker.cluster import wire
from speaker.cluster.config import ClusterConfig
from speaker.cluster.problems import problem
from speaker.errors import ClusterError

if TYPE_CHECKING:
    from aiohttp import ClientResponse
    from kubernetes.aio.client import ApiClient, Configuration

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 60.0
SILENCE_SECONDS = 100.0
"""A watch sends a bookmark a minute; silence for longer means a half-open connection."""

LONGEST_LINE = 64 * 2**20

_status = msgspec.json.Decoder(wire.Status)


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer."""

    status: int
    body: bytes
    headers: Mapping[str, str]


class Transport:
    """One HTTP connection pool to one API server.

    Use `Transport.connect`; `close` when done.
    """

    def __init__(self, api: "ApiClient", config: ClusterConfig) -> None:
        self._api = api
        self._config = config

    @classmethod
    async def connect(cls, config: ClusterConfig) -> "Transport":
        """Read the configuration; nothing is sent yet.

        Raises:
            ClusterError: the kubeconfig or the ServiceAccount cannot be used.
        """
        from kubernetes.aio.client import ApiClient, Configuration  # noqa: PLC0415

        configuration = Configuration()
        await _configure(configuration, config)
        # Many watches stay open at once; none may wait for another's connection.
        configuration.connection_pool_maxsize = 64
        api = ApiClient(configuration)
        api.user_agent = f"kube-route-speaker/{__version__}"
        return cls(api, config)

    @property
    def server(self) -> str:
        """The API server's URL."""
        return str(self._api.configuration.host)

    async def close(self) -> None:
        """Close all connections."""
        await self._api.close()

    async def read_token_again(self) -> None:
        """Take a rotated token from where the first one came; raises ClusterError."""
        from kubernetes.aio.client import Configuration  # noqa: PLC0415

        fresh = Configuration()
        await _configure(fresh, self._config)
        self._api.configuration.api_key = fresh.api_key

    async def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        body: object = None,
        content_type: str | None = None,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> Answer:
        """One request and its whole answer, whatever its status.

        Raises:
            OSError, aiohttp.ClientError, TimeoutError: no answer came.
        """
        response = await self._call(method, path, query, body, content_type, answer_seconds)
        try:
            content = await response.read()
            return Answer(response.status, content, dict(response.headers))
        finally:
            response.close()

    async def get(self, what: str, path: str, query: Mapping[str, str] | None = None) -> bytes:
        """The body of a successful GET; raises RequestProblem otherwise.

        Args:
            what: for the sentence, such as "list pods".
            path: on the server.
            query: parameters.
        """
        answer = await self.request("GET", path, query)
        if answer.status != 200:
            raise problem(answer.status, what, _message(answer.body), answer.headers.get("Retry-After"))
        return answer.body

    @asynccontextmanager
    async def stream(
        self, what: str, path: str, query: Mapping[str, str]
    ) -> AsyncIterator[AsyncIterator[list[bytes]]]:
        """A watch: gives batches of whole lines as they arrive; raises RequestProblem if refused."""
        response = await self._call("GET", path, query, None, None, None)
        try:
            if response.status != 200:
                body = await response.content.read(65536)
                raise problem(response.status, what, _message(body), response.headers.get("Retry-After"))
            yield _lines(response)
        finally:
            # Not released: what is unread on the connection would be read by the next user.
            response.close()

    async def _call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: object,
        content_type: str | None,
        answer_seconds: float | None,
    ) -> "ClientResponse":
        import aiohttp  # noqa: PLC0415 # costs a sixth of a second

        headers = {"Accept": "application/json"}
        if content_type is not None:
            headers["Content-Type"] = content_type
        arguments = await self._api.param_serialize(
            method,
            path,
            query_params=list((query or {}).items()),
            header_params=headers,
            body=body,
            auth_settings=["BearerToken"],
        )
        timeout = aiohttp.ClientTimeout(
            total=answer_seconds,
            sock_connect=CONNECT_SECONDS,
            sock_read=SILENCE_SECONDS if answer_seconds is None else answer_seconds,
        )
        answered = await self._api.call_api(*arguments, _request_timeout=timeout)
        response: ClientResponse = answered.response
        _keep_alive(response)
        return response


async def _configure(configuration: "Configuration", config: ClusterConfig) -> None:
    """Fill the configuration from the kubeconfig or the ServiceAccount; raises ClusterError."""
    from kubernetes.aio import config as loading  # noqa: PLC0415
    from kubernetes.aio.config.incluster_config import InClusterConfigLoader  # noqa: PLC0415

    try:
        if config.kubeconfig is not None:
            await loading.load_kube_config(config_file=config.kubeconfig, client_configuration=configuration)
            return
        folder = Path(config.service_account_dir)
        loader = InClusterConfigLoader(
            token_filename=str(folder / "token"),
            cert_filename=str(folder / "ca.crt"),
            try_refresh_token=False,
        )
        loader.load_and_set(configuration)
        # The package keeps the newline that a token file may end with, and HTTP refuses it.
        token = await asyncio.to_thread((folder / "token").read_text)
        configuration.api_key["BearerToken"] = f"Bearer {token.strip()}"
    except (loading.ConfigException, OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        where = config.kubeconfig or "the Pod's ServiceAccount"
        raise ClusterError(f"cannot use {where} to reach the API server: {error}") from None


def _message(body: bytes) -> str:
    try:
        return _status.decode(body).message or ""
    except msgspec.MsgspecError:
        return body[:300].decode(errors="replace")


def _keep_alive(response: "ClientResponse") -> None:
    """Let the kernel find a dead peer in half a minute, long before `SILENCE_SECONDS`."""
    connection = response.connection
    sock = connection.transport.get_extra_info("socket") if connection and connection.transport else None
    if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in ((socket.TCP_KEEPIDLE, 10), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 3)):
        sock.setsockopt(socket.IPPROTO_TCP, option, value)


async def _lines(response: "ClientResponse") -> AsyncIterator[list[bytes]]:
    """Whole lines; the frames of HTTP never align with them."""
    rest = b""
    async for chunk in response.content.iter_any():
        lines = (rest + chunk).split(b"\n")
        rest = lines.pop()
        if len(rest) > LONGEST_LINE:
            raise problem(500, "watch", "a line of the stream has no end")
        if lines:
            yield lines

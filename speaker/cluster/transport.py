"""Requests and streams to the API server.

The only place that sends anything. Renews the credentials when they are no longer accepted; knows
nothing of what it carries.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from speaker.cluster import wire
from speaker.cluster.account import bearer
from speaker.cluster.backoff import Pacing
from speaker.cluster.config import ClusterConfig
from speaker.cluster.connection import Connection, Request, connect
from speaker.cluster.credentials import token_file
from speaker.cluster.problems import RequestProblem, problem
from speaker.errors import ClusterError

if TYPE_CHECKING:
    from aiohttp import ClientResponse

TOKEN_LIVES_SECONDS = 60.0
"""How long a projected token is used before its file is read again."""

LONGEST_LINE = 64 * 2**20
LONGEST_REFUSAL = 65536

_status = msgspec.json.Decoder(wire.Status)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer."""

    status: int
    body: bytes


class Transport:
    """One HTTP connection pool to one API server.

    Use `Transport.connect`; `close` when done.
    """

    def __init__(self, first: Connection, config: ClusterConfig, pacing: Pacing) -> None:
        self._connection = first
        self._config = config
        self._clock = pacing.clock
        self._patience = pacing.patience
        self._token_file = token_file(config)
        self._token_read_at = self._clock.monotonic()
        self._renewing = asyncio.Lock()

    @classmethod
    async def connect(cls, config: ClusterConfig, pacing: Pacing) -> "Transport":
        """Read the configuration; nothing is sent yet.

        Raises:
            ClusterError: the kubeconfig or the ServiceAccount cannot be used.
        """
        return cls(await connect(config), config, pacing)

    @property
    def server(self) -> str:
        """The API server's URL."""
        return self._connection.server

    async def close(self) -> None:
        """Close all connections."""
        await self._connection.close()

    def refusal(self, status: int, what: str, message: str, retry_after: str | None = None) -> RequestProblem:
        """The problem for a status of this server; arguments as for `problems.problem`."""
        return problem(self.server, status, what, message, retry_after)

    def refused(self, what: str, answer: Answer) -> RequestProblem:
        """The problem for an answer that is a refusal."""
        return self.refusal(answer.status, what, _message(answer.body))

    # -- requests --------------------------------------------------------------------------------------

    async def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        body: object = None,
        content_type: str = "application/json",
    ) -> Answer:
        """One request and its whole answer, whatever its status.

        Raises:
            one of `network_errors`: no answer came, or it broke off.
        """
        response = await self._call(Request(method, path, query or {}, body, content_type), None)
        try:
            return Answer(response.status, await response.read())
        finally:
            response.release()

    async def get(self, what: str, path: str, query: Mapping[str, str] | None = None) -> bytes:
        """The body of a successful GET; raises RequestProblem otherwise.

        Args:
            what: for the sentence, such as "list pods".
            path: on the server.
            query: parameters.
        """
        response = await self._call(Request("GET", path, query or {}), None)
        try:
            await self._check(what, response)
            return await response.read()
        finally:
            response.release()

    @asynccontextmanager
    async def stream(
        self, what: str, path: str, query: Mapping[str, str], silence_seconds: float | None = None
    ) -> AsyncIterator[AsyncIterator[list[bytes]]]:
        """A watch: gives batches of whole lines as they arrive; raises RequestProblem if refused.

        Args:
            what: for the sentence, such as "watch pods".
            path: on the server.
            query: parameters.
            silence_seconds: without a byte for so long the stream ends in a TimeoutError; None takes the
                patience with a watch that sends bookmarks.
        """
        patience = silence_seconds or self._patience.silence_seconds
        response = await self._call(Request("GET", path, query), patience)
        try:
            await self._check(what, response)
            async with aclosing(self._lines(what, response)) as lines:
                yield lines
        finally:
            # Not released: what is unread on the connection would be read by the next user.
            response.close()

    async def _check(self, what: str, response: "ClientResponse") -> None:
        if response.status != 200:
            body = await response.content.read(LONGEST_REFUSAL)
            raise self.refusal(response.status, what, _message(body), response.headers.get("Retry-After"))

    async def _lines(self, what: str, response: "ClientResponse") -> AsyncGenerator[list[bytes], None]:
        """Whole lines; the frames of HTTP never align with them."""
        rest = b""
        async for chunk in response.content.iter_any():
            lines = (rest + chunk).split(b"\n")
            rest = lines.pop()
            if len(rest) > LONGEST_LINE:
                raise self.refusal(500, what, "a line of the stream has no end")
            if lines:
                yield lines

    # -- sending ---------------------------------------------------------------------------------------

    async def _call(self, request: Request, silence_seconds: float | None) -> "ClientResponse":
        """Send; once more with renewed credentials if they were not accepted and others are there."""
        import aiohttp  # noqa: PLC0415 # it takes long to import, which `connect` has done by now

        await self._take_rotated_token()
        timeout = aiohttp.ClientTimeout(
            total=self._patience.answer_seconds if silence_seconds is None else None,
            sock_connect=self._patience.connect_seconds,
            sock_read=silence_seconds or self._patience.answer_seconds,
        )
        used, token = self._connection, self._connection.authorization
        try:
            response = await used.send(request, timeout)
        except aiohttp.ClientSSLError:
            # The cluster's CA may have been replaced; the next attempt goes with what is there now.
            await self._renew(used, token)
            raise
        if response.status != 401 or not await self._renew(used, token):
            return response
        response.close()
        return await self._connection.send(request, timeout)

    async def _take_rotated_token(self) -> None:
        """The kubelet replaces the token's file long before the token expires."""
        now = self._clock.monotonic()
        if self._token_file is None or now - self._token_read_at < TOKEN_LIVES_SECONDS:
            return
        self._token_read_at = now
        try:
            text = await asyncio.to_thread(self._token_file.read_text)
        except (OSError, ValueError) as error:
            _log.warning("token cannot be read again", extra={"reason": type(error).__name__})
        else:
            if text.strip():
                self._connection.authorization = bearer(text)

    async def _renew(self, used: Connection, token: str | None) -> bool:
        """Read the configuration again; returns whether it differs from what was used."""
        async with self._renewing:
            # Another watch may have met the same refusal and renewed while this one waited.
            if self._connection is used and used.authorization == token:
                try:
                    await self._take(await connect(self._config))
                except ClusterError as error:
                    _log.warning("credentials cannot be read again", extra={"reason": str(error)})
        return self._connection is not used or self._connection.authorization != token

    async def _take(self, fresh: Connection) -> None:
        old = self._connection
        if fresh.identity == old.identity:
            old.authorization = fresh.authorization
            await fresh.close()
        else:
            self._connection = fresh
            # Ends the streams that are open: each resumes from where it stands, with the new identity.
            await old.close()


def _message(body: bytes) -> str:
    try:
        return _status.decode(body).message or ""
    except msgspec.MsgspecError:
        return body[:300].decode(errors="replace")

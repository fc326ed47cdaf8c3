"""What the kubelet and Prometheus ask over HTTP: alive, ready, and the metrics.

Knows how to answer and how to stay bounded while strangers on the network ask; knows nothing of how
a check or a metric comes about. Everything here is read-only and carries no secret. If the port
cannot be had, the speaker keeps its routes and this server keeps trying.
"""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from speaker.clock import Clock, SystemClock
from speaker.errors import HostError
from speaker.model.peer import SessionState, SessionStatus
from speaker.model.prefix import Address

if TYPE_CHECKING:
    # aiohttp takes a sixth of a second to import, and `speaker plan` never serves: see `import_server`.
    from aiohttp import web
    from aiohttp.web_protocol import RequestHandler

_LOG = logging.getLogger(__name__)
_HTTP_LOG = logging.getLogger(f"{__name__}.http")


def import_server() -> None:
    """Import what `HealthServer` serves with: before there is an event loop that would wait for it."""
    from aiohttp import web  # noqa: F401, PLC0415 - see TYPE_CHECKING above


def _is_ours(record: logging.LogRecord) -> bool:
    """Whether a failure is our own: what strangers send in place of HTTP must not fill the log."""
    from aiohttp.http_exceptions import HttpProcessingError  # noqa: PLC0415 - see TYPE_CHECKING above

    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


_HTTP_LOG.addFilter(_is_ours)

DEFAULT_PORT = 10667
ALL_PEERS_SECONDS = 60.0
"""For so long after the start every peer must be up; later one is enough.

A rolling upgrade waits while a node's sessions come back, and a router in maintenance does not make
every node unready for good.
"""
TURN_SECONDS = 1.0
STALLED_SECONDS = 15.0
"""When the event loop has not turned for so long, the speaker is no longer alive."""
CONNECTION_SECONDS = 10.0
MAX_CONNECTIONS = 32
ACCEPTED_PER_TURN = 16
"""The listen backlog, which is also how many connections asyncio accepts in one turn.

Fewer than `MAX_CONNECTIONS`, so that the oldest has its transport when it has to give way.
"""
MAX_REQUEST_HEAD_BYTES = 4096
METRICS_CACHE_SECONDS = 1.0
FIRST_RETRY_SECONDS = 1.0
LAST_RETRY_SECONDS = 30.0
_METRICS_HEADERS = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: what was looked at, a few words.
        problem: what is wrong, one clause; "" when nothing is.
        fatal: whether the problem makes the whole answer a failure.
    """

    name: str
    problem: str = ""
    fatal: bool = True

    @property
    def fails(self) -> bool:
        """Whether this check alone makes the answer a failure."""
        return self.fatal and bool(self.problem)


Checks = Callable[[], Iterable[Check]]


def peer_checks(sessions: Mapping[str, SessionStatus], running_seconds: float) -> tuple[Check, ...]:
    """One check for each peer, by name.

    In the first `ALL_PEERS_SECONDS` each peer that is not Established is fatal; later only if none is.
    """
    some_up = any(status.state is SessionState.ESTABLISHED for status in sessions.values())
    fatal = running_seconds < ALL_PEERS_SECONDS or not some_up
    return tuple(
        Check(f"peer {name}", _session_problem(status), fatal) for name, status in sorted(sessions.items())
    )


def _session_problem(status: SessionStatus) -> str:
    if status.state is SessionState.ESTABLISHED:
        return ""
    if status.last_error:
        return f"{status.state}: {status.last_error}"
    if status.state is SessionState.IDLE:
        return f"{status.state}: not tried yet"
    return f"{status.state}: no answer (unreachable, or the password differs)"


class HealthServer:
    """Serves /livez, /readyz (also /healthz) and /metrics until cancelled.

    Args:
        address: where to listen; 0.0.0.0 or :: for everywhere.
        port: where to listen; 0 lets the kernel choose, and `port` then says what it chose.
        readiness: what /readyz answers from.
        render_metrics: gives the body of /metrics; called at most once a second.
        liveness: what /livez answers from, besides the turning of the event loop.
        clock: injected in tests.
        flags: what chooses address and port, for the sentence when they cannot be had.
    """

    def __init__(
        self,
        address: Address | str,
        port: int,
        *,
        readiness: Checks,
        render_metrics: Callable[[], bytes],
        liveness: Checks = tuple,
        clock: Clock | None = None,
        flags: str = "--metrics-address, --metrics-port",
    ) -> None:
        self._flags = flags
        self._address = str(address)
        self.port = port
        self._readiness = readiness
        self._liveness = liveness
        self._render_metrics = render_metrics
        self._clock = clock or SystemClock()
        self._last_turn = self._clock.monotonic()
        self._metrics: tuple[float, bytes] | None = None
        self._opened: dict[RequestHandler, float] = {}
        self.started = asyncio.Event()

    async def run(self) -> None:
        """Serve until cancelled; a port that is taken is logged and tried again."""
        retry_seconds = FIRST_RETRY_SECONDS
        while True:
            try:
                listener = self._listen()
            except HostError as error:
                _LOG.error("health and metrics are not served", extra={"error": str(error)})
                await asyncio.sleep(retry_seconds)
                retry_seconds = min(2 * retry_seconds, LAST_RETRY_SECONDS)
            else:
                await self._serve(listener)

    def _listen(self) -> socket.socket:
        version_6 = ":" in self._address
        try:
            listener = socket.socket(socket.AF_INET6 if version_6 else socket.AF_INET, socket.SOCK_STREAM)
        except OSError as error:
            raise self._cannot_listen(error) from error
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((self._address, self.port))
            listener.listen(ACCEPTED_PER_TURN)
            listener.setblocking(False)
        except OSError as error:
            listener.close()
            raise self._cannot_listen(error) from error
        return listener

    def _cannot_listen(self, error: OSError) -> HostError:
        return HostError(
            f"cannot listen on {self._address} port {self.port} ({self._flags}): {error.strerror or error}"
        )

    async def _serve(self, listener: socket.socket) -> None:
        from aiohttp import web  # noqa: PLC0415 - see TYPE_CHECKING above

        runner = web.AppRunner(
            self._application(),
            handle_signals=False,
            access_log=None,
            logger=_HTTP_LOG,
            keepalive_timeout=0,
            shutdown_timeout=1,
            max_line_size=MAX_REQUEST_HEAD_BYTES,
            max_field_size=MAX_REQUEST_HEAD_BYTES,
        )
        await runner.setup()
        handlers = runner.server
        if handlers is None:
            raise HostError("the HTTP server did not start")
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: self._admit(handlers()), sock=listener, backlog=ACCEPTED_PER_TURN
        )
        self.port = listener.getsockname()[1]
        self.started.set()
        try:
            await self._turn()
        finally:
            self.started.clear()
            server.close()
            for handler in list(self._opened):
                self._end(handler)
            await runner.cleanup()

    async def _turn(self) -> None:
        """Show that the event loop turns, and end connections that have had their time."""
        while True:
            self._last_turn = self._clock.monotonic()
            for handler, opened in list(self._opened.items()):
                age_seconds = self._last_turn - opened
                if age_seconds > (CONNECTION_SECONDS if handler.transport else TURN_SECONDS):
                    self._end(handler)
            await asyncio.sleep(TURN_SECONDS)

    def _admit(self, handler: "RequestHandler") -> "RequestHandler":
        """Count a new connection; the oldest gives way, so that the kubelet always gets in."""
        if len(self._opened) >= MAX_CONNECTIONS:
            self._end(next(iter(self._opened)))
        self._opened[handler] = self._clock.monotonic()
        return handler

    def _end(self, handler: "RequestHandler") -> None:
        del self._opened[handler]
        if handler.transport is not None:
            handler.transport.abort()

    def _application(self) -> "web.Application":
        from aiohttp import web  # noqa: PLC0415 - see TYPE_CHECKING above

        def once(response: web.Response) -> web.Response:
            response.force_close()
            response.headers["Server"] = "kube-route-speaker"
            return response

        def answer(checks: Checks) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
            async def handle(request: web.Request) -> web.Response:
                status, text = report(checks(), verbose="verbose" in request.query)
                return once(web.Response(status=status, text=text))

            return handle

        async def metrics(_: web.Request) -> web.Response:
            return once(web.Response(body=self._metrics_body(), headers=_METRICS_HEADERS))

        application = web.Application()
        ready = answer(self._readiness)
        application.router.add_get("/livez", answer(self._alive))
        application.router.add_get("/readyz", ready)
        application.router.add_get("/healthz", ready)
        application.router.add_get("/metrics", metrics)
        return application

    def _alive(self) -> Iterable[Check]:
        still_seconds = self._clock.monotonic() - self._last_turn
        stalled = still_seconds > STALLED_SECONDS
        yield Check("event loop", f"has not turned for {still_seconds:.0f} s" if stalled else "")
        yield from self._liveness()

    def _metrics_body(self) -> bytes:
        now = self._clock.monotonic()
        if self._metrics is None or now - self._metrics[0] >= METRICS_CACHE_SECONDS:
            self._metrics = (now, self._render_metrics())
        return self._metrics[1]


def report(checks: Iterable[Check], *, verbose: bool) -> tuple[int, str]:
    """The HTTP status and the text that say how the checks went.

    The text is "ok" when all is well and nobody asked for more; else it has a line for each check.
    """
    checks = tuple(checks)
    status = 503 if any(check.fails for check in checks) else 200
    if not verbose and not any(check.problem for check in checks):
        return status, "ok\n"
    return status, "".join(f"{check.name}: {check.problem or 'ok'}\n" for check in checks)

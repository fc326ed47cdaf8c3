"""The composition root of `speaker advertise`: sessions, local checks and some addresses; no cluster.

The flow: the file of peers and the checks decide what each session should carry. An address is advertised
while every check passes. Before the first verdict nothing is sent, no End-of-RIB either: a peer that kept
the routes over our restart keeps them until then.
"""

import asyncio
import logging
import signal
import socket
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from typing import Any

from speaker.bgp import PeerSet, SessionEvent, SessionEventKind
from speaker.clock import Clock, SystemClock
from speaker.control import ControlServer
from speaker.daemon import supervised
from speaker.daemon.local_check import CheckStatus, LocalChecks
from speaker.daemon.peer_file_watch import Load, PeerFileWatch
from speaker.daemon.peering import Peering
from speaker.daemon.session_words import Json, log_session, route_answers, session_answer, state_line
from speaker.daemon.vip_routes import Offer, advertised
from speaker.errors import HostError, UsageError
from speaker.health import Check, HealthServer, import_server, peer_checks
from speaker.kernel import uptime_seconds
from speaker.metrics import Metrics
from speaker.model.peer import SessionFacts, SessionState, SessionStatus
from speaker.model.prefix import Prefix
from speaker.model.route import Route
from speaker.settings.advertise_settings import AdvertiseSettings
from speaker.settings.peer_file import PeerFile

_STATES = {None: "unknown", True: "advertised", False: "withdrawn"}

_log = logging.getLogger(__name__)


def run(settings: AdvertiseSettings, peers: PeerFile, load: Load, say: Callable[[str], None]) -> int:
    """Advertise until SIGTERM or SIGINT; returns the exit status (0, or 1 for a failure)."""
    if settings.health_port:
        import_server()
    return supervised(lambda: _run(settings, peers, load, say))


async def _run(settings: AdvertiseSettings, peers: PeerFile, load: Load, say: Callable[[str], None]) -> None:
    # Built inside the loop: its parts take hold of the running loop.
    await Advertiser(settings, peers, load, say).run()


class Advertiser:
    """The addresses of one host.

    Args:
        settings: the checked command line.
        peers: what the file of peers says.
        load: reads it again.
        say: writes one line for a person who looks on; raises OSError when nobody does any more.
        clock: injected in tests.
    """

    def __init__(
        self,
        settings: AdvertiseSettings,
        peers: PeerFile,
        load: Load,
        say: Callable[[str], None],
        clock: Clock | None = None,
    ) -> None:
        self._settings = settings
        self._peers = peers
        self._say: Callable[[str], None] | None = say
        self._clock = clock or SystemClock()
        self._started_at = self._clock.monotonic()
        self._offer = Offer(settings.prefixes, settings.attributes, peers.local_ip)
        self._wanted: bool | None = None
        self._established: dict[str, SessionFacts] = {}
        self._routes: dict[str, Mapping[Prefix, Route | None]] = {}
        self._unheard: set[Prefix] = set()
        self._file = PeerFileWatch(settings.config, peers, load, on_change=self._take_over)
        self._stop_asked = asyncio.Event()
        self._metrics = Metrics(node=socket.gethostname())
        self._checks = LocalChecks(settings.checks, on_change=self._check_changed)
        self._sessions = PeerSet(
            on_event=self._session_event,
            listen_port=peers.listen_port,
            listen_addresses=peers.listen_addresses,
            started_at=self._clock.monotonic(),
            forwarding_preserved=_forwarding_preserved(peers),
        )
        self._peering = Peering(self._sessions)

    # -- life ------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Run until asked to stop; raises SpeakerError when the work cannot be done."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop_asked.set)
        loop.add_signal_handler(signal.SIGHUP, self._file.read_soon)
        self._configure()
        # With graceful restart the peers keep the routes of before until our End-of-RIB, which waits for
        # `release`; without it the sessions stand ready for the first verdict.
        self._peering.start()
        self._decide()
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(part, name=name) for name, part in self._parts()]
            await self._stop_asked.wait()
            await self._stop()
            for task in running:
                task.cancel()

    def _parts(self) -> Iterator[tuple[str, Coroutine[Any, Any, None]]]:
        """Everything that runs beside the others, by name."""
        settings = self._settings
        yield "sessions", self._sessions.run()
        yield "bfd", self._peering.run()
        yield "checks", self._checks.run()
        yield "file of peers", self._file.run()
        if settings.health_port:
            server = HealthServer(
                settings.health_address,
                settings.health_port,
                readiness=self._readiness,
                render_metrics=self._render_metrics,
                clock=self._clock,
                flags="--health-address, --health-port",
            )
            yield "health", server.run()
        if settings.control_socket is not None:
            yield "control", self._serve_control(settings.control_socket)

    async def _serve_control(self, path: str) -> None:
        """Serve `speaker status` and `routes`; without the socket the routes still matter more."""
        try:
            await ControlServer(path, {"status": self._status, "routes": self._routes_to}).run()
        except HostError as error:
            _log.error("control socket is not served", extra={"reason": str(error)})

    async def _stop(self) -> None:
        keeps = self._settings.graceful_restart
        reason = f"--shutdown={'graceful-restart' if keeps else 'withdraw'}"
        _log.info("stopping", extra={"graceful_restart": keeps, "reason": reason})
        if self._wanted and not keeps:
            self._say_wanted(now=False, reason=reason)
        await self._sessions.stop(
            graceful_restart=keeps, drain_seconds=self._settings.drain_seconds, reason=reason
        )
        _log.info("stopped", extra={"reason": reason})

    # -- what is advertised ----------------------------------------------------------------------------

    def _check_changed(self, status: CheckStatus) -> None:
        if status.passes:
            _log.info("check passes", extra={"check": status.url})
        else:
            _log.warning("check fails", extra={"check": status.url, "reason": status.problem})
        self._decide()

    def _decide(self) -> None:
        """Advertise or withdraw, as the checks say; the first verdict lets routes flow at all."""
        wanted = self._checks.passes
        if wanted is None or wanted == self._wanted:
            return
        first = self._wanted is None
        self._say_wanted(now=wanted, reason=self._why())
        self._wanted = wanted
        for peer in self._sessions.sessions():
            self._hand_over(peer)
        if first:
            self._sessions.release()
        self._tell_unheard()

    def _why(self) -> str:
        failing = [f"{each.url}: {each.problem}" for each in self._checks.status() if each.passes is False]
        return "; ".join(failing) or ("every check passes" if self._settings.checks.targets else "no check")

    def _hand_over(self, peer: str) -> None:
        """Give the session with a peer what it should carry now."""
        status, facts = self._sessions.sessions().get(peer), self._established.get(peer)
        routes = self._offer.withdrawal()
        if self._wanted and status is not None and facts is not None:
            routes = self._offer.routes(status.peer, facts)
        before, self._routes[peer] = self._routes.get(peer, {}), routes
        self._sessions.update(peer, routes)
        more = advertised(routes) - advertised(before)
        self._metrics.count_changes(peer, advertised=max(more, 0), withdrawn=max(-more, 0))

    def _tell_unheard(self) -> None:
        """Say once what no session can carry."""
        templates = [
            SessionStatus(peer=each.template, state=SessionState.IDLE) for each in self._peers.ranges
        ]
        unheard = dict(self._offer.unheard((*self._sessions.sessions().values(), *templates)))
        for prefix, reason in unheard.items():
            if prefix not in self._unheard:
                _log.warning("no peer can hear it", extra={"prefix": str(prefix), "reason": reason})
        self._unheard = set(unheard)

    def _say_wanted(self, *, now: bool, reason: str) -> None:
        for prefix in self._settings.prefixes:
            _log.info("advertise" if now else "withdraw", extra={"prefix": str(prefix), "reason": reason})
            self._say_change(str(prefix), _STATES[self._wanted], _STATES[now], reason)

    def _say_change(self, what: str, old: str, new: str, reason: str) -> None:
        if self._say is None:
            return
        try:
            self._say(state_line(self._clock.time(), what, old, new, reason))
        except OSError:
            self._say = None
            _log.warning("nobody reads standard output any more; state changes stand in the log")

    # -- sessions --------------------------------------------------------------------------------------

    def _session_event(self, event: SessionEvent) -> None:
        log_session(event)
        self._peering.session_event(event)
        if event.kind is SessionEventKind.STATE_CHANGED and event.old is not None and event.new is not None:
            self._say_change(event.peer, event.old.value, event.new.value, event.reason)
        elif event.kind is SessionEventKind.ESTABLISHED and event.facts is not None:
            self._established[event.peer] = event.facts
            if self._wanted is not None:
                self._hand_over(event.peer)
            self._tell_unheard()
        elif event.kind is SessionEventKind.CLOSED:
            self._established.pop(event.peer, None)
            self._routes.pop(event.peer, None)

    def _configure(self) -> None:
        """Give the sessions the peers of the file."""
        self._peering.set_peers(self._peers.peers, self._peers.ranges)
        for notice in self._peers.notices:
            _log.warning("notice about the file of peers", extra={"notice": notice})
        self._tell_unheard()

    def _take_over(self, peers: PeerFile) -> None:
        """The file of peers says something else now."""
        if self._stop_asked.is_set():
            return
        before, self._peers = self._peers, peers
        if (peers.listen_port, peers.listen_addresses) != (before.listen_port, before.listen_addresses):
            _log.warning("listenPort and listenAddresses count from the next start on")
        self._offer = Offer(self._settings.prefixes, self._settings.attributes, peers.local_ip)
        try:
            self._configure()
        except HostError as error:
            _log.error("file of peers is taken over in part", extra={"reason": str(error)})
        for peer in list(self._established):
            self._hand_over(peer)

    # -- what is asked ---------------------------------------------------------------------------------

    def _readiness(self) -> Iterable[Check]:
        """The peers decide; what the checks say is told, but is no fault of this process."""
        running_seconds = self._clock.monotonic() - self._started_at
        yield from peer_checks(self._sessions.sessions(), running_seconds)
        for each in self._checks.status():
            problem = each.problem or ("not known yet" if each.passes is None else "")
            yield Check(f"check {each.url}", problem, fatal=False)
        yield Check("file of peers", "; ".join(self._file.problems), fatal=False)

    def _render_metrics(self) -> bytes:
        self._metrics.record_sessions(self._sessions.sessions())
        self._peering.record(self._metrics)
        self._metrics.record_sources({}, in_sync=self._wanted is not None)
        return self._metrics.render()

    def _status(self, _request: Mapping[str, object]) -> Json:
        return {
            "advertise": [
                {"prefix": str(prefix), "state": _STATES[self._wanted]} for prefix in self._settings.prefixes
            ],
            "checks": [
                {"check": each.url, "passes": each.passes, "problem": each.problem}
                for each in self._checks.status()
            ],
            "sessions": [
                session_answer(status, self._peering.bfd_statuses().get(name))
                for name, status in self._sessions.sessions().items()
            ],
            "file_problems": list(self._file.problems),
        }

    def _routes_to(self, request: Mapping[str, object]) -> Json:
        wanted, peers = request.get("peer"), list(self._sessions.sessions())
        if wanted is not None and wanted not in peers:
            raise UsageError(f"there is no peer {wanted}; the peers are {', '.join(peers)}")
        return {
            "routes": [
                answer
                for peer in peers
                if wanted in (None, peer)
                for answer in route_answers(peer, self._desired(peer), self._sessions.advertised(peer))
            ]
        }

    def _desired(self, peer: str) -> dict[Prefix, Route]:
        routes = self._routes.get(peer, {})
        return {prefix: route for prefix, route in routes.items() if route is not None}


def _forwarding_preserved(peers: PeerFile) -> bool:
    """RFC 4724 §4.2: the F bit says that forwarding state was preserved; a reboot preserves none."""
    times = [
        peer.graceful_restart.restart_time_seconds
        for peer in peers.peers
        if peer.graceful_restart is not None
    ]
    return not times or uptime_seconds() >= max(times)

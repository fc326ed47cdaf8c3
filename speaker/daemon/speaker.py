"""The composition root: builds the parts, connects them, and keeps them running.

The flow is one line: changes (cluster, kernel, sessions) mark the reconciler dirty; the loop
recomputes in slices and hands each peer its changes. Nothing is handed over, and no End-of-RIB is
sent, before every source has listed once: unknown is not empty.
"""

import asyncio
import logging
import signal
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from typing import Any

from speaker.bgp import PeerSet, SessionEvent, SessionEventKind
from speaker.clock import Clock, SystemClock
from speaker.cluster import Cluster, SourceHealth
from speaker.control import ControlServer
from speaker.daemon.answers import Answers
from speaker.daemon.collector import CollectorRelief
from speaker.daemon.fabric_member import FabricMember
from speaker.daemon.host import host_view
from speaker.daemon.peering import Peering
from speaker.daemon.readiness import readiness
from speaker.daemon.reporting import Reporter
from speaker.daemon.sources import pin_sources
from speaker.daemon.stopping import decide_stop
from speaker.daemon.watched_files import WatchedFiles
from speaker.errors import HostError, UsageError
from speaker.health import Check, HealthServer
from speaker.kernel import HostFacts, Kernel, uptime_seconds
from speaker.metrics import Metrics
from speaker.model.objects import Change
from speaker.model.peer import SessionFacts, SessionStatus
from speaker.model.policy import HostView
from speaker.routing.reconcile import Reconciler
from speaker.settings import Settings

SLICE_SECONDS = 0.005
"""How long a recomputation may go on before the event loop turns: KEEPALIVEs must not wait."""

LOOK_SECONDS = 1.0
"""The pause between two looks at the file with the password."""

SPARED_AT_ONCE = 2_000
"""After how many changes of the cluster the garbage collector is spared what they left: it costs 3 ms."""

CHANGES_PER_SLICE = 500
"""How many prefixes, or outcomes of objects, are handed over in one turn: some milliseconds."""

_log = logging.getLogger(__name__)


class Speaker:
    """One speaker of one node.

    Args:
        settings: the checked command line.
        reread: the same settings with the password that its file holds now; raises UsageError.
        clock: injected in tests.
    """

    def __init__(
        self,
        settings: Settings,
        reread: Callable[[], Settings] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._settings = settings
        self._reread = reread
        self._clock = clock or SystemClock()
        self._wanted = settings.peers()
        self._pinned = pin_sources(self._wanted, settings.allowed_sources, None)
        self._established: dict[str, SessionFacts] = {}
        # Whether sessions have come or gone that the decisions do not know of.
        self._host_is_stale = False
        self._relief = CollectorRelief(SPARED_AT_ONCE)
        # Sessions that wait for their routes: nothing is sent to them before all is known.
        self._waiting: set[str] = set()
        self._dirty = asyncio.Event()
        self._stop_asked = asyncio.Event()
        self._metrics = Metrics(node=settings.node_name)
        self._kernel = Kernel(on_change=self._host_changed)
        self._cluster = Cluster(
            settings.cluster_config(),
            on_changes=self._cluster_changed,
            on_health=self._source_changed,
            on_leader=self._leads,
        )
        restart = settings.graceful_restart
        self._sessions = PeerSet(
            on_event=self._session_event,
            listen_port=settings.listen_port,
            listen_addresses=settings.listen_addresses,
            started_at=self._clock.monotonic(),
            # RFC 4724 §4.2: the F bit says that forwarding state was preserved; a reboot preserves none.
            forwarding_preserved=restart is None or uptime_seconds() >= restart.restart_time_seconds,
            holds_new_sessions=True,
        )
        self._peering = Peering(self._sessions)
        self._member: FabricMember | None = None
        if settings.learns:
            self._member = FabricMember(
                settings,
                self._cluster,
                self._sessions,
                self._session_statuses,
                clock=self._clock,
                on_change=self._dirty.set,
            )
        self._started_at = self._clock.monotonic()
        self._reconciler = Reconciler(settings.publication_policy(), self._host_view(None))
        self._reporter = Reporter(self._metrics, self._cluster.events)
        self._answers = Answers(
            settings.node_name,
            self._session_statuses,
            self._peering.bfd_statuses,
            self._sessions.advertised,
            self._cluster,
            self._reconciler,
            self._member,
        )
        self._facts: HostFacts | None = None

    # -- life ------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Run until asked to stop; raises SpeakerError when the speaker cannot do its work."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop_asked.set)
        self._set_peers()
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(part, name=name) for name, part in self._parts()]
            await self._stop_asked.wait()
            await self._stop()
            for task in running:
                task.cancel()

    def _parts(self) -> Iterator[tuple[str, Coroutine[Any, Any, None]]]:
        """Everything that runs beside the others, by name."""
        yield "kernel", self._kernel.run()
        yield "sessions", self._sessions.run()
        yield "bfd", self._peering.run()
        yield "cluster", self._cluster.run()
        yield "reconcile", self._reconcile()
        yield "reporter", self._reporter.run()
        if self._member is not None:
            yield from self._member.parts()
        settings = self._settings
        if settings.password_file is not None and self._reread is not None:
            yield "password", self._watch_password(settings.password_file, self._reread)
        if settings.metrics_address is not None:
            server = HealthServer(
                settings.metrics_address,
                settings.metrics_port,
                readiness=self._readiness,
                render_metrics=self._render_metrics,
                clock=self._clock,
            )
            yield "health", server.run()
        if settings.control_socket is not None:
            yield "control", self._serve_control(settings.control_socket)

    async def _serve_control(self, path: str) -> None:
        """Serve `speaker status` and its kin; without the socket the routes still matter more."""
        try:
            await ControlServer(path, self._answers.commands()).run()
        except HostError as error:
            _log.error("control socket is not served", extra={"reason": str(error)})

    async def _stop(self) -> None:
        stop = await decide_stop(self._settings, self._cluster)
        _log.info("stopping", extra={"graceful_restart": stop.graceful_restart, "reason": stop.reason})
        await self._sessions.stop(
            graceful_restart=stop.graceful_restart,
            drain_seconds=self._settings.drain_seconds,
            reason=stop.reason,
        )
        if self._member is not None and not stop.graceful_restart:
            await self._member.flush()
        self._reporter.flush()
        _log.info("stopped", extra={"reason": stop.reason})

    # -- the loop --------------------------------------------------------------------------------------

    async def _reconcile(self) -> None:
        await self._kernel.wait_ready()
        if self._settings.graceful_restart is not None and not self._settings.fabric:
            # Peers keep the routes of before while they wait for our End-of-RIB, which waits for `release`.
            self._peering.start()
        await self._cluster.wait_in_sync()
        self._follow_fabric()
        await self._settle()
        self._sessions.release()
        self._peering.start()
        _log.info("in sync")
        self._relief.spare()
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            await self._settle()

    async def _settle(self) -> None:
        """Decide all that is marked, and hand it over; what is marked meanwhile as well.

        A session that was established before has then all that it should hear.
        """
        waiting, self._waiting = self._waiting, set()
        if self._host_is_stale:
            self._host_is_now()
        with self._relief.paused():
            while self._has_work:
                await self._recompute()
                await self._hand_over()
                if self._member is not None:
                    await self._member.settle()
        self._reporter.settled()
        # One that was established anew meanwhile waits for the next turn.
        for peer in waiting - self._waiting:
            self._sessions.routes_complete(peer)
        if self._follow_fabric():
            self._dirty.set()

    @property
    def _has_work(self) -> bool:
        reconciler, member = self._reconciler, self._member
        own = not reconciler.is_complete or reconciler.has_changes
        return own or (member is not None and member.has_work)

    def _follow_fabric(self) -> bool:
        """Take over the peers that the cluster asks for; returns whether they are others than before."""
        if self._member is None or self._stop_asked.is_set():
            return False
        wanted = self._member.peers(self._settings.peers())
        self._member.listen(self._settings.listen_addresses)
        if wanted == self._wanted:
            return False
        self._wanted = wanted
        self._pin()
        return True

    async def _recompute(self) -> None:
        started = self._clock.monotonic()
        done = self._reconciler.recompute(self._time_slice())
        while not done:
            await asyncio.sleep(0)
            done = self._reconciler.recompute(self._time_slice())
        self._metrics.observe_reconcile(self._clock.monotonic() - started)

    def _time_slice(self) -> Callable[[], bool]:
        """Says whether a slice that begins now may go on."""
        until = self._clock.monotonic() + SLICE_SECONDS
        return lambda: self._clock.monotonic() < until

    async def _hand_over(self) -> None:
        """Give each session what has changed for it, and say so."""
        reconciler = self._reconciler
        while reconciler.has_explanations:
            told = reconciler.take_explanations(
                CHANGES_PER_SLICE, reports_only=not self._reporter.tells_routes
            )
            self._reporter.outcomes_changed(told)
            await asyncio.sleep(0)
        while reconciler.has_changes and reconciler.is_complete:
            changes = reconciler.take_changes(CHANGES_PER_SLICE)
            for peer, routes in changes.items():
                if self._member is None:
                    self._sessions.update(peer, routes)
                else:
                    self._member.own(peer, routes)
            self._reporter.routes_changed(changes)
            await asyncio.sleep(0)

    # -- what changes ----------------------------------------------------------------------------------

    def _cluster_changed(self, changes: Sequence[Change]) -> None:
        self._reconciler.apply(changes)
        if self._member is not None:
            self._member.apply(changes)
        self._dirty.set()
        self._relief.count(len(changes))

    def _leads(self, held: bool) -> None:  # noqa: FBT001 # a fact, not a switch
        if self._member is not None:
            self._member.leads(held)

    def _source_changed(self, health: SourceHealth) -> None:
        self._reporter.source_changed(health)

    def _host_changed(self, facts: HostFacts) -> None:
        self._facts = facts
        pinned = pin_sources(self._pinned.peers, self._settings.allowed_sources, facts)
        if pinned != self._pinned and not self._stop_asked.is_set():
            for peer, reason in pinned.refused.items():
                _log.error("no session", extra={"peer": peer, "reason": reason})
            self._pinned = pinned
            self._set_peers()
        self._host_is_now()

    def _pin(self) -> None:
        """Begin to have the wanted peers."""
        self._pinned = pin_sources(self._wanted, self._settings.allowed_sources, self._facts)
        self._set_peers()
        self._host_is_now()

    def _set_peers(self) -> None:
        self._kernel.set_peers({peer.name: peer.address for peer in self._pinned.peers})
        self._peering.set_peers(self._pinned.usable, self._settings.ranges())

    async def _watch_password(self, path: str, reread: Callable[[], Settings]) -> None:
        """Take over another password when its file changes; a file that is wrong changes nothing."""
        files = WatchedFiles([path])
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if not files.have_changed() or self._stop_asked.is_set():
                continue
            try:
                self._settings = reread()
            except UsageError as error:
                _log.error("password is not taken over", extra={"reason": str(error)})
                continue
            _log.info("password is taken over", extra={"path": path})
            if not self._follow_fabric():
                self._wanted = (*self._settings.peers(), *self._wanted[len(self._settings.peers()) :])
                self._pin()

    def _session_event(self, event: SessionEvent) -> None:
        self._reporter.session_event(event)
        self._peering.session_event(event)
        if self._member is not None:
            self._member.session_event(event)
            self._dirty.set()
        if event.kind is SessionEventKind.ESTABLISHED and event.facts is not None:
            self._waiting.add(event.peer)
            self._established[event.peer] = event.facts
            self._sessions_changed(event.peer)
        elif event.kind is SessionEventKind.CLOSED:
            self._established.pop(event.peer, None)
            self._sessions_changed(event.peer)

    def _sessions_changed(self, peer: str) -> None:
        """Take it over with the next decision: in a mesh a hundred sessions come at once.

        A peer of a range is taken over at once: it comes and goes with its session, what it teaches counts
        only once it is a peer, and one that comes back has heard nothing.
        """
        if all(each.name != peer for each in self._pinned.usable):
            self._host_is_now()
            return
        self._host_is_stale = True
        self._dirty.set()

    def _host_is_now(self) -> None:
        self._host_is_stale = False
        host = self._host_view(self._facts)
        self._reconciler.set_host(host)
        if self._member is not None:
            self._member.set_host(host)
        self._dirty.set()

    def _host_view(self, facts: HostFacts | None) -> HostView:
        # A peer that can have no session is no peer meanwhile: when it is one again, it hears everything.
        here = (*self._pinned.usable, *self._sessions.range_peers)
        return host_view(self._settings, here, facts, self._established)

    # -- what is asked ---------------------------------------------------------------------------------

    def _session_statuses(self) -> Mapping[str, SessionStatus]:
        """Every configured peer's session, also of those that can have none."""
        return {**self._sessions.sessions(), **self._pinned.idle}

    def _readiness(self) -> Iterable[Check]:
        running_seconds = self._clock.monotonic() - self._started_at
        return readiness(self._cluster.health(), self._session_statuses(), running_seconds)

    def _render_metrics(self) -> bytes:
        self._metrics.record_sessions(self._session_statuses())
        self._peering.record(self._metrics)
        if self._member is not None:
            self._member.record(self._metrics)
        self._metrics.record_exclusions(self._reconciler.exclusion_counts())
        self._metrics.record_sources(
            {health.name: health for health in self._cluster.health()}, in_sync=self._cluster.in_sync
        )
        return self._metrics.render()

"""This node as a member of the fabric: everything that is there only with `--fabric` or `--import-routes`.

Holds the parts together for the speaker: what the cluster asks for, what peers teach, what is reported.
"""

import logging
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from typing import Any

from speaker.bgp import PeerSet, SessionEvent
from speaker.clock import Clock
from speaker.cluster import Cluster
from speaker.daemon.fabric import Fabric
from speaker.daemon.fabric_report import FabricReport
from speaker.daemon.learning import Learning
from speaker.daemon.oversight import Oversight
from speaker.errors import HostError
from speaker.metrics import Metrics
from speaker.model.objects import Change
from speaker.model.peer import Peer, SessionStatus
from speaker.model.policy import HostView
from speaker.model.prefix import Address, Prefix
from speaker.model.route import Route
from speaker.settings import Settings

DEFERRAL_SECONDS = 120.0
"""How long peers may take to tell all they know after a start of ours, unless a flag says otherwise."""

_log = logging.getLogger(__name__)


class FabricMember:
    """One node's part of the fabric.

    Args:
        settings: the flags.
        cluster: what is watched, and where reports go.
        sessions: the BGP sessions.
        statuses: every session by the peer's name.
        clock: time.
        on_change: called when there is something to settle.
    """

    def __init__(
        self,
        settings: Settings,
        cluster: Cluster,
        sessions: PeerSet,
        statuses: Callable[[], Mapping[str, SessionStatus]],
        *,
        clock: Clock,
        on_change: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._cluster = cluster
        self._sessions = sessions
        self.learning = Learning(
            sessions.update,
            installs=settings.kernel_routes,
            table=settings.kernel_table,
            metric=settings.kernel_metric,
            on_change=on_change,
            clock=clock,
        )
        self.fabric = Fabric(
            settings.publication_policy(),
            settings.import_prefixes,
            self.learning,
            clock=clock,
            on_change=on_change,
            reads_resources=settings.fabric,
        )
        self._report = FabricReport(
            settings.node_name, self.fabric, self.learning, statuses, cluster.statuses, clock
        )
        self._oversight = Oversight(self.fabric, cluster.watching, cluster.statuses, cluster.events, clock)
        self._holds_end = False
        self._listens_at: int | None = None
        self._listen_problem = ""

    def parts(self) -> Iterator[tuple[str, Coroutine[Any, Any, None]]]:
        """What runs beside the others, by name."""
        yield from self.learning.parts()
        if self._settings.fabric:
            yield "reports of others", self.fabric.watch_reports(self._cluster.watching)
            yield "own report", self._report.run()
            yield "oversight", self._oversight.run()

    def leads(self, held: bool) -> None:  # noqa: FBT001 # a fact, not a switch
        """The Lease of the one who speaks for all came to us, or went."""
        self._oversight.leads(held)

    # -- what changes ----------------------------------------------------------------------------------

    def apply(self, changes: Sequence[Change]) -> None:
        """Take over what the cluster says of peers and Nodes."""
        self.fabric.apply(changes)
        self._cluster.set_secrets(self.fabric.secret_names)

    def session_event(self, event: SessionEvent) -> None:
        """Take over what happened on a session."""
        self.fabric.session_event(event)
        self.learning.session_event(event)

    def set_host(self, host: HostView) -> None:
        """Take over the peers and their sessions."""
        self.learning.set_host(host)

    def own(self, peer: str, changes: Mapping[Prefix, Route | None]) -> None:
        """Change what we ourselves advertise to a peer."""
        self.learning.own(peer, changes)

    # -- the loop --------------------------------------------------------------------------------------

    def peers(self, configured: Sequence[Peer]) -> tuple[Peer, ...]:
        """The peers to have sessions with: those in flags, and those that the cluster asks for.

        Where both name an address, the flags count.
        """
        taken = {peer.address for peer in configured}
        asked = tuple(peer for peer in self.fabric.decide() if peer.address not in taken)
        peers = (*configured, *asked)
        restart = self._settings.graceful_restart
        self.learning.expect(peers, DEFERRAL_SECONDS if restart is None else restart.deferral_time_seconds)
        self._report.mark()
        self._oversight.mark()
        return peers

    def listen(self, addresses: tuple[Address, ...]) -> None:
        """Listen where the design says, unless a flag says otherwise.

        A port that cannot be had is told, and tried again the next time.
        """
        port = self.fabric.listen_port
        if self._settings.listen_port is not None or port == self._listens_at:
            return
        try:
            self._sessions.listen(port, addresses)
        except HostError as error:
            if str(error) != self._listen_problem:
                self._listen_problem = str(error)
                _log.error("cannot listen", extra={"port": port, "reason": str(error)})
            return
        self._listens_at, self._listen_problem = port, ""

    @property
    def has_work(self) -> bool:
        """Whether `settle` would do anything."""
        return self.learning.has_work

    async def settle(self) -> None:
        """Choose among what was learned, and hand over the outcome."""
        await self.learning.settle()
        held = not self.learning.clients_have_told_all
        if held is not self._holds_end:
            self._holds_end = held
            self._sessions.hold_end_of_rib(held)

    def record(self, metrics: Metrics) -> None:
        """Record what is learned, and how far the fabric is."""
        fib = self.learning.fib_status
        kernel = {
            "wanted": fib.wanted,
            "installed": fib.installed,
            "conflict": len(fib.conflicts),
            "refused": len(fib.refused),
        }
        metrics.record_learning(learned=self.learning.learned, kernel=kernel)
        if self._settings.fabric:
            step = self.fabric.step
            metrics.record_fabric(settled=step.settled, retiring=len(step.retiring))

    async def flush(self) -> None:
        """This node is no member any more: take what was learned out of the kernel."""
        await self.learning.flush()

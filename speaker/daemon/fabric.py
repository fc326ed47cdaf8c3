"""The peers that the cluster itself asks for: Nodes and resources in, the sessions to have out.

Keeps what the cluster says, has the design made of it, and goes from one design to the next without
losing a route. Knows when to decide; what is decided is pure, in `speaker.fabric`.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from types import MappingProxyType

from speaker.bgp import SessionEvent, SessionEventKind
from speaker.clock import Clock
from speaker.daemon.learning import Learning
from speaker.fabric.design import Design, Plan
from speaker.fabric.nodes import NodeBook
from speaker.fabric.report import NodeReport, from_status
from speaker.fabric.resources import ResourceBook
from speaker.fabric.transition import Scene, Session, Step, Transition
from speaker.model.fabric import FabricNode, SecretKeyRef
from speaker.model.objects import Change, Kind, ResourceView, SecretView
from speaker.model.peer import Password, Peer, SessionFacts
from speaker.model.policy import PublicationPolicy
from speaker.model.prefix import Prefix
from speaker.routing.imports import ImportPolicy

_log = logging.getLogger(__name__)

NOTHING_WANTED = Step(peers=())

NOTHING_ASKED = (
    "BGPConfiguration and BGPPeer ask for no session of this node; kubectl get bgppeers says whether their"
    " kinds are installed"
)

Watching = Callable[[Kind], AbstractAsyncContextManager[asyncio.Event]]
"""Watches a kind while inside; gives what is set once it has been read whole."""


class Fabric:
    """What the cluster asks of this node, and how far it is.

    Args:
        policy: the node's name, the label that chooses speakers, the source of Pod CIDRs.
        import_prefixes: what may be learned beside what the resources permit.
        learning: told what may be learned; asked what a session carries.
        clock: dates what is held back.
        on_change: called when `decide` may come to another result.
        reads_resources: whether BGPConfigurations and BGPPeers are watched.
    """

    def __init__(
        self,
        policy: PublicationPolicy,
        import_prefixes: tuple[Prefix, ...],
        learning: Learning,
        *,
        clock: Clock,
        on_change: Callable[[], None],
        reads_resources: bool = True,
    ) -> None:
        self._own = policy.node_name
        self._import_prefixes = import_prefixes
        self._learning = learning
        self._clock = clock
        self._on_change = on_change
        self._reads_resources = reads_resources
        self.nodes = NodeBook(label=policy.node_label, pod_cidr_source=policy.pod_cidr_source)
        self.resources = ResourceBook()
        self._passwords: dict[str, Mapping[str, Password]] = {}
        self._reports: dict[str, NodeReport] = {}
        self._established: dict[str, tuple[SessionFacts, float]] = {}
        self._transition = Transition()
        self._running: dict[str, Peer] = {}
        # Whether anything has changed, whether anything but Nodes has, and which Nodes are planned.
        self._is_stale = True
        self._asks_anew = True
        self._planned = -1
        self._wake: asyncio.TimerHandle | None = None
        self._wants_reports = asyncio.Event()
        self._wants_none = asyncio.Event()
        self._reports_are_fresh = False
        self.design = Design()
        self.step = NOTHING_WANTED

    # -- what changes ----------------------------------------------------------------------------------

    def apply(self, changes: Sequence[Change]) -> None:
        """Take over what concerns peers; the rest is passed over."""
        asked = self.resources.apply(changes)
        changed = self.nodes.apply(changes) or asked
        for change in changes:
            if change.ref.kind is Kind.SECRET:
                asked = changed = True
                self._take_secret(change)
            elif change.ref.kind is Kind.BGP_NODE_STATUS:
                self._take_report(change)
        self._is_stale |= changed
        self._asks_anew |= asked

    def _take_secret(self, change: Change) -> None:
        if isinstance(change.view, SecretView):
            self._passwords[change.ref.name] = change.view.data
        else:
            self._passwords.pop(change.ref.name, None)

    def _take_report(self, change: Change) -> None:
        if isinstance(change.view, ResourceView):
            self._reports[change.ref.name] = from_status(change.ref.name, change.view.status)
        else:
            self._reports.pop(change.ref.name, None)

    async def watch_reports(self, watching: Watching) -> None:
        """Watch the reports of the other nodes as long as sessions wait for them, until cancelled."""
        while True:
            await self._wants_reports.wait()
            async with watching(Kind.BGP_NODE_STATUS) as synced:
                await synced.wait()
                self._reports_are_fresh = True
                self._on_change()
                await self._wants_none.wait()
            # What they said grows old now; the next watch tells what has changed meanwhile.
            self._reports_are_fresh = False

    @property
    def reports(self) -> Mapping[str, NodeReport]:
        """What other nodes report, as far as it is watched."""
        return MappingProxyType(self._reports)

    def session_event(self, event: SessionEvent) -> None:
        """A session was established or ended, or has told something."""
        if event.kind is SessionEventKind.ESTABLISHED and event.facts is not None:
            self._established[event.peer] = (event.facts, self._clock.monotonic())
        elif event.kind is SessionEventKind.CLOSED:
            self._established.pop(event.peer, None)

    # -- what is decided -------------------------------------------------------------------------------

    @property
    def secret_names(self) -> frozenset[str]:
        """The Secrets that hold the passwords of the design."""
        return frozenset(ref.name for ref in self.resources.secrets())

    @property
    def own_node(self) -> FabricNode | None:
        """This node as the fabric sees it; None when there is no such Node."""
        return self.nodes.nodes.get(self._own)

    @property
    def listen_port(self) -> int | None:
        """Where to listen; None when nobody is expected to connect."""
        peers = self.step.peers
        if any(peer.node or peer.passive for peer in peers):
            return self.resources.configuration.listen_port
        return None

    def decide(self) -> tuple[Peer, ...]:
        """The peers that should run now. To be asked whenever anything has changed."""
        if self._is_stale:
            self._is_stale = False
            # In a large fabric the sessions cost more than all else, and Pod CIDRs change none.
            if self._asks_anew or self.nodes.generation != self._planned:
                self._asks_anew, self._planned = False, self.nodes.generation
                self._make_design()
            self._permit()
        before = self.step
        self.step = self._transition.step(self._scene())
        self._running = {peer.name: peer for peer in self.step.peers}
        _say_steps(before, self.step)
        wanted, unwanted = self._wants_reports, self._wants_none
        if not self.step.wants_reports:
            wanted, unwanted = unwanted, wanted
        wanted.set()
        unwanted.clear()
        self._look_again(self.step.look_again_seconds)
        return self.step.peers

    def _make_design(self) -> None:
        nodes, resources = self.nodes, self.resources
        plan = Plan(nodes.nodes, resources.configuration, resources.peers)
        before, self.design = self.design, plan.of(self._own, self._password)
        for warning in self.design.warnings:
            if warning not in before.warnings:
                _log.warning("fabric", extra={"reason": warning})
        for peer, reason in self.design.withheld.items():
            if before.withheld.get(peer) != reason:
                _log.error("no session", extra={"peer": peer, "reason": reason})
        if self.asks_for_nothing and (before.peers or not before.fingerprint):
            _log.info("fabric", extra={"reason": self.asks_for_nothing})

    @property
    def asks_for_nothing(self) -> str:
        """Why there is nothing to do here, as where the kinds of the resources are missing; or ""."""
        asked = self.design.peers or self.design.withheld or not self._reads_resources
        return "" if asked else NOTHING_ASKED

    def _permit(self) -> None:
        """Say what may be learned, and what is this node's own."""
        nodes, resources = self.nodes, self.resources
        own = self.own_node
        cidrs = own.pod_cidrs if own is not None and own.is_speaker else ()
        configuration = resources.configuration
        ranges = (*nodes.pod_ranges, *self._import_prefixes, *configuration.import_prefixes)
        policy = ImportPolicy(ranges=ranges, own=cidrs, filters=resources.filters)
        self._learning.set_policy(policy, configuration.prefix_advertisements)
        self._learning.set_own_prefixes(cidrs)

    def _password(self, ref: SecretKeyRef) -> Password | None:
        return self._passwords.get(ref.name, {}).get(ref.key)

    def _scene(self) -> Scene:
        return Scene(
            own=self._own,
            wanted=self.design,
            running=self._running,
            sessions={
                name: Session(
                    established_at=at,
                    awaited=self._learning.awaited(name),
                    sends_end_of_rib=facts.peer_graceful_restart,
                )
                for name, (facts, at) in self._established.items()
                if name in self._running
            },
            lost_without=self._learning.lost_without,
            lost_under=self._learning.lost_under,
            reports=self._reports if self._reports_are_fresh else {},
            nodes=self.nodes.nodes.keys(),
            now=self._clock.monotonic(),
            deadline_seconds=self.resources.configuration.switch_deadline_seconds,
        )

    def _look_again(self, seconds: float | None) -> None:
        if self._wake is not None:
            self._wake.cancel()
        self._wake = None
        if seconds is not None:
            self._wake = asyncio.get_running_loop().call_later(seconds, self._on_change)


def _say_steps(before: Step, after: Step) -> None:
    for peer, held in after.retiring.items():
        if peer not in before.retiring:
            _log.info("session retires", extra={"peer": peer, "reason": held.reason})
    for peer, reason in after.dropped.items():
        _log.info("session is given up", extra={"peer": peer, "reason": reason})
    for peer, held in after.demotions.items():
        if peer not in before.demotions:
            _log.info("setting is held back", extra={"peer": peer, "reason": held.reason})

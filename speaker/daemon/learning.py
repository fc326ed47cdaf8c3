"""What peers teach: from received routes to the kernel's table, and on to other peers.

Connects the Loc-RIB with the sessions and the kernel, and says when all peers have told all they know.
Knows no resource and no Node; chooses no route.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Coroutine, Iterator, Mapping, Sequence
from ipaddress import IPv4Address
from typing import Any

from speaker.bgp import SessionEvent, SessionEventKind
from speaker.clock import Clock
from speaker.daemon.collector import CollectorRelief
from speaker.kernel import Fib, FibStatus
from speaker.model.fabric import BgpFilter, PrefixAdvertisement
from speaker.model.fib import Resolution
from speaker.model.peer import Peer, SessionFacts
from speaker.model.policy import HostView
from speaker.model.prefix import Address, Family, Prefix
from speaker.model.route import Paths, Route
from speaker.routing.decision import Candidate
from speaker.routing.imports import ImportPolicy
from speaker.routing.loc_rib import LocRib
from speaker.routing.outbound import Outbound

SLICE_SECONDS = 0.005
"""How long a decision may go on before the event loop turns."""

CHANGES_PER_SLICE = 500
"""How many prefixes are handed over in one turn of the event loop: some milliseconds."""

SPARED_AT_ONCE = 5_000
"""By how many prefixes the table grows before the garbage collector is spared them: it costs 1 ms."""

MAIN_TABLE = 254
"""RT_TABLE_MAIN: where the routes to the node's own Pods are."""

_log = logging.getLogger(__name__)

Update = Callable[[str, Mapping[Prefix, Paths | None]], None]

MakeFib = Callable[..., Fib]
"""Makes the kernel's table, with the arguments of `Fib`."""


class Learning:
    """The learning half of a speaker.

    Args:
        update: changes what a peer should hear.
        installs: whether learned routes go into the kernel; next hops are resolved there in any case.
        table: the kernel's table.
        metric: their metric there.
        on_change: called when there is something for `settle` to do.
        clock: measures slices.
        make_fib: the kernel's table.
    """

    def __init__(
        self,
        update: Update,
        *,
        installs: bool,
        table: int,
        metric: int,
        on_change: Callable[[], None],
        clock: Clock,
        make_fib: MakeFib = Fib,
    ) -> None:
        self._update = update
        self._installs = installs
        self._is_main_table = table == MAIN_TABLE
        self._on_change = on_change
        self._clock = clock
        self._fib = make_fib(table=table, metric=metric, on_resolved=self._resolved, on_problem=_problem)
        self._rib = LocRib()
        self._outbound = Outbound()
        self._host = HostView()
        self._filters: Mapping[str, BgpFilter] = {}
        self._advertisements: tuple[PrefixAdvertisement, ...] = ()
        self._facts: dict[str, SessionFacts] = {}
        # The families whose End-of-RIB a peer has sent on its present session.
        self._told: dict[str, set[Family]] = {}
        self._tracked: frozenset[Address] = frozenset()
        self._relief = CollectorRelief(SPARED_AT_ONCE)
        self._counted = 0
        self._expected: frozenset[str] = frozenset()
        self._clients: frozenset[str] = frozenset()
        self._deadline: asyncio.TimerHandle | None = None
        self._complete = False
        self._released = False

    def parts(self) -> Iterator[tuple[str, Coroutine[Any, Any, None]]]:
        """What runs beside the others, by name."""
        yield "kernel routes", self._fib.run()

    async def flush(self) -> None:
        """Take all learned routes out of the kernel: this node is no part of the fabric any more."""
        if self._installs:
            await self._fib.flush()

    # -- what changes ----------------------------------------------------------------------------------

    def session_event(self, event: SessionEvent) -> None:
        """Take over what a peer has told, and whether it has told all."""
        if event.kind is SessionEventKind.ESTABLISHED and event.facts is not None:
            self._facts[event.peer] = event.facts
            self._told[event.peer] = set()
        elif event.kind is SessionEventKind.CLOSED:
            self._facts.pop(event.peer, None)
            self._told.pop(event.peer, None)
        elif event.kind is SessionEventKind.UPDATE_RECEIVED:
            if event.end_of_rib is not None and event.peer in self._told:
                self._told[event.peer].add(event.end_of_rib)
                self._check_complete()
            self._rib.received(event.peer, event.advertised, event.withdrawn)
        else:
            return
        self._on_change()

    def set_host(self, host: HostView) -> None:
        """Take over the peers and their sessions."""
        self._host = host
        self._rib.set_host(host)
        self._outbound.set_host(host, self._filters, self._advertisements)
        self._on_change()

    def set_policy(self, policy: ImportPolicy, advertisements: tuple[PrefixAdvertisement, ...] = ()) -> None:
        """Take over what may be learned and what the filters say."""
        self._filters, self._advertisements = policy.filters, advertisements
        self._rib.set_import(policy)
        self._outbound.set_host(self._host, self._filters, self._advertisements)
        self._on_change()

    def set_own_prefixes(self, prefixes: Collection[Prefix]) -> None:
        """What this node owns: packets to what is not there end here, and not in a loop.

        In a table other than the main one nothing is laid: a rule sends packets there before they come to
        the routes to this node's own Pods, and would send them no further.
        """
        if self._installs and self._is_main_table:
            self._fib.set_blackholes(prefixes)

    def own(self, peer: str, changes: Mapping[Prefix, Route | None]) -> None:
        """Change what we ourselves advertise to a peer."""
        self._update(peer, self._outbound.own(peer, changes))

    def _resolved(self, changes: Mapping[Address, Resolution]) -> None:
        self._rib.set_resolutions(changes)
        self._on_change()

    # -- when all is told ------------------------------------------------------------------------------

    def has_told_all(self, peer: str) -> bool:
        """Whether the peer is established and has sent End-of-RIB of every family."""
        return peer in self._facts and not self.awaited(peer)

    def awaited(self, peer: str) -> frozenset[Family]:
        """The families whose End-of-RIB has not come on the peer's session."""
        facts = self._facts.get(peer)
        return frozenset() if facts is None else facts.families - self._told[peer]

    def expect(self, peers: Collection[Peer], deferral_seconds: float) -> None:
        """Hold what an earlier run has left in the kernel until these peers have told all.

        RFC 4724 §4.1: route selection is deferred until End-of-RIB of every peer, at most for the
        Selection_Deferral_Timer.
        """
        self._expected = frozenset(peer.name for peer in peers if peer.imports)
        self._clients = frozenset(peer.name for peer in peers if peer.client)
        if self._complete:
            return
        if self._deadline is None:
            self._deadline = asyncio.get_running_loop().call_later(deferral_seconds, self._finish)
        self._check_complete()

    def _check_complete(self) -> None:
        if self._deadline is not None and all(map(self.has_told_all, self._expected)):
            self._finish()

    @property
    def clients_have_told_all(self) -> bool:
        """Whether what our clients know is known, or they have had the time to tell it.

        RFC 4724 §4.1: a speaker that restarts tells its own End-of-RIB after its peers' have come. Only
        clients are waited for: two reflectors would wait for each other.
        """
        return self._complete or all(map(self.has_told_all, self._clients))

    def _finish(self) -> None:
        """Every peer has told all, or has had the time to."""
        if self._complete:
            return
        self._complete = True
        if self._deadline is not None:
            self._deadline.cancel()
        silent = sorted(name for name in self._expected if not self.has_told_all(name))
        _log.info("routes are complete", extra={"silent": ",".join(silent)})
        self._on_change()

    # -- the loop --------------------------------------------------------------------------------------

    async def settle(self) -> None:
        """Choose among what has changed, and hand over the outcome."""
        while self._has_changes:
            if self._rib.recompute(self._time_slice()):
                await self._hand_over()
            else:
                self._ask_early()
            self._count_growth()
            await asyncio.sleep(0)
        self._resolve()
        if self._may_release:
            self._released = True
            self._fib.release()

    def _resolve(self) -> None:
        """Have the kernel say how the next hops are reached; what it says comes back as a change."""
        wanted = self._rib.next_hops
        if wanted != self._tracked:
            self._tracked = wanted
            self._fib.track(wanted)
            self._rib.forget_unused_next_hops()

    def _ask_early(self) -> None:
        """Have the kernel look up what has come to be wanted, though the decision goes on.

        So most of a full table is decided once, when its next hops are known, and not a second time after
        the answer. Nothing is forgotten yet: what seems unused may be wanted again in the end.
        """
        wanted = self._rib.next_hops
        if not wanted <= self._tracked:
            self._tracked |= wanted
            self._fib.track(self._tracked)

    def _count_growth(self) -> None:
        """Left to the collector, 50,000 routes take a seventh more time and stop the event loop for 40 ms."""
        size = self._rib.size
        self._relief.count(max(0, size - self._counted))
        self._counted = size

    @property
    def has_work(self) -> bool:
        """Whether `settle` would do anything."""
        return self._has_changes or self._may_release

    @property
    def _has_changes(self) -> bool:
        return not self._rib.is_complete or self._rib.has_changes or self._outbound.has_changes

    @property
    def _may_release(self) -> bool:
        """Whether all that will be wanted in the kernel is: a route waits until its next hop is looked up."""
        return (
            self._complete
            and self._installs
            and not (self._released or self._has_changes)
            and self._rib.next_hops <= self._fib.resolutions.keys()
        )

    async def _hand_over(self) -> None:
        while self._rib.has_changes or self._outbound.has_changes:
            for peer, changes in self._outbound.take(CHANGES_PER_SLICE).items():
                self._update(peer, changes)
            routes = self._rib.take_fib(CHANGES_PER_SLICE)
            if self._installs and routes:
                self._fib.set_routes(routes)
            for peer, changes in self._rib.take_advertised(CHANGES_PER_SLICE).items():
                self._update(peer, self._outbound.learned(peer, changes))
            await asyncio.sleep(0)

    def _time_slice(self) -> Callable[[], bool]:
        until = self._clock.monotonic() + SLICE_SECONDS
        return lambda: self._clock.monotonic() < until

    # -- what is asked ---------------------------------------------------------------------------------

    def lost_without(self, peers: frozenset[str]) -> tuple[Prefix, ...]:
        """The prefixes that nobody else would carry."""
        return self._rib.lost_without(peers)

    def lost_under(self, cluster_id: IPv4Address) -> tuple[Prefix, ...]:
        """The prefixes that would be taken for loops if this became our CLUSTER_ID."""
        return self._rib.lost_under(cluster_id)

    def paths(self, prefix: Prefix) -> tuple[Candidate, ...]:
        """Every path to a prefix, the best first, each with why it is chosen or not."""
        return self._rib.paths(prefix)

    def reaches(self, prefix: Prefix) -> bool:
        """Whether a learned route leads to the prefix: its own, or one that holds it."""
        return self._rib.reaches(prefix)

    def desired(self, peer: str) -> Mapping[Prefix, Paths]:
        """All that a peer should hear."""
        return self._outbound.desired(peer)

    @property
    def learned(self) -> int:
        """How many prefixes have a chosen path."""
        return sum(self._rib.counts.values())

    @property
    def prefixes(self) -> Sequence[Prefix]:
        """Every prefix that a peer has advertised."""
        return self._rib.prefixes

    @property
    def fib_status(self) -> FibStatus:
        """How far the kernel has what is wanted."""
        return self._fib.status()


def _problem(sentence: str) -> None:
    _log.warning("kernel routes", extra={"reason": sentence})

"""Whether every Node learns every other's Pod CIDRs, and which single failure would cut what.

Knows the sessions as sets, and how routes go on: between Nodes only what a Node owns, and what a reflector
reflects (RFC 4456 §6, §8); over routers outside to all Nodes that peer with one. Routers are taken to
reflect between all their peers and to reach each other, for what is between them is not known here. Import
filters are not looked at. What the Nodes themselves say of their tables stands beside it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from speaker.fabric.design import Plan
from speaker.fabric.graph import Graph, bits
from speaker.fabric.report import NodeReport, Unreachable
from speaker.model.prefix import Address, Family, family_of

MOST_PAIRS = 50
"""So many pairs are named; all are counted."""

EXAMPLES = 3


@dataclass(frozen=True, slots=True, order=True)
class Pair:
    """A Node that does not learn another's Pod CIDRs of one family."""

    source: str
    target: str
    family: Family


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """What the failure of one Node or router would cut beyond itself.

    Attributes:
        name: the Node, or the router's address.
        kind: "reflector" or "router"; other Nodes pass nothing on, so their failure cuts nothing else.
        cut: how many pairs.
        examples: some of them.
    """

    name: str
    kind: str
    cut: int
    examples: tuple[Pair, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The state of the fabric.

    Attributes:
        nodes: how many Nodes run a speaker.
        unreachable: pairs without a route, as the sessions are; some of them.
        unreachable_count: how many there are.
        failures: what single failures would cut, the worst first; those that cut nothing are left out.
        told: what Nodes say that their tables lack, by the Node.
        told_count: how many other Nodes are lacking in all of these together.
        silent: the Nodes without a report.
        unsettled: the Nodes that still work towards their design.
        differing: the Nodes that report another fingerprint: they see other Nodes or resources, so far.
        warnings: what threatens the fabric, a sentence each.
    """

    nodes: int
    unreachable: tuple[Pair, ...] = ()
    unreachable_count: int = 0
    failures: tuple[Failure, ...] = ()
    told: Mapping[str, tuple[Unreachable, ...]] = field(default_factory=dict)
    told_count: int = 0
    silent: tuple[str, ...] = ()
    unsettled: tuple[str, ...] = ()
    differing: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def is_well(self) -> bool:
        """Whether every Node reaches every other's Pods, as meant and as told."""
        return not (self.unreachable_count or self.told_count)


def check(plan: Plan, reports: Mapping[str, NodeReport] | None = None) -> Verdict:
    """The state of the fabric.

    Args:
        plan: the whole cluster.
        reports: what Nodes report, by name; None judges the design alone.
    """
    told = reports or {}
    families = [family for family in Family if _owners(plan, family)]
    spreads = [_Spread(Graph(plan.whole, told, family), family, _owners(plan, family)) for family in families]
    missing = [pair for spread in spreads for pair in spread.some_missing()]
    speakers = plan.whole.speakers
    present = {name: told[name] for name in speakers if name in told}
    return Verdict(
        nodes=len(speakers),
        unreachable=tuple(sorted(missing)[:MOST_PAIRS]),
        unreachable_count=sum(spread.count_missing() for spread in spreads),
        failures=_failures(spreads),
        told={name: report.unreachable for name, report in present.items() if report.unreachable_count},
        told_count=sum(report.unreachable_count for report in present.values()),
        silent=() if reports is None else tuple(name for name in speakers if name not in told),
        unsettled=tuple(name for name, report in present.items() if not report.settled),
        differing=tuple(n for n, report in present.items() if report.fingerprint != plan.fingerprint),
        warnings=plan.warnings,
    )


def _owners(plan: Plan, family: Family) -> tuple[str, ...]:
    """The Nodes with Pod CIDRs of a family."""
    return tuple(
        name
        for name, node in plan.whole.speakers.items()
        if any(family_of(cidr) is family for cidr in node.pod_cidrs)
    )


def _failures(spreads: Iterable["_Spread"]) -> tuple[Failure, ...]:
    found: dict[tuple[str, str], list[Failure]] = {}
    for spread in spreads:
        for failure in spread.failures():
            found.setdefault((failure.kind, failure.name), []).append(failure)
    merged = [
        Failure(
            name=name,
            kind=kind,
            cut=sum(each.cut for each in failures),
            examples=tuple(pair for each in failures for pair in each.examples)[:EXAMPLES],
        )
        for (kind, name), failures in found.items()
    ]
    return tuple(sorted(merged, key=lambda failure: (-failure.cut, failure.name)))


@dataclass(frozen=True, slots=True)
class _World:
    """What works: the Nodes that live, and the routers that do not."""

    alive: int
    dead_router: Address | None = None


class _Spread:
    """How far the Pod CIDRs of each Node come, in one family."""

    def __init__(self, graph: Graph, family: Family, owners: Iterable[str]) -> None:
        self._graph = graph
        self._family = family
        self._at = {name: at for at, name in enumerate(graph.names)}
        self._owners = [self._at[name] for name in owners]
        self._routers = frozenset(address for each in graph.routers for address in each)
        self._whole = _World(graph.everyone)
        self._reach = self._all_reached(self._whole)

    def some_missing(self) -> Iterable[Pair]:
        found: list[Pair] = []
        for owner in self._owners:
            if len(found) >= MOST_PAIRS:
                break
            found += self._pairs(owner, self._missing(owner), MOST_PAIRS - len(found))
        return found

    def count_missing(self) -> int:
        return sum(self._missing(owner).bit_count() for owner in self._owners)

    def failures(self) -> Iterable[Failure]:
        """Only those that pass routes on can cut more than themselves."""
        for at in bits(self._graph.reflectors):
            world = _World(self._graph.everyone & ~(1 << at))
            yield from self._failure(self._graph.names[at], "reflector", world)
        for address in sorted(self._routers, key=lambda each: (each.version, int(each))):
            yield from self._failure(str(address), "router", _World(self._graph.everyone, address))

    def _failure(self, name: str, kind: str, world: _World) -> Iterable[Failure]:
        after = self._all_reached(world)
        cut, examples = 0, list[Pair]()
        for owner in self._owners:
            if world.alive >> owner & 1:
                lost = self._reach[owner] & world.alive & ~after[owner]
                cut += lost.bit_count()
                if len(examples) < EXAMPLES:
                    examples += self._pairs(owner, lost, EXAMPLES - len(examples))
        if cut:
            yield Failure(name=name, kind=kind, cut=cut, examples=tuple(examples))

    def _missing(self, owner: int) -> int:
        return self._graph.everyone & ~self._reach[owner] & ~(1 << owner)

    def _pairs(self, owner: int, mask: int, most: int) -> list[Pair]:
        names = self._graph.names
        some = [at for at, _ in zip(bits(mask), range(most), strict=False)]
        return [Pair(names[at], names[owner], self._family) for at in some]

    def _all_reached(self, world: _World) -> dict[int, int]:
        """For each owner the Nodes that learn its routes.

        What goes on beyond the direct sessions depends only on which reflectors and whether routers
        heard it, which is the same for nearly all Nodes.
        """
        outlets = self._outlets(world)
        known: dict[tuple[bool, int, bool], int] = {}
        reached: dict[int, int] = {}
        graph = self._graph
        for owner in self._owners:
            direct = graph.peers[owner] & world.alive
            if (direct | 1 << owner) == world.alive:
                reached[owner] = direct
                continue
            heard = graph.internal[owner] & graph.reflectors & world.alive
            outside = bool(graph.routers[owner] - {world.dead_router})
            # A reflector tells the others as one that is no client of theirs.
            key = (bool(graph.reflectors >> owner & 1), heard, outside)
            if key not in known:
                known[key] = self._carried_on(key, outlets, world)
            reached[owner] = (direct | known[key]) & ~(1 << owner)
        return reached

    def _outlets(self, world: _World) -> int:
        """The Nodes that hear what any router has heard."""
        found = 0
        for at, routers in enumerate(self._graph.routers):
            if routers - {world.dead_router}:
                found |= 1 << at
        return found & world.alive

    def _carried_on(self, key: tuple[bool, int, bool], outlets: int, world: _World) -> int:
        """The Nodes that hear a route from reflectors or routers.

        Args:
            key: whether its owner is a reflector, the reflectors and whether routers heard it from there.
            outlets: the Nodes that hear what routers have heard.
            world: what works.
        """
        by_reflector, heard, outside = key
        graph, found = self._graph, 0
        second = heard if by_reflector else 0
        if not by_reflector:
            for at in bits(heard):
                # From a client: to all internal peers; one with our CLUSTER_ID refuses it (RFC 4456 §8).
                told = graph.internal[at] & ~graph.same_cluster[at] & world.alive
                found |= told
                second |= told & graph.reflectors
                outside = outside or bool(graph.internal_routers[at] - {world.dead_router})
        if outside:
            found |= outlets
            for at in bits(outlets & graph.reflectors):
                if graph.internal_routers[at] - {world.dead_router}:
                    second |= 1 << at
        for at in bits(second):
            # From one that is no client: to the clients alone (RFC 4456 §6).
            found |= graph.clients[at] & world.alive
        return found

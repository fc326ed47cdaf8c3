"""What threatens the fabric, told before it breaks: no reflector, one alone, labels that drift apart.

Knows the membership alone, so every Node tells the same; must not know sessions that run. All sentences
are bounded: they name a few Nodes and count the others.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from speaker.fabric.membership import Membership
from speaker.fabric.sessions import router_id_of
from speaker.model.fabric import FabricNode
from speaker.model.prefix import Family, family_of

LARGEST_MESH = 100
"""How many Nodes a mesh is for; docs/explanation/choosing-a-fabric.md says why."""

NAMED = 5
"""How many names a sentence holds."""

Rule = Callable[[Membership], Iterator[str]]


def warnings_of(whole: Membership) -> tuple[str, ...]:
    """A sentence for each thing that is wrong with the fabric or would break it soon."""
    return tuple(sentence for rule in _RULES for sentence in rule(whole))


def named(names: Iterable[str]) -> str:
    """Some names, and how many more there are."""
    ordered = sorted(names)
    more = f" and {len(ordered) - NAMED} more" if len(ordered) > NAMED else ""
    return ", ".join(ordered[:NAMED]) + more


def _reflectors_left(whole: Membership) -> Iterator[str]:
    """RFC 4456: without a mesh or a reflector internal peers do not hear of each other."""
    if whole.configuration.node_to_node_mesh_enabled or whole.reflectors or len(whole.speakers) < 2:
        return
    meant = any(node.cluster_id is not None for node in whole.speakers.values())
    if meant or whole.configuration.route_reflector_selector is not None or whole.bindings:
        yield (
            "No reflector is left and the mesh is off: Nodes that do not peer with each other directly"
            " learn nothing of each other"
        )


def _enough_reflectors(whole: Membership) -> Iterator[str]:
    """A client with one reflector is cut off by its failure; external internal peers may reflect too."""
    if whole.configuration.node_to_node_mesh_enabled or not whole.reflectors or len(whole.speakers) < 2:
        return
    if len(whole.reflectors) == 1:
        yield f"There is one reflector alone, {named(whole.reflectors)}: its failure cuts its clients off"
    without: list[str] = []
    with_one: list[str] = []
    for name in whole.speakers:
        if name in whole.reflectors:
            continue
        links = whole.links(name)
        count = sum(each in links for each in whole.reflectors) + len(whole.routers(name))
        if count < 2:
            (with_one if count else without).append(name)
    if without:
        yield f"{named(without)}: no session with any reflector"
    if with_one and len(whole.reflectors) > 1:
        yield f"{named(with_one)}: a session with one reflector only, whose failure cuts them off"


def _marks_and_selector(whole: Membership) -> Iterator[str]:
    """Reflecting needs both, so where one is missing something was forgotten."""
    marked = {name for name, node in whole.speakers.items() if node.cluster_id is not None}
    selector = whole.configuration.route_reflector_selector
    if selector is None:
        if marked:
            yield (
                f"{named(marked)}: marked with a cluster ID, but routeReflectorSelector of the"
                " BGPConfiguration is not set, so that none of them reflects"
            )
        return
    chosen = {name for name, node in whole.speakers.items() if selector.matches(node.labels)}
    if marked - chosen:
        yield f"{named(marked - chosen)}: marked with a cluster ID, but not chosen by routeReflectorSelector"
    if chosen - marked:
        yield f"{named(chosen - marked)}: chosen by routeReflectorSelector, but without a cluster ID"
    if not chosen:
        yield "routeReflectorSelector chooses no Node"


def _empty_sides(whole: Membership) -> Iterator[str]:
    """Labels that have drifted away from the selectors that go by them."""
    for binding in whole.bindings:
        if not binding.near:
            yield f"BGPPeer {binding.terms.name}: node and nodeSelector choose no Node that runs a speaker"
        if not binding.far:
            yield f"BGPPeer {binding.terms.name}: peerSelector chooses no Node that runs a speaker"
    for peer, near in whole.outside:
        if not near:
            yield f"BGPPeer {peer.name}: node and nodeSelector choose no Node that runs a speaker"


def _parts(whole: Membership) -> Iterator[str]:
    """Nodes without any session, and parts of the cluster that no session connects.

    Routers outside count as connected with each other: what is between them is not known here.
    """
    if len(whole.speakers) < 2:
        return
    if not (whole.configuration.node_to_node_mesh_enabled or whole.peers or whole.reflectors):
        return
    parts = _connected(whole)
    alone = [part[0] for part in parts if len(part) == 1]
    if alone:
        yield f"{named(alone)}: in no session at all"
    groups = [part for part in parts if len(part) > 1]
    if len(groups) > 1:
        small = min(groups, key=lambda part: (len(part), part))
        yield (
            f"The fabric is in {len(groups)} parts that no session connects; one of them is {named(small)}"
        )


_OUTSIDE = ""
"""All routers outside the cluster; no Node has this name."""


class _Sets:
    """Names that belong together (union-find)."""

    def __init__(self, names: Iterable[str]) -> None:
        self._above = {name: name for name in names}

    def find(self, name: str) -> str:
        while self._above[name] != name:
            self._above[name] = self._above[self._above[name]]
            name = self._above[name]
        return name

    def join(self, one: str, other: str) -> None:
        self._above[self.find(one)] = self.find(other)


def _connected(whole: Membership) -> list[list[str]]:
    """The speakers by the part that they are in.

    All pairs between two sides need not be walked: one Node of each side stands for its whole side.
    """
    sets = _Sets([*whole.speakers, _OUTSIDE])
    for family in Family:
        able = {
            name
            for name, node in whole.speakers.items()
            if any(family_of(each) is family for each in node.addresses)
        }
        for binding in whole.bindings:
            _join(sets, _in(binding.near, able), _in(binding.far, able))
        groups = [list(whole.speakers)] if whole.configuration.node_to_node_mesh_enabled else _by_as(whole)
        for group in groups:
            members = _in(group, able)
            _join(sets, members, members)
    for _, near in whole.outside:
        for name in near:
            if whole.routers(name):
                sets.join(name, _OUTSIDE)
    parts: dict[str, list[str]] = {}
    for name in whole.speakers:
        parts.setdefault(sets.find(name), []).append(name)
    outside = sets.find(_OUTSIDE)
    if len(parts.get(outside, ())) == 1:
        # One Node with a router is a part of its own, but it is in a session.
        parts[outside].append("routers outside the cluster")
    return list(parts.values())


def _in(names: Iterable[str], able: set[str]) -> list[str]:
    return [name for name in names if name in able]


def _by_as(whole: Membership) -> list[list[str]]:
    """The reflectors that peer among themselves: those of one AS."""
    groups: dict[int, list[str]] = {}
    for name in sorted(whole.reflectors):
        groups.setdefault(whole.as_number(name), []).append(name)
    return list(groups.values())


def _join(sets: _Sets, near: Sequence[str], far: Sequence[str]) -> None:
    if not near or not far:
        return
    for name in near:
        sets.join(name, far[0])
    for name in far:
        sets.join(name, near[0])


def _same_identity(whole: Membership) -> Iterator[str]:
    """RFC 4271 §6.2, RFC 6286 §2.1: two speakers of one AS with one BGP Identifier refuse each other."""
    yield from _shared(whole, "router ID", lambda node: (str(router_id_of(node)),))
    yield from _shared(whole, "address", lambda node: tuple(str(each) for each in node.addresses))


def _shared(whole: Membership, what: str, values: Callable[[FabricNode], tuple[str, ...]]) -> Iterator[str]:
    counts = Counter(value for node in whole.speakers.values() for value in values(node))
    for value in sorted(value for value, count in counts.items() if count > 1)[:NAMED]:
        names = [name for name, node in whole.speakers.items() if value in values(node)]
        yield f"{named(names)}: the same {what}, {value}"


def _addresses(whole: Membership) -> Iterator[str]:
    missing = [name for name, node in whole.speakers.items() if not node.addresses]
    if missing:
        yield f"{named(missing)}: no address that other Nodes reach"


def _as_loops(whole: Membership) -> Iterator[str]:
    """Nodes of one AS that hear of each other over another AS alone refuse what they hear (RFC 4271 §9.1.2).

    Routers may put their own AS number in the place of the Nodes', which is not known here.
    """
    groups: dict[int, list[str]] = {}
    if whole.configuration.node_to_node_mesh_enabled:
        return
    for name in whole.speakers:
        routers = whole.routers(name).values()
        numbers = {terms.local_as_number or whole.as_number(name) for terms in routers}
        loops = all(
            terms.num_allowed_local_as_numbers == 0 and (terms.as_number or 0) not in {0, *numbers}
            for terms in routers
        )
        if routers and loops and len(numbers) == 1 and not whole.links_beside_mesh(name):
            groups.setdefault(numbers.pop(), []).append(name)
    for number, names in sorted(groups.items()):
        if len(names) > 1:
            yield (
                f"{named(names)}: all of AS {number} and with eBGP alone, so that they refuse each other's"
                " routes, unless their routers replace the AS number or numAllowedLocalASNumbers is set"
            )


def _mesh_size(whole: Membership) -> Iterator[str]:
    count = len(whole.speakers)
    if whole.configuration.node_to_node_mesh_enabled and count > LARGEST_MESH:
        yield (
            f"The mesh has {count} Nodes, and {count * (count - 1) // 2} sessions:"
            f" above {LARGEST_MESH} Nodes reflectors or routers serve better"
        )


_RULES: tuple[Rule, ...] = (
    _reflectors_left,
    _enough_reflectors,
    _marks_and_selector,
    _empty_sides,
    _parts,
    _same_identity,
    _addresses,
    _as_loops,
    _mesh_size,
)

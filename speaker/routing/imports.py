"""Which received routes may be used: the import policy, before any comparison (RFC 4271 §9.1.1).

Two questions, asked apart since they change at different times: may this prefix be learned at all
(`ImportPolicy`, from the ranges of the cluster), and may this path of it (`Source`, from its peer).
Knows no next hop and no other path.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv4Network, ip_network

from speaker.model.fabric import BgpFilter
from speaker.model.peer import Peer
from speaker.model.prefix import Address, Prefix
from speaker.model.route import Learned, PathAttributes, PathSegment, Route
from speaker.routing.decision import Rule
from speaker.routing.filters import Passage, import_route
from speaker.routing.guard import RESERVED


class PrefixSet:
    """Prefixes, and what is inside of them: asking costs as much as they have different lengths.

    Args:
        prefixes: of both families.
    """

    def __init__(self, prefixes: Iterable[Prefix]) -> None:
        self._members = frozenset(prefixes)
        # By version and first octet, which settles most questions: what of that octet is inside of them.
        self._by_octet: dict[int, dict[int, _Lengths]] = {4: {}, 6: {}}
        for each in self._members:
            first = int(each.network_address) >> (each.max_prefixlen - each.prefixlen)
            for octet in _first_octets(each):
                lengths = self._by_octet[each.version].setdefault(octet, {})
                lengths.setdefault(each.prefixlen, set()).add(first)

    def __bool__(self) -> bool:
        return bool(self._members)

    def __contains__(self, prefix: Prefix) -> bool:
        """Whether `prefix` is one of them or a part of one."""
        version, first, most = prefix.version, int(prefix.network_address), prefix.max_prefixlen
        return _holds(self.of_octet(version, first >> (most - 8)), first, prefix.prefixlen, most)

    def of_octet(self, version: int, octet: int) -> "_Lengths":
        """What holds prefixes of this first octet: by length, the bits that prefixes of that length have."""
        return self._by_octet[version].get(octet, _NOTHING)

    def __xor__(self, other: "PrefixSet") -> "PrefixSet":
        """What stands in one of the two only."""
        return PrefixSet(self._members ^ other._members)

    def __or__(self, other: "PrefixSet") -> "PrefixSet":
        return PrefixSet(self._members | other._members)


_Lengths = dict[int, set[int]]
_NOTHING: _Lengths = {}


def _holds(lengths: _Lengths, first: int, length: int, most: int) -> bool:
    for each, firsts in lengths.items():  # noqa: SIM110 -- half the time of a generator
        if each <= length and first >> (most - each) in firsts:
            return True
    return False


def _first_octets(prefix: Prefix) -> range:
    first = int(prefix.network_address) >> (prefix.max_prefixlen - 8)
    return range(first, first + (1 << max(8 - prefix.prefixlen, 0)))


_NEVER = PrefixSet(ip_network(text) for text, _ in RESERVED)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportPolicy:
    """What may be learned.

    Attributes:
        ranges: a prefix must lie inside one of these; 0.0.0.0/0 and ::/0 allow everything, the default
            route too.
        own: what this node itself owns (its Pod CIDRs, addresses it publishes for its own Pods): nothing
            inside is ever learned.
        filters: the BGPFilters by name, for import and export.
    """

    ranges: tuple[Prefix, ...] = ()
    own: tuple[Prefix, ...] = ()
    filters: Mapping[str, BgpFilter] = field(default_factory=dict)


class PrefixRules:
    """The part of the policy that looks at the prefix alone.

    Args:
        policy: its ranges and what this node owns.
    """

    def __init__(self, policy: ImportPolicy) -> None:
        self.ranges = PrefixSet(policy.ranges)
        self.own = PrefixSet(policy.own)
        # Of each first octet that was asked for, what of the three sets concerns it: most often one does.
        self._of_octet: dict[int, dict[int, tuple[_Lengths, _Lengths, _Lengths]]] = {4: {}, 6: {}}

    def refuse(self, prefix: Prefix) -> Rule | None:
        """Why `prefix` is never learned here, or None."""
        version, most = (4, 32) if isinstance(prefix, IPv4Network) else (6, 128)
        first, length = int(prefix.network_address), prefix.prefixlen
        octet = first >> (most - 8)
        found = self._of_octet[version].get(octet)
        if found is None:
            sets = (_NEVER, self.own, self.ranges)
            never, own, ranges = (each.of_octet(version, octet) for each in sets)
            found = self._of_octet[version][octet] = (never, own, ranges)
        never, own, ranges = found
        if never and _holds(never, first, length, most):
            return Rule.PREFIX_RESERVED
        if own and _holds(own, first, length, most):
            return Rule.OWN_PREFIX
        return None if _holds(ranges, first, length, most) else Rule.PREFIX_NOT_ALLOWED

    def difference(self, other: "PrefixRules") -> PrefixSet:
        """The prefixes inside of which the two may answer otherwise."""
        return (self.ranges ^ other.ranges) | (self.own ^ other.own)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """All of a peer that its routes are judged and compared by; equal sources judge equally.

    Attributes:
        name: the peer's name.
        address: the peer's address.
        imports: whether its routes are used.
        is_ibgp: whether it is an internal peer.
        client: whether it is our client (RFC 4456).
        local_asn: our AS number on this session.
        allowed_local_asns: how often that may stand in AS_PATH.
        own_router_id: our BGP Identifier.
        cluster_id: our CLUSTER_ID; None when we do not reflect.
        router_id: the peer's BGP Identifier as it was last known.
        filters: the BGPFilters of the peer; None when one of them does not exist.
    """

    name: str
    address: Address
    imports: bool
    is_ibgp: bool
    client: bool
    local_asn: int
    allowed_local_asns: int
    own_router_id: IPv4Address
    cluster_id: IPv4Address | None
    router_id: IPv4Address | None
    filters: tuple[BgpFilter, ...] | None

    def admit(self, route: Route) -> Route | Rule:
        """The route as the import policy leaves it, or why it is not used."""
        return self.pass_on(route, self.accept(route.attributes))

    def accept(self, attributes: PathAttributes) -> PathAttributes | Rule:
        """The half of `admit` that looks at nothing else: equal attributes get the same answer."""
        if not self.imports:
            return Rule.NOT_IMPORTED
        loop = self._loop(attributes.learned)
        if loop is not None:
            return loop
        if self.filters is None:
            return Rule.FILTER_UNKNOWN
        if not self.is_ibgp and attributes.local_preference is not None:
            # RFC 4271 §5.1.5: LOCAL_PREF of an external peer is ignored.
            return replace(attributes, local_preference=None)
        return attributes

    def pass_on(self, route: Route, accepted: PathAttributes | Rule) -> Route | Rule:
        """The other half: the route with the answer that `accept` gave to its attributes."""
        if isinstance(accepted, Rule):
            return accepted
        if accepted is not route.attributes:
            route = route._replace(attributes=accepted)
        if not self.filters:
            return route
        return import_route(self.filters, route, Passage(self.is_ibgp)) or Rule.FILTER_REJECTED

    def _loop(self, learned: Learned | None) -> Rule | None:
        if learned is None:
            return None
        # RFC 4456 §8. The session looks for this as well; here a change of ours takes effect at once.
        if learned.originator_id == self.own_router_id or (
            self.cluster_id is not None and self.cluster_id in learned.cluster_list
        ):
            return Rule.REFLECTION_LOOP
        path = learned.as_path
        return Rule.AS_LOOP if path and self._passed(path) > self.allowed_local_asns else None

    def _passed(self, path: tuple[PathSegment, ...]) -> int:
        return sum(asns.count(self.local_asn) for _, asns in path)


class Admission:
    """`Source.admit` for one route after the other: the routes of an UPDATE share their attributes.

    Remembers no more than the last answer. It is that of the very objects, so nothing has to be compared.
    """

    def __init__(self) -> None:
        self._source: Source | None = None
        self._attributes: PathAttributes | None = None
        self._accepted: PathAttributes | Rule = Rule.NOT_IMPORTED

    def admit(self, source: Source, route: Route) -> Route | Rule:
        """What `source.admit(route)` says."""
        attributes = route.attributes
        if attributes is not self._attributes or source is not self._source:
            self._accepted = source.accept(attributes)
            self._source, self._attributes = source, attributes
        accepted = self._accepted
        return route if accepted is attributes and not source.filters else source.pass_on(route, accepted)


def source_of(peer: Peer, router_id: IPv4Address | None, filters: Mapping[str, BgpFilter]) -> Source:
    """What the routes of a peer are judged by.

    Args:
        peer: its configuration.
        router_id: its BGP Identifier on the present or the last session.
        filters: all BGPFilters.
    """
    return Source(
        name=peer.name,
        address=peer.address,
        imports=peer.imports,
        is_ibgp=peer.is_ibgp,
        client=peer.client,
        local_asn=peer.local_asn,
        allowed_local_asns=peer.allowed_local_asns,
        own_router_id=peer.router_id,
        cluster_id=peer.cluster_id,
        router_id=router_id,
        filters=filters_of(peer, filters),
    )


def filters_of(peer: Peer, filters: Mapping[str, BgpFilter]) -> tuple[BgpFilter, ...] | None:
    """The BGPFilters that the peer names, in order; None when one of them does not exist.

    A policy that is not there accepts nothing (RFC 8212 §2): its name was written for a reason.
    """
    found = tuple(filters[name] for name in peer.filters if name in filters)
    return found if len(found) == len(peer.filters) else None

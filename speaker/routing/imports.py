"""Which received routes may be used: the import policy, before any comparison (RFC 4271 §9.1.1).

Two questions, asked apart since they change at different times: may this prefix be learned at all
(`ImportPolicy`, from the ranges of the cluster), and may this path of it (`Source`, from its peer).
Knows no next hop and no other path.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, ip_network

from speaker.model.fabric import BgpFilter
from speaker.model.peer import Peer
from speaker.model.prefix import Address, Prefix
from speaker.model.route import PathSegment, Route
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
        found: dict[tuple[int, int], set[int]] = {}
        for each in self._members:
            first = int(each.network_address) >> (each.max_prefixlen - each.prefixlen)
            found.setdefault((each.version, each.prefixlen), set()).add(first)
        self._by_length: dict[int, tuple[tuple[int, set[int]], ...]] = {
            version: tuple((length, found[of, length]) for of, length in sorted(found) if of == version)
            for version in (4, 6)
        }
        # The first octets inside of them, which settles most questions.
        self._octets = {
            version: frozenset(
                octet for each in self._members if each.version == version for octet in _first_octets(each)
            )
            for version in (4, 6)
        }

    def __bool__(self) -> bool:
        return bool(self._members)

    def __contains__(self, prefix: Prefix) -> bool:
        """Whether `prefix` is one of them or a part of one."""
        return self.holds(prefix.version, int(prefix.network_address), prefix.prefixlen)

    def holds(self, version: int, first: int, length: int) -> bool:
        """The same of a prefix in numbers: its first address and its length."""
        most = 32 if version == 4 else 128
        if first >> (most - 8) in self._octets[version]:
            for each, firsts in self._by_length[version]:
                if each <= length and first >> (most - each) in firsts:
                    return True
        return False

    def __xor__(self, other: "PrefixSet") -> "PrefixSet":
        """What stands in one of the two only."""
        return PrefixSet(self._members ^ other._members)

    def __or__(self, other: "PrefixSet") -> "PrefixSet":
        return PrefixSet(self._members | other._members)


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

    def refuse(self, prefix: Prefix) -> Rule | None:
        """Why `prefix` is never learned here, or None."""
        numbers = (prefix.version, int(prefix.network_address), prefix.prefixlen)
        if _NEVER.holds(*numbers):
            return Rule.PREFIX_RESERVED
        if self.own.holds(*numbers):
            return Rule.OWN_PREFIX
        return None if self.ranges.holds(*numbers) else Rule.PREFIX_NOT_ALLOWED

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
        if not self.imports:
            return Rule.NOT_IMPORTED
        if not self.is_ibgp and route.attributes.local_preference is not None:
            # RFC 4271 §5.1.5: LOCAL_PREF of an external peer is ignored.
            route = replace(route, attributes=replace(route.attributes, local_preference=None))
        loop = self._loop(route)
        if loop is not None:
            return loop
        if not self.filters:
            return Rule.FILTER_UNKNOWN if self.filters is None else route
        return import_route(self.filters, route, Passage(self.is_ibgp)) or Rule.FILTER_REJECTED

    def _loop(self, route: Route) -> Rule | None:
        learned = route.attributes.learned
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

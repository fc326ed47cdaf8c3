"""BGPFilters applied to a route, and the communities that prefixes of ours carry.

A filter's first rule that matches decides; where none does, the next filter has the word, and in the end
the route is accepted. What any filter rejects is rejected. Pure: filters and a route in, a route out.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TypeVar

from speaker.model.fabric import (
    BgpFilter,
    FilterAction,
    FilterOperations,
    FilterRule,
    MatchOperator,
    PeerType,
    PrefixAdvertisement,
)
from speaker.model.prefix import Family, Prefix, family_of
from speaker.model.route import LargeCommunity, Learned, PathAttributes, PathSegment, Route, SegmentType

_C = TypeVar("_C", int, LargeCommunity)

SEGMENT_MOST = 255
"""How many AS numbers one segment holds (RFC 4271 §4.3)."""


@dataclass(frozen=True, slots=True)
class Passage:
    """What of a route's way the rules read.

    Attributes:
        is_ibgp: whether the peer that the route comes from or goes to is an internal one.
        learned: whether the route was learned from a peer; False for our own.
    """

    is_ibgp: bool
    learned: bool = True


@dataclass(frozen=True, slots=True)
class Passed:
    """What the filters make of a route.

    Attributes:
        route: as it goes on; None when it was rejected.
        permitted: whether a rule with `source: RemotePeers` accepted it, which lets what was learned from
            one peer go to another.
    """

    route: Route | None
    permitted: bool = False


def import_route(filters: Iterable[BgpFilter], route: Route, passage: Passage) -> Route | None:
    """A received route as the import rules leave it; None when they reject it."""
    version = family_of(route.prefix)
    rules = (each.import_v4 if version is Family.IPV4 else each.import_v6 for each in filters)
    return _pass(rules, route, passage, may_prepend=False).route


def export_route(filters: Iterable[BgpFilter], route: Route, passage: Passage) -> Passed:
    """A route as the export rules leave it."""
    version = family_of(route.prefix)
    rules = (each.export_v4 if version is Family.IPV4 else each.export_v6 for each in filters)
    return _pass(rules, route, passage, may_prepend=not passage.is_ibgp)


def permits_transit(filters: Iterable[BgpFilter]) -> bool:
    """Whether any export rule lets learned routes go on."""
    return any(
        rule.remote_peers and rule.action is FilterAction.ACCEPT
        for each in filters
        for rule in (*each.export_v4, *each.export_v6)
    )


def with_advertisements(route: Route, advertisements: Iterable[PrefixAdvertisement]) -> Route:
    """A route of ours with the communities of every `prefixAdvertisements` entry that it is inside of."""
    attributes = route.attributes
    for each in advertisements:
        if is_inside(route.prefix, each.cidr):
            attributes = _with_communities(attributes, each.attributes)
    return route if attributes is route.attributes else route._replace(attributes=attributes)


def is_inside(prefix: Prefix, cidr: Prefix) -> bool:
    """Whether `prefix` is `cidr` or a part of it; False across families."""
    if prefix.version != cidr.version or prefix.prefixlen < cidr.prefixlen:
        return False
    shift = cidr.max_prefixlen - cidr.prefixlen
    return int(prefix.network_address) >> shift == int(cidr.network_address) >> shift


def _pass(
    filters: Iterable[tuple[FilterRule, ...]], route: Route, passage: Passage, *, may_prepend: bool
) -> Passed:
    permitted = False
    for rules in filters:
        rule = next((each for each in rules if _matches(each, route, passage)), None)
        if rule is None:
            continue
        if rule.action is FilterAction.REJECT:
            return Passed(None)
        permitted = permitted or rule.remote_peers
        route = _changed(route, rule.operations, may_prepend=may_prepend)
    return Passed(route, permitted)


def _matches(rule: FilterRule, route: Route, passage: Passage) -> bool:
    if rule.remote_peers and not passage.learned:
        return False
    if rule.peer_type is not None and (rule.peer_type is PeerType.IBGP) != passage.is_ibgp:
        return False
    if not _matches_prefix(rule, route.prefix):
        return False
    attributes = route.attributes
    if rule.communities and not set(rule.communities) <= set(attributes.communities):
        return False
    if rule.large_communities and not set(rule.large_communities) <= set(attributes.large_communities):
        return False
    wanted = rule.as_path_prefix
    return not wanted or _first_asns(attributes.learned, len(wanted)) == wanted


def _matches_prefix(rule: FilterRule, prefix: Prefix) -> bool:
    """`prefixLength` belongs to what In and NotIn look for; with the others it is a condition of its own."""
    shortest = 0 if rule.prefix_length_min is None else rule.prefix_length_min
    longest = prefix.max_prefixlen if rule.prefix_length_max is None else rule.prefix_length_max
    fits = shortest <= prefix.prefixlen <= longest
    if rule.cidr is None:
        return fits
    match rule.match_operator:
        case MatchOperator.IN:
            return fits and is_inside(prefix, rule.cidr)
        case MatchOperator.NOT_IN:
            return not (fits and is_inside(prefix, rule.cidr))
        case MatchOperator.EQUAL:
            return fits and prefix == rule.cidr
        case MatchOperator.NOT_EQUAL:
            return fits and prefix != rule.cidr


def _first_asns(learned: Learned | None, number: int) -> tuple[int, ...]:
    """The AS numbers that AS_PATH begins with, up to the first set."""
    found: list[int] = []
    for kind, asns in learned.as_path if learned is not None else ():
        if kind is not SegmentType.AS_SEQUENCE or len(found) >= number:
            break
        found += asns
    return tuple(found[:number])


def _changed(route: Route, operations: FilterOperations, *, may_prepend: bool) -> Route:
    if operations == _NO_OPERATIONS:
        return route
    attributes = _operated(route.attributes, operations, may_prepend)
    return Route(route.prefix, route.next_hop, attributes, route.path_id)


# The prefixes of an UPDATE have the same attributes and go on sharing them, in memory too.
@lru_cache(maxsize=1024)
def _operated(before: PathAttributes, operations: FilterOperations, may_prepend: bool) -> PathAttributes:  # noqa: FBT001
    after = _with_communities(
        before,
        PathAttributes(
            communities=operations.add_communities, large_communities=operations.add_large_communities
        ),
    )
    if operations.set_local_preference is not None:
        after = replace(after, local_preference=operations.set_local_preference)
    if operations.set_med is not None:
        # Toward another AS a MED goes only if it is not the one that was received (RFC 4271 §5.1.4).
        ours = None if after.learned is None else replace(after.learned, med=None)
        after = replace(after, med=operations.set_med, learned=ours)
    if operations.prepend_as_path and may_prepend:
        learned = after.learned or Learned()
        path = _prepended(learned.as_path, operations.prepend_as_path)
        after = replace(after, learned=replace(learned, as_path=path))
    return after


_NO_OPERATIONS = FilterOperations()


def _prepended(path: tuple[PathSegment, ...], asns: tuple[int, ...]) -> tuple[PathSegment, ...]:
    """The path with AS numbers before it, in a segment of their own where the first has no room."""
    if path and path[0].kind is SegmentType.AS_SEQUENCE and len(path[0].asns) + len(asns) <= SEGMENT_MOST:
        return (PathSegment(SegmentType.AS_SEQUENCE, asns + path[0].asns), *path[1:])
    return (PathSegment(SegmentType.AS_SEQUENCE, asns), *path)


def _with_communities(attributes: PathAttributes, added: PathAttributes) -> PathAttributes:
    return replace(
        attributes,
        communities=_union(attributes.communities, added.communities),
        large_communities=_union(attributes.large_communities, added.large_communities),
        extended_communities=_union(attributes.extended_communities, added.extended_communities),
    )


def _union(one: tuple[_C, ...], other: tuple[_C, ...]) -> tuple[_C, ...]:
    return one if not other else tuple(sorted(set(one).union(other)))

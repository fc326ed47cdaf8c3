"""Which of several paths to one prefix is used (RFC 4271 §9.1.2, RFC 4456 §9).

Compares what is eligible; knows no policy, no peer's configuration and no table. The order is total and
does not depend on the order of arrival. To take away a path that was not the best leaves the best as it
is, with one exception that lies in MULTI_EXIT_DISC itself: it is compared only between paths of one
neighbouring AS, so to take away the path that beat its neighbours there lets one of them in again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address

from speaker.model.fib import Resolution
from speaker.model.prefix import Address
from speaker.model.route import Learned, PathAttributes, PathSegment, Route, SegmentType

LLGR_STALE = 0xFFFF0006
"""The well-known community of a path that is kept for long (RFC 9494 §3.2)."""

GRACEFUL_SHUTDOWN = 0xFFFF0000
"""The well-known community of a path that is about to go (RFC 8326 §3.1)."""

DEFAULT_LOCAL_PREFERENCE = 100
MULTIPATH_MOST = 64
"""How many next hops one prefix has at most."""


class Rule(StrEnum):
    """What decided about a path; the sentences for people are in `RULE_SENTENCES`."""

    BEST = "Best"
    MULTIPATH = "Multipath"
    NOT_IMPORTED = "NotImported"
    PREFIX_RESERVED = "PrefixReserved"
    OWN_PREFIX = "OwnPrefix"
    PREFIX_NOT_ALLOWED = "PrefixNotAllowed"
    AS_LOOP = "AsLoop"
    REFLECTION_LOOP = "ReflectionLoop"
    FILTER_UNKNOWN = "FilterUnknown"
    FILTER_REJECTED = "FilterRejected"
    OWN_NEXT_HOP = "OwnNextHop"
    NEXT_HOP_UNREACHABLE = "NextHopUnreachable"
    LONG_LIVED_STALE = "LongLivedStale"
    LOCAL_PREFERENCE = "LocalPreference"
    AS_PATH_LENGTH = "AsPathLength"
    ORIGIN = "Origin"
    MULTI_EXIT_DISC = "MultiExitDisc"
    EXTERNAL = "External"
    INTERIOR_COST = "InteriorCost"
    CLUSTER_LIST_LENGTH = "ClusterListLength"
    ROUTER_ID = "RouterId"
    PEER_ADDRESS = "PeerAddress"
    PATH_ID = "PathId"
    SAME_NEXT_HOP = "SameNextHop"
    MULTIPATH_LIMIT = "MultipathLimit"


RULE_SENTENCES: dict[Rule, str] = {
    Rule.BEST: "it is the best path",
    Rule.MULTIPATH: "it is as good as the best path and used beside it",
    Rule.NOT_IMPORTED: "routes of this peer are not used",
    Rule.PREFIX_RESERVED: "the prefix is never learned (loopback, link-local, multicast, ...)",
    Rule.OWN_PREFIX: "the prefix is inside what this node itself owns",
    Rule.PREFIX_NOT_ALLOWED: "the prefix is neither inside a Pod range of the cluster nor allowed by name",
    Rule.AS_LOOP: "our own AS number stands in its AS_PATH too often",
    Rule.REFLECTION_LOOP: "it comes from this node or has passed it as a route reflector",
    Rule.FILTER_UNKNOWN: "the peer names a BGPFilter that does not exist",
    Rule.FILTER_REJECTED: "an import rule of a BGPFilter rejects it",
    Rule.OWN_NEXT_HOP: "its next hop is this node itself",
    Rule.NEXT_HOP_UNREACHABLE: "its next hop is not reachable by the routes of the kernel",
    Rule.LONG_LIVED_STALE: "its peer has been gone for long, and another path is alive",
    Rule.LOCAL_PREFERENCE: "another path has a higher LOCAL_PREF",
    Rule.AS_PATH_LENGTH: "another path has a shorter AS_PATH",
    Rule.ORIGIN: "another path has a lower ORIGIN",
    Rule.MULTI_EXIT_DISC: "another path from the same AS has a lower MULTI_EXIT_DISC",
    Rule.EXTERNAL: "another path was learned from an external peer",
    Rule.INTERIOR_COST: "the next hop of another path is nearer",
    Rule.CLUSTER_LIST_LENGTH: "another path with this next hop has passed fewer route reflectors",
    Rule.ROUTER_ID: "another path with this next hop comes from a lower router ID",
    Rule.PEER_ADDRESS: "another path with this next hop comes from a lower address",
    Rule.PATH_ID: "another path with this next hop has a lower Path Identifier",
    Rule.SAME_NEXT_HOP: "another path with this next hop is used already",
    Rule.MULTIPATH_LIMIT: f"{MULTIPATH_MOST} next hops are used already",
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """One path to a prefix, and what decided about it.

    Attributes:
        peer: who advertises it.
        route: as it was received, changed by the import filters if it is eligible.
        rule: BEST or MULTIPATH, else what decided against it.
    """

    peer: str
    route: Route
    rule: Rule

    @property
    def is_chosen(self) -> bool:
        """Whether packets go this way."""
        return self.rule in _CHOSEN


_CHOSEN = frozenset({Rule.BEST, Rule.MULTIPATH})


@dataclass(frozen=True, slots=True, eq=False)
class Contender:
    """An eligible path with all that it is compared by.

    Attributes:
        route: after the import policy.
        is_ibgp: whether it was learned from an internal peer.
        router_id: the BGP Identifier of the peer.
        peer: the peer's name, so that even two peers with one address have an order.
        address: the peer's address.
        distance: the interior cost of the next hop (`distance`).
    """

    route: Route
    is_ibgp: bool
    router_id: IPv4Address | None
    peer: str
    address: Address
    distance: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """The outcome for one prefix.

    Attributes:
        order: indexes of the contenders, the best first.
        rules: what decided about each, in that order.
        next_hops: where packets go: one for a single path, several with ECMP; in an order of their own, so
            that two paths that change places change nothing.
    """

    order: tuple[int, ...]
    rules: tuple[Rule, ...]
    next_hops: tuple[Address, ...]


def distance(resolution: Resolution) -> int:
    """The interior cost of a next hop: on the link, through a router, or by a default route only."""
    if resolution.on_link:
        return 0
    return 2 if resolution.by_default else 1


def decide(contenders: Sequence[Contender]) -> Decision:
    """Orders the contenders and chooses the best, with those that are as good as it."""
    heads = [_head(each) for each in contenders]
    groups = [(head, _neighbour(each.route)) for head, each in zip(heads, contenders, strict=True)]
    meds = [each.route.attributes.med or 0 for each in contenders]
    least: dict[tuple[_Head, int], int] = {}
    for group, med in zip(groups, meds, strict=True):
        least[group] = min(med, least.get(group, med))
    keys = [
        (*head, med > least[group], each.is_ibgp, each.distance, *_tail(each))
        for head, group, med, each in zip(heads, groups, meds, contenders, strict=True)
    ]
    order = tuple(sorted(range(len(keys)), key=keys.__getitem__))
    return _chosen(order, [keys[index] for index in order], contenders)


_Head = tuple[bool, int, int, int]
_Key = tuple[object, ...]

_COMPARED = (
    Rule.LONG_LIVED_STALE,
    Rule.LOCAL_PREFERENCE,
    Rule.AS_PATH_LENGTH,
    Rule.ORIGIN,
    Rule.MULTI_EXIT_DISC,
    Rule.EXTERNAL,
    Rule.INTERIOR_COST,
)
"""What must be equal for two paths to be used together; the rest only gives them an order."""

_ORDERED = (Rule.CLUSTER_LIST_LENGTH, Rule.ROUTER_ID, Rule.PEER_ADDRESS, Rule.PATH_ID)


def _chosen(order: tuple[int, ...], keys: list[_Key], contenders: Sequence[Contender]) -> Decision:
    best = keys[0]
    used: dict[Address, _Key] = {}
    rules: list[Rule] = []
    for index, key in zip(order, keys, strict=True):
        lost = _first_difference(best, key)
        if lost is not None:
            rules.append(lost)
            continue
        next_hop = contenders[index].route.next_hop
        if next_hop in used:
            rules.append(_order_rule(used[next_hop], key))
        elif len(used) == MULTIPATH_MOST:
            rules.append(Rule.MULTIPATH_LIMIT)
        else:
            rules.append(Rule.MULTIPATH if used else Rule.BEST)
            used[next_hop] = key
    return Decision(order, tuple(rules), tuple(sorted(used, key=_address_rank)))


def _address_rank(address: Address) -> tuple[int, int]:
    return (address.version, int(address))


def _first_difference(best: _Key, key: _Key) -> Rule | None:
    return next((rule for rule, one, other in zip(_COMPARED, best, key, strict=False) if one != other), None)


def _order_rule(used: _Key, key: _Key) -> Rule:
    tails = zip(_ORDERED, used[len(_COMPARED) :], key[len(_COMPARED) :], strict=True)
    return next((rule for rule, one, other in tails if one != other), Rule.SAME_NEXT_HOP)


def _head(contender: Contender) -> _Head:
    attributes = contender.route.attributes
    learned = attributes.learned
    path, origin = ((), 0) if learned is None else (learned.as_path, int(learned.origin))
    stale = LLGR_STALE in attributes.communities
    return (stale, -effective_preference(attributes), as_path_length(path), origin)


def effective_preference(attributes: PathAttributes) -> int:
    """LOCAL_PREF as it is compared: what is about to go has the lowest (RFC 8326 §4.1)."""
    if GRACEFUL_SHUTDOWN in attributes.communities:
        return 0
    preference = attributes.local_preference
    return DEFAULT_LOCAL_PREFERENCE if preference is None else preference


def as_path_length(path: tuple[PathSegment, ...]) -> int:
    """How many ASes a path has: a set counts one (RFC 4271 §9.1.2.2), confederations none (RFC 5065 §5.3)."""
    return sum(1 if kind is SegmentType.AS_SET else len(asns) for kind, asns in path if kind in _COUNTED)


_COUNTED = frozenset({SegmentType.AS_SET, SegmentType.AS_SEQUENCE})


def _neighbour(route: Route) -> int:
    """The AS that the path came from (RFC 4271 §9.1.2.2 c); 0 for our own, or where a set hides it."""
    learned = route.attributes.learned
    path = () if learned is None else learned.as_path
    kind, asns = next((each for each in path if each.kind in _COUNTED), _NO_SEGMENT)
    return asns[0] if kind is SegmentType.AS_SEQUENCE and asns else 0


_NO_SEGMENT = PathSegment(SegmentType.AS_SET, ())
_NO_ROUTER_ID = 1 << 32
_NOTHING = Learned()


def _tail(contender: Contender) -> _Key:
    learned = contender.route.attributes.learned or _NOTHING
    # RFC 4456 §9: the length of CLUSTER_LIST, and ORIGINATOR_ID in place of the router ID.
    identifier = learned.originator_id or contender.router_id
    return (
        len(learned.cluster_list),
        _NO_ROUTER_ID if identifier is None else int(identifier),
        (contender.address.version, int(contender.address), contender.peer),
        contender.route.path_id,
    )

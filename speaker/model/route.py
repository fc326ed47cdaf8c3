"""Routes as one peer should hear them, and the Adj-RIB-Out that holds them (RFC 4271 §3.2)."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Address
from typing import NamedTuple

from speaker.model.prefix import Address, Prefix

LargeCommunity = tuple[int, int, int]


class Origin(IntEnum):
    """ORIGIN (RFC 4271 §5.1.1)."""

    IGP = 0
    EGP = 1
    INCOMPLETE = 2


class SegmentType(IntEnum):
    """The kinds of path segment (RFC 4271 §4.3, RFC 5065 §3)."""

    AS_SET = 1
    AS_SEQUENCE = 2
    AS_CONFED_SEQUENCE = 3
    AS_CONFED_SET = 4


class PathSegment(NamedTuple):
    """One segment of AS_PATH: AS numbers of four octets (RFC 6793)."""

    kind: SegmentType
    asns: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What a route carries that another speaker sent; our own routes have none of it.

    Attributes:
        as_path: AS_PATH as it was received (RFC 4271 §5.1.2).
        origin: ORIGIN as it was received.
        originator_id: ORIGINATOR_ID (RFC 4456 §8); None when no reflector has set it.
        cluster_list: CLUSTER_LIST (RFC 4456 §8), the nearest reflector first.
        unrecognized: optional transitive attributes that are passed along unread, each whole as it is
            to be sent: with the Partial bit set (RFC 4271 §5); ascending by type. ATOMIC_AGGREGATE and
            AGGREGATOR, with an AS number of four octets, are here too.
        med: MULTI_EXIT_DISC as it was received: it goes to no other AS (RFC 4271 §5.1.4), so toward an
            external peer the same value in `PathAttributes.med` is left out and another one is ours.
    """

    as_path: tuple[PathSegment, ...] = ()
    origin: Origin = Origin.IGP
    originator_id: IPv4Address | None = None
    cluster_list: tuple[IPv4Address, ...] = ()
    unrecognized: tuple[bytes, ...] = ()
    med: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PathAttributes:
    """What a publication asks to travel with its prefixes.

    Attributes:
        communities: RFC 1997 communities as 32-bit integers, ascending, without repetition.
        large_communities: RFC 8092 communities, ascending, without repetition.
        med: MULTI_EXIT_DISC (RFC 4271 §5.1.4), 0 to 4294967295; None sends none.
        local_preference: LOCAL_PREF (RFC 4271 §5.1.5), iBGP only; None sends the default of 100.
        as_path_prepend: how many times more the local AS stands in AS_PATH, 0 to 10; eBGP only.
        extended_communities: RFC 4360 communities as 64-bit integers, ascending, without repetition.
        only_to_customer: the AS number in OTC (RFC 9234 §5); None leaves it to the session's role.
        learned: what else a route of another speaker carries; None for our own. Sent as it stands toward
            an internal peer; toward an external one our AS number is prepended to its AS_PATH and
            ORIGINATOR_ID and CLUSTER_LIST are left out.
    """

    communities: tuple[int, ...] = ()
    large_communities: tuple[LargeCommunity, ...] = ()
    med: int | None = None
    local_preference: int | None = None
    as_path_prepend: int = 0
    extended_communities: tuple[int, ...] = ()
    only_to_customer: int | None = None
    learned: Learned | None = None


NO_ATTRIBUTES = PathAttributes()


class Route(NamedTuple):
    """One path to one prefix, complete as it is to be sent to one peer.

    A tuple, since full tables have one for each path: it is made and compared in half the time.

    Attributes:
        prefix: the destination (NLRI).
        next_hop: NEXT_HOP, or the MP_REACH_NLRI next hop (RFC 4760 §3); of the other family only
            for IPv4 over IPv6 (RFC 8950).
        attributes: the optional attributes; ORIGIN and AS_PATH follow from the session.
        path_id: the Path Identifier (RFC 7911 §3), which tells several paths to one prefix apart; 0 for a
            path that stands alone.
    """

    prefix: Prefix
    next_hop: Address
    attributes: PathAttributes = NO_ATTRIBUTES
    path_id: int = 0


Paths = Route | tuple[Route, ...]
"""One route, or several paths to one prefix: the preferred first, each with a `path_id` of its own."""


def each_path(paths: Paths | None) -> tuple[Route, ...]:
    """The paths one by one."""
    if paths is None:
        return ()
    return (paths,) if isinstance(paths, Route) else paths


class PrefixPath(NamedTuple):
    """What a peer's route is known by: its prefix and its Path Identifier, 0 without ADD-PATH."""

    prefix: Prefix
    path_id: int = 0


AdjRibOut = Mapping[Prefix, Route]
"""What one peer should hear. `None` in its place means unknown, an empty mapping means nothing."""

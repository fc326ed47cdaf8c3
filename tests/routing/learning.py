"""Learned routes in few words: peers, what they advertise, and the Loc-RIB that hears it."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

from speaker.model.fib import Hop, Resolution
from speaker.model.peer import SessionFacts
from speaker.model.policy import PeerView
from speaker.model.prefix import Family
from speaker.model.route import (
    Learned,
    Origin,
    PathAttributes,
    Paths,
    PathSegment,
    PrefixPath,
    Route,
    SegmentType,
)
from speaker.routing.decision import Rule
from speaker.routing.imports import ImportPolicy
from speaker.routing.loc_rib import LocRib
from tests.builders import BOTH, address, host, peer, peer_view, prefix

OWN_ASN = 65000
CLUSTER_ID = IPv4Address("10.99.99.99")
ON_LINK = Resolution(hops=(Hop(1),), on_link=True)
VIA_ROUTER = Resolution(hops=(Hop(1),))
BY_DEFAULT = Resolution(hops=(Hop(1),), by_default=True)
RANGES = ("10.0.0.0/8", "fd00::/8")


def sequence(*asns: int) -> tuple[PathSegment, ...]:
    """An AS_PATH of one AS_SEQUENCE."""
    return (PathSegment(SegmentType.AS_SEQUENCE, asns),) if asns else ()


def learned(
    destination: str = "10.1.0.0/24",
    next_hop: str = "192.0.2.11",
    *,
    path_id: int = 0,
    path: tuple[int, ...] = (),
    origin: Origin = Origin.IGP,
    originator: str | None = None,
    clusters: Iterable[str] = (),
    **attributes: Any,
) -> Route:
    """A route as a peer advertises it."""
    more = Learned(
        as_path=sequence(*path),
        origin=origin,
        originator_id=None if originator is None else IPv4Address(originator),
        cluster_list=tuple(IPv4Address(each) for each in clusters),
    )
    return Route(prefix(destination), address(next_hop), PathAttributes(learned=more, **attributes), path_id)


def session(router_id: str, *, add_path: bool = False, **fields: Any) -> SessionFacts:
    """What an established session with a peer of that BGP Identifier negotiated."""
    return SessionFacts(
        local_address=address("192.0.2.1"),
        families=BOTH,
        peer_router_id=IPv4Address(router_id),
        add_path_send=frozenset(Family) if add_path else frozenset(),
        **fields,
    )


def view(number: int, *, add_path: bool = False, facts: bool = True, **fields: Any) -> PeerView:
    """The peer `n<number>` at 192.0.2.<10 + number>, which is its router ID as well; iBGP unless told."""
    at = f"192.0.2.{10 + number}"
    known: dict[str, Any] = {"asn": OWN_ASN, "local_asn": OWN_ASN, "imports": True}
    return peer_view(
        peer(f"n{number}", at, **known | fields), session=session(at, add_path=add_path) if facts else None
    )


def client(number: int, **fields: Any) -> PeerView:
    """A client of ours."""
    return view(number, client=True, cluster_id=CLUSTER_ID, **fields)


def non_client(number: int, **fields: Any) -> PeerView:
    """An internal peer of a reflector that is no client."""
    return view(number, cluster_id=CLUSTER_ID, **fields)


def external(number: int, **fields: Any) -> PeerView:
    """A peer of another AS."""
    return view(number, **{"asn": 64999} | fields)


def without_session(of: PeerView) -> PeerView:
    """The same peer while its session is down."""
    return replace(of, facts=None)


def rib(*views: PeerView, own: Iterable[str] = (), filters: Mapping[str, Any] | None = None) -> LocRib:
    """A Loc-RIB with these peers, every next hop of theirs on the link."""
    found = LocRib()
    found.set_host(host(*views))
    found.set_import(
        ImportPolicy(
            ranges=tuple(prefix(text) for text in RANGES),
            own=tuple(prefix(text) for text in own),
            filters=filters or {},
        )
    )
    found.set_resolutions({address(f"192.0.2.{10 + number}"): ON_LINK for number in range(10)})
    return found


def hear(loc_rib: LocRib, number: int, *routes: Route) -> None:
    """The peer advertises routes, and all is decided."""
    loc_rib.received(f"n{number}", routes, ())
    loc_rib.recompute()


def lose(loc_rib: LocRib, number: int, *destinations: str) -> None:
    """The peer withdraws prefixes, and all is decided."""
    loc_rib.received(f"n{number}", (), [PrefixPath(prefix(text)) for text in destinations])
    loc_rib.recompute()


def rules(loc_rib: LocRib, destination: str = "10.1.0.0/24") -> dict[str, Rule]:
    """What decided about the path of each peer."""
    return {each.peer: each.rule for each in loc_rib.paths(prefix(destination))}


def forwarding(loc_rib: LocRib) -> dict[str, tuple[str, ...] | None]:
    """What changed in where packets go."""
    return {
        str(each): None if hops is None else tuple(str(hop) for hop in hops)
        for each, hops in loc_rib.take_fib().items()
    }


def told(loc_rib: LocRib) -> dict[str, dict[str, Paths | None]]:
    """What changed in what peers hear of learned routes."""
    return {
        name: {str(each): paths for each, paths in changes.items()}
        for name, changes in loc_rib.take_advertised().items()
    }

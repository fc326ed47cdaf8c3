"""What is wrong between the fields of a peer, and between peers, of a file of peers.

Knows how options depend on each other. Every check tells a problem at its spot.
"""

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network

from speaker.model.prefix import Address, Prefix
from speaker.settings import peer_options as options
from speaker.settings.peer_fields import Spot
from speaker.settings.peer_options import Options


def check_peer(given: Options, end: Address | Prefix | None, *, is_ibgp: bool) -> None:
    """Find what is wrong between the options of one peer.

    Args:
        given: its options.
        end: its address, or the prefix of its range; None when that is wrong itself.
        is_ibgp: whether it is in our AS.
    """
    hold_time, keepalive = given[options.HOLD_TIME], given[options.KEEPALIVE_TIME]
    if keepalive is not None and hold_time and keepalive >= hold_time:
        given.wrong(
            options.KEEPALIVE_TIME, f"must be less than holdTime ({hold_time}s), at best a third of it"
        )
    if given[options.TTL_SECURITY] is not None and given[options.EBGP_MULTIHOP] != 1:
        given.wrong(options.TTL_SECURITY, "excludes ebgpMultihop: it counts the hops by itself")
    if given[options.ROLE] is not None and is_ibgp:
        given.wrong(options.ROLE, "is for eBGP only (RFC 9234), and this peer is in our own AS")
    if given[options.ROLE_STRICT] and given[options.ROLE] is None:
        given.wrong(options.ROLE_STRICT, "needs role")
    if end is not None:
        _check_addresses(given, end)


def _check_addresses(given: Options, end: Address | Prefix) -> None:
    source, interface = given[options.SOURCE_ADDRESS], given[options.INTERFACE]
    if source is not None and given.is_own(options.SOURCE_ADDRESS) and source.version != end.version:
        given.wrong(options.SOURCE_ADDRESS, f"must be of the family of the peer ({end})")
    if given.is_own(options.EXTENDED_NEXT_HOP) and given[options.EXTENDED_NEXT_HOP] and end.version == 4:
        given.wrong(options.EXTENDED_NEXT_HOP, f"is for IPv6 sessions (RFC 8950), and {end} is IPv4")
    scope = end.scope_id if isinstance(end, IPv6Address) else None
    if scope and interface and scope != interface:
        given.wrong(options.INTERFACE, f"must be {scope}, the interface in the peer's address, or absent")


def check_together(spot: Spot, named: Sequence[tuple[int, str, Address | Prefix]]) -> None:
    """Find peers that are there twice.

    Args:
        spot: of the list of peers.
        named: number in the list, name, address or range of each.
    """
    ends: dict[Address | Prefix, int] = {}
    names: dict[str, int] = {}
    for number, name, end in named:
        what = "peerRange" if isinstance(end, IPv4Network | IPv6Network) else "peerIP"
        if end in ends:
            spot.item(number).field(what).wrong(str(end), f"is that of peers[{ends[end]}] already")
        elif name in names:
            spot.item(number).field("name").wrong(name, f"is that of peers[{names[name]}] already")
        ends.setdefault(end, number)
        names.setdefault(name, number)

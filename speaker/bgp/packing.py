"""UPDATE messages packed by hand: prefixes with equal attributes share messages.

Knows the layout of UPDATE (RFC 4271 §4.3), of MP_REACH_NLRI and MP_UNREACH_NLRI (RFC 4760 §3, §4) with their
link-local next hops (RFC 2545 §3), and of Path Identifiers (RFC 7911 §3); takes the other path attributes
from the codec. Packing prefixes with `struct` is ten times faster than
one codec object for each, and a test proves that the codec reads the same routes back.
"""

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from operator import attrgetter
from typing import NamedTuple

from speaker.bgp.codec_update import AttributeContext, pack_attributes
from speaker.bgp.messages import AFI_SAFI, HEADER, MAX_MESSAGE, MessageType, pack_message
from speaker.bgp.passing_on import packed_length
from speaker.model.prefix import Address, Family, Prefix, family_of
from speaker.model.route import PathAttributes, Route

# What an UPDATE has beside withdrawn routes, attributes and NLRI: the header and two lengths.
_FRAME = HEADER.size + 4
# So many words of communities leave room for all else, whatever it is.
_SURELY_FIT = 900
# The Path Identifier of a route that stands alone: some routers read 0 as none.
_ONLY_PATH = 1
# Optional, non-transitive, two octets of length (RFC 4271 §4.3).
_FLAGS = 0x90
_MP_REACH_NLRI = 14
_MP_UNREACH_NLRI = 15
_PATH_ID = struct.Struct("!L")
_HOST_SIZE = 5
_NUMBER = attrgetter("network_address._ip")
_MP_HEADER = struct.Struct("!BBHHB")  # flags, type, length, AFI, SAFI


@dataclass(frozen=True, slots=True, kw_only=True)
class PackingContext:
    """What UPDATEs of a session look like.

    Attributes:
        attributes: what the path attributes depend on.
        max_message: the longest message that the peer takes, in octets (RFC 8654).
        add_path: the families whose NLRI carry Path Identifiers (RFC 7911).
        link_local: our own link-local address, when the session is over one: it follows the IPv6 next hop
            (RFC 2545 §3: "if and only if the BGP speaker shares a common subnet").
    """

    attributes: AttributeContext
    max_message: int = MAX_MESSAGE
    add_path: frozenset[Family] = frozenset()
    link_local: IPv6Address | None = None

    @property
    def room(self) -> int:
        """How many octets of withdrawn routes, attributes and NLRI fit into an UPDATE."""
        return self.max_message - _FRAME


class Withdrawal(NamedTuple):
    """A path to take back; `multiprotocol` when it was sent in MP_REACH_NLRI."""

    prefix: Prefix
    multiprotocol: bool
    path_id: int = 0


def is_multiprotocol(route: Route) -> bool:
    """Whether the route travels in MP_REACH_NLRI: all of IPv6, and IPv4 with an IPv6 next hop."""
    return not (route.prefix.version == 4 and isinstance(route.next_hop, IPv4Address))


def wire_path_id(path: Route | Withdrawal) -> int:
    """The Path Identifier as it stands in NLRI (RFC 7911 §3)."""
    return path.path_id or _ONLY_PATH


def pack_withdrawals(context: PackingContext, withdrawals: Iterable[Withdrawal]) -> Iterator[bytes]:
    """The UPDATEs that withdraw, as few as fit."""
    groups: dict[tuple[int, bool], list[Withdrawal]] = {}
    for withdrawal in withdrawals:
        key = (id(withdrawal.prefix.netmask), withdrawal.multiprotocol)
        groups.setdefault(key, []).append(withdrawal)
    kinds: dict[tuple[Family, bool], list[_Block]] = {}
    for group in groups.values():
        family = family_of(group[0].prefix)
        block = _block(group, with_paths=family in context.add_path)
        kinds.setdefault((family, group[0].multiprotocol), []).append(block)
    for (family, multiprotocol), blocks in kinds.items():
        if multiprotocol:
            for chunk in _chunks(blocks, context.room - _MP_HEADER.size):
                yield _update(b"", _mp_unreach(family, chunk), b"")
        else:
            for chunk in _chunks(blocks, context.room):
                yield _update(chunk, b"", b"")


def alike(routes: Iterable[Route]) -> list[list[Route]]:
    """The routes that are known to differ in address and Path Identifier alone, in groups.

    By identity of attributes, next hop and netmask, since routes by the thousand share the very objects and
    comparing them is most of the work: routes of two groups may be alike too.
    """
    groups: dict[tuple[int, int, int], list[Route]] = {}
    attributes = next_hop = netmask = None
    for route in routes:
        # Most routes are of the same group as the one before.
        if (
            route.attributes is not attributes
            or route.next_hop is not next_hop
            or route.prefix.netmask is not netmask
        ):
            attributes, next_hop, netmask = route.attributes, route.next_hop, route.prefix.netmask
            group = groups.setdefault((id(attributes), id(next_hop), id(netmask)), [])
        group.append(route)
    return list(groups.values())


def pack_routes(context: PackingContext, routes: Iterable[Route]) -> Iterator[bytes]:
    """The UPDATEs that advertise; routes with equal attributes and next hop share them.

    Routes whose attributes leave no room for a prefix are left out: `fits` tells beforehand.
    """
    return pack_groups(context, alike(routes))


def pack_groups(context: PackingContext, groups: Iterable[Sequence[Route]]) -> Iterator[bytes]:
    """The same of routes that are grouped already, as `alike` does."""
    equal: dict[tuple[Family, PathAttributes, Address], list[Sequence[Route]]] = {}
    for group in groups:
        first = group[0]
        key = (family_of(first.prefix), first.attributes, first.next_hop)
        equal.setdefault(key, []).append(group)
    for some in equal.values():
        yield from _pack_equal(context, some)


def fits(context: PackingContext, route: Route) -> bool:
    """Whether one UPDATE can carry the route."""
    if surely_fits(route.attributes):
        return True
    attributes, mp_size = _group_attributes(context, route)
    block = _block([route], with_paths=family_of(route.prefix) in context.add_path)
    return len(attributes) + mp_size + block.size <= context.room


def surely_fits(wanted: PathAttributes) -> bool:
    """Whether the attributes leave room for any prefix."""
    words = len(wanted.communities) + 3 * len(wanted.large_communities) + 2 * len(wanted.extended_communities)
    if wanted.learned is not None:
        words += packed_length(wanted.learned) // 4
    return words < _SURELY_FIT


def _pack_equal(context: PackingContext, groups: Sequence[Sequence[Route]]) -> Iterator[bytes]:
    first = groups[0][0]
    attributes, mp_size = _group_attributes(context, first)
    with_paths = family_of(first.prefix) in context.add_path
    blocks = [_block(group, with_paths=with_paths) for group in groups]
    for chunk in _chunks(blocks, context.room - len(attributes) - mp_size):
        if mp_size:
            # RFC 7606 §5.1: MP_REACH_NLRI "SHALL be encoded as the very first path attribute".
            yield _update(b"", _mp_reach(context, first, chunk) + attributes, b"")
        else:
            yield _update(b"", attributes, chunk)


def _group_attributes(context: PackingContext, route: Route) -> tuple[bytes, int]:
    """The attributes but MP_REACH_NLRI, and the octets that one takes without its prefixes."""
    if not is_multiprotocol(route):
        return pack_attributes(context.attributes, route.attributes, route.next_hop), 0
    size = _MP_HEADER.size + 1 + len(_mp_next_hop(context, route)) + 1
    return pack_attributes(context.attributes, route.attributes, None), size


def _mp_next_hop(context: PackingContext, route: Route) -> bytes:
    link_local = b"" if context.link_local is None else context.link_local.packed
    return route.next_hop.packed + link_local


def _mp_reach(context: PackingContext, route: Route, nlri: bytes) -> bytes:
    afi, safi = AFI_SAFI[family_of(route.prefix)]
    next_hop = _mp_next_hop(context, route)
    length = 3 + 1 + len(next_hop) + 1 + len(nlri)
    head = _MP_HEADER.pack(_FLAGS, _MP_REACH_NLRI, length, afi, safi)
    return b"".join((head, bytes((len(next_hop),)), next_hop, b"\0", nlri))


def _mp_unreach(family: Family, nlri: bytes) -> bytes:
    afi, safi = AFI_SAFI[family]
    return _MP_HEADER.pack(_FLAGS, _MP_UNREACH_NLRI, 3 + len(nlri), afi, safi) + nlri


@dataclass(frozen=True, slots=True)
class _Block:
    """NLRI of equal length, one after the other: `size` octets each."""

    octets: bytes
    size: int


def _chunks(blocks: Iterable[_Block], room: int) -> Iterator[bytes]:
    """The NLRI in `blocks`, joined to pieces of at most `room` octets; what fits into none is left out."""
    chunk: list[bytes] = []
    left = room
    for block in blocks:
        position = 0
        while position < len(block.octets) and block.size <= room:
            part = block.octets[position : position + left // block.size * block.size]
            if part:
                chunk.append(part)
                position += len(part)
                left -= len(part)
            else:
                yield b"".join(chunk)
                chunk, left = [], room
    if chunk:
        yield b"".join(chunk)


def _block(paths: Sequence[Route | Withdrawal], *, with_paths: bool) -> _Block:
    """The NLRI of prefixes of one length, with Path Identifiers where the session has them (RFC 7911 §3)."""
    first = paths[0].prefix
    size = _nlri_size(first)
    if with_paths:
        parts = (_PATH_ID.pack(wire_path_id(path)) + _nlri(path.prefix) for path in paths)
        return _Block(b"".join(parts), _PATH_ID.size + size)
    if first.prefixlen == 32 and first.version == 4:
        # Most of all prefixes.
        return _Block(_hosts(paths), size)
    return _Block(b"".join(_nlri(path.prefix) for path in paths), size)


def _hosts(paths: Sequence[Route | Withdrawal]) -> bytes:
    """The NLRI of /32s, written column by column: four times as fast as one by one.

    For the same reason the addresses are read without `int`, which calls Python for each.
    """
    number = len(paths)
    addresses = struct.pack(f"!{number}L", *[_NUMBER(path.prefix) for path in paths])
    nlri = bytearray(_HOST_SIZE * number)
    nlri[::_HOST_SIZE] = bytes((32,)) * number
    for column in range(4):
        nlri[column + 1 :: _HOST_SIZE] = addresses[column::4]
    return bytes(nlri)


def _nlri_size(prefix: Prefix) -> int:
    return 1 + ((prefix.prefixlen + 7) >> 3)


def _nlri(prefix: Prefix) -> bytes:
    """Length in bits, then as many octets as hold them (RFC 4271 §4.3)."""
    return bytes((prefix.prefixlen,)) + prefix.network_address.packed[: _nlri_size(prefix) - 1]


def _update(withdrawn: bytes, attributes: bytes, nlri: bytes) -> bytes:
    lengths = struct.pack("!H", len(withdrawn)), struct.pack("!H", len(attributes))
    return pack_message(MessageType.UPDATE, b"".join((lengths[0], withdrawn, lengths[1], attributes, nlri)))


def pack_end_of_rib(family: Family) -> bytes:
    """End-of-RIB: an empty UPDATE for IPv4, an empty MP_UNREACH_NLRI otherwise (RFC 4724 §2)."""
    if family is Family.IPV4:
        return _update(b"", b"", b"")
    afi, safi = AFI_SAFI[family]
    return _update(b"", struct.pack("!BBBHB", 0x80, _MP_UNREACH_NLRI, 3, afi, safi), b"")

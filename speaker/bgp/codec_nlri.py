"""Prefixes as UPDATEs hold them, read by hand: one codec object for each costs more than all the rest.

Knows NLRI (RFC 4271 §4.3, RFC 4760 §5) with Path Identifiers (RFC 7911 §3), and where they stand in
MP_REACH_NLRI and MP_UNREACH_NLRI (RFC 4760 §3, §4). All else about those two is left to the codec, which gets
them with their first prefix alone.
"""

import struct
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address

from speaker.bgp.messages import FAMILY_OF_AFI_SAFI, ErrorCode, Notification, ProtocolError
from speaker.bgp.screening import Attribute, split
from speaker.model.prefix import Family, Prefix, ipv4_prefix, ipv6_prefix

MP_REACH_NLRI, MP_UNREACH_NLRI = 14, 15

Named = tuple[Prefix, int]
"""A prefix and its Path Identifier as they are read; a plain tuple costs a tenth of a named one."""

_PATH_ID = struct.Struct("!L")
_EXTENDED = 0x10


def read_nlri(data: bytes, family: Family, *, with_paths: bool) -> list[Named]:
    """The prefixes of a field of them; bits past a prefix's length are "irrelevant" (RFC 4271 §4.3).

    The loop has everything in it: it is passed for every prefix of a full table.

    Raises:
        ProtocolError: it cannot be parsed, which resets the session (RFC 7606 §5.3).
    """
    named: list[Named] = []
    position, end, path_id = 0, len(data), 0
    is_ipv4 = family is Family.IPV4
    most = 32 if is_ipv4 else 128
    while position < end:
        if with_paths:
            if position + 4 >= end:
                raise _malformed()
            (path_id,) = _PATH_ID.unpack_from(data, position)
            position += 4
        length = data[position]
        start, position = position + 1, position + 1 + ((length + 7) >> 3)
        if length > most or position > end:
            raise _malformed()
        number = int.from_bytes(data[start:position])
        if length < most:
            # Octets that are left out as well.
            number = number >> (-length & 7) << (most - length)
        if is_ipv4:
            named.append((ipv4_prefix(IPv4Address(number), length), path_id))
        else:
            named.append((ipv6_prefix(IPv6Address(number), length), path_id))
    return named


def _malformed() -> ProtocolError:
    return ProtocolError(Notification(ErrorCode.UPDATE_MESSAGE, 10), "peer sent a malformed prefix")


def place_of_nlri(attribute: Attribute) -> tuple[Family, int] | None:
    """The family of MP_REACH_NLRI or MP_UNREACH_NLRI, and where in its value the prefixes begin.

    Returns:
        None where they cannot be found, or are of another family.
    """
    value = attribute.value
    if len(value) < 3:
        return None
    afi, safi, next_hop_octets = struct.unpack_from("!HBB", value + b"\0")
    family = FAMILY_OF_AFI_SAFI.get((afi, safi))
    # In MP_REACH_NLRI the next hop, with its length, and an octet that is reserved stand in between.
    start = 3 if attribute.kind == MP_UNREACH_NLRI else 5 + next_hop_octets
    return None if family is None or start > len(value) else (family, start)


def read_multiprotocol(packed: bytes, paths: frozenset[Family]) -> tuple[bytes, Mapping[int, list[Named]]]:
    """The prefixes of MP_REACH_NLRI and MP_UNREACH_NLRI, and these two with their first prefix alone.

    Args:
        packed: the two attributes, or one of them.
        paths: the families whose prefixes come with a Path Identifier.

    Returns:
        The attributes for the codec, and all prefixes by type code. What cannot be read here stays as it is,
        and is not in the second: the codec knows what is wrong with it.
    """
    found: dict[int, list[Named]] = {}
    parts = []
    position = 0
    for attribute in split(packed):
        position += len(attribute.whole)
        place = place_of_nlri(attribute)
        whole = attribute.whole
        if place is not None:
            family, start = place
            whole = _with_first_alone(attribute, family, start, paths, found)
        parts.append(whole)
    return b"".join(parts) + packed[position:], found


def _with_first_alone(
    attribute: Attribute, family: Family, start: int, paths: frozenset[Family], found: dict[int, list[Named]]
) -> bytes:
    try:
        named = read_nlri(attribute.value[start:], family, with_paths=family in paths)
    except ProtocolError:
        return attribute.whole
    if not named:
        return attribute.whole
    # A path that stands there twice is one.
    found[attribute.kind] = list(dict.fromkeys(named))
    size = 1 + ((named[0][0].prefixlen + 7) >> 3) + (4 if family in paths else 0)
    value = attribute.value[: start + size]
    return struct.pack("!BBH", attribute.flags | _EXTENDED, attribute.kind, len(value)) + value

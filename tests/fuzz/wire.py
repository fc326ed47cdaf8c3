"""BGP messages as a stranger would make them: every field as it is told, right or wrong.

Knows the layouts of RFC 4271 §4 and RFC 5492. Must not know the engine: what judges the engine is not
made with its own hands.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network

MARKER = b"\xff" * 16
HEADER = struct.Struct("!16sHB")

OPEN, UPDATE, NOTIFICATION, KEEPALIVE, ROUTE_REFRESH = range(1, 6)

ORIGIN, AS_PATH, NEXT_HOP, MED, LOCAL_PREF, ATOMIC_AGGREGATE, AGGREGATOR, COMMUNITIES = range(1, 9)
ORIGINATOR_ID, CLUSTER_LIST, MP_REACH_NLRI, MP_UNREACH_NLRI, EXTENDED_COMMUNITIES = 9, 10, 14, 15, 16
AS4_PATH, AS4_AGGREGATOR, LARGE_COMMUNITY, OTC = 17, 18, 32, 35

OPTIONAL, TRANSITIVE, PARTIAL, EXTENDED = 0x80, 0x40, 0x20, 0x10
WELL_KNOWN = TRANSITIVE
# What each attribute's flags must be (RFC 4271 §5, and the RFC of each).
FLAGS = {
    ORIGIN: WELL_KNOWN,
    AS_PATH: WELL_KNOWN,
    NEXT_HOP: WELL_KNOWN,
    MED: OPTIONAL,
    LOCAL_PREF: WELL_KNOWN,
    ATOMIC_AGGREGATE: WELL_KNOWN,
    AGGREGATOR: OPTIONAL | TRANSITIVE,
    COMMUNITIES: OPTIONAL | TRANSITIVE,
    ORIGINATOR_ID: OPTIONAL,
    CLUSTER_LIST: OPTIONAL,
    MP_REACH_NLRI: OPTIONAL,
    MP_UNREACH_NLRI: OPTIONAL,
    EXTENDED_COMMUNITIES: OPTIONAL | TRANSITIVE,
    AS4_PATH: OPTIONAL | TRANSITIVE,
    AS4_AGGREGATOR: OPTIONAL | TRANSITIVE,
    LARGE_COMMUNITY: OPTIONAL | TRANSITIVE,
    OTC: OPTIONAL | TRANSITIVE,
}


def frame(kind: int, body: bytes = b"", *, length: int | None = None, marker: bytes = MARKER) -> bytes:
    """A message; `length` is what its header says, whatever the body has."""
    told = HEADER.size + len(body) if length is None else length
    return HEADER.pack(marker, told & 0xFFFF, kind & 0xFF) + body


KEEPALIVE_MESSAGE = frame(KEEPALIVE)


@dataclass(frozen=True, slots=True)
class Frame:
    """One message as it stood on the wire."""

    kind: int
    body: bytes
    proper: bool


def frames(stream: bytes, longest: int = 65535) -> Iterator[Frame]:
    """The messages of a stream, up to the first with an improper header; a fragment at the end is left."""
    start = 0
    while len(stream) - start >= HEADER.size:
        marker, length, kind = HEADER.unpack_from(stream, start)
        proper = marker == MARKER and HEADER.size <= length <= longest
        if not proper:
            yield Frame(kind, stream[start:], proper=False)
            return
        if len(stream) - start < length:
            return
        yield Frame(kind, stream[start + HEADER.size : start + length], proper=True)
        start += length


# -- OPEN ------------------------------------------------------------------------------------------


def capability(code: int, value: bytes = b"", *, length: int | None = None) -> bytes:
    """A capability (RFC 5492 §4)."""
    return bytes((code, len(value) if length is None else length)) + value


def parameter(kind: int, value: bytes, *, length: int | None = None) -> bytes:
    """An optional parameter of an OPEN (RFC 4271 §4.2)."""
    return bytes((kind, len(value) if length is None else length)) + value


def multiprotocol(afi: int, safi: int = 1) -> bytes:
    """The capability of RFC 4760 §8."""
    return capability(1, struct.pack("!HBB", afi, 0, safi))


def four_octet_as(asn: int) -> bytes:
    """The capability of RFC 6793 §3."""
    return capability(65, struct.pack("!L", asn))


def open_message(
    asn: int,
    *,
    router_id: bytes = b"\x0a\x00\x00\x02",
    hold_time: int = 90,
    version: int = 4,
    capabilities: bytes | None = None,
    parameters: bytes | None = None,
    parameters_length: int | None = None,
) -> bytes:
    """An OPEN; without `capabilities` with both families, four-octet AS numbers and route refresh."""
    if capabilities is None:
        capabilities = multiprotocol(1) + multiprotocol(2) + four_octet_as(asn) + capability(2)
    if parameters is None:
        parameters = parameter(2, capabilities) if capabilities else b""
    length = len(parameters) if parameters_length is None else parameters_length
    field = asn if asn < 1 << 16 else 23456
    body = struct.pack("!BHH4sB", version, field, hold_time, router_id, length) + parameters
    return frame(OPEN, body)


# -- UPDATE ----------------------------------------------------------------------------------------


def attribute(kind: int, value: bytes, *, flags: int | None = None, length: int | None = None) -> bytes:
    """A path attribute (RFC 4271 §4.3); with two octets of length where its flags or its size ask it."""
    told = len(value) if length is None else length
    bits = FLAGS.get(kind, OPTIONAL | TRANSITIVE) if flags is None else flags
    if told > 255:
        bits |= EXTENDED
    head = struct.pack("!BBH", bits, kind, told) if bits & EXTENDED else bytes((bits, kind, told))
    return head + value


def nlri(*prefixes: str, path_id: int | None = None) -> bytes:
    """Prefixes as they stand in an UPDATE, each with a path identifier (RFC 7911 §3) where one is given."""
    return b"".join(_one(ip_network(prefix), path_id) for prefix in prefixes)


def _one(prefix: IPv4Network | IPv6Network, path_id: int | None) -> bytes:
    head = b"" if path_id is None else struct.pack("!L", path_id)
    octets = prefix.network_address.packed[: (prefix.prefixlen + 7) >> 3]
    return head + bytes((prefix.prefixlen,)) + octets


def as_path(*asns: int, kind: int = 2) -> bytes:
    """AS_PATH of one segment of four-octet AS numbers; none at all is the empty path."""
    value = bytes((kind, len(asns))) + struct.pack(f"!{len(asns)}L", *asns) if asns else b""
    return attribute(AS_PATH, value)


def mp_reach(afi: int, next_hop: bytes, prefixes: bytes, safi: int = 1) -> bytes:
    """MP_REACH_NLRI (RFC 4760 §3)."""
    return attribute(
        MP_REACH_NLRI, struct.pack("!HBB", afi, safi, len(next_hop)) + next_hop + b"\0" + prefixes
    )


def mp_unreach(afi: int, prefixes: bytes, safi: int = 1) -> bytes:
    """MP_UNREACH_NLRI (RFC 4760 §4)."""
    return attribute(MP_UNREACH_NLRI, struct.pack("!HB", afi, safi) + prefixes)


def update_message(
    attributes: bytes = b"",
    prefixes: bytes = b"",
    withdrawn: bytes = b"",
    *,
    attributes_length: int | None = None,
    withdrawn_length: int | None = None,
) -> bytes:
    """An UPDATE; the lengths are what its fields say."""
    withdrawn_size = len(withdrawn) if withdrawn_length is None else withdrawn_length
    attributes_size = len(attributes) if attributes_length is None else attributes_length
    return frame(
        UPDATE,
        struct.pack("!H", withdrawn_size & 0xFFFF)
        + withdrawn
        + struct.pack("!H", attributes_size & 0xFFFF)
        + attributes
        + prefixes,
    )


def notification(code: int, subcode: int = 0, data: bytes = b"") -> bytes:
    """A NOTIFICATION (RFC 4271 §4.5)."""
    return frame(NOTIFICATION, bytes((code, subcode)) + data)


def route_refresh(afi: int = 1, safi: int = 1, subtype: int = 0) -> bytes:
    """A ROUTE-REFRESH (RFC 2918 §3, RFC 7313 §3.2)."""
    return frame(ROUTE_REFRESH, struct.pack("!HBB", afi, subtype, safi))

"""The few BGP messages that both ends of a measurement need, made and read with the least work.

Independent of the speaker's own codec, so that what is measured is not measured with itself. Knows IPv4
unicast alone (RFC 4271 §4.2, §4.3) and four-octet AS numbers (RFC 6793).
"""

import struct
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address

MARKER = b"\xff" * 16
_HEADER = struct.Struct("!16sHB")
_OPEN, _UPDATE, _KEEPALIVE = 1, 2, 4
OPEN, UPDATE, NOTIFICATION, KEEPALIVE_TYPE = _OPEN, _UPDATE, 3, _KEEPALIVE
_AS_TRANS = 23456

_MOST_PREFIXES = 800
"""Of 5 octets each, with the attributes inside 4,096 octets."""


def message(kind: int, body: bytes = b"") -> bytes:
    """A message with its header."""
    return _HEADER.pack(MARKER, _HEADER.size + len(body), kind) + body


KEEPALIVE = message(_KEEPALIVE)


def open_message(asn: int, router_id: IPv4Address, hold_seconds: int) -> bytes:
    """An OPEN that offers IPv4 unicast, four-octet AS numbers and route refresh."""
    capabilities = (
        struct.pack("!BBHBB", 1, 4, 1, 0, 1) + struct.pack("!BBL", 65, 4, asn) + struct.pack("!BB", 2, 0)
    )
    parameter = struct.pack("!BB", 2, len(capabilities)) + capabilities
    short = asn if asn < 65536 else _AS_TRANS
    body = struct.pack("!BHH4sB", 4, short, hold_seconds, router_id.packed, len(parameter))
    return message(_OPEN, body + parameter)


def updates(
    prefixes: Sequence[tuple[int, int]], next_hop: IPv4Address, as_path: Sequence[int]
) -> list[bytes]:
    """UPDATEs that advertise, as full as they may be.

    Args:
        prefixes: address as a number, and length.
        next_hop: of all of them.
        as_path: one AS_SEQUENCE.
    """
    segment = struct.pack("!BB", 2, len(as_path)) + b"".join(struct.pack("!L", asn) for asn in as_path)
    attributes = (
        b"\x40\x01\x01\x00"
        + struct.pack("!BBB", 0x40, 2, len(segment))
        + segment
        + b"\x40\x03\x04"
        + next_hop.packed
    )
    head = struct.pack("!HH", 0, len(attributes)) + attributes
    packed = [_nlri(address, length) for address, length in prefixes]
    starts = range(0, len(packed), _MOST_PREFIXES)
    return [message(_UPDATE, head + b"".join(packed[start : start + _MOST_PREFIXES])) for start in starts]


def _nlri(address: int, length: int) -> bytes:
    return bytes([length]) + address.to_bytes(4)[: (length + 7) // 8]


class Reader:
    """Cuts a stream of octets into messages."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """The whole messages so far: type and body."""
        data = self._rest + data
        position = 0
        while len(data) - position >= _HEADER.size:
            _, length, kind = _HEADER.unpack_from(data, position)
            if len(data) - position < length:
                break
            yield kind, data[position + _HEADER.size : position + length]
            position += length
        self._rest = data[position:]


def read_update(body: bytes) -> tuple[list[bytes], list[bytes]]:
    """What an UPDATE withdraws and advertises: each prefix as it stands in it, length first."""
    (withdrawn,) = struct.unpack_from("!H", body)
    (attributes,) = struct.unpack_from("!H", body, 2 + withdrawn)
    return list(_prefixes(body, 2, 2 + withdrawn)), list(
        _prefixes(body, 4 + withdrawn + attributes, len(body))
    )


def _prefixes(body: bytes, position: int, end: int) -> Iterator[bytes]:
    while position < end:
        after = position + 1 + ((body[position] + 7) >> 3)
        yield body[position:after]
        position = after

"""What a peer offers in its OPEN, in words for people: the capabilities, each as a short text.

Knows how capabilities are laid out, also those that the speaker itself does not use. Must not judge them:
`codec_open` and `negotiation` do. Whatever the bytes are, there is an answer.

Supported standards: RFC 4271 §4.2, RFC 5492 (capabilities), RFC 9072 (long OPEN); the values of RFC 4760,
RFC 8950, RFC 9234, RFC 4724, RFC 8538, RFC 6793, RFC 7911, RFC 9494 and two drafts (host name, software
version).
"""

import struct
from collections.abc import Callable, Iterator, Mapping

from speaker.bgp.reasons import clean

MOST = 64
"""How many texts there are at most: an OPEN has room for thousands of capabilities."""

_FIXED_LENGTH = 10
_CAPABILITIES = 2
_EXTENDED = 255
_LONGEST_NAME = 80
_UNREADABLE = "the rest cannot be read"

_AFIS = {1: "ipv4", 2: "ipv6", 25: "l2vpn"}
_SAFIS = {1: "unicast", 2: "multicast", 4: "labeled-unicast", 70: "evpn", 128: "vpn", 133: "flowspec"}
_ROLES = {0: "provider", 1: "route-server", 2: "route-server-client", 3: "customer", 4: "peer"}
_DIRECTIONS = {0: "neither way", 1: "receive", 2: "send", 3: "send and receive"}


class _MalformedError(ValueError):
    """The bytes are not laid out as they should be."""


def describe(body: bytes) -> tuple[str, ...]:
    """The capabilities in the body of an OPEN message, in the order of their codes, each text once.

    Never raises: what cannot be read is said to be so, and what is not known goes by its number.
    """
    found: list[tuple[int, str]] = []
    broken = False
    try:
        for code, value in _capabilities(body):
            found += [(code, text) for text in _texts(code, value)]
    except _MalformedError:
        broken = True
    texts = list(dict.fromkeys(text for _, text in sorted(found, key=lambda each: each[0])))
    if len(texts) > MOST:
        texts = [*texts[: MOST - 1], f"and {len(texts) - MOST + 1} more"]
    return (*texts, *([_UNREADABLE] if broken else ()))


def _capabilities(body: bytes) -> Iterator[tuple[int, bytes]]:
    """Each capability's code and value; raises `_MalformedError` where lengths do not fit."""
    for kind, parameter in _parameters(body):
        if kind == _CAPABILITIES:
            yield from _elements(parameter, struct.Struct("!BB"))


def _parameters(body: bytes) -> Iterator[tuple[int, bytes]]:
    """Each optional parameter's type and value."""
    if len(body) < _FIXED_LENGTH:
        raise _MalformedError
    length, rest = body[_FIXED_LENGTH - 1], body[_FIXED_LENGTH:]
    # RFC 9072 §2: the type 255 where the first parameter would stand announces two octets of length, for
    # all parameters together and for each.
    if length == _EXTENDED and rest[:1] == bytes([_EXTENDED]):
        (length,) = _unpacked("!xH", rest[:3])
        rest = rest[3:]
        head = struct.Struct("!BH")
    else:
        head = struct.Struct("!BB")
    if length != len(rest):
        raise _MalformedError
    yield from _elements(rest, head)


def _elements(data: bytes, head: struct.Struct) -> Iterator[tuple[int, bytes]]:
    """Type and value of each element, whose type and length `head` reads."""
    while data:
        kind, length = _unpacked(head.format, data[: head.size])
        end = head.size + length
        if len(data) < end:
            raise _MalformedError
        yield kind, data[head.size : end]
        data = data[end:]


def _unpacked(layout: str, data: bytes) -> tuple[int, ...]:
    try:
        return struct.unpack(layout, data)
    except struct.error:
        raise _MalformedError from None


def _texts(code: int, value: bytes) -> tuple[str, ...]:
    """What one capability says; several texts where it lists several things."""
    if code in _NAMES:
        return (_NAMES[code],)
    if code not in _READERS:
        return (f"capability {code}",)
    name, reader = _READERS[code]
    try:
        return tuple(f"{name} {text}".rstrip() for text in reader(value))
    except _MalformedError:
        return (f"{name} (malformed)",)


def _family(afi: int, safi: int) -> str:
    """`ipv4 unicast`; by number where there is no name."""
    if afi in _AFIS and safi in _SAFIS:
        return f"{_AFIS[afi]} {_SAFIS[safi]}"
    return f"AFI {afi} SAFI {safi}"


def _short_family(afi: int, safi: int) -> str:
    """`ipv4`, since most are unicast."""
    return _family(afi, safi).removesuffix(" unicast")


def _rows(layout: str, value: bytes) -> Iterator[tuple[int, ...]]:
    """`value` as repetitions of one layout."""
    size = struct.calcsize(layout)
    for start in range(0, len(value), size):
        yield _unpacked(layout, value[start : start + size])


def _multiprotocol(value: bytes) -> Iterator[str]:
    yield _family(*_unpacked("!HxB", value))


def _extended_next_hop(value: bytes) -> Iterator[str]:
    for afi, safi, next_hop in _rows("!HHH", value):
        yield f"{_short_family(afi, safi)} over {_AFIS.get(next_hop, f'AFI {next_hop}')}"


def _role(value: bytes) -> Iterator[str]:
    (role,) = _unpacked("!B", value)
    yield _ROLES.get(role, str(role))


def _graceful_restart(value: bytes) -> Iterator[str]:
    (first,) = _unpacked("!H", value[:2])
    rows = list(_rows("!HBB", value[2:]))
    kept = [_short_family(afi, safi) for afi, safi, flags in rows if flags & 0x80]
    # RFC 4724 §3 and RFC 8538 §2.
    remarks = [
        *(["restarting"] if first & 0x8000 else []),
        *(["after notifications too"] if first & 0x4000 else []),
        *([f"forwarding kept for {', '.join(kept)}"] if kept else []),
        # "a sender of this capability [with no families] supports [...] the Receiving Speaker" part only.
        *(["helper only"] if not rows else []),
    ]
    families = ", ".join(_short_family(afi, safi) for afi, safi, _ in rows)
    yield (
        f"{first & 0x0FFF} s"
        + (f" for {families}" if families else "")
        + (f" ({'; '.join(remarks)})" if remarks else "")
    )


def _four_octet_as(value: bytes) -> Iterator[str]:
    yield str(_unpacked("!I", value)[0])


def _add_path(value: bytes) -> Iterator[str]:
    for afi, safi, direction in _rows("!HBB", value):
        yield f"{_DIRECTIONS.get(direction, str(direction))} {_short_family(afi, safi)}"


def _long_lived(value: bytes) -> Iterator[str]:
    for afi, safi, _flags, high, low in _rows("!HBBBH", value):
        yield f"{high << 16 | low} s for {_short_family(afi, safi)}"


def _host_name(value: bytes) -> Iterator[str]:
    names: list[bytes] = []
    while value and len(names) < 2:
        length = value[0]
        if len(value) <= length:
            raise _MalformedError
        names.append(value[1 : 1 + length])
        value = value[1 + length :]
    yield _name(b".".join(filter(None, names)))


def _software_version(value: bytes) -> Iterator[str]:
    # The draft puts a length before the text; some send the text alone.
    yield _name(value[1:] if value and value[0] == len(value) - 1 else value)


def _name(value: bytes) -> str:
    return clean(value.decode(errors="replace"))[:_LONGEST_NAME]


_NAMES: Mapping[int, str] = {
    2: "route refresh",
    6: "extended messages",
    70: "enhanced route refresh",
    128: "route refresh (old)",
}
_READERS: Mapping[int, tuple[str, Callable[[bytes], Iterator[str]]]] = {
    1: ("multiprotocol", _multiprotocol),
    5: ("extended next hop", _extended_next_hop),
    9: ("role", _role),
    64: ("graceful restart", _graceful_restart),
    65: ("4-octet AS", _four_octet_as),
    69: ("add-path", _add_path),
    71: ("long-lived graceful restart", _long_lived),
    73: ("host name", _host_name),
    75: ("software version", _software_version),
}

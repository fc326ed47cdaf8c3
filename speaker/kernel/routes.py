"""Routes of the kernel as values, and the octets of RTM_NEWROUTE and RTM_DELROUTE (rtnetlink(7)).

Written out by hand: pyroute2's codec takes a hundred times as long, and thousands of routes are read and
written while BFD waits. Knows no socket, and not whose a route is.
"""

import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import NamedTuple

from pyroute2.netlink import NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST
from pyroute2.netlink.rtnl import RTM_DELROUTE, RTM_NEWROUTE

from speaker.kernel.netlink import ATTRIBUTE, HEADER, attributes
from speaker.model.fib import Hop
from speaker.model.prefix import Address, Prefix

UNICAST, BLACKHOLE, THROW = 1, 6, 9
"""Types of route (RTN_*) that mean something here; any other one leads nowhere."""
DEAD, ONLINK, LINK_DOWN = 1, 4, 16
"""Flags of a hop (RTNH_F_*)."""

ADD = RTM_NEWROUTE, NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL
"""Refused with EEXIST where anybody's route has the same prefix, table and metric."""
REPLACE = RTM_NEWROUTE, NLM_F_REQUEST | NLM_F_ACK | NLM_F_REPLACE
"""Takes the place of the first route with the same prefix, table and metric, whosesoever it is."""
REMOVE = RTM_DELROUTE, NLM_F_REQUEST | NLM_F_ACK
"""Takes away the route with the same prefix, table, metric and protocol."""

# family, length of destination and source, type of service, table, protocol, scope, type, flags
_RTMSG = struct.Struct("=BBBBBBBBI")
_NEXT_HOP = struct.Struct("=HBBi")  # length, flags, weight less one, interface index
_CLONED = 0x200  # RTM_F_CLONED: a cached exception (path MTU, redirect), no route
_SCOPE_ANY = 255  # RT_SCOPE_NOWHERE, which in a removal means any
_MAX_TABLE_OCTET = 255
_DESTINATION, _OUTPUT, _GATEWAY, _PRIORITY, _SOURCE, _METRICS = 1, 4, 5, 6, 7, 8
_MULTIPATH, _FLOW, _TABLE, _VIA, _ENCAPSULATION, _NEXT_HOP_ID = 9, 11, 15, 18, 22, 30
_NEVER_OURS = frozenset({_SOURCE, _METRICS, _FLOW, _ENCAPSULATION, _NEXT_HOP_ID})
_U32 = struct.Struct("=I")
_U16 = struct.Struct("=H")
_WAYS_KEPT = 4096
_DEFAULT_METRIC_6 = 1024  # IP6_RT_PRIO_USER: what IPv6 makes of 0


class KernelHop(NamedTuple):
    """One way of a route, with what the kernel thinks of it (`DEAD`, `LINK_DOWN`)."""

    hop: Hop
    flags: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """What one of our routes does: forwards over the hops, all with the same weight, or drops (no hops)."""

    hops: frozenset[Hop] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelRoute:
    """One route as the kernel tells it.

    Attributes:
        kind: its type (RTN_*).
        entry: what it does, if it is one that we might have written; None when it has a source, metrics,
            weights, an encapsulation or another type.
    """

    prefix: Prefix
    table: int
    metric: int
    protocol: int
    kind: int = UNICAST
    tos: int = 0
    hops: tuple[KernelHop, ...] = ()
    entry: Entry | None = None


_DROP = Entry()


class _Ways(NamedTuple):
    """The ways of a route, and the entry they make if we might have written it."""

    hops: tuple[KernelHop, ...]
    entry: Entry | None


class Place(NamedTuple):
    """Where our routes are: nobody else's route may be in the same place with the same prefix."""

    table: int
    metric: int
    protocol: int

    def metric_of(self, prefix: Prefix) -> int:
        """The metric as the kernel keeps it."""
        return self.metric or (_DEFAULT_METRIC_6 if prefix.version == 6 else 0)


class Decoder:
    """Makes values of octets, and one value of the same ways of many routes.

    Args:
        tables: the tables whose routes are wanted.
    """

    def __init__(self, tables: frozenset[int]) -> None:
        self._tables = tables
        self._ways: dict[tuple[int, bytes], _Ways] = {}

    def decode(self, payload: bytes) -> KernelRoute | None:
        """The route of an RTM_NEWROUTE or RTM_DELROUTE without its header; None if it is of another table.

        What cannot be understood is none as well.
        """
        try:
            return self._decode(payload)
        except (struct.error, ValueError):
            return None

    def _decode(self, payload: bytes) -> KernelRoute | None:
        family, length, _, tos, table, protocol, _, kind, flags = _RTMSG.unpack_from(payload)
        if flags & _CLONED or family not in (socket.AF_INET, socket.AF_INET6):
            return None
        values = dict(attributes(memoryview(payload)[_RTMSG.size :]))
        if _TABLE in values:
            table = _U32.unpack(values[_TABLE])[0]
        if table not in self._tables:
            return None
        ways = self._multipath(family, values) if _MULTIPATH in values else _single(family, values, flags)
        plain = _NEVER_OURS.isdisjoint(values)
        return KernelRoute(
            prefix=_prefix(family, values.get(_DESTINATION, b""), length),
            table=table,
            metric=_U32.unpack(values[_PRIORITY])[0] if _PRIORITY in values else 0,
            protocol=protocol,
            kind=kind,
            tos=tos,
            hops=ways.hops,
            entry=_DROP if kind == BLACKHOLE and plain else ways.entry if kind == UNICAST and plain else None,
        )

    def _multipath(self, family: int, values: dict[int, memoryview]) -> _Ways:
        key = (family, bytes(values[_MULTIPATH]))
        ways = self._ways.get(key)
        if ways is None:
            if len(self._ways) >= _WAYS_KEPT:
                self._ways.clear()
            ways = self._ways[key] = _rows(family, values[_MULTIPATH])
        return ways


def _prefix(family: int, octets: memoryview | bytes, length: int) -> Prefix:
    network = int.from_bytes(octets, "big")
    return IPv4Network((network, length)) if family == socket.AF_INET else IPv6Network((network, length))


def _single(family: int, values: dict[int, memoryview], flags: int) -> _Ways:
    if _OUTPUT not in values:
        return _Ways((), None)
    way = _hop(family, _U32.unpack(values[_OUTPUT])[0], values, flags & 0xFF)
    return _Ways((way,), Entry(frozenset((way.hop,))))


def _rows(family: int, rows: memoryview) -> _Ways:
    hops: list[KernelHop] = []
    weighted = False
    while len(rows) >= _NEXT_HOP.size:
        length, flags, weight, interface = _NEXT_HOP.unpack_from(rows)
        if length < _NEXT_HOP.size:
            break
        hops.append(_hop(family, interface, dict(attributes(rows[_NEXT_HOP.size : length])), flags))
        weighted = weighted or weight > 0
        rows = rows[(length + 3) & ~3 :]
    different = frozenset(way.hop for way in hops)
    # The same way twice is a weight in other words.
    plain = not weighted and len(different) == len(hops)
    return _Ways(tuple(hops), Entry(different) if plain else None)


def _hop(family: int, interface: int, values: dict[int, memoryview], flags: int) -> KernelHop:
    gateway: Address | None = None
    if _GATEWAY in values:
        gateway = _address(family, values[_GATEWAY])
    elif _VIA in values:
        via = values[_VIA]
        gateway = _address(_U16.unpack_from(via)[0], via[_U16.size :])
    return KernelHop(Hop(interface, gateway, bool(flags & ONLINK)), flags)


def _address(family: int, octets: memoryview) -> Address:
    return IPv4Address(bytes(octets)) if family == socket.AF_INET else IPv6Address(bytes(octets))


def encode(operation: tuple[int, int], prefix: Prefix, place: Place, entry: Entry | None = None) -> bytes:
    """The message that adds, replaces or removes our route to `prefix`; `numbered` completes it.

    Args:
        operation: `ADD`, `REPLACE` or `REMOVE`.
        prefix: the destination.
        place: where our route to it is, and by which protocol number it is ours.
        entry: what it is to do; None for `REMOVE`.
    """
    family = socket.AF_INET if prefix.version == 4 else socket.AF_INET6
    kind = 0 if entry is None else UNICAST if entry.hops else BLACKHOLE
    table = place.table if place.table <= _MAX_TABLE_OCTET else 0
    scope = _SCOPE_ANY if entry is None else 0
    flags, ways = _ways(family, entry.hops) if entry is not None else (0, b"")
    body = b"".join(
        (
            _RTMSG.pack(family, prefix.prefixlen, 0, 0, table, place.protocol, scope, kind, flags),
            _attribute(_DESTINATION, prefix.network_address.packed),
            _attribute(_TABLE, _U32.pack(place.table)),
            _attribute(_PRIORITY, _U32.pack(place.metric_of(prefix))),
            ways,
        )
    )
    message_type, request = operation
    return HEADER.pack(HEADER.size + len(body), message_type, request, 0, 0) + body


def numbered(message: bytes, sequence: int) -> bytes:
    """The message with its sequence number, by which its answer is known."""
    length, message_type, flags, _, port = HEADER.unpack_from(message)
    return HEADER.pack(length, message_type, flags, sequence, port) + message[HEADER.size :]


def _ways(family: int, hops: Iterable[Hop]) -> tuple[int, bytes]:
    """The flags of the route and the attributes that say where it leads."""
    # In a stable order, so that two nodes with the same neighbours write the same.
    ways = sorted(hops, key=lambda hop: (hop.interface, hop.gateway is not None, str(hop.gateway)))
    if not ways:
        return 0, b""
    if len(ways) == 1:
        way = ways[0]
        return _flags(way), _attribute(_OUTPUT, _U32.pack(way.interface)) + _toward(family, way)
    rows = b"".join(_row(family, way) for way in ways)
    return 0, _attribute(_MULTIPATH, rows)


def _row(family: int, hop: Hop) -> bytes:
    toward = _toward(family, hop)
    return _NEXT_HOP.pack(_NEXT_HOP.size + len(toward), _flags(hop), 0, hop.interface) + toward


def _flags(hop: Hop) -> int:
    return ONLINK if hop.onlink else 0


def _toward(family: int, hop: Hop) -> bytes:
    if hop.gateway is None:
        return b""
    of = socket.AF_INET if hop.gateway.version == 4 else socket.AF_INET6
    if of == family:
        return _attribute(_GATEWAY, hop.gateway.packed)
    return _attribute(_VIA, _U16.pack(of) + hop.gateway.packed)


def _attribute(kind: int, value: bytes) -> bytes:
    return ATTRIBUTE.pack(ATTRIBUTE.size + len(value), kind) + value + bytes(-len(value) % 4)

"""The octets of routes: the same as pyroute2's codec makes, and read back as what they were."""

import socket
import struct
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from speaker.kernel.netlink import HEADER
from speaker.kernel.routes import (
    ADD,
    BLACKHOLE,
    ONLINK,
    REMOVE,
    REPLACE,
    Decoder,
    Entry,
    KernelHop,
    Place,
    encode,
    numbered,
)
from speaker.model.fib import Hop

PLACE = Place(254, 1024, 203)
HERE = frozenset({254, 1000})


def entry(*hops: tuple[int, str]) -> Entry:
    return Entry(frozenset(Hop(interface, ip_address(gateway)) for interface, gateway in hops))


def as_pyroute2_reads(message: bytes) -> Any:
    read = rtmsg(message)
    read.decode()
    return read


ENTRIES = [
    pytest.param("10.244.1.0/24", entry((3, "10.0.0.2")), id="v4"),
    pytest.param("10.244.1.0/24", entry((3, "10.0.0.2"), (4, "10.0.1.2")), id="v4-ecmp"),
    pytest.param("10.244.1.0/24", entry((3, "fe80::2")), id="v4-over-v6"),
    pytest.param("10.244.1.0/24", entry((3, "fe80::2"), (4, "10.0.1.2")), id="v4-over-both"),
    pytest.param("fd44:1::/64", entry((3, "fe80::2")), id="v6"),
    pytest.param("fd44:1::/64", entry((3, "fd00::2"), (3, "fd00::3")), id="v6-ecmp"),
    pytest.param("0.0.0.0/0", entry((3, "10.0.0.2")), id="default"),
    pytest.param("10.244.1.0/24", Entry(), id="blackhole"),
    pytest.param("10.244.1.0/24", Entry(frozenset({Hop(3)})), id="on-the-link"),
    pytest.param("fd44:1::/64", Entry(frozenset({Hop(3, ip_address("fd00::2"), onlink=True)})), id="onlink"),
]


@pytest.mark.parametrize(("text", "wanted"), ENTRIES)
@pytest.mark.parametrize("table", [254, 1000])
def test_what_is_written_reads_back(text: str, wanted: Entry, table: int) -> None:
    message = encode(ADD, ip_network(text), PLACE._replace(table=table), wanted)
    route = Decoder(HERE).decode(message[HEADER.size :])
    assert route is not None
    assert (route.prefix, route.table, route.metric, route.protocol) == (ip_network(text), table, 1024, 203)
    assert (route.entry, route.kind == BLACKHOLE) == (wanted, not wanted.hops)


@pytest.mark.parametrize(("text", "wanted"), ENTRIES)
def test_pyroute2_reads_the_same(text: str, wanted: Entry) -> None:
    prefix = ip_network(text)
    read = as_pyroute2_reads(encode(REPLACE, prefix, PLACE, wanted))
    assert (read["dst_len"], read["proto"], read["table"]) == (prefix.prefixlen, 203, 254)
    assert read.get_attr("RTA_PRIORITY") == 1024
    assert ip_address(read.get_attr("RTA_DST")) == prefix.network_address
    rows = read.get_attr("RTA_MULTIPATH") or ([read] if wanted.hops else [])
    found = set()
    for row in rows:
        via = row.get_attr("RTA_VIA")
        gateway = row.get_attr("RTA_GATEWAY") if via is None else via["addr"]
        interface = row["oif"] if len(rows) > 1 else row.get_attr("RTA_OIF")
        onlink = bool(row["flags"] & ONLINK)
        found.add(Hop(interface, gateway and ip_address(gateway), onlink))
    assert found == wanted.hops


def test_a_removal_names_the_protocol_and_any_scope() -> None:
    """Without the protocol number it might be another program's route that goes."""
    read = as_pyroute2_reads(encode(REMOVE, ip_network("10.244.1.0/24"), PLACE))
    assert (read["proto"], read["scope"], read["type"]) == (203, 255, 0)


def test_the_order_of_hops_does_not_matter() -> None:
    one = encode(ADD, ip_network("10.0.0.0/8"), PLACE, entry((3, "10.0.0.2"), (3, "10.0.0.3")))
    assert one == encode(ADD, ip_network("10.0.0.0/8"), PLACE, entry((3, "10.0.0.3"), (3, "10.0.0.2")))


def test_a_message_is_numbered_in_its_header_alone() -> None:
    message = encode(ADD, ip_network("10.0.0.0/8"), PLACE, Entry())
    changed = numbered(message, 77)
    assert HEADER.unpack_from(changed)[3] == 77
    assert (changed[:8], changed[12:]) == (message[:8], message[12:])


def made(family: int = socket.AF_INET, flags: int = 0, **attributes: Any) -> bytes:
    """A route as another program's codec writes it, without header."""
    request = rtmsg()
    request["family"], request["table"], request["type"], request["flags"] = family, 254, 1, flags
    request["dst_len"] = 24
    request["attrs"] = [(f"RTA_{name.upper()}", value) for name, value in attributes.items()]
    request.encode()
    return bytes(request.data)[HEADER.size :]


def test_routes_of_other_tables_are_passed_over() -> None:
    assert Decoder(HERE).decode(made(dst="10.0.0.0", table=77)) is None


def test_cached_exceptions_are_no_routes() -> None:
    assert Decoder(HERE).decode(made(dst="10.0.0.0", flags=0x200)) is None


def test_other_families_are_passed_over() -> None:
    assert Decoder(HERE).decode(bytes((socket.AF_APPLETALK, *bytes(11)))) is None


@pytest.mark.parametrize(
    "attributes",
    [
        pytest.param({"prefsrc": "10.0.0.1"}, id="source"),
        pytest.param({"metrics": {"attrs": [("RTAX_MTU", 1300)]}}, id="mtu"),
    ],
)
def test_what_we_never_write_is_no_entry(attributes: dict[str, Any]) -> None:
    route = Decoder(HERE).decode(made(dst="10.0.0.0", oif=3, gateway="10.0.0.2", **attributes))
    assert route is not None
    assert route.entry is None
    assert route.hops == (KernelHop(Hop(3, ip_address("10.0.0.2"))),)


def test_weights_are_no_entry() -> None:
    def row(interface: int, weight: int) -> bytes:
        gateway = struct.pack("=HH4s", 8, 5, ip_address(f"10.0.{interface}.2").packed)
        return struct.pack("=HBBi", 16, 0, weight, interface) + gateway

    head = struct.pack("=BBBBBBBBI", socket.AF_INET, 0, 0, 0, 254, 203, 0, 1, 0)
    plain, weighted = (head + struct.pack("=HH", 36, 9) + row(3, 0) + row(4, weight) for weight in (0, 5))
    decoder = Decoder(HERE)
    assert [route and route.entry for route in map(decoder.decode, (plain, weighted))] == [
        entry((3, "10.0.3.2"), (4, "10.0.4.2")),
        None,
    ]


ATTRIBUTES = st.lists(
    st.tuples(st.sampled_from([1, 4, 5, 6, 7, 8, 9, 15, 18, 30]), st.binary(max_size=40)), max_size=6
)


@given(st.sampled_from([socket.AF_INET, socket.AF_INET6]), st.integers(0, 255), ATTRIBUTES)
def test_octets_that_make_no_sense_are_no_error(
    family: int, length: int, attributes: list[tuple[int, bytes]]
) -> None:
    """A kernel to come may send what we have not seen; a decoder that raises would end the speaker."""
    payload = struct.pack("=BBBBBBBBI", family, length, 0, 0, 254, 203, 0, 1, 0)
    for kind, value in attributes:
        payload += struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)
    for end in range(len(payload), 0, -5):
        Decoder(HERE).decode(payload[:end])

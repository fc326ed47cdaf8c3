"""Long UPDATEs in pieces (RFC 8654): they say what the whole says, and each is short."""

import struct
from collections.abc import Sequence
from functools import partial
from ipaddress import IPv4Network, IPv6Address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speaker.bgp.long_updates import PREFIXES_EACH, pieces
from speaker.bgp.messages import UpdateMessage
from speaker.model.prefix import Prefix
from speaker.model.route import PrefixPath, Route
from tests.bgp.builders import notification_for, prefix
from tests.bgp.raw_updates import (
    AS_PATH,
    NEXT_HOP,
    ORIGIN,
    attributes,
    decoder,
    field,
    fields,
    multiprotocol,
    update,
    wide_fields,
)


def applied(messages: Sequence[UpdateMessage]) -> tuple[dict[PrefixPath, Route], set[PrefixPath]]:
    """What stands after the messages: the routes, and what was withdrawn and not advertised since."""
    routes: dict[PrefixPath, Route] = {}
    gone: set[PrefixPath] = set()
    for message in messages:
        for path in message.withdrawn:
            routes.pop(path, None)
            gone.add(path)
        for route in message.advertised:
            path = PrefixPath(route.prefix, route.path_id)
            routes[path] = route
            gone.discard(path)
    return routes, gone


@settings(deadline=None)
@given(
    withdrawn=fields,
    announced=fields,
    unreachable=wide_fields,
    reachable=wide_fields,
    packed=attributes,
    with_paths=st.booleans(),
    most=st.integers(1, 4),
    last=st.booleans(),
)
def test_the_pieces_say_what_the_whole_says(
    withdrawn: list[tuple[Prefix, int]],
    announced: list[tuple[Prefix, int]],
    unreachable: list[tuple[Prefix, int]],
    reachable: list[tuple[Prefix, int]],
    packed: bytes,
    with_paths: bool,
    most: int,
    last: bool,
) -> None:
    reader, octets = decoder(with_paths=with_paths), partial(field, with_paths=with_paths)
    next_hop = struct.pack("!HBB", 2, 1, 16) + IPv6Address("2001:db8::1").packed + b"\0"
    reach = multiprotocol(14, next_hop, octets(reachable))
    unreach = multiprotocol(15, struct.pack("!HB", 2, 1), octets(unreachable))
    several = reach + unreach + packed if last else unreach + packed + reach
    body = update(octets(withdrawn), several, octets(announced))

    parts = pieces(body, reader.paths, most)
    messages = [reader.unpack_update(each) for each in parts]

    assert applied(messages) == applied([reader.unpack_update(body)])
    assert all(len(each.advertised) <= most and len(each.withdrawn) <= most for each in messages)


@settings(deadline=None)
@given(octets=st.binary(max_size=60), packed=attributes, with_paths=st.booleans(), where=st.integers(0, 2))
def test_what_is_malformed_is_so_in_pieces_too(
    octets: bytes, packed: bytes, with_paths: bool, where: int
) -> None:
    reader = decoder(with_paths=with_paths)
    body = (update(octets, packed, b""), update(b"", packed, octets), update(b"", packed + octets, b""))[
        where
    ]

    def read_in_pieces() -> None:
        for each in pieces(body, reader.paths, 1):
            reader.unpack_update(each)

    assert notification_for(read_in_pieces) == notification_for(lambda: reader.unpack_update(body))


@pytest.mark.parametrize("body", [b"", b"\0", b"\0\0\0\x09", b"\0\x05\0\0"])
def test_what_cannot_be_cut_stays_whole(body: bytes) -> None:
    assert pieces(body, frozenset()) == (body,)


def test_the_longest_update_is_many_short_ones() -> None:
    hosts = [(IPv4Network(0x0A000000 + number), 0) for number in range(13_000)]
    body = update(b"", ORIGIN + AS_PATH + NEXT_HOP, field(hosts, with_paths=False))
    reader = decoder(with_paths=False)

    messages = [reader.unpack_update(each) for each in pieces(body, reader.paths)]

    assert len(messages) == len(hosts) / PREFIXES_EACH
    assert [route.prefix for message in messages for route in message.advertised] == [
        each for each, _ in hosts
    ]
    assert messages[0].advertised[0].prefix == prefix("10.0.0.0/32")

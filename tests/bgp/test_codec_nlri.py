"""Prefixes read by hand against the codec's own reading of them."""

import struct
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from ipaddress import IPv6Address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speaker.bgp import codec_update
from speaker.bgp.codec_nlri import Named, read_multiprotocol
from speaker.bgp.codec_update import UpdateDecoder
from speaker.bgp.messages import UpdateMessage
from speaker.model.prefix import Family, Prefix
from tests.bgp.builders import notification_for
from tests.bgp.raw_updates import (
    AS_PATH,
    NEXT_HOP,
    ORIGIN,
    decoder,
    field,
    multiprotocol,
    update,
    wide_fields,
)
from tests.bgp.strategies import prefixes

GLOBAL, LOCAL = IPv6Address("2001:db8::1").packed, IPv6Address("fe80::1").packed
next_hops = st.sampled_from((GLOBAL, GLOBAL + LOCAL))


def by_codec(packed: bytes, _paths: frozenset[Family]) -> tuple[bytes, Mapping[int, list[Named]]]:
    """Nothing is read by hand."""
    return packed, {}


def both(read: Callable[[], UpdateMessage]) -> tuple[UpdateMessage, UpdateMessage]:
    """The same read by hand and by the codec."""
    with pytest.MonkeyPatch.context() as patch:
        ours = read()
        patch.setattr(codec_update, "read_multiprotocol", by_codec)
        return ours, read()


@settings(deadline=None)
@given(reachable=wide_fields, unreachable=wide_fields, next_hop=next_hops, with_paths=st.booleans())
def test_both_read_the_same_prefixes(
    reachable: list[tuple[Prefix, int]],
    unreachable: list[tuple[Prefix, int]],
    next_hop: bytes,
    with_paths: bool,
) -> None:
    reader, octets = decoder(with_paths=with_paths), partial(field, with_paths=with_paths)
    before = struct.pack("!HBB", 2, 1, len(next_hop)) + next_hop + b"\0"
    reach = multiprotocol(14, before, octets(reachable))
    unreach = multiprotocol(15, struct.pack("!HB", 2, 1), octets(unreachable))
    body = update(b"", ORIGIN + AS_PATH + NEXT_HOP + reach + unreach, b"")

    ours, theirs = both(lambda: reader.unpack_update(body))

    assert ours == theirs


@settings(deadline=None)
@given(named=st.lists(prefixes(Family.IPV4), max_size=5))
def test_ipv4_prefixes_that_stand_there_are_read_as_well(named: Sequence[Prefix]) -> None:
    reader = decoder(with_paths=False)
    before = struct.pack("!HBB", 1, 1, 4) + bytes((192, 0, 2, 9)) + b"\0"
    nlri = field([(each, 0) for each in named], with_paths=False)
    body = update(b"", ORIGIN + AS_PATH + multiprotocol(14, before, nlri), b"")

    ours, theirs = both(lambda: reader.unpack_update(body))

    assert ours == theirs


@settings(deadline=None, max_examples=300)
@given(
    value=st.one_of(
        st.binary(max_size=40),
        st.binary(max_size=20).map(lambda nlri: b"\0\2\1\x10" + GLOBAL + b"\0" + nlri),
        st.binary(max_size=20).map(lambda nlri: b"\0\2\1" + nlri),
    ),
    kind=st.sampled_from((14, 15)),
    with_paths=st.booleans(),
)
def test_what_is_malformed_is_told_in_the_same_words(value: bytes, kind: int, with_paths: bool) -> None:
    reader = decoder(with_paths=with_paths)
    body = update(b"", ORIGIN + AS_PATH + multiprotocol(kind, value[:1], value[1:] or b"\0"), b"")

    assert outcome(reader, body) == outcome_by_codec(reader, body)


def outcome(reader: UpdateDecoder, body: bytes) -> object:
    """The message, or the NOTIFICATION."""
    found: list[UpdateMessage] = []
    told = notification_for(lambda: found.append(reader.unpack_update(body)))
    return told or found


def outcome_by_codec(reader: UpdateDecoder, body: bytes) -> object:
    """The same without reading by hand."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(codec_update, "read_multiprotocol", by_codec)
        return outcome(reader, body)


def test_the_codec_gets_the_first_prefix_alone() -> None:
    nlri = bytes.fromhex("20 20010db8 40 20010db800000001")
    before = struct.pack("!HBB", 2, 1, 16) + GLOBAL + b"\0"

    shortened, found = read_multiprotocol(multiprotocol(14, before, nlri), frozenset())

    assert shortened == multiprotocol(14, before, nlri[:5])
    assert [str(prefix) for prefix, _ in found[14]] == ["2001:db8::/32", "2001:db8:0:1::/64"]

"""UPDATEs from peers, good and bad (RFC 4271 §6.3, RFC 7606)."""

import struct
from dataclasses import replace
from functools import partial
from ipaddress import IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speaker.bgp.codec_open import pack_open
from speaker.bgp.codec_update import AttributeContext, UpdateDecoder, pack_attributes
from speaker.bgp.messages import ProtocolError, UpdateMessage
from speaker.bgp.packing import PackingContext, pack_routes
from speaker.model.route import PathAttributes, PrefixPath, Route
from tests.bgp.builders import as_sent, notification_for, peer, prefix, route
from tests.bgp.strategies import routes

ORIGIN = bytes.fromhex("40010100")
AS_PATH = bytes.fromhex("400206 0201 0000fe06")  # 65030
NEXT_HOP = bytes.fromhex("400304 c0000201")
NLRI = bytes.fromhex("180a0000")  # 10.0.0.0/24


def decoder() -> UpdateDecoder:
    ours = peer(extended_next_hop=True)
    theirs = peer(asn=ours.local_asn, local_asn=ours.asn, extended_next_hop=True)
    return UpdateDecoder(ours, pack_open(theirs, restarting=False, forwarding_preserved=True)[19:])


def update(attributes: bytes, nlri: bytes = NLRI, withdrawn: bytes = b"") -> UpdateMessage:
    body = (
        struct.pack("!H", len(withdrawn)) + withdrawn + struct.pack("!H", len(attributes)) + attributes + nlri
    )
    received = decoder().unpack_update(body)
    return replace(received, advertised=tuple(map(as_sent, received.advertised)))


def test_a_good_update_is_a_route() -> None:
    message = update(ORIGIN + AS_PATH + NEXT_HOP, withdrawn=bytes.fromhex("080b"))

    assert (route("10.0.0.0/24", next_hop="192.0.2.1"),) == message.advertised
    assert (PrefixPath(prefix("11.0.0.0/8")),) == message.withdrawn


@pytest.mark.parametrize(
    "attributes",
    [
        pytest.param(AS_PATH + NEXT_HOP, id="ORIGIN missing"),
        pytest.param(ORIGIN + NEXT_HOP, id="AS_PATH missing"),
        pytest.param(ORIGIN + AS_PATH, id="NEXT_HOP missing"),
        pytest.param(bytes.fromhex("40010109") + AS_PATH + NEXT_HOP, id="ORIGIN undefined"),
        pytest.param(ORIGIN + bytes.fromhex("400205 02010000fe") + NEXT_HOP, id="AS_PATH cut"),
        pytest.param(ORIGIN + AS_PATH + bytes.fromhex("400303 c00002"), id="NEXT_HOP of three octets"),
        pytest.param(ORIGIN + AS_PATH + NEXT_HOP + bytes.fromhex("c00803 000001"), id="community cut"),
        pytest.param(ORIGIN + AS_PATH + NEXT_HOP + bytes.fromhex("8004ff 00"), id="length past the end"),
    ],
)
def test_malformed_attributes_withdraw_the_routes_and_keep_the_session(attributes: bytes) -> None:
    """RFC 7606 §2, treat-as-withdraw."""
    message = update(attributes)

    assert not message.advertised
    assert (PrefixPath(prefix("10.0.0.0/24")),) == message.withdrawn


def test_a_route_that_went_through_our_own_as_is_not_used() -> None:
    """RFC 4271 §9.1.2, AS loop."""
    message = update(ORIGIN + bytes.fromhex("40020a 0202 0000fe06 0000fde8") + NEXT_HOP)

    assert not message.advertised


@pytest.mark.parametrize(
    "nlri", [pytest.param(bytes.fromhex("210a000000"), id="/33"), pytest.param(b"\x18\x0a\x00", id="cut")]
)
def test_prefixes_that_cannot_be_read_reset_the_session(nlri: bytes) -> None:
    """RFC 7606 §5.3; subcode Invalid Network Field."""
    with pytest.raises(ProtocolError) as caught:
        update(ORIGIN + AS_PATH + NEXT_HOP, nlri)

    assert str(caught.value.notification) == "3/10"


def test_lengths_that_contradict_each_other_reset_the_session() -> None:
    with pytest.raises(ProtocolError) as caught:
        decoder().unpack_update(bytes.fromhex("00ff 0000"))

    assert str(caught.value.notification) == "3/1"


def test_bits_beyond_the_length_do_not_matter() -> None:
    message = update(ORIGIN + AS_PATH + NEXT_HOP, bytes.fromhex("140a00ff"))

    assert prefix("10.0.240.0/20") == message.advertised[0].prefix


def test_of_a_global_and_a_link_local_next_hop_the_global_counts() -> None:
    """RFC 2545 §3."""
    hops = bytes.fromhex("20010db8000000000000000000000001 fe800000000000000000000000000001")
    value = bytes.fromhex("000201 20") + hops + bytes.fromhex("00 40 20010db800000000")
    attribute = struct.pack("!BBB", 0x80, 14, len(value)) + value

    message = update(ORIGIN + AS_PATH + attribute, b"")

    assert (route("2001:db8::/64", next_hop="2001:db8::1"),) == message.advertised


@given(st.lists(routes(), min_size=1, max_size=5), st.data())
def test_any_damage_ends_in_an_update_or_in_a_legal_notification(
    sent: list[Route], data: st.DataObject
) -> None:
    context = PackingContext(attributes=AttributeContext(local_asn=65030, ibgp=False, four_octet_as=True))
    reader = decoder()
    for message in pack_routes(context, sent):
        damaged = bytearray(message[19:])
        for position in data.draw(st.lists(st.integers(0, len(damaged) - 1), max_size=6)):
            damaged[position] = data.draw(st.integers(0, 255))
        body = bytes(damaged[: data.draw(st.integers(4, len(damaged)))])

        answer = notification_for(partial(reader.unpack_update, body))

        assert answer is None or answer.code in (1, 3)


def test_attributes_are_packed_once_for_all_peers_that_hear_the_same() -> None:
    context = AttributeContext(local_asn=65000, ibgp=False, four_octet_as=True)

    assert pack_attributes(context, PathAttributes(med=1), None) is pack_attributes(
        AttributeContext(local_asn=65000, ibgp=False, four_octet_as=True), PathAttributes(med=1), None
    )


fields = st.lists(st.tuples(st.integers(0, 0xFFFFFFFF), st.integers(0, 32), st.integers(0, 3)), max_size=6)


def packed(prefixes: list[tuple[int, int, int]], *, with_paths: bool) -> bytes:
    """A field of prefixes (RFC 4271 §4.3, RFC 7911 §3), with bits past the length as they come."""
    return b"".join(
        (path_id.to_bytes(4) if with_paths else b"")
        + bytes((length,))
        + address.to_bytes(4)[: (length + 7) // 8]
        for address, length, path_id in prefixes
    )


def paths_of(prefixes: list[tuple[int, int, int]], *, with_paths: bool) -> list[PrefixPath]:
    return [
        PrefixPath(IPv4Network((address, length), strict=False), path_id if with_paths else 0)
        for address, length, path_id in prefixes
    ]


@given(withdrawn=fields, announced=fields, with_paths=st.booleans())
def test_prefixes_are_read_as_the_standard_library_has_them(
    withdrawn: list[tuple[int, int, int]], announced: list[tuple[int, int, int]], with_paths: bool
) -> None:
    ours = peer(add_path_receive=with_paths)
    theirs = peer(asn=ours.local_asn, local_asn=ours.asn, add_path_send=with_paths)
    reader = UpdateDecoder(ours, pack_open(theirs, restarting=False, forwarding_preserved=True)[19:])
    attributes = ORIGIN + AS_PATH + NEXT_HOP
    gone = packed(withdrawn, with_paths=with_paths)
    body = struct.pack("!H", len(gone)) + gone + struct.pack("!H", len(attributes)) + attributes

    received = reader.unpack_update(body + packed(announced, with_paths=with_paths))

    assert list(received.withdrawn) == paths_of(withdrawn, with_paths=with_paths)
    assert [PrefixPath(each.prefix, each.path_id) for each in received.advertised] == paths_of(
        announced, with_paths=with_paths
    )

"""Malformed UPDATEs, one by one (RFC 4271 §6.3, RFC 7606): what is withdrawn, what is dropped, what ends it.

Each case follows a good route to the same prefix and one to another: treat-as-withdraw takes the first
back, an attribute that is discarded leaves it, and the other stays unless the session ends.
"""

import struct

import pytest

from speaker.model.peer import SessionState
from tests.bgp.builders import peer
from tests.fuzz import wire
from tests.fuzz.wire import attribute
from tests.hostile.scene import NEXT_HOP, ORIGIN, Scene, advertisement, attributes, scene

THEIR_AS, OUR_AS = 65030, 65000
SAME, OTHER = "10.1.0.0/16", "10.2.0.0/16"
AS_PATH = wire.as_path(THEIR_AS)
PLAIN = ORIGIN + AS_PATH + NEXT_HOP
HOP6 = bytes.fromhex("20010db8000000000000000000000001")
WELL_KNOWN = wire.WELL_KNOWN


def path(value: str) -> bytes:
    return attribute(wire.AS_PATH, bytes.fromhex(value))


def external(rest: bytes, prefixes: bytes | None = None) -> bytes:
    """An UPDATE of these attributes for the prefix that was advertised before."""
    return wire.update_message(rest, wire.nlri(SAME) if prefixes is None else prefixes)


def wrong_length(kind: int, name: str, *values: bytes) -> list[object]:
    return [
        pytest.param(PLAIN + attribute(kind, value), id=f"{name} of {len(value)} octets") for value in values
    ]


TREAT_AS_WITHDRAW = [
    # RFC 7606 §7.1 to §7.4
    pytest.param(AS_PATH + NEXT_HOP + attribute(wire.ORIGIN, b""), id="ORIGIN of 0 octets"),
    pytest.param(AS_PATH + NEXT_HOP + attribute(wire.ORIGIN, b"\0\0"), id="ORIGIN of 2 octets"),
    pytest.param(AS_PATH + NEXT_HOP + attribute(wire.ORIGIN, b"\3"), id="ORIGIN 3"),
    pytest.param(ORIGIN + path("05010000fe06") + NEXT_HOP, id="AS_PATH with a segment of type 5"),
    pytest.param(ORIGIN + path("00010000fe06") + NEXT_HOP, id="AS_PATH with a segment of type 0"),
    pytest.param(ORIGIN + path("02020000fe06") + NEXT_HOP, id="AS_PATH whose segment runs over"),
    pytest.param(ORIGIN + path("02010000fe0602") + NEXT_HOP, id="AS_PATH with one octet too many"),
    pytest.param(ORIGIN + path("0200") + NEXT_HOP, id="AS_PATH with an empty segment"),
    pytest.param(ORIGIN + path("02010000fe060200") + NEXT_HOP, id="AS_PATH with an empty segment at its end"),
    pytest.param(ORIGIN + AS_PATH + attribute(wire.NEXT_HOP, b""), id="NEXT_HOP of 0 octets"),
    pytest.param(ORIGIN + AS_PATH + attribute(wire.NEXT_HOP, b"\xc0\0\2"), id="NEXT_HOP of 3 octets"),
    pytest.param(ORIGIN + AS_PATH + attribute(wire.NEXT_HOP, HOP6), id="NEXT_HOP of 16 octets"),
    *wrong_length(wire.MED, "MED", b"", b"\0\0\0", bytes(5)),
    # §7.8, §7.14, §7.15; RFC 8092 §5, RFC 9234 §5
    *wrong_length(wire.COMMUNITIES, "COMMUNITIES", b"", b"\0\0\0", bytes(6)),
    *wrong_length(wire.EXTENDED_COMMUNITIES, "EXTENDED_COMMUNITIES", b"", bytes(7), bytes(12)),
    *wrong_length(wire.LARGE_COMMUNITY, "LARGE_COMMUNITY", b"", bytes(4), bytes(13)),
    *wrong_length(wire.OTC, "ONLY_TO_CUSTOMER", b"", bytes(3), bytes(5)),
    # §3 (d)
    pytest.param(AS_PATH + NEXT_HOP, id="ORIGIN missing"),
    pytest.param(ORIGIN + NEXT_HOP, id="AS_PATH missing"),
    pytest.param(ORIGIN + AS_PATH, id="NEXT_HOP missing"),
    # §3 (c): flags that contradict the attribute
    pytest.param(attribute(wire.ORIGIN, b"\0", flags=0xC0) + AS_PATH + NEXT_HOP, id="ORIGIN optional"),
    pytest.param(attribute(wire.ORIGIN, b"\0", flags=0x00) + AS_PATH + NEXT_HOP, id="ORIGIN non-transitive"),
    pytest.param(ORIGIN + attribute(wire.AS_PATH, AS_PATH[3:], flags=0xC0) + NEXT_HOP, id="AS_PATH optional"),
    pytest.param(
        ORIGIN + AS_PATH + attribute(wire.NEXT_HOP, NEXT_HOP[3:], flags=0x80), id="NEXT_HOP optional"
    ),
    pytest.param(PLAIN + attribute(wire.MED, bytes(4), flags=0xC0), id="MED transitive"),
    pytest.param(PLAIN + attribute(wire.MED, bytes(4), flags=0x40), id="MED well-known"),
    pytest.param(PLAIN + attribute(wire.COMMUNITIES, bytes(4), flags=0x80), id="COMMUNITIES non-transitive"),
    # §4: lengths that contradict each other inside the attributes
    pytest.param(PLAIN + b"\x80\x04\xff\0", id="an attribute longer than what is left"),
    pytest.param(PLAIN + b"\x80", id="an attribute of one octet"),
    pytest.param(PLAIN + b"\x80\x04", id="an attribute without a length"),
    pytest.param(PLAIN + b"\x90\x04\x00", id="an attribute with half of an extended length"),
]

DISCARD = [
    # RFC 7606 §7.5 to §7.7, §7.9, §7.10: what comes from another AS and means nothing there
    pytest.param(PLAIN + attribute(wire.LOCAL_PREF, bytes(4)), id="LOCAL_PREF from another AS"),
    pytest.param(PLAIN + attribute(wire.LOCAL_PREF, b"\0"), id="malformed LOCAL_PREF from another AS"),
    pytest.param(PLAIN + attribute(wire.ATOMIC_AGGREGATE, b"\0"), id="ATOMIC_AGGREGATE of 1 octet"),
    pytest.param(PLAIN + attribute(wire.AGGREGATOR, bytes(7)), id="AGGREGATOR of 7 octets"),
    pytest.param(PLAIN + attribute(wire.AGGREGATOR, b""), id="AGGREGATOR of 0 octets"),
    pytest.param(PLAIN + attribute(wire.ORIGINATOR_ID, bytes(4)), id="ORIGINATOR_ID from another AS"),
    pytest.param(PLAIN + attribute(wire.ORIGINATOR_ID, b"\0"), id="malformed ORIGINATOR_ID from another AS"),
    pytest.param(PLAIN + attribute(wire.CLUSTER_LIST, bytes(4)), id="CLUSTER_LIST from another AS"),
    pytest.param(PLAIN + attribute(wire.CLUSTER_LIST, b"\0"), id="malformed CLUSTER_LIST from another AS"),
    # RFC 6793 §6
    pytest.param(PLAIN + attribute(wire.AS4_PATH, b"\2\2\0\0\1\1"), id="AS4_PATH of a speaker that is new"),
    pytest.param(PLAIN + attribute(wire.AS4_AGGREGATOR, bytes(7)), id="AS4_AGGREGATOR of 7 octets"),
    # RFC 7606 §3 (g): "all the occurrences of the attribute other than the first one SHALL be discarded"
    pytest.param(PLAIN + ORIGIN, id="ORIGIN twice"),
    pytest.param(PLAIN + attribute(wire.MED, bytes(4)) + attribute(wire.MED, b"\0\0\0\1"), id="MED twice"),
    # RFC 4271 §5: what is unknown and optional is no error
    pytest.param(PLAIN + attribute(99, b"x", flags=0xC0), id="unknown, optional, transitive"),
    pytest.param(PLAIN + attribute(99, b"x", flags=0xE0), id="unknown, optional, transitive, partial"),
    pytest.param(PLAIN + attribute(99, b"", flags=0x80), id="unknown, optional, non-transitive"),
    pytest.param(PLAIN + attribute(255, bytes(2000), flags=0xC0), id="unknown, 2000 octets"),
    # RFC 4271 §4.3: "The lower-order four bits [...] MUST be ignored when received."
    pytest.param(
        attribute(wire.ORIGIN, b"\0", flags=0x4F & ~0x10) + AS_PATH + NEXT_HOP, id="lower flag bits"
    ),
]

INTERNAL = PLAIN.replace(AS_PATH, wire.as_path()) + attribute(wire.LOCAL_PREF, bytes(4))
INTERNAL_WITHDRAW = [
    pytest.param(INTERNAL[:-7] + attribute(wire.LOCAL_PREF, b"\0\0\0"), id="LOCAL_PREF of 3 octets"),
    pytest.param(INTERNAL + attribute(wire.ORIGINATOR_ID, b"\x0a\0\0"), id="ORIGINATOR_ID of 3 octets"),
    pytest.param(INTERNAL + attribute(wire.CLUSTER_LIST, b""), id="CLUSTER_LIST of 0 octets"),
    pytest.param(INTERNAL + attribute(wire.CLUSTER_LIST, bytes(6)), id="CLUSTER_LIST of 6 octets"),
]


def reach(value: bytes) -> bytes:
    return external(attribute(wire.MP_REACH_NLRI, value) + ORIGIN + AS_PATH, b"")


def unreach(value: bytes) -> bytes:
    return external(attribute(wire.MP_UNREACH_NLRI, value), b"")


HEAD6 = struct.pack("!HBB", 2, 1, 16)
GOOD6 = HEAD6 + HOP6 + b"\0" + wire.nlri("2001:db8:7::/48")

RESETS = [
    # RFC 4271 §6.3 with RFC 7606 §3 (a), §5.3
    pytest.param(wire.update_message(PLAIN, attributes_length=0xFFFF), {"3/1"}, id="attributes run over"),
    pytest.param(wire.update_message(withdrawn_length=0xFFFF), {"3/1"}, id="withdrawn routes run over"),
    pytest.param(wire.frame(wire.UPDATE, b"\0\1\0\0"), {"3/1"}, id="no room for the attributes' length"),
    pytest.param(external(PLAIN, b"\x21\x0a\0\0\0\0"), {"3/10"}, id="NLRI of 33 bits"),
    pytest.param(external(PLAIN, b"\xff\x0a"), {"3/10"}, id="NLRI of 255 bits"),
    pytest.param(external(PLAIN, b"\x18\x0a"), {"3/10"}, id="NLRI cut short"),
    pytest.param(
        wire.update_message(b"", b"", b"\x21\x0a\0\0\0\0"), {"3/1", "3/10"}, id="withdrawn of 33 bits"
    ),
    pytest.param(wire.update_message(b"", b"", b"\x18\x0a"), {"3/1", "3/10"}, id="withdrawn cut short"),
    # RFC 7606 §3 (g)
    pytest.param(
        external(attribute(wire.MP_REACH_NLRI, GOOD6) * 2 + ORIGIN + AS_PATH, b""),
        {"3/1"},
        id="MP_REACH twice",
    ),
    pytest.param(
        external(attribute(wire.MP_UNREACH_NLRI, b"\0\2\1") * 2, b""), {"3/1"}, id="MP_UNREACH twice"
    ),
    # RFC 7606 §5.3, §7.11, §7.12
    pytest.param(reach(b"\0\2"), {"3/1", "3/9"}, id="MP_REACH of 2 octets"),
    pytest.param(reach(struct.pack("!HBB", 2, 1, 200) + HOP6), {"3/1", "3/9"}, id="next hop runs over"),
    pytest.param(reach(struct.pack("!HBB", 2, 1, 5) + bytes(6)), {"3/1", "3/9"}, id="next hop of 5 octets"),
    pytest.param(reach(GOOD6 + b"\x81" + bytes(17)), {"3/1", "3/9", "3/10"}, id="MP_REACH with 129 bits"),
    pytest.param(reach(GOOD6 + b"\x40\x20\x01"), {"3/1", "3/9", "3/10"}, id="MP_REACH with NLRI cut short"),
    pytest.param(unreach(b"\0\2"), {"3/1", "3/9"}, id="MP_UNREACH of 2 octets"),
    pytest.param(unreach(b"\0\2\1\x81" + bytes(17)), {"3/1", "3/9", "3/10"}, id="MP_UNREACH with 129 bits"),
    # RFC 4271 §6.3: "If any of the well-known mandatory attributes are not recognized"
    pytest.param(external(PLAIN + attribute(99, b"x", flags=WELL_KNOWN)), {"3/2"}, id="unknown well-known"),
]


async def _with_routes(played: Scene) -> None:
    await played.establish()
    await played.bad.send(advertisement(played.bad.peer, SAME, OTHER))
    await played.until_received(SAME, OTHER)


async def _goes_on(played: Scene) -> None:
    """The session is the same as before, and so is the other peer's."""
    assert played.speaker.state("bad") is SessionState.ESTABLISHED
    assert played.speaker.peers.sessions()["bad"].flaps == 0
    await played.good_has_not_noticed()


@pytest.mark.parametrize("broken", TREAT_AS_WITHDRAW)
async def test_the_routes_of_a_malformed_update_are_withdrawn(broken: bytes) -> None:
    """RFC 7606 §2, treat-as-withdraw."""
    async with scene() as played:
        await _with_routes(played)
        await played.bad.send(external(broken))

        await played.until_received(OTHER)
        await _goes_on(played)


@pytest.mark.parametrize("broken", INTERNAL_WITHDRAW)
async def test_the_routes_of_a_malformed_update_of_our_own_as_are_withdrawn(broken: bytes) -> None:
    """RFC 7606 §7.5, §7.9, §7.10."""
    async with scene(asn=OUR_AS) as played:
        await _with_routes(played)
        await played.bad.send(external(broken))

        await played.until_received(OTHER)
        await _goes_on(played)


@pytest.mark.parametrize("odd", DISCARD)
async def test_what_must_be_discarded_leaves_the_route(odd: bytes) -> None:
    """RFC 7606 §2, attribute discard: the route is replaced, and nothing of the attribute remains."""
    async with scene() as played:
        await _with_routes(played)
        await played.bad.send(external(odd), advertisement(played.bad.peer, "10.3.0.0/16"))

        await played.until_received(SAME, OTHER, "10.3.0.0/16")
        kept = {str(each.prefix): each for each in played.speaker.peers.received("bad").values()}
        assert kept[SAME].attributes.local_preference is None
        assert kept[SAME].attributes.med in (None, 0)
        await _goes_on(played)


@pytest.mark.parametrize(("message", "legal"), RESETS)
async def test_an_update_that_cannot_be_read_ends_the_session(message: bytes, legal: set[str]) -> None:
    """RFC 7606 §2, session reset; what the session brought goes with it."""
    async with scene(graceful_restart=None) as played:
        await _with_routes(played)
        await played.bad.send(message)

        told = await played.bad.last_words()
        assert told is not None
        assert f"{told.code}/{told.subcode}" in legal
        await played.until_received()
        await played.good_has_not_noticed()


# -- routes that are well-formed and must not be used ------------------------------------------------

OWN_ORIGINATOR = attribute(wire.ORIGINATOR_ID, b"\x0a\0\0\1")
OWN_CLUSTER = attribute(wire.CLUSTER_LIST, b"\x0a\0\0\x09\x0a\0\0\1")
LOOPS = [
    pytest.param(
        THEIR_AS, PLAIN.replace(AS_PATH, wire.as_path(THEIR_AS, OUR_AS)), id="our own AS in AS_PATH"
    ),
    pytest.param(
        THEIR_AS,
        PLAIN.replace(AS_PATH, path("02010000fe06 01020000fdf20000fde8")),
        id="our own AS in an AS_SET",
    ),
    pytest.param(OUR_AS, INTERNAL + OWN_ORIGINATOR, id="our own ORIGINATOR_ID"),
    pytest.param(OUR_AS, INTERNAL + OWN_CLUSTER, id="our own CLUSTER_LIST"),
]


@pytest.mark.parametrize(("asn", "looping"), LOOPS)
async def test_a_route_that_has_come_round_is_not_used(asn: int, looping: bytes) -> None:
    """RFC 4271 §9.1.2, RFC 4456 §8: what was advertised before is no more, and the session goes on."""
    async with scene(asn=asn) as played:
        await _with_routes(played)
        await played.bad.send(external(looping))

        await played.until_received(OTHER)
        await _goes_on(played)


# -- attribute floods --------------------------------------------------------------------------------


def filled(base: bytes, limit: int = 4096) -> list[object]:
    room = limit - 23 - len(base) - len(wire.nlri(SAME)) - 4
    return [
        pytest.param(
            base + attribute(wire.COMMUNITIES, bytes(range(4)) * (room // 4)), id="1000 communities"
        ),
        pytest.param(
            base + attribute(wire.LARGE_COMMUNITY, bytes(range(12)) * (room // 12)),
            id="330 large communities",
        ),
        pytest.param(base + attribute(wire.EXTENDED_COMMUNITIES, bytes(room // 8 * 8)), id="500 extended"),
        pytest.param(
            base + b"".join(attribute(40 + each, b"x") for each in range(200)), id="200 unknown attributes"
        ),
        pytest.param(
            base + attribute(99, b"", flags=0xC0) * (room // 3), id="one unknown attribute 1300 times"
        ),
        pytest.param(
            ORIGIN + NEXT_HOP + attribute(wire.AS_PATH, (b"\x02\xff" + b"\0\0\xfe\x06" * 255) * 3),
            id="765 ASes",
        ),
    ]


@pytest.mark.parametrize("flood", filled(PLAIN))
async def test_an_update_full_of_attributes_is_taken_and_kept_small(flood: bytes) -> None:
    async with scene() as played:
        await _with_routes(played)
        message = external(flood)
        assert len(message) <= 4096
        await played.bad.send(*[message] * 50, advertisement(played.bad.peer, "10.3.0.0/16"))

        await played.until_received(SAME, OTHER, "10.3.0.0/16")
        kept = {str(each.prefix): each.attributes for each in played.speaker.peers.received("bad").values()}
        assert len(kept[SAME].communities) <= 1
        await _goes_on(played)


def test_the_attributes_of_a_good_route_are_those_of_the_scene() -> None:
    """What the cases above damage is what `advertisement` sends."""
    assert attributes(peer()) == PLAIN

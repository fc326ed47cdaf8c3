"""What routes of other speakers carry: as it is read, and as it is passed on to other peers."""

import struct
from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speaker.bgp.codec_open import pack_open
from speaker.bgp.codec_update import AttributeContext, UpdateDecoder, pack_attributes
from speaker.bgp.messages import UpdateMessage
from speaker.bgp.packing import PackingContext, fits
from speaker.model.peer import Peer
from speaker.model.route import Learned, Origin, PathAttributes, PathSegment, Route, SegmentType
from tests.bgp.builders import peer, prefix
from tests.bgp.strategies import path_attributes, uint32
from tests.fuzz import wire
from tests.fuzz.wire import attribute

HOP = IPv4Address("192.0.2.9")
NLRI = bytes.fromhex("180a0000")
SET, SEQUENCE = SegmentType.AS_SET, SegmentType.AS_SEQUENCE
CONFED = SegmentType.AS_CONFED_SEQUENCE
INSIDE: dict[str, Any] = {"asn": 65000, "local_asn": 65000}
FIRST, SECOND = IPv4Address("10.9.0.1"), IPv4Address("10.9.0.2")


def ends(*, four_octets: bool = True, **settings: Any) -> tuple[Peer, bytes]:
    """A peer as we have it configured, and its OPEN."""
    ours = peer(**settings)
    theirs = replace(ours, asn=ours.local_asn, local_asn=ours.asn, router_id=IPv4Address("10.0.0.2"))
    packed = pack_open(theirs, restarting=False, forwarding_preserved=True)[19:]
    if not four_octets:
        packed = wire.open_message(ours.asn, capabilities=wire.multiprotocol(1))[19:]
    return ours, packed


def body(attributes: bytes) -> bytes:
    return struct.pack("!HH", 0, len(attributes)) + attributes + NLRI


def read(attributes: bytes, *, four_octets: bool = True, **settings: Any) -> UpdateMessage:
    """What we make of a route with these attributes."""
    ours, packed = ends(four_octets=four_octets, **settings)
    return UpdateDecoder(ours, packed).unpack_update(body(attributes))


def learned(attributes: bytes, *, four_octets: bool = True, **settings: Any) -> Learned:
    (route,) = read(attributes, four_octets=four_octets, **settings).advertised
    assert route.attributes.learned is not None
    return route.attributes.learned


def sequence(*asns: int) -> PathSegment:
    return PathSegment(SEQUENCE, asns)


def path(*segments: PathSegment, octets: int = 4) -> bytes:
    """AS_PATH as it stands in an UPDATE."""
    return attribute(wire.AS_PATH, segments_of(*segments, octets=octets))


def segments_of(*segments: PathSegment, octets: int = 4) -> bytes:
    parts = (
        bytes((each.kind, len(each.asns))) + b"".join(asn.to_bytes(octets) for asn in each.asns)
        for each in segments
    )
    return b"".join(parts)


def plain(*segments: PathSegment, origin: int = 0, octets: int = 4) -> bytes:
    return attribute(wire.ORIGIN, bytes((origin,))) + path(*segments, octets=octets) + hop()


def hop() -> bytes:
    return attribute(wire.NEXT_HOP, HOP.packed)


# -- received ------------------------------------------------------------------------------------------


def test_the_path_is_kept_segment_by_segment() -> None:
    segments = (sequence(65030, 4200000001), PathSegment(SET, (7, 8)))

    assert segments == learned(plain(*segments)).as_path


@pytest.mark.parametrize("origin", Origin)
def test_the_origin_is_kept(origin: Origin) -> None:
    assert origin is learned(plain(sequence(65030), origin=origin)).origin


def test_what_reflectors_have_added_is_kept() -> None:
    """RFC 4456 §8."""
    reflected = attribute(wire.ORIGINATOR_ID, FIRST.packed) + attribute(
        wire.CLUSTER_LIST, SECOND.packed + FIRST.packed
    )

    found = learned(plain() + reflected, **INSIDE)

    assert (FIRST, (SECOND, FIRST)) == (found.originator_id, found.cluster_list)


def test_routes_of_an_update_share_one_value() -> None:
    ours, packed = ends()
    update = UpdateDecoder(ours, packed).unpack_update(body(plain(sequence(65030))) + b"\x18\x0a\x00\x01")

    one, other = update.advertised

    assert one.attributes is other.attributes


def test_updates_with_equal_attributes_share_one_value() -> None:
    ours, packed = ends()
    decoder = UpdateDecoder(ours, packed)
    one, other = (decoder.unpack_update(body(plain(sequence(65030)))).advertised[0] for _ in range(2))

    assert one.attributes is other.attributes


def test_updates_with_other_attributes_do_not() -> None:
    ours, packed = ends()
    decoder = UpdateDecoder(ours, packed)

    paths = [
        decoder.unpack_update(body(plain(sequence(65030, number)))).advertised[0].attributes.learned
        for number in range(1, 600)
    ]

    assert [(sequence(65030, number),) for number in range(1, 600)] == [
        each.as_path for each in paths if each is not None
    ]


@pytest.mark.parametrize(
    ("old", "new", "merged"),
    [
        pytest.param((sequence(65030, 23456),), (sequence(4200000001),), (65030, 4200000001), id="joined"),
        pytest.param((sequence(65030),), (sequence(4200000001, 7),), (65030,), id="AS4_PATH is longer"),
    ],
)
def test_the_path_of_an_old_speaker_is_joined(
    old: tuple[PathSegment, ...], new: tuple[PathSegment, ...], merged: tuple[int, ...]
) -> None:
    """RFC 6793 §4.2.3."""
    attributes = plain(*old, octets=2) + attribute(wire.AS4_PATH, segments_of(*new), flags=0xC0)

    assert (sequence(*merged),) == learned(attributes, four_octets=False).as_path


AGGREGATED = attribute(wire.AGGREGATOR, (4200000001).to_bytes(4) + FIRST.packed)
ATOMIC = attribute(wire.ATOMIC_AGGREGATE, b"")


@pytest.mark.parametrize(
    ("received", "passed"),
    [
        pytest.param(attribute(99, b"xy", flags=0xC0), (attribute(99, b"xy", flags=0xE0),), id="unknown"),
        pytest.param(attribute(99, b"xy", flags=0xE0), (attribute(99, b"xy", flags=0xE0),), id="Partial"),
        pytest.param(attribute(99, b"xy", flags=0xCF), (attribute(99, b"xy", flags=0xE0),), id="unused bits"),
        pytest.param(attribute(99, b"xy", flags=0x80), (), id="non-transitive"),
        pytest.param(attribute(wire.AS4_PATH, segments_of(sequence(1)), flags=0xC0), (), id="AS4_PATH"),
        pytest.param(attribute(wire.LOCAL_PREF, bytes(4)), (), id="LOCAL_PREF from another AS"),
        pytest.param(ATOMIC + AGGREGATED, (ATOMIC, AGGREGATED), id="aggregated"),
        pytest.param(attribute(wire.AGGREGATOR, bytes(6)), (), id="AGGREGATOR of 6 octets"),
        pytest.param(
            attribute(200, b"", flags=0xC0) + attribute(99, bytes(300), flags=0xC0),
            (attribute(99, bytes(300), flags=0xE0), attribute(200, b"", flags=0xE0)),
            id="ascending",
        ),
    ],
)
def test_what_is_not_known_is_passed_along(received: bytes, passed: tuple[bytes, ...]) -> None:
    """RFC 4271 §5: optional transitive attributes, with the Partial bit."""
    assert passed == learned(plain(sequence(65030)) + received).unrecognized


@pytest.mark.parametrize(
    ("aggregators", "asn"),
    [
        pytest.param(attribute(wire.AGGREGATOR, b"\xfe\x06" + FIRST.packed), 65030, id="two octets"),
        pytest.param(
            attribute(wire.AGGREGATOR, (23456).to_bytes(2) + SECOND.packed)
            + attribute(wire.AS4_AGGREGATOR, (4200000001).to_bytes(4) + FIRST.packed),
            4200000001,
            id="four octets beside it",
        ),
    ],
)
def test_the_aggregator_of_an_old_speaker_gets_four_octets(aggregators: bytes, asn: int) -> None:
    """RFC 6793 §4.2.3."""
    attributes = plain(sequence(65030), octets=2) + aggregators

    expected = attribute(wire.AGGREGATOR, asn.to_bytes(4) + FIRST.packed)
    assert (expected,) == learned(attributes, four_octets=False).unrecognized


# -- loops ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("times", "allowed", "used"), [(1, 0, False), (1, 1, True), (2, 1, False)])
def test_our_own_as_may_stand_in_the_path_as_often_as_allowed(times: int, allowed: int, used: bool) -> None:
    update = read(plain(sequence(65030, *(65000,) * times)), allowed_local_asns=allowed)

    assert used == bool(update.advertised)
    assert used != bool(update.withdrawn), "a route that is not taken is one that is withdrawn"


def test_where_routes_are_learned_the_import_policy_looks_for_our_own_as() -> None:
    """It keeps what it refuses, to tell why, and to take it when it is allowed."""
    update = read(plain(sequence(65030, 65000)), imports=True)

    assert update.advertised


@pytest.mark.parametrize(("cluster", "used"), [("10.9.0.1", False), ("10.9.0.2", True), ("10.0.0.1", True)])
def test_a_reflector_knows_its_own_cluster(cluster: str, used: bool) -> None:
    """RFC 4456 §8; our identifier is none of a cluster that has another."""
    clusters = attribute(wire.CLUSTER_LIST, IPv4Address(cluster).packed)

    update = read(plain() + clusters, cluster_id=FIRST, **INSIDE)

    assert used == bool(update.advertised)


def test_a_cluster_that_becomes_ours_counts_from_the_next_update_on() -> None:
    ours, packed = ends(**INSIDE)
    decoder = UpdateDecoder(ours, packed)
    message = body(plain() + attribute(wire.CLUSTER_LIST, FIRST.packed))
    assert decoder.unpack_update(message).advertised

    update = decoder.unpack_update(message, replace(ours, cluster_id=FIRST))

    assert not update.advertised


# -- sent ----------------------------------------------------------------------------------------------

EXTERNAL = AttributeContext(local_asn=65000, ibgp=False, four_octet_as=True)
INTERNAL = AttributeContext(local_asn=65000, ibgp=True, four_octet_as=True)


def heard(context: AttributeContext, attributes: PathAttributes) -> PathAttributes:
    """What a peer reads of a route that we send it."""
    asn = 65000 if context.ibgp else 64999
    ours, packed = ends(
        four_octets=context.four_octet_as, asn=context.local_asn, local_asn=asn, router_id=FIRST
    )
    message = body(pack_attributes(context, attributes, HOP))
    (route,) = UpdateDecoder(ours, packed).unpack_update(message).advertised
    return route.attributes


def path_heard(context: AttributeContext, *segments: PathSegment, **attributes: Any) -> list[PathSegment]:
    found = heard(context, PathAttributes(learned=Learned(as_path=segments), **attributes)).learned
    assert found is not None
    return list(found.as_path)


segments = st.lists(
    st.builds(
        PathSegment,
        st.sampled_from([SET, SEQUENCE]),
        st.lists(st.integers(1, 2**32 - 1).filter(lambda asn: asn != 65000), min_size=1, max_size=5).map(
            tuple
        ),
    ),
    max_size=4,
).map(tuple)
addresses = uint32.map(IPv4Address).filter(lambda address: address != FIRST)
carried = st.builds(
    Learned,
    as_path=segments,
    origin=st.sampled_from(Origin),
    originator_id=st.none() | addresses,
    cluster_list=st.lists(addresses, max_size=100).map(tuple),
    unrecognized=st.binary(max_size=300).map(lambda value: (attribute(99, value, flags=0xE0),)),
)


@given(path_attributes, carried)
def test_an_internal_peer_hears_what_was_learned_unchanged(attributes: PathAttributes, what: Learned) -> None:
    sent = replace(
        attributes, as_path_prepend=0, local_preference=7, learned=replace(what, med=attributes.med)
    )

    assert sent == heard(INTERNAL, sent)


def test_attributes_stand_in_ascending_order_of_type() -> None:
    what = Learned(
        originator_id=FIRST,
        cluster_list=(SECOND,),
        unrecognized=(ATOMIC, AGGREGATED, attribute(25, bytes(20), flags=0xE0)),
    )
    sent = PathAttributes(communities=(1,), large_communities=((1, 2, 3),), only_to_customer=5, learned=what)
    packed = pack_attributes(INTERNAL, sent, HOP)

    kinds = []
    while packed:
        kinds.append(packed[1])
        packed = packed[3 + packed[2] :]

    assert [1, 2, 3, 5, 6, 7, 8, 9, 10, 25, 32, 35] == kinds


def test_an_external_peer_hears_our_as_before_the_path() -> None:
    """RFC 4271 §5.1.2 b 1."""
    assert [sequence(65000, 65030, 7)] == path_heard(EXTERNAL, sequence(65030, 7))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param((), (sequence(65000),), id="an empty path"),
        pytest.param((PathSegment(SET, (7, 8)),), (sequence(65000), PathSegment(SET, (7, 8))), id="a set"),
        pytest.param(
            (sequence(*range(1, 256)),), (sequence(65000), sequence(*range(1, 256))), id="a full sequence"
        ),
        pytest.param((sequence(*range(1, 255)),), (sequence(65000, *range(1, 255)),), id="one place is left"),
        pytest.param((PathSegment(CONFED, (64600,)), sequence(7)), (sequence(65000, 7),), id="confederation"),
    ],
)
def test_our_as_gets_a_segment_where_it_needs_one(
    before: tuple[PathSegment, ...], after: tuple[PathSegment, ...]
) -> None:
    """RFC 4271 §5.1.2 b; RFC 5065 §4.1: segments of a confederation stay inside."""
    assert list(after) == path_heard(EXTERNAL, *before)


def test_our_as_stands_there_as_often_as_asked() -> None:
    assert [sequence(65000, 65000, 65000, 7)] == path_heard(EXTERNAL, sequence(7), as_path_prepend=2)


def test_an_external_peer_hears_nothing_of_reflectors_and_no_foreign_med() -> None:
    """RFC 4456 §8 (both attributes are non-transitive), RFC 4271 §5.1.4 and §5.1.5."""
    what = Learned(originator_id=FIRST, cluster_list=(SECOND,), med=9)

    found = heard(EXTERNAL, PathAttributes(med=9, local_preference=7, learned=what))

    assert found.learned == Learned(as_path=(sequence(65000),))
    assert (None, None) == (found.med, found.local_preference)


def test_a_med_that_we_have_set_ourselves_goes_to_external_peers() -> None:
    assert heard(EXTERNAL, PathAttributes(med=5, learned=Learned(med=9))).med == 5


def test_private_as_numbers_are_left_out_where_that_is_asked() -> None:
    """RFC 6996 §4; our own stays, whatever it is."""
    context = replace(EXTERNAL, remove_private_asns=True)
    before = (sequence(64512, 7, 65534, 4200000000, 4294967294), PathSegment(SET, (64513,)), sequence(65535))

    assert [sequence(65000, 7), sequence(65535)] == path_heard(context, *before)


def test_private_as_numbers_stay_inside_the_as() -> None:
    context = replace(INTERNAL, remove_private_asns=True)

    assert [sequence(64512, 7)] == path_heard(context, sequence(64512, 7))


@given(segments, st.booleans())
def test_a_peer_with_two_octets_can_join_the_path(before: tuple[PathSegment, ...], ibgp: bool) -> None:
    """RFC 6793 §4.2.2: AS_TRANS, with AS4_PATH beside it."""
    context = AttributeContext(local_asn=65000, ibgp=ibgp, four_octet_as=False)
    joined = [each for each in path_heard(context, *before) if each.asns]

    assert _numbers(joined) == _numbers(path_heard(replace(context, four_octet_as=True), *before))


def _numbers(path: list[PathSegment]) -> list[tuple[SegmentType, int]]:
    return [(segment.kind, asn) for segment in path for asn in segment.asns]


@pytest.mark.parametrize("asn", [65030, 4200000001])
def test_a_peer_with_two_octets_can_read_the_aggregator(asn: int) -> None:
    whole = attribute(wire.AGGREGATOR, asn.to_bytes(4) + FIRST.packed)
    context = replace(EXTERNAL, four_octet_as=False)

    found = heard(context, PathAttributes(learned=Learned(unrecognized=(whole,)))).learned

    assert found is not None
    assert (whole,) == found.unrecognized


def test_a_route_whose_attributes_fill_a_message_is_left_out() -> None:
    def carrying(octets: int) -> Route:
        unread = (attribute(99, bytes(octets), flags=0xE0),)
        return Route(prefix("10.0.0.0/24"), HOP, PathAttributes(learned=Learned(unrecognized=unread)))

    context = PackingContext(attributes=EXTERNAL)

    assert fits(context, carrying(3900))
    assert not fits(context, carrying(4090))

"""UPDATEs packed by hand against exabgp's own reading and writing of them."""

from collections import Counter
from ipaddress import IPv4Address, IPv4Network, ip_address, ip_network
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from speaker.bgp import exabgp_classes as exabgp
from speaker.bgp.codec_open import exabgp_open, pack_open
from speaker.bgp.codec_update import AttributeContext, UpdateDecoder, pack_attributes
from speaker.bgp.messages import MAX_MESSAGE, Framer, MessageType
from speaker.bgp.packing import (
    PackingContext,
    Withdrawal,
    alike,
    fits,
    is_multiprotocol,
    pack_end_of_rib,
    pack_routes,
    pack_withdrawals,
)
from speaker.model.peer import Peer
from speaker.model.prefix import Address, Family, Prefix, host_prefix
from speaker.model.route import PathAttributes, Route
from tests.bgp.builders import as_sent, host_routes, peer, route
from tests.bgp.strategies import path_attributes, prefixes, routes

OURS = peer(extended_next_hop=True)
EBGP = AttributeContext(local_asn=65000, ibgp=False, four_octet_as=True)
CONTEXT = PackingContext(attributes=EBGP)
# Room for one prefix of any kind, in MP_UNREACH_NLRI.
MIN_MESSAGE = 23 + 7 + 17
IBGP = AttributeContext(local_asn=65000, ibgp=True, four_octet_as=True)


def mirror(configured: Peer) -> Peer:
    return peer(asn=configured.local_asn, local_asn=configured.asn, extended_next_hop=True)


def decoder(configured: Peer = OURS) -> UpdateDecoder:
    """The peer's reading of what we send."""
    sent = pack_open(configured, restarting=False, forwarding_preserved=True)
    return UpdateDecoder(mirror(configured), sent[19:])


def bodies(messages: Any) -> list[bytes]:
    stream = b"".join(messages)
    frames = list(Framer().feed(stream))
    assert all(kind is MessageType.UPDATE for kind, _ in frames)
    return [body for _, body in frames]


def read(messages: Any, configured: Peer = OURS) -> tuple[list[Route], list[Prefix]]:
    advertised: list[Route] = []
    withdrawn: list[Prefix] = []
    reader = decoder(configured)
    for body in bodies(messages):
        update = reader.unpack_update(body)
        advertised += map(as_sent, update.advertised)
        withdrawn += [path.prefix for path in update.withdrawn]
    return advertised, withdrawn


def as_heard(sent: Route) -> Route:
    """An external peer hears no LOCAL_PREF, and the prepend count is in AS_PATH."""
    attributes = sent.attributes
    return Route(
        sent.prefix,
        sent.next_hop,
        PathAttributes(
            communities=attributes.communities,
            large_communities=attributes.large_communities,
            extended_communities=attributes.extended_communities,
            med=attributes.med,
        ),
    )


@given(
    st.dictionaries(prefixes(), st.integers(0, 4), max_size=60), st.lists(routes(), min_size=5, max_size=5)
)
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
def test_the_peer_reads_the_routes_we_packed(chosen: dict[Prefix, int], models: list[Route]) -> None:
    sent = [
        Route(prefix, models[number].next_hop, models[number].attributes)
        for prefix, number in chosen.items()
        if not (prefix.version == 6 and models[number].next_hop.version == 4)
    ]

    advertised, withdrawn = read(pack_routes(CONTEXT, sent))

    assert Counter(map(as_heard, sent)) == Counter(advertised)
    assert not withdrawn


def exabgp_prefixes(body: bytes) -> set[tuple[Prefix, Address]]:
    """What exabgp's own UPDATE parser finds, next hops included."""
    negotiated = exabgp.Negotiated({"capability": {"aigp": None}})
    negotiated.sent(exabgp_open(mirror(OURS)))
    negotiated.received(exabgp_open(OURS))
    decoded = exabgp.Update.unpack_message(body, exabgp.Direction.IN, negotiated)
    return {(ip_network(nlri.cidr.prefix()), ip_address(str(nlri.nexthop))) for nlri in decoded.nlris}


@given(st.sets(prefixes(), min_size=1, max_size=80), path_attributes)
@settings(max_examples=40)
def test_exabgp_itself_reads_the_same_prefixes_and_next_hops(
    chosen: set[Prefix], attributes: PathAttributes
) -> None:
    hops = {4: ip_address("192.0.2.9"), 6: ip_address("2001:db8::9")}
    sent = [Route(prefix, hops[prefix.version], attributes) for prefix in chosen]

    read_back = [exabgp_prefixes(body) for body in bodies(pack_routes(CONTEXT, sent))]

    assert {(one.prefix, one.next_hop) for one in sent} == set().union(*read_back)


@given(st.sets(prefixes(), max_size=80), st.booleans())
def test_the_peer_reads_the_withdrawals_we_packed(chosen: set[Prefix], over_ipv6: bool) -> None:
    gone = [Withdrawal(prefix, prefix.version == 6 or over_ipv6) for prefix in chosen]

    advertised, withdrawn = read(pack_withdrawals(CONTEXT, gone))

    assert chosen == set(withdrawn)
    assert len(chosen) == len(withdrawn)
    assert not advertised


@given(path_attributes, st.booleans(), st.booleans())
def test_attributes_equal_those_of_exabgp(attributes: PathAttributes, ibgp: bool, four_octets: bool) -> None:
    """Without a prepend, exabgp's own collection of attributes packs the same octets."""
    attributes = PathAttributes(
        communities=attributes.communities,
        med=attributes.med,
        local_preference=attributes.local_preference if ibgp else None,
    )
    collection = exabgp.Attributes()
    collection.add(exabgp.NextHop("192.0.2.9"))
    if attributes.med is not None:
        collection.add(exabgp.MED(attributes.med))
    if attributes.local_preference is not None:
        collection.add(exabgp.LocalPreference(attributes.local_preference))
    if attributes.communities:
        values = [exabgp.Community(value.to_bytes(4)) for value in attributes.communities]
        collection.add(exabgp.Communities(values))

    class Wire:
        asn4 = four_octets
        local_as = exabgp.ASN(65000)
        peer_as = exabgp.ASN(65000 if ibgp else 65030)

    context = AttributeContext(local_asn=65000, ibgp=ibgp, four_octet_as=four_octets)
    assert bytes(collection.pack(Wire)) == pack_attributes(context, attributes, ip_address("192.0.2.9"))


def test_equal_attributes_share_messages_up_to_the_limit() -> None:
    messages = list(pack_routes(CONTEXT, host_routes(50_000).values()))

    assert max(map(len, messages)) <= MAX_MESSAGE
    assert len(messages) <= 62  # 809 prefixes of 5 octets fit beside the attributes


def test_different_attributes_do_not_share_messages() -> None:
    sent = [route("10.0.0.0/24"), route("10.0.1.0/24", med=1), route("10.0.2.0/24", next_hop="192.0.2.8")]

    assert len(list(pack_routes(CONTEXT, sent))) == 3


def test_reach_and_unreach_never_share_a_message() -> None:
    """RFC 7606 §5.1."""
    gone = [Withdrawal(route("2001:db8:1::/48").prefix, multiprotocol=True)]

    messages = [*pack_withdrawals(CONTEXT, gone), *pack_routes(CONTEXT, [route("2001:db8::/48")])]

    assert len(messages) == 2


@pytest.mark.parametrize(
    ("context", "path"),
    [
        pytest.param(EBGP, bytes.fromhex("400212 02040000fde80000fde80000fde80000fde8"), id="eBGP"),
        pytest.param(IBGP, bytes.fromhex("400200"), id="iBGP"),
    ],
)
def test_the_local_as_is_prepended_toward_external_peers_only(context: AttributeContext, path: bytes) -> None:
    packed = pack_attributes(context, PathAttributes(as_path_prepend=3), None)

    assert path in packed


def test_local_preference_goes_to_internal_peers_only_and_is_100_by_default() -> None:
    default = pack_attributes(IBGP, PathAttributes(), None)
    chosen = pack_attributes(IBGP, PathAttributes(local_preference=200), None)
    external = pack_attributes(EBGP, PathAttributes(local_preference=200), None)

    assert bytes.fromhex("400504 00000064") in default
    assert bytes.fromhex("400504 000000c8") in chosen
    assert bytes.fromhex("400504") not in external


def test_a_peer_of_two_octets_hears_as_trans_and_as4_path() -> None:
    context = AttributeContext(local_asn=4200000001, ibgp=False, four_octet_as=False)

    packed = pack_attributes(context, PathAttributes(), None)

    assert bytes.fromhex("400204 02015ba0") in packed
    assert bytes.fromhex("c01106 0201fa56ea01") in packed


def test_attributes_that_leave_no_room_for_a_prefix_do_not_fit() -> None:
    ordinary = route("10.0.0.0/24", communities=tuple(range(100)))
    bursting = route("10.0.0.0/24", communities=tuple(range(1100)))

    assert fits(CONTEXT, ordinary)
    assert not fits(CONTEXT, bursting)
    assert not list(pack_routes(CONTEXT, [bursting]))


def test_ipv4_travels_in_mp_reach_only_over_an_ipv6_next_hop() -> None:
    assert not is_multiprotocol(route("10.0.0.0/24"))
    assert is_multiprotocol(route("10.0.0.0/24", next_hop="2001:db8::1"))
    assert is_multiprotocol(route("2001:db8::/48"))


@pytest.mark.parametrize("family", Family)
def test_end_of_rib_is_read_as_what_it_is(family: Family) -> None:
    [body] = bodies([pack_end_of_rib(family)])

    assert decoder().unpack_update(body).end_of_rib is family


def one_by_one(hosts: list[Prefix]) -> bytes:
    """NLRI of /32s, packed the plain way (RFC 4271 §4.3)."""
    return b"".join(b"\x20" + each.network_address.packed for each in hosts)


@given(st.lists(st.builds(IPv4Address, st.integers(0, 2**32 - 1)), min_size=1, unique=True), st.booleans())
def test_hosts_packed_in_columns_equal_those_packed_one_by_one(
    addresses: list[IPv4Address],
    lean: bool,
) -> None:
    hosts: list[Prefix] = [host_prefix(each) if lean else IPv4Network(each) for each in addresses]
    hop = IPv4Address("192.0.2.9")

    advertising = bodies(pack_routes(CONTEXT, [Route(each, hop) for each in hosts]))
    withdrawing = bodies(pack_withdrawals(CONTEXT, [Withdrawal(each, multiprotocol=False) for each in hosts]))

    assert one_by_one(hosts) == b"".join(body[4 + int.from_bytes(body[2:4]) :] for body in advertising)
    assert one_by_one(hosts) == b"".join(body[2:-2] for body in withdrawing)


@given(
    st.lists(st.tuples(prefixes(), st.integers(0, 2)), max_size=40),
    st.lists(routes(), min_size=3, max_size=3),
)
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_alike_are_routes_that_differ_in_address_alone(
    chosen: list[tuple[Prefix, int]], models: list[Route]
) -> None:
    sent = [Route(prefix, models[number].next_hop, models[number].attributes) for prefix, number in chosen]

    groups = alike(sent)

    assert Counter(sent) == Counter(each for group in groups for each in group)
    for first, *others in groups:
        for each in others:
            assert (each.attributes, each.next_hop) == (first.attributes, first.next_hop)
            assert (each.prefix.version, each.prefix.prefixlen) == (
                first.prefix.version,
                first.prefix.prefixlen,
            )


@given(st.sets(prefixes(), max_size=40), st.integers(MIN_MESSAGE, 100), st.booleans())
def test_prefixes_of_all_lengths_share_updates_that_are_no_longer_than_they_may_be(
    chosen: set[Prefix], longest: int, over_ipv6: bool
) -> None:
    context = PackingContext(attributes=EBGP, max_message=longest)
    gone = [Withdrawal(each, each.version == 6 or over_ipv6) for each in chosen]

    messages = list(pack_withdrawals(context, gone))

    assert Counter(chosen) == Counter(read(messages)[1])
    assert all(len(message) <= longest for message in messages)

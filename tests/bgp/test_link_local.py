"""Sessions between IPv6 link-local addresses: scopes, and next hops of two addresses (RFC 2545 §3)."""

import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import IPv6Address, ip_address
from typing import Any

import pytest

from speaker.bgp.messages import HEADER, OpenMessage
from speaker.bgp.negotiation import negotiate
from speaker.bgp.packing import PackingContext, pack_routes
from speaker.model.peer import Peer, SessionFacts, SessionState
from speaker.model.prefix import Address, Family
from speaker.model.route import PrefixPath
from speaker.sockets import address_of, same_host, socket_address
from tests.bgp.builders import PORT, Speaker, as_sent, peer, prefix, route, routes, until
from tests.bgp.test_packing import read
from tests.lab.net.topology import Topology

Speak = Callable[..., Speaker]

LO = socket.if_nametoindex("lo")
OURS = IPv6Address("fe80::1%lo")
GLOBAL = IPv6Address("2001:db8::9")


def context(local_address: Address, **settings: Any) -> PackingContext:
    """How a session with this end of ours packs."""
    configured = peer(**settings)
    message = OpenMessage(
        asn=configured.asn,
        hold_time_seconds=90,
        router_id=configured.router_id,
        families=frozenset(Family),
        four_octet_as=True,
        extended_next_hop=True,
    )
    return negotiate(configured, message, local_address).packing


def next_hop_of(message: bytes) -> bytes:
    """The next hop field of MP_REACH_NLRI, which is the first attribute (RFC 7606 §5.1)."""
    attributes = message[HEADER.size + 4 :]
    flags, kind, _, _, _, length = struct.unpack_from("!BBHHBB", attributes)
    assert (flags, kind) == (0x90, 14)
    return attributes[8 : 8 + length]


# -- next hops -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "hop"), [("2001:db8:1::/48", "2001:db8::9"), ("10.1.0.0/16", "2001:db8::9")]
)
def test_over_link_local_addresses_our_own_follows_the_next_hop(text: str, hop: str) -> None:
    """RFC 2545 §3, and RFC 8950 §3 for IPv4: 32 octets, the global address first; no scope is on the wire."""
    [message] = pack_routes(context(OURS, extended_next_hop=True), [route(text, hop)])

    assert GLOBAL.packed + IPv6Address("fe80::1").packed == next_hop_of(message)


@pytest.mark.parametrize("local_address", ["2001:db8::1", "192.0.2.1"])
def test_over_other_addresses_the_next_hop_stands_alone(local_address: str) -> None:
    """RFC 2545 §3: 16 octets "in all other cases"."""
    [message] = pack_routes(context(ip_address(local_address)), [route("2001:db8:1::/48")])

    assert GLOBAL.packed == next_hop_of(message)


def test_an_ipv4_next_hop_stays_in_its_own_attribute() -> None:
    [message] = pack_routes(context(OURS), [route("10.1.0.0/16")])

    assert bytes.fromhex("400304 c0000209") in message
    assert IPv6Address("fe80::1").packed not in message


@pytest.mark.parametrize("text", ["2001:db8:1::/48", "10.1.0.0/16"])
def test_the_peer_reads_the_global_next_hop(text: str) -> None:
    sent = route(text, "2001:db8::9")

    assert ([sent], []) == read(pack_routes(context(OURS, extended_next_hop=True), [sent]))


def test_the_longer_next_hop_is_counted_when_messages_are_filled() -> None:
    sent = [route(f"2001:db8:{number:x}::/48") for number in range(2000)]

    messages = list(pack_routes(context(OURS), sent))

    assert max(map(len, messages)) <= 4096
    assert set(sent) == set(read(messages)[0])


# -- scopes --------------------------------------------------------------------------------------------


def test_a_scope_is_a_name_or_a_number() -> None:
    named, numbered = IPv6Address("fe80::1%lo"), IPv6Address(f"fe80::1%{LO}")

    assert ("fe80::1", 179, 0, LO) == socket_address(named, 179) == socket_address(numbered, 179)
    assert named != numbered
    assert same_host(named, numbered)
    assert same_host(numbered, named)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("fe80::1%lo", "fe80::1%77777", id="another link"),
        pytest.param("fe80::1%lo", "fe80::2%lo", id="another address"),
        pytest.param("fe80::1%lo", "fe80::1", id="no link"),
        pytest.param("fe80::1%lo", "fe80::1%no-such", id="a link that is not there"),
        pytest.param("::1", "0.0.0.1", id="another family"),
    ],
)
def test_different_hosts(one: str, other: str) -> None:
    assert not same_host(ip_address(one), ip_address(other))
    assert not same_host(ip_address(other), ip_address(one))


def test_the_link_of_a_connection_is_told_by_its_name() -> None:
    assert IPv6Address("fe80::1%lo") == address_of(("fe80::1", 179, 0, LO))


def test_a_link_without_a_name_here_is_told_by_its_number() -> None:
    """It is in another network namespace, or gone."""
    assert IPv6Address("fe80::1%77777") == address_of(("fe80::1", 179, 0, 77777))


def test_only_link_local_addresses_have_a_scope() -> None:
    assert IPv6Address("2001:db8::1") == address_of(("2001:db8::1", 179, 0, 0))
    assert ip_address("127.0.0.1") == address_of(("127.0.0.1", 179))


def test_an_address_of_a_link_that_is_not_there_cannot_be_dialled() -> None:
    with pytest.raises(OSError, match="interface"):
        socket_address(IPv6Address("fe80::1%no-such"), 179)


# -- on a link -----------------------------------------------------------------------------------------


@pytest.fixture
def link() -> Iterator[Topology]:
    with Topology(nodes=1, clients=0) as made:
        yield made


def both_ends(link: Topology, **settings: Any) -> tuple[Peer, Peer]:
    """The router as the node has it configured, and the node as the router has."""
    ends = link.link("node1")
    router = IPv6Address(f"{ends.upper.link_local}%{ends.lower.index}")
    node = IPv6Address(f"{ends.lower.link_local}%{ends.upper.index}")
    dialling = peer(address=router, **settings)
    passive = replace(
        dialling,
        address=node,
        asn=dialling.local_asn,
        local_asn=dialling.asn,
        router_id=type(dialling.router_id)(int(dialling.router_id) + 1),
        passive=True,
    )
    return dialling, passive


def start(speak: Speak, link: Topology, **settings: Any) -> tuple[Speaker, Speaker]:
    """A speaker at each end; the router's listens on its link-local address alone."""
    ends = link.link("node1")
    dialling, passive = both_ends(link, **settings)
    listening = IPv6Address(f"{ends.upper.link_local}%{ends.upper.index}")
    router = speak(
        passive,
        open_socket=ends.upper.host.namespace.socket,
        listen_port=PORT,
        listen_addresses=(listening,),
    )
    return speak(dialling, open_socket=ends.lower.host.namespace.socket), router


def facts(speaker: Speaker) -> SessionFacts:
    found = speaker.peers.sessions()["tor"].facts
    assert found is not None
    return found


@pytest.mark.netns
async def test_two_speakers_meet_on_their_link(speak: Speak, link: Topology) -> None:
    node, router = start(speak, link)
    await node.until_state(SessionState.ESTABLISHED)
    await router.until_state(SessionState.ESTABLISHED)

    ours = facts(node).local_address
    assert isinstance(ours, IPv6Address)
    assert int(ours) == int(link.link("node1").lower.link_local)
    assert ours.scope_id is not None
    sent = routes("10.0.0.0/24", "2001:db8:1::/48")
    node.peers.update("tor", sent)
    await until(lambda: len(router.peers.received("tor")) == 2)
    assert {PrefixPath(each): route for each, route in sent.items()} == {
        path: as_sent(each) for path, each in router.peers.received("tor").items()
    }


@pytest.mark.netns
async def test_ipv4_routes_need_no_ipv4_on_the_link(speak: Speak, link: Topology) -> None:
    """RFC 8950, what is called unnumbered."""
    node, router = start(speak, link, extended_next_hop=True)
    sent = {prefix("10.0.0.0/24"): route("10.0.0.0/24", "2001:db8::9")}

    node.peers.update("tor", sent)
    await until(lambda: router.peers.received("tor"))

    assert list(sent.values()) == list(map(as_sent, router.peers.received("tor").values()))


@pytest.mark.netns
@pytest.mark.parametrize("settings", [{"ttl_security_hops": 1}, {"hold_time_seconds": 9}])
async def test_settings_hold_on_a_link_too(speak: Speak, link: Topology, settings: dict[str, Any]) -> None:
    node, router = start(speak, link, **settings)

    await node.until_state(SessionState.ESTABLISHED)
    await router.until_state(SessionState.ESTABLISHED)

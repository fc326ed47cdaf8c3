"""Sessions come up: between and within ASes, over both families, dialled and accepted, near and far."""

from ipaddress import ip_address

import pytest

from speaker.bgp import SessionEventKind
from speaker.bgp.messages import ErrorCode, MessageType
from speaker.model.peer import SessionState
from speaker.model.prefix import Family
from tests.bgp.builders import prefix, until
from tests.interop.matrix import proves
from tests.interop.rack import Rack, against
from tests.interop.wire import Wire
from tests.lab.routers.table import SessionInfo

pytestmark = pytest.mark.netns

ESTABLISHED = SessionState.ESTABLISHED


@pytest.mark.parametrize(
    ("family", "ours", "theirs"),
    [
        (Family.IPV6, 65000, 65030),
        (Family.IPV4, 65030, 65030),
        (Family.IPV4, 4200000001, 4200000002),
    ],
)
async def test_a_session_within_and_between_ases_over_either_family(
    rack: Rack, family: Family, ours: int, theirs: int
) -> None:
    """eBGP, iBGP, and eBGP with AS numbers of four octets (RFC 6793)."""
    router = await rack.router(rack.neighbor(family=family, asn=ours), asn=theirs)
    speaker = rack.speaker(rack.peer(family=family, asn=theirs, local_asn=ours))
    await speaker.until_state(ESTABLISHED, "tor1")

    node = rack.address(family=family)
    await router.wait_established(str(node))
    assert (await router.sessions())[node].asn == ours


async def test_both_sides_know_the_other_and_the_smaller_hold_time(rack: Rack) -> None:
    router = await rack.router(hold_seconds=30, keepalive_seconds=10)
    speaker = rack.speaker(rack.peer(hold_time_seconds=12))
    await speaker.until_state(ESTABLISHED, "tor1")
    await router.wait_established("172.30.1.2")

    facts = speaker.peers.sessions()["tor1"].facts
    session: SessionInfo = (await router.sessions())[rack.address()]

    assert facts is not None
    assert (facts.hold_time_seconds, str(facts.peer_router_id)) == (12, router.config.router_id)
    assert (session.hold_seconds, session.router_id) == (12, "172.30.1.2")
    assert facts.local_address == rack.address()


async def test_the_router_learns_that_we_can_restart_gracefully(rack: Rack) -> None:
    """RFC 4724: each end has the other's capability, so either may be away for a moment."""
    _, speaker = await rack.session()

    facts = speaker.peers.sessions()["tor1"].facts

    assert facts is not None
    assert facts.peer_graceful_restart


@proves("passive")
async def test_a_passive_peer_waits_for_the_router_to_dial(rack: Rack) -> None:
    speaker = rack.speaker(rack.peer(passive=True), listen_port=179)
    router = await rack.router(rack.neighbor(passive=False))

    await speaker.until_state(ESTABLISHED, "tor1")

    speaker.peers.update("tor1", rack.routes("10.96.0.10/32"))
    await router.wait_routes({"10.96.0.10/32": {"172.30.1.2"}})


@proves("collision")
async def test_both_sides_dial_and_one_session_remains(rack: Rack) -> None:
    """Connection collisions (RFC 4271 section 6.8) end in one session that carries routes."""
    speaker = rack.speaker(rack.peer(), listen_port=179)
    router = await rack.router(rack.neighbor(passive=False))
    speaker.peers.update("tor1", rack.routes("10.96.0.10/32"))

    await router.wait_routes({"10.96.0.10/32": {"172.30.1.2"}})
    assert speaker.state("tor1") is ESTABLISHED


@against("bird", "frr")
async def test_of_two_connections_that_both_have_an_open_one_remains(rack: Rack) -> None:
    """What we dial lies still until the router has dialled too, so that there are two for sure.

    GoBGP and OpenBGPD do not dial while they are being called.
    """
    wire = Wire(waits_for_the_peer=True)
    router = await rack.router(rack.neighbor(passive=False))
    speaker = rack.speaker(rack.peer(), listen_port=179, wire=wire)
    speaker.peers.update("tor1", rack.routes("10.96.0.10/32"))

    await router.wait_routes({"10.96.0.10/32": {"172.30.1.2"}})

    # A third one follows when the router has one of them Established that we give up at that moment.
    assert len(wire.received.bodies(MessageType.OPEN)) >= 2
    said = (*wire.sent.notifications, *wire.received.notifications)
    assert all(each.code == ErrorCode.CEASE for each in said)
    assert len(speaker.kinds(SessionEventKind.ESTABLISHED)) == 1


@proves("multihop")
async def test_ebgp_through_a_hop(rack: Rack) -> None:
    """A router behind tor1, which forwards and so takes one from the TTL."""
    beyond = rack.address("client1")
    neighbor = rack.neighbor(multihop=True, local_address=beyond)
    router = await rack.router(neighbor, host="client1")
    speaker = rack.speaker(rack.peer(address=beyond, multihop_ttl=1))
    await until(lambda: speaker.peers.sessions()["tor1"].last_error, "a failure with a TTL of 1")

    speaker.peers.set_peers([rack.peer(address=beyond, multihop_ttl=2)])

    await speaker.until_state(ESTABLISHED, "tor1")
    speaker.peers.update("tor1", rack.routes("10.96.0.10/32", "fd00:96::10/128"))
    await router.wait_routes({"10.96.0.10/32": {"172.30.1.2"}, "fd00:96::10/128": {"fd00:30:1::2"}})


@proves("multihop")
async def test_ebgp_with_the_loopback_address_of_the_router(rack: Rack) -> None:
    """As sites do that have several links to a router."""
    loopback = ip_address("fd00:50::1")
    await rack.router(rack.neighbor(family=Family.IPV6, multihop=True, local_address=loopback))
    speaker = rack.speaker(rack.peer(address=loopback, multihop_ttl=2))

    await speaker.until_state(ESTABLISHED, "tor1")


@proves("hold-time-zero")
async def test_a_session_without_hold_time(rack: Rack) -> None:
    """Zero means no KEEPALIVEs, and silence is no failure (RFC 4271 section 4.2)."""
    router = await rack.router()
    speaker = rack.speaker(rack.peer(hold_time_seconds=0))
    speaker.peers.update("tor1", rack.routes("10.96.0.10/32"))

    await router.wait_routes({"10.96.0.10/32": {"172.30.1.2"}})
    facts = speaker.peers.sessions()["tor1"].facts
    assert facts is not None
    assert facts.hold_time_seconds == 0


async def test_two_routers_at_once_and_one_dies(rack: Rack) -> None:
    """The session with the other router does not notice."""
    first = await rack.router(number=1)
    second = await rack.router(number=2)
    speaker = rack.speaker(rack.peer(), rack.peer(router="tor2"))
    for name in ("tor1", "tor2"):
        await speaker.until_state(ESTABLISHED, name)
        speaker.peers.update(name, rack.routes("10.96.0.10/32", router=name))
    await first.wait_routes({"10.96.0.10/32": {"172.30.1.2"}})
    await second.wait_routes({"10.96.0.10/32": {"172.31.1.2"}})

    await first.kill()
    await until(lambda: speaker.kinds(SessionEventKind.CLOSED), "the end of the session")
    speaker.peers.update("tor2", rack.routes("10.96.0.11/32", router="tor2"))

    await second.wait_routes({"10.96.0.10/32": {"172.31.1.2"}, "10.96.0.11/32": {"172.31.1.2"}})
    closed = speaker.kinds(SessionEventKind.CLOSED)
    assert [event.peer for event in closed] == ["tor1"]
    assert len([each for each in speaker.kinds(SessionEventKind.ESTABLISHED) if each.peer == "tor2"]) == 1
    assert prefix("10.96.0.11/32") in speaker.peers.advertised("tor2")

"""Peers that nobody configures one by one: a router takes us for one of a prefix, and we take routers so."""

from dataclasses import replace
from typing import Any

import pytest

from speaker.bgp import SessionEventKind
from speaker.model.peer import Password, PeerRange, SessionState
from speaker.model.prefix import Family
from tests.bgp.builders import prefix, until
from tests.interop.matrix import proves
from tests.interop.rack import NODE_ASN, Rack, against
from tests.lab.routers.config import Neighbor

pytestmark = pytest.mark.netns

ESTABLISHED = SessionState.ESTABLISHED
VIP = "10.96.0.10/32"
V4, V6 = prefix("172.16.0.0/12"), prefix("fd00:30::/32")


def peers_of(rack: Rack, where: str = "172.16.0.0/12", limit: int = 10, **options: Any) -> PeerRange:
    """Routers in a prefix."""
    return PeerRange(prefix=prefix(where), limit=limit, template=rack.peer(**options))


@proves("dynamic-range")
async def test_a_router_takes_us_for_one_of_a_prefix(rack: Rack) -> None:
    router = await rack.router(*(Neighbor(where=where, asn=NODE_ASN, passive=True) for where in (V4, V6)))
    speaker = rack.speaker(*(rack.peer(family=family, name=family) for family in Family))
    for family in Family:
        await speaker.until_state(ESTABLISHED, family)

    speaker.peers.update(Family.IPV4, rack.routes(VIP))

    await router.wait_routes({VIP: {"172.30.1.2"}})
    await router.wait_established("172.30.1.2", "fd00:30:1::2")


@proves("passive")
async def test_we_take_a_router_for_one_of_a_prefix(rack: Rack) -> None:
    """With a password that holds for the whole prefix."""
    speaker = rack.speaker(ranges=(peers_of(rack, password=Password("s3cret")),), listen_port=179)
    router = await rack.router(rack.neighbor(passive=False, password="s3cret"))
    await until(lambda: "172.30.1.1" in speaker.peers.sessions(), "the router's connection")
    await speaker.until_state(ESTABLISHED, "172.30.1.1")

    speaker.peers.update("172.30.1.1", rack.routes(VIP))

    await router.wait_routes({VIP: {"172.30.1.2"}})
    assert [str(each.address) for each in speaker.peers.range_peers] == ["172.30.1.1"]


@against("bird")
async def test_a_range_has_a_limit(rack: Rack) -> None:
    """The second router is closed at once and counted; when there is room it comes in."""
    speaker = rack.speaker(ranges=(peers_of(rack, limit=1),), listen_port=179)
    await rack.router(rack.neighbor(passive=False))
    await until(lambda: speaker.kinds(SessionEventKind.ESTABLISHED), "the first router")
    await rack.router(rack.neighbor(router="tor2", passive=False), number=2)
    await until(lambda: speaker.peers.refused_connections, "the refusal of the second")
    assert list(speaker.peers.sessions()) == ["172.30.1.1"]

    speaker.peers.set_ranges([peers_of(rack, limit=2)])

    await until(lambda: "172.31.1.1" in speaker.peers.sessions(), "the second router")
    await speaker.until_state(ESTABLISHED, "172.31.1.1")
    assert not speaker.kinds(SessionEventKind.CLOSED)


@against("bird", "frr")
async def test_a_router_of_a_range_that_leaves_is_forgotten(rack: Rack) -> None:
    speaker = rack.speaker(ranges=(peers_of(rack),), listen_port=179)
    router = await rack.router(rack.neighbor(passive=False), graceful_restart=False)
    await until(lambda: speaker.kinds(SessionEventKind.ESTABLISHED), "the router")

    await router.stop()

    await until(lambda: not speaker.peers.sessions(), "no session")


@against("frr")
async def test_a_range_that_is_removed_takes_its_sessions_with_it(rack: Rack) -> None:
    """Each of its peers is told so (Cease, Peer De-configured); a range with other settings keeps them."""
    speaker = rack.speaker(ranges=(peers_of(rack),), listen_port=179)
    router = await rack.router(rack.neighbor(passive=False))
    await until(lambda: speaker.kinds(SessionEventKind.ESTABLISHED), "the router")
    wanted = peers_of(rack)
    speaker.peers.set_ranges([replace(wanted, template=replace(wanted.template, description="tor"))])
    assert not speaker.kinds(SessionEventKind.CLOSED)

    speaker.peers.set_ranges([])

    await until(lambda: speaker.kinds(SessionEventKind.CLOSED), "the end of the session")
    node = rack.address()
    await router.wait_sessions(
        lambda found: "Peer De-configured" in (found[node].last_error or ""), what="the reason"
    )

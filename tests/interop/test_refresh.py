"""Asking for everything again (RFC 2918), with a begin and an end where both sides know them (RFC 7313)."""

import pytest

from speaker.bgp import SessionEventKind
from speaker.bgp.messages import RefreshSubtype
from speaker.model.prefix import Family
from tests.bgp.builders import Speaker, prefix, until
from tests.interop.matrix import proves
from tests.interop.rack import Rack, against
from tests.interop.wire import Wire
from tests.lab.routers.router import Router
from tests.lab.waiting import eventually

pytestmark = pytest.mark.netns

BOTH = {"10.96.0.10/32": {"172.30.1.2"}, "fd00:96::10/128": {"fd00:30:1::2"}}
ORIGIN = prefix("10.50.0.0/24")


async def exchanged(rack: Rack, wire: Wire, *, enhanced: bool = False) -> tuple[Router, Speaker]:
    """A session on which both sides have said all that they know."""
    router = await rack.router(rack.neighbor(enhanced_refresh=enhanced), originate=(ORIGIN,))
    speaker = rack.speaker(rack.peer(), wire=wire)
    speaker.peers.update("tor1", rack.routes(*BOTH))
    await router.wait_routes(BOTH)
    await until(lambda: wire.received.ends_of_rib == len(Family), "End-of-RIB of the router")
    return router, speaker


@proves("route-refresh")
async def test_a_router_that_asks_again_is_told_again(rack: Rack) -> None:
    router, speaker = await exchanged(rack, Wire())
    node = rack.address()

    async def received() -> int:
        return (await router.sessions())[node].received or 0

    before = await received()
    await router.ask_again(node)

    await eventually(received, lambda now: now > before, what="routes told again")
    await router.wait_routes(BOTH)
    assert not speaker.kinds(SessionEventKind.CLOSED)


@against("bird", "frr", "gobgp")
async def test_we_ask_and_are_told_again(rack: Rack) -> None:
    """OpenBGPD 7.7 has the capability, and takes a family for one that was not negotiated."""
    _, speaker = await exchanged(rack, Wire())
    await until(lambda: speaker.peers.received("tor1"), "the router's own prefix")
    before = len(speaker.kinds(SessionEventKind.UPDATE_RECEIVED))

    speaker.peers.request_refresh("tor1", Family.IPV4)

    await until(
        lambda: len(speaker.kinds(SessionEventKind.UPDATE_RECEIVED)) > before, "the router's prefix again"
    )
    assert {path.prefix for path in speaker.peers.received("tor1")} == {ORIGIN}


@proves("enhanced-route-refresh")
async def test_a_refresh_that_the_router_asks_for_has_a_begin_and_an_end(rack: Rack) -> None:
    """What the router has of us it takes for stale in between, and at the end it has it still."""
    wire = Wire()
    router, speaker = await exchanged(rack, wire, enhanced=True)

    await router.ask_again(rack.address())

    ends = [RefreshSubtype.BEGIN, RefreshSubtype.END]
    await until(lambda: sorted(wire.sent.refreshes) == sorted(2 * ends), "the marks of both families")
    assert wire.sent.refreshed > 0
    await router.wait_routes(BOTH)
    assert not speaker.kinds(SessionEventKind.CLOSED)


@against("bird", "frr")
async def test_a_refresh_that_we_ask_for_has_a_begin_and_an_end(rack: Rack) -> None:
    wire = Wire()
    _, speaker = await exchanged(rack, wire, enhanced=True)

    speaker.peers.request_refresh("tor1", Family.IPV4)

    await until(lambda: RefreshSubtype.END in wire.received.refreshes, "the router's end of the refresh")
    assert wire.received.refreshed > 0
    assert ORIGIN in {path.prefix for path in speaker.peers.received("tor1")}

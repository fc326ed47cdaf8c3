"""A password changes on both sides, one after the other: what the router keeps of our routes meanwhile.

What each router does is its own affair, and these are the facts that the pages on passwords tell.
"""

import pytest

from speaker.bgp import SessionEventKind
from speaker.model.peer import GracefulRestart, Password, Peer, SessionState
from tests.bgp.builders import Speaker, until
from tests.interop.rack import Rack, against
from tests.interop.watching import watching
from tests.lab.routers.router import Router

pytestmark = pytest.mark.netns

VIP = "10.96.0.10/32"
HOPS = {VIP: {"172.30.1.2"}}
FIRST, SECOND = "first", "second"


def peer(rack: Rack, password: str) -> Peer:
    """The router, with graceful restart."""
    return rack.peer(graceful_restart=GracefulRestart(), password=Password(password))


async def advertising(rack: Rack) -> tuple[Router, Speaker]:
    """A session with the first password, and a route on it."""
    router = await rack.router(rack.neighbor(password=FIRST))
    speaker = rack.speaker(peer(rack, FIRST))
    speaker.peers.update("tor1", rack.routes(VIP))
    await router.wait_routes(HOPS)
    return router, speaker


async def settled(speaker: Speaker) -> None:
    """The second session is there."""
    await until(
        lambda: len(speaker.kinds(SessionEventKind.ESTABLISHED)) == 2, "the session with the new password"
    )


@against("frr", "openbgpd")
async def test_ours_first_loses_no_route(rack: Rack) -> None:
    """The session ends as a restart does, and comes back when the router has the password too."""
    router, speaker = await advertising(rack)

    async with watching(router) as seen:
        speaker.peers.set_peers([peer(rack, SECOND)])
        await speaker.until_error("the password differs", "tor1")
        await router.set_password(rack.address(), SECOND)
        await settled(speaker)
        await router.wait_established("172.30.1.2")

    assert seen == [HOPS]


@against("bird", "frr", "gobgp")
async def test_ours_first_keeps_the_routes_until_the_router_changes(rack: Rack) -> None:
    """BIRD and GoBGP begin anew for another password, and forget what they helped with; it comes back."""
    router, speaker = await advertising(rack)

    async with watching(router) as seen:
        speaker.peers.set_peers([peer(rack, SECOND)])
        await speaker.until_error("the password differs", "tor1")
    assert seen == [HOPS]
    await router.set_password(rack.address(), SECOND)

    await settled(speaker)
    await router.wait_routes(HOPS)


@against("bird", "frr", "gobgp")
async def test_the_router_first_loses_the_routes_until_we_follow(rack: Rack) -> None:
    """They end the session with Cease, Other Configuration Change, and that is no restart."""
    router, speaker = await advertising(rack)

    await router.set_password(rack.address(), SECOND)
    await until(lambda: speaker.kinds(SessionEventKind.CLOSED), "the end of the session")
    (closed,) = speaker.kinds(SessionEventKind.CLOSED)
    await router.wait_routes({})
    speaker.peers.set_peers([peer(rack, SECOND)])

    assert "NOTIFICATION 6/6" in closed.reason
    await settled(speaker)
    await router.wait_routes(HOPS)


@against("openbgpd")
async def test_the_router_first_loses_no_route_where_it_waits_for_us(rack: Rack) -> None:
    """OpenBGPD has the session go on with the old password, and the next one with the new."""
    router, speaker = await advertising(rack)

    async with watching(router) as seen:
        await router.set_password(rack.address(), SECOND)
        assert speaker.state("tor1") is SessionState.ESTABLISHED
        speaker.peers.set_peers([peer(rack, SECOND)])
        await settled(speaker)
        await router.wait_established("172.30.1.2")

    assert seen == [HOPS]

"""A password changes on both sides, one after the other: what the router keeps of our routes meanwhile.

What each router does is its own affair, and these are the facts that the pages on passwords tell.
"""

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import pytest

from speaker.bgp import SessionEventKind
from speaker.model.peer import GracefulRestart, Password, Peer, SessionState
from speaker.model.prefix import Address, Prefix
from tests.bgp.builders import Speaker, until
from tests.interop.rack import Rack, against
from tests.interop.watching import watching
from tests.lab.routers.router import Router
from tests.lab.routers.table import NextHops, SessionInfo
from tests.lab.routers.table import SessionState as RouterState

pytestmark = pytest.mark.netns

VIP = "10.96.0.10/32"
HOPS = {VIP: {"172.30.1.2"}}
FIRST, SECOND = "first", "second"
# What `--connect-retry` is unless it is told otherwise, in seconds.
AS_SHIPPED = 30.0


def peer(rack: Rack, password: str, **settings: Any) -> Peer:
    """The router, with graceful restart."""
    return rack.peer(graceful_restart=GracefulRestart(), password=Password(password), **settings)


async def advertising(rack: Rack, where: Prefix | None = None, **settings: Any) -> tuple[Router, Speaker]:
    """A session with the first password, and a route on it; `where` is the router's range, if it has one."""
    router = await rack.router(replace(rack.neighbor(password=FIRST), where=where or rack.address()))
    speaker = rack.speaker(peer(rack, FIRST, **settings))
    speaker.peers.update("tor1", rack.routes(VIP))
    await router.wait_routes(HOPS)
    return router, speaker


async def settled(speaker: Speaker) -> None:
    """The second session is there."""
    await until(
        lambda: len(speaker.kinds(SessionEventKind.ESTABLISHED)) == 2, "the session with the new password"
    )


async def changed_ours_first(rack: Rack, where: Prefix | None = None, **settings: Any) -> list[NextHops]:
    """Our password changes, then the router's as soon as we say so: the tables seen meanwhile."""
    router, speaker = await advertising(rack, where, **settings)

    async with watching(router) as seen:
        speaker.peers.set_peers([peer(rack, SECOND, **settings)])
        await speaker.until_error("the password differs", "tor1")
        (neighbor,) = router.config.neighbors
        await router.reconfigure(replace(router.config, neighbors=(replace(neighbor, password=SECOND),)))
        await settled(speaker)
        await router.wait_established("172.30.1.2")
    return seen


@against("frr", "openbgpd")
async def test_ours_first_loses_no_route(rack: Rack) -> None:
    """The session ends as a restart does, and comes back when the router has the password too."""
    assert await changed_ours_first(rack) == [HOPS]


@against("frr", "openbgpd")
@pytest.mark.parametrize("connect_retry_seconds", [1.0, AS_SHIPPED])
async def test_ours_first_loses_no_route_however_long_an_attempt_may_last(
    rack: Rack, connect_retry_seconds: float
) -> None:
    """The usual attempts would meet FRR while it starts its machine, 1 s after its change."""
    assert await changed_ours_first(rack, connect_retry_seconds=connect_retry_seconds) == [HOPS]


@against("frr")
async def test_ours_first_loses_no_route_where_the_router_has_a_range(rack: Rack) -> None:
    """As the guide has it: the password belongs to the group of the range."""
    where = ip_network(f"{rack.address()}/24", strict=False)
    assert await changed_ours_first(rack, where, connect_retry_seconds=AS_SHIPPED) == [HOPS]


@against("frr")
async def test_ours_first_loses_no_route_when_the_router_follows_later(rack: Rack) -> None:
    """FRR is in Active by then: a second after our end of the session it begins to wait for us."""
    router, speaker = await advertising(rack, connect_retry_seconds=AS_SHIPPED)

    def is_waiting(sessions: Mapping[Address, SessionInfo]) -> bool:
        return [each.state for each in sessions.values()] == [RouterState.ACTIVE]

    async with watching(router) as seen:
        speaker.peers.set_peers([peer(rack, SECOND, connect_retry_seconds=AS_SHIPPED)])
        await router.wait_sessions(is_waiting, what="one in Active")
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

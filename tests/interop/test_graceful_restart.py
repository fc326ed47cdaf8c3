"""Graceful restart as the restarting speaker (RFC 4724): what the router keeps, and what goes when."""

import asyncio

import pytest

from speaker.bgp import SessionEventKind
from speaker.model.peer import GracefulRestart, SessionState
from tests.bgp.builders import Speaker, until
from tests.interop.matrix import proves
from tests.interop.rack import Rack, against
from tests.lab.routers.frr import Frr
from tests.lab.routers.router import Router
from tests.lab.routers.table import Table
from tests.lab.waiting import eventually

pytestmark = pytest.mark.netns

KEPT, CHANGED, GONE = ("10.96.0.10/32", "10.96.0.11/32", "fd00:96::12/128")
HOPS = {KEPT: {"172.30.1.2"}, CHANGED: {"172.30.1.2"}, GONE: {"fd00:30:1::2"}}


async def advertising(rack: Rack, restart_seconds: int = 30) -> tuple[Router, Speaker]:
    """A session with graceful restart, and three routes on it."""
    router = await rack.router()
    restart = GracefulRestart(restart_time_seconds=restart_seconds)
    speaker = rack.speaker(rack.peer(graceful_restart=restart))
    speaker.peers.update("tor1", rack.routes(KEPT, CHANGED, GONE, med=1))
    await router.wait_routes(HOPS)
    if router.installs_routes:
        await router.wait_fib({destination: {"node1"} for destination in HOPS})
    return router, speaker


def stale(table: Table) -> bool:
    """All routes are there and kept only because their peer is away; None is a daemon that does not tell."""
    paths = [path for each in table.values() for path in each]
    return len(paths) == len(HOPS) and all(path.stale is not False for path in paths)


async def closed(router: Router, rack: Rack) -> None:
    """The router has seen the session end."""
    node = rack.address()
    await router.wait_sessions(lambda found: node not in found or not found[node].established)


@proves("graceful-restart-helper")
async def test_a_restart_keeps_the_routes_until_end_of_rib(rack: Rack) -> None:
    router, speaker = await advertising(rack)

    await speaker.peers.stop(graceful_restart=True)
    await closed(router, rack)
    await router.wait_routes(stale)
    started_at = asyncio.get_running_loop().time()
    successor = rack.speaker(released=False, started_at=started_at)
    await successor.until_state(SessionState.ESTABLISHED, "tor1")
    await router.wait_established("172.30.1.2")

    # Nothing is known yet, so nothing is said, and nothing is lost.
    assert await router.next_hops() == HOPS
    successor.peers.update("tor1", rack.routes(KEPT, med=1) | rack.routes(CHANGED, med=2))
    successor.peers.release()

    def fresh(table: Table) -> bool:
        meds = {str(each): [path.med for path in paths] for each, paths in table.items()}
        kept_only_for_now = any(path.stale for paths in table.values() for path in paths)
        return meds == {KEPT: [1], CHANGED: [2]} and not kept_only_for_now

    # GoBGP shows the prefix that goes a moment before the one that changes.
    await router.wait_routes(fresh)
    assert await router.next_hops() == {KEPT: HOPS[KEPT], CHANGED: HOPS[CHANGED]}
    if router.installs_routes:
        await router.wait_fib({KEPT: {"node1"}, CHANGED: {"node1"}, GONE: set()})


@against("frr")
async def test_the_router_is_told_of_the_restart_and_of_its_end(rack: Rack) -> None:
    """The R bit at once, End-of-RIB of each family with the last of the routes, and not before."""
    router, speaker = await advertising(rack)
    assert isinstance(router, Frr)
    await speaker.peers.stop(graceful_restart=True)
    successor = rack.speaker(released=False, started_at=asyncio.get_running_loop().time())
    await router.wait_established("172.30.1.2")

    async def told() -> tuple[bool, set[str]]:
        fields = (await router.command_json("show bgp neighbors json"))["172.30.1.2"]["gracefulRestartInfo"]
        return fields["rBit"], {family for family, ended in fields["endOfRibRecv"].items() if ended}

    assert await told() == (True, set())
    successor.peers.update("tor1", rack.routes(*HOPS, med=1))
    successor.peers.release()
    await eventually(told, lambda found: found == (True, {"ipv4Unicast", "ipv6Unicast"}))


@proves("graceful-restart-helper")
async def test_a_killed_speaker_leaves_its_routes_too(rack: Rack) -> None:
    """The kernel closes the connection of a killed process; no NOTIFICATION is a restart."""
    router, speaker = await advertising(rack)

    await speaker.end()
    await closed(router, rack)

    await router.wait_routes(stale)
    assert await router.next_hops() == HOPS


@proves("graceful-restart-helper")
async def test_a_speaker_that_does_not_return_is_forgotten_after_the_restart_time(rack: Rack) -> None:
    router, speaker = await advertising(rack, restart_seconds=3)

    await speaker.peers.stop(graceful_restart=True)
    await closed(router, rack)
    assert await router.next_hops() == HOPS

    await router.wait_routes({})


async def test_without_the_capability_the_end_of_the_session_is_the_end_of_the_routes(rack: Rack) -> None:
    router = await rack.router()
    speaker = rack.speaker(rack.peer(graceful_restart=None))
    speaker.peers.update("tor1", rack.routes(*HOPS))
    await router.wait_routes(HOPS)

    await speaker.end()

    await router.wait_routes({})


async def test_a_drain_withdraws_in_spite_of_the_capability(rack: Rack) -> None:
    router, speaker = await advertising(rack)

    await speaker.peers.stop(graceful_restart=False, reason="drained")

    await router.wait_routes({})


async def test_a_router_that_restarts_has_the_routes_again(rack: Rack) -> None:
    router, speaker = await advertising(rack)

    await router.kill()
    await until(lambda: speaker.kinds(SessionEventKind.CLOSED), "the end of the session")
    await router.start()

    await router.wait_routes(HOPS)

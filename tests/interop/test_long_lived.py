"""Long-lived graceful restart (RFC 9494) of ours: the router keeps our routes as its last choice."""

import asyncio

import pytest

from speaker.model.peer import GracefulRestart, SessionState
from tests.bgp.builders import prefix
from tests.interop.matrix import proves
from tests.interop.rack import Rack
from tests.lab.routers.table import Table

pytestmark = pytest.mark.netns

VIP, FORBIDDEN = "10.96.0.10/32", "10.96.0.11/32"
LLGR_STALE, NO_LLGR = "65535:6", 0xFFFF0007
RESTART = GracefulRestart(restart_time_seconds=1, long_lived_seconds=60)


def last_choice(table: Table) -> bool:
    """The VIP alone is there, and bears LLGR_STALE."""
    return set(table) == {prefix(VIP)} and all(LLGR_STALE in path.communities for path in table[prefix(VIP)])


@proves("long-lived-helper")
async def test_after_the_restart_time_our_routes_are_a_last_choice(rack: Rack) -> None:
    """What bears NO_LLGR goes; the successor's routes are as good as new."""
    router = await rack.router(long_lived_seconds=60)
    speaker = rack.speaker(rack.peer(graceful_restart=RESTART))
    routes = rack.routes(VIP) | rack.routes(FORBIDDEN, communities=(NO_LLGR,))
    speaker.peers.update("tor1", routes)
    await router.wait_routes({VIP: {"172.30.1.2"}, FORBIDDEN: {"172.30.1.2"}})

    await speaker.peers.stop(graceful_restart=True)
    await router.wait_routes(last_choice)

    successor = rack.speaker(
        rack.peer(graceful_restart=RESTART), started_at=asyncio.get_running_loop().time()
    )
    successor.peers.update("tor1", rack.routes(VIP))
    await successor.until_state(SessionState.ESTABLISHED, "tor1")
    await router.wait_routes(
        lambda table: set(table) == {prefix(VIP)} and not any(path.communities for path in table[prefix(VIP)])
    )

"""A router that restarts gracefully (RFC 4724 section 4.2): what we keep of it, and until when."""

from dataclasses import replace
from typing import Any

import pytest

from speaker.bgp import SessionEventKind
from speaker.bgp.adj_rib_in import LLGR_STALE, NO_LLGR
from speaker.model.peer import GracefulRestart, SessionState
from tests.bgp.builders import Speaker, prefix, until
from tests.interop.matrix import proves
from tests.interop.rack import Rack
from tests.lab.routers.config import Originated
from tests.lab.routers.router import Router

pytestmark = pytest.mark.netns

KEPT, GONE, UNWANTED = (prefix(f"10.50.{number}.0/24") for number in range(3))
VIP = "10.96.0.10/32"
NO_LLGR_TEXT = "65535:7"


async def session(
    rack: Rack, *originate: Any, restart: GracefulRestart, **options: Any
) -> tuple[Router, Speaker]:
    """A router that can restart, with prefixes of its own that we have heard."""
    router = await rack.router(restarts_gracefully=True, originate=originate, **options)
    speaker = rack.speaker(rack.peer(graceful_restart=restart))
    speaker.peers.update("tor1", rack.routes(VIP))
    await until(lambda: len(speaker.peers.received("tor1")) >= len(originate), "the router's own prefixes")
    await router.wait_routes({VIP: {"172.30.1.2"}})
    return router, speaker


def ours(speaker: Speaker) -> set[Any]:
    """The prefixes that we have of the router."""
    return {path.prefix for path in speaker.peers.received("tor1")}


@proves("graceful-restart-restarter")
async def test_what_the_router_does_not_say_again_goes_with_its_end_of_rib(rack: Rack) -> None:
    """Nothing goes while it is away; what it says again before its End-of-RIB is never gone for a moment."""
    router, speaker = await session(rack, KEPT, GONE, restart=GracefulRestart())
    router.config = replace(router.config, originate=(KEPT,))

    await router.crash()
    await until(lambda: speaker.kinds(SessionEventKind.CLOSED), "the end of the session")
    assert ours(speaker) == {KEPT, GONE}
    await router.recover()

    await until(lambda: ours(speaker) == {KEPT}, "the end of what is stale")
    await router.wait_routes({VIP: {"172.30.1.2"}})
    updates = speaker.kinds(SessionEventKind.UPDATE_RECEIVED)
    withdrawn = {path.prefix for event in updates for path in event.withdrawn}
    # FRR and GoBGP may say End-of-RIB before they begin to originate.
    assert withdrawn <= {GONE, prefix(VIP)} or router.name != "bird"


@proves("graceful-restart-restarter")
async def test_a_router_that_does_not_return_is_forgotten_after_its_restart_time(rack: Rack) -> None:
    router, speaker = await session(rack, KEPT, restart=GracefulRestart(), restart_seconds=2)

    await router.crash()
    await until(lambda: speaker.kinds(SessionEventKind.CLOSED), "the end of the session")
    assert ours(speaker) == {KEPT}

    await until(lambda: not speaker.peers.received("tor1"), "the end of its restart time")
    assert speaker.state("tor1") is not SessionState.ESTABLISHED


@proves("long-lived-restarter")
async def test_after_the_restart_time_its_routes_are_a_last_choice(rack: Rack) -> None:
    """RFC 9494: they bear LLGR_STALE, but for those that must not be kept, until it says otherwise."""
    unwanted = Originated(prefix=UNWANTED, communities=(NO_LLGR_TEXT,))
    restart = GracefulRestart(long_lived_seconds=60)
    times = {"restart_seconds": 1, "long_lived_seconds": 60}
    router, speaker = await session(rack, KEPT, unwanted, restart=restart, **times)
    (marked,) = (route for path, route in speaker.peers.received("tor1").items() if path.prefix == UNWANTED)
    assert marked.attributes.communities == (NO_LLGR,)

    def communities() -> dict[Any, tuple[int, ...]]:
        found = speaker.peers.received("tor1")
        return {path.prefix: route.attributes.communities for path, route in found.items()}

    await router.crash()
    await until(lambda: communities() == {KEPT: (LLGR_STALE,)}, "the long-lived time")
    await router.recover()

    await until(lambda: communities() == {KEPT: (), UNWANTED: (NO_LLGR,)}, "the routes of the new session")

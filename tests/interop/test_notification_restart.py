"""Graceful restart after a NOTIFICATION (RFC 8538): the routes stay, but not after a Hard Reset."""

from typing import Any

import pytest

from speaker.bgp import SessionEventKind
from speaker.bgp.messages import Cease, ErrorCode
from speaker.model.peer import GracefulRestart, SessionState
from tests.bgp.builders import Speaker, prefix, until
from tests.interop.matrix import proves
from tests.interop.rack import Rack, against
from tests.interop.wire import Wire
from tests.lab.routers.router import Router
from tests.lab.routers.table import Table

pytestmark = pytest.mark.netns

VIP = "10.96.0.10/32"
ORIGIN = prefix("10.50.0.0/24")
OURS = GracefulRestart(notification=True)


async def session(rack: Rack, wire: Wire | None = None, **options: Any) -> tuple[Router, Speaker]:
    """A session on which both sides have the N bit, with routes in both directions."""
    router = await rack.router(
        notification_restart=True, restarts_gracefully=True, originate=(ORIGIN,), **options
    )
    speaker = rack.speaker(rack.peer(graceful_restart=OURS, hold_time_seconds=3), wire=wire)
    speaker.peers.update("tor1", rack.routes(VIP))
    await router.wait_routes({VIP: {"172.30.1.2"}})
    await until(lambda: received(speaker), "the router's own prefix")
    facts = speaker.peers.sessions()["tor1"].facts
    assert facts is not None
    assert facts.notification_restart
    return router, speaker


def received(speaker: Speaker) -> set[Any]:
    """The prefixes that we have of the router."""
    return {path.prefix for path in speaker.peers.received("tor1")} - {prefix(VIP)}


def stale(table: Table) -> bool:
    """The VIP is there, and only because we are away."""
    return prefix(VIP) in table and all(path.stale for path in table[prefix(VIP)])


@proves("notification-restart")
async def test_both_sides_keep_the_routes_when_a_hold_timer_ends_the_session(rack: Rack) -> None:
    """Section 4: "Hold Timer Expired" is the beginning of a graceful restart, whichever side says it."""
    router, speaker = await session(rack)

    with rack.topology.link("node1").silent():
        await until(lambda: speaker.kinds(SessionEventKind.CLOSED), "the end of the session")
        await router.wait_routes(stale)
        assert received(speaker) == {ORIGIN}

    await speaker.until_state(SessionState.ESTABLISHED, "tor1")
    await router.wait_routes(lambda table: prefix(VIP) in table and not stale(table))


@proves("notification-restart")
async def test_a_removed_peer_says_hard_reset(rack: Rack) -> None:
    """Section 3: with what it is for inside, and the routes are gone at once."""
    wire = Wire()
    router, speaker = await session(rack, wire)

    speaker.peers.set_peers([])

    await router.wait_routes({})
    (said,) = wire.sent.notifications
    assert said.is_hard_reset
    assert (said.inner.code, said.inner.subcode) == (ErrorCode.CEASE, Cease.PEER_DECONFIGURED)


@against("frr")
async def test_a_person_who_shuts_the_session_down_at_the_router_says_hard_reset(rack: Rack) -> None:
    """And so we keep nothing of it. GoBGP shuts down without a Hard Reset."""
    wire = Wire()
    router, speaker = await session(rack, wire)

    await router.disable(rack.address(), "under repair")

    await until(lambda: speaker.kinds(SessionEventKind.CLOSED), "the end of the session")
    (said,) = wire.received.notifications
    assert said.is_hard_reset
    assert not received(speaker)


@against("frr")
async def test_a_reset_that_is_not_hard_keeps_the_routes_of_the_router(rack: Rack) -> None:
    router, speaker = await session(rack, hard_reset=False)
    # The NOTIFICATION arrives, and no answer to what we dial after it.
    rack.topology.link("node1").lose_toward_router()

    await router.reset(rack.address())

    await until(lambda: speaker.kinds(SessionEventKind.CLOSED), "the end of the session")
    (closed,) = speaker.kinds(SessionEventKind.CLOSED)
    assert "NOTIFICATION 6/4" in closed.reason
    assert received(speaker) == {ORIGIN}

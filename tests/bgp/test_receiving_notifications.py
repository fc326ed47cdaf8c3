"""Whether a session that ended with a NOTIFICATION leaves routes behind (RFC 4724 §4, RFC 8538 §4)."""

import pytest

from speaker.bgp.messages import Notification, pack_notification
from tests.bgp.builders import route
from tests.bgp.meeting import meeting
from tests.bgp.restarting_router import (
    FIRST,
    NOTIFIES,
    OURS,
    RESTART,
    SECOND,
    SIXTH,
    gone,
    names,
    on_the_travelling_clock,
    routes_of_a_router,
)
from tests.bgp.travel import travel


async def test_a_notification_of_the_peer_is_no_restart() -> None:
    """RFC 4724 §4: only the end of TCP without one is."""
    async with routes_of_a_router() as met:
        await met.router.send(pack_notification(Notification(6, 2)))

        await met.until_received()
        assert {FIRST, SECOND, SIXTH} == gone(met)


async def test_a_notification_of_ours_is_no_restart() -> None:
    async with routes_of_a_router() as met:
        await met.router.send(bytes(19))

        await met.until_received()
        assert Notification(1, 1) == await met.router.expect_notification()


@on_the_travelling_clock
async def test_a_peer_that_falls_silent_has_not_restarted() -> None:
    async with routes_of_a_router(hold_time_seconds=9) as met:
        travel(10)

        await met.until_received()
        assert Notification(4) == await met.router.expect_notification()


@pytest.mark.parametrize("code", [(6, 2), (6, 3), (6, 4), (4, 0), (3, 1)])
async def test_with_the_n_bit_on_both_sides_a_notification_of_the_peer_keeps_the_routes(
    code: tuple[int, int],
) -> None:
    """RFC 8538 §4."""
    async with routes_of_a_router(NOTIFIES) as met:
        await met.router.send(pack_notification(Notification(*code)))
        await met.until_closed()

        assert {FIRST, SECOND, SIXTH} == names(met)


async def test_with_the_n_bit_on_both_sides_a_notification_of_ours_keeps_the_routes() -> None:
    async with routes_of_a_router(NOTIFIES) as met:
        await met.router.send(bytes(19))
        await met.until_closed()

        assert Notification(1, 1) == await met.router.expect_notification()
        assert {FIRST, SECOND, SIXTH} == names(met)


@on_the_travelling_clock
async def test_with_the_n_bit_on_both_sides_silence_keeps_the_routes() -> None:
    async with routes_of_a_router(NOTIFIES, hold_time_seconds=9) as met:
        travel(10)
        await met.until_closed()

        assert {FIRST, SECOND, SIXTH} == names(met)
        assert Notification(4) == await met.router.expect_notification()
        travel(125)
        await met.until_received()


@pytest.mark.parametrize(("ours", "theirs"), [(True, False), (False, True)])
async def test_the_n_bit_of_one_side_alone_keeps_nothing(ours: bool, theirs: bool) -> None:
    settings = OURS | {"graceful_restart": NOTIFIES if ours else RESTART}
    async with meeting(settings, {"graceful_restart": NOTIFIES if theirs else RESTART}) as met:
        await met.tell(route(FIRST))
        await met.router.send(pack_notification(Notification(6, 4)))

        await met.until_received()


@pytest.mark.parametrize("data", [b"", b"\x06\x02", b"\x06\x02\x03bye"])
async def test_a_hard_reset_of_the_peer_drops_the_routes(data: bytes) -> None:
    """RFC 8538 §3."""
    async with routes_of_a_router(NOTIFIES) as met:
        await met.router.send(pack_notification(Notification(6, 9, data)))

        await met.until_received()
        assert {FIRST, SECOND, SIXTH} == gone(met)


async def test_a_hard_reset_of_ours_drops_the_routes() -> None:
    async with routes_of_a_router(NOTIFIES) as met:
        met.peers.bfd_down("tor", "the path is dead")

        await met.until_received()
        assert Notification(6, 9, b"\x06\x0a") == await met.router.expect_notification()

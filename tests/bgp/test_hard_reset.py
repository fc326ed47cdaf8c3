"""Ends that have to take the routes along, where a NOTIFICATION alone would not (RFC 8538 §3)."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from speaker.bgp import SessionEventKind
from speaker.bgp.messages import Notification
from speaker.model.peer import GracefulRestart, SessionState
from tests.bgp.builders import route, routes, until
from tests.bgp.meeting import Meeting, meeting
from tests.bgp.travel import travel, with_travel

NOTIFIES = GracefulRestart(notification=True)
# The limit of one prefix, for IPv4 (RFC 4486 §4).
LIMIT = bytes.fromhex("0001 01 00000001")

End = Callable[[Meeting], Awaitable[object]]


async def drain(met: Meeting) -> None:
    await met.peers.stop(graceful_restart=False, reason="bye")


async def remove(met: Meeting) -> None:
    met.peers.set_peers([])


async def exceed(met: Meeting) -> None:
    await met.say(route("10.1.0.0/24"), route("10.1.1.0/24"))


async def bfd_down(met: Meeting) -> None:
    met.peers.bfd_down("tor", "the path to the peer is dead")


async def change_as(met: Meeting) -> None:
    met.change(local_asn=65001)


ENDS = [
    pytest.param(drain, Notification(6, 2, b"\x03bye"), id="drain"),
    pytest.param(remove, Notification(6, 3), id="removal"),
    pytest.param(exceed, Notification(6, 1, LIMIT), id="prefix limit"),
    pytest.param(bfd_down, Notification(6, 10), id="BFD down"),
    pytest.param(change_as, Notification(6, 6), id="another AS"),
]


async def last_words(met: Meeting, end: End) -> Notification:
    """What the router is told when the session ends this way."""
    ending = asyncio.ensure_future(end(met))
    told = await met.router.expect_notification()
    await ending
    return told


@pytest.mark.parametrize(("end", "real"), ENDS)
async def test_with_the_n_bit_the_real_code_stands_inside_a_hard_reset(end: End, real: Notification) -> None:
    """RFC 8538 §3.1: its code, subcode and data are the data of Cease, Hard Reset."""
    settings = {"graceful_restart": NOTIFIES, "max_prefixes": 1}
    async with meeting(settings, advertised=routes("10.0.0.0/24")) as met:
        told = await last_words(met, end)

        assert Notification(6, 9, bytes([real.code, real.subcode]) + real.data) == told
        assert real == told.inner


@pytest.mark.parametrize(("end", "real"), ENDS)
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        pytest.param(NOTIFIES, GracefulRestart(), id="the peer has no N bit"),
        pytest.param(GracefulRestart(), NOTIFIES, id="we have no N bit"),
        pytest.param(NOTIFIES, None, id="the peer has no graceful restart"),
    ],
)
async def test_otherwise_it_is_the_real_code(
    ours: GracefulRestart, theirs: GracefulRestart | None, end: End, real: Notification
) -> None:
    settings = {"graceful_restart": ours, "max_prefixes": 1}
    async with meeting(settings, {"graceful_restart": theirs}) as met:
        assert real == await last_words(met, end)


@pytest.mark.parametrize(
    ("end", "real"),
    [
        pytest.param(remove, Notification(6, 3), id="removal"),
        pytest.param(change_as, Notification(6, 6), id="another AS"),
    ],
)
async def test_before_the_session_is_established_it_is_the_real_code(end: End, real: Notification) -> None:
    """Nothing was negotiated yet, and no route was told."""
    settings = {"graceful_restart": NOTIFIES}
    async with meeting(settings, established=False) as met:
        await met.router.accept()
        await met.router.open_received()

        assert real == await last_words(met, end)


async def test_a_restart_of_ours_says_nothing_even_with_the_n_bit() -> None:
    async with meeting({"graceful_restart": NOTIFIES}) as met:
        stopping = asyncio.ensure_future(met.peers.stop(graceful_restart=True))

        await met.router.expect_end()
        await stopping


@pytest.mark.parametrize(
    ("message", "notification"), [(bytes(19), Notification(1, 1)), (None, Notification(4, 0))]
)
def test_errors_are_no_hard_resets(message: bytes | None, notification: Notification) -> None:
    """RFC 8538 §4: a fault, or silence, is what the N bit is for: the routes are to be kept."""

    async def scenario() -> None:
        async with meeting({"graceful_restart": NOTIFIES, "hold_time_seconds": 9}) as met:
            if message is None:
                travel(10)
            else:
                await met.router.send(message)

            assert notification == await met.router.expect_notification()

    with_travel(scenario)


async def test_bfd_down_without_a_session_changes_nothing() -> None:
    async with meeting(established=False) as met:
        await met.router.accept()
        await met.router.open_received()

        met.peers.bfd_down("tor", "the path to the peer is dead")
        met.peers.bfd_down("nobody", "the path to the peer is dead")
        await met.router.send(met.router.open())
        await met.router.receive()

        assert met.speaker.state() is SessionState.OPEN_CONFIRM


async def test_after_bfd_down_the_session_comes_back() -> None:
    settings: dict[str, Any] = {"connect_retry_seconds": 0.2}
    async with meeting(settings, advertised=routes("10.0.0.0/24")) as met:
        await met.first_advertisement()
        await met.tell(route("10.1.0.0/24"))
        met.peers.bfd_down("tor", "the path to the peer is dead")
        [closed] = met.speaker.kinds(SessionEventKind.CLOSED)
        assert closed.reason == "the path to the peer is dead (NOTIFICATION 6/10 sent)"
        await until(lambda: not met.received)

        await met.establish()

        assert (await met.router.update()).advertised
        assert met.flaps == 1

"""Proper messages in states where they do not belong (RFC 4271 §8.2.2, RFC 6608), and ends of sessions."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from speaker.bgp import SessionEventKind
from speaker.model.peer import SessionState
from tests.bgp.builders import until
from tests.fuzz import wire
from tests.hostile.scene import Scene, advertisement, scene
from tests.hostile.stranger import Told

OPEN_SENT, OPEN_CONFIRM, ESTABLISHED = (
    SessionState.OPEN_SENT,
    SessionState.OPEN_CONFIRM,
    SessionState.ESTABLISHED,
)
OPEN = wire.open_message(65030)
UPDATE = wire.update_message()
REFRESH = wire.route_refresh()

UNEXPECTED = [
    (OPEN_SENT, "UPDATE", UPDATE, Told(5, 1)),
    (OPEN_SENT, "KEEPALIVE", wire.KEEPALIVE_MESSAGE, Told(5, 1)),
    (OPEN_SENT, "ROUTE-REFRESH", REFRESH, Told(5, 1)),
    (OPEN_SENT, "malformed UPDATE", wire.frame(wire.UPDATE, b"\xff" * 4), Told(5, 1)),
    (OPEN_CONFIRM, "OPEN", OPEN, Told(5, 2)),
    (OPEN_CONFIRM, "malformed OPEN", wire.frame(wire.OPEN, bytes(10)), Told(5, 2)),
    (OPEN_CONFIRM, "UPDATE", UPDATE, Told(5, 2)),
    (OPEN_CONFIRM, "malformed UPDATE", wire.frame(wire.UPDATE, b"\xff" * 4), Told(5, 2)),
    (OPEN_CONFIRM, "ROUTE-REFRESH", REFRESH, Told(5, 2)),
    (ESTABLISHED, "OPEN", OPEN, Told(5, 3)),
    (ESTABLISHED, "malformed OPEN", wire.frame(wire.OPEN, bytes(10)), Told(5, 3)),
]


@pytest.mark.parametrize(
    ("state", "message", "told"),
    [
        pytest.param(state, message, told, id=f"{name} in {state}")
        for state, name, message, told in UNEXPECTED
    ],
)
async def test_a_message_where_it_does_not_belong_is_told(
    state: SessionState, message: bytes, told: Told
) -> None:
    """RFC 6608 §3: the subcode names the state."""
    async with scene() as played:
        assert told == await played.answer(state, message)
        await played.good_has_not_noticed()


NOTIFICATIONS = [
    pytest.param(wire.notification(6, 2, b"\x05hello"), id="shutdown"),
    pytest.param(wire.notification(2, 1, b"\x00\x03"), id="version"),
    pytest.param(wire.notification(6, 7), id="collision"),
    pytest.param(wire.notification(6, 9), id="hard reset"),
    pytest.param(wire.notification(6, 9, b"\x06"), id="hard reset of half a code"),
    pytest.param(wire.notification(0, 0), id="code 0"),
    pytest.param(wire.notification(255, 255, bytes(4000)), id="code 255, 4000 octets of data"),
    pytest.param(wire.notification(6, 2, b"\xff\x1b[2J\r\n\0\xff"), id="control characters"),
]


@pytest.mark.parametrize("state", [OPEN_SENT, OPEN_CONFIRM, ESTABLISHED])
@pytest.mark.parametrize("message", NOTIFICATIONS)
async def test_no_notification_is_answered_with_one(state: SessionState, message: bytes) -> None:
    """RFC 4271 §6.4."""
    async with scene() as played:
        assert None is await played.answer(state, message)
        reasons = [event.reason for event in played.speaker.events]
        assert all(reason.isprintable() and len(reason) <= 400 for reason in reasons)
        await played.good_has_not_noticed()


async def test_what_follows_a_notification_is_not_heard() -> None:
    """Neither what stands in the same segment, nor what comes after it."""
    async with scene() as played:
        await played.establish()
        after = advertisement(played.bad.peer, "10.1.0.0/16") + wire.frame(9)
        await played.bad.send(wire.notification(6, 2), after)

        assert None is await played.bad.last_words()
        assert not [event for event in played.speaker.events if event.advertised and event.peer == "bad"]
        await played.good_has_not_noticed()


# -- ends ------------------------------------------------------------------------------------------

Ending = Callable[[Scene], Awaitable[None]]


async def _reset_mid_message(played: Scene) -> None:
    await played.bad.send(advertisement(played.bad.peer, "10.1.0.0/16")[:-3])
    played.bad.reset()


async def _reset_mid_header(played: Scene) -> None:
    await played.bad.send(wire.KEEPALIVE_MESSAGE[:10])
    played.bad.reset()


async def _end_mid_message(played: Scene) -> None:
    await played.bad.send(advertisement(played.bad.peer, "10.1.0.0/16")[:-3])
    played.bad.hang_up()


async def _half_close(played: Scene) -> None:
    played.bad.half_close()
    assert None is await played.bad.last_words()


ENDINGS = [
    pytest.param(_reset_mid_message, id="a reset in the middle of a message"),
    pytest.param(_reset_mid_header, id="a reset in the middle of a header"),
    pytest.param(_end_mid_message, id="an end in the middle of a message"),
    pytest.param(_half_close, id="a half-closed connection"),
]


@pytest.mark.parametrize("state", [OPEN_SENT, OPEN_CONFIRM, ESTABLISHED])
@pytest.mark.parametrize("ending", ENDINGS)
async def test_however_a_connection_ends_the_next_one_works(state: SessionState, ending: Ending) -> None:
    async with scene() as played:
        await played.bad.accept()
        await played.bad.bring_to(state)
        await ending(played)

        await played.establish()
        await played.good_has_not_noticed()


async def test_routes_are_gone_with_the_session_that_brought_them() -> None:
    async with scene(graceful_restart=None) as played:
        await played.establish()
        await played.bad.send(advertisement(played.bad.peer, "10.1.0.0/16"))
        await played.until_received("10.1.0.0/16")
        played.bad.reset()

        await played.until_received()
        closed = played.events(SessionEventKind.CLOSED)
        await until(lambda: played.events(SessionEventKind.CLOSED), "CLOSED")
        assert len(closed) <= 1
        await played.good_has_not_noticed()


async def test_a_notification_that_nobody_reads_holds_nothing_open() -> None:
    """The peer neither reads our last words nor closes: the socket is gone after a moment all the same."""
    async with scene() as played:
        await played.establish()
        before = len(asyncio.all_tasks())
        await played.bad.send(wire.frame(9))

        await until(lambda: len(asyncio.all_tasks()) < before, "the connection's tasks")
        await played.good_has_not_noticed()

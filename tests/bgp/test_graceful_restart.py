"""The restarting speaker's flags (RFC 4724 §3, §4.1) and how sessions end for an upgrade."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from speaker.bgp import SessionEventKind
from speaker.bgp.messages import MessageType, Notification
from speaker.model.peer import GracefulRestart, SessionState
from tests.bgp.builders import Speaker, loopback, peer, routes, until
from tests.bgp.raw_peer import RawPeer

Speak = Callable[..., Speaker]
Raw = Callable[..., RawPeer]


async def test_r_is_set_on_the_first_session_after_a_start_and_on_no_other(speak: Speak, raw: Raw) -> None:
    configured = peer(address=loopback())
    router = raw(configured).listen()
    speaker = speak(configured, started_at=time.monotonic())
    await router.accept()
    first = await router.establish()
    await speaker.until_state(SessionState.ESTABLISHED)
    router.hang_up()
    await router.accept()
    second = await router.open_received()

    assert first.graceful_restart is not None
    assert second.graceful_restart is not None
    assert (True, False) == (first.graceful_restart.restarting, second.graceful_restart.restarting)


async def test_an_attempt_that_fails_does_not_use_up_the_r_bit(speak: Speak, raw: Raw) -> None:
    configured = peer(address=loopback())
    router = raw(configured).listen()
    speak(configured, started_at=time.monotonic())
    await router.accept()
    await router.open_received()
    await router.accept()

    again = await router.open_received()

    assert again.graceful_restart is not None
    assert again.graceful_restart.restarting


@pytest.mark.parametrize("started_seconds_ago", [None, 91.0])
async def test_r_is_clear_when_the_start_is_not_within_the_restart_time(
    speak: Speak, raw: Raw, started_seconds_ago: float | None
) -> None:
    configured = peer(address=loopback(), graceful_restart=GracefulRestart(restart_time_seconds=90))
    router = raw(configured).listen()
    started = None if started_seconds_ago is None else time.monotonic() - started_seconds_ago
    speak(configured, started_at=started)
    await router.accept()

    message = await router.open_received()

    assert message.graceful_restart is not None
    assert not message.graceful_restart.restarting


async def test_f_is_clear_when_the_node_has_lost_its_forwarding_state(speak: Speak, raw: Raw) -> None:
    configured = peer(address=loopback())
    router = raw(configured).listen()
    speak(configured, forwarding_preserved=False)
    await router.accept()

    body = await router.expect(MessageType.OPEN)

    assert bytes.fromhex("0001010000020100") in body


async def test_for_an_upgrade_helpers_see_the_connection_end_and_others_see_cease(
    speak: Speak, raw: Raw
) -> None:
    helper = peer(name="helper", address=loopback())
    other = peer(name="other", address=loopback())
    routers = {"helper": raw(helper).listen(), "other": raw(other).listen()}
    speaker = speak(helper, other)
    for name, router in routers.items():
        await router.accept()
        await router.establish(**({} if name == "helper" else {"graceful_restart": None}))
        await speaker.until_state(SessionState.ESTABLISHED, name)

    stopping = asyncio.create_task(speaker.peers.stop(graceful_restart=True, reason="upgrade"))

    await routers["helper"].expect_end()
    assert Notification(6, 2, b"\x07upgrade") == await routers["other"].expect_notification()
    await stopping
    assert speaker.task is not None
    await speaker.task


async def test_a_planned_stop_withdraws_before_it_ceases(speak: Speak, raw: Raw) -> None:
    configured = peer(address=loopback())
    router = raw(configured).listen()
    speaker = speak(configured)
    speaker.peers.update("tor", routes("10.0.0.0/24", "2001:db8::/48"))
    await router.accept()
    await router.establish()
    await until(lambda: len(speaker.peers.advertised("tor")) == 2)

    stopping = asyncio.create_task(speaker.peers.stop(graceful_restart=False, reason="bye"))

    withdrawn: set[object] = set()
    while len(withdrawn) < 2:
        withdrawn.update(path.prefix for path in (await router.update()).withdrawn)
    assert set(routes("10.0.0.0/24", "2001:db8::/48")) == withdrawn
    assert Notification(6, 2, b"\x03bye") == await router.expect_notification()
    await stopping
    [closed] = speaker.kinds(SessionEventKind.CLOSED)
    assert closed.reason == "bye (NOTIFICATION 6/2 sent)"


async def test_a_drain_marks_the_routes_before_it_withdraws_them(speak: Speak, raw: Raw) -> None:
    """RFC 8326: GRACEFUL_SHUTDOWN, 65535:0."""
    configured = peer(address=loopback())
    router = raw(configured).listen()
    speaker = speak(configured)
    speaker.peers.update("tor", routes("10.0.0.0/24", communities=(7,)))
    await router.accept()
    await router.establish()
    await until(lambda: speaker.peers.advertised("tor"))

    stopping = asyncio.create_task(speaker.peers.stop(graceful_restart=False, drain_seconds=0.05))
    heard = [await router.update() for _ in range(5)]
    await router.expect_notification()
    await stopping

    marks = [one.attributes.communities for update in heard for one in update.advertised]
    assert [(7,), (7, 0xFFFF0000)] == marks
    assert heard[-1].withdrawn


async def test_updates_that_come_while_stopping_change_nothing(speak: Speak, raw: Raw) -> None:
    configured = peer(address=loopback())
    router = raw(configured).listen()
    speaker = speak(configured)
    await router.accept()
    await router.establish()
    await speaker.until_state(SessionState.ESTABLISHED)

    await speaker.peers.stop(graceful_restart=False)
    speaker.peers.update("tor", routes("10.0.0.0/24"))

    assert {(await router.update()).end_of_rib, (await router.update()).end_of_rib} == set(
        configured.families
    )
    assert (await router.expect_notification()).code == 6


async def test_a_changed_timer_keeps_the_peers_routes_by_graceful_restart(speak: Speak, raw: Raw) -> None:
    configured = peer(address=loopback())
    router = raw(configured).listen()
    speaker = speak(configured)
    speaker.peers.update("tor", routes("10.0.0.0/24"))
    await router.accept()
    await router.establish()
    await until(lambda: speaker.peers.advertised("tor"))

    speaker.peers.set_peers([replace(configured, hold_time_seconds=30)])

    await router.expect_end()
    await router.accept()
    assert (await router.establish()).hold_time_seconds == 30
    assert (await router.update()).advertised, "what the peer should hear outlives the change"


async def test_a_changed_as_number_ends_the_session_with_cease(speak: Speak, raw: Raw) -> None:
    configured = peer(address=loopback())
    router = raw(configured).listen()
    speaker = speak(configured)
    await router.accept()
    await router.establish()
    await speaker.until_state(SessionState.ESTABLISHED)

    speaker.peers.set_peers([replace(configured, local_asn=65001)])

    assert Notification(6, 6) == await router.expect_notification()

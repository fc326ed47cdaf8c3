"""Hold time, keepalives and waiting, on a clock that the test moves."""

import asyncio

from speaker.bgp import PeerSet, SessionEvent, SessionEventKind
from speaker.bgp.fsm_alphabet import StartTimer, Timer
from speaker.bgp.messages import KEEPALIVE, MessageType, Notification
from speaker.bgp.timers import Timers
from speaker.model.peer import SessionState
from tests.bgp.builders import Speaker, loopback, peer, until
from tests.bgp.raw_peer import RawPeer
from tests.bgp.travel import travel, with_travel


async def establish(**overrides: object) -> tuple[Speaker, RawPeer]:
    configured = peer(address=loopback(), **overrides)
    router = RawPeer(configured).listen()
    events: list[SessionEvent] = []
    speaker = Speaker(PeerSet(on_event=events.append), events)
    speaker.peers.set_peers([configured])
    speaker.peers.release()
    speaker.peers.start()
    speaker.run()
    await router.accept()
    await router.establish()
    await speaker.until_state(SessionState.ESTABLISHED)
    return speaker, router


async def finish(speaker: Speaker, router: RawPeer) -> None:
    await speaker.end()
    router.close()


def test_a_silent_peer_is_found_at_the_hold_time() -> None:
    async def scenario() -> None:
        speaker, router = await establish(hold_time_seconds=9)
        travel(8.0)
        await asyncio.sleep(0.01)
        assert speaker.state() is SessionState.ESTABLISHED
        travel(1.5)
        assert Notification(4, 0) == await router.expect_notification()
        await until(lambda: speaker.kinds(SessionEventKind.CLOSED))
        reason = "nothing was heard from the peer for the hold time (NOTIFICATION 4/0 sent)"
        assert reason == speaker.kinds(SessionEventKind.CLOSED)[0].reason
        await finish(speaker, router)

    with_travel(scenario)


def test_a_peer_that_takes_the_connection_and_says_nothing_is_reported() -> None:
    """The HoldTimer of OpenSent is four minutes; a user shall not wait that long for a reason."""

    async def scenario() -> None:
        configured = peer(address=loopback())
        router = RawPeer(configured).listen()
        events: list[SessionEvent] = []
        speaker = Speaker(PeerSet(on_event=events.append), events)
        speaker.peers.set_peers([configured])
        speaker.peers.start()
        speaker.run()
        await speaker.until_state(SessionState.OPEN_SENT)
        travel(4.0)
        await asyncio.sleep(0.01)
        assert not speaker.kinds(SessionEventKind.ERROR)
        travel(1.5)
        await speaker.until_error("no OPEN came within 5 s")
        assert speaker.state() is SessionState.OPEN_SENT
        await finish(speaker, router)

    with_travel(scenario)


def test_what_the_peer_says_restarts_the_hold_timer() -> None:
    async def scenario() -> None:
        speaker, router = await establish(hold_time_seconds=9)
        for _ in range(4):
            travel(6.0)
            await router.send(KEEPALIVE)
            await asyncio.sleep(0.02)
        assert speaker.state() is SessionState.ESTABLISHED
        await finish(speaker, router)

    with_travel(scenario)


def test_keepalives_keep_coming_within_a_third_of_the_hold_time() -> None:
    async def scenario() -> None:
        speaker, router = await establish(hold_time_seconds=9)
        for _ in range(2):
            await router.update()
        for _ in range(3):
            travel(3.0)
            await router.expect(MessageType.KEEPALIVE)
            await router.send(KEEPALIVE)
            await asyncio.sleep(0.02)
        await finish(speaker, router)

    with_travel(scenario)


def test_without_a_hold_time_silence_lasts() -> None:
    async def scenario() -> None:
        speaker, router = await establish(hold_time_seconds=0)
        travel(100_000.0)
        await asyncio.sleep(0.02)
        assert speaker.state() is SessionState.ESTABLISHED
        await finish(speaker, router)

    with_travel(scenario)


def test_a_peer_that_accepts_and_says_nothing_is_given_up_after_four_minutes() -> None:
    async def scenario() -> None:
        configured = peer(address=loopback())
        router = RawPeer(configured).listen()
        speaker = Speaker(PeerSet(on_event=lambda _event: None))
        speaker.peers.set_peers([configured])
        speaker.peers.start()
        speaker.run()
        await router.accept()
        await router.open_received()
        await router.send(router.open()[:25])
        travel(241.0)
        assert Notification(4, 0) == await router.expect_notification()
        await finish(speaker, router)

    with_travel(scenario)


def test_timers_fire_in_order_and_a_restart_replaces_the_deadline() -> None:
    async def scenario() -> None:
        fired: list[Timer] = []
        timers = Timers(fired.append)
        task = asyncio.create_task(timers.run())
        timers.start(StartTimer(Timer.HOLD, 9.0))
        timers.start(StartTimer(Timer.KEEPALIVE, 3.0))
        timers.start(StartTimer(Timer.CONNECT_RETRY, 5.0))
        await asyncio.sleep(0.001)
        timers.stop(Timer.CONNECT_RETRY)
        travel(8.0)
        await until(lambda: fired == [Timer.KEEPALIVE])
        timers.start(StartTimer(Timer.HOLD, 9.0))
        travel(8.0)
        await asyncio.sleep(0.01)
        assert fired == [Timer.KEEPALIVE]
        travel(2.0)
        await until(lambda: fired == [Timer.KEEPALIVE, Timer.HOLD])
        task.cancel()

    with_travel(scenario)


def test_jitter_only_shortens() -> None:
    """RFC 4271 §10: between 0.75 and 1.0 of the configured value."""

    async def scenario() -> None:
        for _ in range(20):
            fired: list[Timer] = []
            timers = Timers(fired.append)
            task = asyncio.create_task(timers.run())
            timers.start(StartTimer(Timer.KEEPALIVE, 100.0, jitter=True))
            travel(74.0)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert not fired
            travel(26.5)
            await until(fired.copy)
            task.cancel()

    with_travel(scenario)

"""Intervals, silence and stalls, on a clock that the test moves."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from speaker.bfd import BfdEventKind, State
from speaker.bfd.packet import ControlPacket, unpack
from speaker.model.peer import BfdTimers
from tests.bfd.builders import FAST, Bfd, RawPeer, make_bfd, packet, peer
from tests.bgp.builders import loopback, until
from tests.bgp.travel import travel, with_travel


def scene(play: Callable[[Bfd, RawPeer], Awaitable[None]], **overrides: Any) -> None:
    """Plays a scene with a speaker and one raw peer."""

    async def scenario() -> None:
        own, there = loopback(), loopback()
        router = RawPeer(there, own)
        speaker = make_bfd(peer(there, own, **({"bfd": FAST} | overrides)), listen_addresses=(own,))
        speaker.run()
        try:
            await router.receive()
            await play(speaker, router)
        finally:
            await speaker.end()
            router.close()

    with_travel(scenario)


async def bring_up(speaker: Bfd, router: RawPeer, **fields: Any) -> None:
    """Up, with a Detection Time of 300 ms unless the fields say otherwise, and nothing left to negotiate."""
    router.send(packet(your_discriminator=0))
    await speaker.until_state(State.INIT)
    status = speaker.status()
    router.say(State.UP, status, **({"multiplier": 3} | fields))
    await speaker.until_event(BfdEventKind.UP)
    router.say(State.UP, status, **({"multiplier": 3, "final": True} | fields))
    await until(lambda: speaker.status().packets_in == status.packets_in + 2, "the Final")
    await settle(router)


async def settle(router: RawPeer) -> None:
    """Lets what is due happen, and forgets what was sent."""
    await turns()
    router.forget()


async def heard_more(speaker: Bfd, before: int) -> None:
    await until(lambda: speaker.status().packets_in > before, "another packet")


async def turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def next_packet(router: RawPeer) -> ControlPacket:
    read = unpack(await router.receive())
    assert isinstance(read, ControlPacket)
    return read


def test_a_session_that_is_down_sends_about_once_a_second() -> None:
    async def play(speaker: Bfd, router: RawPeer) -> None:
        for _ in range(3):
            before = speaker.status().packets_out
            travel(0.70)
            await turns()
            assert speaker.status().packets_out == before
            travel(0.31)
            assert (await next_packet(router)).state is State.DOWN

    scene(play)


@pytest.mark.parametrize(("multiplier", "longest"), [(3, 1.0), (1, 0.9)])
def test_jitter_only_shortens(multiplier: int, longest: float) -> None:
    """RFC 5880 §6.8.7: 75 to 100 % of the interval; with a Detect Mult of 1 at most 90 %."""
    timers = BfdTimers(transmit_milliseconds=10_000, receive_milliseconds=100, multiplier=multiplier)

    async def play(_speaker: Bfd, router: RawPeer) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(20):
            sent_at = loop.time()
            while not router_has_packet(router):
                travel(0.1)
                await turns()
            waited = (loop.time() - sent_at) / 10
            assert 0.74 <= waited <= longest + 0.02

    scene(play, bfd=timers)


def router_has_packet(router: RawPeer) -> bool:
    try:
        return bool(router._listening.recv(256))
    except BlockingIOError:
        return False


def test_a_session_that_comes_up_sends_at_the_fast_rate_from_then_on() -> None:
    """Otherwise the peer, which now expects it, would find us dead before our next packet."""

    async def play(speaker: Bfd, router: RawPeer) -> None:
        await bring_up(speaker, router)
        travel(0.101)
        assert (await next_packet(router)).state is State.UP

    scene(play)


def test_silence_is_found_at_the_detection_time_and_not_before() -> None:
    async def play(speaker: Bfd, router: RawPeer) -> None:
        await bring_up(speaker, router, desired_min_tx=20_000_000)
        assert speaker.status().detection_milliseconds == 60_000
        travel(59.0)
        await turns()
        assert speaker.status().state is State.UP
        travel(1.1)
        event = await speaker.until_event(BfdEventKind.DOWN)
        assert event.reason.endswith("for 60000 ms")

    scene(play)


def test_every_packet_begins_the_detection_time_anew() -> None:
    async def play(speaker: Bfd, router: RawPeer) -> None:
        await bring_up(speaker, router, desired_min_tx=20_000_000)
        for _ in range(5):
            travel(45.0)
            status = speaker.status()
            router.say(State.UP, status, multiplier=3, desired_min_tx=20_000_000)
            await heard_more(speaker, status.packets_in)
        assert speaker.kinds() == [BfdEventKind.UP]

    scene(play)


def test_a_shorter_detection_time_counts_from_the_last_packet() -> None:
    async def play(speaker: Bfd, router: RawPeer) -> None:
        await bring_up(speaker, router, desired_min_tx=20_000_000)
        router.say(State.UP, speaker.status(), multiplier=2, desired_min_tx=10_000_000)
        await until(lambda: speaker.status().detection_milliseconds == 20_000, "the new time")
        travel(20.1)
        await speaker.until_event(BfdEventKind.DOWN)

    scene(play)


def test_a_stalled_loop_reads_what_came_meanwhile_before_it_judges() -> None:
    """A recomputation that takes a second is no failure of the peer's, also with a full queue."""

    async def play(speaker: Bfd, router: RawPeer) -> None:
        await bring_up(speaker, router, desired_min_tx=20_000_000)
        status = speaker.status()
        for _ in range(150):
            router.send(b"noise")
        router.say(State.UP, status, multiplier=3, desired_min_tx=20_000_000)
        travel(100.0)
        await until(lambda: speaker.status().packets_in > status.packets_in, "the packet")
        await turns()
        assert speaker.kinds() == [BfdEventKind.UP]

    scene(play)


def test_a_flood_does_not_hide_silence() -> None:
    async def play(speaker: Bfd, router: RawPeer) -> None:
        await bring_up(speaker, router)
        travel(1.0)
        for _ in range(5000):
            for _ in range(80):
                router.send(b"noise")
            await asyncio.sleep(0)
            if speaker.kinds()[-1] is BfdEventKind.DOWN:
                return
        pytest.fail("the flood kept the session up")

    scene(play)


def test_a_peer_that_is_removed_hears_admin_down_for_a_detection_time() -> None:
    """RFC 5880 §6.8.16; after that there is silence."""

    async def play(speaker: Bfd, router: RawPeer) -> None:
        await bring_up(speaker, router)
        speaker.sessions.set_peers([])
        heard = 0
        for _ in range(40):
            while router_has_packet(router):
                heard += 1
            travel(0.1)
            await turns()
        assert 3 <= heard <= 5
        travel(10.0)
        await turns()
        assert not router_has_packet(router)

    scene(play)


def test_the_peers_discriminator_is_forgotten_also_before_the_session_is_up() -> None:
    async def play(speaker: Bfd, router: RawPeer) -> None:
        router.send(packet(your_discriminator=0))
        await speaker.until_state(State.INIT)
        travel(3.1)
        await speaker.until_state(State.DOWN)
        assert speaker.status().remote_discriminator == 0
        assert speaker.events == []

    scene(play)


def test_a_peer_that_asks_for_packets_sooner_gets_one_at_once() -> None:
    """RFC 5880 §6.8.3: "the local system MUST honor the new interval immediately"."""

    async def play(speaker: Bfd, router: RawPeer) -> None:
        await bring_up(speaker, router, desired_min_tx=60_000_000, required_min_rx=60_000_000)
        travel(30.0)
        await settle(router)
        router.say(State.UP, speaker.status(), desired_min_tx=60_000_000, required_min_rx=100_000)
        assert (await next_packet(router)).state is State.UP

    scene(play)


def test_a_port_that_is_taken_is_asked_for_less_and_less_often() -> None:
    async def scenario() -> None:
        own = loopback()
        taken = RawPeer(own, own)
        speaker = make_bfd(peer(loopback(), own), listen_addresses=(own,))
        speaker.run()
        await until(lambda: speaker.problems, "the problem")
        for _ in range(20):
            travel(31.0)
            await turns()
        taken.close()
        travel(31.0)
        await until(lambda: len(speaker.problems) == 2, "its end")
        assert speaker.problems[1] == ""
        await speaker.end()

    with_travel(scenario)

"""Too much of everything: connections, prefixes, messages, requests; what bounds each, and who notices."""

import asyncio
import logging
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, ip_network
from pathlib import Path

import pytest

from speaker.bgp import SessionEventKind
from speaker.model.peer import PeerRange, SessionState
from speaker.model.prefix import Address
from tests.bgp.builders import PORT, until
from tests.bgp.builders import peer as bgp_peer
from tests.fuzz import wire
from tests.hostile.scene import Scene, advertisement, attributes, scene
from tests.hostile.stranger import Stranger, Told

FLOOD = 300


def descriptors() -> int:
    """How many file descriptors this process has, which is the speaker's and the test's."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


async def flood(played: Scene, *addresses: Address) -> list[Stranger]:
    """That many connections to the speaker, from these addresses in turn; all of them stay open here."""
    made: list[Stranger] = []
    for index in range(FLOOD):
        stranger = Stranger(replace(played.bad.peer, address=addresses[index % len(addresses)]))
        await stranger.connect(played.ours, PORT)
        made.append(stranger)
    return made


def neighbours_of(address: Address, number: int) -> list[IPv4Address]:
    """Other addresses of the same /24."""
    network = IPv4Network(f"{address}/24", strict=False)
    return [host for host in network.hosts() if host != address][:number]


# -- connections -----------------------------------------------------------------------------------


async def test_strangers_by_the_hundred_are_closed_counted_and_not_told_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with scene(listening=True) as played:
        caplog.set_level(logging.DEBUG, "speaker")
        before, events = descriptors(), len(played.speaker.events)

        strangers = await flood(played, *neighbours_of(played.ours, 50))
        for stranger in strangers:
            assert await stranger.receive() is None

        assert played.speaker.peers.refused_connections == FLOOD
        assert events == len(played.speaker.events)
        assert not [record for record in caplog.records if record.name.startswith("speaker")]
        assert descriptors() <= before + FLOOD, "nothing is kept but the strangers' own ends"
        for stranger in strangers:
            stranger.close()
        assert descriptors() <= before
        await played.good_has_not_noticed()


async def test_a_configured_peer_that_floods_has_few_connections_and_no_more_events() -> None:
    async with scene(listening=True) as played:
        await played.speaker.until_state(SessionState.ACTIVE, "bad")
        before, events = descriptors(), len(played.speaker.events)

        made = await flood(played, played.bad.peer.address)
        await until(lambda: played.speaker.peers.refused_connections >= FLOOD - 20, "most are refused")

        assert descriptors() <= before + FLOOD + 20
        for one in made:
            one.close()
        await played.speaker.until_state(SessionState.ACTIVE, "bad")
        assert len(played.speaker.events) - events < FLOOD
        await played.good_has_not_noticed()


async def test_after_a_flood_the_peer_is_let_in_again() -> None:
    async with scene(listening=True) as played:
        await played.speaker.until_state(SessionState.ACTIVE, "bad")
        for one in await flood(played, played.bad.peer.address):
            one.reset()
        await played.speaker.until_state(SessionState.ACTIVE, "bad")

        await _until_let_in(played)
        await played.good_has_not_noticed()


async def _until_let_in(played: Scene) -> None:
    """Dials until the speaker answers with its OPEN; a refused connection ends without one."""
    while True:
        await played.bad.connect(played.ours, PORT)
        if (await played.bad.receive()) is not None:
            return
        await asyncio.sleep(0.01)


async def test_a_range_lets_in_as_many_as_its_limit_says() -> None:
    async with scene(listening=True) as played:
        inside = neighbours_of(played.bad.peer.address, 40)
        prefix = ip_network(f"{inside[0]}/24", strict=False)
        template = bgp_peer(name="range", graceful_restart=None)
        played.speaker.peers.set_ranges([PeerRange(prefix=prefix, limit=5, template=template)])

        made = await flood(played, *inside)
        await until(lambda: played.speaker.peers.refused_connections >= FLOOD - 5 * 8, "most are refused")

        dynamic = set(played.speaker.peers.sessions()) - {"good", "bad"}
        assert len(dynamic) <= 5
        for one in made:
            one.close()
        await until(lambda: set(played.speaker.peers.sessions()) == {"good", "bad"}, "an empty range")
        await played.good_has_not_noticed()


async def test_a_peer_that_fails_in_a_loop_is_put_off() -> None:
    """After each failed attempt the peer is refused for a while, which grows (DampPeerOscillations)."""
    async with scene(listening=True, connect_retry_seconds=30.0) as played:
        await played.speaker.until_state(SessionState.ACTIVE, "bad")
        answered = 0
        for _ in range(FLOOD):
            await played.bad.connect(played.ours, PORT)
            if await played.bad.receive() is not None:
                answered += 1
                await played.bad.send(wire.open_message(65099))
                await played.bad.last_words()

        # Even at a hundredth of a second for each attempt, pauses of 0.5 s, 1 s, 2 s… leave room for few.
        assert answered < FLOOD // 3
        assert len(played.events(SessionEventKind.ERROR)) == 1, "the same failure is told once"
        await played.good_has_not_noticed()


async def test_a_peer_that_hangs_up_before_its_open_in_a_loop_is_told_of_once() -> None:
    """RFC 4271 §8.2.2 leaves the machine in Active then, where the next connection is welcome at once."""
    async with scene(listening=True) as played:
        await played.speaker.until_state(SessionState.ACTIVE, "bad")
        for _ in range(FLOOD):
            await played.bad.connect(played.ours, PORT)
            await played.bad.receive()
            played.bad.hang_up()
        await played.speaker.until_state(SessionState.ACTIVE, "bad")

        assert len(played.events(SessionEventKind.ERROR)) <= 2
        await played.good_has_not_noticed()


# -- prefixes --------------------------------------------------------------------------------------


def table(played: Scene, prefixes: int) -> list[bytes]:
    """UPDATEs that advertise that many /32, as few as fit."""
    packed = [b"\x20" + (0x0B000000 + index).to_bytes(4, "big") for index in range(prefixes)]
    common = attributes(played.bad.peer)
    return [
        wire.update_message(common, b"".join(packed[start : start + 700]))
        for start in range(0, prefixes, 700)
    ]


async def test_a_prefix_more_than_the_limit_ends_the_session() -> None:
    """RFC 4486 §4: Cease, subcode 1, with the family and the limit as its data."""
    async with scene(max_prefixes=1000) as played:
        await played.establish()
        await played.bad.send(*table(played, 1000))
        await until(lambda: len(played.received) == 1000, "the limit")
        await played.bad.send(advertisement(played.bad.peer, "10.1.0.0/16"))

        assert Told(6, 1, bytes.fromhex("0001 01 000003e8")) == await played.bad.last_words()
        await until(lambda: not played.received, "nothing is kept")
        await played.good_has_not_noticed()


async def test_routes_that_replace_others_do_not_count_twice() -> None:
    async with scene(max_prefixes=1000) as played:
        await played.establish()
        await played.bad.send(*table(played, 1000) * 20)
        await played.bad.send(wire.update_message(b"", b"", b"\x20\x0b\0\0\0"))
        await until(lambda: len(played.received) == 999, "all but the last")

        assert played.speaker.state("bad") is SessionState.ESTABLISHED
        await played.good_has_not_noticed()


async def test_without_a_limit_of_its_own_a_peer_fills_no_more_than_its_share() -> None:
    async with scene(limit=500) as played:
        await played.establish()
        await played.bad.send(*table(played, 20_000))
        await played.bad.send(wire.update_message(b"", b"", b"\x20\x0b\0\0\0"))
        await until(lambda: len(played.received) == 499, "the limit, less one that was withdrawn")

        assert played.speaker.state("bad") is SessionState.ESTABLISHED
        await played.good_has_not_noticed()


# -- messages --------------------------------------------------------------------------------------


async def test_a_flood_of_messages_does_not_keep_the_other_peer_waiting() -> None:
    """The other peer's route goes out while the flood is still being read."""
    async with scene() as played:
        await played.establish()
        flapping = [
            advertisement(played.bad.peer, "10.1.0.0/16"),
            wire.update_message(b"", b"", wire.nlri("10.1.0.0/16")),
            wire.KEEPALIVE_MESSAGE,
        ]
        sending = asyncio.create_task(played.bad.send(*flapping * 20_000))
        await until(lambda: played.events(SessionEventKind.UPDATE_RECEIVED), "the flood has begun")

        await played.good_has_not_noticed()
        heard = len(played.events(SessionEventKind.UPDATE_RECEIVED))
        assert heard < 40_000, "the flood was over before the other peer had its turn"
        sending.cancel()


async def test_a_malformed_update_a_thousand_times_is_one_withdrawal_each_and_no_event_of_its_own() -> None:
    """Treat-as-withdraw of a prefix that is not there changes nothing."""
    async with scene() as played:
        await played.establish()
        broken = wire.update_message(wire.as_path(65030), wire.nlri("10.1.0.0/16"))
        await played.bad.send(*[broken] * 1000, advertisement(played.bad.peer, "10.2.0.0/16"))

        await played.until_received("10.2.0.0/16")
        assert not played.events(SessionEventKind.ERROR)
        await played.good_has_not_noticed()

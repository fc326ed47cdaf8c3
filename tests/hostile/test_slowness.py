"""Peers that take their time: octet by octet, or without ever reading."""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from ipaddress import ip_network
from typing import Any

from speaker.bgp import SessionEventKind
from speaker.model.peer import SessionState
from tests.bgp.builders import PORT, host_routes, route, until
from tests.bgp.travel import travel, with_travel
from tests.fuzz import wire
from tests.hostile.scene import Scene, advertisement, scene
from tests.hostile.stranger import Told

Scenario = Callable[[], Coroutine[Any, Any, None]]


def travelling(scenario: Scenario) -> Callable[[], None]:
    """Runs a test on a clock that it moves itself."""

    def run() -> None:
        with_travel(scenario)

    run.__name__, run.__doc__ = scenario.__name__, scenario.__doc__
    return run


async def _dribble(played: Scene, message: bytes) -> Told | None:
    """Sends an octet a second, until the speaker has had enough; its last words."""
    for index in range(len(message)):
        travel(1.0)
        await asyncio.sleep(0)
        try:
            await played.bad.send(message[index : index + 1])
        except (BrokenPipeError, ConnectionResetError):
            break
        if played.speaker.state("bad") in (SessionState.IDLE, SessionState.CONNECT, SessionState.ACTIVE):
            break
    return await played.bad.last_words()


@travelling
async def test_an_open_of_an_octet_a_second_is_given_up_after_four_minutes() -> None:
    """RFC 4271 §8.2.2: the HoldTimer of OpenSent runs whatever comes, until a whole OPEN has."""
    async with scene(hold_time_seconds=90) as played:
        await played.bad.accept()
        await played.bad.bring_to(SessionState.OPEN_SENT)
        slow = wire.open_message(
            65030, capabilities=b"".join(wire.capability(200, bytes(50)) for _ in range(4))
        )
        stretched = slow[:29] + bytes(400)
        assert len(stretched) > 240

        assert Told(4, 0) == await _dribble(played, wire.HEADER.pack(wire.MARKER, 4096, 1) + stretched)
        await played.good_has_not_noticed()


@travelling
async def test_a_message_of_an_octet_a_second_does_not_restart_the_hold_timer() -> None:
    async with scene(hold_time_seconds=9) as played:
        await played.establish()
        long_update = wire.frame(wire.UPDATE, bytes(1000))

        assert Told(4, 0) == await _dribble(played, long_update)
        await played.good_has_not_noticed()


@travelling
async def test_a_peer_that_is_dialled_and_fails_at_once_is_dialled_ever_less() -> None:
    """Ten minutes of attempts: after the first ones, one in half a minute."""
    async with scene(connect_retry_seconds=30.0) as played:
        attempts = 0
        for _ in range(600):
            travel(1.0)
            for _turn in range(5):
                await asyncio.sleep(0.001)
            if played.bad.waiting():
                attempts += 1
                await played.bad.accept()
                played.bad.reset()

        # Pauses of 0.5 s to 30 s, each shortened by at most a quarter (RFC 4271 §10).
        assert 10 <= attempts <= 600 / (30 * 0.75) + 8
        assert len(played.events(SessionEventKind.ERROR)) <= 3, "the same failure is told once"
        await played.good_has_not_noticed()


@travelling
async def test_sessions_that_last_a_moment_do_not_speed_up_the_next_ones() -> None:
    """A peer that establishes and resets, again and again, is put off as one that fails is."""
    async with scene(connect_retry_seconds=30.0, graceful_restart=None) as played:
        sessions = 0
        for _ in range(300):
            travel(1.0)
            for _turn in range(5):
                await asyncio.sleep(0.001)
            if played.bad.waiting():
                sessions += 1
                await played.establish()
                played.bad.reset()
                await until(lambda: played.speaker.state("bad") is not SessionState.ESTABLISHED)

        assert 5 <= sessions <= 300 / (30 * 0.75) + 8
        await played.good_has_not_noticed()


def test_slow_connections_do_not_keep_the_peer_itself_out() -> None:
    """Connections that say nothing leave room for one that speaks (RFC 4271 §6.8)."""

    async def scenario() -> None:
        async with scene(listening=True) as played:
            await played.speaker.until_state(SessionState.ACTIVE, "bad")
            await played.bad.connect(played.ours, PORT)
            await played.bad.bring_to(SessionState.OPEN_SENT)
            await played.bad.send(played.bad.open()[:20])
            silent, played.bad.sock = played.bad.sock, None

            await played.bad.connect(played.ours, PORT)
            await played.bad.bring_to(SessionState.ESTABLISHED)

            await played.speaker.until_state(SessionState.ESTABLISHED, "bad")
            assert silent is not None
            silent.close()
            await played.good_has_not_noticed()

    asyncio.run(scenario())


# -- peers that do not read ------------------------------------------------------------------------


def narrow(family: socket.AddressFamily) -> socket.socket:
    """A socket whose send buffer is soon full."""
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    return sock


async def _stuck(played: Scene) -> None:
    """The hostile peer has a session, and has stopped reading in the middle of a table."""
    played.bad.narrow()
    await played.bad.accept()
    await played.bad.bring_to(SessionState.ESTABLISHED)
    await played.speaker.until_state(SessionState.ESTABLISHED, "bad")
    played.speaker.peers.update("bad", host_routes(20_000))
    await until(lambda: played.speaker.peers.advertised("bad"), "the first slice")
    await until(lambda: played.speaker.peers.sessions()["bad"].pending, "what does not fit waits")


async def test_changes_for_a_peer_that_does_not_read_take_one_place_each() -> None:
    async with scene(arguments={"open_socket": narrow}) as played:
        await _stuck(played)
        for med in range(20):
            changed = {prefix: route(str(prefix), med=med) for prefix in host_routes(2000)}
            played.speaker.peers.update("bad", changed)
            await asyncio.sleep(0)

        assert played.speaker.peers.sessions()["bad"].pending <= 20_001
        await played.good_has_not_noticed()


async def test_requests_of_a_peer_that_does_not_read_are_answered_once() -> None:
    """Five thousand ROUTE-REFRESHes while nothing can be written: one answer when something can."""
    async with scene(arguments={"open_socket": narrow}) as played:
        await _stuck(played)
        await played.bad.send(
            *[wire.route_refresh(1), wire.route_refresh(2), wire.KEEPALIVE_MESSAGE] * 5000,
            advertisement(played.bad.peer, "10.1.0.0/16"),
        )
        await played.until_received("10.1.0.0/16")
        await played.good_has_not_noticed()

        marks = octets = 0
        marked = ip_network("10.99.0.0/16")
        played.speaker.peers.update("bad", {marked: route(str(marked))})
        while True:
            message = await played.bad.receive()
            assert message is not None
            octets += len(message.body)
            marks += message.kind == wire.ROUTE_REFRESH
            if message.kind == wire.UPDATE and wire.nlri(str(marked)) in message.body:
                break
        assert octets < 4 * 5 * 20_000, "the table of 20,000 prefixes at most a few times"
        assert marks <= 8


async def test_keepalives_for_a_peer_that_does_not_read_do_not_pile_up() -> None:
    """Removing such a peer takes a moment, and nothing of it is left."""
    async with scene(arguments={"open_socket": narrow}) as played:
        await _stuck(played)
        before = len(asyncio.all_tasks())
        keep = [status.peer for name, status in played.speaker.peers.sessions().items() if name == "good"]
        played.speaker.peers.set_peers(keep)

        await until(lambda: len(asyncio.all_tasks()) < before - 1, "its tasks have ended")
        assert set(played.speaker.peers.sessions()) == {"good"}
        await played.good_has_not_noticed()

"""A peer that does not read costs only itself; a large table keeps the loop turning."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

from speaker.bgp import PeerSet, SessionEvent, SessionEventKind
from speaker.bgp.messages import KEEPALIVE, Notification
from speaker.model.peer import SessionState
from speaker.model.prefix import Prefix
from tests.bgp.builders import Speaker, host_routes, loopback, peer, prefix, routes, until
from tests.bgp.raw_peer import RawPeer
from tests.bgp.travel import travel, with_travel

Speak = Callable[..., Speaker]
Raw = Callable[..., RawPeer]


def narrow_socket(family: socket.AddressFamily) -> socket.socket:
    """A socket whose send buffer is soon full."""
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    return sock


class NarrowPeer(RawPeer):
    """A router that takes little until it is asked to read."""

    def listen(self) -> "NarrowPeer":
        super().listen()
        assert self._listening is not None
        self._listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        return self


async def test_a_peer_that_does_not_read_holds_nobody_back_and_hears_the_last_word(
    speak: Speak, raw: Raw
) -> None:
    slow, quick = peer(name="slow", address=loopback()), peer(name="quick", address=loopback())
    routers = {"slow": NarrowPeer(slow).listen(), "quick": raw(quick).listen()}
    speaker = speak(slow, quick, open_socket=narrow_socket)
    for name, router in routers.items():
        await router.accept()
        await router.establish()
        await speaker.until_state(SessionState.ESTABLISHED, name)
    table = host_routes(20_000)
    for name in routers:
        speaker.peers.update(name, table)

    heard: dict[Prefix, Any] = {}
    while len(heard) < len(table):
        heard.update({one.prefix: one for one in (await routers["quick"].update()).advertised})
    stuck = len(speaker.peers.advertised("slow"))
    for med in range(50):
        speaker.peers.update("slow", routes("10.0.78.31/32", med=med))
        await asyncio.sleep(0)

    assert stuck == len(speaker.peers.advertised("slow")) < len(table)
    assert speaker.peers.sessions()["slow"].pending <= len(table), "one pending entry for each prefix"
    heard.clear()
    while len(heard) < len(table):
        heard.update({one.prefix: one for one in (await routers["slow"].update()).advertised})
    assert heard[prefix("10.0.78.31/32")].attributes.med == 49
    routers["slow"].close()


async def test_a_stuck_peer_does_not_delay_the_stop(speak: Speak) -> None:
    slow = peer(address=loopback(), graceful_restart=None)
    router = NarrowPeer(slow).listen()
    speaker = speak(slow, open_socket=narrow_socket)
    await router.accept()
    await router.establish()
    speaker.peers.update("tor", host_routes(20_000))
    await until(lambda: speaker.peers.advertised("tor"))
    start = asyncio.get_running_loop().time()

    await speaker.peers.stop(graceful_restart=True)

    assert asyncio.get_running_loop().time() - start < 4
    router.close()


def test_a_peer_that_reads_nothing_for_eight_minutes_is_given_up() -> None:
    """RFC 9687: no hold timer of the receiving side would find it."""

    async def scenario() -> None:
        slow = peer(address=loopback(), hold_time_seconds=0)
        router = NarrowPeer(slow).listen()
        events: list[SessionEvent] = []
        speaker = Speaker(PeerSet(on_event=events.append, open_socket=narrow_socket), events)
        speaker.peers.set_peers([slow])
        speaker.peers.release()
        speaker.peers.start()
        speaker.run()
        await router.accept()
        await router.establish()
        speaker.peers.update("tor", host_routes(20_000))
        await until(lambda: speaker.peers.advertised("tor"))
        for _ in range(100):
            # The kernel takes a little more now and then, which starts the time anew.
            travel(60.0)
            await asyncio.sleep(0.01)
            if speaker.kinds(SessionEventKind.CLOSED):
                break
        assert "has not read" in speaker.kinds(SessionEventKind.CLOSED)[0].reason
        await speaker.end()
        router.close()

    with_travel(scenario)


async def test_a_large_table_keeps_the_loop_turning(speak: Speak, raw: Raw) -> None:
    """The table goes out in slices of a thousand prefixes, each a turn of the loop."""
    configured = peer(address=loopback())
    router = raw(configured).listen()
    speaker = speak(configured, released=False)
    await router.accept()
    await router.establish()
    await speaker.until_state(SessionState.ESTABLISHED)
    speaker.peers.update("tor", host_routes(50_000))
    loop = asyncio.get_running_loop()
    turns = 0
    speaker.peers.release()

    async def drain() -> None:
        assert router.sock is not None
        while await loop.sock_recv(router.sock, 1 << 20):  # noqa: ASYNC110 -- a turn for the others
            await asyncio.sleep(0)

    draining = asyncio.create_task(drain())
    while len(speaker.peers.advertised("tor")) < 50_000:
        turns += 1
        await asyncio.sleep(0)
    draining.cancel()

    assert turns >= 50


async def test_a_notification_gets_through_to_a_peer_that_was_busy(speak: Speak, raw: Raw) -> None:
    """What we have not read of the peer must not turn our last words into a reset."""
    configured = peer(address=loopback())
    router = raw(configured).listen()
    speaker = speak(configured)
    await router.accept()
    await router.establish()
    await speaker.until_state(SessionState.ESTABLISHED)

    await router.send(KEEPALIVE * 100 + bytes(19) + KEEPALIVE * 20_000)

    assert Notification(1, 1) == await router.expect_notification()

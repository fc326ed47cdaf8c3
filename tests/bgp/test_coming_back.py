"""How soon a session is back after a restart that we began: the peer keeps our routes (RFC 4724 §4.2)."""

import asyncio
import socket
from dataclasses import replace
from typing import Any, Self

import pytest

from speaker.bgp import PeerSet, SessionEvent, SessionEventKind
from speaker.bgp.fsm import CONNECT_SECONDS
from speaker.bgp.session import RETURN_SECONDS
from speaker.model.peer import GracefulRestart, Password, Peer, SessionState
from tests.bgp.builders import Speaker, loopback, peer, until
from tests.bgp.raw_peer import RawPeer
from tests.bgp.travel import travel, with_travel

pytestmark = pytest.mark.md5

RESTART = GracefulRestart(restart_time_seconds=20)
# What is due comes at the next turn of the loop, and a usual attempt ends after 5 s.
AT_ONCE_SECONDS = 2.0


class Scene:
    """A session that we end ourselves, over a change of the configuration."""

    def __init__(self, **settings: object) -> None:
        self.attempts = 0
        values: dict[str, object] = {"connect_retry_seconds": 30.0, "graceful_restart": RESTART}
        self.peer: Peer = peer(address=loopback(), **(values | settings))
        self.router = RawPeer(self.peer).listen()
        events: list[SessionEvent] = []
        self.speaker = Speaker(PeerSet(on_event=events.append, open_socket=self._open_socket), events)

    def _open_socket(self, family: socket.AddressFamily) -> socket.socket:
        self.attempts += 1
        return socket.socket(family)

    async def __aenter__(self) -> Self:
        self.speaker.peers.set_peers([self.peer])
        self.speaker.peers.release()
        self.speaker.peers.start()
        self.speaker.run()
        await self.router.accept()
        await self.router.establish()
        await self.speaker.until_state(SessionState.ESTABLISHED)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.speaker.end()
        self.router.close()

    def change(self, **settings: Any) -> None:
        self.speaker.peers.set_peers([replace(self.peer, **settings)])

    async def change_password(self) -> None:
        """The router keeps the old one: its kernel does not answer."""
        self.change(password=Password("s3cret"))
        await until(lambda: self.attempts == 2, "the first attempt with the new password")

    async def hang_up(self) -> None:
        """The router takes the next connection, and ends it before its OPEN."""
        failures = self.failures
        await self.router.accept()
        self.router.hang_up()
        await until(lambda: self.failures > failures, "the end of the attempt")

    @property
    def failures(self) -> int:
        """How many attempts have ended with a pause."""
        return sum(
            each.new is SessionState.ACTIVE for each in self.speaker.kinds(SessionEventKind.STATE_CHANGED)
        )

    async def attempt_begins(self, number: int) -> None:
        """It was due: it does not come after the seconds that the loop's clock has not been moved by."""
        await until(lambda: self.attempts >= number, f"attempt {number}", AT_ONCE_SECONDS)

    async def attempt_takes_its_usual_time(self) -> None:
        """The attempt that goes on lasts until the kernel has sent its SYN three times."""
        number = self.attempts
        travel(CONNECT_SECONDS - 1.0)
        await asyncio.sleep(0.02)
        assert self.attempts == number
        travel(1.0)
        await self.attempt_begins(number + 1)


def test_attempts_follow_each_other_well_within_a_second() -> None:
    """FRR 8.4 has a bad moment 1 s after its password changed, and has to have heard of us before."""

    async def scenario() -> None:
        async with Scene() as scene:
            await scene.change_password()

            for number in range(3, 6):
                travel(RETURN_SECONDS)
                await scene.attempt_begins(number)
            assert RETURN_SECONDS < 0.5

    with_travel(scenario)


def test_pauses_do_not_grow_beyond_that_either() -> None:
    async def scenario() -> None:
        async with Scene() as scene:
            scene.change(hold_time_seconds=30)

            for number in range(3, 8):
                await scene.hang_up()
                travel(RETURN_SECONDS)
                await scene.attempt_begins(number)

    with_travel(scenario)


def test_after_the_restart_time_they_take_their_usual_time() -> None:
    """The routes are gone by then."""

    async def scenario() -> None:
        async with Scene() as scene:
            await scene.change_password()
            travel(RESTART.restart_time_seconds)
            await scene.attempt_begins(3)

            await scene.attempt_takes_its_usual_time()

    with_travel(scenario)


def test_once_the_session_is_back_pauses_are_the_usual_ones() -> None:
    async def scenario() -> None:
        async with Scene() as scene:
            scene.change(hold_time_seconds=30)
            for _ in range(4):
                await scene.hang_up()
                travel(RETURN_SECONDS)
            await scene.router.accept()
            await scene.router.establish()
            await until(lambda: len(scene.speaker.kinds(SessionEventKind.ESTABLISHED)) == 2)
            number = scene.attempts

            # The fifth failure in a row: the pause is 6 to 8 s.
            scene.router.hang_up()
            await scene.speaker.until_state(SessionState.IDLE)
            travel(5.0)
            await asyncio.sleep(0.02)

            assert scene.attempts == number

    with_travel(scenario)


def test_without_graceful_restart_nothing_is_kept_and_attempts_are_the_usual_ones() -> None:
    async def scenario() -> None:
        async with Scene(graceful_restart=None) as scene:
            await scene.change_password()

            await scene.attempt_takes_its_usual_time()

    with_travel(scenario)

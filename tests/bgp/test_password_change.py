"""A password that changes on both sides, one after the other: the routes stay (RFC 2385, RFC 4724)."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest

from speaker.bgp import SessionEventKind
from speaker.model.peer import GracefulRestart, Password, Peer, SessionState
from speaker.model.prefix import Prefix
from tests.bgp.builders import PORT, Speaker, loopback, peer, routes, until
from tests.bgp.test_sessions import mirrored

pytestmark = pytest.mark.md5

Speak = Callable[..., Speaker]

OLD, NEW = Password("old s3cret"), Password("new s3cret")
OURS, THEIRS = routes("10.0.0.0/24", "2001:db8::/48"), routes("10.9.0.0/24")


@dataclass
class Pair:
    """Two speakers with a session: one dials, the other waits."""

    dialling: Speaker
    passive: Speaker
    dialled_peer: Peer
    passive_peer: Peer

    def change_dialling(self, **settings: Any) -> None:
        self.dialled_peer = replace(self.dialled_peer, **settings)
        self.dialling.peers.set_peers([self.dialled_peer])

    def change_passive(self, **settings: Any) -> None:
        self.passive_peer = replace(self.passive_peer, **settings)
        self.passive.peers.set_peers([self.passive_peer])

    @property
    def sides(self) -> tuple[Speaker, Speaker]:
        return self.dialling, self.passive

    async def established(self, times: int = 1) -> None:
        """Both sides have a session, for the last of so many times."""
        for side in self.sides:
            await happened(side, SessionEventKind.ESTABLISHED, times)
            await side.until_state(SessionState.ESTABLISHED)

    async def exchanged(self) -> None:
        """Each side has the routes of the other."""
        await until(lambda: heard(self.passive) == set(OURS) and heard(self.dialling) == set(THEIRS))


async def happened(speaker: Speaker, kind: SessionEventKind, times: int = 1) -> None:
    await until(lambda: len(speaker.kinds(kind)) == times, kind)


def heard(speaker: Speaker) -> set[Prefix]:
    return {each.prefix for each in speaker.peers.received("tor")}


def lost(speaker: Speaker) -> set[Prefix]:
    """What was ever reported as gone."""
    told = speaker.kinds(SessionEventKind.UPDATE_RECEIVED)
    return {path.prefix for event in told for path in event.withdrawn}


@asynccontextmanager
async def pair(speak: Speak, password: Password | None = OLD, **settings: Any) -> AsyncIterator[Pair]:
    dialled = peer(address=loopback(), source=loopback(), password=password, **settings)
    waiting = replace(mirrored(dialled), passive=True)
    passive = speak(waiting, listen_port=PORT, listen_addresses=(waiting.source,))
    made = Pair(speak(dialled), passive, dialled, waiting)
    made.dialling.peers.update("tor", OURS)
    passive.peers.update("tor", THEIRS)
    await made.established()
    await made.exchanged()
    yield made


@pytest.mark.parametrize("dialling_first", [True, False])
@pytest.mark.parametrize(
    ("before", "after"), [(OLD, NEW), (None, NEW), (OLD, None)], ids=["another", "one at last", "none"]
)
async def test_with_graceful_restart_no_route_is_lost(
    speak: Speak, dialling_first: bool, before: Password | None, after: Password | None
) -> None:
    async with pair(speak, before) as made:
        changes = [made.change_dialling, made.change_passive]
        first, second = changes if dialling_first else changes[::-1]

        first(password=after)
        for side in made.sides:
            await happened(side, SessionEventKind.CLOSED)
        assert (set(OURS), set(THEIRS)) == (heard(made.passive), heard(made.dialling))
        second(password=after)

        await made.established(times=2)
        await made.exchanged()
        assert (set(), set()) == (lost(made.passive), lost(made.dialling))


async def test_the_session_ends_without_a_notification(speak: Speak) -> None:
    async with pair(speak) as made:
        made.change_dialling(password=NEW)
        await happened(made.passive, SessionEventKind.CLOSED)

        [closed] = made.passive.kinds(SessionEventKind.CLOSED)
        assert closed.reason == "peer closed the connection"


async def test_until_both_sides_have_it_there_is_silence_and_a_hint(speak: Speak) -> None:
    async with pair(speak) as made:
        made.change_dialling(password=NEW)

        reason = await made.dialling.until_error("no answer")

        assert "the password differs" in reason
        assert made.passive.state() is not SessionState.ESTABLISHED
        assert "s3cret" not in "".join(map(repr, made.dialling.events + made.passive.events))


async def test_the_old_password_opens_nothing_any_more(speak: Speak) -> None:
    async with pair(speak) as made:
        made.change_passive(password=NEW)

        await made.dialling.until_error("no answer")

        assert len(made.dialling.kinds(SessionEventKind.ESTABLISHED)) == 1


async def test_a_changed_mind_brings_the_session_back(speak: Speak) -> None:
    async with pair(speak) as made:
        made.change_dialling(password=NEW)
        await made.dialling.until_error("no answer")

        made.change_dialling(password=OLD)

        await made.established(times=2)
        await made.exchanged()
        assert not lost(made.passive)


async def test_without_graceful_restart_the_session_ends_with_cease_and_comes_back(speak: Speak) -> None:
    async with pair(speak, graceful_restart=None) as made:
        made.change_dialling(password=NEW)
        await happened(made.passive, SessionEventKind.CLOSED)
        [closed] = made.passive.kinds(SessionEventKind.CLOSED)
        assert "NOTIFICATION 6/6" in closed.reason
        assert set(OURS) == lost(made.passive)

        made.change_passive(password=NEW)

        await made.established(times=2)
        await made.exchanged()


async def test_the_n_bit_makes_no_difference(speak: Speak) -> None:
    async with pair(speak, graceful_restart=GracefulRestart(notification=True)) as made:
        made.change_passive(password=NEW)
        made.change_dialling(password=NEW)

        await made.established(times=2)
        await made.exchanged()
        assert (set(), set()) == (lost(made.passive), lost(made.dialling))


async def test_another_peer_of_the_listener_does_not_notice(speak: Speak) -> None:
    async with pair(speak) as made:
        beside = peer(name="beside", address=made.passive_peer.source, source=loopback())
        other = speak(beside)
        waiting = replace(mirrored(beside), passive=True)
        made.passive.peers.set_peers([made.passive_peer, waiting])
        await other.until_state(SessionState.ESTABLISHED, "beside")

        for password in (NEW, OLD, None):
            made.passive.peers.set_peers([replace(made.passive_peer, password=password), waiting])
        other.peers.update("beside", OURS)

        await until(lambda: made.passive.peers.received("beside"))
        assert other.peers.sessions()["beside"].flaps == 0

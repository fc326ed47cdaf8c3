"""Peers come, change and go; the others do not notice."""

from collections.abc import Callable

from speaker.bgp import PeerSet, SessionEventKind
from speaker.bgp.messages import Notification
from speaker.model.peer import SessionState
from tests.bgp.builders import Speaker, loopback, peer, routes, until
from tests.bgp.raw_peer import RawPeer

Speak = Callable[..., Speaker]
Raw = Callable[..., RawPeer]


async def test_a_removed_peer_is_told_and_the_other_stays(speak: Speak, raw: Raw) -> None:
    stays, goes = peer(name="stays", address=loopback()), peer(name="goes", address=loopback())
    routers = {one.name: raw(one).listen() for one in (stays, goes)}
    speaker = speak(stays, goes)
    for name, router in routers.items():
        await router.accept()
        await router.establish()
        await speaker.until_state(SessionState.ESTABLISHED, name)

    speaker.peers.set_peers([stays])

    assert Notification(6, 3) == await routers["goes"].expect_notification()
    assert ["stays"] == list(speaker.peers.sessions())
    speaker.peers.update("stays", routes("10.0.0.0/24"))
    await until(lambda: speaker.peers.advertised("stays"))
    assert not [event for event in speaker.kinds(SessionEventKind.CLOSED) if event.peer == "stays"]


async def test_a_peer_added_later_is_dialled_and_hears_what_it_should(speak: Speak, raw: Raw) -> None:
    late = peer(name="late", address=loopback())
    router = raw(late).listen()
    speaker = speak()

    speaker.peers.set_peers([late])
    speaker.peers.update("late", routes("10.0.0.0/24"))
    await router.accept()
    await router.establish()

    assert (await router.update()).advertised


async def test_only_the_peers_that_are_started_are_dialled(speak: Speak) -> None:
    early, late = peer(name="early", address=loopback()), peer(name="late", address=loopback())
    speaker = speak(early, late, started=False)

    speaker.peers.start({"early"})
    await speaker.until_state(SessionState.CONNECT, "early")
    assert speaker.state("late") is SessionState.IDLE

    speaker.peers.start()
    await until(lambda: speaker.state("late") is not SessionState.IDLE)


async def test_a_peer_that_does_not_answer_holds_nobody_back(speak: Speak, raw: Raw) -> None:
    dead, alive = peer(name="dead", address=loopback()), peer(name="alive", address=loopback())
    router = raw(alive).listen()
    speaker = speak(dead, alive)
    await router.accept()
    await router.establish()

    await speaker.until_state(SessionState.ESTABLISHED, "alive")
    assert speaker.state("dead") is not SessionState.ESTABLISHED


def test_unknown_peers_have_no_routes_and_no_errors() -> None:
    peers = PeerSet(on_event=print)

    peers.update("nobody", routes("10.0.0.0/24"))

    assert ({}, {}, {}) == (peers.advertised("nobody"), peers.received("nobody"), peers.sessions())


async def test_stop_without_any_session_ends_the_run(speak: Speak) -> None:
    speaker = speak(peer(address=loopback()))
    await speaker.until_error("refused")

    await speaker.peers.stop(graceful_restart=False)

    assert speaker.task is not None
    await speaker.task
    assert len(speaker.kinds(SessionEventKind.ERROR)) == 1, "a stop is no error"

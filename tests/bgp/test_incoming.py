"""Connections that the peer makes: passive mode, strangers, and collisions (RFC 4271 §6.8)."""

import asyncio
import socket
from collections.abc import Callable
from ipaddress import IPv4Address

import pytest

from speaker.bgp import PeerSet, SessionEvent, SessionEventKind
from speaker.bgp.messages import KEEPALIVE, MessageType, Notification
from speaker.errors import HostError
from speaker.model.peer import SessionState
from tests.bgp.builders import PORT, Speaker, loopback, peer, until
from tests.bgp.raw_peer import Closed, RawPeer
from tests.bgp.travel import travel, with_travel

Speak = Callable[..., Speaker]
Raw = Callable[..., RawPeer]


async def test_a_passive_peer_is_waited_for(speak: Speak, raw: Raw) -> None:
    ours = loopback()
    configured = peer(address=loopback(), passive=True)
    router = raw(configured)
    speaker = speak(configured, listen_port=PORT, listen_addresses=(ours,))
    await speaker.until_state(SessionState.ACTIVE)

    await router.connect(ours, PORT)
    await router.establish()

    await speaker.until_state(SessionState.ESTABLISHED)
    states = [event.new for event in speaker.kinds(SessionEventKind.STATE_CHANGED)]
    assert SessionState.CONNECT not in states


async def test_a_passive_peer_may_come_back_at_once(speak: Speak, raw: Raw) -> None:
    ours = loopback()
    configured = peer(address=loopback(), passive=True, connect_retry_seconds=0.01)
    router = raw(configured)
    speaker = speak(configured, listen_port=PORT, listen_addresses=(ours,))
    await speaker.until_state(SessionState.ACTIVE)
    await router.connect(ours, PORT)
    await router.establish()
    await speaker.until_state(SessionState.ESTABLISHED)
    router.hang_up()
    await speaker.until_state(SessionState.ACTIVE)

    await router.connect(ours, PORT)
    await router.establish()

    await speaker.until_state(SessionState.ESTABLISHED)


async def test_strangers_are_closed_at_once_and_counted(speak: Speak, raw: Raw) -> None:
    ours = loopback()
    stranger = raw(peer(address=loopback()))
    speaker = speak(peer(address=loopback(), passive=True), listen_port=PORT, listen_addresses=(ours,))
    await speaker.until_state(SessionState.ACTIVE)
    before = len(speaker.events)

    for _ in range(5):
        await stranger.connect(ours, PORT)
        with pytest.raises(Closed):
            await stranger.receive()

    assert speaker.peers.refused_connections == 5
    assert len(speaker.events) == before, "a stranger causes no event"


async def test_a_peer_that_has_not_been_started_is_not_let_in(speak: Speak, raw: Raw) -> None:
    ours = loopback()
    early, late = peer(name="early", address=loopback(), passive=True), peer(address=loopback(), passive=True)
    router = raw(late)
    speaker = speak(early, late, started=False, listen_port=PORT, listen_addresses=(ours,))
    speaker.peers.start({"early"})
    await speaker.until_state(SessionState.ACTIVE, "early")
    await router.connect(ours, PORT)
    with pytest.raises(Closed):
        await router.receive()

    speaker.peers.start()
    await speaker.until_state(SessionState.ACTIVE)
    await router.connect(ours, PORT)

    assert (await router.receive())[0] is MessageType.OPEN


def test_a_port_that_is_taken_is_an_error_of_the_host() -> None:
    ours = loopback()
    with socket.create_server((str(ours), PORT)):
        peers = PeerSet(on_event=print, listen_port=PORT, listen_addresses=(ours,))
        with pytest.raises(HostError, match=f"cannot listen on {ours} port {PORT}: address already in use"):
            peers.start()


@pytest.mark.parametrize("ours_is_higher", [True, False])
async def test_of_two_connections_the_one_of_the_higher_identifier_remains(
    speak: Speak, raw: Raw, ours_is_higher: bool
) -> None:
    """Both have got as far as OpenConfirm on our dialled one when the peer's own OPEN arrives."""
    ours = loopback()
    configured = peer(address=loopback(), source=ours, connect_retry_seconds=30.0)
    identifier = {"router_id": IPv4Address(int(configured.router_id) + (-1 if ours_is_higher else 1))}
    dialled, made = raw(configured).listen(), raw(configured)
    speaker = speak(configured, listen_port=PORT, listen_addresses=(ours,))
    await dialled.accept()
    await dialled.open_received()
    await made.connect(ours, PORT)
    await made.open_received()

    await dialled.send(dialled.open(**identifier))
    await dialled.expect(MessageType.KEEPALIVE)
    await made.send(made.open(**identifier))

    winner, loser = (dialled, made) if ours_is_higher else (made, dialled)
    assert Notification(6, 7) == await loser.expect_notification()
    if not ours_is_higher:
        await winner.expect(MessageType.KEEPALIVE)
    await winner.send(KEEPALIVE)
    await speaker.until_state(SessionState.ESTABLISHED)
    assert not speaker.kinds(SessionEventKind.ERROR)


async def test_the_peers_connection_is_taken_while_ours_gets_no_answer(speak: Speak, raw: Raw) -> None:
    """The rival reaches Established first; the dialled one, silent in OpenSent, is dumped."""
    ours = loopback()
    configured = peer(address=loopback(), source=ours)
    dialled, made = raw(configured).listen(), raw(configured)
    speaker = speak(configured, listen_port=PORT, listen_addresses=(ours,))
    await dialled.accept()
    await dialled.open_received()
    await made.connect(ours, PORT)
    await made.establish()

    await speaker.until_state(SessionState.ESTABLISHED)
    assert Notification(6, 7) == await dialled.expect_notification()
    assert (await made.update()).end_of_rib


async def test_a_second_connection_to_an_established_peer_is_refused_without_graceful_restart(
    speak: Speak, raw: Raw
) -> None:
    ours = loopback()
    configured = peer(address=loopback(), source=ours, graceful_restart=None)
    first, second = raw(configured).listen(), raw(configured)
    speaker = speak(configured, listen_port=PORT, listen_addresses=(ours,))
    await first.accept()
    await first.establish()
    await speaker.until_state(SessionState.ESTABLISHED)

    await second.connect(ours, PORT)
    await second.open_received()
    await second.send(second.open())

    assert Notification(6, 7) == await second.expect_notification()
    assert speaker.state() is SessionState.ESTABLISHED


def test_a_later_connection_with_graceful_restart_is_a_restart_of_the_peer() -> None:
    """RFC 4724 §4.2: the old connection ends without a NOTIFICATION, the new one is the session."""

    async def scenario() -> None:
        ours = loopback()
        configured = peer(address=loopback(), source=ours)
        first, second = RawPeer(configured).listen(), RawPeer(configured)
        events: list[SessionEvent] = []
        speaker = Speaker(PeerSet(on_event=events.append, listen_port=PORT, listen_addresses=(ours,)), events)
        speaker.peers.set_peers([configured])
        speaker.peers.start()
        speaker.run()
        await first.accept()
        await first.establish()
        await speaker.until_state(SessionState.ESTABLISHED)
        travel(6.0)

        await second.connect(ours, PORT)
        await second.establish()
        await until(lambda: len(speaker.kinds(SessionEventKind.ESTABLISHED)) == 2)

        await first.expect_end()
        assert "it has restarted" in speaker.kinds(SessionEventKind.CLOSED)[0].reason
        await speaker.end()
        first.close()
        second.close()

    with_travel(scenario)


async def test_an_attempt_that_overlaps_the_establishment_is_a_collision(speak: Speak, raw: Raw) -> None:
    """The peer had dialled before the session came up over the other connection."""
    ours = loopback()
    configured = peer(address=loopback(), source=ours)
    first, second = raw(configured).listen(), raw(configured)
    speaker = speak(configured, listen_port=PORT, listen_addresses=(ours,))
    await first.accept()
    await first.establish()
    await speaker.until_state(SessionState.ESTABLISHED)

    await second.connect(ours, PORT)
    await second.open_received()
    await second.send(second.open())

    assert Notification(6, 7) == await second.expect_notification()
    assert speaker.state() is SessionState.ESTABLISHED


async def test_an_established_peer_is_never_dialled(speak: Speak, raw: Raw) -> None:
    """BIRD and FRR take a second connection from us for a restart of ours."""
    ours = loopback()
    configured = peer(address=loopback(), source=ours, connect_retry_seconds=0.01)
    router = raw(configured)
    speaker = speak(configured, listen_port=PORT, listen_addresses=(ours,))
    await speaker.until_error("refused")
    await router.connect(ours, PORT)
    await router.establish()
    await speaker.until_state(SessionState.ESTABLISHED)
    listening = raw(configured).listen()

    accepting = asyncio.create_task(listening.accept())
    done, _ = await asyncio.wait((accepting,), timeout=0.1)

    assert not done
    accepting.cancel()


async def test_a_flood_of_connections_of_a_peer_is_bounded(speak: Speak, raw: Raw) -> None:
    ours = loopback()
    configured = peer(address=loopback(), passive=True)
    speaker = speak(configured, listen_port=PORT, listen_addresses=(ours,))
    await speaker.until_state(SessionState.ACTIVE)
    flood = [raw(configured) for _ in range(30)]

    for one in flood:
        await one.connect(ours, PORT)
    await until(lambda: speaker.peers.refused_connections > 0)

    for one in flood:
        one.hang_up()
    await speaker.until_state(SessionState.ACTIVE)
    await until(lambda: speaker.peers.refused_connections >= 20)

"""Each direction lives by itself: what is stuck in one does not hide what happens in the other."""

from functools import partial

from speaker.bgp import PeerSet, SessionEvent, SessionEventKind
from speaker.bgp.messages import KEEPALIVE, MessageType
from speaker.bgp.packing import pack_routes
from tests.bgp.builders import Speaker, host_routes, loopback, peer, route, until
from tests.bgp.test_back_pressure import NarrowPeer, narrow_socket
from tests.bgp.test_sessions import context_of
from tests.bgp.travel import travel, with_travel

HOLD_SECONDS = 9
ROUTES = 20_000


async def stuck() -> tuple[Speaker, NarrowPeer]:
    """A session whose peer does not read, in the midst of a large table."""
    configured = peer(address=loopback(), hold_time_seconds=HOLD_SECONDS, extended_messages=False)
    router = NarrowPeer(configured).listen()
    events: list[SessionEvent] = []
    speaker = Speaker(PeerSet(on_event=events.append, open_socket=narrow_socket), events)
    speaker.peers.set_peers([configured])
    speaker.peers.release()
    speaker.peers.start()
    speaker.run()
    await router.accept()
    await router.establish()
    speaker.peers.update("tor", host_routes(ROUTES))
    await until(lambda: speaker.peers.advertised("tor"))
    return speaker, router


def has_received(speaker: Speaker, number: int) -> bool:
    return len(speaker.peers.received("tor")) == number


def test_the_hold_timer_runs_though_our_sending_is_stuck() -> None:
    """RFC 4271 §6.5: it is about what was received."""

    async def scenario() -> None:
        speaker, router = await stuck()

        travel(HOLD_SECONDS)
        await until(lambda: speaker.kinds(SessionEventKind.CLOSED))

        assert "nothing was heard from the peer" in speaker.kinds(SessionEventKind.CLOSED)[0].reason
        await speaker.end()
        router.close()

    with_travel(scenario)


def test_a_peer_that_reads_slowly_but_speaks_keeps_its_session() -> None:
    async def scenario() -> None:
        speaker, router = await stuck()

        for number in range(5):
            await router.send(*pack_routes(context_of(router), [route(f"10.{number}.0.0/16")]))
            # The hold timer has to be restarted before the clock moves on.
            await until(partial(has_received, speaker, number + 1))
            travel(HOLD_SECONDS / 2)

        assert not speaker.kinds(SessionEventKind.CLOSED)
        await speaker.end()
        router.close()

    with_travel(scenario)


def test_keepalives_go_out_in_the_midst_of_a_large_table() -> None:
    async def scenario() -> None:
        speaker, router = await stuck()

        travel(HOLD_SECONDS / 3)
        await router.send(KEEPALIVE)
        kinds: list[MessageType] = []
        while MessageType.KEEPALIVE not in kinds:
            kinds.append((await router.receive())[0])

        assert len(speaker.peers.advertised("tor")) < ROUTES, "the table has not been written yet"
        await speaker.end()
        router.close()

    with_travel(scenario)

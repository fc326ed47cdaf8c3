"""A peer that sends more prefixes than it may: Cease, a pause, and nothing for the others to notice."""

import asyncio
from dataclasses import replace

import pytest

from speaker.bgp import SessionEvent, SessionEventKind
from speaker.bgp.messages import KEEPALIVE, MessageType, Notification, UpdateMessage, prefix_limit_reached
from speaker.bgp.packing import Withdrawal, pack_routes
from speaker.bgp.peers import tcp_socket
from speaker.bgp.session import PREFIX_LIMIT_PAUSE_SECONDS, Session
from speaker.bgp.surroundings import Surroundings
from speaker.model.peer import SessionState
from speaker.model.prefix import Family
from tests.bgp.builders import host_routes, loopback, path, peer, prefix, route, routes, until
from tests.bgp.meeting import Meeting, meeting
from tests.bgp.raw_peer import RawPeer
from tests.bgp.travel import travel, with_travel

# The jitter of RFC 4271 §10 shortens it to this at most.
SHORTEST_PAUSE = 0.75 * PREFIX_LIMIT_PAUSE_SECONDS
LIMITED = {"max_prefixes": 2, "hold_time_seconds": 0, "connect_retry_seconds": 0.2}


async def exceed(met: Meeting) -> Notification:
    """The router sends three prefixes where two are permitted."""
    await met.say(*(route(f"10.1.{number}.0/24") for number in range(3)))
    return await met.router.expect_notification()


@pytest.mark.parametrize(
    ("family", "data"), [(Family.IPV4, "0001 01 00002710"), (Family.IPV6, "0002 01 00002710")]
)
def test_the_notification_names_the_family_and_the_limit(family: Family, data: str) -> None:
    """RFC 4486 §4: AFI, SAFI, "Prefix upper bound"."""
    assert Notification(6, 1, bytes.fromhex(data)) == prefix_limit_reached(family, 10_000)


async def test_one_prefix_too_many_ends_the_session() -> None:
    async with meeting(LIMITED) as met:
        assert prefix_limit_reached(Family.IPV4, 2) == await exceed(met)

        closed = await met.until_closed()
        assert (
            closed.reason == "peer sent more than 2 prefixes; next attempt in 300 s (NOTIFICATION 6/1 sent)"
        )
        assert met.speaker.state() is SessionState.IDLE


async def test_all_of_its_routes_go_with_the_session() -> None:
    """Also where graceful restart would keep them."""
    async with meeting(LIMITED) as met:
        await exceed(met)
        await until(lambda: not met.received)

        assert {prefix("10.1.0.0/24"), prefix("10.1.1.0/24")} == {each.prefix for each in met.withdrawn}


async def test_the_family_of_the_prefix_too_many_is_named() -> None:
    async with meeting(LIMITED) as met:
        await met.tell(route("10.1.0.0/24"), route("10.1.1.0/24"))
        await met.say(route("2001:db8::/48"))

        assert prefix_limit_reached(Family.IPV6, 2) == await met.router.expect_notification()


async def test_as_many_as_permitted_are_welcome_however_often_they_come() -> None:
    async with meeting(LIMITED) as met:
        for med in range(3):
            await met.tell(route("10.1.0.0/24", med=med), route("10.1.1.0/24", med=med))
        await met.take_back(Withdrawal(prefix("10.1.0.0/24"), multiprotocol=False))
        await met.tell(route("10.1.2.0/24"))

        assert met.flaps == 0


async def test_each_path_counts() -> None:
    """A limit is there to bound what a peer costs."""
    settings = LIMITED | {"add_path_receive": True}
    async with meeting(settings, {"add_path_send": True, "add_path_receive": False}) as met:
        await met.say(*(path("10.1.0.0/24", number) for number in (1, 2, 3)))

        assert prefix_limit_reached(Family.IPV4, 2) == await met.router.expect_notification()


async def test_without_a_limit_of_its_own_a_peer_keeps_its_session() -> None:
    async with meeting(received_limit=2) as met:
        await met.say(*(route(f"10.1.{number}.0/24") for number in range(3)))
        await met.tell(route("10.1.0.0/24", med=1))

        assert len(met.received) == 2
        assert met.flaps == 0
        assert not met.peers.sessions()["tor"].last_error


async def test_only_what_is_kept_is_told() -> None:
    async with meeting(received_limit=2) as met:
        await met.say(*(route(f"10.1.{number}.0/24") for number in range(3)))
        await met.tell(route("10.1.0.0/24", med=1))

        told = met.speaker.kinds(SessionEventKind.UPDATE_RECEIVED)
        assert {path.prefix for path in met.received} == {
            each.prefix for event in told for each in event.advertised
        }


async def test_a_peer_whose_routes_are_used_has_room_for_many_more() -> None:
    async with meeting({"imports": True}, received_limit=2) as met:
        await met.tell(*(route(f"10.1.{number}.0/24") for number in range(9)))

        assert len(met.received) == 9


async def test_beyond_that_room_it_is_said_what_is_missing() -> None:
    events: list[SessionEvent] = []
    around = Surroundings(
        spawn=asyncio.ensure_future,
        open_socket=tcp_socket,
        on_event=events.append,
        started_at=None,
        forwarding_preserved=True,
        received_limit=2,
        holds_new_sessions=False,
        import_limit=5,
    )
    session = Session(peer(imports=True), around, released=True)

    session.update_received(UpdateMessage(advertised=tuple(host_routes(6).values())))

    assert len(session.received) == 5
    told, error = events
    assert tuple(session.received.values()) == told.advertised
    assert error.reason == "peer sent more than 5 prefixes: the others are not used"


async def test_a_peer_whose_routes_are_used_from_now_on_is_asked_for_what_was_not_kept() -> None:
    async with meeting(received_limit=2) as met:
        await met.first_advertisement()
        await met.say(*(route(f"10.1.{number}.0/24") for number in range(3)))
        await met.tell(route("10.1.0.0/24", med=1))

        met.change(imports=True)

        await met.router.expect(MessageType.ROUTE_REFRESH)
        await met.tell(*(route(f"10.1.{number}.0/24") for number in range(3)))
        assert met.flaps == 0


def test_the_next_attempt_comes_after_five_minutes() -> None:
    async def scenario() -> None:
        async with meeting(LIMITED) as met:
            await exceed(met)
            accepting = asyncio.ensure_future(met.router.accept())
            travel(SHORTEST_PAUSE - 5)
            for _ in range(20):
                await asyncio.sleep(0.002)
            assert met.speaker.state() is SessionState.IDLE
            assert not accepting.done()
            accepting.cancel()

            travel(PREFIX_LIMIT_PAUSE_SECONDS - SHORTEST_PAUSE + 6)
            await met.establish()

            await met.tell(route("10.1.0.0/24"))

    with_travel(scenario)


def test_the_peer_is_not_let_in_during_the_pause() -> None:
    async def scenario() -> None:
        ours = loopback()
        async with meeting(LIMITED | {"source": ours}, listen_port=1790, listen_addresses=(ours,)) as met:
            await exceed(met)

            await met.router.connect(ours, 1790)

            await met.router.expect_end()
            assert met.peers.refused_connections == 1

    with_travel(scenario)


async def test_a_raised_limit_ends_the_pause() -> None:
    async with meeting(LIMITED) as met:
        await exceed(met)

        met.change(max_prefixes=10)

        await met.establish()
        await met.tell(*(route(f"10.1.{number}.0/24") for number in range(3)))


async def test_what_comes_after_the_prefix_too_many_is_not_looked_at() -> None:
    async with meeting(LIMITED) as met:
        context = met.context()
        flood = [
            message
            for number in range(50)
            for message in pack_routes(context, [route(f"10.1.{number}.0/24")])
        ]
        await met.router.send(*flood, KEEPALIVE)
        await met.until_closed()

        told = met.speaker.kinds(SessionEventKind.UPDATE_RECEIVED)
        assert sum(len(event.advertised) for event in told) == 2


async def test_other_peers_do_not_notice() -> None:
    async with meeting(LIMITED) as met:
        other = peer(name="other", address=loopback())
        router = RawPeer(other).listen()
        met.peers.set_peers([met.peer, replace(other, max_prefixes=2)])
        await router.accept()
        await router.establish()
        await met.speaker.until_state(SessionState.ESTABLISHED, "other")

        await exceed(met)

        met.peers.update("other", routes("10.0.0.0/24"))
        await until(lambda: met.peers.advertised("other"))
        assert met.peers.sessions()["other"].flaps == 0
        router.close()

"""Peers that are not configured one by one: who is let in, and what a change of the range does."""

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from speaker.bgp import PeerSet, SessionEvent, SessionEventKind
from speaker.bgp.messages import MessageType, Notification
from speaker.model.peer import Password, SessionState
from speaker.model.prefix import Family
from tests.bgp.block_of_routers import QUICK, RESTARTS, scene
from tests.bgp.builders import Speaker, peer, prefix, route, routes, until

# -- who is let in -------------------------------------------------------------------------------------


async def test_a_router_of_the_range_has_a_session_by_its_address() -> None:
    async with scene() as made:
        router = await made.join(1)
        name = str(router.address)

        made.peers.update(name, routes("10.0.0.0/24"))

        assert {name} == made.names == set(made.peers.sessions())
        ends = [await router.update() for _ in range(3)]
        assert (route("10.0.0.0/24"),) in [each.advertised for each in ends]
        assert set(routes("10.0.0.0/24")) == set(made.peers.advertised(name))


async def test_what_routers_of_a_range_say_is_kept_of_each() -> None:
    async with scene() as made:
        one, two = await made.join(1), await made.join(2)
        await made.tell(one, "10.1.0.0/24")
        await made.tell(two, "10.2.0.0/24")

        assert {prefix("10.1.0.0/24")} == {each.prefix for each in made.peers.received(str(one.address))}
        made.peers.request_refresh(str(two.address), Family.IPV4)
        for _ in Family:
            await two.update()
        await two.expect(MessageType.ROUTE_REFRESH)


async def test_a_router_outside_of_the_range_is_refused_and_counted() -> None:
    async with scene() as made:
        assert await made.is_refused(made.router(16))

        assert made.peers.refused_connections == 1
        assert not made.names
        assert not made.speaker.events


async def test_no_more_than_the_limit_are_let_in() -> None:
    async with scene(limit=2) as made:
        one, two = await made.join(1), await made.join(2)

        assert await made.is_refused(made.router(3))

        assert made.peers.refused_connections == 1
        assert {str(one.address), str(two.address)} == made.names


async def test_the_place_of_a_router_that_has_left_is_free() -> None:
    async with scene(limit=1) as made:
        one = await made.join(1)
        await made.leave(one)

        two = await made.join(2)

        assert {str(two.address)} == made.names


async def test_an_unacceptable_open_gives_the_place_back() -> None:
    async with scene(limit=1) as made:
        one = made.router(1)
        await made.connect(one)
        await one.open_received()
        await one.send(one.open(local_asn=65099))
        assert Notification(2, 2) == await one.expect_notification()

        await made.join(2)


async def test_a_connection_that_is_closed_before_its_open_gives_the_place_back() -> None:
    async with scene(limit=1) as made:
        one = made.router(1)
        await made.connect(one)
        await one.open_received()
        one.hang_up()

        await until(lambda: not made.names)


async def test_a_connection_that_cannot_be_prepared_gives_the_place_back() -> None:
    """Its interface is gone, for instance."""
    async with scene(limit=1, interface="none-such") as made:
        assert await made.is_refused(made.router(1))

        await until(lambda: not made.names)


async def test_of_several_ranges_the_narrowest_counts() -> None:
    async with scene() as made:
        half = next(iter(made.block.subnets()))
        wide, narrow = made.range(hold_time_seconds=30), made.range(block=half, hold_time_seconds=60)
        for ranges in ([wide, narrow], [narrow, wide]):
            made.peers.set_ranges(ranges)
            inside, outside = made.router(1), made.router(9)
            await made.connect(inside)
            await made.connect(outside)
            assert (60, 30) == (
                (await inside.open_received()).hold_time_seconds,
                (await outside.open_received()).hold_time_seconds,
            )
            inside.hang_up()
            outside.hang_up()
            await until(lambda: not made.names)


async def test_each_range_has_a_limit_of_its_own() -> None:
    async with scene() as made:
        half = next(iter(made.block.subnets()))
        made.peers.set_ranges([made.range(1), made.range(1, half)])

        one, two = await made.join(1), await made.join(9)

        assert await made.is_refused(made.router(2))
        assert await made.is_refused(made.router(10))
        assert {str(one.address), str(two.address)} == made.names


async def test_a_configured_peer_comes_before_any_range() -> None:
    async with scene(limit=1) as made:
        one = made.router(1)
        configured = peer(
            **(QUICK | {"name": "tor", "address": one.address, "passive": True, "hold_time_seconds": 60})
        )
        made.peers.set_peers([configured])
        await made.speaker.until_state(SessionState.ACTIVE)

        await made.connect(one)

        assert (await one.open_received()).hold_time_seconds == 60
        assert not made.names
        await made.join(2)


async def test_a_peer_that_is_configured_later_takes_its_address_over() -> None:
    """Two sessions with one router would look to it like a restart, again and again."""
    async with scene() as made:
        one = await made.join(1)
        stays = await made.join(2)

        configured = peer(**(QUICK | {"name": "tor", "address": one.address, "passive": True}))
        made.peers.set_peers([configured])

        assert Notification(6, 6) == await one.expect_notification()
        assert {str(stays.address)} == made.names
        await made.connect(one)
        await one.establish()
        await made.speaker.until_state(SessionState.ESTABLISHED)


@pytest.mark.md5
async def test_a_range_may_ask_for_a_password() -> None:
    async with scene(password=Password("s3cret")) as made:
        events: list[SessionEvent] = []
        dialling = replace(
            peer(**QUICK),
            address=made.ours,
            source=made.router(1).address,
            asn=65000,
            local_asn=65030,
            router_id=IPv4Address("10.0.0.7"),
            password=Password("another"),
        )
        other = Speaker(PeerSet(on_event=events.append), events)
        other.peers.set_peers([dialling])
        other.peers.start()
        other.run()
        try:
            await other.until_error("no answer")
            assert not made.names

            other.peers.set_peers([replace(dialling, password=Password("s3cret"))])
            await other.until_state(SessionState.ESTABLISHED)
            assert {str(dialling.source)} == made.names

            other.peers.set_peers([replace(dialling, password=Password("newer"))])
            made.peers.set_ranges([made.range(password=Password("newer"))])
            await until(lambda: len(other.kinds(SessionEventKind.ESTABLISHED)) == 2)
        finally:
            await other.end()


# -- configuration -------------------------------------------------------------------------------------


async def test_a_range_that_is_removed_takes_its_peers_along() -> None:
    async with scene() as made:
        halves = list(made.block.subnets())
        made.peers.set_ranges([made.range(block=each) for each in halves])
        goes, stays = await made.join(1), await made.join(9)

        made.peers.set_ranges([made.range(block=halves[1])])

        assert Notification(6, 3) == await goes.expect_notification()
        assert {str(stays.address)} == made.names
        made.peers.update(str(stays.address), routes("10.0.0.0/24"))
        await until(lambda: made.peers.advertised(str(stays.address)))
        assert await made.is_refused(made.router(2))


async def test_a_range_that_grows_keeps_its_peers() -> None:
    async with scene() as made:
        half = next(iter(made.block.subnets()))
        made.peers.set_ranges([made.range(block=half)])
        router = await made.join(1)

        made.peers.set_ranges([made.range(5, description="more")])

        made.peers.update(str(router.address), routes("10.0.0.0/24"))
        await until(lambda: made.peers.advertised(str(router.address)))
        assert not made.speaker.kinds(SessionEventKind.CLOSED)
        assert ["more"] == [each.description for each in made.peers.range_peers]


async def test_a_change_that_needs_a_new_session_ends_the_present_ones() -> None:
    async with scene() as made:
        router = await made.join(1)

        made.peers.set_ranges([made.range(hold_time_seconds=30)])

        assert Notification(6, 6) == await router.expect_notification()
        await made.rejoin(router)
        status = made.peers.sessions()[str(router.address)]
        assert status.peer.hold_time_seconds == 30


async def test_with_graceful_restart_such_a_change_keeps_the_routes() -> None:
    async with scene(**RESTARTS) as made:
        router = await made.join(1, **RESTARTS)
        await made.tell(router, "10.1.0.0/24")

        made.peers.set_ranges([made.range(**RESTARTS, hold_time_seconds=30)])

        await router.expect_end()
        await made.rejoin(router)
        assert {prefix("10.1.0.0/24")} == {each.prefix for each in made.peers.received(str(router.address))}

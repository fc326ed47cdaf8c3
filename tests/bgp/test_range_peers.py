"""Peers of a range as they leave, come back and hear routes."""

import asyncio
from ipaddress import IPv4Address, ip_network

import pytest

from speaker.bgp import PeerSet, SessionEvent, SessionEventKind
from speaker.bgp.messages import Notification, pack_notification
from speaker.bgp.packing import pack_end_of_rib, pack_routes
from speaker.bgp.session import PREFIX_LIMIT_PAUSE_SECONDS, STRANGER_OPEN_SECONDS
from speaker.model.peer import Peer, PeerRange, SessionState
from speaker.model.prefix import Family
from tests.bgp.block_of_routers import RESTARTS, Scene, never, scene
from tests.bgp.builders import PORT, Speaker, loopback, loopback_block, peer, prefix, route, routes, until
from tests.bgp.test_sessions import context_of
from tests.bgp.travel import travel, with_travel

# -- leaving -------------------------------------------------------------------------------------------


async def test_without_graceful_restart_a_router_that_leaves_is_forgotten_at_once() -> None:
    async with scene() as made:
        router = await made.join(1)
        await made.tell(router, "10.1.0.0/24")

        await made.leave(router)

        await until(lambda: not made.names)
        assert not made.peers.received(str(router.address))
        assert not made.peers.sessions()
        told = made.of(str(router.address), SessionEventKind.UPDATE_RECEIVED)[-1]
        assert {prefix("10.1.0.0/24")} == {each.prefix for each in told.withdrawn}


async def test_a_router_that_leaves_is_not_dialled() -> None:
    async with scene(**RESTARTS) as made:
        router = await made.join(1, **RESTARTS)
        router.listen()
        await made.leave(router)

        await made.speaker.until_state(SessionState.ACTIVE, str(router.address))
        await never(lambda: made.speaker.state(str(router.address)) is not SessionState.ACTIVE)


def test_with_graceful_restart_it_is_forgotten_after_its_restart_time() -> None:
    async def scenario() -> None:
        async with scene(**RESTARTS) as made:
            router = await made.join(1, **RESTARTS)
            await made.tell(router, "10.1.0.0/24")
            await made.leave(router)
            travel(115)
            await never(lambda: not made.names or not made.peers.received(str(router.address)))

            travel(10)

            await until(lambda: not made.names)
            assert not made.peers.received(str(router.address))

    with_travel(scenario)


def test_a_router_that_comes_back_in_time_stays() -> None:
    async def scenario() -> None:
        async with scene(**RESTARTS) as made:
            router = await made.join(1, **RESTARTS)
            await made.tell(router, "10.1.0.0/24")
            await made.leave(router)
            travel(60)

            await made.rejoin(router)
            travel(100)
            await never(lambda: not made.names)

            assert made.peers.received(str(router.address))
            await router.send(pack_end_of_rib(Family.IPV4))
            await until(lambda: not made.peers.received(str(router.address)))
            assert made.peers.sessions()[str(router.address)].flaps == 1

    with_travel(scenario)


def test_attempts_that_come_to_nothing_do_not_prolong_its_time() -> None:
    """One is refused at once, since the session has just ended; another ends before its OPEN."""

    async def scenario() -> None:
        async with scene(**RESTARTS) as made:
            router = await made.join(1, **RESTARTS)
            await made.tell(router, "10.1.0.0/24")
            await made.leave(router)
            await made.connect(router)
            await never(lambda: not made.peers.received(str(router.address)))
            await made.connect(router)
            router.hang_up()
            await never(lambda: not made.peers.received(str(router.address)))

            travel(125)

            await until(lambda: not made.names)

    with_travel(scenario)


async def test_an_unacceptable_open_does_not_end_the_restart() -> None:
    async with scene(**RESTARTS) as made:
        router = await made.join(1, **RESTARTS)
        await made.tell(router, "10.1.0.0/24")
        await made.leave(router)
        await made.speaker.until_state(SessionState.ACTIVE, str(router.address))
        await made.connect(router)
        await router.open_received()
        await router.send(router.open(local_asn=65099))
        assert Notification(2, 2) == await router.expect_notification()

        await never(lambda: not made.names)
        assert made.peers.received(str(router.address))


async def test_a_change_of_the_range_does_not_end_the_restart() -> None:
    async with scene(**RESTARTS) as made:
        router = await made.join(1, **RESTARTS)
        await made.tell(router, "10.1.0.0/24")
        await made.leave(router)

        made.peers.set_ranges([made.range(**RESTARTS, description="x")])

        await never(lambda: not made.names)
        assert made.peers.received(str(router.address))


async def test_a_router_that_leaves_with_a_notification_is_forgotten_at_once() -> None:
    """Nothing of it is kept, so nothing holds its place."""
    async with scene(**RESTARTS) as made:
        router = await made.join(1, **RESTARTS)
        await router.send(pack_notification(Notification(6, 2)))

        await until(lambda: not made.names)


def test_a_stranger_that_says_nothing_loses_its_place_after_ten_seconds() -> None:
    async def scenario() -> None:
        async with scene(limit=1) as made:
            slow = made.router(1)
            await made.connect(slow)
            await slow.open_received()
            await slow.send(slow.open()[:25])
            travel(STRANGER_OPEN_SECONDS - 1)
            await never(lambda: not made.names)

            travel(2)

            assert Notification(4) == await slow.expect_notification()
            await made.join(2)

    with_travel(scenario)


def test_a_router_that_sends_too_many_prefixes_is_not_let_in_for_five_minutes() -> None:
    async def scenario() -> None:
        async with scene(max_prefixes=1) as made:
            router = await made.join(1)
            await router.send(*pack_routes(context_of(router), [route("10.1.0.0/24"), route("10.1.1.0/24")]))
            told = await router.expect_notification()
            assert (6, 1) == (told.code, told.subcode)
            travel(0.7 * PREFIX_LIMIT_PAUSE_SECONDS)
            await never(lambda: not made.names)
            assert await made.is_refused(router)

            travel(0.4 * PREFIX_LIMIT_PAUSE_SECONDS)

            await made.rejoin(router)

    with_travel(scenario)


async def test_a_router_that_hammers_has_one_place() -> None:
    async with scene(limit=2) as made:
        for _ in range(30):
            router = made.router(1)
            await made.connect(router)

        await made.join(2)
        assert len(made.names) <= 2


# -- what it hears -------------------------------------------------------------------------------------


async def test_nothing_is_sent_before_the_routes_are_complete() -> None:
    """A new router is known to nobody: its routes are worked out once it is there."""
    async with scene(arguments={"holds_new_sessions": True}) as made:
        router = await made.join(1)
        name = str(router.address)
        made.peers.update(name, routes("10.0.0.0/24"))
        await never(lambda: made.peers.advertised(name))

        made.peers.update(name, routes("10.0.1.0/24"))
        made.peers.routes_complete(name)

        first = await router.update()
        assert set(routes("10.0.0.0/24", "10.0.1.0/24")) == {each.prefix for each in first.advertised}
        assert {(await router.update()).end_of_rib for _ in Family} == set(Family)


async def test_each_session_waits_for_its_own_routes() -> None:
    async with scene(arguments={"holds_new_sessions": True}, **RESTARTS) as made:
        router = await made.join(1, **RESTARTS)
        name = str(router.address)
        made.peers.routes_complete(name)
        assert (await router.update()).end_of_rib is not None
        await made.leave(router)
        await made.rejoin(router)
        made.peers.update(name, routes("10.0.0.0/24"))
        await never(lambda: made.peers.advertised(name))

        made.peers.routes_complete(name)

        assert (route("10.0.0.0/24"),) == (await router.update()).advertised


async def test_nothing_is_sent_before_the_cluster_is_in_sync_either() -> None:
    events: list[SessionEvent] = []
    ours = loopback()
    peers = PeerSet(
        on_event=events.append, listen_port=PORT, listen_addresses=(ours,), holds_new_sessions=True
    )
    speaker = Speaker(peers, events)
    assert isinstance(ours, IPv4Address)
    made = Scene(speaker, ours, loopback_block(), [])
    peers.set_ranges([made.range()])
    peers.start()
    speaker.run()
    router = await made.join(1)
    peers.update(str(router.address), routes("10.0.0.0/24"))
    peers.routes_complete(str(router.address))
    await never(lambda: peers.advertised(str(router.address)))

    peers.release()

    assert (route("10.0.0.0/24"),) == (await router.update()).advertised
    await speaker.end()
    router.close()


async def test_a_stop_tells_the_routers_of_ranges_too() -> None:
    async with scene() as made:
        router = await made.join(1)
        made.peers.update(str(router.address), routes("10.0.0.0/24"))
        await until(lambda: made.peers.advertised(str(router.address)))

        stopping = asyncio.ensure_future(made.peers.stop(graceful_restart=False))

        assert Notification(6, 2) == await router.expect_notification()
        await stopping


@pytest.mark.parametrize("turns", [0, 5])
async def test_nobody_is_let_in_after_a_stop(turns: int) -> None:
    """However far the engine has got with beginning."""
    async with scene() as made:
        for _ in range(turns):
            await asyncio.sleep(0)
        await made.peers.stop(graceful_restart=True)
        assert made.speaker.task is not None
        await made.speaker.task

        with pytest.raises(ConnectionRefusedError):
            await made.connect(made.router(1))


def test_a_peer_of_a_range_is_never_dialled_and_named_by_its_address() -> None:
    template: Peer = peer(passive=False, description="x")
    made = PeerRange(prefix=ip_network("192.0.2.0/24"), limit=3, template=template)

    found = made.peer(IPv4Address("192.0.2.7"))

    assert ("192.0.2.7", True, "x") == (found.name, found.passive, found.description)

"""What the engine tells of received routes: each that was told as advertised is told as withdrawn, once."""

from collections.abc import Iterable
from typing import Any

import pytest

from speaker.bgp import SessionEvent, SessionEventKind
from speaker.bgp.messages import Notification
from speaker.bgp.packing import Withdrawal, pack_end_of_rib
from speaker.model.peer import GracefulRestart
from speaker.model.prefix import Family
from speaker.model.route import PrefixPath
from tests.bgp.block_of_routers import scene
from tests.bgp.builders import prefix, route, until
from tests.bgp.meeting import Meeting, meeting
from tests.bgp.restarting_router import (
    FIRST,
    OURS,
    SECOND,
    V4,
    V6,
    lose,
    on_the_travelling_clock,
    routes_of_a_router,
)
from tests.bgp.travel import travel


def believed(events: Iterable[SessionEvent]) -> set[PrefixPath]:
    """What somebody holds who has heard all events, and forgets nothing by itself."""
    held: set[PrefixPath] = set()
    for event in events:
        held -= set(event.withdrawn)
        held |= {PrefixPath(each.prefix, each.path_id) for each in event.advertised}
    return held


def updates(met: Meeting) -> list[SessionEvent]:
    return met.speaker.kinds(SessionEventKind.UPDATE_RECEIVED)


async def all_is_gone(met: Meeting) -> None:
    await until(lambda: not believed(met.speaker.events), "nothing is held any more")
    told = [path for event in updates(met) for path in event.withdrawn]
    assert len(told) == len(set(told)), "each is told once"


@pytest.mark.parametrize("family", Family)
async def test_end_of_rib_names_its_family(family: Family) -> None:
    async with meeting() as met:
        await met.end_of_rib(family)

        await until(lambda: updates(met), "it is told")
        assert [family] == [event.end_of_rib for event in updates(met)]


async def test_end_of_rib_follows_what_it_makes_go() -> None:
    async with routes_of_a_router() as met:
        await lose(met)
        await met.establish()
        await met.tell(route(SECOND))
        met.speaker.events.clear()

        await met.router.send(pack_end_of_rib(V4))

        await until(lambda: any(event.end_of_rib for event in updates(met)), "it is told")
        gone, said = updates(met)
        assert [FIRST] == [str(each.prefix) for each in gone.withdrawn]
        assert (V4, ()) == (said.end_of_rib, said.withdrawn)


async def test_without_graceful_restart_all_goes_before_the_end_is_told() -> None:
    async with meeting(OURS | {"graceful_restart": None}) as met:
        await met.tell(route(FIRST), route(SECOND))
        await lose(met)

        await all_is_gone(met)
        kinds = [event.kind for event in met.speaker.events if event.withdrawn or event.kind == "closed"]
        assert [SessionEventKind.UPDATE_RECEIVED, SessionEventKind.CLOSED] == kinds


async def test_after_a_notification_all_goes() -> None:
    async with routes_of_a_router() as met:
        met.peers.bfd_down("tor", "BFD went down")

        await all_is_gone(met)


@on_the_travelling_clock
async def test_after_the_restart_time_all_goes() -> None:
    async with routes_of_a_router() as met:
        await lose(met)
        assert len(believed(met.speaker.events)) == 3
        travel(125)

        await all_is_gone(met)


@pytest.mark.parametrize("away", [False, True], ids=["established", "it is away"])
async def test_a_removed_peer_leaves_nothing(away: bool) -> None:
    async with routes_of_a_router() as met:
        if away:
            await lose(met)

        met.peers.set_peers([])

        assert not believed(met.speaker.events), "told before the change returns"
        await all_is_gone(met)


@pytest.mark.parametrize("away", [False, True], ids=["established", "it is away"])
async def test_another_address_leaves_nothing_of_the_old(away: bool) -> None:
    """The peer is another one, though its name stays."""
    async with routes_of_a_router() as met:
        if away:
            await lose(met)

        met.change(address=type(met.peer.address)(int(met.peer.address) ^ 0xFF00))

        await all_is_gone(met)


async def test_withdrawn_counts_before_advertised() -> None:
    async with meeting() as met:
        await met.tell(route(FIRST))
        await met.take_back(Withdrawal(prefix(FIRST), multiprotocol=False))
        await met.tell(route(FIRST, med=1))

        assert {PrefixPath(prefix(FIRST))} == believed(met.speaker.events) == set(met.received)


RESTARTS: dict[str, Any] = {"graceful_restart": GracefulRestart(restart_time_seconds=120)}


@on_the_travelling_clock
async def test_a_peer_of_a_range_that_does_not_come_back_leaves_nothing() -> None:
    async with scene(**RESTARTS) as played:
        router = await played.join(1, **RESTARTS)
        await played.tell(router, FIRST)
        await played.leave(router)
        assert believed(played.speaker.events)
        travel(125)

        await until(lambda: not believed(played.speaker.events), "it is told")


async def test_a_range_that_is_removed_leaves_nothing() -> None:
    async with scene() as played:
        router = await played.join(1)
        await played.tell(router, FIRST)

        played.peers.set_ranges([])

        await until(lambda: not believed(played.speaker.events), "it is told")


@pytest.mark.parametrize("keeps", [True, False], ids=["with graceful restart", "without"])
async def test_a_speaker_that_stops_for_its_own_restart_tells_nothing_as_withdrawn(keeps: bool) -> None:
    """The kernel goes on with what was learned until the next speaker has taken it over."""
    restart = RESTARTS if keeps else {"graceful_restart": None}
    async with meeting(OURS | restart) as met:
        await met.tell(route(FIRST))

        await met.peers.stop(graceful_restart=True)

        assert believed(met.speaker.events)


async def test_a_speaker_that_stops_for_good_tells_what_goes() -> None:
    async with routes_of_a_router() as met:
        await met.peers.stop(graceful_restart=False)

        await all_is_gone(met)
        assert Notification(6, 2) == await met.router.expect_notification()


async def test_the_order_over_families() -> None:
    """Each family has a mark of its own."""
    async with meeting() as met:
        await met.end_of_rib(V6, V4)

        await until(lambda: len(updates(met)) == 2, "both are told")
        assert [V6, V4] == [event.end_of_rib for event in updates(met)]

"""Long-lived graceful restart, the receiving speaker: routes as a last choice (RFC 9494 §4.2)."""

from collections.abc import Mapping

import pytest

from speaker.bgp import SessionEventKind
from speaker.bgp.adj_rib_in import LLGR_STALE, NO_LLGR
from speaker.model.peer import SessionState
from speaker.model.prefix import Family
from speaker.model.route import PrefixPath
from tests.bgp.builders import prefix, route, until
from tests.bgp.meeting import Meeting, meeting
from tests.bgp.restarting_router import (
    FIRST,
    LASTS,
    OURS,
    SECOND,
    SIXTH,
    V4,
    V6,
    gone,
    lose,
    names,
    never,
    on_the_travelling_clock,
    restarting_open,
    routes_of_a_router,
)
from tests.bgp.travel import travel, with_travel


def community(met: Meeting, name: str) -> tuple[int, ...]:
    return met.received[PrefixPath(prefix(name))].attributes.communities


@on_the_travelling_clock
async def test_after_the_restart_time_long_lived_routes_are_a_last_choice() -> None:
    """RFC 9494 §4.2: with LLGR_STALE, and told anew."""
    async with routes_of_a_router(LASTS, told=(FIRST,)) as met:
        await met.tell(route(SECOND, communities=(7,)))
        await lose(met)
        assert community(met, FIRST) == ()
        travel(125)

        await until(lambda: LLGR_STALE in community(met, FIRST))

        assert (7, LLGR_STALE) == community(met, SECOND)
        last = met.speaker.kinds(SessionEventKind.UPDATE_RECEIVED)[-1]
        assert {FIRST, SECOND} == {str(each.prefix) for each in last.advertised}
        assert all(LLGR_STALE in each.attributes.communities for each in last.advertised)
        assert not met.withdrawn


@on_the_travelling_clock
async def test_what_must_not_be_kept_for_long_is_not() -> None:
    """RFC 9494 §3.3: NO_LLGR."""
    async with routes_of_a_router(LASTS, told=(FIRST,)) as met:
        await met.tell(route(SECOND, communities=(NO_LLGR,)))
        await lose(met)
        travel(115)
        await never(lambda: met.withdrawn)

        travel(10)

        await met.until_received(FIRST)
        assert {SECOND} == gone(met)


@on_the_travelling_clock
async def test_long_lived_routes_go_when_their_time_is_over() -> None:
    async with routes_of_a_router(LASTS) as met:
        await lose(met)
        travel(125)
        await until(lambda: LLGR_STALE in community(met, FIRST))
        travel(3500)
        await never(lambda: met.withdrawn)

        travel(110)

        await met.until_received()


@on_the_travelling_clock
async def test_each_family_is_kept_for_its_own_time() -> None:
    packed = restarting_open({V4: True, V6: True}, {V4: (True, 60)})
    async with meeting(OURS | {"graceful_restart": LASTS}, established=False) as met:
        await met.establish(packed)
        await met.tell(route(FIRST), route(SIXTH))
        await met.end_of_rib()
        await lose(met)
        travel(125)
        await met.until_received(FIRST)

        travel(61)

        await met.until_received()


@on_the_travelling_clock
async def test_a_family_with_a_long_life_alone_is_a_last_choice_at_once() -> None:
    """RFC 9494 §4.2: for a family that graceful restart does not list, the restart time is zero."""
    packed = restarting_open({V6: True}, {V4: (True, 600)})
    async with meeting(OURS | {"graceful_restart": LASTS}, established=False) as met:
        await met.establish(packed)
        await met.tell(route(FIRST), route(SIXTH))
        await lose(met)

        await until(lambda: LLGR_STALE in community(met, FIRST))

        assert community(met, SIXTH) == ()


@on_the_travelling_clock
async def test_long_lived_routes_are_replaced_by_what_the_router_says_when_it_is_back() -> None:
    async with routes_of_a_router(LASTS) as met:
        await lose(met)
        travel(125)
        await until(lambda: LLGR_STALE in community(met, FIRST))
        await met.establish()
        await met.tell(route(FIRST))
        assert community(met, FIRST) == ()
        assert LLGR_STALE in community(met, SECOND)

        await met.end_of_rib(V4)

        await met.until_received(FIRST, SIXTH)


@pytest.mark.parametrize(
    ("long_lived", "kept"),
    [
        pytest.param({V4: (True, 60), V6: (True, 60)}, {FIRST, SECOND, SIXTH}, id="preserved"),
        pytest.param({V4: (False, 60), V6: (True, 60)}, {SIXTH}, id="F is clear for one family"),
        pytest.param({V6: (True, 60)}, {SIXTH}, id="one family is missing"),
        pytest.param(None, set(), id="the capability is missing"),
    ],
)
def test_after_a_long_absence_the_f_bit_of_the_long_life_counts(
    long_lived: Mapping[Family, tuple[bool, int]] | None, kept: set[str]
) -> None:
    """RFC 9494 §4.2: that of the new capability."""

    async def scenario() -> None:
        async with routes_of_a_router(LASTS) as met:
            await lose(met)
            travel(125)
            await until(lambda: LLGR_STALE in community(met, FIRST))

            await met.establish(restarting_open({V4: True, V6: True}, long_lived))

            await met.until_received(*kept)

    with_travel(scenario)


@on_the_travelling_clock
async def test_a_second_restart_keeps_what_has_a_long_life() -> None:
    """RFC 9494 §4.2: what was stale before is not deleted before its time."""
    async with routes_of_a_router(LASTS) as met:
        await lose(met)
        await met.establish()
        await met.tell(route(SECOND))

        await lose(met, 2)

        await never(lambda: met.withdrawn)
        assert {FIRST, SECOND, SIXTH} == names(met)


@on_the_travelling_clock
async def test_a_router_that_comes_and_goes_does_not_keep_its_routes_for_ever() -> None:
    """RFC 9494 §4.2: a running timer is not updated before the peer has sent End-of-RIB."""
    async with routes_of_a_router(LASTS) as met:
        await lose(met)
        travel(125)
        await until(lambda: LLGR_STALE in community(met, FIRST))
        travel(3000)
        for times in (2, 3):
            await met.establish()
            await lose(met, times)
            travel(125)
            await never(lambda: met.withdrawn)

        travel(500)

        await met.until_received()


@on_the_travelling_clock
async def test_a_router_that_has_synchronized_has_its_whole_time_again() -> None:
    async with routes_of_a_router(LASTS) as met:
        await lose(met)
        travel(125)
        await until(lambda: LLGR_STALE in community(met, FIRST))
        travel(3000)
        await met.establish()
        await met.tell(route(FIRST))
        await met.end_of_rib()
        await met.until_received(FIRST)
        await lose(met, 2)
        travel(125)
        await until(lambda: LLGR_STALE in community(met, FIRST))

        travel(3500)
        await never(lambda: not met.received)
        travel(150)
        await met.until_received()


async def test_a_route_that_comes_back_as_it_was_is_told_as_no_last_choice() -> None:
    async with routes_of_a_router(LASTS) as met:
        await lose(met)
        await met.establish()
        assert met.speaker.state() is SessionState.ESTABLISHED
        await met.tell(route(FIRST))

        assert community(met, FIRST) == ()

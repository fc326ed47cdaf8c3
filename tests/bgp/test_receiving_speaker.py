"""The peer restarts, and we are the receiving speaker: what is kept of its routes (RFC 4724 §4.2)."""

import pytest

from speaker.bgp import SessionEventKind
from speaker.model.peer import GracefulRestart
from speaker.model.route import PrefixPath
from tests.bgp.builders import prefix, route, until
from tests.bgp.meeting import meeting
from tests.bgp.restarting_router import (
    FIRST,
    OURS,
    RESTART,
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
from tests.bgp.travel import travel


async def test_routes_are_kept_when_the_connection_ends() -> None:
    async with routes_of_a_router() as met:
        await lose(met)

        assert {FIRST, SECOND, SIXTH} == names(met)
        assert not met.withdrawn


async def test_end_of_rib_of_a_family_drops_what_was_not_advertised_again() -> None:
    async with routes_of_a_router() as met:
        await lose(met)
        await met.establish()
        await met.tell(route(SECOND))
        assert {FIRST, SECOND, SIXTH} == names(met)

        await met.end_of_rib(V4)

        await met.until_received(SECOND, SIXTH)
        assert {FIRST} == gone(met)
        await met.end_of_rib(V6)
        await met.until_received(SECOND)


@pytest.mark.parametrize(
    ("packed", "kept"),
    [
        pytest.param(restarting_open({V4: True, V6: True}), {FIRST, SECOND, SIXTH}, id="all preserved"),
        pytest.param(restarting_open({V4: False, V6: True}), {SIXTH}, id="F is clear for one family"),
        pytest.param(restarting_open({V4: True}), {FIRST, SECOND}, id="one family is missing"),
        pytest.param(restarting_open({}), set(), id="no family is there"),
        pytest.param(restarting_open(None), set(), id="the capability is missing"),
        pytest.param(
            restarting_open({V4: True, V6: True}, flags=0), {FIRST, SECOND, SIXTH}, id="R does not matter"
        ),
    ],
)
async def test_the_new_open_tells_what_was_preserved(packed: bytes, kept: set[str]) -> None:
    """RFC 4724 §4.2: what was not is removed at once."""
    async with routes_of_a_router() as met:
        await lose(met)

        await met.establish(packed)

        await met.until_received(*kept)
        assert {FIRST, SECOND, SIXTH} - kept == gone(met)


async def test_a_router_that_only_helps_has_nothing_kept() -> None:
    """RFC 4724 §4.2: what is kept are the families in its capability."""
    async with meeting(OURS, established=False) as met:
        await met.establish(restarting_open({}))
        await met.tell(route(FIRST))

        await lose(met)

        await met.until_received()
        assert {FIRST} == gone(met)


async def test_without_graceful_restart_of_ours_nothing_is_kept() -> None:
    async with meeting(
        OURS | {"graceful_restart": None}, {"graceful_restart": RESTART, "hold_time_seconds": 0}
    ) as met:
        await met.tell(route(FIRST))

        await lose(met)

        await met.until_received()


@on_the_travelling_clock
async def test_kept_routes_go_when_the_restart_time_is_over() -> None:
    async with routes_of_a_router() as met:
        await lose(met)
        travel(115)
        await never(lambda: met.withdrawn)

        travel(10)

        await met.until_received()
        assert {FIRST, SECOND, SIXTH} == gone(met)


@on_the_travelling_clock
async def test_the_restart_time_is_over_once_the_session_is_back() -> None:
    async with routes_of_a_router() as met:
        await lose(met)
        travel(100)
        await met.establish()
        travel(60)

        await never(lambda: met.withdrawn)


@on_the_travelling_clock
async def test_a_router_that_never_sends_end_of_rib_loses_what_it_does_not_advertise() -> None:
    """RFC 4724 §4.2: "to put an upper bound on the amount of time a router retains the stale routes"."""
    async with routes_of_a_router() as met:
        await lose(met)
        await met.establish()
        await met.tell(route(SECOND))
        travel(295)
        await never(lambda: met.withdrawn)

        travel(10)

        await met.until_received(SECOND)


@on_the_travelling_clock
async def test_the_upper_bound_may_be_changed_while_the_router_is_away() -> None:
    async with routes_of_a_router() as met:
        await lose(met)
        met.change(graceful_restart=GracefulRestart(deferral_time_seconds=30))
        await met.establish()
        travel(35)

        await met.until_received()


async def test_what_was_stale_before_a_second_restart_goes() -> None:
    """RFC 4724 §4.2: "a route (from the peer) previously marked as stale MUST be deleted"."""
    async with routes_of_a_router() as met:
        await lose(met)
        await met.establish()
        await met.tell(route(SECOND))

        await lose(met, 2)

        await met.until_received(SECOND)
        assert {FIRST, SIXTH} == gone(met)


async def test_a_restart_in_the_midst_of_a_refresh_drops_nothing() -> None:
    """What the refresh has not confirmed yet is no leftover of an earlier restart."""
    async with routes_of_a_router() as met:
        await met.router.send(bytes.fromhex("ff" * 16 + "00170500010101"))
        await met.tell(route(SECOND))

        await lose(met)

        assert {FIRST, SECOND, SIXTH} == names(met)


async def test_changes_on_the_new_session_are_told_as_they_come() -> None:
    async with routes_of_a_router() as met:
        await lose(met)
        await met.establish()

        await met.tell(route(SECOND, med=9))

        assert met.received[PrefixPath(prefix(SECOND))].attributes.med == 9
        last = met.speaker.kinds(SessionEventKind.UPDATE_RECEIVED)[-1]
        assert [SECOND] == [str(each.prefix) for each in last.advertised]


async def test_the_end_of_the_session_is_told_before_what_goes_with_it() -> None:
    """And what stays while the router restarts is not told at all."""
    async with routes_of_a_router() as met:
        await lose(met)
        await met.establish(restarting_open(None))
        await met.until_received()

        kinds = [
            event.kind
            for event in met.speaker.events
            if event.kind in (SessionEventKind.CLOSED, SessionEventKind.ESTABLISHED) or event.withdrawn
        ]
        assert SessionEventKind.CLOSED is kinds[1]
        assert SessionEventKind.UPDATE_RECEIVED in kinds[2:]


async def test_a_stopped_speaker_keeps_nothing() -> None:
    async with routes_of_a_router() as met:
        await lose(met)

        met.peers.set_peers([])

        await until(lambda: {FIRST, SECOND, SIXTH} == gone(met))

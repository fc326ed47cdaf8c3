"""Route refresh with its begin and end marked (RFC 2918, RFC 7313), asked for by either side."""

import asyncio

import pytest

from speaker.bgp.adj_rib_out import AdjRibOut, Changes
from speaker.bgp.messages import (
    MessageType,
    Notification,
    RefreshSubtype,
    RouteRefresh,
    UpdateMessage,
    pack_message,
    pack_route_refresh,
    unpack_route_refresh,
)
from speaker.bgp.packing import pack_routes
from speaker.bgp.receiving import REFRESH_SECONDS
from speaker.model.peer import SessionState
from speaker.model.prefix import Family
from speaker.model.route import PrefixPath
from tests.bgp.builders import host_routes, path, prefix, route, routes
from tests.bgp.listening_router import ListeningRouter
from tests.bgp.meeting import Meeting, meeting
from tests.bgp.travel import travel, with_travel
from tests.fuzz.wire import open_message

BEGIN, END = RefreshSubtype.BEGIN, RefreshSubtype.END
V4, V6 = Family.IPV4, Family.IPV6
Heard = UpdateMessage | RouteRefresh
# Of a router that knows route refresh (RFC 2918), but not RFC 7313.
WITHOUT_MARKS = open_message(65030)


async def hear(
    met: Meeting, until_end_of: Family | None = None, *, updates: int | None = None
) -> list[Heard]:
    """What the speaker says until the end of a refresh, or so many UPDATEs."""
    heard: list[Heard] = []
    while True:
        kind, body = await met.router.receive()
        if kind is MessageType.ROUTE_REFRESH:
            message = unpack_route_refresh(body, enhanced=True)
            assert message is not None
            heard.append(message)
            if message == RouteRefresh(until_end_of or V4, END):
                return heard
        elif kind is MessageType.UPDATE:
            heard.append(met.router.decode(body))
        if updates == len(heard):
            return heard


async def quiet(met: Meeting) -> None:
    """The speaker has nothing to say to what it was sent: an UPDATE that it is asked for comes next."""
    await met.tell(route("10.254.0.0/24"))
    marker = routes("10.255.0.0/24")
    met.advertise(marker)
    heard = met.router.decode(await met.router.expect(MessageType.UPDATE))
    assert {one.prefix for one in heard.advertised} == set(marker), heard


# -- the peer asks -------------------------------------------------------------------------------------


async def test_a_refresh_stands_between_its_marks() -> None:
    """RFC 7313 §4: "BoRR [...] before starting to re-advertise", EoRR after it."""
    async with meeting(advertised=routes("10.0.0.0/24", "2001:db8::/48")) as met:
        await met.first_advertisement()
        await met.router.send(pack_route_refresh(V6))

        begin, update, end = await hear(met, V6)

        assert (RouteRefresh(V6, BEGIN), RouteRefresh(V6, END)) == (begin, end)
        assert isinstance(update, UpdateMessage)
        assert (route("2001:db8::/48"),) == update.advertised


async def test_a_refresh_of_nothing_is_marked_as_well() -> None:
    async with meeting() as met:
        await met.first_advertisement()
        await met.router.send(pack_route_refresh(V4))

        assert [RouteRefresh(V4, BEGIN), RouteRefresh(V4, END)] == await hear(met, V4)


async def test_a_refresh_asked_for_during_the_first_advertisement_follows_its_end() -> None:
    """RFC 7313 §4: no BoRR before End-of-RIB; and everything must be in it, or the peer would drop it."""
    table = host_routes(5000)
    async with meeting(released=False, advertised=table) as met:
        await met.router.send(pack_route_refresh(V4))
        await asyncio.sleep(0.05)
        met.peers.release()

        first = await met.first_advertisement()
        again = await hear(met, V4)

        assert set(table) == {one.prefix for update in first for one in update.advertised}
        assert (RouteRefresh(V4, BEGIN), RouteRefresh(V4, END)) == (again[0], again[-1])
        updates = [each for each in again if isinstance(each, UpdateMessage)]
        assert set(table) == {one.prefix for update in updates for one in update.advertised}


def written(rib: AdjRibOut, limit: int) -> list[Changes]:
    changes = []
    while rib.has_work:
        changes.append(rib.take(limit))
        rib.commit(changes[-1])
    return changes


def test_what_is_on_its_way_when_a_refresh_begins_is_in_the_refresh() -> None:
    """The peer hears the begin after it, and would drop it at the end."""
    rib, router = AdjRibOut(), ListeningRouter()
    rib.begin(lambda _route: True)
    written(rib, 10)
    rib.update(routes("10.0.0.0/24"))
    in_flight = rib.take(10)

    rib.refresh(V4)
    router.hear(in_flight)
    rib.commit(in_flight)
    for changes in written(rib, 10):
        router.hear(changes)

    assert {(prefix("10.0.0.0/24"), 0)} == router.paths.keys()


def test_what_goes_and_comes_back_around_the_begin_of_a_refresh_is_in_the_refresh() -> None:
    """When it is looked at, it is as it was sent: but that was before the begin."""
    rib, router = AdjRibOut(), ListeningRouter()
    rib.update(routes("10.0.0.0/24"))
    rib.begin(lambda _route: True)
    for changes in written(rib, 10):
        router.hear(changes)

    rib.update({prefix("10.0.0.0/24"): None})
    rib.refresh(V4)
    rib.update(routes("10.0.0.0/24"))
    for changes in written(rib, 10):
        router.hear(changes)

    assert {(prefix("10.0.0.0/24"), 0)} == router.paths.keys()


def test_a_second_request_begins_the_refresh_anew() -> None:
    """RFC 7313 §4: the marks of the first are void; all comes between the last begin and the end."""
    rib, router = AdjRibOut(), ListeningRouter()
    rib.update(host_routes(30))
    rib.begin(lambda _route: True)
    for changes in written(rib, 10):
        router.hear(changes)

    rib.refresh(V4)
    half = rib.take(20)
    router.hear(half)
    rib.commit(half)
    rib.refresh(V4)
    rest = written(rib, 10)
    for changes in rest:
        router.hear(changes)

    marks = [(changes.refresh_begins, changes.refresh_ends) for changes in (half, *rest)]
    assert ([(V4,), (V4,)], [(V4,)]) == ([b for b, _ in marks if b], [e for _, e in marks if e])
    assert len(router.paths) == 30


def test_the_end_of_a_refresh_does_not_wait_for_later_changes() -> None:
    rib = AdjRibOut()
    rib.update(host_routes(30))
    rib.begin(lambda _route: True)
    written(rib, 100)
    rib.refresh(V4)

    ends = []
    for turn in range(6):
        changes = rib.take(10)
        rib.commit(changes)
        ends.append(changes.refresh_ends)
        rib.update(routes(*(f"172.16.{turn}.{number}/32" for number in range(20))))

    assert [(), (), (V4,), (), (), ()] == ends


def test_refreshes_of_both_families_have_marks_of_their_own() -> None:
    rib = AdjRibOut()
    rib.update(routes("10.0.0.0/24", "2001:db8::/48"))
    rib.begin(lambda _route: True)
    written(rib, 10)

    rib.refresh(V4)
    rib.refresh(V6)
    [changes] = written(rib, 10)

    assert ((V4, V6), (V4, V6)) == (changes.refresh_begins, changes.refresh_ends)


def test_a_session_that_ends_takes_its_refresh_along() -> None:
    rib = AdjRibOut()
    rib.update(routes("10.0.0.0/24"))
    rib.begin(lambda _route: True)
    written(rib, 10)
    rib.refresh(V4)

    rib.end()
    rib.begin(lambda _route: True)
    [changes] = written(rib, 10)

    assert ((), ()) == (changes.refresh_begins, changes.refresh_ends)


async def test_a_peer_that_knows_no_marks_gets_none() -> None:
    async with meeting(established=False, advertised=routes("10.0.0.0/24")) as met:
        await met.establish(WITHOUT_MARKS)
        await met.first_advertisement()
        await met.router.send(pack_route_refresh(V4))

        [update] = await hear(met, updates=1)

        assert isinstance(update, UpdateMessage)
        assert (route("10.0.0.0/24"),) == update.advertised
        await quiet(met)


async def test_a_refresh_of_a_family_that_was_not_negotiated_is_ignored() -> None:
    """RFC 2918 §4."""
    async with meeting({"families": frozenset({V4})}) as met:
        await met.first_advertisement()
        await met.router.send(pack_route_refresh(V6))

        await quiet(met)


async def test_a_refresh_sends_every_path() -> None:
    desired = {prefix("10.0.0.0/24"): (path("10.0.0.0/24", 1), path("10.0.0.0/24", 2, med=1))}
    theirs = {"add_path_send": False, "add_path_receive": True}
    async with meeting({"add_path_send": True}, theirs, advertised=desired) as met:
        await met.first_advertisement()
        await met.router.send(pack_route_refresh(V4))

        heard = [each for each in await hear(met) if isinstance(each, UpdateMessage)]

        assert {1, 2} == {one.path_id for update in heard for one in update.advertised}


# -- we ask --------------------------------------------------------------------------------------------


async def test_we_ask_for_a_family_of_the_session() -> None:
    async with meeting({"families": frozenset({V4})}) as met:
        await met.first_advertisement()

        met.peers.request_refresh("tor", V6)
        met.peers.request_refresh("tor", V4)
        met.peers.request_refresh("nobody", V4)

        assert pack_route_refresh(V4)[19:] == await met.router.expect(MessageType.ROUTE_REFRESH)


async def test_nobody_is_asked_without_a_session() -> None:
    async with meeting(established=False) as met:
        met.peers.request_refresh("tor", V4)

        await met.router.accept()
        await met.router.expect(MessageType.OPEN)


async def test_the_end_of_a_refresh_drops_what_was_not_advertised_again() -> None:
    """RFC 7313 §4: what is stale is removed; what came again stays."""
    async with meeting() as met:
        await met.tell(*(route(f"10.1.{number}.0/24") for number in range(3)), route("2001:db8:1::/48"))
        await met.end_of_rib()
        await met.router.send(
            pack_route_refresh(V4, BEGIN), *pack_routes(met.context(), [route("10.1.1.0/24")])
        )
        await met.tell(route("10.1.9.0/24"))
        assert len(met.received) == 5, "nothing goes before the end"

        await met.router.send(pack_route_refresh(V4, END))

        await met.until_received("10.1.1.0/24", "10.1.9.0/24", "2001:db8:1::/48")
        assert {"10.1.0.0/24", "10.1.2.0/24"} == {str(each.prefix) for each in met.withdrawn}


async def test_a_refresh_that_begins_again_counts_from_its_last_begin() -> None:
    async with meeting() as met:
        await met.tell(route("10.1.0.0/24"), route("10.1.1.0/24"))
        await met.end_of_rib()
        again = [*pack_routes(met.context(), [route("10.1.0.0/24")])]
        begin, end = pack_route_refresh(V4, BEGIN), pack_route_refresh(V4, END)

        await met.router.send(begin, *again, begin, *pack_routes(met.context(), [route("10.1.1.0/24")]), end)

        await met.until_received("10.1.1.0/24")


async def test_an_end_without_a_begin_drops_nothing() -> None:
    async with meeting() as met:
        await met.tell(route("10.1.0.0/24"))
        await met.end_of_rib()

        await met.router.send(pack_route_refresh(V4, END))
        await met.tell(route("10.2.0.0/24"))

        await met.until_received("10.1.0.0/24", "10.2.0.0/24")


async def test_marks_mean_nothing_before_end_of_rib() -> None:
    """RFC 7313 §4: of a peer with graceful restart a BoRR is ignored until its End-of-RIB has come.

    Here it has kept one route over its restart, which only End-of-RIB may end.
    """
    async with meeting() as met:
        await met.tell(route("10.1.0.0/24"), route("10.1.1.0/24"))
        await met.end_of_rib()
        met.router.hang_up()
        await met.until_closed()
        await met.establish()
        await met.router.send(pack_route_refresh(V4, BEGIN), pack_route_refresh(V4, END))
        await met.tell(route("10.1.1.0/24", med=1))
        await met.until_received("10.1.0.0/24", "10.1.1.0/24")

        await met.end_of_rib(V4)

        await met.until_received("10.1.1.0/24")


async def test_marks_mean_something_at_once_without_graceful_restart() -> None:
    async with meeting({"graceful_restart": None}) as met:
        await met.tell(route("10.1.0.0/24"), route("10.1.1.0/24"))

        await met.router.send(pack_route_refresh(V4, BEGIN))
        await met.tell(route("10.1.1.0/24", med=1), route("10.1.2.0/24"))
        await met.router.send(pack_route_refresh(V4, END))

        await met.until_received("10.1.1.0/24", "10.1.2.0/24")


async def test_marks_of_a_peer_that_did_not_offer_them_mean_nothing() -> None:
    """RFC 7313 §3.2: without the capability the subtype is a reserved field, so this asks for routes."""
    async with meeting(established=False, advertised=routes("10.0.0.0/24")) as met:
        await met.establish(WITHOUT_MARKS)
        await met.first_advertisement()
        await met.tell(route("10.1.0.0/24"))

        await met.router.send(pack_route_refresh(V4, BEGIN), pack_route_refresh(V4, END))
        await met.tell(route("10.1.1.0/24"))

        await met.until_received("10.1.0.0/24", "10.1.1.0/24")


def test_a_refresh_whose_end_never_comes_is_over_after_a_while() -> None:
    """RFC 7313 §4: "a locally configurable upper bound" on how long what is stale is retained."""

    async def scenario() -> None:
        async with meeting({"hold_time_seconds": 0}) as met:
            await met.tell(route("10.1.0.0/24"), route("10.1.1.0/24"))
            await met.end_of_rib()
            await met.router.send(pack_route_refresh(V4, BEGIN))
            await met.tell(route("10.1.1.0/24", med=1), route("10.1.2.0/24"))
            travel(REFRESH_SECONDS - 5)
            await asyncio.sleep(0.02)
            assert len(met.received) == 3

            travel(10)

            await met.until_received("10.1.1.0/24", "10.1.2.0/24")
            assert [PrefixPath(prefix("10.1.0.0/24"))] == met.withdrawn
            assert met.speaker.state() is SessionState.ESTABLISHED

    with_travel(scenario)


@pytest.mark.parametrize(
    ("body", "notification"),
    [
        pytest.param("0001000100", Notification(1, 2, b"\0\x18"), id="a long request"),
        pytest.param(
            "0001010100",
            Notification(7, 1, b"\xff" * 16 + bytes.fromhex("0018050001010100")),
            id="a long begin",
        ),
    ],
)
async def test_a_refresh_of_a_wrong_length(body: str, notification: Notification) -> None:
    """RFC 7313 §5: for marks "Invalid Message Length" with the whole message."""
    async with meeting() as met:
        await met.router.send(pack_message(MessageType.ROUTE_REFRESH, bytes.fromhex(body)))

        assert notification == await met.router.expect_notification()


@pytest.mark.parametrize("body", ["00010301", "0001ff01", "00190001", "00010046"])
async def test_subtypes_and_families_that_nobody_knows_are_ignored(body: str) -> None:
    """RFC 7313 §3.2, RFC 2918 §4."""
    async with meeting(advertised=routes("10.0.0.0/24")) as met:
        await met.first_advertisement()
        await met.router.send(pack_message(MessageType.ROUTE_REFRESH, bytes.fromhex(body)))

        await quiet(met)

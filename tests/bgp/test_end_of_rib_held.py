"""A speaker that has not heard all it is to pass on tells what it has, and not that this was all."""

from tests.bgp.builders import routes
from tests.bgp.meeting import meeting


async def test_routes_flow_and_the_end_follows_when_it_may() -> None:
    async with meeting({"connect_retry_seconds": 0.2}) as met:
        await met.first_advertisement()
        met.peers.hold_end_of_rib(True)
        met.router.hang_up()
        await met.establish()
        met.advertise(routes("10.0.0.0/24"))

        first = await met.router.update()
        met.peers.hold_end_of_rib(False)
        rest = await met.first_advertisement()

        assert [str(route.prefix) for route in first.advertised] == ["10.0.0.0/24"]
        assert rest == []


async def test_what_changes_meanwhile_precedes_the_end() -> None:
    async with meeting({"connect_retry_seconds": 0.2}) as met:
        await met.first_advertisement()
        met.peers.hold_end_of_rib(True)
        met.router.hang_up()
        await met.establish()
        for text in ("10.0.0.0/24", "10.0.1.0/24"):
            met.advertise(routes(text))
            heard = (await met.router.update()).advertised
            assert [str(route.prefix) for route in heard] == [text]

        met.peers.hold_end_of_rib(False)

        assert await met.first_advertisement() == []


async def test_an_end_that_was_told_is_not_taken_back() -> None:
    async with meeting({"connect_retry_seconds": 0.2}) as met:
        await met.first_advertisement()
        met.peers.hold_end_of_rib(True)
        met.peers.hold_end_of_rib(False)
        met.advertise(routes("10.0.0.0/24"))

        update = await met.router.update()

        assert update.end_of_rib is None
        assert len(update.advertised) == 1

"""The clocks, dice and sleeps that tests put in the place of real ones behave as those do."""

import asyncio
from collections.abc import Callable

import pytest

from speaker.clock import Clock, SystemClock
from speaker.cluster.backoff import Pacing
from tests.cluster.watching import FastTime, HeldTime
from tests.health.test_health import SteppedClock

clocks = pytest.mark.parametrize("make", [SystemClock, SteppedClock, FastTime, HeldTime])
pacings = pytest.mark.parametrize("make", [Pacing, lambda: FastTime().pacing()], ids=["real", "fast"])


@clocks
def test_a_clock_never_goes_back(make: Callable[[], Clock]) -> None:
    clock = make()
    readings = [clock.monotonic() for _ in range(100)]

    assert readings == sorted(readings)


@pacings
def test_a_draw_is_within_its_bounds(make: Callable[[], Pacing]) -> None:
    drawn = [make().uniform(2.0, 3.0) for _ in range(100)]

    assert all(2.0 <= each <= 3.0 for each in drawn)


@pacings
async def test_a_sleep_lets_the_clock_go_on_and_others_run(make: Callable[[], Pacing]) -> None:
    pacing = make()
    before = pacing.clock.monotonic()
    ran = asyncio.create_task(asyncio.sleep(0, True))

    await pacing.sleep(0.05)

    assert pacing.clock.monotonic() - before >= 0.04
    assert ran.done()


@pacings
async def test_a_sleep_can_be_cancelled(make: Callable[[], Pacing]) -> None:
    sleeping = asyncio.ensure_future(make().sleep(10_000.0))
    await asyncio.sleep(0)
    sleeping.cancel()

    with pytest.raises(asyncio.CancelledError):
        await sleeping

"""Waiting ends with the first value that fits, and tells what was there if none came."""

import pytest

from tests.lab.waiting import NotReachedError, eventually


async def test_the_first_value_that_holds_is_returned() -> None:
    numbers = iter(range(10))

    assert await eventually(lambda: next(numbers), lambda number: number > 2) == 3


async def test_the_probe_may_be_awaitable() -> None:
    async def probe() -> str:
        return "there"

    assert await eventually(probe) == "there"


async def test_what_holds_at_once_is_seen_without_any_time() -> None:
    assert await eventually(lambda: True, within=0)


async def test_the_failure_shows_the_last_value() -> None:
    with pytest.raises(NotReachedError, match=r"(?s)rain did not come within 0 s; at the end:\n<sun>"):
        await eventually(
            lambda: "sun", lambda sky: sky == "rain", within=0, what="rain", show=lambda sky: f"<{sky}>"
        )

"""Waiting with a clock: when a condition began to hold, to a few milliseconds."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tests.lab.waiting import NotReachedError

T = TypeVar("T")

STEP_SECONDS = 0.003


async def moment(
    probe: Callable[[], Awaitable[T]], holds: Callable[[T], bool], *, what: str, within: float = 60.0
) -> float:
    """The monotonic time at which `probe` first gave what `holds`.

    Raises:
        NotReachedError: it did not within so many seconds.
    """
    deadline = time.monotonic() + within
    while True:
        value = await probe()
        now = time.monotonic()
        if holds(value):
            return now
        if now >= deadline:
            raise NotReachedError(f"{what} did not come within {within:g} s; at the end: {value!r}")
        await asyncio.sleep(STEP_SECONDS)

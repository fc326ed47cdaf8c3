"""The one place in the lab where a test waits: a condition is polled in short, bounded steps."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar, overload

T = TypeVar("T")

STEP_SECONDS = 0.02


class NotReachedError(AssertionError):
    """A condition did not come to hold in time; the message shows what was there instead."""


@overload
async def eventually(
    probe: Callable[[], Awaitable[T]],
    holds: Callable[[T], bool] = bool,
    *,
    within: float = 10.0,
    what: str = "the condition",
    show: Callable[[T], str] = repr,
) -> T: ...


@overload
async def eventually(
    probe: Callable[[], T],
    holds: Callable[[T], bool] = bool,
    *,
    within: float = 10.0,
    what: str = "the condition",
    show: Callable[[T], str] = repr,
) -> T: ...


async def eventually(
    probe: Callable[[], T | Awaitable[T]],
    holds: Callable[[T], bool] = bool,
    *,
    within: float = 10.0,
    what: str = "the condition",
    show: Callable[[T], str] = repr,
) -> T:
    """The first value of `probe` (plain or awaitable) for which `holds` is true.

    Raises:
        NotReachedError: `within` seconds passed; the message has `what` and the last value as `show` puts it.
    """
    deadline = time.monotonic() + within
    while True:
        value = await _value_of(probe)
        if holds(value):
            return value
        if time.monotonic() >= deadline:
            raise NotReachedError(f"{what} did not come within {within:g} s; at the end:\n{show(value)}")
        await asyncio.sleep(STEP_SECONDS)


async def _value_of(probe: Callable[[], T | Awaitable[T]]) -> T:
    value = probe()
    return await value if inspect.isawaitable(value) else value

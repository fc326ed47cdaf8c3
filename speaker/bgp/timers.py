"""The timers of one state machine on the event loop: one task, however often they are restarted."""

import asyncio
import random
from collections.abc import Callable

from speaker.bgp.fsm_alphabet import StartTimer, Timer


class Timers:
    """Deadlines by timer.

    A deadline that moves away (the hold timer, at every message) costs one dictionary write: the task
    wakes at the old deadline, sees that it is not due, and sleeps again.

    Args:
        on_expiry: called on the event loop with the timer that expired.
    """

    def __init__(self, on_expiry: Callable[[Timer], None]) -> None:
        self._on_expiry = on_expiry
        self._deadlines: dict[Timer, float] = {}
        self._sleeping_until = float("inf")
        self._sooner = asyncio.Event()

    def start(self, order: StartTimer) -> None:
        """(Re)starts a timer."""
        # "The suggested value of jitter is a random value in the range of 0.75 to 1.0" (RFC 4271 §10);
        # it spreads load and is no secret.
        factor = random.uniform(0.75, 1.0) if order.jitter else 1.0  # noqa: S311
        deadline = asyncio.get_running_loop().time() + order.seconds * factor
        self._deadlines[order.timer] = deadline
        if deadline < self._sleeping_until:
            self._sooner.set()

    def stop(self, timer: Timer) -> None:
        """Stops a timer; one that does not run is left alone."""
        self._deadlines.pop(timer, None)

    async def run(self) -> None:
        """Fires the timers until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            self._sooner.clear()
            self._sleeping_until = min(self._deadlines.values(), default=float("inf"))
            await self._sleep(self._sleeping_until - loop.time())
            for timer, deadline in list(self._deadlines.items()):
                # A timer may have been stopped by what an earlier one caused.
                if deadline <= loop.time() and self._deadlines.get(timer) == deadline:
                    del self._deadlines[timer]
                    self._on_expiry(timer)

    async def _sleep(self, seconds: float) -> None:
        if seconds <= 0:
            return
        try:
            async with asyncio.timeout(None if seconds == float("inf") else seconds):
                await self._sooner.wait()
        except TimeoutError:
            return

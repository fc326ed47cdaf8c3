"""How long one piece of work may keep the event loop. Knows nothing of the work."""

import asyncio
import time

SLICE_SECONDS = 0.004
"""After so long the loop turns once: the next piece may begin at the end of this one."""


class Pace:
    """The time since the loop last turned."""

    def __init__(self) -> None:
        self._since = time.monotonic()

    async def step(self) -> None:
        """Let the loop turn if this slice has lasted long enough."""
        if time.monotonic() - self._since >= SLICE_SECONDS:
            await asyncio.sleep(0)
            self._since = time.monotonic()

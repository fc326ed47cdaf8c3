"""A router's table over some time: what was not there for a moment was lost to packets in that moment."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.lab.routers.router import Router
from tests.lab.routers.table import NextHops

_STEP_SECONDS = 0.01


@asynccontextmanager
async def watching(router: Router) -> AsyncIterator[list[NextHops]]:
    """Each table that differs from the one before it, from the begin of the block to its end."""
    seen = [await router.next_hops()]

    async def look() -> None:
        table = await router.next_hops()
        if table != seen[-1]:
            seen.append(table)

    async def watch() -> None:
        while True:
            await look()
            await asyncio.sleep(_STEP_SECONDS)

    task = asyncio.create_task(watch())
    try:
        yield seen
    finally:
        task.cancel()
        await asyncio.wait((task,))
    await look()

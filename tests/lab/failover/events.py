"""What may happen to the first node: done to it until the outcome is plain, and undone afterwards.

Knows processes and links. Knows nothing of packets.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from tests.lab.failover.rack import Rack
from tests.lab.failover.scenarios import KILLED_SECONDS, UPGRADE_SECONDS, Event
from tests.lab.routers.frr import Frr

_SETTLE_SECONDS = 0.5
"""What goes wrong after the last step shows within this time."""

Happening = Callable[[Rack], AbstractAsyncContextManager[None]]
"""The event happens on the way in, and whatever is still broken is repaired on the way out."""


@asynccontextmanager
async def _killed(rack: Rack) -> AsyncIterator[None]:
    await rack.speaker.kill()
    await _come_back(rack, KILLED_SECONDS)
    yield


@asynccontextmanager
async def _upgraded(rack: Rack) -> AsyncIterator[None]:
    """SIGTERM as the kubelet sends it, and a new process."""
    await _stop(rack)
    await _come_back(rack, UPGRADE_SECONDS)
    yield


@asynccontextmanager
async def _silent(rack: Rack) -> AsyncIterator[None]:
    with rack.link.silent():
        await rack.wait_leg_gone()
        await asyncio.sleep(_SETTLE_SECONDS)
        yield


@asynccontextmanager
async def _link_down(rack: Rack) -> AsyncIterator[None]:
    with rack.link.cut():
        await rack.wait_leg_gone()
        await asyncio.sleep(_SETTLE_SECONDS)
        yield
    if isinstance(rack.router, Frr):
        # FRR 8.4 leaves the next hop out of the kernel's group, for it takes the group for installed.
        await rack.router.stop()
        await rack.router.start()


@asynccontextmanager
async def _withdrawn(rack: Rack) -> AsyncIterator[None]:
    """The node is switched off the moment that its speaker has ended: nothing forwards there any more."""
    await _stop(rack)
    with rack.link.silent():
        await rack.wait_leg_gone()
        await asyncio.sleep(_SETTLE_SECONDS)
        yield
    await rack.speaker.start()


HAPPENINGS: Mapping[Event, Happening] = {
    Event.KILL: _killed,
    Event.UPGRADE: _upgraded,
    Event.SILENCE: _silent,
    Event.LINK_DOWN: _link_down,
    Event.WITHDRAWAL: _withdrawn,
}


async def _stop(rack: Rack) -> None:
    status = await rack.speaker.stop()
    if status != 0:
        raise RuntimeError(f"{rack.speaker} ended with status {status}:\n{rack.speaker.log()}")


async def _come_back(rack: Rack, away_seconds: float) -> None:
    await asyncio.sleep(away_seconds)
    await rack.speaker.start()
    await rack.wait_whole()
    # The End-of-RIB, after which stale routes go, is the last thing to come.
    await asyncio.sleep(_SETTLE_SECONDS)

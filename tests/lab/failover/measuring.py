"""One event under traffic: what was sent, what was lost, what moved, and when the next hop left and came.

Knows the rack and the clock; the numbers of several runs become one by their median.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from tests.lab.failover.events import HAPPENINGS
from tests.lab.failover.legs import Legs
from tests.lab.failover.rack import (
    SHARED,
    SHARED_FLOWS,
    SINGLE_FLOWS,
    VICTIM,
    Rack,
)
from tests.lab.failover.scenarios import Event
from tests.lab.traffic import Flow
from tests.lab.waiting import eventually

_WARM_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class Way:
    """The packets to one address."""

    flows: int
    affected: int
    """How many of the flows went to the node before."""
    seconds: float
    sent: int
    lost: int
    moved: int
    """How many flows were seen at more than one node."""

    @property
    def black_hole_seconds(self) -> float:
        """For how long each of the affected flows got nothing through, on average.

        By the rate at which packets were really sent: a busy machine leaves some out.
        """
        affected = self.sent * self.affected / self.flows
        return self.seconds * self.lost / affected if affected else 0.0


@dataclass(frozen=True, slots=True)
class Figures:
    """One run, or several of the same."""

    shared: Way
    single: Way
    left_seconds: float | None
    """From the event until the router's kernel used the node no more; None if it always did."""
    returned_seconds: float | None
    """From the event until it did again; None if it never left, or did not come back by itself."""


async def measure(rack: Rack, event: Event) -> Figures:
    """Let it happen once; the rack is whole again afterwards."""
    tor = rack.cluster.topology["tor1"].namespace
    async with (
        rack.shared_flow() as shared,
        rack.single_flow() as single,
        Legs(tor, f"{SHARED}/32") as legs,
    ):
        await _arrive(rack, shared, single)
        counted_since = time.monotonic()
        sent_before = (shared.sent, single.sent)
        share = await _share(shared)
        since = time.monotonic()
        async with HAPPENINGS[event](rack):
            figures = Figures(
                await _counted(shared, counted_since, sent_before[0], SHARED_FLOWS, share),
                await _counted(single, counted_since, sent_before[1], SINGLE_FLOWS, SINGLE_FLOWS),
                legs.left(VICTIM, since),
                legs.returned(VICTIM, since),
            )
        await rack.wait_whole()
    return figures


async def _counted(flow: Flow, since: float, sent_before: int, flows: int, affected: int) -> Way:
    seconds = time.monotonic() - since
    await flow.stop()
    return Way(flows, affected, seconds, flow.sent - sent_before, flow.lost(), flow.moved())


async def _arrive(rack: Rack, shared: Flow, single: Flow) -> None:
    """Return once packets go where they should, and count from there."""
    await eventually(shared.received, lambda received: received.keys() == rack.nodes, what="packets")
    await eventually(single.received, lambda received: received.keys() == {VICTIM}, what="packets")
    for flow in (shared, single):
        flow.mark()


async def _share(shared: Flow) -> int:
    """How many of the flows go to the node; each is seen several times meanwhile, where it is at home."""
    await asyncio.sleep(_WARM_SECONDS)
    received = shared.received()
    return round(SHARED_FLOWS * received.get(VICTIM, 0) / sum(received.values()))


def middle(runs: Sequence[Figures]) -> Figures:
    """The median of each figure; what happened in some runs only is taken from those."""
    return Figures(
        _middle_way([run.shared for run in runs]),
        _middle_way([run.single for run in runs]),
        _middle_time([run.left_seconds for run in runs]),
        _middle_time([run.returned_seconds for run in runs]),
    )


def _middle_way(ways: Sequence[Way]) -> Way:
    def of(figure: Callable[[Way], int]) -> int:
        return round(median(map(figure, ways)))

    seconds = median(way.seconds for way in ways)

    return Way(
        ways[0].flows,
        of(lambda way: way.affected),
        seconds,
        of(lambda way: way.sent),
        of(lambda way: way.lost),
        of(lambda way: way.moved),
    )


def _middle_time(times: Sequence[float | None]) -> float | None:
    seen = [each for each in times if each is not None]
    return median(seen) if seen else None

"""Traffic between all Pods while something happens, and what must not be lost of it."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

from tests.fabric_proofs.designs import WAIT_SECONDS
from tests.lab.all_pairs import AllPairs
from tests.lab.fabric_cluster import FabricCluster
from tests.lab.losses import Loss, Pair, show_losses
from tests.lab.waiting import eventually

RATE = 10
"""Packets in a second for each pair and family."""

ENOUGH = 10
"""How many packets of each pair follow what has happened, before the losses are counted."""


@asynccontextmanager
async def between_all_pods(cluster: FabricCluster, rate: int = RATE) -> AsyncIterator[AllPairs]:
    """Traffic that flows between all Pods; what is lost from here on is counted."""
    async with AllPairs(cluster.pods.values(), rate=rate) as traffic:
        await traffic.flowing(WAIT_SECONDS)
        traffic.mark()
        yield traffic


@asynccontextmanager
async def nothing_lost(cluster: FabricCluster, rate: int = RATE) -> AsyncIterator[AllPairs]:
    """No packet between any two Pods is lost while the block runs, nor just after it."""
    async with between_all_pods(cluster, rate) as traffic:
        yield traffic
        losses = await losses_of(traffic)
        assert not losses, show_losses(losses)


async def losses_of(traffic: AllPairs, *, without: Collection[str] = ()) -> dict[Pair, Loss]:
    """What was lost, once more packets have followed, between Pods that are not in `without`.

    Traffic ends with it.
    """
    before = traffic.received()

    def waiting() -> list[Pair]:
        now = traffic.received()
        return [
            pair
            for pair, count in now.items()
            if not {pair.source, pair.destination} & set(without) and count < before.get(pair, 0) + ENOUGH
        ]

    await eventually(waiting, lambda pairs: not pairs, within=WAIT_SECONDS, what="further packets")
    await traffic.stop()
    return {
        pair: loss
        for pair, loss in traffic.lost().items()
        if not {pair.source, pair.destination} & set(without)
    }

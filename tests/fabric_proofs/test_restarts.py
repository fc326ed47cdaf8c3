"""A speaker that ends and comes back: the kernel's routes stay, and packets pass all the time."""

import asyncio
from collections.abc import Sequence

import pytest

from tests.fabric_proofs.conftest import MakeFabric
from tests.fabric_proofs.designs import (
    FLAGS,
    WAIT_SECONDS,
    around,
    make_reflector,
    reflected,
    wait_down,
    wait_sessions,
)
from tests.fabric_proofs.packets import nothing_lost
from tests.lab.fabric_cluster import FabricCluster

REFLECTORS = ("node1", "node2")


async def end(cluster: FabricCluster, nodes: Sequence[str], *, kill: bool) -> None:
    """End the speakers of these nodes at once, and wait until every other has noticed."""
    speakers = [cluster.speakers[node] for node in nodes]
    await asyncio.gather(*(speaker.kill() if kill else speaker.stop() for speaker in speakers))
    for node in nodes:
        await wait_down(cluster, node, set(cluster.node_names) - set(nodes))


async def begin(cluster: FabricCluster, nodes: Sequence[str]) -> None:
    """Start them again."""
    await asyncio.gather(*(cluster.speakers[node].start() for node in nodes))
    for node in nodes:
        await cluster.speakers[node].wait_in_sync(WAIT_SECONDS)


@pytest.mark.parametrize("kill", [False, True], ids=["SIGTERM", "SIGKILL"])
async def test_restarts_of_a_client_a_reflector_and_both_reflectors_at_once_lose_nothing(
    make_fabric: MakeFabric, *, kill: bool
) -> None:
    cluster = await make_fabric(4)
    for node in REFLECTORS:
        await make_reflector(cluster, node)
    await cluster.apply(*reflected())
    await cluster.start_speakers(*FLAGS, within=WAIT_SECONDS)
    wanted = around(REFLECTORS, cluster.node_names)
    await wait_sessions(cluster, wanted)
    await cluster.wait_learned(within=WAIT_SECONDS)
    before = {node: cluster.learned(node) for node in cluster.node_names}

    async with nothing_lost(cluster):
        for nodes in (["node3"], ["node1"], ["node1", "node2"]):
            await end(cluster, nodes, kill=kill)
            assert {node: cluster.learned(node) for node in cluster.node_names} == before
            await begin(cluster, nodes)
            await wait_sessions(cluster, wanted)
    assert {node: cluster.learned(node) for node in cluster.node_names} == before

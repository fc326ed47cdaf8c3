"""From a mesh to reflectors in the cluster and back, packet by packet: make before break."""

import pytest

from tests.fabric_proofs.conftest import MakeFabric
from tests.fabric_proofs.designs import (
    CLIENTS,
    FLAGS,
    WAIT_SECONDS,
    all_of,
    around,
    make_client,
    make_reflector,
    mesh,
    reflected,
    states,
    statuses,
    wait_down,
    wait_sessions,
)
from tests.fabric_proofs.packets import nothing_lost
from tests.lab.fabric_cluster import FabricCluster
from tests.lab.waiting import eventually

REFLECTORS = ("node1", "node2")


async def to_reflectors(cluster: FabricCluster, *cluster_ids: str) -> None:
    """Make the first two nodes reflectors, then change the design."""
    for node, cluster_id in zip(REFLECTORS, cluster_ids, strict=True):
        await make_reflector(cluster, node, cluster_id)
    await cluster.apply(*reflected())


async def to_mesh(cluster: FabricCluster) -> None:
    """The way back, everything in the order in which it comes to mind."""
    await cluster.apply(mesh())
    await cluster.kubectl("delete", "bgppeer", CLIENTS, "--wait=false")
    for node in REFLECTORS:
        await make_client(cluster, node)


async def test_mesh_to_reflectors_and_back_with_ten_clients_loses_nothing(make_fabric: MakeFabric) -> None:
    """Between the two ways a reflector's speaker is killed and started again: that loses nothing either."""
    cluster = await make_fabric(12)
    await cluster.apply(mesh())
    await cluster.start_speakers(*FLAGS, within=WAIT_SECONDS)
    await wait_sessions(cluster, all_of(cluster.node_names))
    await cluster.wait_learned(within=WAIT_SECONDS)

    async with nothing_lost(cluster, rate=5):
        await to_reflectors(cluster, "244.0.0.1", "244.0.0.1")
        await wait_sessions(cluster, around(REFLECTORS, cluster.node_names))
        await cluster.wait_learned(within=WAIT_SECONDS)
    async with nothing_lost(cluster, rate=5):
        await cluster.speakers["node1"].kill()
        await wait_down(cluster, "node1")
        await cluster.wait_learned(within=WAIT_SECONDS)
        await cluster.speakers["node1"].start()
        await cluster.speakers["node1"].wait_in_sync(WAIT_SECONDS)
        await wait_sessions(cluster, around(REFLECTORS, cluster.node_names))
    async with nothing_lost(cluster, rate=5):
        await to_mesh(cluster)
        await wait_sessions(cluster, all_of(cluster.node_names))
        await cluster.wait_learned(within=WAIT_SECONDS)


@pytest.mark.parametrize("cluster_ids", [("244.0.0.1", "244.0.0.1"), ("244.0.0.1", "244.0.0.2")])
async def test_mesh_to_reflectors_of_one_or_two_clusters_loses_nothing(
    make_fabric: MakeFabric, cluster_ids: tuple[str, str]
) -> None:
    """Reflectors with different cluster IDs reflect each other's routes; with the same one they do not."""
    cluster = await make_fabric(5)
    await cluster.apply(mesh())
    await cluster.start_speakers(*FLAGS, within=WAIT_SECONDS)
    await wait_sessions(cluster, all_of(cluster.node_names))
    await cluster.wait_learned(within=WAIT_SECONDS)

    async with nothing_lost(cluster):
        await to_reflectors(cluster, *cluster_ids)
        await wait_sessions(cluster, around(REFLECTORS, cluster.node_names))
        await cluster.wait_learned(within=WAIT_SECONDS)
        await to_mesh(cluster)
        await wait_sessions(cluster, all_of(cluster.node_names))
        await cluster.wait_learned(within=WAIT_SECONDS)


async def test_mesh_to_reflectors_waits_for_one_that_is_not_there_until_the_deadline(
    make_fabric: MakeFabric,
) -> None:
    """The old sessions stay, with the reason shown, and go when time is up: the other reflector serves."""
    cluster = await make_fabric(5)
    # Kept as stale for as long as this may take, so that its Pods are reached all the time.
    await cluster.apply(mesh(nodeMeshMaxRestartTime="900s"))
    await cluster.start_speakers(*FLAGS, within=WAIT_SECONDS)
    await wait_sessions(cluster, all_of(cluster.node_names))
    await cluster.wait_learned(within=WAIT_SECONDS)
    async with nothing_lost(cluster):
        await cluster.speakers["node1"].kill()
        await wait_down(cluster, "node1")
        others = [node for node in cluster.node_names if node != "node1"]

        for node in REFLECTORS:
            await make_reflector(cluster, node)
        await cluster.apply(*reflected(nodeMeshMaxRestartTime="900s", switchDeadline="3600s"))
        reasons = await eventually(
            lambda: retiring(cluster, "node3"), lambda found: len(found) == 2, within=WAIT_SECONDS
        )
        assert reasons == dict.fromkeys(("node4", "node5"), "waits for the session with node1")
        for node in others:
            there = states(await cluster.ask(node, "status"))
            assert {peer for peer, state in there.items() if state == "Established"} == set(others) - {node}

        await cluster.apply(*reflected(nodeMeshMaxRestartTime="900s", switchDeadline="5s"))
        wanted = around(REFLECTORS, cluster.node_names)
        await eventually(
            lambda: statuses(cluster, others),
            lambda found: all(states(found[node]).keys() == set(wanted[node]) for node in others),
            within=WAIT_SECONDS,
        )
        assert "the deadline passed: waits for the session with node1" in cluster.speakers["node3"].log()


async def retiring(cluster: FabricCluster, node: str) -> dict[str, str]:
    """The peers that a node is to give up, and what each waits for."""
    fabric = (await cluster.ask(node, "status"))["fabric"]
    return {each["peer"]: each["reason"] for each in fabric["retiring"]}

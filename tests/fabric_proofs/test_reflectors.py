"""Two reflectors in the cluster: they change places, and one of them dies."""

import time
from signal import SIGCONT, SIGSTOP
from typing import Any

import pytest

from tests.fabric_proofs.conftest import MakeFabric
from tests.fabric_proofs.designs import (
    FLAGS,
    WAIT_SECONDS,
    around,
    make_client,
    make_reflector,
    reflected,
    statuses,
    wait_forgotten,
    wait_sessions,
)
from tests.fabric_proofs.packets import between_all_pods, losses_of, nothing_lost
from tests.lab.fabric_cluster import FabricCluster
from tests.lab.losses import show_losses
from tests.lab.waiting import eventually

REFLECTORS = ("node1", "node2")
BFD = {"minTx": "100ms", "minRx": "100ms"}


async def reflected_cluster(make_fabric: MakeFabric, nodes: int, **spec: object) -> FabricCluster:
    """The first two nodes reflect, everybody knows everything."""
    cluster = await make_fabric(nodes)
    for node in REFLECTORS:
        await make_reflector(cluster, node)
    await cluster.apply(*reflected(**spec))
    await cluster.start_speakers(*FLAGS, within=WAIT_SECONDS)
    await wait_sessions(cluster, around(REFLECTORS, cluster.node_names))
    await cluster.wait_learned(within=WAIT_SECONDS)
    return cluster


async def test_a_client_becomes_a_reflector_and_one_again_and_another_takes_its_place(
    make_fabric: MakeFabric,
) -> None:
    """Labels and marks of Nodes are all that changes; nothing is lost."""
    cluster = await reflected_cluster(make_fabric, 5)
    async with nothing_lost(cluster):
        await make_reflector(cluster, "node3")
        await wait_sessions(cluster, around(("node1", "node2", "node3"), cluster.node_names))
        await make_client(cluster, "node3")
        await wait_sessions(cluster, around(REFLECTORS, cluster.node_names))
        await cluster.wait_learned(within=WAIT_SECONDS)

        await make_client(cluster, "node2")
        await make_reflector(cluster, "node4")
        await wait_sessions(cluster, around(("node1", "node4"), cluster.node_names))
        await cluster.wait_learned(within=WAIT_SECONDS)


async def test_a_client_that_joins_is_reached_by_all_and_a_reflector_that_leaves_is_not_missed(
    make_fabric: MakeFabric,
) -> None:
    """Nothing is done by hand but the Node itself; that one reflector is left is told."""
    cluster = await reflected_cluster(make_fabric, 4)
    async with nothing_lost(cluster) as traffic:
        new = await cluster.add_node()
        await cluster.start_speakers(*FLAGS, nodes=[new], within=WAIT_SECONDS)
        await wait_sessions(cluster, around(REFLECTORS, cluster.node_names))
        await cluster.wait_learned(within=WAIT_SECONDS)
        for pod in cluster.pods.on(new):
            traffic.add(pod)
        await traffic.flowing(WAIT_SECONDS)

        for pod in cluster.pods.on("node1"):
            traffic.remove(pod.name)
        await cluster.remove_node("node1")
        await wait_sessions(cluster, around(["node2"], cluster.node_names))
        await wait_forgotten(cluster, "node1")
    status = await cluster.ask(new, "status")
    assert any("There is one reflector alone, node2" in each for each in status["fabric"]["warnings"])


async def test_a_reflector_that_falls_silent_cuts_only_its_own_pods_and_bfd_finds_it(
    make_fabric: MakeFabric, capsys: pytest.CaptureFixture[str]
) -> None:
    """What its Pods send and receive is lost with the node; its routes go long before the hold time."""
    cluster = await reflected_cluster(make_fabric, 5, bfd=BFD)
    await wait_bfd(cluster)
    dead = [pod.name for pod in cluster.pods.on("node1")]

    async with between_all_pods(cluster) as traffic:
        began = time.monotonic()
        cluster.speakers["node1"].send_signal(SIGSTOP)
        cluster.fabric.link("node1").lose_all()
        await wait_forgotten(cluster, "node1")
        seconds = time.monotonic() - began
        losses = await losses_of(traffic, without=dead)
    with capsys.disabled():
        print(f"\nno kernel leads to the silent node any more after {seconds:.3f} s")
    assert not losses, show_losses(losses)
    found = await statuses(cluster, set(cluster.node_names) - {"node1"})
    assert all(last_error(status, "node1").startswith("BFD: no BFD packet came") for status in found.values())

    cluster.fabric.link("node1").heal()
    cluster.speakers["node1"].send_signal(SIGCONT)
    await wait_sessions(cluster, around(REFLECTORS, cluster.node_names))
    await cluster.wait_learned(within=WAIT_SECONDS)


def last_error(status: Any, peer: str) -> str:
    """Why the session with a peer last ended."""
    return next(str(each["last_error"]) for each in status["sessions"] if each["peer"] == peer)


async def wait_bfd(cluster: FabricCluster) -> None:
    """Return once BFD is up beside every session of every speaker."""

    async def states() -> set[str]:
        found = await statuses(cluster, cluster.node_names)
        return {str(each.get("bfd")) for status in found.values() for each in status["sessions"]}

    await eventually(states, lambda found: found == {"Up"}, within=WAIT_SECONDS, what="BFD is up")

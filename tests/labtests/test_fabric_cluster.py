"""A cluster on a fabric: Nodes with Pod CIDRs, custom resources, speakers, and nodes that come and go."""

import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from speaker.model.prefix import Family
from tests.lab.fabric_cluster import FabricCluster
from tests.lab.kubectl import CommandFailedError
from tests.lab.pods import pod_cidrs
from tests.lab.routers.bird import Bird
from tests.lab.routers.racks import client_config, reflector_config

pytestmark = [pytest.mark.netns, pytest.mark.kubectl]

ASN = 64512

# A stand-in: manifests/crds are tested where they belong.
GADGETS: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "gadgets.lab.example.org"},
    "spec": {
        "group": "lab.example.org",
        "scope": "Cluster",
        "names": {"plural": "gadgets", "singular": "gadget", "kind": "Gadget"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {"type": "object", "properties": {"size": {"type": "integer"}}}
                        },
                    }
                },
            }
        ],
    },
}
GADGET = "apiVersion: lab.example.org/v1\nkind: Gadget\nmetadata: {name: one}\nspec: {size: %s}\n"


@pytest.fixture
async def cluster() -> AsyncIterator[FabricCluster]:
    """Three nodes on a switch."""
    folder = Path(tempfile.mkdtemp(prefix="fab-"))
    async with FabricCluster(folder, 3, flat=True, crds=[GADGETS], labels={"pool": "blue"}) as made:
        yield made
    shutil.rmtree(folder, ignore_errors=True)


async def test_nodes_are_objects_with_addresses_labels_and_pod_cidrs(cluster: FabricCluster) -> None:
    await cluster.label("node2", "rack=two", "pool-")
    await cluster.annotate("node2", "bgp.route-speaker.io/as-number=64999")

    node = await cluster.get("node", "node2")

    assert node["spec"]["podCIDRs"] == ["10.244.2.0/24", "fd00:10:244:2::/64"]
    assert [each["address"] for each in node["status"]["addresses"]] == ["172.31.1.12", "fd00:31:1::12"]
    assert node["metadata"]["labels"] == {
        "ovn.kubernetes.io/bgp": "true",
        "kubernetes.io/hostname": "node2",
        "rack": "two",
    }
    assert node["metadata"]["annotations"]["bgp.route-speaker.io/as-number"] == "64999"


async def test_custom_resources_are_applied_and_checked(cluster: FabricCluster) -> None:
    await cluster.apply(GADGET % 3)
    assert (await cluster.get("gadget", "one"))["spec"] == {"size": 3}

    with pytest.raises(CommandFailedError, match="size"):
        await cluster.apply(GADGET % "large")


async def test_a_node_comes_with_its_object_and_pods_and_goes_with_them(cluster: FabricCluster) -> None:
    name = await cluster.add_node(labels={"pool": "green"}, annotations={"note": "new"})

    node = await cluster.get("node", name)
    assert (node["metadata"]["labels"]["pool"], node["metadata"]["annotations"]["note"]) == ("green", "new")
    assert [pod.node for pod in cluster.pods.values()] == ["node1", "node2", "node3", name]

    await cluster.remove_node(name)
    assert cluster.node_names == ("node1", "node2", "node3")
    assert set(cluster.pods) == {"pod1", "pod2", "pod3"}
    with pytest.raises(CommandFailedError, match="NotFound"):
        await cluster.get("node", name)


@pytest.mark.bird
async def test_what_the_kernels_of_nodes_learned_is_told_by_name(cluster: FabricCluster) -> None:
    """From a reflector at the switch, by a BIRD on each node in place of a speaker."""
    await cluster.add_router(Bird, 1, [ASN])
    for name in cluster.node_names:
        config = client_config(cluster.fabric, name, ASN, *pod_cidrs(name))
        await cluster.start_beside(Bird(config, cluster.fabric[name].namespace))

    await cluster.wait_learned(protocol="bird")

    assert cluster.learned("node1", protocol="bird") == {
        "10.244.2.0/24": {"node2"},
        "fd00:10:244:2::/64": {"node2"},
        "10.244.3.0/24": {"node3"},
        "fd00:10:244:3::/64": {"node3"},
    }
    await cluster.pods.wait_path("pod1", "pod3", "node1", "node3")


@pytest.mark.bird
async def test_reflectors_on_hosts_of_their_own_replace_each_other(cluster: FabricCluster) -> None:
    """Two of them, which are no clients of each other; one ends, and the nodes keep all routes."""
    names = ("reflector1", "reflector2")
    for name in names:
        cluster.fabric.add_host(name)
    reflectors = [
        await cluster.start_beside(
            Bird(
                reflector_config(cluster.fabric, name, ASN, *(set(names) - {name})),
                cluster.fabric[name].namespace,
            )
        )
        for name in names
    ]
    nodes = []
    for name in cluster.node_names:
        config = client_config(cluster.fabric, name, ASN, *pod_cidrs(name), reflectors=names)
        nodes.append(await cluster.start_beside(Bird(config, cluster.fabric[name].namespace)))
    for node in nodes:
        await node.wait_established(*(str(cluster.fabric.address(name)) for name in names), within=30)
    await cluster.wait_learned(protocol="bird")

    await reflectors[0].kill()
    cluster.fabric.remove("reflector1")

    await cluster.wait_learned(protocol="bird")
    await cluster.pods.wait_path("pod1", "pod2", "node1", "node2")


@pytest.mark.bird
async def test_speakers_start_at_once_and_are_killed_stopped_and_started_again(
    cluster: FabricCluster,
) -> None:
    """They announce their Pod CIDRs to a reflector at the switch."""
    reflector = await cluster.add_router(Bird, 1, [ASN], client={"families": None})
    peer = cluster.fabric.head_address(1)
    flags = (f"--neighbor-address={peer}", f"--neighbor-as={ASN}", f"--cluster-as={ASN}")
    await cluster.start_speakers(*flags, "--announce-pod-cidr=true")
    everything = {
        str(cidr): {str(cluster.fabric.address(name, family))}
        for name in cluster.node_names
        for family, cidr in zip(Family, pod_cidrs(name), strict=True)
    }
    await reflector.wait_routes(everything, within=30)
    assert {node: status["in_sync"] for node, status in (await cluster.ask_all("status")).items()} == (
        dict.fromkeys(cluster.node_names, True)
    )

    await cluster.speakers["node1"].kill()
    assert set(await cluster.ask_all("status")) == {"node2", "node3"}
    await cluster.speakers["node1"].start()
    await cluster.speakers["node1"].wait_in_sync(60)

    await cluster.remove_node("node2")
    del everything["10.244.2.0/24"], everything["fd00:10:244:2::/64"]
    await reflector.wait_routes(everything, within=30)


async def test_commands_of_the_program_are_run_as_an_administrator(cluster: FabricCluster) -> None:
    done = await cluster.run("version")
    assert (done.status, done.output.split()[0], done.errors) == (0, "kube-route-speaker", "")

    assert (await cluster.run("nonsense")).status != 0

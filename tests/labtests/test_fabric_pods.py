"""Pods reach each other as their nodes route, and the time to live of a packet shows the way."""

from collections.abc import Iterator

import pytest

from speaker.model.prefix import Family
from tests.lab.net import echo
from tests.lab.net.echo import Answer, Outcome
from tests.lab.net.fabric import Fabric
from tests.lab.pods import Pods, pod_cidrs
from tests.labtests.static_routes import route, route_all

pytestmark = pytest.mark.netns

families = pytest.mark.parametrize("family", list(Family))


@pytest.fixture
def pods() -> Iterator[Pods]:
    """pod1 to pod3, one on each of three nodes on a switch that know all others' CIDRs, and pod4 on node1."""
    with Fabric(3, flat=True) as fabric, Pods(fabric) as made:
        made.add_to_all()
        made.add("node1")
        route_all(fabric)
        yield made


def hop_count(answer: Answer | None) -> int | None:
    """How many routers an answer has passed."""
    return None if answer is None else answer.hops


def test_addresses_are_of_the_nodes_cidrs(pods: Pods) -> None:
    assert [str(cidr) for cidr in pod_cidrs("node3")] == ["10.244.3.0/24", "fd00:10:244:3::/64"]
    assert [str(pod.v4) for pod in pods.values()] == ["10.244.1.2", "10.244.2.2", "10.244.3.2", "10.244.1.3"]
    assert str(pods["pod4"].v6) == "fd00:10:244:1::3"
    assert [pod.name for pod in pods.on("node1")] == ["pod1", "pod4"]


@families
async def test_a_packet_between_nodes_passes_both(pods: Pods, family: Family) -> None:
    assert hop_count(await pods.ping("pod1", "pod2", family)) == 2
    assert await pods.path("pod1", "pod2", family) == ("node1", "node2", "pod2")


@families
async def test_a_packet_within_a_node_passes_that_node_alone(pods: Pods, family: Family) -> None:
    assert hop_count(await pods.ping("pod1", "pod4", family)) == 1
    assert await pods.path("pod1", "pod4", family) == ("node1", "pod4")


@families
async def test_a_detour_shows(pods: Pods, family: Family) -> None:
    """node1 sends what is for node2 to node3; the way back is the direct one."""
    for each, cidr in zip(Family, pod_cidrs("node2"), strict=True):
        pods.fabric["node1"].add_route(f"{cidr} via {pods.fabric.address('node3', each)}")

    assert await pods.path("pod1", "pod2", family) == ("node1", "node3", "node2", "pod2")
    assert hop_count(await pods.ping("pod1", "pod2", family)) == 2
    assert hop_count(await pods.ping("pod2", "pod1", family)) == 3


@families
async def test_a_pod_that_was_removed_answers_no_more(pods: Pods, family: Family) -> None:
    """Its node has no host route to it, so packets for it end at the default route of the node."""
    gone = pods["pod2"].address(family)
    pods.remove("pod2")

    answer = await echo.ping(pods["pod1"].host, gone, tries=1)
    assert answer is None or answer.outcome is Outcome.UNREACHABLE
    assert list(pods) == ["pod1", "pod3", "pod4"]


@families
async def test_a_node_and_its_pods_may_come_and_go(pods: Pods, family: Family) -> None:
    node = pods.fabric.add_node()
    pod = pods.add(node)
    for other in ("node1", "node2", "node3"):
        route(pods.fabric, node, other)
        route(pods.fabric, other, node)
    assert await pods.path("pod1", pod.name, family) == ("node1", node, pod.name)

    pods.remove_from(node)
    pods.fabric.remove(node)

    assert list(pods) == ["pod1", "pod2", "pod3", "pod4"]
    assert await pods.path("pod1", "pod2", family) == ("node1", "node2", "pod2")

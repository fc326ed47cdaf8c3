"""LoadBalancer Services under both traffic policies, with endpoints that come and go."""

import json

import pytest

from tests.e2e.conftest import MakeCluster
from tests.lab.cluster import Cluster
from tests.lab.objects import BGP, endpoint_slice, service
from tests.lab.routers.bird import Bird

VIP, VIP6 = "192.0.2.10", "2001:db8::10"
ROUTE, ROUTE6 = "192.0.2.10/32", "2001:db8::10/128"
ALL = {"node1", "node2", "node3"}

pytestmark = pytest.mark.bird


async def start(make_cluster: MakeCluster, policy: str) -> Cluster:
    """An annotated Service without endpoints, and three speakers."""
    cluster = await make_cluster(Bird, nodes=3)
    await cluster.create(service("web", VIP, VIP6, policy=policy, annotations={BGP: "true"}))
    await cluster.start_speakers()
    await cluster.wait_table({})
    return cluster


async def set_ready(cluster: Cluster, family: str, ready: list[bool]) -> None:
    """Set the readiness of a slice's endpoints, as the endpoints' controller does."""
    patch = [
        {"op": "replace", "path": f"/endpoints/{index}/conditions/ready", "value": value}
        for index, value in enumerate(ready)
    ]
    await cluster.kubectl(
        "patch", "endpointslice", f"web-{family.lower()}", "--type=json", "-p", json.dumps(patch)
    )


async def test_local_policy_follows_the_endpoints_of_each_node_and_family(make_cluster: MakeCluster) -> None:
    cluster = await start(make_cluster, "Local")

    await cluster.create(endpoint_slice("web", "IPv4", {"10.16.0.1": "node1", "10.16.0.2": "node2"}))
    await cluster.wait_table({ROUTE: {"node1", "node2"}})
    await cluster.create(endpoint_slice("web", "IPv6", {"fd00:10:16::3": "node3"}))
    await cluster.wait_table({ROUTE: {"node1", "node2"}, ROUTE6: {"node3"}})
    await set_ready(cluster, "IPv4", [False, True])
    await cluster.wait_table({ROUTE: {"node2"}, ROUTE6: {"node3"}})
    await set_ready(cluster, "IPv4", [False, False])
    await cluster.wait_table({ROUTE6: {"node3"}})
    await cluster.kubectl("delete", "endpointslice", "web-ipv6")

    await cluster.wait_table({})


async def test_cluster_policy_needs_one_endpoint_anywhere(make_cluster: MakeCluster) -> None:
    cluster = await start(make_cluster, "Cluster")

    await cluster.create(endpoint_slice("web", "IPv4", {"10.16.0.1": "node1"}))
    await cluster.wait_table({ROUTE: ALL})
    await set_ready(cluster, "IPv4", [False])
    await cluster.wait_table({})
    await set_ready(cluster, "IPv4", [True])

    await cluster.wait_table({ROUTE: ALL})


async def test_a_change_of_the_traffic_policy_changes_the_next_hops(make_cluster: MakeCluster) -> None:
    cluster = await start(make_cluster, "Local")
    await cluster.create(endpoint_slice("web", "IPv4", {"10.16.0.1": "node1"}))
    await cluster.wait_table({ROUTE: {"node1"}})

    await cluster.kubectl("patch", "service", "web", "-p", '{"spec":{"externalTrafficPolicy":"Cluster"}}')

    await cluster.wait_table({ROUTE: ALL})


@pytest.mark.new_kubectl
async def test_a_service_that_loses_its_address_loses_its_route(make_cluster: MakeCluster) -> None:
    cluster = await start(make_cluster, "Cluster")
    await cluster.create(
        endpoint_slice("web", "IPv4", {"10.16.0.1": "node1"}),
        endpoint_slice("web", "IPv6", {"fd00:10:16::1": "node1"}),
    )
    await cluster.wait_table({ROUTE: ALL, ROUTE6: ALL})
    patch = {"status": {"loadBalancer": {"ingress": [{"ip": VIP6}]}}}

    await cluster.kubectl(
        "patch", "service", "web", "--subresource=status", "--type=merge", "-p", json.dumps(patch)
    )

    await cluster.wait_table({ROUTE6: ALL})

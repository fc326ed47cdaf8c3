"""What else can be published, as the router sees it: defaults, addresses, attributes, permissions."""

import pytest

from speaker.model.prefix import Family
from tests.e2e.conftest import MakeCluster
from tests.lab.cluster import Cluster
from tests.lab.objects import BGP, Manifest, endpoint_slice, pod, service, subnet
from tests.lab.routers.bird import Bird

pytestmark = pytest.mark.bird

ONLY_V4 = frozenset({Family.IPV4})
BOTH = {"node1", "node2"}


async def start(make_cluster: MakeCluster, *flags: str) -> Cluster:
    """Two nodes and a Subnet that does not ask."""
    cluster = await make_cluster(Bird, nodes=2)
    await cluster.create(subnet("ovn-default", "10.16.0.0/16"))
    await cluster.start_speakers(*flags, families=ONLY_V4)
    return cluster


def namespace(name: str) -> Manifest:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


async def test_a_namespace_gives_its_pods_a_default_that_each_can_refuse(make_cluster: MakeCluster) -> None:
    cluster = await start(make_cluster)
    await cluster.create(
        namespace("shop"),
        pod("one", "node1", "10.16.0.5", namespace="shop"),
        pod("two", "node2", "10.16.0.6", namespace="shop", annotations={BGP: "local"}),
        pod("three", "node2", "10.16.0.7", namespace="shop", annotations={BGP: "false"}),
    )

    await cluster.annotate("namespace", "shop", f"{BGP}=true")
    await cluster.wait_table({"10.16.0.5/32": BOTH, "10.16.0.6/32": {"node2"}})
    await cluster.annotate("namespace", "shop", f"{BGP}-")

    await cluster.wait_table({"10.16.0.6/32": {"node2"}})


async def test_external_ips_need_the_flag_and_the_word(make_cluster: MakeCluster) -> None:
    cluster = await start(make_cluster, "--announce-external-ip")
    shop = service("shop", cluster_ips=("10.96.0.50",), annotations={BGP: "true"})
    shop["spec"]["externalIPs"] = ["192.0.2.77"]
    await cluster.create(shop, endpoint_slice("shop", "IPv4", {"10.16.0.9": "node1"}))
    await cluster.wait_table({})

    await cluster.annotate("service", "shop", f"{BGP}-addresses=external")

    await cluster.wait_table({"192.0.2.77/32": BOTH})


async def test_each_node_publishes_its_own_pod_cidr(make_cluster: MakeCluster) -> None:
    cluster = await start(make_cluster, "--announce-pod-cidr", "--pod-cidr-source=node")
    for number, name in enumerate(("node1", "node2")):
        patch = f'{{"spec":{{"podCIDR":"10.24{number}.0.0/24","podCIDRs":["10.24{number}.0.0/24"]}}}}'
        await cluster.kubectl("patch", "node", name, "--type=merge", "-p", patch)

    await cluster.wait_table({"10.240.0.0/24": {"node1"}, "10.241.0.0/24": {"node2"}})


async def test_attributes_reach_the_router_once_they_are_permitted(make_cluster: MakeCluster) -> None:
    cluster = await start(make_cluster, "--allow-attributes=communities,med", "--allowed-community=65000:100")
    annotations = {
        BGP: "local",
        f"{BGP}-communities": "65000:100",
        f"{BGP}-med": "50",
        f"{BGP}-as-path-prepend": "2",
    }
    await cluster.create(pod("web", "node1", "10.16.0.5", annotations=annotations))

    await cluster.wait_table({"10.16.0.5/32": {"node1"}})
    ((path,),) = (await cluster.routers[0].routes()).values()

    assert (path.communities, path.med, path.as_path) == (frozenset({"65000:100"}), 50, (65000,))
    await cluster.speakers["node1"].wait_log("excluded", "AttributeNotAllowed", "prepend")


async def test_a_prefix_outside_of_what_is_allowed_is_refused_with_a_reason(
    make_cluster: MakeCluster,
) -> None:
    cluster = await start(make_cluster, "--allowed-prefix=10.16.0.0/24")
    await cluster.create(
        pod("in", "node1", "10.16.0.5", annotations={BGP: "local"}),
        pod("out", "node1", "10.16.1.5", annotations={BGP: "local"}),
    )

    await cluster.wait_table({"10.16.0.5/32": {"node1"}})
    await cluster.speakers["node1"].wait_log("excluded", "PrefixNotAllowed", "Pod default/out")

"""The four end-to-end scenarios of Kube-OVN's speaker, on both families at once."""

from ipaddress import ip_address

from tests.e2e.conftest import MakeCluster
from tests.lab.cluster import Table
from tests.lab.objects import BGP, pod, service, subnet
from tests.lab.routers.router import Router

CIDRS = ("10.16.0.0/16", "fd00:10:16::/64")
POD = ("10.16.0.5", "fd00:10:16::5")
POD_ROUTES = ("10.16.0.5/32", "fd00:10:16::5/128")
BOTH = {"node1", "node2"}


def routes(nodes: set[str], *prefixes: str) -> Table:
    return dict.fromkeys(prefixes, nodes)


async def test_a_local_pod_has_one_path_and_no_path_once_it_is_deleted(
    make_cluster: MakeCluster, driver: type[Router]
) -> None:
    cluster = await make_cluster(driver, nodes=2)
    await cluster.create(subnet("ovn-default", *CIDRS, annotations={BGP: "local"}))
    await cluster.start_speakers()
    await cluster.create(pod("web", "node2", *POD))

    await cluster.wait_table(routes({"node2"}, *POD_ROUTES))
    await cluster.kubectl("delete", "pod", "web", "--force", "--grace-period=0")

    await cluster.wait_table({})
    assert all(info.established for info in (await cluster.routers[0].sessions()).values())


async def test_the_next_hop_follows_the_source_address_without_a_restart(
    make_cluster: MakeCluster, driver: type[Router]
) -> None:
    cluster = await make_cluster(driver, nodes=1)
    await cluster.create(subnet("ovn-default", *CIDRS), pod("web", "node1", *POD, annotations={BGP: "local"}))
    await cluster.start_speakers()
    await cluster.wait_table(routes({"node1"}, *POD_ROUTES))
    router, node = cluster.routers[0], cluster.topology["node1"]
    second = ip_address("172.30.1.77")

    node.add_address(f"{second}/24", device="tor1")
    node.set_route_source(cluster.topology.router_address("node1"), second, "tor1")

    await router.wait_routes({POD_ROUTES[0]: {str(second)}, POD_ROUTES[1]: {"fd00:30:1::2"}})
    status = await cluster.speakers["node1"].ask("status")
    assert [session["flaps"] for session in status["sessions"]] == [0, 0]
    node.clear_route_source(cluster.topology.router_address("node1"), "tor1")
    await router.wait_routes({POD_ROUTES[0]: {"172.30.1.2"}, POD_ROUTES[1]: {"fd00:30:1::2"}})


async def test_a_subnet_goes_from_local_to_cluster_and_back(
    make_cluster: MakeCluster, driver: type[Router]
) -> None:
    cluster = await make_cluster(driver, nodes=2)
    await cluster.create(subnet("ovn-default", *CIDRS, annotations={BGP: "local"}), pod("web", "node2", *POD))
    await cluster.start_speakers("--announce-subnet-pods")
    await cluster.wait_table(routes({"node2"}, *POD_ROUTES))

    await cluster.annotate("subnet", "ovn-default", f"{BGP}=cluster")
    await cluster.wait_table(routes(BOTH, *POD_ROUTES, *CIDRS))
    await cluster.annotate("subnet", "ovn-default", f"{BGP}=local")

    await cluster.wait_table(routes({"node2"}, *POD_ROUTES))
    for speaker in cluster.speakers.values():
        status = await speaker.ask("status")
        assert [session["flaps"] for session in status["sessions"]] == [0, 0]


async def test_a_cluster_ip_is_withdrawn_with_its_annotation_and_the_service_stays(
    make_cluster: MakeCluster, driver: type[Router]
) -> None:
    cluster = await make_cluster(driver, nodes=2)
    await cluster.create(service("web", cluster_ips=("10.96.0.50", "fd00:10:96::50")))
    await cluster.start_speakers("--announce-cluster-ip", "--announce-without-endpoints")

    await cluster.annotate("service", "web", f"{BGP}=true")
    await cluster.wait_table(routes(BOTH, "10.96.0.50/32", "fd00:10:96::50/128"))
    await cluster.annotate("service", "web", f"{BGP}-")

    await cluster.wait_table({})
    assert await cluster.kubectl("get", "service", "web", "-o", "jsonpath={.spec.clusterIP}") == "10.96.0.50"

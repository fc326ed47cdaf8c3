"""Routes follow the node: its label, its end, and what is installed later."""

import signal
from pathlib import Path

import pytest

from speaker.model.prefix import Family
from tests.e2e.conftest import MakeCluster
from tests.lab.cluster import Cluster
from tests.lab.kubeapi.backend import Backend
from tests.lab.kubeapi.crds import SUBNETS
from tests.lab.objects import BGP, pod, subnet
from tests.lab.routers.bird import Bird

pytestmark = pytest.mark.bird

BOTH = {"node1", "node2"}
ROUTE = {"10.16.0.5/32": BOTH}
ONLY_V4 = frozenset({Family.IPV4})


async def start(make_cluster: MakeCluster, *flags: str) -> Cluster:
    """Two nodes that advertise one Pod."""
    cluster = await make_cluster(Bird, nodes=2)
    await cluster.create(
        subnet("ovn-default", "10.16.0.0/16"), pod("web", "node1", "10.16.0.5", annotations={BGP: "true"})
    )
    await cluster.start_speakers("--graceful-restart", *flags, families=ONLY_V4)
    await cluster.wait_table(ROUTE)
    return cluster


async def test_a_node_that_loses_its_label_withdraws(make_cluster: MakeCluster) -> None:
    cluster = await start(make_cluster)

    await cluster.kubectl("label", "node", "node2", f"{BGP}-")
    await cluster.wait_table({"10.16.0.5/32": {"node1"}})
    await cluster.kubectl("label", "node", "node2", f"{BGP}=true")

    await cluster.wait_table(ROUTE)


async def test_a_speaker_whose_daemonset_is_deleted_withdraws(make_cluster: MakeCluster) -> None:
    """A graceful restart would leave the routes behind for as long as the restart time."""
    cluster = await start(make_cluster)
    speaker = cluster.speakers["node2"]
    await cluster.kubectl("label", "node", "node2", f"{BGP}-")
    await cluster.wait_table({"10.16.0.5/32": {"node1"}})

    speaker.send_signal(signal.SIGTERM)

    assert await speaker.child.wait() == 0
    assert "graceful_restart=False" in await speaker.wait_log("stopping")


async def test_a_stop_that_is_told_to_withdraw_does(make_cluster: MakeCluster) -> None:
    cluster = await start(make_cluster, "--shutdown=withdraw")

    assert await cluster.speakers["node1"].stop() == 0

    await cluster.wait_table({"10.16.0.5/32": {"node2"}})


async def test_kube_ovn_that_is_installed_later_is_picked_up(
    folder: Path, real_backend: Backend | None
) -> None:
    """Clusters without its CRDs are normal."""
    async with Cluster(folder, backend=real_backend, nodes=1) as cluster:
        await cluster.add_router(Bird)
        await cluster.create(pod("web", "node1", "10.16.0.5", annotations={BGP: "true"}, subnet=""))
        await cluster.start_speakers(families=ONLY_V4)
        await cluster.wait_table({"10.16.0.5/32": {"node1"}})

        await cluster.create(SUBNETS)
        await cluster.create(subnet("later", "10.17.0.0/16", annotations={BGP: "true"}))

        await cluster.wait_table({"10.16.0.5/32": {"node1"}, "10.17.0.0/16": {"node1"}}, within=45.0)


async def test_sessions_of_one_family_carry_both(make_cluster: MakeCluster) -> None:
    cluster = await make_cluster(Bird, nodes=1)
    await cluster.create(subnet("ovn-default", "10.16.0.0/16", "fd00:10:16::/64", annotations={BGP: "true"}))

    await cluster.start_speakers(families=ONLY_V4)

    await cluster.wait_table({"10.16.0.0/16": {"node1"}, "fd00:10:16::/64": {"node1"}})


async def test_a_session_follows_the_allowed_source_address(make_cluster: MakeCluster) -> None:
    """No session without one; with one it is the local address and the next hop."""
    cluster = await make_cluster(Bird, nodes=1)
    await cluster.create(subnet("ovn-default", "10.16.0.0/16", annotations={BGP: "true"}))
    speaker = await cluster.speaker(
        "node1", "--graceful-restart", "--allowed-source-addresses=172.30.1.77,172.30.1.78", families=ONLY_V4
    )
    node, router = cluster.topology["node1"], cluster.routers[0]

    await speaker.start()
    await speaker.wait_in_sync()
    await speaker.wait_log("no session", "172.30.1.77")
    _, body = await speaker.get("/readyz")
    assert "this host has none of the allowed source addresses" in body
    assert await router.sessions() == {}
    node.add_address("172.30.1.77/24", device="tor1")
    await router.wait_routes({"10.16.0.0/16": {"172.30.1.77"}})
    node.add_address("172.30.1.78/24", device="tor1")
    node.remove_address("172.30.1.77/24", device="tor1")

    await router.wait_established("172.30.1.78", within=20.0)
    await router.wait_routes(
        lambda table: {str(path.next_hop) for paths in table.values() for path in paths} >= {"172.30.1.78"}
    )

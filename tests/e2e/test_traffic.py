"""Packets: shared by the nodes that advertise, and none lost while a speaker is restarted."""

import asyncio
from ipaddress import ip_address

from tests.e2e.conftest import MakeCluster
from tests.lab.cluster import Cluster
from tests.lab.objects import BGP, endpoint_slice, service
from tests.lab.routers.router import Router
from tests.lab.traffic import Flow
from tests.lab.waiting import eventually

VIP = ip_address("192.0.2.10")
ROUTE = f"{VIP}/32"
BOTH = {"node1", "node2"}


async def start(make_cluster: MakeCluster, driver: type[Router], *flags: str) -> Cluster:
    """Two nodes that both have endpoints of a Service with the Local policy, and a client."""
    cluster = await make_cluster(driver, nodes=2, clients=1)
    await cluster.create(
        service("web", str(VIP), policy="Local", annotations={BGP: "true"}),
        endpoint_slice("web", "IPv4", {"10.16.0.1": "node1", "10.16.0.2": "node2"}),
    )
    await cluster.start_speakers(*flags)
    await cluster.wait_table({ROUTE: BOTH})
    await cluster.routers[0].wait_fib({ROUTE: BOTH})
    return cluster


def flow(cluster: Cluster) -> Flow:
    return Flow(cluster.topology["client1"], VIP, cluster.topology.nodes)


async def shared(running: Flow) -> None:
    """Return once both nodes get packets; what was lost before does not count."""
    await eventually(running.received, lambda received: received.keys() == BOTH)
    running.mark()


async def test_the_nodes_share_the_packets_and_the_last_endpoints_node_gets_all(
    make_cluster: MakeCluster, driver: type[Router]
) -> None:
    cluster = await start(make_cluster, driver)
    async with flow(cluster) as running:
        await shared(running)
        await eventually(running.received, lambda received: min(received.get(n, 0) for n in BOTH) > 50)

        ready = '[{"op": "replace", "path": "/endpoints/1/conditions/ready", "value": false}]'
        await cluster.kubectl("patch", "endpointslice", "web-ipv4", "--type=json", "-p", ready)
        await cluster.wait_table({ROUTE: {"node1"}})
        await cluster.routers[0].wait_fib({ROUTE: {"node1"}})
        running.mark()

        received = await eventually(running.received, lambda received: received.get("node1", 0) > 100)
        assert received.keys() == {"node1"}


async def test_an_upgrade_of_a_speaker_loses_no_packet(
    make_cluster: MakeCluster, driver: type[Router]
) -> None:
    """SIGTERM as the kubelet sends it, a pause without any speaker, and a new process."""
    cluster = await start(make_cluster, driver, "--graceful-restart")
    async with flow(cluster) as running:
        await shared(running)
        speaker = cluster.speakers["node1"]

        assert await speaker.stop() == 0
        await asyncio.sleep(1.0)
        await speaker.start()
        await speaker.wait_in_sync()
        await cluster.wait_established(cluster.routers[0], 4)
        await cluster.wait_table({ROUTE: BOTH})
        await eventually(running.received, lambda received: min(received.get(n, 0) for n in BOTH) > 200)
        await running.stop()

        assert (running.lost(), running.moved()) == (0, 0)


async def test_a_crash_of_a_speaker_loses_no_packet(make_cluster: MakeCluster, driver: type[Router]) -> None:
    cluster = await start(make_cluster, driver, "--graceful-restart")
    async with flow(cluster) as running:
        await shared(running)
        speaker = cluster.speakers["node1"]

        await speaker.kill()
        await asyncio.sleep(1.0)
        await speaker.start()
        await speaker.wait_in_sync()
        await cluster.wait_established(cluster.routers[0], 4)
        await cluster.wait_table({ROUTE: BOTH})
        await running.stop()

        assert (running.lost(), running.moved()) == (0, 0)


async def test_what_changed_while_the_speaker_was_away_is_right_afterwards(
    make_cluster: MakeCluster, driver: type[Router]
) -> None:
    """The End-of-RIB clears what the new process does not advertise again."""
    cluster = await start(make_cluster, driver, "--graceful-restart")
    speaker = cluster.speakers["node1"]

    await speaker.stop()
    ready = '[{"op": "replace", "path": "/endpoints/0/conditions/ready", "value": false}]'
    await cluster.kubectl("patch", "endpointslice", "web-ipv4", "--type=json", "-p", ready)
    await cluster.wait_table({ROUTE: BOTH})
    await speaker.start()

    await cluster.wait_table({ROUTE: {"node2"}})

"""Two racks, an AS for each: iBGP to the rack's router, which reflects, and eBGP between the routers."""

import pytest

from speaker.model.prefix import Family
from tests.fabric_racks.conftest import MakeRacks
from tests.fabric_racks.racks import Racks
from tests.lab.all_pairs import AllPairs
from tests.lab.losses import show_losses
from tests.lab.pods import pod_cidrs
from tests.lab.routers.router import Router

ASNS = (64512, 64513)


@pytest.fixture
async def racks(make_racks: MakeRacks, driver: type[Router]) -> Racks:
    """Three nodes below R1, two below R2."""
    made = await make_racks(3, 2)
    await made.start_two(driver, ASNS)
    return made


async def test_two_racks_route_all_pods(racks: Racks) -> None:
    """Directly inside the rack; over both routers to the other one."""
    async with AllPairs(racks.pods.values()) as traffic:
        await traffic.flowing()
        await traffic.stop()
    await racks.pods.wait_path("pod1", "pod3", "node1", "node3")
    await racks.pods.wait_path("pod2", "pod5", "node2", "R1", "R2", "node5")
    await racks.pods.wait_path("pod4", "pod1", "node4", "R2", "R1", "node1")
    for family in Family:
        answer = await racks.pods.ping("pod1", "pod5", family)
        assert answer is not None
        assert answer.hops == 4


async def test_two_racks_put_all_pod_cidrs_into_the_kernels(racks: Racks) -> None:
    """The next hop is the node inside the rack, and its router for what is in the other one."""
    for node in racks.node_names:
        mine = racks.fabric.rack_of(node)
        wanted = {
            str(cidr): {other if other in mine.nodes else mine.head.name}
            for other in racks.node_names
            if other != node
            for cidr in pod_cidrs(other)
        }
        assert racks.learned(node) == wanted


async def test_two_racks_share_both_links_and_do_with_one(racks: Racks) -> None:
    """The routers are joined by eBGP between their loopback addresses (RFC 4271 §5.1.3: multihop)."""
    near, far = racks.routers[1], racks.routers[2]
    ahead = {str(cidr): {"R2-1", "R2-2"} for node in racks.nodes_of(2) for cidr in pod_cidrs(node)}
    back = {str(cidr): {"R1-1", "R1-2"} for node in racks.nodes_of(1) for cidr in pod_cidrs(node)}
    await near.wait_fib(ahead)
    await far.wait_fib(back)
    async with AllPairs(racks.pods.values()) as traffic:
        await traffic.flowing()
        with racks.fabric.trunk()[0].cut():
            await near.wait_fib({cidr: {"R2-2"} for cidr in ahead})
            await far.wait_fib({cidr: {"R1-2"} for cidr in back})
            traffic.mark()
            await racks.some_packets(traffic)
            await traffic.stop()
            assert not traffic.lost(), show_losses(traffic.lost())
    await near.wait_fib(ahead)


async def test_two_racks_lose_nothing_while_a_speaker_restarts(racks: Racks) -> None:
    """Its own routes stay in its kernel, and the router keeps those that lead to it (RFC 4724)."""
    before = racks.learned("node2")
    speaker = racks.speakers["node2"]
    async with AllPairs(racks.pods.values()) as traffic:
        await traffic.flowing()
        traffic.mark()
        assert await speaker.stop() == 0
        assert racks.learned("node2") == before
        await speaker.start()
        await speaker.wait_in_sync(60)
        await racks.wait_sessions("node2")
        await speaker.wait_log("routes are complete", within=60)
        await racks.some_packets(traffic)
        await traffic.stop()

        assert racks.learned("node2") == before
        assert not traffic.lost(), show_losses(traffic.lost())

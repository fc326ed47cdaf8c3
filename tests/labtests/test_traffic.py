"""Traffic is counted where it arrives, and what arrives nowhere is counted too."""

from ipaddress import ip_address
from typing import Any

import pytest

from speaker.model.prefix import Address
from tests.lab.net.host import Host
from tests.lab.net.topology import Topology
from tests.lab.traffic import Flow
from tests.lab.waiting import eventually

pytestmark = pytest.mark.netns

VIPS = [ip_address("10.96.0.10"), ip_address("fd00:96::10")]


def share(topology: Topology, vip: Address, *nodes: str) -> None:
    """Have tor1 share the traffic of an address among nodes."""
    hops = (topology.link(node).lower for node in nodes)
    legs = [f"nexthop via {end.addresses[vip.version == 6]} dev {end.host.name}" for end in hops]
    topology["tor1"].namespace.ip(f"route replace {vip} {' '.join(legs)}")


async def several(flow: Flow, *nodes: str, count: int = 20) -> dict[str, int]:
    """What was received, once each of the nodes has got that many."""
    return await eventually(
        flow.received, lambda found: all(found.get(node, 0) >= count for node in nodes), what="packets"
    )


@pytest.mark.parametrize("vip", VIPS, ids=str)
async def test_traffic_is_shared_among_the_legs_and_none_is_lost(topology: Topology, vip: Address) -> None:
    share(topology, vip, "node1", "node2")

    async with Flow(topology["client1"], vip, topology.nodes) as flow:
        await several(flow, "node1", "node2")
        flow.mark()
        await several(flow, "node1", "node2")
        await flow.stop()

        assert set(flow.received()) == {"node1", "node2"}
        assert (flow.lost(), flow.moved()) == (0, 0)


@pytest.mark.parametrize("vip", VIPS, ids=str)
async def test_flows_of_a_leg_that_goes_move(topology: Topology, vip: Address) -> None:
    share(topology, vip, "node1", "node2")

    async with Flow(topology["client1"], vip, topology.nodes) as flow:
        await several(flow, "node1", "node2")
        share(topology, vip, "node2")
        assert flow.moved() == 0
        await eventually(flow.moved, what="flows at another node")

        flow.mark()
        await several(flow, "node2")
        assert set(flow.received()) == {"node2"}
        assert (flow.lost(), flow.moved()) == (0, 0)


async def test_what_a_silent_link_swallows_is_lost(topology: Topology) -> None:
    share(topology, VIPS[0], "node1")

    async with Flow(topology["client1"], VIPS[0], topology.nodes) as flow:
        await several(flow, "node1")
        flow.mark()
        with topology.link("node1").silent():
            await eventually(flow.lost, what="loss")
        await flow.stop()

        lost = flow.lost()
        assert 0 < lost < flow.sent
        assert lost == flow.lost(), "nothing comes late"
        flow.mark()
        assert (flow.lost(), flow.received()) == (0, {})


async def test_what_nobody_routes_is_lost(topology: Topology) -> None:
    async with Flow(topology["client1"], VIPS[0], topology.nodes) as flow:
        await eventually(flow.lost, what="loss")

        assert flow.received() == {}


async def test_a_flow_leaves_the_nodes_as_they_were(topology: Topology) -> None:
    node = topology["node1"]
    node.add_address("10.96.0.10/32")
    before = [local_routes(host) for host in topology.nodes]

    async with Flow(topology["client1"], VIPS[0], topology.nodes):
        pass

    assert before == [local_routes(host) for host in topology.nodes]


def local_routes(host: Host) -> list[dict[str, Any]]:
    """What the host takes for itself."""
    return host.namespace.ip_json("route", "show", "table", "local")

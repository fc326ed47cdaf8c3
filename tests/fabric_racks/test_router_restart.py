"""A rack's router that restarts gracefully (RFC 4724): the speakers keep its routes meanwhile."""

from functools import partial

import pytest

from tests.fabric_racks.conftest import MakeRacks
from tests.fabric_racks.racks import Racks
from tests.lab.all_pairs import AllPairs
from tests.lab.losses import show_losses
from tests.lab.routers.bird import Bird
from tests.lab.routers.router import Router
from tests.lab.waiting import eventually

ASNS = (64512, 64513)


async def crash(racks: Racks) -> None:
    """End what speaks BGP on R1; returns when the speakers below it have noticed."""
    await racks.routers[1].crash()
    for node in racks.nodes_of(1):
        await eventually(
            partial(racks.sessions, node),
            lambda sessions: "Established" not in {each["state"] for each in sessions.values()},
            what=f"{node}: sessions that ended",
        )


async def test_what_a_router_has_taught_stays_while_it_restarts(
    make_racks: MakeRacks, driver: type[Router]
) -> None:
    racks = await make_racks(2, 1)
    await racks.start_two(driver, ASNS, restarts_gracefully=True)
    before = {node: racks.learned(node) for node in racks.node_names}
    async with AllPairs(racks.pods.values()) as traffic:
        await traffic.flowing()
        traffic.mark()
        await crash(racks)
        assert {node: racks.learned(node) for node in racks.node_names} == before
        await racks.some_packets(traffic)
        await traffic.stop()
        assert not traffic.lost(), show_losses(traffic.lost())

    await racks.routers[1].recover()
    await racks.wait_sessions(*racks.node_names)
    for node in racks.node_names:
        await racks.wait_table(node, before[node])


@pytest.mark.bird
async def test_no_packet_is_lost_over_the_whole_restart_of_a_router(make_racks: MakeRacks) -> None:
    """FRR 8.4 empties its own tables when bgpd comes back, and says End-of-RIB before it knows all."""
    racks = await make_racks(2, 1)
    await racks.start_two(Bird, ASNS, restarts_gracefully=True)
    before = {node: racks.learned(node) for node in racks.node_names}
    async with AllPairs(racks.pods.values()) as traffic:
        await traffic.flowing()
        traffic.mark()
        await crash(racks)
        await racks.routers[1].recover()
        await racks.wait_sessions(*racks.node_names)
        await eventually(lambda: "Graceful restart done" in racks.routers[1].log(), within=60)
        await racks.some_packets(traffic)
        await traffic.stop()

        assert {node: racks.learned(node) for node in racks.node_names} == before
        assert not traffic.lost(), show_losses(traffic.lost())

"""BFD of the routers that have it: sessions with the timers that were asked for, told as values."""

from ipaddress import ip_address

import pytest

from speaker.model.prefix import Address, Family
from tests.lab.net.topology import Topology
from tests.lab.routers.router import Router
from tests.lab.routers.table import BfdInfo
from tests.lab.waiting import eventually
from tests.labtests.pairs import NODE_PREFIX, against, only_path, pair, with_feature

pytestmark = [pytest.mark.netns, pytest.mark.bird]

LOOPBACKS = {Family.IPV4: ip_address("192.168.50.1"), Family.IPV6: ip_address("fd00:50::1")}


async def up(router: Router, peer: Address, transmit: float, detection: float) -> None:
    """The router's BFD session with the peer is up, with these times in milliseconds."""
    wanted = BfdInfo(peer=peer, up=True, transmit_milliseconds=transmit, detection_milliseconds=detection)
    await eventually(router.bfd_sessions, lambda found: found.get(peer) == wanted, what=f"{wanted}")


@pytest.mark.parametrize("family", list(Family))
@with_feature("bfd", "bfd-ipv6")
async def test_each_end_has_timers_of_its_own(
    topology: Topology, driver: type[Router], family: Family
) -> None:
    """RFC 5880 sections 6.8.2 and 6.8.4: the slower interval, and the other end's multiplier."""
    addresses = (topology.address("node1", family=family), topology.router_address("node1", family=family))
    theirs = {"bfd": True, "bfd_milliseconds": 50, "bfd_multiplier": 5}
    ours = {"bfd": True, "bfd_milliseconds": 150, "bfd_multiplier": 4}
    async with pair(topology, driver, addresses=addresses, theirs=theirs, ours=ours) as (router, node):
        await up(router, addresses[0], 150, 600)
        await up(node, addresses[1], 150, 750)


@pytest.mark.parametrize("family", list(Family))
@with_feature("bfd-multihop")
async def test_bfd_with_a_loopback_address(topology: Topology, driver: type[Router], family: Family) -> None:
    """RFC 5883: on a port of its own, and the TTL may have gone down."""
    node_address, loopback = topology.address("node1", family=family), LOOPBACKS[family]
    shared = {"bfd": True, "multihop": True}
    async with pair(
        topology,
        driver,
        addresses=(node_address, loopback),
        theirs=shared | {"local_address": loopback},
        ours=shared | {"local_address": node_address},
    ) as (router, node):
        await up(router, node_address, 100, 300)
        await up(node, loopback, 100, 300)


@with_feature("bfd", "link-local")
async def test_bfd_between_link_local_addresses(topology: Topology, driver: type[Router]) -> None:
    addresses = (topology.link_local("node1"), topology.router_link_local("node1"))
    async with pair(topology, driver, addresses=addresses, theirs={"bfd": True}, ours={"bfd": True}) as (
        router,
        _,
    ):
        await up(router, addresses[0], 100, 300)


@pytest.mark.parametrize("graceful", [True, False])
@against("bird")
async def test_a_dead_link_is_a_restart_only_to_a_graceful_router(
    topology: Topology, driver: type[Router], graceful: bool
) -> None:
    """BFD's news ends the session; with `bfd_graceful` what it brought is kept as after a restart."""
    theirs = {"bfd": True, "bfd_graceful": graceful}
    async with pair(topology, driver, theirs=theirs, ours={"bfd": True}) as (router, _):
        await only_path(router)
        await up(router, topology.address("node1"), 100, 300)

        with topology.link("node1").silent():
            await router.wait_sessions(lambda found: not any(info.established for info in found.values()))

            table = await router.wait_routes(lambda table: (NODE_PREFIX in table) is graceful)
            assert all(path.stale for path in table.get(NODE_PREFIX, ()))

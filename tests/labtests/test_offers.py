"""What a router is told to offer is in the octets of its OPEN, and what it is not told is not."""

import pytest

from speaker.model.peer import Role
from speaker.model.prefix import Family
from tests.lab.net.topology import Topology
from tests.lab.routers.config import neighbor
from tests.lab.routers.drivers import DRIVERS
from tests.lab.routers.router import Router
from tests.labtests.opens import (
    ADD_PATH,
    ENHANCED_REFRESH,
    EXTENDED_MESSAGES,
    EXTENDED_NEXT_HOP,
    GRACEFUL_RESTART,
    LONG_LIVED,
    ROLE,
    Capabilities,
    offered,
)
from tests.labtests.pairs import NODE_ASN, against, crossed, router_config, with_feature

pytestmark = pytest.mark.netns

# The octets of AFI and SAFI: IPv4 and IPv6 unicast.
IPV4, IPV6 = b"\0\1\1", b"\0\2\1"


async def offers(topology: Topology, driver: type[Router], **options: object) -> Capabilities:
    """What a router with these options for the node offers it."""
    asked = {name: options.pop(name) for name in tuple(options) if name in RESTART_OPTIONS}
    config = router_config(neighbor("172.30.1.2", NODE_ASN, passive=True, **options), **asked)
    async with driver(config, topology["tor1"].namespace):
        return await offered(topology["node1"].namespace, topology.router_address("node1"))


RESTART_OPTIONS = {"long_lived_seconds", "notification_restart", "restarts_gracefully", "restart_seconds"}


async def test_nothing_that_was_not_asked_for(topology: Topology, driver: type[Router]) -> None:
    found = await offers(topology, driver)

    assert ROLE not in found
    # FRR has the capability without either direction.
    assert found.get(ADD_PATH, b"") in {b"", IPV4 + b"\0" + IPV6 + b"\0"}


@with_feature("extended-messages")
async def test_extended_messages(topology: Topology, driver: type[Router]) -> None:
    assert (await offers(topology, driver, extended_messages=True))[EXTENDED_MESSAGES] == b""


@with_feature("enhanced-route-refresh")
async def test_enhanced_route_refresh(topology: Topology, driver: type[Router]) -> None:
    assert (await offers(topology, driver, enhanced_refresh=True))[ENHANCED_REFRESH] == b""


@pytest.mark.parametrize(("name", "role"), crossed(list(Role), "roles"))
async def test_roles(topology: Topology, name: str, role: Role) -> None:
    """RFC 9234 section 4.1 has the numbers in the order of our names."""
    found = await offers(topology, DRIVERS[name], role=role)

    assert found[ROLE] == bytes([list(Role).index(role)])


@pytest.mark.parametrize(("receive", "send"), [(True, False), (False, True), (True, True)])
async def test_additional_paths(topology: Topology, driver: type[Router], receive: bool, send: bool) -> None:
    """RFC 7911 section 4: 1 to receive, 2 to send, 3 for both."""
    found = await offers(topology, driver, add_path_rx=receive, add_path_tx=send)

    mode = bytes([receive + 2 * send])
    assert found[ADD_PATH] == IPV4 + mode + IPV6 + mode


@with_feature("extended-next-hop")
async def test_ipv4_over_ipv6_next_hops(topology: Topology, driver: type[Router]) -> None:
    """RFC 8950 section 4: an AFI, two octets for a SAFI, and the AFI of the next hop."""
    config = router_config(neighbor("fd00:30:1::2", NODE_ASN, passive=True, extended_next_hop=True))
    async with driver(config, topology["tor1"].namespace):
        router = topology.router_address("node1", family=Family.IPV6)
        found = await offered(topology["node1"].namespace, router)

    assert b"\0\1\0\1\0\2" in found[EXTENDED_NEXT_HOP]


@with_feature("long-lived-restarter")
async def test_the_long_lived_time(topology: Topology, driver: type[Router]) -> None:
    """RFC 9494 section 3: a family, an octet of flags, and three octets of seconds."""
    found = await offers(topology, driver, long_lived_seconds=700, restarts_gracefully=True)

    value = found[LONG_LIVED]
    assert [value[start : start + 3] for start in (0, 7)] == [IPV4, IPV6]
    assert [int.from_bytes(value[start : start + 3]) for start in (4, 11)] == [700, 700]


@with_feature("graceful-restart-restarter")
async def test_the_restart_time_and_the_families_to_be_helped_with(
    topology: Topology, driver: type[Router]
) -> None:
    """RFC 4724 section 3: four bits of flags, twelve of seconds, and families with flags."""
    found = await offers(topology, driver, restarts_gracefully=True, restart_seconds=70)

    value = found[GRACEFUL_RESTART]
    assert int.from_bytes(value[:2]) & 0x0FFF == 70
    assert [value[start : start + 3] for start in (2, 6)] == [IPV4, IPV6]


@pytest.mark.parametrize("wanted", [True, False])
@with_feature("notification-restart")
async def test_the_bit_of_restarts_after_notifications(
    topology: Topology, driver: type[Router], wanted: bool
) -> None:
    """RFC 8538 section 2: the second of the flags."""
    found = await offers(topology, driver, notification_restart=wanted)

    assert bool(found[GRACEFUL_RESTART][0] & 0x40) is wanted


@against("bird", "frr", "gobgp")
async def test_a_router_that_recovers_says_so(topology: Topology, driver: type[Router]) -> None:
    """RFC 4724 section 3: R, the first of the flags, and F for each family whose forwarding went on."""
    config = router_config(neighbor("172.30.1.2", NODE_ASN, passive=True), restarts_gracefully=True)
    async with driver(config, topology["tor1"].namespace) as router:
        await router.crash()
        await router.recover()
        found = await offered(topology["node1"].namespace, topology.router_address("node1"))

    value = found[GRACEFUL_RESTART]
    assert value[0] & 0x80
    assert [value[start] & 0x80 for start in (5, 9)] == [0x80, 0x80]

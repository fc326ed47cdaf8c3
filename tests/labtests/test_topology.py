"""The lab's network does what its picture says, and its faults do what they are called."""

import os
import socket
from ipaddress import ip_address
from pathlib import Path

import pytest

from speaker.model.prefix import Address, Family
from speaker.sockets import socket_address
from tests.lab.net.host import Host
from tests.lab.net.namespace import Namespace
from tests.lab.net.topology import MANAGEMENT_ADDRESSES, Topology
from tests.lab.routers.fib import Leg, kernel_fib
from tests.lab.waiting import eventually
from tests.labtests.proc import processes_by_namespace

pytestmark = pytest.mark.netns

PORT = 7000


def reaches(host: Host, target: Host, address: Address) -> bool:
    """Whether a datagram from `host` arrives at `target`, which has `address`. Cables deliver at once."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with (
        target.namespace.socket(family, socket.SOCK_DGRAM) as there,
        host.namespace.socket(family, socket.SOCK_DGRAM) as here,
    ):
        there.bind(("", PORT))
        there.settimeout(0.05)
        try:
            here.sendto(b"hello", socket_address(address, PORT))
            return there.recv(16) == b"hello"
        except OSError:
            return False


async def until_reaches(host: Host, target: Host, address: Address) -> None:
    """The first packet over a new link may be lost while neighbours are being resolved."""
    await eventually(lambda: reaches(host, target, address), what=f"a packet from {host} to {target}")


@pytest.mark.parametrize("family", list(Family))
@pytest.mark.parametrize("router", ["tor1", "tor2"])
async def test_every_node_and_client_reaches_its_router(
    topology: Topology, router: str, family: Family
) -> None:
    client = "client1" if router == "tor1" else "client2"
    for host in (*(node.name for node in topology.nodes), client):
        address = topology.router_address(host, router, family)
        await until_reaches(topology[host], topology[router], address)


@pytest.mark.parametrize("family", list(Family))
@pytest.mark.parametrize(("client", "router"), [("client1", "tor1"), ("client2", "tor2")])
async def test_clients_and_nodes_reach_each_other_through_the_router(
    topology: Topology, client: str, router: str, family: Family
) -> None:
    await until_reaches(topology[client], topology["node2"], topology.address("node2", router, family))
    await until_reaches(topology["node2"], topology[client], topology.address(client, router, family))


async def test_nodes_reach_the_management_network(topology: Topology) -> None:
    for node in topology.nodes:
        for address in MANAGEMENT_ADDRESSES:
            await until_reaches(node, topology["mgmt"], ip_address(address))


async def test_nodes_reach_the_loopback_addresses_of_both_routers(topology: Topology) -> None:
    for number, tor in enumerate(topology.tors, start=1):
        for address in (f"192.168.50.{number}", f"fd00:50::{number}"):
            await until_reaches(topology["node1"], tor, ip_address(address))


def test_addresses_have_the_names_of_their_hosts(topology: Topology) -> None:
    names = topology.names("tor2")

    assert names[ip_address("172.31.3.2")] == "node3"
    assert names[ip_address("fd00:31:3::2")] == "node3"
    assert names[ip_address("10.201.1.2")] == "client2"
    assert str(topology.address("node1")) == "172.30.1.2"
    assert str(topology.router_address("node1", family=Family.IPV6)) == "fd00:30:1::1"


@pytest.mark.parametrize("cut", ["down", "down_at_host"])
@pytest.mark.parametrize("family", list(Family))
async def test_a_link_that_is_down_carries_nothing_until_it_is_up(
    topology: Topology, cut: str, family: Family
) -> None:
    """Afterwards the host has its addresses and routes again."""
    link = topology.link("node1")
    node, client, address = topology["node1"], topology["client1"], topology.address("node1", family=family)
    await until_reaches(client, node, address)
    routes = node.namespace.ip_json("route")

    getattr(link, cut)()
    assert not reaches(client, node, address)
    link.up()

    await until_reaches(client, node, address)
    assert routes == node.namespace.ip_json("route")


async def test_the_router_sees_the_carrier_of_a_dead_link_go(topology: Topology) -> None:
    tor = topology["tor1"]

    def flags() -> list[str]:
        return list(tor.namespace.ip_json("link", "show", "node1")[0]["flags"])

    assert "NO-CARRIER" not in flags()
    topology.link("node1").down_at_host()

    await eventually(flags, lambda found: "NO-CARRIER" in found)


async def test_silent_loss_leaves_the_carrier(topology: Topology) -> None:
    tor, node, address = topology["tor1"], topology["node1"], topology.address("node1")
    await until_reaches(tor, node, address)

    with topology.link("node1").silent():
        assert not reaches(tor, node, address)
        assert not reaches(node, tor, topology.router_address("node1"))
        assert tor.namespace.ip_json("link", "show", "node1")[0]["operstate"] == "UP"
        assert reaches(tor, topology["node2"], topology.address("node2"))

    assert reaches(tor, node, address)


@pytest.mark.parametrize(
    ("fault", "to_node", "to_router"),
    [("lose_toward_host", False, True), ("lose_toward_router", True, False)],
)
async def test_loss_in_one_direction(
    topology: Topology, fault: str, *, to_node: bool, to_router: bool
) -> None:
    tor, node, link = topology["tor1"], topology["node1"], topology.link("node1")
    await until_reaches(tor, node, topology.address("node1"))

    getattr(link, fault)()

    assert reaches(tor, node, topology.address("node1")) is to_node
    assert reaches(node, tor, topology.router_address("node1")) is to_router
    link.heal()
    assert reaches(tor, node, topology.address("node1"))
    assert reaches(node, tor, topology.router_address("node1"))


def test_faults_may_be_repeated_and_healed_twice(topology: Topology) -> None:
    link = topology.link("node1")
    link.lose_toward_host()
    link.lose_all()
    link.heal()
    link.heal()
    link.lose_all()
    link.heal()


async def test_addresses_come_and_go(topology: Topology) -> None:
    node, tor = topology["node1"], topology["tor1"]
    address = ip_address("10.96.0.10")
    tor.add_route("10.96.0.10/32 via 172.30.1.2")

    node.add_address("10.96.0.10/32", "fd00:96::10/128")
    await until_reaches(tor, node, address)
    node.remove_address("10.96.0.10/32", "fd00:96::10/128")

    assert not reaches(tor, node, address)


def test_the_preferred_source_toward_a_router_can_change(topology: Topology) -> None:
    node, router = topology["node1"], topology.router_address("node1")
    node.add_address("10.1.1.1/32")

    def source() -> str:
        return str(node.namespace.ip_json("route", "get", str(router))[0]["prefsrc"])

    assert source() == "172.30.1.2"
    node.set_route_source(router, ip_address("10.1.1.1"), "tor1")
    assert source() == "10.1.1.1"
    node.clear_route_source(router, "tor1")
    assert source() == "172.30.1.2"


async def test_link_local_addresses_are_named_by_the_other_end(topology: Topology) -> None:
    """The host's with the router's device for its scope, and the other way round."""
    host, router = topology.link_local("node2"), topology.router_link_local("node2")
    link = topology.link("node2")

    assert (host.scope_id, router.scope_id) == ("node2", "tor1")
    assert host.is_link_local
    assert int(host) == int(link.lower.link_local) != int(router)
    numbered = topology.router_link_local("node2", numbered=True)
    assert numbered.scope_id == str(link.lower.index)
    await until_reaches(topology["node2"], topology["tor1"], numbered)


def test_devices_have_numbers(topology: Topology) -> None:
    link = topology.link("node1")

    (device,) = link.upper.host.namespace.ip_json("link", "show", "dev", "node1")
    assert device["ifindex"] == link.upper.index
    assert link.upper.index != link.lower.index


def test_the_forwarding_table_has_the_legs_that_are_alive(topology: Topology) -> None:
    tor = topology["tor1"].namespace
    legs = "nexthop via 172.30.1.2 dev node1 nexthop via 172.30.2.2 dev node2"
    tor.ip(f"route add 10.96.0.10/32 {legs}", "route add fd00:96::10/128 via fd00:30:3::2")
    one, two = Leg("172.30.1.2", "node1"), Leg("172.30.2.2", "node2")

    assert kernel_fib(tor)["10.96.0.10/32"] == {one, two}
    assert kernel_fib(tor, Family.IPV6)["fd00:96::10/128"] == {Leg("fd00:30:3::2", "node3")}
    topology.link("node1").down()
    assert kernel_fib(tor)["10.96.0.10/32"] == {two}


def test_topologies_beyond_the_address_plan_are_refused() -> None:
    with pytest.raises(ValueError, match="1-2 routers"):
        Topology(tors=3)


def test_what_is_started_inside_sees_only_the_inside(topology: Topology) -> None:
    names = {link["ifname"] for link in topology["node1"].namespace.ip_json("link")}

    assert names == {"lo", "tor1", "tor2", "mgmt"}


def test_errors_inside_a_namespace_are_raised_outside(topology: Topology) -> None:
    namespace = topology["node1"].namespace
    with pytest.raises(OSError, match="nonsense"):
        namespace.ip("link set nonsense up")

    def fail() -> None:
        raise LookupError("inside")

    with pytest.raises(LookupError, match="inside"):
        namespace.call(fail)


def test_a_namespace_that_could_not_be_set_up_leaves_nothing_open() -> None:
    before = open_here()

    with pytest.raises(FileNotFoundError):
        Namespace("broken", {"net.ipv4.no_such_setting": 1})

    assert before == open_here()


def test_nothing_is_left_of_a_closed_topology() -> None:
    """Neither a descriptor here nor a device anywhere: the other ends of its cables would show it."""
    before = open_here()
    with Topology(nodes=2) as network:
        inodes = {os.fstat(host.namespace.fd).st_ino for host in network}
    network.close()

    assert before == open_here()
    assert not inodes & set(processes_by_namespace())


def open_here() -> set[str]:
    """The descriptors of this process."""
    return {entry.name for entry in Path("/proc/self/fd").iterdir() if entry.exists()}

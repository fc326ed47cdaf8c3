"""The networks of a fabric are what their pictures show, and stay so while hosts come and go."""

from collections.abc import Iterator
from ipaddress import ip_address

import pytest

from speaker.model.prefix import Address, Family
from tests.lab.net.echo import Outcome, path, ping
from tests.lab.net.fabric import Fabric
from tests.lab.net.host import Host
from tests.lab.net.topology import MANAGEMENT_ADDRESSES
from tests.lab.waiting import eventually
from tests.labtests.static_routes import route_racks

pytestmark = pytest.mark.netns

families = pytest.mark.parametrize("family", list(Family))


@pytest.fixture
def flat() -> Iterator[Fabric]:
    """Three nodes on a switch, and a management network."""
    with Fabric(3, flat=True, management=True) as fabric:
        yield fabric


@pytest.fixture
def racks() -> Iterator[Fabric]:
    """Three nodes below a router, two below another, and static routes between both."""
    with Fabric(3, 2) as fabric:
        route_racks(fabric)
        yield fabric


async def answers(host: Host, address: Address) -> bool:
    answer = await ping(host, address)
    return answer is not None and answer.outcome is Outcome.REPLIED


async def silent(host: Host, address: Address) -> bool:
    """Whether nothing comes back at once; a router, or the host itself, may say that there is no way."""
    answer = await ping(host, address, tries=1, within=0.1)
    return answer is None or answer.outcome is Outcome.UNREACHABLE


async def hops(fabric: Fabric, host: str, address: Address) -> list[str | None]:
    """The names of who answers on the way from a host to an address."""
    names = fabric.names()
    return [None if hop is None else names[hop] for hop in await path(fabric[host], address)]


@families
async def test_nodes_on_a_switch_are_neighbours(flat: Fabric, family: Family) -> None:
    assert await hops(flat, "node1", flat.address("node3", family)) == ["node3"]


@families
async def test_nodes_of_a_rack_are_neighbours(racks: Fabric, family: Family) -> None:
    assert await hops(racks, "node1", racks.address("node3", family)) == ["node3"]


@families
async def test_nodes_of_two_racks_reach_each_other_through_both_routers(
    racks: Fabric, family: Family
) -> None:
    assert await hops(racks, "node1", racks.address("node5", family)) == ["R1", "R2", "node5"]


@families
async def test_nodes_reach_the_management_network(flat: Fabric, family: Family) -> None:
    address = ip_address(MANAGEMENT_ADDRESSES[family is Family.IPV6])

    for node in flat.nodes:
        assert await answers(node, address)


@families
async def test_a_switch_forwards_nothing(flat: Fabric, family: Family) -> None:
    """It is the default route of its nodes, as in many networks, and that leads nowhere."""
    nowhere = ip_address("192.0.2.1" if family is Family.IPV4 else "2001:db8::1")

    assert await silent(flat["node1"], nowhere)


def test_addresses_follow_from_numbers(racks: Fabric) -> None:
    assert [node.name for node in racks.nodes] == ["node1", "node2", "node3", "node4", "node5"]
    assert str(racks.address("node4")) == "172.31.2.14"
    assert str(racks.address("node4", Family.IPV6)) == "fd00:31:2::14"
    assert str(racks.head_address(2)) == "172.31.2.1"
    assert str(racks.loopback(2, Family.IPV6)) == "fd00:50::2"
    assert racks.names()[racks.loopback(1)] == "R1"


@families
async def test_loopback_addresses_stay_reachable_when_one_of_the_parallel_links_is_cut(
    racks: Fabric, family: Family
) -> None:
    router, address = racks["R1"], racks.loopback(2, family)
    for link in racks.trunk():
        with link.cut():
            await eventually(lambda: answers(router, address), what=f"an answer from {address}")

    with racks.trunk()[0].cut(), racks.trunk()[1].cut():
        assert await silent(router, address)
    await eventually(lambda: answers(router, address), what=f"an answer from {address}")


@families
async def test_a_node_may_come_while_the_network_runs(flat: Fabric, family: Family) -> None:
    name = flat.add_node()

    assert name == "node4"
    assert await answers(flat["node1"], flat.address(name, family))
    assert await answers(flat[name], ip_address(MANAGEMENT_ADDRESSES[family is Family.IPV6]))


@families
async def test_a_node_that_was_removed_is_gone_and_its_number_stays_unused(
    flat: Fabric, family: Family
) -> None:
    address = flat.address("node3", family)
    flat.remove("node3")

    assert await silent(flat["node1"], address)
    assert flat.add_node() == "node4"
    with pytest.raises(LookupError, match="node3"):
        flat.link("node3")


@families
async def test_a_host_that_is_no_node_may_come_and_go(flat: Fabric, family: Family) -> None:
    flat.add_host("reflector1")
    address = flat.address("reflector1", family)

    assert await hops(flat, "node1", address) == ["reflector1"]
    assert [node.name for node in flat.nodes] == ["node1", "node2", "node3"]

    flat.remove("reflector1")
    assert await silent(flat["node1"], address)


def test_the_head_keeps_its_hardware_address_when_hosts_come_and_go(flat: Fabric) -> None:
    """Else every node would lose it for a while, and with it what it routes."""

    def address() -> str:
        return str(flat["S1"].namespace.ip_json("link", "show", "lan")[0]["address"])

    before = address()
    flat.remove(flat.add_node())
    flat.remove("node1")

    assert before == address()


@families
async def test_a_silent_link_harms_its_node_alone(flat: Fabric, family: Family) -> None:
    cut, other = (flat.address(node, family) for node in ("node2", "node3"))
    assert await answers(flat["node1"], cut)

    with flat.link("node2").silent():
        assert await silent(flat["node1"], cut)
        assert await answers(flat["node1"], other)
        (device,) = flat["node2"].namespace.ip_json("link", "show", "eth0")
        assert "NO-CARRIER" not in device["flags"]

    assert await answers(flat["node1"], cut)


@families
async def test_a_link_that_was_down_comes_back_with_addresses_and_routes(
    racks: Fabric, family: Family
) -> None:
    with racks.link("node1").cut():
        assert await silent(racks["node2"], racks.address("node1", family))

    assert await hops(racks, "node1", racks.address("node4", family)) == ["R1", "R2", "node4"]


def test_a_flat_fabric_has_one_rack() -> None:
    with pytest.raises(ValueError, match="one rack"):
        Fabric(2, 2, flat=True)


def test_a_segment_has_as_many_hosts_as_addresses(flat: Fabric) -> None:
    with pytest.raises(ValueError, match="hosts 1-240"):
        flat.racks[0].segment.plug(flat["mgmt"], 241)

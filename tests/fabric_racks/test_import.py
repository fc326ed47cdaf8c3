"""What a router may teach, and how much of it."""

from functools import partial
from ipaddress import ip_network
from typing import Any

from speaker.model.prefix import Family
from tests.fabric_racks.conftest import MakeRacks
from tests.fabric_racks.racks import Racks, configuration
from tests.lab.pods import pod_cidrs
from tests.lab.routers.router import Router
from tests.lab.waiting import eventually

ASN = 64512

FOREIGN = ("0.0.0.0/0", "198.51.100.0/24", "2001:db8:9::/48")


async def test_only_pod_ranges_are_learned_unless_others_are_allowed(
    make_racks: MakeRacks, driver: type[Router]
) -> None:
    """A router's default route least of all; `importPrefixes` takes effect at once."""
    racks = await make_racks(2)
    await racks.mark()
    await racks.apply(*racks.router_peers(1, ASN))
    await racks.start_reflector(driver, 1, ASN, originate=tuple(map(ip_network, FOREIGN)))
    await racks.start_speakers("--fabric")
    await racks.wait_learned()
    for prefix in FOREIGN:
        await eventually(
            partial(racks.rules, "node1", prefix), lambda rules: rules == ("PrefixNotAllowed",), within=60
        )
    pods = {str(cidr) for cidr in pod_cidrs("node2")}
    assert set(racks.learned("node1")) == pods

    await racks.apply(configuration(asNumber=ASN, importPrefixes=["198.51.100.0/24", "2001:db8::/32"]))
    await eventually(
        lambda: set(racks.learned("node1")), lambda all_: all_ == pods | set(FOREIGN[1:]), within=60
    )
    await racks.apply(configuration(asNumber=ASN, importPrefixes=["0.0.0.0/0", "::/0"]))
    await eventually(lambda: racks.learned("node1").get("0.0.0.0/0"), lambda hops: hops == {"R1"}, within=60)
    await racks.apply(configuration(asNumber=ASN))
    await eventually(lambda: set(racks.learned("node1")), lambda all_: all_ == pods, within=60)


async def test_a_peer_that_teaches_more_than_its_limit_is_cut(
    make_racks: MakeRacks, driver: type[Router]
) -> None:
    """The session of the other family stays."""
    racks = await make_racks(2)
    await racks.mark()
    await racks.apply(*racks.router_peers(1, ASN, maxPrefixes=3))
    many = tuple(ip_network(f"10.244.2.{16 * number}/28") for number in range(4))
    await racks.start_reflector(driver, 1, ASN, originate=many)
    await racks.start_speakers("--fabric")

    v4, v6 = (str(racks.fabric.head_address(1, family)) for family in Family)
    session = await eventually(
        partial(session_of, racks, "node1", v4), lambda each: "refix" in each["last_error"], within=60
    )
    assert session["state"] != "Established"
    await eventually(
        lambda: set(racks.learned("node1")), lambda all_: all_ == {str(pod_cidrs("node2")[1])}, within=60
    )
    assert (await session_of(racks, "node1", v6))["state"] == "Established"


async def session_of(racks: Racks, node: str, peer: str) -> Any:
    """One session of a node's speaker."""
    return (await racks.sessions(node))[peer]

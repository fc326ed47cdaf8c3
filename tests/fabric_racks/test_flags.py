"""Peers in flags teach too, with --import-routes and without any resource."""

from functools import partial

from speaker.model.prefix import Family
from tests.fabric_racks.conftest import MakeRacks
from tests.fabric_racks.racks import Racks
from tests.lab.all_pairs import AllPairs
from tests.lab.pods import pod_cidrs
from tests.lab.routers.router import Router
from tests.lab.waiting import eventually

ASN = 64512


async def test_peers_in_flags_teach_into_the_table_and_with_the_metric_of_flags(
    make_racks: MakeRacks, driver: type[Router]
) -> None:
    """A table of its own, which a rule of the administrator's looks into."""
    racks = await make_racks(2)
    await racks.start_reflector(driver, 1, ASN)
    peers = [str(racks.fabric.head_address(1, family)) for family in Family]
    await racks.start_speakers(
        f"--neighbor-address={peers[0]}",
        f"--neighbor-ipv6-address={peers[1]}",
        f"--neighbor-as={ASN}",
        f"--cluster-as={ASN}",
        "--announce-pod-cidr=true",
        "--import-routes",
        "--import-prefix=10.244.0.0/16,fd00:10:244::/48",
        "--kernel-table=100",
        "--kernel-metric=50",
    )
    wanted = {
        str(cidr): ("100", str(racks.fabric.address("node2", family)), 50)
        for family, cidr in zip(Family, pod_cidrs("node2"), strict=True)
    }
    await eventually(partial(routes, racks, "node1"), lambda found: found == wanted, within=60)
    for node in racks.fabric.nodes:
        for option in ("-4", "-6"):
            node.namespace.run("ip", option, "rule", "add", "lookup", "100", "pref", "100")
    async with AllPairs(racks.pods.values()) as traffic:
        await traffic.flowing()


def routes(racks: Racks, node: str) -> dict[str, tuple[str, str, int]]:
    """What was learned into any table of a node's kernel: prefix to table, gateway and metric."""
    show = ("route", "show", "table", "all", "proto", "203")
    namespace = racks.fabric[node].namespace
    found = [route for option in ("-4", "-6") for route in namespace.ip_json(option, *show)]
    return {
        route["dst"]: (route.get("table", "main"), route.get("gateway", ""), route["metric"])
        for route in found
    }

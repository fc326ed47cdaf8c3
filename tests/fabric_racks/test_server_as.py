"""eBGP from the server on: an AS for each, or one AS for all of them."""

from functools import partial

from speaker.model.prefix import Family
from tests.fabric_racks.conftest import MakeRacks
from tests.fabric_racks.racks import AS_NUMBER, Racks, bgp_peer, configuration
from tests.lab.pods import pod_cidrs
from tests.lab.routers.bird import Bird
from tests.lab.routers.router import Router
from tests.lab.waiting import eventually

ROUTER_ASNS = (65001, 65002)


async def start(racks: Racks, driver: type[Router], nodes: dict[str, int]) -> None:
    """A router with an AS of its own in each rack, and a speaker on each node; returns when in sync."""
    await racks.mark()
    for rack, asn in enumerate(ROUTER_ASNS, 1):
        await racks.apply(*racks.router_peers(rack, asn))
        config = racks.node_by_node(rack, ROUTER_ASNS, nodes)
        await racks.start_router(driver, rack, config)
    await racks.start_speakers("--fabric")


async def test_an_as_for_each_server(make_racks: MakeRacks, driver: type[Router]) -> None:
    """The routers stand for all that is behind them: inside a rack too, packets pass its router."""
    racks = await make_racks(2, 1)
    asns = {"node1": 64601, "node2": 64602, "node3": 4200000003}
    for node, asn in asns.items():
        await racks.annotate(node, f"{AS_NUMBER}={asn}")

    await start(racks, driver, asns)
    await racks.wait_learned()

    await racks.pods.wait_path("pod1", "pod2", "node1", "R1", "node2")
    await racks.pods.wait_path("pod1", "pod3", "node1", "R1", "R2", "node3")
    paths = {str(prefix): path.as_path for prefix, (path,) in (await racks.routers[1].routes()).items()}
    assert paths["10.244.1.0/24"] == (64601,)
    assert paths["10.244.3.0/24"] == (65002, 4200000003)


async def test_one_as_for_all_servers_has_to_be_allowed(make_racks: MakeRacks, driver: type[Router]) -> None:
    """Without numAllowedLocalASNumbers they refuse each other's routes (RFC 4271 §9.1.2), and say why."""
    racks = await make_racks(1, 1)
    await racks.apply(configuration(asNumber=64512))
    await start(racks, driver, dict.fromkeys(racks.node_names, 64512))

    for cidr in pod_cidrs("node2"):
        await eventually(
            partial(racks.rules, "node1", str(cidr)), lambda rules: rules == ("AsLoop",), within=60
        )
    told = await racks.run("learned", "10.244.2.0/24", node="node1")
    assert "our own AS number stands in its AS_PATH too often" in told.output
    assert not racks.learned("node1")

    for rack, asn in enumerate(ROUTER_ASNS, 1):
        await racks.apply(*racks.router_peers(rack, asn, numAllowedLocalASNumbers=1))
    await racks.wait_learned()
    await racks.pods.wait_path("pod1", "pod2", "node1", "R1", "R2", "node2")


async def test_what_a_node_passes_on_has_the_next_hop_that_its_mode_says(make_racks: MakeRacks) -> None:
    """Auto and Self: its own address (RFC 4271 §5.1.3); Keep: the node's that the Pods are on."""
    racks = await make_racks(2)
    await racks.mark()
    transit = {
        "apiVersion": "bgp.route-speaker.io/v1alpha1",
        "kind": "BGPFilter",
        "metadata": {"name": "transit"},
        "spec": {
            f"export{family.upper().replace('IP', '')}": [{"action": "Accept", "source": "RemotePeers"}]
            for family in Family
        },
    }
    await racks.apply(configuration(asNumber=64512, nodeToNodeMeshEnabled=True), transit)
    config = racks.node_by_node(1, [65001], dict.fromkeys(racks.node_names, 64512))
    router = await racks.start_router(Bird, 1, config)
    await racks.start_speakers("--fabric")

    for mode, behind in (("Auto", "node1"), ("Keep", "node2"), ("Self", "node1")):
        await racks.apply(
            *(
                bgp_peer(
                    f"router-{family}",
                    node="node1",
                    peerIP=str(racks.fabric.head_address(1, family)),
                    asNumber=65001,
                    filters=["transit"],
                    nextHopMode=mode,
                )
                for family in Family
            )
        )
        expected = {
            str(cidr): {str(racks.fabric.address(node, family))}
            for name, node in (("node1", "node1"), ("node2", behind))
            for family, cidr in zip(Family, pod_cidrs(name), strict=True)
        }
        await router.wait_routes(expected, within=60)

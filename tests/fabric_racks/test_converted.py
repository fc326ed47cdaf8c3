"""What Calico was configured with runs here: converted, applied with kubectl, with packets."""

import pytest

from tests.fabric_racks.conftest import MakeRacks
from tests.fabric_racks.racks import Racks
from tests.lab.all_pairs import AllPairs
from tests.lab.losses import show_losses
from tests.lab.pods import pod_cidrs
from tests.lab.routers.router import Router

CALICO = """
apiVersion: projectcalico.org/v3
kind: BGPConfiguration
metadata: {name: default}
spec:
  asNumber: 64512
  logSeverityScreen: Info
  nodeToNodeMeshEnabled: false
  communities:
    - {name: pods, value: "64512:100"}
  prefixAdvertisements:
    - {cidr: 10.244.0.0/16, communities: [pods]}
---
apiVersion: projectcalico.org/v3
kind: BGPPeer
metadata: {name: clients-to-reflectors}
spec:
  nodeSelector: "!has(route-reflector)"
  peerSelector: has(route-reflector)
---
apiVersion: projectcalico.org/v3
kind: BGPPeer
metadata: {name: tor-v4}
spec:
  nodeSelector: rack == 'r1'
  peerIP: 172.31.1.1
  asNumber: 65001
  keepOriginalNextHop: true
  filters: [no-third]
---
apiVersion: projectcalico.org/v3
kind: BGPPeer
metadata: {name: tor-v6}
spec:
  peerIP: fd00:31:1::1
  asNumber: 65001
---
apiVersion: projectcalico.org/v3
kind: BGPFilter
metadata: {name: no-third}
spec:
  exportV4:
    - {action: Reject, matchOperator: In, cidr: 10.244.3.0/24}
    - {action: Accept, interface: eth1, source: RemotePeers}
  importV4:
    - {action: Reject, matchOperator: In, cidr: 10.244.0.0/16}
"""

NODE = """
---
apiVersion: v1
kind: Node
metadata:
  name: node{number}
  annotations:
    projectcalico.org/IPv4Address: 172.31.1.1{number}/24
    projectcalico.org/IPv6Address: fd00:31:1::1{number}/64
"""
CLUSTER_ID = "    projectcalico.org/RouteReflectorClusterID: 244.0.0.1\n"


@pytest.fixture
async def racks(make_racks: MakeRacks, driver: type[Router]) -> Racks:
    """Three nodes, two of which reflect, and a router that all of them have eBGP with."""
    made = await make_racks(3)
    await made.mark()
    await made.kubectl("label", "node", "node1", "node2", "route-reflector=yes")
    config = made.node_by_node(1, [65001], dict.fromkeys(made.node_names, 64512))
    await made.start_router(driver, 1, config)
    return made


async def test_a_calico_configuration_converted_and_run(racks: Racks) -> None:
    """In-cluster reflectors, a router, a filter, communities; the notes tell what was not kept."""
    nodes = [NODE.format(number=number) + (CLUSTER_ID if number < 3 else "") for number in (1, 2, 3)]
    converted = await racks.run("convert", "-f", "-", stdin=CALICO + "".join(nodes))
    assert converted.status == 0, converted.errors
    for words in ("logSeverityScreen: is the flag --log-level", "routeReflectorSelector", "interface"):
        assert words in converted.errors

    # Nodes are there already: kubectl says that it was not the one who made them, and goes on.
    await racks.apply(converted.output)
    await racks.start_speakers("--fabric")
    await racks.wait_learned()

    assert racks.learned("node3")["10.244.1.0/24"] == {"node1"}
    router = racks.routers[1]
    cidrs = {node: tuple(map(str, pod_cidrs(node))) for node in racks.node_names}
    await router.wait_fib(
        {cidr: {"lan"} for each in cidrs.values() for cidr in each if cidr != "10.244.3.0/24"}, within=60
    )
    table = {str(prefix): paths[0] for prefix, paths in (await router.routes()).items()}
    assert "10.244.3.0/24" not in table
    assert table["10.244.1.0/24"].communities == {"64512:100"}
    async with AllPairs(racks.pods.values()) as traffic:
        await traffic.flowing()
        traffic.mark()
        await racks.some_packets(traffic)
        await traffic.stop()
        assert not traffic.lost(), show_losses(traffic.lost())

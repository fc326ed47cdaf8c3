"""Several paths to one prefix (RFC 7911), in both directions."""

import pytest

from tests.bgp.builders import path, prefix, until
from tests.interop.matrix import proves
from tests.interop.rack import Rack

pytestmark = pytest.mark.netns

VIP = prefix("10.96.0.10/32")
VIP6 = prefix("fd00:96::10/128")
OURS, NEXT = "172.30.1.2", "172.30.1.9"
OURS6, NEXT6 = "fd00:30:1::2", "fd00:30:1::9"


@proves("add-path-to-router")
async def test_the_router_has_every_path_until_it_is_withdrawn(rack: Rack) -> None:
    router = await rack.router(rack.neighbor(add_path_rx=True))
    speaker = rack.speaker(rack.peer(add_path_send=True))
    four = (path(str(VIP), 1, OURS), path(str(VIP), 2, NEXT))
    six = (path(str(VIP6), 1, OURS6), path(str(VIP6), 2, NEXT6))
    speaker.peers.update("tor1", {VIP: four, VIP6: six})
    await router.wait_routes({str(VIP): {OURS, NEXT}, str(VIP6): {OURS6, NEXT6}})

    speaker.peers.update("tor1", {VIP: four[1:], VIP6: six[:1]})

    await router.wait_routes({str(VIP): {NEXT}, str(VIP6): {OURS6}})


@proves("add-path-to-router")
async def test_a_router_that_takes_one_path_gets_the_first(rack: Rack) -> None:
    router = await rack.router()
    speaker = rack.speaker(rack.peer(add_path_send=True))

    speaker.peers.update("tor1", {VIP: (path(str(VIP), 1, OURS), path(str(VIP), 2, NEXT))})

    await router.wait_routes({str(VIP): {OURS}})


@proves("add-path-from-router")
async def test_we_have_every_path_that_the_router_has(rack: Rack) -> None:
    """node2 and client1 announce the VIP to the router, which tells node1 of both; then one remains."""
    asns = {"node1": 65001, "node2": 65002, "client1": 65003}
    router = await rack.router(
        *(rack.neighbor(host, asn=asn, add_path_tx=host == "node1") for host, asn in asns.items())
    )
    speakers = {
        host: rack.speaker(rack.peer(host, local_asn=asn, add_path_receive=host == "node1"), node=host)
        for host, asn in asns.items()
    }
    for host in ("node2", "client1"):
        speakers[host].peers.update("tor1", rack.routes(str(VIP), node=host))
    await router.wait_routes({str(VIP): {"172.30.2.2", "10.200.1.2"}})
    received = speakers["node1"].peers.received

    await until(lambda: len(received("tor1")) == 2, "both paths")
    assert {each.prefix for each in received("tor1")} == {VIP}

    speakers["node2"].peers.update("tor1", {VIP: None})
    await until(lambda: len(received("tor1")) == 1, "the path that remains")

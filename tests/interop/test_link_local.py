"""Sessions between IPv6 link-local addresses: the scope is a device, and next hops are global beside it."""

from typing import Any

import pytest

from speaker.model.peer import Peer, SessionState
from speaker.model.prefix import Family
from speaker.model.route import Route
from tests.bgp.builders import Speaker, prefix
from tests.interop.matrix import proves
from tests.interop.rack import NODE_ASN, Rack
from tests.lab.routers.config import Neighbor
from tests.lab.routers.router import Router

pytestmark = pytest.mark.netns

VIP, VIP6 = "10.96.0.10/32", "fd00:96::10/128"


def router_of(rack: Rack, **options: Any) -> Peer:
    """The router by its link-local address; the number of the device counts in every namespace."""
    return rack.peer(address=rack.topology.router_link_local("node1", numbered=True), **options)


async def session(rack: Rack, *, extended_next_hop: bool = False) -> tuple[Router, Speaker]:
    """An established session between link-local addresses."""
    node = rack.topology.link_local("node1")
    router = await rack.router(
        Neighbor(where=node, asn=NODE_ASN, passive=True, extended_next_hop=extended_next_hop)
    )
    speaker = rack.speaker(router_of(rack, extended_next_hop=extended_next_hop))
    await speaker.until_state(SessionState.ESTABLISHED, "tor1")
    await router.wait_established(str(node))
    return router, speaker


@proves("link-local")
async def test_both_families_over_link_local_addresses(rack: Rack) -> None:
    """An IPv6 route has the global next hop and the link-local one (RFC 2545); packets would go there."""
    router, speaker = await session(rack)

    speaker.peers.update("tor1", rack.routes(VIP, VIP6))

    await router.wait_routes({VIP: {"172.30.1.2"}, VIP6: {"fd00:30:1::2"}})
    if router.installs_routes:
        await router.wait_fib({VIP: {"node1"}, VIP6: {"node1"}})


@proves("link-local", "extended-next-hop")
async def test_ipv4_over_ipv6_between_link_local_addresses(rack: Rack) -> None:
    """What is called unnumbered: no IPv4 address takes part."""
    router, speaker = await session(rack, extended_next_hop=True)
    destination = prefix(VIP)

    speaker.peers.update("tor1", {destination: Route(destination, rack.address(family=Family.IPV6))})

    await router.wait_routes({VIP: {"fd00:30:1::2"}})
    if router.installs_routes:
        await router.wait_fib({VIP: {"node1"}})

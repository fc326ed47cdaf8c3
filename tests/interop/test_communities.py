"""Communities of all three kinds, as they were meant, in both directions; and what GRACEFUL_SHUTDOWN does."""

from typing import Any

import pytest

from speaker.bgp.peers import GRACEFUL_SHUTDOWN
from speaker.model.route import PathAttributes
from tests.bgp.builders import prefix, until
from tests.interop.matrix import proves
from tests.interop.rack import Rack
from tests.lab.routers.config import Originated

pytestmark = pytest.mark.netns

VIP = "10.96.0.10/32"
ORIGIN = prefix("10.50.0.0/24")

ROUTE_TARGET = 0x0002_FDE8_0000_0064
"""rt:65000:100 (RFC 4360 section 4), with an AS number of two octets."""
ROUTE_ORIGIN = 0x0103_0A00_0001_0005
"""soo:10.0.0.1:5 (RFC 4360 section 5), with an IPv4 address."""
WIDE_TARGET = 0x0202_FA56_EA00_0007
"""rt:4200000000:7, with an AS number of four octets (RFC 5668)."""


@proves("communities", "large-communities", "extended-communities")
async def test_the_router_has_our_communities(rack: Rack) -> None:
    router, speaker = await rack.session()
    attributes: dict[str, Any] = {
        "communities": (65000 << 16 | 100, 65000 << 16 | 200),
        "large_communities": ((4200000001, 1, 2),),
        "extended_communities": (ROUTE_TARGET, ROUTE_ORIGIN, WIDE_TARGET),
    }

    speaker.peers.update("tor1", rack.routes(VIP, **attributes))

    table = await router.wait_routes({VIP: {"172.30.1.2"}})
    (path,) = table[prefix(VIP)]
    assert path.communities == {"65000:100", "65000:200", "4200000001:1:2"}
    assert path.ext_communities == {"rt:65000:100", "soo:10.0.0.1:5", "rt:4200000000:7"}


@proves("communities", "large-communities", "extended-communities")
async def test_we_have_the_communities_of_the_router(rack: Rack) -> None:
    origin = Originated(
        prefix=ORIGIN,
        communities=("65030:1", "65030:2"),
        large_communities=("4200000001:1:2",),
        ext_communities=("rt:65000:100", "soo:10.0.0.1:5"),
    )
    _, speaker = await rack.session(originate=(origin,))

    await until(lambda: speaker.peers.received("tor1"), "the router's own prefix")

    (route,) = speaker.peers.received("tor1").values()
    found: PathAttributes = route.attributes
    assert found.communities == (65030 << 16 | 1, 65030 << 16 | 2)
    assert found.large_communities == ((4200000001, 1, 2),)
    assert found.extended_communities == (ROUTE_TARGET, ROUTE_ORIGIN)


@proves("graceful-shutdown")
async def test_what_is_about_to_go_is_the_last_choice(rack: Rack) -> None:
    """RFC 8326: of two nodes the router prefers the other, though both are there."""
    router = await rack.router(rack.neighbor("node1"), rack.neighbor("node2"), honour_graceful_shutdown=True)
    speakers = {node: rack.speaker(rack.peer(node), node=node) for node in ("node1", "node2")}
    # Without a difference the router would prefer the one with the lower MED.
    speakers["node1"].peers.update("tor1", rack.routes(VIP, med=1))
    speakers["node2"].peers.update("tor1", rack.routes(VIP, node="node2", med=2))

    def prefers(hop: str) -> Any:
        def holds(table: Any) -> bool:
            paths = table.get(prefix(VIP), ())
            return len(paths) == 2 and [str(path.next_hop) for path in paths if path.best] == [hop]

        return holds

    await router.wait_routes(prefers("172.30.1.2"))
    speakers["node1"].peers.update("tor1", rack.routes(VIP, med=1, communities=(GRACEFUL_SHUTDOWN,)))

    await router.wait_routes(prefers("172.30.2.2"))

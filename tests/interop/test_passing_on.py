"""A route goes from one router over us to another, unchanged, as a route reflector passes it on (RFC 4456).

The first speaker gives FRR a route with all that a route may carry; FRR tells it to the second speaker, which
passes it on to BIRD, and BIRD shows what has arrived.
"""

from collections.abc import AsyncIterator
from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

import pytest

from speaker.model.peer import SessionState
from speaker.model.prefix import Family
from speaker.model.route import Learned, PathAttributes, PathSegment, Route, SegmentType
from tests.bgp.builders import Speaker, prefix, until
from tests.interop.rack import NODE_ASN, Rack
from tests.lab.net.topology import Topology
from tests.lab.routers.bird import Bird
from tests.lab.routers.frr import Frr

pytestmark = [pytest.mark.netns, pytest.mark.bird, pytest.mark.frr]

VIP = "10.96.0.10/32"
OUTSIDE = 65002
CLUSTER = IPv4Address("10.9.9.9")
# Optional and transitive, of a type that nobody knows.
UNREAD = bytes.fromhex("c0fa0401020304")
CARRIED: dict[str, Any] = {
    "med": 7,
    "communities": (65000 << 16 | 100, 65000 << 16 | 200),
    "large_communities": ((4200000001, 1, 2),),
    "extended_communities": (0x0002_FDE8_0000_0064,),
    "learned": Learned(
        as_path=(PathSegment(SegmentType.AS_SEQUENCE, (4200000002, 65003)),), unrecognized=(UNREAD,)
    ),
}


@pytest.fixture
async def rack(topology: Topology) -> AsyncIterator[Rack]:
    """FRR at tor1, in our AS, and BIRD at tor2, in it too."""
    async with Rack(topology, Frr) as made:
        yield made


async def heard_from_frr(rack: Rack) -> tuple[Speaker, Route]:
    """The speaker of node1, and what FRR has told it of the other one's route."""
    outside = rack.neighbor("node2", asn=OUTSIDE)
    await rack.router(rack.neighbor("node1", asn=NODE_ASN), outside, asn=NODE_ASN)
    source = rack.speaker(rack.peer("node2", asn=NODE_ASN, local_asn=OUTSIDE), node="node2")
    source.peers.update("tor1", rack.routes(VIP, node="node2", **CARRIED))
    inside = rack.peer(asn=NODE_ASN, imports=True, client=True, cluster_id=CLUSTER)
    to_bird = rack.peer(router="tor2", asn=NODE_ASN, imports=True, client=True, cluster_id=CLUSTER)
    speaker = rack.speaker(inside, to_bird)
    await until(lambda: speaker.peers.received("tor1"), "the route", seconds=30)
    (route,) = speaker.peers.received("tor1").values()
    return speaker, route


async def test_we_have_all_that_frr_passes_along(rack: Rack) -> None:
    _, route = await heard_from_frr(rack)

    found: PathAttributes = route.attributes
    path = (PathSegment(SegmentType.AS_SEQUENCE, (OUTSIDE, 4200000002, 65003)),)
    # FRR does not know the attribute either, so that it has set the Partial bit (RFC 4271 section 5).
    partial = bytes.fromhex("e0fa0401020304")
    assert found.learned is not None
    assert (path, (partial,)) == (found.learned.as_path, found.learned.unrecognized)
    # An external MED stays: it goes to no other AS, and this one is ours.
    learned = replace(CARRIED["learned"], as_path=path, unrecognized=(partial,), med=found.med)
    assert PathAttributes(**(CARRIED | {"local_preference": 100, "learned": learned})) == found


async def test_bird_has_what_frr_had(rack: Rack) -> None:
    """Next hop, preference, MED, path and communities; and who has reflected it."""
    speaker, route = await heard_from_frr(rack)
    rack.daemon = Bird
    bird = await rack.router(rack.neighbor(router="tor2", asn=NODE_ASN), number=2, asn=NODE_ASN)
    assert isinstance(bird, Bird)
    await speaker.until_state(SessionState.ESTABLISHED, "tor2")
    assert route.attributes.learned is not None
    sender = speaker.peers.sessions()["tor1"].facts
    assert sender is not None
    reflected = replace(
        route.attributes.learned, originator_id=sender.peer_router_id, cluster_list=(CLUSTER,)
    )

    speaker.peers.update(
        "tor2", {route.prefix: route._replace(attributes=replace(route.attributes, learned=reflected))}
    )

    await until_told(bird)
    (path,) = (await bird.routes(Family.IPV4))[prefix(VIP)]
    assert path.as_path == (OUTSIDE, 4200000002, 65003)
    assert (path.med, path.local_pref) == (7, 100)
    assert path.communities == {"65000:100", "65000:200", "4200000001:1:2"}
    assert path.ext_communities == {"rt:65000:100"}
    shown = await bird.command(f"show route {VIP} all")
    assert f"BGP.originator_id: {sender.peer_router_id}" in shown
    assert f"BGP.cluster_list: {CLUSTER}" in shown
    assert f"BGP.next_hop: {route.next_hop}" in shown
    assert "BGP.fa" in shown
    assert "01 02 03 04" in shown


async def until_told(bird: Bird) -> None:
    """Waits until BIRD has the route, whether it can use its next hop or not."""
    await bird.wait_routes(lambda table: prefix(VIP) in table)

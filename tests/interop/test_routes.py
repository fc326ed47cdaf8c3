"""Routes arrive as they were meant: next hops, attributes, both families, many at once, and go again."""

from ipaddress import IPv4Address, IPv4Network, IPv6Network
from typing import Any

import pytest

from speaker.model.peer import SessionState
from speaker.model.prefix import Family, Prefix
from speaker.model.route import Route
from tests.bgp.builders import prefix, until
from tests.interop.matrix import proves
from tests.interop.rack import ROUTER_ASN, Rack
from tests.lab.routers.table import Path

pytestmark = pytest.mark.netns

BOTH = {"10.96.0.10/32": {"172.30.1.2"}, "fd00:96::10/128": {"fd00:30:1::2"}}


async def carry_both_families(rack: Rack, family: Family) -> None:
    """Routes of both families come and go on a session over one of them."""
    router = await rack.router(rack.neighbor(family=family))
    speaker = rack.speaker(rack.peer(family=family))
    speaker.peers.update("tor1", rack.routes(*BOTH))

    await router.wait_routes(BOTH)
    if router.installs_routes:
        await router.wait_fib({destination: {"node1"} for destination in BOTH})

    speaker.peers.update("tor1", dict.fromkeys(map(prefix, BOTH)))
    await router.wait_routes({})
    if router.installs_routes:
        await router.wait_fib({destination: set() for destination in BOTH})


async def test_both_families_on_one_session_over_ipv4(rack: Rack) -> None:
    await carry_both_families(rack, Family.IPV4)


@proves("ipv6-session")
async def test_both_families_on_one_session_over_ipv6(rack: Rack) -> None:
    await carry_both_families(rack, Family.IPV6)


async def test_with_a_session_for_each_family_a_router_hears_everything_once(rack: Rack) -> None:
    router = await rack.router(*(rack.neighbor(family=family) for family in Family))
    speaker = rack.speaker(
        *(rack.peer(family=family, name=family, families=frozenset({family})) for family in Family)
    )
    for family in Family:
        speaker.peers.update(family, rack.routes(*BOTH))
    await router.wait_established("172.30.1.2", "fd00:30:1::2")

    table = await router.wait_routes(BOTH)
    assert all(len(paths) == 1 for paths in table.values())


async def test_a_router_that_offers_one_family_gets_only_that(rack: Rack) -> None:
    router = await rack.router(rack.neighbor(families=(Family.IPV4,)))
    speaker = rack.speaker()
    speaker.peers.update("tor1", rack.routes(*BOTH))

    await router.wait_routes({"10.96.0.10/32": {"172.30.1.2"}})
    facts = speaker.peers.sessions()["tor1"].facts
    assert facts is not None
    assert facts.families == {Family.IPV4}


@proves("extended-next-hop")
async def test_ipv4_over_ipv6_next_hops(rack: Rack) -> None:
    """RFC 8950: an IPv4 prefix with an IPv6 next hop on an IPv6 session, and packets would go there."""
    router = await rack.router(rack.neighbor(family=Family.IPV6, extended_next_hop=True))
    speaker = rack.speaker(rack.peer(family=Family.IPV6, extended_next_hop=True))
    destination = prefix("10.96.0.10/32")
    route = Route(destination, rack.address(family=Family.IPV6))

    speaker.peers.update("tor1", {destination: route})

    await router.wait_routes({"10.96.0.10/32": {"fd00:30:1::2"}})
    if router.installs_routes:
        await router.wait_fib({"10.96.0.10/32": {"node1"}})


async def only_path(rack: Rack, local_asn: int, **attributes: Any) -> Path:
    """The one path that the router has, of a speaker in `local_asn`."""
    router = await rack.router(rack.neighbor(asn=local_asn))
    speaker = rack.speaker(rack.peer(local_asn=local_asn))
    speaker.peers.update("tor1", rack.routes("10.96.0.10/32", **attributes))
    table = await router.wait_routes({"10.96.0.10/32": {"172.30.1.2"}})
    (path,) = table[prefix("10.96.0.10/32")]
    return path


async def test_attributes_between_ases(rack: Rack) -> None:
    path = await only_path(
        rack,
        4200000001,
        communities=(65000 << 16 | 100, 65000 << 16 | 200),
        large_communities=((4200000001, 1, 2),),
        med=50,
        as_path_prepend=2,
        local_preference=250,
    )

    assert path.communities == {"65000:100", "65000:200", "4200000001:1:2"}
    assert path.med == 50
    assert path.as_path == (4200000001, 4200000001, 4200000001)
    assert path.local_pref != 250, "LOCAL_PREF stays within an AS"


async def test_attributes_within_an_as(rack: Rack) -> None:
    path = await only_path(
        rack, ROUTER_ASN, communities=(65000 << 16 | 100,), med=50, as_path_prepend=2, local_preference=250
    )

    assert path.communities == {"65000:100"}
    assert (path.local_pref, path.med, path.as_path) == (250, 50, ())


async def test_a_change_of_attributes_replaces_the_route(rack: Rack) -> None:
    router, speaker = await rack.session()
    speaker.peers.update("tor1", rack.routes("10.96.0.10/32", med=1))
    await router.wait_routes({"10.96.0.10/32": {"172.30.1.2"}})

    speaker.peers.update("tor1", rack.routes("10.96.0.10/32", med=2))

    await router.wait_routes(lambda table: [path.med for path in table[prefix("10.96.0.10/32")]] == [2])


@proves("ecmp")
async def test_two_nodes_share_the_traffic_of_one_prefix(rack: Rack) -> None:
    """ECMP in the kernel of the router: both nodes are legs, then the one that remains."""
    router = await rack.router(rack.neighbor("node1"), rack.neighbor("node2"))
    speakers = {node: rack.speaker(rack.peer(node), node=node) for node in ("node1", "node2")}
    for node, speaker in speakers.items():
        speaker.peers.update("tor1", rack.routes(*BOTH, node=node))
    await router.wait_fib({destination: {"node1", "node2"} for destination in BOTH})

    speakers["node1"].peers.update("tor1", dict.fromkeys(map(prefix, BOTH)))

    await router.wait_fib({destination: {"node2"} for destination in BOTH})


def many(rack: Rack) -> dict[Prefix, Route]:
    """2000 prefixes of IPv4 and 500 of IPv6 with equal attributes."""
    v4, v6 = (rack.address(family=family) for family in Family)
    found: dict[Prefix, Route] = {}
    for number in range(2000):
        network = IPv4Network(int(IPv4Address("10.100.0.0")) + number)
        found[network] = Route(network, v4)
    for number in range(500):
        host = IPv6Network((0xFD00_0100 << 96) + number)
        found[host] = Route(host, v6)
    return found


async def test_thousands_of_prefixes_travel_in_few_updates_and_go_again(rack: Rack) -> None:
    router, speaker = await rack.session()
    routes = many(rack)
    speaker.peers.update("tor1", routes)

    table = await router.wait_routes(lambda table: len(table) >= len(routes))
    assert set(table) == set(routes)
    if router.name != "bird":
        received = (await router.sessions())[rack.address()].received
        assert received is not None
        assert received < 50, "prefixes with equal attributes share UPDATEs"

    half = list(routes)[::2]
    speaker.peers.update("tor1", dict.fromkeys(half))
    await router.wait_routes(lambda table: set(table) == set(routes) - set(half))
    speaker.peers.update("tor1", dict.fromkeys(routes))
    await router.wait_routes({})


async def test_what_the_router_originates_comes_to_us(rack: Rack) -> None:
    router = await rack.router(originate=(prefix("10.50.0.0/24"), prefix("fd00:51::/64")))
    speaker = rack.speaker()
    await speaker.until_state(SessionState.ESTABLISHED, "tor1")
    wanted = {prefix("10.50.0.0/24"), prefix("fd00:51::/64")}

    await until(
        lambda: wanted <= {path.prefix for path in speaker.peers.received("tor1")},
        "the router's own prefixes",
    )
    assert await router.next_hops() == {}

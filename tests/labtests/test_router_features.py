"""What two routers agree on works between them: each feature by what it does, not by what is configured."""

from ipaddress import ip_network

import pytest

from speaker.model.peer import Role
from speaker.model.prefix import Family
from tests.bgp.builders import prefix
from tests.lab.net.topology import Topology
from tests.lab.routers.bird import Bird
from tests.lab.routers.config import Neighbor, Originated, RouterConfig, neighbor
from tests.lab.routers.router import Router
from tests.lab.waiting import eventually
from tests.labtests.pairs import (
    NODE_ASN,
    NODE_HOPS,
    NODE_PREFIX,
    ROUTER_ASN,
    against,
    only_path,
    pair,
    with_feature,
)

pytestmark = [pytest.mark.netns, pytest.mark.bird]

COMMUNITIES = ("65000:1", "65000:2")
LARGE = ("4200000001:1:2",)
EXTENDED = ("rt:65000:100", "rt:10.0.0.1:5", "soo:65000:1")
WIDE = "rt:4200000000:7"
ROUTER_PREFIX = prefix("10.50.0.0/24")


def originated(destination: str, *more: str) -> Originated:
    """A prefix with communities of every kind, and more extended ones."""
    return Originated(
        prefix=ip_network(destination),
        communities=COMMUNITIES,
        large_communities=LARGE,
        ext_communities=(*EXTENDED, *more),
    )


async def test_attributes_are_told_alike_and_originated(topology: Topology, driver: type[Router]) -> None:
    """Communities of RFC 1997, RFC 8092 and RFC 4360 in both directions, in one spelling."""
    router = {"originate": (originated("10.50.0.0/24"),)}
    node = {"originate": (originated("10.60.0.0/24", WIDE),)}
    async with pair(topology, driver, router=router, node=node) as (under_test, other):
        theirs = await only_path(under_test)
        table = await other.wait_routes(lambda table: ROUTER_PREFIX in table)
        (ours,) = table[ROUTER_PREFIX]

    assert theirs.communities == ours.communities == {*COMMUNITIES, *LARGE}
    assert theirs.ext_communities == {*EXTENDED, WIDE}
    assert ours.ext_communities == set(EXTENDED)


async def test_a_route_with_graceful_shutdown_becomes_the_last_choice(
    topology: Topology, driver: type[Router]
) -> None:
    node = {"originate": (Originated(prefix=NODE_PREFIX, communities=("65535:0",)),)}
    async with pair(topology, driver, router={"honour_graceful_shutdown": True}, node=node) as (router, _):
        path = await only_path(router)

    assert path.communities == {"65535:0"}
    # GoBGP takes 0 for no preference at all.
    assert path.local_pref == (1 if driver.name == "gobgp" else 0)


async def test_the_capabilities_of_the_peer_are_told(topology: Topology, driver: type[Router]) -> None:
    ours = {"extended_messages": True, "add_path_tx": True, "role": Role.CUSTOMER}
    async with pair(topology, driver, ours=ours) as (router, _):
        await router.wait_routes(NODE_HOPS)
        (session,) = (await router.sessions()).values()

    found = session.capabilities
    assert found is not None
    expected = {
        "multiprotocol:ipv4",
        "multiprotocol:ipv6",
        "four-octet-as",
        "graceful-restart",
        "add-path-send",
    }
    assert found >= {*expected, "route-refresh", "enhanced-route-refresh", "role:customer"}
    assert "add-path-receive" not in found
    assert driver.name == "openbgpd" or "extended-messages" in found


@with_feature("roles")
async def test_roles_that_do_not_fit_make_no_session(topology: Topology, driver: type[Router]) -> None:
    """RFC 9234 section 4.2."""
    options = {"role": Role.PROVIDER}
    async with pair(topology, driver, theirs=options, ours=options) as (_, node):
        await error(node, "Role mismatch")


@with_feature("roles")
async def test_a_strict_router_refuses_a_peer_without_a_role(
    topology: Topology, driver: type[Router]
) -> None:
    options = {"role": Role.PROVIDER, "role_strict": True}
    async with pair(topology, driver, theirs=options) as (_, node):
        await error(node, "Received: Role mismatch")


async def error(router: Router, words: str) -> None:
    """The router has told of these words as the reason why it has no session."""
    await router.wait_sessions(
        lambda found: any(words in (info.last_error or "") for info in found.values()), what=words
    )


@with_feature("link-local")
async def test_sessions_over_link_local_addresses(topology: Topology, driver: type[Router]) -> None:
    """The peers are told with their scope, whatever the daemon makes of it."""
    addresses = (topology.link_local("node1"), topology.router_link_local("node1"))
    async with pair(topology, driver, addresses=addresses) as (router, node):
        await router.wait_established(str(addresses[0]))
        await node.wait_established(str(addresses[1]))

        assert (await only_path(router)).peer == addresses[0]


@against("bird")
async def test_a_range_of_link_local_addresses(topology: Topology, driver: type[Router]) -> None:
    addresses = (topology.link_local("node1"), topology.router_link_local("node1"))
    theirs = Neighbor(where=ip_network("fe80::/10"), asn=NODE_ASN, interface="node1")
    ours = Neighbor(where=addresses[1], asn=ROUTER_ASN)
    async with (
        driver(
            RouterConfig(asn=ROUTER_ASN, router_id="192.168.50.1", neighbors=(theirs,)),
            topology["tor1"].namespace,
        ) as router,
        Bird(
            RouterConfig(asn=NODE_ASN, router_id="172.30.1.2", neighbors=(ours,)), topology["node1"].namespace
        ),
    ):
        await router.wait_established(str(addresses[0]))


@pytest.mark.parametrize("family", list(Family))
@with_feature("md5-range")
async def test_a_range_has_a_password(topology: Topology, driver: type[Router], family: Family) -> None:
    """The kernel counts what is signed with another one; with the right one there is a session."""
    where = neighbor("172.30.0.0/16" if family is Family.IPV4 else "fd00:30::/32", NODE_ASN, password="right")
    config = RouterConfig(asn=ROUTER_ASN, router_id="192.168.50.1", neighbors=(where,))
    tor, router_address = topology["tor1"].namespace, topology.router_address("node1", family=family)
    dialler = Neighbor(where=router_address, asn=ROUTER_ASN, password="wrong")
    node_config = RouterConfig(asn=NODE_ASN, router_id="172.30.1.2", neighbors=(dialler,))
    async with driver(config, tor) as router, Bird(node_config, topology["node1"].namespace) as node:

        def refused() -> int:
            return counter(tor.call(lambda: read("/proc/thread-self/net/netstat")), "TCPMD5Failure")

        await eventually(refused, what="a segment with a wrong signature")
        assert not any(info.established for info in (await router.sessions()).values())

        await node.set_password(router_address, "right")
        await router.wait_established(str(topology.address("node1", family=family)))


def read(path: str) -> str:
    """The text of a pseudo file."""
    with open(path, encoding="ascii") as file:  # noqa: PTH123 - a pseudo file
        return file.read()


def counter(text: str, name: str) -> int:
    """A number of netstat: its name stands in one line, and itself at the same place in the next."""
    lines = [line.split() for line in text.splitlines()]
    return next(
        int(values[names.index(name)])
        for names, values in zip(lines[::2], lines[1::2], strict=True)
        if name in names
    )


@with_feature("add-path-from-router")
async def test_a_router_sends_both_paths_to_a_prefix(topology: Topology, driver: type[Router]) -> None:
    """RFC 7911: node2 and client1 announce it to the router, which tells node1 of both."""
    asns = {"node1": 65001, "node2": 65002, "client1": 65003}
    neighbors = [
        Neighbor(where=topology.address(host), asn=asn, passive=True, add_path_tx=host == "node1")
        for host, asn in asns.items()
    ]
    config = RouterConfig(asn=ROUTER_ASN, router_id="192.168.50.1", neighbors=tuple(neighbors))

    def host_config(host: str) -> RouterConfig:
        listener = host == "node1"
        router = Neighbor(where=topology.router_address(host), asn=ROUTER_ASN, add_path_rx=listener)
        originate = () if listener else (NODE_PREFIX,)
        address = str(topology.address(host))
        return RouterConfig(asn=asns[host], router_id=address, neighbors=(router,), originate=originate)

    def both(origins: set[int]) -> bool:
        return origins == {65002, 65003}

    async with (
        driver(config, topology["tor1"].namespace),
        Bird(host_config("node1"), topology["node1"].namespace) as node,
        Bird(host_config("node2"), topology["node2"].namespace),
        Bird(host_config("client1"), topology["client1"].namespace),
    ):

        async def origins() -> set[int]:
            return {path.as_path[-1] for path in (await node.routes()).get(NODE_PREFIX, ())}

        await eventually(origins, both, what="a path through each of the two")

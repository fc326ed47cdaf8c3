"""How next hops are resolved over a table of routes; as the kernel would, less its routes of ours."""

from ipaddress import ip_address, ip_network

import pytest

from speaker.kernel.resolution import DEFAULT, LOCAL, MAIN, Link, RoutingTable
from speaker.kernel.routes import BLACKHOLE, DEAD, LINK_DOWN, ONLINK, THROW, KernelHop, KernelRoute
from speaker.model.fib import UNREACHABLE, Hop, Resolution

LINKS = {1: Link("lo", True), 2: Link("eth0", True), 3: Link("eth1", True), 4: Link("eth2", False)}
LOCAL_TYPE = 2


def way(interface: int, gateway: str | None = None, flags: int = 0) -> KernelHop:
    to = None if gateway is None else ip_address(gateway)
    return KernelHop(Hop(interface, to, bool(flags & ONLINK)), flags)


def route(
    text: str, *ways: KernelHop, table: int = MAIN, metric: int = 0, kind: int = 1, tos: int = 0
) -> KernelRoute:
    return KernelRoute(
        prefix=ip_network(text), table=table, metric=metric, protocol=4, kind=kind, tos=tos, hops=ways
    )


def resolve(next_hop: str, *routes: KernelRoute) -> Resolution:
    table = RoutingTable(LINKS)
    for each in routes:
        table.add(each)
    return table.resolve(ip_address(next_hop))


CONNECTED = route("10.0.0.0/24", way(2))
CONNECTED6 = route("fd00::/64", way(2))
LINK_LOCAL = (route("fe80::/64", way(2)), route("fe80::/64", way(3)))


def test_a_neighbour_is_its_own_gateway() -> None:
    found = resolve("10.0.0.2", CONNECTED)
    assert found == Resolution(hops=(Hop(2, ip_address("10.0.0.2")),), on_link=True)


def test_a_next_hop_behind_a_router_is_sent_to_the_router() -> None:
    found = resolve("192.168.9.1", CONNECTED, route("192.168.0.0/16", way(2, "10.0.0.254")))
    assert found == Resolution(hops=(Hop(2, ip_address("10.0.0.254")),))


def test_behind_several_routers_all_of_them_count() -> None:
    found = resolve("192.168.9.1", route("192.168.0.0/16", way(2, "10.0.0.254"), way(3, "10.0.1.254")))
    assert [hop.interface for hop in found.hops] == [2, 3]


def test_a_gateway_that_no_route_makes_a_neighbour_is_marked() -> None:
    found = resolve("192.168.9.1", route("192.168.0.0/16", way(2, "169.254.1.1", ONLINK)))
    assert found.hops == (Hop(2, ip_address("169.254.1.1"), onlink=True),)


def test_an_ipv4_next_hop_behind_an_ipv6_router() -> None:
    found = resolve("192.168.9.1", route("192.168.0.0/16", way(2, "fe80::1")))
    assert found.hops == (Hop(2, ip_address("fe80::1")),)


def test_the_longest_prefix_decides() -> None:
    found = resolve(
        "10.0.0.2", route("0.0.0.0/0", way(3, "10.0.1.1")), CONNECTED, route("10.0.0.2/32", way(3))
    )
    assert found.hops == (Hop(3, ip_address("10.0.0.2")),)


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_of_one_prefix_the_lower_metric_decides(order: tuple[int, int]) -> None:
    found = resolve("10.0.0.2", *(route("10.0.0.0/24", way(1 + metric), metric=metric) for metric in order))
    assert found.hops == (Hop(2, ip_address("10.0.0.2")),)


def test_by_the_default_route_alone_is_told() -> None:
    found = resolve("192.168.9.1", CONNECTED, route("0.0.0.0/0", way(2, "10.0.0.254")))
    assert (found.is_reachable, found.by_default, found.on_link) == (True, True, False)


def test_without_a_route_it_is_unreachable() -> None:
    assert resolve("192.168.9.1", CONNECTED, CONNECTED6) == UNREACHABLE


@pytest.mark.parametrize("kind", [BLACKHOLE, 7, 8])
def test_a_route_that_refuses_ends_the_search(kind: int) -> None:
    refusing = route("192.168.9.0/24", kind=kind)
    assert resolve("192.168.9.1", refusing, route("0.0.0.0/0", way(2, "10.0.0.254"))) == UNREACHABLE


def test_a_throw_sends_the_search_on_to_the_next_table() -> None:
    found = resolve(
        "192.168.9.1",
        route("192.168.9.0/24", kind=THROW),
        route("0.0.0.0/0", way(3, "10.0.1.1")),
        route("0.0.0.0/0", way(2, "10.0.0.254"), table=DEFAULT),
    )
    assert found.hops[0].interface == 2


def test_an_address_of_this_host_is_no_next_hop() -> None:
    local = route("10.0.0.1/32", way(2), table=LOCAL, kind=LOCAL_TYPE)
    assert resolve("10.0.0.1", CONNECTED, local) == UNREACHABLE


def test_routes_for_a_type_of_service_do_not_count() -> None:
    assert resolve("10.0.0.2", route("10.0.0.0/24", way(2), tos=16)) == UNREACHABLE


@pytest.mark.parametrize(
    "down",
    [
        pytest.param(way(4), id="link"),
        pytest.param(way(2, flags=LINK_DOWN), id="carrier"),
        pytest.param(way(9), id="no-such-link"),
    ],
)
def test_a_neighbour_on_a_link_that_is_down_is_not_looked_for_elsewhere(down: KernelHop) -> None:
    default = route("0.0.0.0/0", way(3, "10.0.1.1"))
    assert resolve("10.0.0.2", route("10.0.0.0/24", down), default) == UNREACHABLE


def test_the_next_metric_counts_when_the_first_link_is_down() -> None:
    found = resolve("10.0.0.2", route("10.0.0.0/24", way(4)), route("10.0.0.0/24", way(3), metric=5))
    assert found.hops == (Hop(3, ip_address("10.0.0.2")),)


def test_a_dead_way_is_none() -> None:
    found = resolve(
        "192.168.9.1",
        route("192.168.9.0/24", way(2, "10.0.0.254", DEAD)),
        route("192.168.0.0/16", way(2, "10.0.0.254", DEAD), way(3, "10.0.1.254")),
    )
    assert found.hops == (Hop(3, ip_address("10.0.1.254")),)


@pytest.mark.parametrize("scope", ["eth1", "3"])
def test_a_link_local_next_hop_is_on_the_link_of_its_scope(scope: str) -> None:
    found = resolve(f"fe80::9%{scope}", *LINK_LOCAL)
    assert found == Resolution(hops=(Hop(3, ip_address("fe80::9")),), on_link=True)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("fe80::9", id="no-scope"),
        pytest.param("fe80::9%eth9", id="no-such-link"),
        pytest.param("fe80::9%99", id="no-such-index"),
        pytest.param("fe80::9%eth2", id="link-down"),
        pytest.param("fe80::9%lo", id="no-link-local-addresses-there"),
    ],
)
def test_a_link_local_next_hop_that_is_nowhere(text: str) -> None:
    assert resolve(text, *LINK_LOCAL, route("fe80::/64", way(4))) == UNREACHABLE


def test_our_own_link_local_address_is_no_next_hop_on_its_link_only() -> None:
    ours = route("fe80::9/128", way(2), table=LOCAL, kind=LOCAL_TYPE)
    assert resolve("fe80::9%eth0", *LINK_LOCAL, ours) == UNREACHABLE
    assert resolve("fe80::9%eth1", *LINK_LOCAL, ours).is_reachable

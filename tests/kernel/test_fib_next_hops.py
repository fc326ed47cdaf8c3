"""Next hops resolved in a real kernel, and followed."""

import socket
from ipaddress import IPv4Address, ip_address

import pytest

from speaker.model.fib import UNREACHABLE, Hop
from tests.kernel.fibs import gateways, running
from tests.lab.net.namespace import Namespace

pytestmark = pytest.mark.netns


def index_of(namespace: Namespace, name: str) -> int:
    return namespace.call(lambda: socket.if_nametoindex(name))


async def test_every_tracked_next_hop_is_told_once(namespace: Namespace) -> None:
    names = ("10.0.0.2", "192.0.2.1", "fd00::2", "fe80::2%up0", "10.0.0.1")
    async with running(namespace) as run:
        run.fib.track([ip_address(text) for text in names])
        await run.until(lambda: len(run.fib.resolutions) == len(names))
        link = index_of(namespace, "up0")
        assert {str(at): found.hops for at, found in run.fib.resolutions.items()} == {
            "10.0.0.2": (Hop(link, ip_address("10.0.0.2")),),
            "192.0.2.1": (),
            "fd00::2": (Hop(link, ip_address("fd00::2")),),
            "fe80::2%up0": (Hop(link, ip_address("fe80::2")),),
            "10.0.0.1": (),
        }
        assert sum(len(changes) for changes in run.told) == len(names)


async def test_only_changes_are_told(namespace: Namespace) -> None:
    async with running(namespace) as run:
        run.fib.track([ip_address("10.0.0.2"), ip_address("192.0.2.1")])
        await run.until(lambda: len(run.fib.resolutions) == 2)
        run.told.clear()
        await run.ip("route add 192.0.2.0/24 via 10.0.0.254")
        await run.until(lambda: bool(run.told))
    assert [list(changes) for changes in run.told] == [[ip_address("192.0.2.1")]]


async def test_a_next_hop_that_is_tracked_no_longer_is_forgotten(namespace: Namespace) -> None:
    async with running(namespace) as run:
        run.fib.track([ip_address("10.0.0.2"), ip_address("10.0.0.3")])
        await run.until(lambda: len(run.fib.resolutions) == 2)
        run.fib.track([ip_address("10.0.0.3")])
        assert list(run.fib.resolutions) == [ip_address("10.0.0.3")]
        run.told.clear()
        run.fib.track([ip_address("10.0.0.2"), ip_address("10.0.0.3")])
        await run.until(lambda: bool(run.told))
        assert [list(changes) for changes in run.told] == [[ip_address("10.0.0.2")]]


async def test_a_next_hop_never_resolves_over_a_route_of_ours(namespace: Namespace) -> None:
    """It would lead to itself, or keep a route alive whose origin is gone."""
    async with running(namespace) as run:
        run.fib.track([ip_address("10.244.1.9")])
        run.route("10.244.1.0/24", "10.0.0.2")
        run.route("10.244.2.0/24", "10.244.1.9")
        await run.until_installed(1)
        await run.until(lambda: bool(run.status.refused))
        assert run.resolution("10.244.1.9") == UNREACHABLE
        await run.ip("route add 10.244.1.9 via 10.0.0.7")
        await run.until_installed(2)
        assert gateways((await run.ours())["10.244.2.0/24"]) == {"10.0.0.7"}


async def test_routes_follow_where_their_next_hops_lead(namespace: Namespace) -> None:
    namespace.ip("route add 192.168.9.0/24 via 10.0.0.254")
    async with running(namespace) as run:
        run.fib.release()
        run.route("10.244.1.0/24", "192.168.9.1")
        await run.until_ours(lambda ours: gateways(ours.get("10.244.1.0/24", {})) == {"10.0.0.254"})
        await run.ip("route replace 192.168.9.0/24 nexthop via 10.0.0.253 nexthop via 10.0.0.252")
        await run.until_ours(lambda ours: gateways(ours["10.244.1.0/24"]) == {"10.0.0.253", "10.0.0.252"})
        await run.ip("route del 192.168.9.0/24")
        await run.until_ours(lambda ours: ours == {})


async def test_a_gateway_that_is_a_neighbour_by_decree_is_taken_over(namespace: Namespace) -> None:
    """Clouds and CNIs have `default via 169.254.1.1 dev eth0 onlink`."""
    namespace.ip(
        "route add 192.168.9.0/24 via 169.254.1.1 dev up0 onlink",
        "route add fd99::/64 via fd77::1 dev up0 onlink",
    )
    async with running(namespace) as run:
        run.route("10.244.1.0/24", "192.168.9.1")
        run.route("10.244.2.0/24", "fd99::1")
        run.route("fd44:1::/64", "fd99::1")
        await run.until_installed(3)
        ours = await run.ours()
        # Read again they are as they should be.
        await run.ip("addr add 10.0.0.77/24 dev up0")
        run.fib.track([ip_address("10.0.0.77")])
        await run.until(lambda: run.resolution("10.0.0.77") == UNREACHABLE)
        assert run.status.installed == 3
    assert {text: gateways(row) for text, row in ours.items()} == {
        "10.244.1.0/24": {"169.254.1.1"},
        "10.244.2.0/24": {"fd77::1"},
        "fd44:1::/64": {"fd77::1"},
    }


@pytest.mark.parametrize(
    ("down", "up"),
    [
        pytest.param("link set up0 down", "link set up0 up", id="set-down"),
        pytest.param("link set far0 down", "link set far0 up", id="no-carrier"),
        pytest.param("addr del 10.0.0.1/24 dev up0", "addr add 10.0.0.1/24 dev up0", id="address"),
    ],
)
async def test_a_neighbour_comes_and_goes_with_its_link(namespace: Namespace, down: str, up: str) -> None:
    neighbour = ip_address("10.0.0.2")
    async with running(namespace) as run:

        def is_reachable() -> bool:
            found = run.fib.resolutions.get(neighbour)
            return found is not None and found.is_reachable

        run.fib.track([neighbour])
        await run.until(is_reachable)
        await run.ip(down)
        await run.until(lambda: not is_reachable())
        await run.ip(up)
        await run.until(is_reachable)


async def test_an_interface_that_is_made_later_and_goes_again(namespace: Namespace) -> None:
    late = ip_address("fe80::2%late0")
    async with running(namespace) as run:
        run.fib.track([late])
        await run.until(lambda: run.fib.resolutions.get(late) == UNREACHABLE)
        await run.ip(
            "link add late0 type veth peer name late1",
            "link set late0 up",
            "link set late1 up",
            "addr add fe80::aa/64 dev late0 nodad",
        )
        await run.until(lambda: run.fib.resolutions[late].is_reachable)
        await run.ip("link del late0")
        await run.until(lambda: run.fib.resolutions[late] == UNREACHABLE)


async def test_thousands_of_next_hops_are_told_in_portions(namespace: Namespace) -> None:
    numbers = range(int(IPv4Address("10.0.0.0")), int(IPv4Address("10.0.0.0")) + 2000)
    async with running(namespace) as run:
        run.fib.track([IPv4Address(number) for number in numbers])
        await run.until(lambda: len(run.fib.resolutions) == len(numbers))
    assert max(len(changes) for changes in run.told) <= 250
    assert sum(len(changes) for changes in run.told) == len(numbers)

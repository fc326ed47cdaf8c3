"""Learned routes in a real kernel, beside another program, which is ip(8)."""

import pytest

from tests.kernel.fibs import gateways, monitoring, prefix, running
from tests.lab.net.namespace import Namespace

pytestmark = pytest.mark.netns


async def test_a_route_of_each_family_is_installed(namespace: Namespace) -> None:
    async with running(namespace) as run:
        run.route("10.244.1.0/24", "10.0.0.2")
        run.route("fd44:1::/64", "fd00::2")
        await run.until_installed(2)
        ours = await run.ours()
    assert {name: gateways(row) for name, row in ours.items()} == {
        "10.244.1.0/24": {"10.0.0.2"},
        "fd44:1::/64": {"fd00::2"},
    }
    assert {row["metric"] for row in ours.values()} == {1024}


async def test_several_next_hops_are_ecmp(namespace: Namespace) -> None:
    async with running(namespace) as run:
        run.route("10.244.1.0/24", "10.0.0.2", "10.0.0.3")
        run.route("fd44:1::/64", "fd00::2", "fd00::3", "fd00::4")
        await run.until_installed(2)
        ours = await run.ours()
    assert gateways(ours["10.244.1.0/24"]) == {"10.0.0.2", "10.0.0.3"}
    assert gateways(ours["fd44:1::/64"]) == {"fd00::2", "fd00::3", "fd00::4"}


async def test_ipv4_over_ipv6_next_hops(namespace: Namespace) -> None:
    """RFC 8950: the neighbour is IPv6, global or link-local on its own link."""
    async with running(namespace) as run:
        run.route("10.244.1.0/24", "fd00::2")
        run.route("10.244.2.0/24", "fe80::2%up0")
        run.route("10.244.3.0/24", "fd00::2", "fe80::2%up0")
        await run.until_installed(3)
        ours = await run.ours()
    assert gateways(ours["10.244.1.0/24"]) == {"fd00::2"}
    assert gateways(ours["10.244.2.0/24"]) == {"fe80::2"}
    assert gateways(ours["10.244.3.0/24"]) == {"fd00::2", "fe80::2"}


async def test_an_ipv6_route_over_a_link_local_next_hop(namespace: Namespace) -> None:
    async with running(namespace) as run:
        run.route("fd44:1::/64", "fe80::2%up0")
        await run.until_installed(1)
        ours = await run.ours()
    assert (ours["fd44:1::/64"]["gateway"], ours["fd44:1::/64"]["dev"]) == ("fe80::2", "up0")


async def test_ipv6_is_never_sent_to_an_ipv4_neighbour(namespace: Namespace) -> None:
    async with running(namespace) as run:
        run.route("fd44:1::/64", "10.0.0.2")
        await run.until(lambda: bool(run.status.refused))
        assert run.status.refused == {prefix("fd44:1::/64"): "no next hop can be reached"}
        assert await run.ours() == {}


async def test_table_metric_and_protocol_are_chosen(namespace: Namespace) -> None:
    async with running(namespace, table=1000, metric=77, protocol=99) as run:
        run.route("10.244.1.0/24", "10.0.0.2")
        run.route("fd44:1::/64", "fd00::2")
        await run.until_installed(2)
        for family in ("-4", "-6"):
            (row,) = namespace.ip_json(family, "route", "show", "table", "1000", "proto", "99")
            assert row["metric"] == 77
        assert await run.ours() == {}


async def test_a_metric_of_zero_is_what_ipv6_makes_of_it(namespace: Namespace) -> None:
    async with running(namespace, metric=0) as run:
        run.route("10.244.1.0/24", "10.0.0.2")
        run.route("fd44:1::/64", "fd00::2")
        await run.until_installed(2)
        ours = await run.ours()
    assert "metric" not in ours["10.244.1.0/24"]
    assert ours["fd44:1::/64"]["metric"] == 1024


async def test_a_blackhole_lies_below_the_cnis_route(namespace: Namespace) -> None:
    namespace.ip("route add 10.244.7.0/24 dev up0 proto kernel scope link")
    async with running(namespace) as run:
        run.fib.set_blackholes([prefix("10.244.7.0/24"), prefix("fd44:7::/64")])
        await run.until_installed(2)
        rows = await run.ours("type", "blackhole")
        assert rows.keys() == {"10.244.7.0/24", "fd44:7::/64"}
        assert "dev up0" in namespace.run("ip", "route", "get", "10.244.7.9")
        run.fib.set_blackholes([])
        run.fib.release()
        await run.until_ours(lambda ours: ours == {})
    assert len(namespace.ip_json("route", "show", "10.244.7.0/24")) == 1


async def test_a_blackhole_wins_over_a_learned_route(namespace: Namespace) -> None:
    async with running(namespace) as run:
        run.fib.set_blackholes([prefix("fd44:7::/64")])
        run.route("fd44:7::/64", "fd00::2")
        await run.until_installed(1)
        assert (await run.ours())["fd44:7::/64"]["type"] == "blackhole"
        run.fib.set_blackholes([])
        await run.until_ours(lambda ours: "gateway" in ours["fd44:7::/64"])


@pytest.mark.parametrize(
    ("text", "one", "two"),
    [
        pytest.param("10.244.1.0/24", ("10.0.0.2",), ("10.0.0.3",), id="v4"),
        pytest.param("10.244.1.0/24", ("10.0.0.2",), ("10.0.0.3", "10.0.0.4"), id="v4-more"),
        pytest.param("10.244.1.0/24", ("10.0.0.2", "10.0.0.3"), ("fd00::2",), id="v4-to-v6"),
        pytest.param("fd44:1::/64", ("fd00::2",), ("fd00::3",), id="v6"),
        pytest.param("fd44:1::/64", ("fd00::2",), ("fd00::3", "fd00::4"), id="v6-more"),
        pytest.param("fd44:1::/64", ("fd00::2", "fd00::3", "fd00::4"), ("fd00::3",), id="v6-fewer"),
        pytest.param("fd44:1::/64", ("fd00::2", "fd00::3"), ("fd00::4", "fd00::5"), id="v6-others"),
    ],
)
async def test_a_change_of_next_hops_replaces(
    namespace: Namespace, text: str, one: tuple[str, ...], two: tuple[str, ...]
) -> None:
    """At no time is the prefix without a route: the first that the kernel tells of is the new one."""
    async with running(namespace) as run:
        run.route(text, *one)
        await run.until_installed(1)
        async with monitoring(namespace) as monitor:
            run.route(text, *two)
            await run.until_ours(lambda ours: gateways(ours[text]) == set(two))
            lines = await monitor.lines()
    assert lines[0].startswith(text)


async def test_a_withdrawn_route_goes_once_all_is_known(namespace: Namespace) -> None:
    async with running(namespace) as run:
        run.route("10.244.1.0/24", "10.0.0.2")
        run.route("10.244.2.0/24", "10.0.0.2")
        await run.until_installed(2)
        run.fib.release()
        run.route("10.244.1.0/24")
        await run.until_ours(lambda ours: ours.keys() == {"10.244.2.0/24"})


async def test_a_route_without_a_reachable_next_hop_goes(namespace: Namespace) -> None:
    async with running(namespace) as run:
        run.fib.release()
        run.route("10.244.1.0/24", "10.0.0.2")
        await run.until_installed(1)
        run.route("10.244.1.0/24", "192.0.2.1")
        await run.until_ours(lambda ours: ours == {})
        assert run.status.refused == {prefix("10.244.1.0/24"): "no next hop can be reached"}
        assert (run.status.wanted, run.status.installed) == (1, 0)

"""What is ours and what is not: restarts, conflicts, repairs, in a real kernel."""

import asyncio
import ctypes
import errno
import os
import socket
from typing import Any

import pytest

from speaker.errors import HostError
from speaker.kernel import Fib
from tests.kernel.fibs import gateways, monitoring, netlink_in, prefix, running
from tests.kernel.overrun import Overrun
from tests.lab.net.namespace import Namespace

pytestmark = pytest.mark.netns

ROUTES = {
    "10.244.1.0/24": ("10.0.0.2",),
    "10.244.2.0/24": ("10.0.0.2", "10.0.0.3"),
    "10.244.3.0/24": ("fd00::2",),
    "fd44:1::/64": ("fd00::2",),
    "fd44:2::/64": ("fd00::2", "fd00::3"),
}


async def test_routes_stay_when_the_speaker_ends(namespace: Namespace) -> None:
    async with running(namespace) as run:
        run.route("10.244.1.0/24", "10.0.0.2")
        await run.until_installed(1)
    assert len(namespace.ip_json("route", "show", "proto", "203")) == 1


async def test_a_restart_touches_no_route_that_is_as_it_should_be(namespace: Namespace) -> None:
    """Reconciled, not flushed: the kernel tells of not one change."""
    async with running(namespace) as run:
        for text, next_hops in ROUTES.items():
            run.route(text, *next_hops)
        run.fib.set_blackholes([prefix("10.244.9.0/24"), prefix("fd44:9::/64")])
        await run.until_installed(7)
    async with monitoring(namespace) as monitor, running(namespace) as run:
        run.fib.set_blackholes([prefix("10.244.9.0/24"), prefix("fd44:9::/64")])
        for text, next_hops in ROUTES.items():
            run.route(text, *next_hops)
        await run.until_installed(7)
        run.fib.release()
        await run.ip("route add 172.16.0.0/24 dev up0")
        lines = await monitor.lines()
    assert [line.split()[0] for line in lines] == ["172.16.0.0/24"]


async def test_before_the_release_routes_of_an_earlier_run_stay(namespace: Namespace) -> None:
    """While peers restart gracefully nothing is known of what they will send."""
    namespace.ip(
        "route add 10.244.1.0/24 via 10.0.0.2 proto 203 metric 1024",
        "route add 10.244.2.0/24 via 10.0.0.2 proto 203 metric 1024",
        "route add 10.244.3.0/24 via 10.0.0.2 proto 203 metric 7",
    )
    async with running(namespace) as run:
        run.route("10.244.1.0/24", "10.0.0.3")
        await run.until_ours(lambda ours: gateways(ours["10.244.1.0/24"]) == {"10.0.0.3"})
        assert len(await run.ours()) == 3
        run.fib.release()
        await run.until_ours(lambda ours: ours.keys() == {"10.244.1.0/24"})


async def test_what_is_wanted_no_longer_before_the_release_stays_until_then(namespace: Namespace) -> None:
    namespace.ip("route add 10.244.1.0/24 via 10.0.0.2 proto 203 metric 1024")
    async with running(namespace) as run:
        run.route("10.244.1.0/24")
        run.route("10.244.2.0/24", "10.0.0.2")
        await run.until_installed(1)
        assert len(await run.ours()) == 2
        run.fib.release()
        await run.until_ours(lambda ours: ours.keys() == {"10.244.2.0/24"})


async def test_the_end_takes_all_of_ours_and_nothing_else(namespace: Namespace) -> None:
    namespace.ip(
        "route add 10.250.0.0/16 via 10.0.0.9",
        "route add 10.244.9.0/24 via 10.0.0.9 proto 203 metric 5",
        "route add 10.251.0.0/16 via 10.0.0.9 proto 203 table 77",
    )
    async with running(namespace) as run:
        for text, next_hops in ROUTES.items():
            run.route(text, *next_hops)
        await run.until_installed(len(ROUTES))
        await run.fib.flush()
        assert await run.ours() == {}
        assert run.status.wanted == 0
    assert len(namespace.ip_json("route", "show", "10.250.0.0/16")) == 1
    assert len(namespace.ip_json("route", "show", "table", "77")) == 1


async def test_the_end_needs_no_running_speaker(namespace: Namespace) -> None:
    namespace.ip("route add 10.244.1.0/24 via 10.0.0.2 proto 203 metric 1024")
    fib = Fib(on_resolved=lambda _: None, on_problem=lambda _: None, socket_factory=netlink_in(namespace))
    await fib.flush()
    assert namespace.ip_json("route", "show", "proto", "203") == []


@pytest.mark.parametrize(
    ("text", "ours", "theirs"),
    [
        pytest.param("10.244.1.0/24", "10.0.0.2", "10.0.0.9", id="v4"),
        pytest.param("fd44:1::/64", "fd00::2", "fd00::9", id="v6"),
    ],
)
async def test_another_programs_route_is_left_alone_until_it_goes(
    namespace: Namespace, text: str, ours: str, theirs: str
) -> None:
    namespace.ip(f"route add {text} via {theirs} proto bird metric 1024")
    async with running(namespace) as run:
        run.fib.release()
        run.route(text, ours)
        await run.until(lambda: bool(run.status.conflicts))
        assert run.status.conflicts == {prefix(text): "proto bird"}
        assert run.status.installed == 0
        assert await run.ours() == {}
        assert run.problems == [
            f"proto bird has a route to {text} with our table and metric; ours waits for its end"
        ]
        await run.ip(f"route del {text} proto bird")
        await run.until_installed(1)
        assert (await run.ours()).keys() == {text}
        assert (run.status.conflicts, run.status.problems) == ({}, ())


@pytest.mark.parametrize("protocol", ["bird", "kernel", "static"])
async def test_a_withdrawal_leaves_the_other_programs_route(namespace: Namespace, protocol: str) -> None:
    namespace.ip(f"route add 10.244.1.0/24 via 10.0.0.9 proto {protocol} metric 1024")
    async with running(namespace) as run:
        run.fib.release()
        run.route("10.244.1.0/24", "10.0.0.2")
        await run.until(lambda: bool(run.status.conflicts))
        run.route("10.244.1.0/24")
        await run.until(lambda: not run.status.conflicts)
    (row,) = namespace.ip_json("route", "show", "10.244.1.0/24")
    assert (row["gateway"], row["protocol"]) == ("10.0.0.9", protocol)


async def test_a_route_of_another_metric_is_no_conflict(namespace: Namespace) -> None:
    namespace.ip("route add 10.244.1.0/24 via 10.0.0.9 proto bird metric 32")
    async with running(namespace) as run:
        run.route("10.244.1.0/24", "10.0.0.2")
        await run.until_installed(1)
        assert run.status.conflicts == {}
    assert len(namespace.ip_json("route", "show", "10.244.1.0/24")) == 2


async def test_a_route_that_another_program_replaces_is_lost_to_it(namespace: Namespace) -> None:
    async with running(namespace) as run:
        run.route("10.244.1.0/24", "10.0.0.2")
        await run.until_installed(1)
        await run.ip("route replace 10.244.1.0/24 via 10.0.0.9 proto static metric 1024")
        await run.until(lambda: bool(run.status.conflicts))
        run.route("10.244.1.0/24", "10.0.0.3")
        await run.until(lambda: not run.fib._intent.has_changed)
        (row,) = await asyncio.to_thread(namespace.ip_json, "route", "show", "10.244.1.0/24")
    assert (row["gateway"], row["protocol"]) == ("10.0.0.9", "static")


async def test_a_route_appended_beside_ours_is_neither_replaced_nor_removed(namespace: Namespace) -> None:
    """IPv4 allows two routes with one prefix and metric; a replacement would hit the first of them."""
    async with running(namespace) as run:
        run.fib.release()
        run.route("10.244.1.0/24", "10.0.0.2")
        await run.until_installed(1)
        await run.ip("route prepend 10.244.1.0/24 via 10.0.0.9 proto static metric 1024")
        run.route("10.244.1.0/24", "10.0.0.3")
        await run.until(lambda: bool(run.status.conflicts))
        await run.until_ours(lambda ours: ours == {})
    (row,) = namespace.ip_json("route", "show", "10.244.1.0/24")
    assert row["gateway"] == "10.0.0.9"


async def test_a_second_route_with_our_number_goes(namespace: Namespace) -> None:
    async with running(namespace) as run:
        run.route("10.244.1.0/24", "10.0.0.2")
        await run.until_installed(1)
        await run.ip("route append 10.244.1.0/24 via 10.0.0.9 proto 203 metric 1024")
        await run.until_ours(lambda ours: gateways(ours["10.244.1.0/24"]) == {"10.0.0.9"})
        await run.until_ours(lambda ours: gateways(ours["10.244.1.0/24"]) == {"10.0.0.2"})
        await run.until_installed(1)
    assert len(namespace.ip_json("route", "show", "10.244.1.0/24")) == 1


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("route del {} proto 203", id="deleted"),
        pytest.param("route replace {} via {} proto 203 metric 1024", id="another-next-hop"),
        pytest.param("route replace {} via {} proto 203 metric 1024 mtu 1300", id="a-metric-of-theirs"),
        pytest.param("route replace blackhole {} proto 203 metric 1024", id="a-blackhole"),
    ],
)
@pytest.mark.parametrize(
    ("text", "ours", "theirs"),
    [
        pytest.param("10.244.1.0/24", "10.0.0.2", "10.0.0.9", id="v4"),
        pytest.param("fd44:1::/64", "fd00::2", "fd00::9", id="v6"),
    ],
)
async def test_a_route_that_somebody_changes_is_repaired(
    namespace: Namespace, line: str, text: str, ours: str, theirs: str
) -> None:
    async with running(namespace) as run, monitoring(namespace) as monitor:
        run.route(text, ours)
        await run.until_installed(1)
        await monitor.lines()
        await run.ip(line.format(text, theirs))
        await run.until_ours(
            lambda found: text in found and gateways(found[text]) == {ours} and "metrics" not in found[text]
        )
        await run.until_installed(1)
        assert len([each for each in await monitor.lines() if text in each]) >= 2


async def test_a_flush_of_all_is_repaired(namespace: Namespace) -> None:
    async with running(namespace) as run:
        wanted = {prefix(f"10.244.{number}.0/24"): (prefix("10.0.0.2/32")[0],) for number in range(200)}
        run.fib.set_routes(wanted)
        await run.until_installed(200)
        await asyncio.to_thread(namespace.run, "ip", "route", "flush", "proto", "203")
        await run.until_ours(lambda ours: len(ours) == 200)


async def test_routes_come_back_with_their_link(namespace: Namespace) -> None:
    """The kernel drops IPv4 routes with their link and says nothing of it."""
    async with running(namespace) as run:
        run.fib.release()
        for text, next_hops in ROUTES.items():
            run.route(text, *next_hops)
        await run.until_installed(len(ROUTES))
        await run.ip("link set up0 down")
        await run.until(lambda: run.status.installed == 0)
        await run.until_ours(lambda ours: ours == {})
        # Down, the link lost its IPv6 addresses, as links of a host do.
        await run.ip("link set up0 up", "addr replace fd00::1/64 dev up0 nodad")
        await run.until_installed(len(ROUTES))
        assert {text: gateways(row) for text, row in (await run.ours()).items()} == {
            text: set(next_hops) for text, next_hops in ROUTES.items()
        }


async def test_one_leg_of_ecmp_that_dies_is_taken_out(namespace: Namespace) -> None:
    namespace.ip(
        "link add up1 type veth peer name far1",
        "link set up1 up",
        "link set far1 up",
        "addr add 10.0.1.1/24 dev up1",
    )
    async with running(namespace) as run:
        run.route("10.244.1.0/24", "10.0.0.2", "10.0.1.2")
        await run.until_installed(1)
        await run.ip("link set far1 down")
        await run.until_ours(lambda ours: gateways(ours["10.244.1.0/24"]) == {"10.0.0.2"})
        await run.ip("link set far1 up")
        await run.until_ours(lambda ours: gateways(ours["10.244.1.0/24"]) == {"10.0.0.2", "10.0.1.2"})


async def test_an_overrun_loses_nothing(namespace: Namespace) -> None:
    def small() -> socket.socket:
        with netlink_in(namespace)() as made:
            return Overrun(fileno=os.dup(made.fileno()))

    async with running(namespace, small) as run:
        run.route("10.244.1.0/24", "10.0.0.2")
        await run.until_installed(1)
        # All of this happens while the event loop cannot read.
        burst = "".join(f"route add 172.16.{n >> 8}.{n & 255} dev up0\n" for n in range(1000))
        namespace.ip(burst + "route del 10.244.1.0/24")
        await run.until_ours(lambda ours: "10.244.1.0/24" in ours)
        assert Overrun.overruns


async def test_a_refused_route_is_told_and_tried_again(namespace: Namespace) -> None:
    """A route of scope global without a gateway leads to the next hop; the kernel takes no gateway by it."""
    namespace.ip("route add 10.9.0.0/24 dev up0 scope global")
    async with running(namespace) as run:
        run.route("10.244.1.0/24", "10.9.0.2")
        run.route("10.244.2.0/24", "10.0.0.2")
        await run.until(lambda: bool(run.problems))
        assert run.status.refused == {prefix("10.244.1.0/24"): "Nexthop has invalid gateway"}
        assert run.problems == ["the kernel refuses the route to 10.244.1.0/24: Nexthop has invalid gateway"]
        assert (await run.ours()).keys() == {"10.244.2.0/24"}
        await run.ip("route add 10.9.0.0/24 dev up0 scope link metric 1", "route del 10.9.0.0/24 metric 0")
        await run.until_installed(2)
        assert (run.status.refused, run.status.problems) == ({}, ())


class Unprivileged(socket.socket):
    """Sends so that what its opener may do counts, and not what the sender may do."""

    def sendto(self, data: Any, *_: Any) -> int:
        return self.send(data)


def without_capabilities(namespace: Namespace) -> socket.socket:
    """A routing socket of a thread that has laid down its capabilities."""

    def make() -> socket.socket:
        version_3 = 0x20080522
        assert ctypes.CDLL(None).capset((ctypes.c_uint32 * 2)(version_3, 0), (ctypes.c_uint32 * 6)()) == 0
        return Unprivileged(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)

    return namespace.call(make)


async def test_a_missing_capability_is_one_problem(namespace: Namespace) -> None:
    """Next hops are resolved nevertheless."""
    async with running(namespace, lambda: without_capabilities(namespace)) as run:
        run.fib.track([prefix("10.0.0.2/32")[0]])
        for text, next_hops in ROUTES.items():
            run.route(text, *next_hops)
        await run.until(lambda: bool(run.problems) and bool(run.fib.resolutions))
        await run.ip("addr add 10.0.0.77/24 dev up0")
        sentence = "the kernel does not let us change routes: the speaker needs the capability NET_ADMIN"
        assert run.problems == [sentence]
        assert run.status.problems == (sentence,)
        assert run.status.installed == 0


async def test_a_sandbox_without_netlink_is_one_sentence() -> None:
    def refused() -> socket.socket:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    fib = Fib(on_resolved=lambda _: None, on_problem=lambda _: None, socket_factory=refused)
    with pytest.raises(HostError, match=r"over netlink: Operation not permitted$"):
        await fib.run()

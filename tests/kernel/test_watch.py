"""The kernel's facts follow the host, in a real network namespace."""

import asyncio
import contextlib
import errno
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from ipaddress import IPv6Address, ip_address
from typing import Any

import pytest

from speaker.errors import HostError
from speaker.kernel import HostFacts, Kernel
from speaker.model.prefix import Address
from tests.kernel.overrun import Overrun
from tests.lab.net.namespace import Namespace

pytestmark = pytest.mark.netns

ROUTER = ip_address("192.168.9.1")
ROUTER6 = ip_address("2001:db8:9::1")
PEERS = {"tor": ROUTER, "tor6": ROUTER6}


def netlink_in(namespace: Namespace) -> Callable[[], socket.socket]:
    """Gives routing sockets of the namespace."""
    return lambda: namespace.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)


class Watch:
    """A running Kernel, and every set of facts that it gave."""

    def __init__(self, factory: Callable[[], socket.socket], peers: Mapping[str, Address] = PEERS) -> None:
        self.seen: list[HostFacts] = []
        self._changed = asyncio.Event()
        self.kernel = Kernel(on_change=self._take, socket_factory=factory)
        self.kernel.set_peers(peers)

    def _take(self, facts: HostFacts) -> None:
        self.seen.append(facts)
        self._changed.set()

    @property
    def facts(self) -> HostFacts:
        return self.seen[-1]

    async def until(self, holds: Callable[[HostFacts], bool]) -> HostFacts:
        async with asyncio.timeout(20):
            while not (self.seen and holds(self.facts)):
                self._changed.clear()
                await self._changed.wait()
        return self.facts


@contextlib.asynccontextmanager
async def watching(
    factory: Callable[[], socket.socket], peers: Mapping[str, Address] = PEERS
) -> AsyncIterator[Watch]:
    watch = Watch(factory, peers)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(watch.kernel.run())
        async with asyncio.timeout(20):
            await watch.kernel.wait_ready()
        yield watch
        running.cancel()


async def test_knows_the_addresses_of_every_link(namespace: Namespace) -> None:
    async with watching(netlink_in(namespace)) as watch:
        known = watch.facts.addresses
    assert {ip_address(text) for text in ("127.0.0.1", "::1", "10.0.0.1", "fd00::1")} <= known


async def test_facts_are_unknown_before_the_first_reading(namespace: Namespace) -> None:
    """Unknown is None, and never an empty set of addresses."""
    kernel = Kernel(on_change=lambda _: None, socket_factory=netlink_in(namespace))
    assert kernel.facts is None


async def test_an_address_that_comes_and_goes(namespace: Namespace) -> None:
    new = ip_address("10.0.0.77")
    async with watching(netlink_in(namespace)) as watch:
        namespace.ip("addr add 10.0.0.77/24 dev up0")
        await watch.until(lambda facts: new in facts.addresses)
        namespace.ip("addr del 10.0.0.77/24 dev up0")
        await watch.until(lambda facts: new not in facts.addresses)


async def test_an_ipv6_address_counts_once_duplicate_detection_has_passed(namespace: Namespace) -> None:
    namespace.ip("link add v0 type veth peer name v1", "link set v0 up", "link set v1 up")
    async with watching(netlink_in(namespace)) as watch:
        namespace.ip("addr add fd00:5::5/64 dev v0")
        assert ip_address("fd00:5::5") not in watch.facts.addresses
        await watch.until(lambda facts: ip_address("fd00:5::5") in facts.addresses)
    assert "fd00:5::5" not in namespace.run("ip", "-6", "addr", "show", "tentative")


async def test_the_source_toward_a_peer_is_the_routes(namespace: Namespace) -> None:
    namespace.ip("addr add 10.0.0.5/24 dev up0", "route add default via 10.0.0.254 src 10.0.0.5")
    namespace.ip("route add default via fd00::254")
    async with watching(netlink_in(namespace)) as watch:
        assert watch.facts.sources == {"tor": ip_address("10.0.0.5"), "tor6": ip_address("fd00::1")}


async def test_a_peer_without_a_route_has_no_source(namespace: Namespace) -> None:
    async with watching(netlink_in(namespace)) as watch:
        assert watch.facts.sources == {}


async def test_an_unreachable_route_gives_no_source(namespace: Namespace) -> None:
    namespace.ip("route add unreachable default", "route add blackhole 2001:db8::/32")
    async with watching(netlink_in(namespace)) as watch:
        assert watch.facts.sources == {}


async def test_the_source_follows_a_route_that_changes(namespace: Namespace) -> None:
    namespace.ip("addr add 10.0.0.5/24 dev up0", "route add default via 10.0.0.254")
    async with watching(netlink_in(namespace)) as watch:
        assert watch.facts.sources["tor"] == ip_address("10.0.0.1")
        namespace.ip("route replace default via 10.0.0.254 src 10.0.0.5")
        await watch.until(lambda facts: facts.sources.get("tor") == ip_address("10.0.0.5"))
        namespace.ip("route del default")
        await watch.until(lambda facts: "tor" not in facts.sources)


async def test_the_source_follows_a_policy_rule(namespace: Namespace) -> None:
    namespace.ip("addr add 10.0.0.5/24 dev up0", "route add default via 10.0.0.254")
    namespace.ip("route add default via 10.0.0.254 src 10.0.0.5 table 77")
    async with watching(netlink_in(namespace)) as watch:
        namespace.ip("rule add to 192.168.9.0/24 lookup 77")
        await watch.until(lambda facts: facts.sources["tor"] == ip_address("10.0.0.5"))


async def test_a_link_that_goes_down_takes_its_source_along(namespace: Namespace) -> None:
    """The kernel sends no RTM_DELROUTE for the IPv4 routes of a link that is set down."""
    namespace.ip("route add default via 10.0.0.254")
    async with watching(netlink_in(namespace)) as watch:
        assert "tor" in watch.facts.sources
        namespace.ip("link set up0 down")
        await watch.until(lambda facts: "tor" not in facts.sources)


async def test_new_peers_are_looked_up_at_once(namespace: Namespace) -> None:
    async with watching(netlink_in(namespace), {}) as watch:
        watch.kernel.set_peers({"near": ip_address("10.0.0.9")})
        facts = await watch.until(lambda facts: bool(facts.sources))
    assert facts.sources == {"near": ip_address("10.0.0.1")}


async def test_a_link_local_peer_is_found_on_its_own_link(namespace: Namespace) -> None:
    namespace.ip(
        "addr add fe80::aa/64 dev up0 nodad",
        "link add other0 type veth peer name other1",
        "link set other0 up",
    )
    async with watching(netlink_in(namespace), {"near": ip_address("fe80::1%up0")}) as watch:
        facts = await watch.until(lambda facts: bool(facts.sources))
    near = facts.sources["near"]
    assert isinstance(near, IPv6Address)
    assert (near.scope_id, near.is_link_local) == ("up0", True)


async def test_a_scope_that_is_no_link_gives_no_source(namespace: Namespace) -> None:
    async with watching(netlink_in(namespace), {"near": ip_address("fe80::1%nowhere")}) as watch:
        assert watch.facts.sources == {}


async def test_events_that_change_nothing_say_nothing(namespace: Namespace) -> None:
    async with watching(netlink_in(namespace)) as watch:
        namespace.ip("route add 172.16.0.0/24 via 10.0.0.254", "route del 172.16.0.0/24")
        namespace.ip("addr add 10.0.0.78/24 dev up0")
        await watch.until(lambda facts: ip_address("10.0.0.78") in facts.addresses)
    assert len(watch.seen) == 2


async def test_a_burst_of_route_events_costs_a_few_readings(namespace: Namespace) -> None:
    """Ten thousand events are one reason to read, and not ten thousand."""
    opened = 0

    def counting() -> socket.socket:
        nonlocal opened
        opened += 1
        return netlink_in(namespace)()

    burst = "".join(
        f"route add 172.16.{number >> 8}.{number & 255}/32 via 10.0.0.254\n" for number in range(10_000)
    )
    async with watching(counting) as watch:
        await asyncio.to_thread(namespace.ip, burst + "addr add 10.0.0.99/24 dev up0\n")
        await watch.until(lambda facts: ip_address("10.0.0.99") in facts.addresses)
    assert opened < 50


async def test_an_overrun_loses_nothing(namespace: Namespace) -> None:
    def small() -> socket.socket:
        with netlink_in(namespace)() as made:
            return Overrun(fileno=os.dup(made.fileno()))

    async with watching(small) as watch:
        # All of this happens while the event loop cannot read.
        namespace.ip("".join(f"addr add 10.1.{n >> 8}.{n & 255}/32 dev up0\n" for n in range(1000)))
        await watch.until(lambda facts: ip_address("10.1.3.231") in facts.addresses)
    assert Overrun.overruns
    assert len(watch.facts.addresses) > 1000


async def test_a_sandbox_without_netlink_is_one_sentence() -> None:
    def refused() -> socket.socket:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    kernel = Kernel(on_change=lambda _: None, socket_factory=refused)
    with pytest.raises(HostError, match=r"over netlink: Operation not permitted$"):
        await kernel.run()


async def test_what_was_known_stands_when_a_later_reading_fails(
    namespace: Namespace, caplog: pytest.LogCaptureFixture
) -> None:
    failing = False
    failed = asyncio.Event()

    def factory() -> socket.socket:
        if failing:
            failed.set()
            raise OSError(errno.EMFILE, "Too many open files")
        return netlink_in(namespace)()

    async with watching(factory) as watch:
        failing = True
        before = watch.facts
        with caplog.at_level(logging.WARNING):
            namespace.ip("addr add 10.0.0.99/24 dev up0")
            async with asyncio.timeout(5):
                await failed.wait()
        assert watch.kernel.facts is before
    assert "Too many open files" in vars(caplog.records[-1])["error"]


class Broken(socket.socket):
    """A socket whose events end."""

    def recv_into(self, *_: Any) -> int:
        raise OSError(errno.EIO, "Input/output error")


async def test_events_that_end_are_told(namespace: Namespace) -> None:
    """Facts that are no longer followed must not be taken for current ones."""

    def broken() -> socket.socket:
        with netlink_in(namespace)() as made:
            return Broken(fileno=os.dup(made.fileno()))

    kernel = Kernel(on_change=lambda _: namespace.ip("link set lo down"), socket_factory=broken)
    with pytest.raises(HostError, match=r"over netlink: Input/output error$"):
        async with asyncio.timeout(10):
            await kernel.run()

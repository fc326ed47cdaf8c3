"""A Fib that runs in a namespace of its own, and the kernel's routes as another program, ip(8), sees them."""

import asyncio
import contextlib
import socket
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping
from ipaddress import ip_address, ip_network
from typing import Any

from speaker.kernel import Fib, FibStatus, SocketFactory
from speaker.model.fib import Resolution
from speaker.model.prefix import Address, Prefix
from tests.lab.net.namespace import Namespace

GIVE_UP_SECONDS = 40
_MARKS = "192.0.2."


def netlink_in(namespace: Namespace) -> SocketFactory:
    """Gives routing sockets of the namespace."""
    return lambda: namespace.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)


def prefix(text: str) -> Prefix:
    return ip_network(text)


def hops(*texts: str) -> tuple[Address, ...]:
    return tuple(ip_address(text) for text in texts)


class Running:
    """A Fib and all that it has told."""

    def __init__(self, namespace: Namespace, factory: SocketFactory | None = None, **options: int) -> None:
        self.namespace = namespace
        self.told: list[Mapping[Address, Resolution]] = []
        self.problems: list[str] = []
        self.fib = Fib(
            on_resolved=self.told.append,
            on_problem=self.problems.append,
            socket_factory=factory or netlink_in(namespace),
            **options,
        )

    @property
    def status(self) -> FibStatus:
        return self.fib.status()

    def route(self, text: str, *next_hops: str) -> None:
        """Want a route; without next hops none."""
        self.fib.set_routes({prefix(text): hops(*next_hops) or None})

    def resolution(self, text: str) -> Resolution | None:
        return self.fib.resolutions.get(ip_address(text))

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until it holds, the loop turning meanwhile."""
        async with asyncio.timeout(GIVE_UP_SECONDS):
            while not holds():  # noqa: ASYNC110 - the status tells nobody of its changes
                await asyncio.sleep(0.005)

    async def until_installed(self, number: int) -> None:
        await self.until(lambda: self.status.installed == number)

    async def ours(self, *options: str) -> dict[str, dict[str, Any]]:
        """Our routes of both families, by destination."""
        found: dict[str, dict[str, Any]] = {}
        for family in ("-4", "-6"):
            rows = await asyncio.to_thread(
                self.namespace.ip_json, family, "route", "show", "proto", "203", *options
            )
            found |= {row["dst"]: row for row in rows}
        return found

    async def until_ours(self, holds: Callable[[dict[str, dict[str, Any]]], bool]) -> None:
        """Wait until our routes in the kernel are so."""
        async with asyncio.timeout(GIVE_UP_SECONDS):
            while not holds(await self.ours()):  # noqa: ASYNC110 - nor does ip(8)
                await asyncio.sleep(0.005)

    async def ip(self, *lines: str) -> None:
        """What another program does meanwhile."""
        await asyncio.to_thread(self.namespace.ip, *lines)


@contextlib.asynccontextmanager
async def running(
    namespace: Namespace, factory: SocketFactory | None = None, **options: int
) -> AsyncIterator[Running]:
    made = Running(namespace, factory, **options)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(made.fib.run())
        yield made
        task.cancel()


def gateways(row: Mapping[str, Any]) -> set[str]:
    """Where a route of `ip -json` leads; to no gateway if it drops."""
    ways = row.get("nexthops", [row])
    return {way.get("gateway") or way.get("via", {}).get("host", "") for way in ways}


class Monitor:
    """What `ip monitor route` prints; a route of the test's own marks each moment at which it is asked."""

    def __init__(self, namespace: Namespace, process: subprocess.Popen[str]) -> None:
        self._namespace = namespace
        self._process = process
        self._marks = 0

    async def lines(self) -> list[str]:
        """All lines since the last call."""
        self._marks += 1
        mark = f"{_MARKS}{self._marks} "
        marking = asyncio.create_task(self._mark(mark))
        try:
            async with asyncio.timeout(GIVE_UP_SECONDS):
                return await asyncio.to_thread(self._read, mark)
        finally:
            marking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await marking

    def _read(self, mark: str) -> list[str]:
        found: list[str] = []
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if mark in line:
                return found
            if _MARKS not in line and line.strip():
                found.append(line.strip())
        raise AssertionError("the monitor ended")

    async def _mark(self, mark: str) -> None:
        while True:
            await asyncio.to_thread(
                self._namespace.ip, f"route add {mark}dev lo table 99", f"route del {mark}dev lo table 99"
            )
            await asyncio.sleep(0.1)


@contextlib.asynccontextmanager
async def monitoring(namespace: Namespace) -> AsyncIterator[Monitor]:
    """A monitor that hears all from now on."""
    process = subprocess.Popen(  # noqa: ASYNC220 - read by a thread
        namespace.inside(["ip", "monitor", "route"]), stdout=subprocess.PIPE, text=True, bufsize=1
    )
    try:
        monitor = Monitor(namespace, process)
        await monitor.lines()
        yield monitor
    finally:
        process.kill()
        process.communicate()

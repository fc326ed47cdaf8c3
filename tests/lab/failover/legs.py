"""When a next hop left the kernel of a router's namespace, and when it came back.

The kernel says over netlink that something changed; what it forwards by is then asked for. Knows nothing
of BGP.
"""

import asyncio
import contextlib
import socket
import time
from typing import Self

from speaker.model.prefix import Family
from tests.lab.net.namespace import Namespace
from tests.lab.routers.fib import kernel_fib

_SOL_NETLINK = 270
_NETLINK_ADD_MEMBERSHIP = 1
_RTNLGRP_LINK = 1
_RTNLGRP_IPV4_ROUTE = 7
# FRR gives routes a number that stands for their next hops, and changes what it stands for.
_RTNLGRP_NEXTHOP = 32
# A change that was not told of is found with this delay.
_LOOK_SECONDS = 0.25


class Legs:
    """The hosts that a prefix is forwarded to, over time: `async with Legs(namespace, prefix) as legs`."""

    def __init__(self, namespace: Namespace, prefix: str) -> None:
        self._namespace = namespace
        self._prefix = prefix
        self._history: list[tuple[float, frozenset[str]]] = []
        self._told_at: float | None = None
        self._told = asyncio.Event()
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as stack:
            sock = stack.enter_context(
                self._namespace.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
            )
            _subscribe(sock)
            loop = asyncio.get_running_loop()
            loop.add_reader(sock, self._hear, sock)
            stack.callback(loop.remove_reader, sock)
            await self._look(time.monotonic())
            watching = asyncio.create_task(self._watch())
            stack.push_async_callback(_end, watching)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def left(self, host: str, since: float) -> float | None:
        """After how many seconds from `since` (monotonic) the host was first missing; None if never."""
        return next((at - since for at, hosts in self._history if at >= since and host not in hosts), None)

    def returned(self, host: str, since: float) -> float | None:
        """After how many seconds from `since` the host was there for good; None if it never left or came."""
        missing = [index for index, (at, hosts) in enumerate(self._history) if host not in hosts]
        if not missing or self._history[missing[-1]][0] < since or missing[-1] + 1 == len(self._history):
            return None
        return self._history[missing[-1] + 1][0] - since

    def _hear(self, sock: socket.socket) -> None:
        # What overflowed the socket's buffer is a change as well.
        with contextlib.suppress(OSError):
            while sock.recv(1 << 16):
                pass
        if self._told_at is None:
            self._told_at = time.monotonic()
        self._told.set()

    async def _watch(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._told.wait()
            self._told.clear()
            told_at, self._told_at = self._told_at, None
            await self._look(told_at or time.monotonic())

    async def _look(self, at: float) -> None:
        fib = await asyncio.to_thread(kernel_fib, self._namespace, Family.IPV4)
        hosts = frozenset(leg.device for leg in fib.get(self._prefix, ()))
        if not self._history or self._history[-1][1] != hosts:
            self._history.append((at, hosts))


def _subscribe(sock: socket.socket) -> None:
    sock.setblocking(False)
    sock.bind((0, 0))
    for group in (_RTNLGRP_LINK, _RTNLGRP_IPV4_ROUTE, _RTNLGRP_NEXTHOP):
        sock.setsockopt(_SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP, group)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait((task,))

"""One reading of the kernel's links and routes, in portions that leave the event loop room.

Knows which octets it has read before, since most routes are the same at every reading. Knows nothing of
what the routes are for.
"""

import asyncio
import errno
import os
import socket
import struct
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self

from pyroute2.netlink import NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR
from pyroute2.netlink.rtnl import RTM_GETLINK, RTM_GETROUTE, RTM_NEWLINK, RTM_NEWROUTE

from speaker.kernel.netlink import HEADER, SocketFactory, attributes, messages, unavailable
from speaker.kernel.pace import Pace
from speaker.kernel.resolution import Link
from speaker.kernel.routes import Decoder, KernelRoute

_IFINFOMSG = struct.Struct("=BxHiII")  # family, type of hardware, index, flags, change
_RTGENMSG_ROUTE = bytes(12)
_IFLA_IFNAME = 3
_IFF_UP, _IFF_RUNNING = 0x1, 0x40
_SOL_NETLINK = 270
_NETLINK_GET_STRICT_CHK = 12
_READ_BYTES = 65536
_ROUTES_PER_STEP = 32


class Reader:
    """Reads again and again; what it saw last time costs a look into a dictionary.

    Args:
        factory: where the sockets come from, a fresh one for each reading.
        tables: the tables to read; routes of others are passed over.
    """

    def __init__(self, factory: SocketFactory, tables: frozenset[int]) -> None:
        self._factory = factory
        self._decoder = Decoder(tables)
        self._decoded: dict[bytes, KernelRoute | None] = {}

    async def links(self) -> dict[int, Link]:
        """All interfaces by index.

        Raises:
            HostError: the kernel refuses.
            InterruptedError: they changed under the reading; read again.
        """
        found: dict[int, Link] = {}
        with _Dump(self._factory) as dump:
            for portion in dump.portions(RTM_GETLINK, RTM_NEWLINK, _IFINFOMSG.pack(0, 0, 0, 0, 0)):
                found.update(_link(payload) for payload in portion)
                await asyncio.sleep(0)
        return found

    async def routes(self, take: Callable[[KernelRoute], None]) -> None:
        """Give every route of the tables, both families, to `take`.

        Raises:
            HostError: the kernel refuses.
            InterruptedError: they changed under the reading, and `take` has seen a part; read again.
        """
        before, self._decoded = self._decoded, {}
        decode = self._decoder.decode
        pace = Pace()
        with _Dump(self._factory) as dump:
            for family in (socket.AF_INET, socket.AF_INET6):
                header = bytes((family,)) + _RTGENMSG_ROUTE[1:]
                for portion in dump.portions(RTM_GETROUTE, RTM_NEWROUTE, header):
                    for number, payload in enumerate(portion):
                        if number % _ROUTES_PER_STEP == 0:
                            await pace.step()
                        octets = bytes(payload)
                        route = before[octets] if octets in before else decode(octets)
                        self._decoded[octets] = route
                        if route is not None:
                            take(route)


class _Dump:
    """The kernel's tables over a socket of their own, so that no stale answer is ever met."""

    def __init__(self, factory: SocketFactory) -> None:
        try:
            self._socket = factory()
        except OSError as error:
            raise unavailable(error) from error
        self._socket.setblocking(False)
        try:
            # Without cached exceptions (path MTU), of which a busy host has thousands; kernels before
            # 4.20 do not know the option and send them, marked as what they are.
            self._socket.setsockopt(_SOL_NETLINK, _NETLINK_GET_STRICT_CHK, 1)
        except OSError as error:
            if error.errno != errno.ENOPROTOOPT:
                self._socket.close()
                raise unavailable(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def portions(self, question: int, answer: int, header: bytes) -> Iterator[list[memoryview]]:
        """The payloads of a table, some hundreds at a time."""
        length = HEADER.size + len(header)
        self._send(HEADER.pack(length, question, NLM_F_REQUEST | NLM_F_DUMP, 1, 0) + header)
        while True:
            portion: list[memoryview] = []
            for message_type, flags, payload in messages(self._receive()):
                if flags & NLM_F_DUMP_INTR:
                    raise InterruptedError(errno.EINTR, "the table changed while it was read")
                if message_type == NLMSG_DONE:
                    yield portion
                    return
                if message_type == NLMSG_ERROR:
                    number = -struct.unpack_from("=i", payload)[0]
                    raise unavailable(OSError(number, os.strerror(number)))
                if message_type == answer:
                    portion.append(payload)
            yield portion

    def _send(self, request: bytes) -> None:
        try:
            self._socket.sendto(request, (0, 0))
        except OSError as error:
            raise unavailable(error) from error

    def _receive(self) -> memoryview:
        try:
            return memoryview(self._socket.recv(_READ_BYTES))
        except OSError as error:
            raise unavailable(error) from error


def _link(payload: memoryview) -> tuple[int, Link]:
    _, _, index, flags, _ = _IFINFOMSG.unpack_from(payload)
    name = dict(attributes(payload[_IFINFOMSG.size :])).get(_IFLA_IFNAME, b"")
    text = bytes(name).rstrip(b"\0").decode("ascii", "replace")
    return index, Link(text, bool(flags & _IFF_UP and flags & _IFF_RUNNING))

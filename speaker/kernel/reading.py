"""One reading of the kernel's links and routes, in portions that leave the event loop room.

Knows which octets it has read before, since most routes are the same at every reading. Knows nothing of
what the routes are for.
"""

import asyncio
import socket
import struct
from collections.abc import Callable

from pyroute2.netlink.rtnl import RTM_GETLINK, RTM_GETROUTE, RTM_NEWLINK, RTM_NEWROUTE

from speaker.kernel.dialogue import Dialogue
from speaker.kernel.netlink import SocketFactory, attributes
from speaker.kernel.pace import Pace
from speaker.kernel.resolution import Link
from speaker.kernel.routes import Decoder, KernelRoute

_IFINFOMSG = struct.Struct("=BxHiII")  # family, type of hardware, index, flags, change
_RTGENMSG_ROUTE = bytes(12)
_IFLA_IFNAME = 3
_IFF_UP, _IFF_RUNNING = 0x1, 0x40
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
        with Dialogue(self._factory) as dump:
            dump.be_strict()
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
        with Dialogue(self._factory) as dump:
            dump.be_strict()
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


def _link(payload: memoryview) -> tuple[int, Link]:
    _, _, index, flags, _ = _IFINFOMSG.unpack_from(payload)
    name = dict(attributes(payload[_IFINFOMSG.size :])).get(_IFLA_IFNAME, b"")
    text = bytes(name).rstrip(b"\0").decode("ascii", "replace")
    return index, Link(text, bool(flags & _IFF_UP and flags & _IFF_RUNNING))

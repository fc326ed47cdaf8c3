"""What the kernel tells of changes that others make, and which of our routes it may concern.

An event says that the tables must be read again; what it holds is believed only to be careful: until
that reading, a route that it names is not replaced. Knows nothing of what the tables are for.
"""

import errno
import socket
from collections.abc import Callable

from pyroute2.netlink.rtnl import RTM_DELROUTE, RTM_NEWROUTE

from speaker.errors import HostError
from speaker.kernel.netlink import SocketFactory, frames, open_monitor, unavailable
from speaker.kernel.routes import Decoder
from speaker.model.prefix import Prefix

_ROUTE_EVENTS = frozenset({RTM_NEWROUTE, RTM_DELROUTE})
_DATAGRAMS_PER_TURN = 64
_DATAGRAM_BYTES = 65536


class Events:
    """A monitor that hears of links, addresses, routes, rules and next hop objects.

    Args:
        factory: where the socket comes from.
        tables: the tables that matter; routes of others are nobody's business.
        on_event: called when something changed that is not our own doing, or when `failure` is set.

    Raises:
        HostError: netlink is not there.
    """

    def __init__(self, factory: SocketFactory, tables: frozenset[int], on_event: Callable[[], None]) -> None:
        self._monitor = open_monitor(factory)
        self._decoder = Decoder(tables)
        self._on_event = on_event
        self._touched: set[Prefix] = set()
        self._overrun = False
        self._buffer = bytearray(_DATAGRAM_BYTES)
        self.own_port = 0
        """The port of the socket that writes our routes: its events tell nothing new."""
        self.failure: HostError | None = None
        """Why no more events will come."""

    @property
    def monitor(self) -> socket.socket:
        """Readable when there is something to `drain`."""
        return self._monitor

    def close(self) -> None:
        """Let go of the socket."""
        self._monitor.close()

    def forget(self) -> None:
        """A reading begins: it will see all that was told until now."""
        self._touched.clear()
        self._overrun = False

    def distrust(self) -> None:
        """The reading came to nothing: anything may have changed since the one before."""
        self._overrun = True

    def concern(self, prefix: Prefix) -> bool:
        """Whether somebody may have changed a route to `prefix` since the last reading began."""
        return self._overrun or prefix in self._touched

    def drain(self) -> None:
        """Take what has been told, at most so much that the event loop turns in time."""
        view = memoryview(self._buffer)
        for _ in range(_DATAGRAMS_PER_TURN):
            try:
                length = self._monitor.recv_into(self._buffer)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    self.failure = unavailable(error)
                    self._on_event()
                    return
                self._overrun = True
                self._on_event()
            else:
                self._take(view[:length])

    def _take(self, datagram: memoryview) -> None:
        for message_type, _, _, port, payload in frames(datagram):
            if port == self.own_port and port:
                continue
            if message_type in _ROUTE_EVENTS:
                route = self._decoder.decode(bytes(payload))
                if route is None:
                    continue
                self._touched.add(route.prefix)
            self._on_event()

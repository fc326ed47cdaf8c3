"""Watches this host's network and says when it changed.

An event says only that something changed: its content is never believed, the tables are read
again. So a lost event costs nothing, and an overrun of the socket is one more event.
"""

import asyncio
import errno
import logging
import socket
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType

from speaker.errors import HostError
from speaker.kernel.facts import HostFacts, uptime_seconds
from speaker.kernel.netlink import SocketFactory, messages, open_monitor, open_socket, unavailable
from speaker.kernel.tables import ADDRESS_EVENTS, Conversation
from speaker.model.prefix import Address

_LOG = logging.getLogger(__name__)

SETTLE_SECONDS = 0.02
"""From the first event of a burst to the reading: an address and its routes come together."""
PAUSE_SECONDS = 0.2
"""The shortest time between two readings while events keep coming."""
RETRY_SECONDS = 5.0
"""How long to wait after the kernel refused a reading."""
_DATAGRAMS_PER_TURN = 256
_LOOKUPS_PER_TURN = 8
_DATAGRAM_BYTES = 65536


class Kernel:
    """This host's addresses and its sources toward the peers, kept current.

    Args:
        on_change: called with the facts, whole, whenever they differ from the last.
        socket_factory: where netlink sockets come from; a test names a namespace by it.
    """

    def __init__(
        self, *, on_change: Callable[[HostFacts], None], socket_factory: SocketFactory | None = None
    ) -> None:
        self._on_change = on_change
        self._factory = socket_factory or open_socket
        self._peers: Mapping[str, Address] = {}
        self._changed = asyncio.Event()
        self._addresses_changed = True
        self._known = asyncio.Event()
        self._facts: HostFacts | None = None
        self._failure: HostError | None = None
        self._boot_time_seconds = time.time() - uptime_seconds()
        self._buffer = bytearray(_DATAGRAM_BYTES)

    @property
    def facts(self) -> HostFacts | None:
        """What the kernel last said; None means that it has not been asked yet, never "nothing"."""
        return self._facts

    async def wait_ready(self) -> None:
        """Return once the facts are known."""
        await self._known.wait()

    def set_peers(self, addresses: Mapping[str, Address]) -> None:
        """Look up the source toward these peers (name to address), and toward no others."""
        self._peers = MappingProxyType(dict(addresses))
        self._changed.set()

    async def run(self) -> None:
        """Watch until cancelled.

        Raises:
            HostError: netlink is not there when the watch begins, or the events end. A reading that
                fails later is logged and tried again, and the last facts stand meanwhile.
        """
        monitor = open_monitor(self._factory)
        loop = asyncio.get_running_loop()
        loop.add_reader(monitor, self._drain, monitor)
        try:
            self._changed.set()
            while True:
                await self._changed.wait()
                if self._failure is not None:
                    raise self._failure
                await asyncio.sleep(SETTLE_SECONDS if self._facts else 0)
                await self._refresh()
                await asyncio.sleep(PAUSE_SECONDS)
        finally:
            loop.remove_reader(monitor)
            monitor.close()

    def _drain(self, monitor: socket.socket) -> None:
        """Take what the socket holds, at most so much that the loop turns in time."""
        view = memoryview(self._buffer)
        for _ in range(_DATAGRAMS_PER_TURN):
            try:
                length = monitor.recv_into(self._buffer)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    # Without events the facts would grow old in silence.
                    self._failure = unavailable(error)
                    asyncio.get_running_loop().remove_reader(monitor)
                    self._changed.set()
                    return
                self._addresses_changed = True
            else:
                if any(message_type in ADDRESS_EVENTS for message_type, _, _ in messages(view[:length])):
                    self._addresses_changed = True
            self._changed.set()

    async def _refresh(self) -> None:
        """Read what may have changed; events that arrive meanwhile ask for another reading."""
        self._changed.clear()
        try:
            with Conversation(self._factory) as conversation:
                addresses = await self._read_addresses(conversation)
                sources = await self._read_sources(conversation)
        except InterruptedError:
            self._addresses_changed = True
            self._changed.set()
        except HostError as error:
            if self._facts is None:
                raise
            _LOG.warning(
                "reading the host's network failed, what was known stands", extra={"error": str(error)}
            )
            self._addresses_changed = True
            self._changed.set()
            await asyncio.sleep(RETRY_SECONDS)
        else:
            self._publish(addresses, sources)

    async def _read_addresses(self, conversation: Conversation) -> frozenset[Address]:
        if self._facts is not None and not self._addresses_changed:
            return self._facts.addresses
        self._addresses_changed = False
        addresses: set[Address] = set()
        for portion in conversation.addresses():
            addresses |= portion
            await asyncio.sleep(0)
        return frozenset(addresses)

    async def _read_sources(self, conversation: Conversation) -> Mapping[str, Address]:
        sources: dict[str, Address] = {}
        for number, (name, destination) in enumerate(self._peers.items(), start=1):
            source = conversation.source_toward(destination)
            if source is not None:
                sources[name] = source
            if number % _LOOKUPS_PER_TURN == 0:
                await asyncio.sleep(0)
        return MappingProxyType(sources)

    def _publish(self, addresses: frozenset[Address], sources: Mapping[str, Address]) -> None:
        facts = HostFacts(addresses=addresses, sources=sources, boot_time_seconds=self._boot_time_seconds)
        if facts == self._facts:
            return
        self._facts = facts
        self._known.set()
        _LOG.info(
            "host network changed",
            extra={
                "addresses": len(addresses),
                "sources": ",".join(f"{name}={source}" for name, source in sources.items()),
            },
        )
        self._on_change(facts)

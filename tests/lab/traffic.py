"""Continuous traffic from a client toward an address, counted at every node that may answer for it.

A flow is many UDP flows at once, as a router that shares traffic by layer 4 sees them. Each packet has a
number, and both ends are in this process: what a node has is known, and so is what nobody has. Knows
hosts; knows nothing of routes and routers.
"""

import asyncio
import contextlib
import socket
import struct
import time
from collections import Counter
from collections.abc import Sequence
from typing import Self

from speaker.model.prefix import Address, host_prefix
from tests.lab.net.host import Host

PORT = 20000

_PACKET = struct.Struct("!HI")
_TICK_SECONDS = 0.01
# A turn of the event loop that came late is made up for, but never with more than the router's queues hold.
_MOST_AT_ONCE = 100
_LATE_SECONDS = 0.1
_BUFFER_BYTES = 4 << 20
_SO_RCVBUFFORCE = 33
_IP_FREEBIND = 15


class Flow:
    """Packets from `client` to `destination`, `rate` of them in a second, over `flows` source ports in turn.

    Each of `nodes` takes what arrives for the destination, whether it has the address or not:
    `async with Flow(client, destination, nodes) as flow`. The first packets may be lost while hosts look
    for their neighbours: `mark` once the wanted nodes have received some, and measure from there.
    """

    def __init__(
        self,
        client: Host,
        destination: Address,
        nodes: Sequence[Host],
        *,
        rate: int = 500,
        flows: int = 32,
        port: int = PORT,
    ) -> None:
        self.sent = 0
        self._client = client
        self._destination = destination
        self._nodes = tuple(nodes)
        self._rate = rate
        self._flows = flows
        self._port = port
        self._under_way: dict[int, float] = {}
        self._received: Counter[str] = Counter()
        self._seen_at: dict[int, set[str]] = {}
        self._stack = contextlib.ExitStack()
        self._receivers: list[tuple[str, socket.socket]] = []
        self._sending: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        with contextlib.ExitStack() as undo:
            undo.callback(self._stack.close)
            for node in self._nodes:
                self._accept_at(node)
            senders = [self._stack.enter_context(self._socket(self._client)) for _ in range(self._flows)]
            self._sending = asyncio.create_task(self._send(senders))
            undo.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
        self._stack.close()
        self._receivers.clear()

    async def stop(self) -> None:
        """Send no more, and wait until what is under way has either arrived or is lost."""
        if self._sending is not None:
            self._sending.cancel()
            await asyncio.wait((self._sending,))
            self._sending = None
            await asyncio.sleep(_LATE_SECONDS)

    def received(self) -> dict[str, int]:
        """How many packets each node that got any has had since the start or the last `mark`."""
        self._read()
        return dict(self._received)

    def lost(self) -> int:
        """How many packets since the start or the last `mark` have arrived nowhere, and had the time to."""
        self._read()
        return sum(1 for sent_at in self._under_way.values() if self._is_late(sent_at))

    def moved(self) -> int:
        """How many of the flows have been seen at more than one node since the start or the last `mark`."""
        self._read()
        return sum(1 for nodes in self._seen_at.values() if len(nodes) > 1)

    def mark(self) -> None:
        """Count anew from here: what was received, lost and moved before is forgotten."""
        self._read()
        self._received.clear()
        self._seen_at.clear()
        self._under_way = {
            number: sent_at for number, sent_at in self._under_way.items() if not self._is_late(sent_at)
        }

    def _accept_at(self, node: Host) -> None:
        """Have the node take packets for the destination as its own, and listen for them."""
        if not node.namespace.ip_json("address", "show", "to", str(self._destination)):
            # A route of type local makes no address: nothing that watches addresses takes notice.
            route = f"local {host_prefix(self._destination)} dev lo"
            node.namespace.ip(f"route add {route}")
            self._stack.callback(node.namespace.ip, f"route del {route}")
        receiver = self._stack.enter_context(self._socket(node))
        # Room for a loop that is busy elsewhere; without the right to it the usual room must do.
        with contextlib.suppress(PermissionError):
            receiver.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
        # The address is a route's only.
        receiver.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)
        receiver.bind((str(self._destination), self._port))
        self._receivers.append((node.name, receiver))

    def _socket(self, host: Host) -> socket.socket:
        family = socket.AF_INET if self._destination.version == 4 else socket.AF_INET6
        made = host.namespace.socket(family, socket.SOCK_DGRAM)
        made.setblocking(False)
        return made

    async def _send(self, senders: list[socket.socket]) -> None:
        began = last = time.monotonic()
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            self._read()
            now = time.monotonic()
            # What a late turn could not make up for is left out for good.
            if (now - last) * self._rate > _MOST_AT_ONCE:
                began += now - last - _MOST_AT_ONCE / self._rate
            last = now
            for _ in range(int((now - began) * self._rate) - self.sent):
                self._send_one(senders[self.sent % len(senders)])

    def _send_one(self, sender: socket.socket) -> None:
        number = self.sent
        self.sent += 1
        self._under_way[number] = time.monotonic()
        # A client without a route has lost the packet too.
        with contextlib.suppress(OSError):
            sender.sendto(_PACKET.pack(number % self._flows, number), (str(self._destination), self._port))

    def _read(self) -> None:
        """Take what waits at the nodes: cables deliver at once, so the rest is lost or queued."""
        for name, receiver in self._receivers:
            with contextlib.suppress(BlockingIOError):
                while True:
                    flow, number = _PACKET.unpack(receiver.recv(_PACKET.size))
                    if self._under_way.pop(number, None) is not None:
                        self._received[name] += 1
                        self._seen_at.setdefault(flow, set()).add(name)

    @staticmethod
    def _is_late(sent_at: float) -> bool:
        return time.monotonic() - sent_at > _LATE_SECONDS

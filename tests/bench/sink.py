"""`python -m tests.bench.sink ADDRESS...`: routers that take what they are told, and know when they were.

A process that is asked over its input (`tests.lab.scale.process`). Each address is a passive peer of its own;
what it has heard it keeps as prefixes, with the time at which the latest came. It can also advertise routes
that were made beforehand.
"""

import asyncio
import resource
import socket
import sys
import time
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address

from tests.bench import wire
from tests.bench.place import HOLD_SECONDS, ROUTER_ASN
from tests.lab.scale.process import Answer, serve

PORT = 179
_KEEPALIVE_SECONDS = HOLD_SECONDS / 3
_ORDER_SECONDS = 120.0
FIRST_TAUGHT = IPv4Address("100.0.0.0")
"""The first of the /24 that are advertised."""


class Peer:
    """One of the routers.

    Args:
        address: its own.
        on_news: called after each UPDATE.
    """

    def __init__(self, address: IPv4Address, on_news: Callable[[], None]) -> None:
        self.address = address
        self.routes: set[bytes] = set()
        self.sessions = 0
        self.accepted_at = 0.0
        self.changed_at = 0.0
        self.updates = 0
        self.longest_silence = 0.0
        self._heard_at = 0.0
        self._on_news = on_news
        self._writer: asyncio.StreamWriter | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of the speaker, to its end."""
        self.accepted_at = self._heard_at = time.monotonic()
        self.sessions += 1
        self.routes.clear()
        self._writer = writer
        messages = wire.Reader()
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        writer.write(wire.open_message(ROUTER_ASN, self.address, HOLD_SECONDS))
        beating = asyncio.ensure_future(self._beat(writer))
        try:
            while data := await reader.read(1 << 18):
                now = time.monotonic()
                self.longest_silence = max(self.longest_silence, now - self._heard_at)
                self._heard_at = now
                for kind, body in messages.feed(data):
                    self._take(kind, body, now)
                self._on_news()
        except ConnectionError:
            pass
        finally:
            beating.cancel()
            self._writer = None
            writer.close()

    async def _beat(self, writer: asyncio.StreamWriter) -> None:
        while True:
            await asyncio.sleep(_KEEPALIVE_SECONDS)
            writer.write(wire.KEEPALIVE)

    def _take(self, kind: int, body: bytes, now: float) -> None:
        if kind == wire.OPEN and self._writer is not None:
            self._writer.write(wire.KEEPALIVE)
        elif kind == wire.UPDATE:
            withdrawn, advertised = wire.read_update(body)
            if withdrawn or advertised:
                self.routes.difference_update(withdrawn)
                self.routes.update(advertised)
                self.changed_at = now
                self.updates += 1

    def advertise(self, messages: Sequence[bytes]) -> None:
        """Send what was made beforehand."""
        if self._writer is None:
            raise RuntimeError(f"there is no session at {self.address}")
        self._writer.write(b"".join(messages))


class Sink:
    """All of them."""

    def __init__(self, addresses: Sequence[IPv4Address]) -> None:
        self._peers = [Peer(address, self._news) for address in addresses]
        self._changed = asyncio.Event()
        self._taught: list[bytes] = []

    async def run(self) -> None:
        """Serve until the input ends."""
        servers = [await asyncio.start_server(each.serve, str(each.address), PORT) for each in self._peers]
        try:
            await serve(self._carry_out)
        finally:
            for server in servers:
                server.close()

    def _news(self) -> None:
        self._changed.set()

    async def _carry_out(self, order: Sequence[str]) -> Answer:
        match order:
            case ["routes", number]:
                return await self._until(lambda peer: len(peer.routes) == int(number))
            case ["change", updates]:
                return await self._until(lambda peer: peer.updates >= int(updates))
            case ["prepare", number]:
                return self._prepare(int(number))
            case ["advertise"]:
                at = time.monotonic()
                self._peers[0].advertise(self._taught)
                return {"at": at}
            case _:
                return self._figures()

    async def _until(self, holds: Callable[[Peer], bool]) -> Answer:
        """Answer once it holds for every peer."""
        async with asyncio.timeout(_ORDER_SECONDS):
            while not all(map(holds, self._peers)):
                self._changed.clear()
                await self._changed.wait()
        return self._figures()

    def _prepare(self, number: int) -> Answer:
        prefixes = [(int(FIRST_TAUGHT) + (index << 8), 24) for index in range(number)]
        self._taught = wire.updates(prefixes, self._peers[0].address, [ROUTER_ASN, 65100])
        return {"messages": len(self._taught)}

    def _figures(self) -> Answer:
        peers = self._peers
        return {
            "routes": sum(len(each.routes) for each in peers),
            "updates": sum(each.updates for each in peers),
            "sessions": sum(each.sessions for each in peers),
            "first_accepted": min(each.accepted_at for each in peers),
            "last_accepted": max(each.accepted_at for each in peers),
            "changed": max(each.changed_at for each in peers),
            "longest_silence": max(each.longest_silence for each in peers),
        }


def main(*addresses: str) -> None:
    """Be the routers at these addresses."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    asyncio.run(Sink([IPv4Address(each) for each in addresses]).run())


if __name__ == "__main__":
    main(*sys.argv[1:])

"""The limit: a session by hand that writes UPDATEs made beforehand, as fast as the socket takes them."""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from tests.bench import wire
from tests.bench.place import HOLD_SECONDS, NODE, NODE_ASN, ROUTER, Place

PORT = 179
_OPEN_SECONDS = 10.0
_RETRY_SECONDS = 0.1


@asynccontextmanager
async def session(at: Place) -> AsyncIterator[socket.socket]:
    """An established session with the collector."""
    async with asyncio.timeout(_OPEN_SECONDS):
        sock = await _connected(at)
    with sock:
        async with asyncio.timeout(_OPEN_SECONDS):
            await write(sock, [wire.open_message(NODE_ASN, NODE, HOLD_SECONDS)])
            await _wait_keepalive(sock)
            await write(sock, [wire.KEEPALIVE])
        yield sock


async def _connected(at: Place) -> socket.socket:
    """A connection; after an end, BIRD takes none for a second."""
    while True:
        sock = at.node.socket()
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            await asyncio.get_running_loop().sock_connect(sock, (str(ROUTER), PORT))
        except ConnectionRefusedError:
            sock.close()
            await asyncio.sleep(_RETRY_SECONDS)
        else:
            return sock


async def write(sock: socket.socket, messages: Sequence[bytes]) -> None:
    """Write them all."""
    await asyncio.get_running_loop().sock_sendall(sock, b"".join(messages))


async def _wait_keepalive(sock: socket.socket) -> None:
    reader = wire.Reader()
    while True:
        data = await asyncio.get_running_loop().sock_recv(sock, 65536)
        if not data:
            raise ConnectionError("the router closed the session before it was established")
        if any(kind == wire.KEEPALIVE_TYPE for kind, _ in reader.feed(data)):
            return

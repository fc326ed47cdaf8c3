"""One TCP connection: a reader, a writer with bounded memory, and an end that loses nothing queued.

Knows sockets and frames. Must not know states or routes: what it reads and what ends it goes to its
`Receiver`, what it writes beside control messages it asks for, a slice at a time, when there is room.

A peer that does not read costs only itself: one slice is in flight, the rest stays in the Adj-RIB-Out.
"""

import asyncio
import contextlib
import socket
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from speaker.bgp.long_updates import LONG, pieces
from speaker.bgp.messages import KEEPALIVE, Framer, MessageType, ProtocolError
from speaker.bgp.sockopts import unacknowledged
from speaker.model.prefix import Family
from speaker.sockets import describe

_READ_SIZE = 65536
_SLICE_SECONDS = 0.008
_LINGER_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Slice:
    """Some UPDATEs, and what to do when the kernel has taken them all."""

    data: bytes
    taken: Callable[[], None]


class Receiver(Protocol):
    """Who hears what a connection brings; each call comes on the event loop."""

    def message_received(self, kind: MessageType, body: bytes) -> None:
        """A message with a proper header."""

    def header_broken(self, error: ProtocolError) -> None:
        """A header that is not proper; nothing more is read."""

    def connection_lost(self, reason: str) -> None:
        """The connection ended, and not by us."""

    def send_hold_expired(self) -> None:
        """The peer has taken nothing for the send hold time (RFC 9687)."""

    def next_slice(self) -> Slice | None:
        """The next UPDATEs to write, or None."""


class Transport:
    """An open TCP connection; `run` serves it until it has ended."""

    def __init__(self, sock: socket.socket, receiver: Receiver) -> None:
        self._sock = sock
        self._receiver = receiver
        self._control: deque[bytes] = deque()
        self._wake = asyncio.Event()
        self._closing = asyncio.Event()
        self._framer = Framer()
        self._paths: frozenset[Family] = frozenset()
        self.send_hold_seconds: float | None = None

    def send(self, message: bytes) -> None:
        """Queues a control message, ahead of all UPDATEs not yet begun."""
        # One KEEPALIVE says as much as several, and a peer that does not read must not pile them up.
        if message != KEEPALIVE or KEEPALIVE not in self._control:
            self._control.append(message)
            self._wake.set()

    def accept_messages_of(self, octets: int, paths: frozenset[Family]) -> None:
        """From the next message on, this is the longest that may come (RFC 8654).

        Args:
            octets: its length.
            paths: the families whose prefixes come with a Path Identifier: a long UPDATE is handed on in
                pieces, so that others have a turn in between.
        """
        self._framer.max_message, self._paths = octets, paths

    def kick(self) -> None:
        """Says that `next_slice` may have something."""
        self._wake.set()

    def close(self) -> None:
        """Ends the connection once what `send` has queued is written; calls nobody any more."""
        self._closing.set()
        self._wake.set()

    def abandon(self) -> None:
        """Gives the socket back, however far `run` has come."""
        self._sock.close()

    @property
    def is_flushed(self) -> bool:
        """Whether the peer's TCP has acknowledged all that was written."""
        try:
            return self._sock.fileno() < 0 or unacknowledged(self._sock) == 0
        except OSError:
            return True

    async def run(self) -> None:
        """Reads and writes until the connection has ended."""
        try:
            async with asyncio.TaskGroup() as tasks:
                reader = tasks.create_task(self._read())
                writer = tasks.create_task(self._write())
                await self._closing.wait()
                reader.cancel()
                # A peer that does not read shall not keep us from leaving.
                await asyncio.wait((writer,), timeout=_LINGER_SECONDS)
                writer.cancel()
            await self._linger()
        finally:
            self._sock.close()

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while data := await loop.sock_recv(self._sock, _READ_SIZE):
                until = loop.time() + _SLICE_SECONDS
                for kind, body in self._messages(data):
                    self._receiver.message_received(kind, body)
                    if self._closing.is_set():
                        return
                    if loop.time() > until:
                        await asyncio.sleep(0)
                        until = loop.time() + _SLICE_SECONDS
                # sock_recv does not yield while there is data.
                await asyncio.sleep(0)
        except ProtocolError as error:
            self._receiver.header_broken(error)
        except OSError as error:
            self._lost(f"the connection failed: {describe(error)}")
        else:
            self._lost("peer closed the connection")

    def _messages(self, data: bytes) -> Iterator[tuple[MessageType, bytes]]:
        for kind, body in self._framer.feed(data):
            if kind is MessageType.UPDATE and len(body) > LONG:
                for piece in pieces(body, self._paths):
                    yield kind, piece
            else:
                yield kind, body

    def _lost(self, reason: str) -> None:
        if not self._closing.is_set():
            self._receiver.connection_lost(reason)

    async def _write(self) -> None:
        try:
            while not (self._closing.is_set() and not self._control):
                self._wake.clear()
                await self._write_what_waits()
                if not self._closing.is_set():
                    await self._wake.wait()
        except TimeoutError:
            self._receiver.send_hold_expired()
        except OSError:
            # The reader sees the end too, after what the peer sent before it: perhaps the reason.
            return

    async def _write_what_waits(self) -> None:
        while True:
            if self._control:
                await self._write_all(self._control.popleft())
            elif not self._closing.is_set() and (piece := self._receiver.next_slice()) is not None:
                if piece.data:
                    await self._write_all(piece.data)
                if not self._closing.is_set():
                    piece.taken()
                await asyncio.sleep(0)
            else:
                return

    async def _write_all(self, data: bytes) -> None:
        async with asyncio.timeout(self.send_hold_seconds):
            await asyncio.get_running_loop().sock_sendall(self._sock, data)

    async def _linger(self) -> None:
        """Waits for the peer's end, so that unread data does not turn our last words into a reset."""
        with contextlib.suppress(OSError, TimeoutError):
            self._sock.shutdown(socket.SHUT_WR)
            async with asyncio.timeout(_LINGER_SECONDS):
                await self._discard()

    async def _discard(self) -> None:
        loop = asyncio.get_running_loop()
        while await loop.sock_recv(self._sock, _READ_SIZE):  # noqa: ASYNC110 -- a turn for the others
            await asyncio.sleep(0)

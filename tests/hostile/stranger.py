"""A router that obeys nobody: bytes over TCP, right or wrong, and what comes back taken apart.

Knows the wire (`tests.fuzz.wire`) and sockets. Must not know the engine, whose reading and writing it judges.
"""

import asyncio
import select
import socket
import struct
from dataclasses import dataclass

from speaker.model.peer import Peer, SessionState
from speaker.model.prefix import Address
from tests.fuzz import wire

WAIT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Told:
    """A NOTIFICATION as it came."""

    code: int
    subcode: int
    data: bytes = b""


class Stranger:
    """The other end of `peer`; by default it opens with what the speaker expects."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.sock: socket.socket | None = None
        self._listening: socket.socket | None = None
        self._buffer = b""
        self._speaker: tuple[Address, int] | None = None

    # -- connecting --------------------------------------------------------------------------------

    def listen(self, backlog: int = 16) -> "Stranger":
        """Waits for the speaker to dial."""
        self._listening = socket.create_server((str(self.peer.address), self.peer.port), backlog=backlog)
        self._listening.setblocking(False)
        return self

    def narrow(self) -> None:
        """Takes little of what it does not read: set before the speaker connects."""
        assert self._listening is not None
        self._listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)

    def waiting(self) -> bool:
        """Whether the speaker has dialled, and nobody has taken the connection yet."""
        assert self._listening is not None
        return bool(select.select([self._listening], [], [], 0)[0])

    async def accept(self) -> None:
        """Takes the connection that the speaker makes."""
        assert self._listening is not None
        self.hang_up()
        async with asyncio.timeout(WAIT_SECONDS):
            self.sock, _ = await asyncio.get_running_loop().sock_accept(self._listening)
        self.sock.setblocking(False)

    async def connect(self, address: Address, port: int) -> None:
        """Dials the speaker."""
        self.hang_up()
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.sock.setblocking(False)
        self.sock.bind((str(self.peer.address), 0))
        async with asyncio.timeout(WAIT_SECONDS):
            await asyncio.get_running_loop().sock_connect(self.sock, (str(address), port))

    # -- speaking ----------------------------------------------------------------------------------

    def open(self, **fields: object) -> bytes:
        """The OPEN that the speaker expects, with fields replaced."""
        return wire.open_message(self.peer.asn, **fields)  # type: ignore[arg-type]

    async def bring_to(self, state: SessionState, open_message: bytes | None = None) -> None:
        """Goes as far as OpenSent, OpenConfirm or Established; UPDATEs and End-of-RIB may wait after it."""
        while (message := await self.receive()) is None:
            # The speaker gave this attempt up before it noticed that it had succeeded: the next one counts.
            assert self._listening is not None, "the connection ended before an OPEN"
            await self.accept()
        assert message.kind == wire.OPEN, message
        if state is SessionState.OPEN_SENT:
            return
        await self.send(self.open() if open_message is None else open_message)
        await self.expect(wire.KEEPALIVE)
        if state is SessionState.ESTABLISHED:
            await self.send(wire.KEEPALIVE_MESSAGE)

    async def send(self, *messages: bytes) -> None:
        """Sends bytes."""
        assert self.sock is not None
        async with asyncio.timeout(WAIT_SECONDS):
            await asyncio.get_running_loop().sock_sendall(self.sock, b"".join(messages))

    def half_close(self) -> None:
        """Says that nothing more will be sent."""
        assert self.sock is not None
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Ends the connection with a RST."""
        assert self.sock is not None
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.hang_up()

    def hang_up(self) -> None:
        """Closes the connection, if there is one."""
        self._buffer = b""
        if self.sock is not None:
            self.sock.close()
            self.sock = None

    def close(self) -> None:
        """Ends everything."""
        self.hang_up()
        if self._listening is not None:
            self._listening.close()
            self._listening = None

    # -- hearing -----------------------------------------------------------------------------------

    async def receive(self) -> wire.Frame | None:
        """The next message, which must be properly framed; None at the end of the connection."""
        while True:
            message = next(wire.frames(self._buffer), None)
            if message is not None:
                assert message.proper, "the speaker sent an improper header"
                self._buffer = self._buffer[wire.HEADER.size + len(message.body) :]
                return message
            data = await self._read()
            if not data:
                assert not self._buffer, "the speaker's last message is cut short"
                return None
            self._buffer += data

    async def _read(self) -> bytes:
        assert self.sock is not None
        async with asyncio.timeout(WAIT_SECONDS):
            try:
                return await asyncio.get_running_loop().sock_recv(self.sock, 65536)
            except ConnectionResetError:
                return b""

    async def expect(self, kind: int) -> bytes:
        """The body of the next message of a type; what stands before it is passed over."""
        while (message := await self.receive()) is not None:
            assert message.kind != wire.NOTIFICATION or kind == wire.NOTIFICATION, message
            if message.kind == kind:
                return message.body
        raise AssertionError(f"the connection ended before a message of type {kind}")

    async def last_words(self) -> Told | None:
        """The NOTIFICATION before the end, which must come, and after which nothing may; None without one."""
        told: Told | None = None
        while (message := await self.receive()) is not None:
            assert told is None, f"the speaker went on after NOTIFICATION {told}: {message}"
            if message.kind == wire.NOTIFICATION:
                told = Told(message.body[0], message.body[1], message.body[2:])
        return told

"""A BGP router by hand: it sends the bytes it is told to, and remembers the messages it was sent."""

import asyncio
import contextlib
import socket
from dataclasses import replace

from speaker.bgp.codec_open import pack_open, unpack_open
from speaker.bgp.codec_update import UpdateDecoder
from speaker.bgp.messages import (
    KEEPALIVE,
    MAX_EXTENDED_MESSAGE,
    Framer,
    MessageType,
    Notification,
    OpenMessage,
    UpdateMessage,
    unpack_notification,
)
from speaker.model.peer import Peer
from speaker.model.prefix import Address
from tests.bgp.builders import as_sent

Message = tuple[MessageType, bytes]


class Closed(Exception):  # noqa: N818 -- it is what happened, not a failure of the test
    """The speaker has closed the connection."""


class RawPeer:
    """The other end of `peer`, as the speaker under test has it configured.

    Args:
        peer: the configuration.
        differences: what this side has otherwise.
    """

    def __init__(self, peer: Peer, **differences: object) -> None:
        # What this side would configure: the same session seen from the other end.
        self.mirror = replace(
            peer,
            asn=peer.local_asn,
            local_asn=peer.asn,
            router_id=type(peer.router_id)(int(peer.router_id) + 1),
            password=None,
            **differences,  # type: ignore[arg-type]
        )
        self.address: Address = peer.address
        self.port = peer.port
        self.sock: socket.socket | None = None
        self._listening: socket.socket | None = None
        self._framer = Framer()
        self._waiting: list[Message] = []
        self._received_open = b""

    def listen(self) -> "RawPeer":
        self._listening = socket.create_server((str(self.address), self.port))
        self._listening.setblocking(False)
        return self

    async def accept(self) -> None:
        assert self._listening is not None
        self._fresh()
        async with asyncio.timeout(10):
            self.sock, _ = await asyncio.get_running_loop().sock_accept(self._listening)
        self.sock.setblocking(False)

    async def connect(self, address: Address, port: int) -> None:
        self._fresh()
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.sock.setblocking(False)
        self.sock.bind((str(self.address), 0))
        async with asyncio.timeout(10):
            await asyncio.get_running_loop().sock_connect(self.sock, (str(address), port))

    def _fresh(self) -> None:
        self.hang_up()
        self._framer = Framer()
        self._waiting = []

    async def send(self, *messages: bytes) -> None:
        assert self.sock is not None
        await asyncio.get_running_loop().sock_sendall(self.sock, b"".join(messages))

    async def receive(self) -> Message:
        """The next message; raises `Closed` at the end."""
        assert self.sock is not None
        while not self._waiting:
            async with asyncio.timeout(10):
                try:
                    data = await asyncio.get_running_loop().sock_recv(self.sock, 65536)
                except ConnectionResetError:
                    data = b""
            if not data:
                self.hang_up()
                raise Closed
            self._waiting.extend(self._framer.feed(data))
        return self._waiting.pop(0)

    async def expect(self, kind: MessageType) -> bytes:
        """The body of the next message, which must be of this type."""
        received, body = await self.receive()
        assert received is kind, (received, body)
        return body

    async def expect_notification(self) -> Notification:
        """The NOTIFICATION that must come, whatever stands before it, and the end that must follow."""
        while True:
            kind, body = await self.receive()
            if kind is MessageType.NOTIFICATION:
                break
        with contextlib.suppress(Closed):
            await self.receive()
            raise AssertionError("the connection goes on after a NOTIFICATION")
        return unpack_notification(body)

    async def expect_end(self) -> None:
        """The end of the connection, before which no NOTIFICATION may come."""
        with contextlib.suppress(Closed):
            while True:
                kind, body = await self.receive()
                assert kind is not MessageType.NOTIFICATION, body

    def open(self, **overrides: object) -> bytes:
        """Our OPEN, with fields of the mirrored configuration replaced."""
        return pack_open(
            replace(self.mirror, **overrides),  # type: ignore[arg-type]
            restarting=False,
            forwarding_preserved=True,
        )

    async def open_received(self) -> OpenMessage:
        self._received_open = await self.expect(MessageType.OPEN)
        return unpack_open(self._received_open)

    async def establish(self, packed: bytes | None = None, **overrides: object) -> OpenMessage:
        """Both OPENs and KEEPALIVEs; ours is `packed`, if given. Returns the speaker's OPEN."""
        message = await self.open_received()
        await self.send(packed or self.open(**overrides))
        if message.extended_messages:
            self._framer.max_message = MAX_EXTENDED_MESSAGE
        await self.expect(MessageType.KEEPALIVE)
        await self.send(KEEPALIVE)
        return message

    async def update(self) -> UpdateMessage:
        """The next UPDATE, decoded; KEEPALIVEs and marks of a refresh before it are passed over."""
        while True:
            kind, body = await self.receive()
            if kind not in (MessageType.KEEPALIVE, MessageType.ROUTE_REFRESH):
                assert kind is MessageType.UPDATE, kind
                return self.decode(body)

    def decode(self, body: bytes) -> UpdateMessage:
        """An UPDATE of the speaker's, as this side reads it: the routes as they were handed over."""
        update = UpdateDecoder(self.mirror, self._received_open).unpack_update(body)
        return replace(update, advertised=tuple(map(as_sent, update.advertised)))

    def hang_up(self) -> None:
        if self.sock is not None:
            self.sock.close()
            self.sock = None

    def close(self) -> None:
        self.hang_up()
        if self._listening is not None:
            self._listening.close()

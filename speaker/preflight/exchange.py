"""A conversation with a peer over an open connection: both OPENs, what follows, and the end.

Knows messages and time. Must not judge what it hears, and says only what it is told to: no route goes out
by itself. Supported standards: RFC 4271 §4, RFC 9003 (shutdown communication).
"""

import asyncio
import contextlib
import socket
from dataclasses import dataclass
from enum import StrEnum

from speaker.bgp.codec_open import pack_open, unpack_open
from speaker.bgp.messages import (
    Cease,
    ErrorCode,
    Framer,
    MessageType,
    Notification,
    OpenMessage,
    ProtocolError,
    pack_notification,
    shutdown_communication,
    unpack_notification,
)
from speaker.bgp.sockopts import unacknowledged
from speaker.model.peer import Peer
from speaker.model.prefix import Address
from speaker.preflight.dialing import lift_ttl_limits
from speaker.sockets import address_of, describe

FAREWELL = pack_notification(
    Notification(ErrorCode.CEASE, Cease.ADMINISTRATIVE_SHUTDOWN, shutdown_communication("preflight"))
)
"""What ends a conversation (RFC 4486 §3, RFC 9003)."""

_READ_SIZE = 65536
_LINGER_SECONDS = 1.0


class Trouble(StrEnum):
    """Why a conversation did not go on, where no NOTIFICATION says so."""

    SILENT = "silent"
    CLOSED = "closed"
    NO_BGP = "no BGP"
    MALFORMED = "malformed"


class Ended(Exception):  # noqa: N818 -- what happened, and often nothing wrong
    """The conversation is over; the text says why, in one sentence."""

    def __init__(self, trouble: Trouble, sentence: str) -> None:
        super().__init__(sentence)
        self.trouble = trouble


class NotificationEnded(Exception):  # noqa: N818 -- the same
    """The peer ended it with a NOTIFICATION."""

    def __init__(self, notification: Notification) -> None:
        super().__init__("peer sent a NOTIFICATION")
        self.notification = notification


@dataclass(frozen=True, slots=True)
class Opening:
    """What came in answer to our OPEN.

    Attributes:
        message: the peer's OPEN; None when none came, or none that can be read.
        body: the same as it was on the wire, without its header; b"" when none came.
        accepted: a KEEPALIVE followed: the peer took our OPEN.
        notification: what the peer ended the session with, if it did.
        trouble: why there was no more; None when the peer accepted or sent a NOTIFICATION.
        sentence: the same for people.
    """

    message: OpenMessage | None = None
    body: bytes = b""
    accepted: bool = False
    notification: Notification | None = None
    trouble: Trouble | None = None
    sentence: str = ""


class Conversation:
    """Messages to and from the other end of a connection."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._framer = Framer()
        self._waiting: list[tuple[MessageType, bytes]] = []
        self._over = False

    async def send(self, *messages: bytes) -> None:
        """Write messages; raises `Ended` when the connection is gone."""
        try:
            await asyncio.get_running_loop().sock_sendall(self._sock, b"".join(messages))
        except OSError as error:
            raise Ended(Trouble.CLOSED, f"the connection failed: {describe(error)}") from None

    async def receive(self) -> tuple[MessageType, bytes]:
        """The next message, for which the caller limits the time.

        Raises:
            Ended: nothing more comes, or what comes is no BGP.
            NotificationEnded: the peer says why nothing more comes.
        """
        while not self._waiting:
            try:
                data = await asyncio.get_running_loop().sock_recv(self._sock, _READ_SIZE)
                self._waiting += self._framer.feed(data)
            except OSError as error:
                raise Ended(Trouble.CLOSED, f"the connection failed: {describe(error)}") from None
            except ProtocolError as error:
                raise Ended(Trouble.NO_BGP, f"{error}, and so speaks no BGP") from None
            if not data:
                self._over = True
                raise Ended(Trouble.CLOSED, "peer closed the connection")
        kind, body = self._waiting.pop(0)
        if kind is MessageType.NOTIFICATION:
            self._over = True
            raise NotificationEnded(unpack_notification(body))
        return kind, body

    @property
    def local_address(self) -> Address | None:
        """Our end of the connection; None when it is gone."""
        try:
            return address_of(self._sock.getsockname())
        except OSError:
            return None

    @property
    def is_acknowledged(self) -> bool:
        """Whether the peer's TCP has acknowledged all that was written."""
        try:
            return unacknowledged(self._sock) == 0
        except OSError:
            return True

    def relax_ttl(self) -> None:
        """Send with TTL 255, and take what comes with any: what was lost for its TTL is sent again."""
        with contextlib.suppress(OSError):
            lift_ttl_limits(self._sock)

    async def leave(self) -> bool:
        """End the session so that nothing of it is left, and close the connection.

        Returns:
            Whether the peer's TCP heard our last words as they were first sent; also when it had ended the
            session before. If not, they are sent once more with TTL 255.
        """
        with self._sock, contextlib.suppress(OSError):
            if self._over:
                return True
            await asyncio.get_running_loop().sock_sendall(self._sock, FAREWELL)
            self._sock.shutdown(socket.SHUT_WR)
            if await self._is_over() or self.is_acknowledged:
                return True
            self.relax_ttl()
            await self._is_over()
            return False
        return True

    async def _is_over(self) -> bool:
        """Whether the peer ends its side in time: closing with unread data would be a reset.

        A reset may overtake our last words.
        """
        try:
            async with asyncio.timeout(_LINGER_SECONDS):
                await self._discard()
        except TimeoutError:
            return False
        return True

    async def _discard(self) -> None:
        loop = asyncio.get_running_loop()
        while await loop.sock_recv(self._sock, _READ_SIZE):  # noqa: ASYNC110 -- a turn for the others
            await asyncio.sleep(0)


async def open_session(conversation: Conversation, peer: Peer, seconds: float) -> Opening:
    """Send our OPEN, and hear what the peer answers until it accepts, ends, or `seconds` are over.

    Our KEEPALIVE is not sent: the peer stays in OpenConfirm (RFC 4271 §8.2.2) and sends no routes.
    """
    try:
        async with asyncio.timeout(seconds):
            # The F bit: OpenBGPD drops what it keeps for a restarting speaker at an OPEN without it, and
            # preflight leaves forwarding as it is.
            await conversation.send(pack_open(peer, restarting=False, forwarding_preserved=True))
    except TimeoutError:
        return Opening(trouble=Trouble.SILENT, sentence="the peer does not read")
    except Ended as end:
        return Opening(trouble=end.trouble, sentence=str(end))
    return await hear(conversation, Opening(), seconds)


async def hear(conversation: Conversation, before: Opening, seconds: float) -> Opening:
    """Hear what comes after `before`, until the peer accepts, ends, or `seconds` are over."""
    heard = _Heard(before.message, before.body)
    try:
        async with asyncio.timeout(seconds):
            while not heard.accepted:
                heard.take(*await conversation.receive())
    except TimeoutError:
        what = "KEEPALIVE after the OPENs" if heard.body else "OPEN"
        return heard.opening(Trouble.SILENT, f"no {what} came within {seconds:g} s")
    except NotificationEnded as end:
        return heard.opening(notification=end.notification)
    except Ended as end:
        after = " after its OPEN" if heard.body and end.trouble is Trouble.CLOSED else ""
        return heard.opening(end.trouble, f"{end}{after}")
    return heard.opening()


@dataclass(slots=True)
class _Heard:
    """What has come so far."""

    message: OpenMessage | None = None
    body: bytes = b""
    accepted: bool = False

    def take(self, kind: MessageType, body: bytes) -> None:
        """One message; raises `Ended` when it has no place here."""
        if kind is MessageType.KEEPALIVE and self.body:
            self.accepted = True
            return
        if kind is not MessageType.OPEN or self.body:
            raise Ended(Trouble.MALFORMED, f"peer sent {kind.name} where it has no place (RFC 4271 §8.2.2)")
        self.body = body
        try:
            self.message = unpack_open(body)
        except ProtocolError as error:
            raise Ended(Trouble.MALFORMED, str(error)) from None

    def opening(
        self, trouble: Trouble | None = None, sentence: str = "", notification: Notification | None = None
    ) -> Opening:
        """The same, as it stays."""
        return Opening(self.message, self.body, self.accepted, notification, trouble, sentence)

"""What goes over the connections of a speaker, message by message, without disturbing them.

It is for what neither side tells: marks, lengths, and what a NOTIFICATION holds. Knows where messages begin
and end.
"""

import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from speaker.bgp.messages import (
    HEADER,
    MAX_EXTENDED_MESSAGE,
    Framer,
    MessageType,
    Notification,
    RefreshSubtype,
    unpack_notification,
)
from speaker.bgp.packing import pack_end_of_rib
from speaker.model.prefix import Family

OpenSocket = Callable[[socket.AddressFamily], socket.socket]
Message = tuple[MessageType, bytes]

_ENDS_OF_RIB = [pack_end_of_rib(family)[HEADER.size :] for family in Family]


@dataclass
class Direction:
    """The messages of one direction, of all connections one after the other."""

    messages: list[Message] = field(default_factory=list)

    def bodies(self, kind: MessageType) -> list[bytes]:
        """The bodies of all messages of a kind."""
        return [body for each, body in self.messages if each is kind]

    @property
    def notifications(self) -> list[Notification]:
        """Every NOTIFICATION."""
        return [unpack_notification(body) for body in self.bodies(MessageType.NOTIFICATION)]

    @property
    def refreshes(self) -> list[RefreshSubtype]:
        """Every ROUTE-REFRESH, by its subtype (RFC 7313 section 3.2)."""
        return [RefreshSubtype(body[2]) for body in self.bodies(MessageType.ROUTE_REFRESH)]

    @property
    def ends_of_rib(self) -> int:
        """How many End-of-RIB markers there are (RFC 4724 section 2)."""
        return sum(body in _ENDS_OF_RIB for body in self.bodies(MessageType.UPDATE))

    @property
    def longest(self) -> int:
        """The octets of the longest message."""
        return max((HEADER.size + len(body) for _, body in self.messages), default=0)

    @property
    def refreshed(self) -> int:
        """How many UPDATEs there are between the first begin of a refresh and its end (RFC 7313)."""
        marks = [
            (kind, body[2] if kind is MessageType.ROUTE_REFRESH else None) for kind, body in self.messages
        ]
        begin = marks.index((MessageType.ROUTE_REFRESH, RefreshSubtype.BEGIN))
        end = marks.index((MessageType.ROUTE_REFRESH, RefreshSubtype.END))
        return sum(kind is MessageType.UPDATE for kind, _ in marks[begin:end])


class Wire:
    """Both directions, as the speaker's sockets see them.

    Args:
        waits_for_the_peer: what the speaker dials lets none of its messages out until one has come over a
            connection that the peer has dialled.
    """

    def __init__(self, *, waits_for_the_peer: bool = False) -> None:
        self.sent = Direction()
        self.received = Direction()
        self.waits = waits_for_the_peer

    def around(self, open_socket: OpenSocket) -> OpenSocket:
        """The same sockets, overheard."""

        def opened(family: socket.AddressFamily) -> socket.socket:
            plain = open_socket(family)
            return _Overheard(self, plain)

        return opened


class _Overheard(socket.socket):
    """A socket that keeps a copy of what goes through it; so does what it accepts."""

    def __init__(self, wire: Wire, plain: socket.socket, *, accepted: bool = False) -> None:
        timeout = plain.gettimeout()
        super().__init__(plain.family, plain.type, plain.proto, fileno=plain.detach())
        self.settimeout(timeout)
        self._wire = wire
        self._accepted = accepted
        self._sending, self._receiving = _framer(), _framer()

    def accept(self) -> tuple[socket.socket, Any]:
        plain, name = super().accept()
        return _Overheard(self._wire, plain, accepted=True), name

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        data = super().recv(bufsize, flags)
        self._wire.received.messages += self._receiving.feed(data)
        if self._accepted:
            self._wire.waits = False
        return data

    def send(self, data: Any, flags: int = 0, /) -> int:
        if self._wire.waits and not self._accepted:
            raise BlockingIOError
        count = super().send(data, flags)
        self._wire.sent.messages += self._sending.feed(bytes(data)[:count])
        return count


def _framer() -> Framer:
    framer = Framer()
    framer.max_message = MAX_EXTENDED_MESSAGE
    return framer

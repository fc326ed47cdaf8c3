"""BGP messages as our own values, and the frame around them (RFC 4271 §4).

Knows the header, the codes of NOTIFICATION and the messages that need no codec. Must not know
exabgp, sockets or sessions.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Address

from speaker.model.prefix import Family
from speaker.model.route import PrefixPath, Route

HEADER = struct.Struct("!16sHB")
_ROUTE_REFRESH = struct.Struct("!HBB")
MARKER = b"\xff" * 16
MAX_MESSAGE = 4096
"""RFC 4271 §4.1."""

MAX_EXTENDED_MESSAGE = 65535
"""RFC 8654 §3, for all but OPEN and KEEPALIVE."""

AFI_SAFI = {Family.IPV4: (1, 1), Family.IPV6: (2, 1)}
FAMILY_OF_AFI_SAFI = {code: family for family, code in AFI_SAFI.items()}


class MessageType(IntEnum):
    """The message types of RFC 4271 §4.1 and RFC 2918."""

    OPEN = 1
    UPDATE = 2
    NOTIFICATION = 3
    KEEPALIVE = 4
    ROUTE_REFRESH = 5


# The shortest and longest of each type, header included (RFC 4271 §6.1, RFC 8654 §3, RFC 2918 §3). What is
# too long for a ROUTE-REFRESH has an error of its own (RFC 7313 §5).
_LENGTHS = {
    MessageType.OPEN: (29, MAX_MESSAGE),
    MessageType.UPDATE: (23, MAX_EXTENDED_MESSAGE),
    MessageType.NOTIFICATION: (21, MAX_EXTENDED_MESSAGE),
    MessageType.KEEPALIVE: (19, 19),
    MessageType.ROUTE_REFRESH: (23, MAX_EXTENDED_MESSAGE),
}


class RefreshSubtype(IntEnum):
    """The message subtypes of ROUTE-REFRESH (RFC 7313 §3.2)."""

    REQUEST = 0
    BEGIN = 1
    END = 2


class ErrorCode(IntEnum):
    """The error codes of NOTIFICATION (RFC 4271 §4.5, RFC 7313 §5, RFC 9687 §4)."""

    MESSAGE_HEADER = 1
    OPEN_MESSAGE = 2
    UPDATE_MESSAGE = 3
    HOLD_TIMER_EXPIRED = 4
    FINITE_STATE_MACHINE = 5
    CEASE = 6
    ROUTE_REFRESH = 7
    SEND_HOLD_TIMER_EXPIRED = 8


class Cease(IntEnum):
    """The subcodes of Cease (RFC 4486 §3, RFC 8538 §3, RFC 9384 §3)."""

    MAXIMUM_PREFIXES = 1
    ADMINISTRATIVE_SHUTDOWN = 2
    PEER_DECONFIGURED = 3
    ADMINISTRATIVE_RESET = 4
    CONNECTION_REJECTED = 5
    CONFIGURATION_CHANGE = 6
    COLLISION_RESOLUTION = 7
    HARD_RESET = 9
    BFD_DOWN = 10


@dataclass(frozen=True, slots=True)
class Notification:
    """A NOTIFICATION message (RFC 4271 §4.5)."""

    code: int
    subcode: int = 0
    data: bytes = b""

    def __str__(self) -> str:
        return f"{self.code}/{self.subcode}"

    @property
    def is_hard_reset(self) -> bool:
        """Whether it forbids to keep the routes (RFC 8538 §3)."""
        return (self.code, self.subcode) == (ErrorCode.CEASE, Cease.HARD_RESET)

    def as_hard_reset(self) -> "Notification":
        """The same inside a Hard Reset: "the encapsulated Notification message" (RFC 8538 §3.1)."""
        return Notification(ErrorCode.CEASE, Cease.HARD_RESET, bytes([self.code, self.subcode]) + self.data)

    @property
    def inner(self) -> "Notification":
        """What a Hard Reset carries; itself when it is none, or carries nothing."""
        if not self.is_hard_reset or len(self.data) < 2:
            return self
        return Notification(self.data[0], self.data[1], self.data[2:])


class ProtocolError(Exception):
    """The peer broke the protocol; `notification` is the answer that the RFC asks for.

    The text is one sentence for people; it may quote numbers from the wire, never raw strings.
    """

    def __init__(self, notification: Notification, reason: str) -> None:
        super().__init__(reason)
        self.notification = notification


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerGracefulRestart:
    """The graceful restart capability as the peer sent it (RFC 4724 §3).

    Attributes:
        restart_time_seconds: how long we should keep its routes while it is away.
        restarting: its R bit.
        notification: its N bit (RFC 8538 §2).
        families: the families whose forwarding state it can preserve; a mere helper names none.
        preserved: those of them with the F bit: the forwarding state was preserved indeed.
    """

    restart_time_seconds: int
    restarting: bool
    families: frozenset[Family]
    notification: bool = False
    preserved: frozenset[Family] = frozenset()


@dataclass(frozen=True, slots=True)
class LongLived:
    """One family of the long-lived graceful restart capability (RFC 9494 §3).

    Attributes:
        family: of the routes.
        preserved: its F bit.
        stale_seconds: how long the routes may be kept once the restart time is over, up to 16777215.
    """

    family: Family
    preserved: bool
    stale_seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenMessage:
    """An OPEN message (RFC 4271 §4.2) with the capabilities that we understand (RFC 5492).

    Attributes:
        asn: the AS number, from the capability of RFC 6793 when it is there.
        families: those of the multiprotocol capability; None when it was not sent at all.
        add_path_send: the families in which the peer can send several paths (RFC 7911 §4).
        add_path_receive: the families in which it can receive them.
        roles: each value of the role capability (RFC 9234 §4.1); more than one is an error.
    """

    asn: int
    hold_time_seconds: int
    router_id: IPv4Address
    families: frozenset[Family] | None = None
    four_octet_as: bool = False
    extended_next_hop: bool = False
    route_refresh: bool = False
    enhanced_route_refresh: bool = False
    extended_messages: bool = False
    add_path_send: frozenset[Family] = frozenset()
    add_path_receive: frozenset[Family] = frozenset()
    roles: frozenset[int] = frozenset()
    graceful_restart: PeerGracefulRestart | None = None
    long_lived: tuple[LongLived, ...] = ()


@dataclass(frozen=True, slots=True)
class RouteRefresh:
    """A ROUTE-REFRESH message (RFC 2918 §3, RFC 7313 §3.2)."""

    family: Family
    subtype: RefreshSubtype = RefreshSubtype.REQUEST


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateMessage:
    """What an UPDATE says of our families; `end_of_rib` is set for the marker of RFC 4724 §2."""

    advertised: tuple[Route, ...] = ()
    withdrawn: tuple[PrefixPath, ...] = ()
    end_of_rib: Family | None = None


class Framer:
    """Cuts a stream of bytes into messages and checks their headers (RFC 4271 §6.1).

    Attributes:
        max_message: the longest message that may come, in octets (RFC 8654).
    """

    def __init__(self) -> None:
        self.max_message = MAX_MESSAGE
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[MessageType, bytes]]:
        """Each complete message as its type and its body; a fragment waits for more.

        Raises:
            ProtocolError: the header is wrong; nothing after it can be understood.
        """
        buffer = self._buffer
        buffer += data
        start = 0
        try:
            while len(buffer) - start >= HEADER.size:
                marker, length, code = HEADER.unpack_from(buffer, start)
                kind = _checked_header(marker, length, code, self.max_message)
                end = start + length
                if len(buffer) < end:
                    return
                body = bytes(buffer[start + HEADER.size : end])
                start = end
                yield kind, body
        finally:
            del buffer[:start]


def _checked_header(marker: bytes, length: int, code: int, max_message: int) -> MessageType:
    if marker != MARKER:
        notification = Notification(ErrorCode.MESSAGE_HEADER, 1)
        raise ProtocolError(notification, "peer sent a header without the marker")
    if not HEADER.size <= length <= max_message:
        raise _bad_length(length)
    try:
        kind = MessageType(code)
    except ValueError:
        # "then the Error Subcode MUST be set to Bad Message Type. The Data field MUST contain the
        # erroneous Type field." (RFC 4271 §6.1)
        notification = Notification(ErrorCode.MESSAGE_HEADER, 3, bytes([code]))
        raise ProtocolError(notification, f"peer sent a message of unknown type {code}") from None
    shortest, longest = _LENGTHS[kind]
    if not shortest <= length <= longest:
        raise _bad_length(length)
    return kind


def _bad_length(length: int) -> ProtocolError:
    # "The Data field MUST contain the erroneous Length field." (RFC 4271 §6.1)
    notification = Notification(ErrorCode.MESSAGE_HEADER, 2, struct.pack("!H", length))
    return ProtocolError(notification, f"peer sent a message of unacceptable length {length}")


def pack_message(kind: MessageType, body: bytes = b"") -> bytes:
    """A message ready for the wire."""
    return HEADER.pack(MARKER, HEADER.size + len(body), kind) + body


KEEPALIVE = pack_message(MessageType.KEEPALIVE)


def pack_notification(notification: Notification) -> bytes:
    """A NOTIFICATION ready for the wire."""
    head = bytes([notification.code, notification.subcode])
    return pack_message(MessageType.NOTIFICATION, head + notification.data)


def unpack_notification(body: bytes) -> Notification:
    """The NOTIFICATION in `body`, whose length the header check has proven."""
    return Notification(body[0], body[1], body[2:])


def pack_route_refresh(family: Family, subtype: RefreshSubtype = RefreshSubtype.REQUEST) -> bytes:
    """A ROUTE-REFRESH: all routes of `family`, please, or here they begin or end (RFC 7313 §3.2)."""
    afi, safi = AFI_SAFI[family]
    return pack_message(MessageType.ROUTE_REFRESH, _ROUTE_REFRESH.pack(afi, subtype, safi))


def unpack_route_refresh(body: bytes, *, enhanced: bool) -> RouteRefresh | None:
    """The ROUTE-REFRESH in `body`; None when it means nothing to us.

    "If a BGP speaker receives from its peer a ROUTE-REFRESH message with the <AFI, SAFI> that the
    speaker didn't advertise to the peer at the session establishment time via capability
    advertisement, the speaker shall ignore such a message." (RFC 2918 §4)

    Args:
        body: the message without its header, of four octets or more.
        enhanced: whether RFC 7313 was negotiated; without it subtypes have no meaning.

    Raises:
        ProtocolError: it is too long.
    """
    afi, subtype, safi = _ROUTE_REFRESH.unpack_from(body)
    marks = enhanced and subtype in (RefreshSubtype.BEGIN, RefreshSubtype.END)
    if len(body) != _ROUTE_REFRESH.size:
        if not marks:
            raise _bad_length(HEADER.size + len(body))
        # "the Data field of the NOTIFICATION message MUST contain the complete ROUTE-REFRESH message"
        # (RFC 7313 §5)
        data = pack_message(MessageType.ROUTE_REFRESH, body)
        raise ProtocolError(Notification(ErrorCode.ROUTE_REFRESH, 1, data), "peer sent a long ROUTE-REFRESH")
    family = FAMILY_OF_AFI_SAFI.get((afi, safi))
    if family is None or not (marks or subtype == RefreshSubtype.REQUEST):
        return None
    return RouteRefresh(family, RefreshSubtype(subtype))


def prefix_limit_reached(family: Family, limit: int) -> Notification:
    """The Cease for a peer that sends too much, with the limit as its data (RFC 4486 §4)."""
    data = struct.pack("!HBL", *AFI_SAFI[family], limit)
    return Notification(ErrorCode.CEASE, Cease.MAXIMUM_PREFIXES, data)


def shutdown_communication(text: str) -> bytes:
    """The data of an administrative shutdown or reset: a length and UTF-8 (RFC 9003 §2)."""
    encoded = text.encode()[:255].decode(errors="ignore").encode()
    return bytes([len(encoded)]) + encoded if encoded else b""

"""Sentences for people about why a session ended or could not start; bounded, without control characters."""

import errno
import socket

from speaker.bgp.fsm_alphabet import Event
from speaker.bgp.messages import Cease, ErrorCode, Notification
from speaker.model.peer import Peer, SessionState
from speaker.sockets import describe

_LONGEST = 300

_MESSAGE_EVENTS = {
    Event.BGP_OPEN: "an OPEN",
    Event.KEEPALIVE_MSG: "a KEEPALIVE",
    Event.UPDATE_MSG: "an UPDATE",
    Event.ROUTE_REFRESH_MSG: "a ROUTE-REFRESH",
}

_CODES = {
    ErrorCode.MESSAGE_HEADER: "Message Header Error",
    ErrorCode.OPEN_MESSAGE: "OPEN Message Error",
    ErrorCode.UPDATE_MESSAGE: "UPDATE Message Error",
    ErrorCode.HOLD_TIMER_EXPIRED: "Hold Timer Expired",
    ErrorCode.FINITE_STATE_MACHINE: "Finite State Machine Error",
    ErrorCode.CEASE: "Cease",
    ErrorCode.ROUTE_REFRESH: "ROUTE-REFRESH Message Error",
    ErrorCode.SEND_HOLD_TIMER_EXPIRED: "Send Hold Timer Expired",
}

# RFC 4271 §4.5, RFC 5492 §3, RFC 6608 §4, RFC 4486 §3, RFC 8538 §3, RFC 9384 §3.
_SUBCODES = {
    (1, 1): "Connection Not Synchronized",
    (1, 2): "Bad Message Length",
    (1, 3): "Bad Message Type",
    (2, 1): "Unsupported Version Number",
    (2, 2): "Bad Peer AS",
    (2, 3): "Bad BGP Identifier",
    (2, 4): "Unsupported Optional Parameter",
    (2, 6): "Unacceptable Hold Time",
    (2, 7): "Unsupported Capability",
    (3, 1): "Malformed Attribute List",
    (3, 2): "Unrecognized Well-known Attribute",
    (3, 3): "Missing Well-known Attribute",
    (3, 4): "Attribute Flags Error",
    (3, 5): "Attribute Length Error",
    (3, 6): "Invalid ORIGIN Attribute",
    (3, 8): "Invalid NEXT_HOP Attribute",
    (3, 9): "Optional Attribute Error",
    (3, 10): "Invalid Network Field",
    (3, 11): "Malformed AS_PATH",
    (5, 1): "Unexpected Message in OpenSent State",
    (5, 2): "Unexpected Message in OpenConfirm State",
    (5, 3): "Unexpected Message in Established State",
    (6, 1): "Maximum Number of Prefixes Reached",
    (6, 2): "Administrative Shutdown",
    (6, 3): "Peer De-configured",
    (6, 4): "Administrative Reset",
    (6, 5): "Connection Rejected",
    (6, 6): "Other Configuration Change",
    (6, 7): "Connection Collision Resolution",
    (6, 8): "Out of Resources",
    (6, 9): "Hard Reset",
    (6, 10): "BFD Down",
}


def clean(text: str) -> str:
    """`text` without control characters, and not longer than a log line should be."""
    printable = "".join(character if character.isprintable() else " " for character in text[: 2 * _LONGEST])
    return printable if len(printable) <= _LONGEST else printable[: _LONGEST - 1] + "…"


def notification_received(notification: Notification) -> str:
    """What the peer said when it ended the session."""
    name = _CODES[ErrorCode(notification.code)] if notification.code in _CODES else "unknown code"
    detail = _SUBCODES.get((notification.code, notification.subcode))
    said = _communication(notification)
    return clean(
        f"peer sent NOTIFICATION {notification} ({name}{', ' + detail if detail else ''})"
        + (f': "{said}"' if said else "")
    )


def is_collision(notification: Notification) -> bool:
    """Whether the peer closed one of two connections (RFC 4271 §6.8)."""
    return (notification.code, notification.subcode) == (ErrorCode.CEASE, Cease.COLLISION_RESOLUTION)


def _communication(notification: Notification) -> str:
    """The shutdown communication (RFC 9003), "" when there is none that can be read."""
    shutdowns = (Cease.ADMINISTRATIVE_SHUTDOWN, Cease.ADMINISTRATIVE_RESET)
    if notification.code != ErrorCode.CEASE or notification.subcode not in shutdowns or not notification.data:
        return ""
    length = notification.data[0]
    return notification.data[1 : 1 + length].decode(errors="replace")


def with_notification_sent(reason: str, notification: Notification) -> str:
    """`reason`, with the NOTIFICATION that the peer got for it."""
    if not reason:
        name = _CODES[ErrorCode(notification.code)]
        detail = _SUBCODES.get((notification.code, notification.subcode))
        reason = f"session ended: {name}{', ' + detail if detail else ''}"
    return clean(f"{reason} (NOTIFICATION {notification} sent)")


def plain_reason(event: Event, state: SessionState, peer: Peer) -> str:
    """Why `event` ends something in `state`, where the event says it all; "" where it does not."""
    if event is Event.CONNECT_RETRY_TIMER_EXPIRES and state is SessionState.CONNECT:
        return no_answer(peer)
    if event is Event.HOLD_TIMER_EXPIRES:
        return "nothing was heard from the peer for the hold time"
    name = _MESSAGE_EVENTS.get(event)
    return f"peer sent {name} in state {state}" if name else ""


def no_answer(peer: Peer) -> str:
    """The TCP handshake got no answer; with TCP MD5 a wrong password looks like this too."""
    hint = (
        "unreachable, or the password differs" if peer.password else "unreachable, or it expects a password"
    )
    return f"no answer from {peer.address} port {peer.port} ({hint})"


def no_open(peer: Peer, seconds: float) -> str:
    """TCP is there, BGP is not: with TTL security on one side only, that is all there is to see."""
    hint = "" if peer.ttl_security_hops is None else "; it may not send with TTL 255, as TTL security asks"
    return f"connected to {peer.address}, but no OPEN came within {seconds:g} s{hint}"


def cannot_connect(peer: Peer, error: OSError) -> str:
    """The TCP handshake was refused, here or there."""
    where = f"cannot connect to {peer.address} port {peer.port}"
    if isinstance(error, ConnectionRefusedError):
        return f"{where}: connection refused (no BGP daemon listens there for this address)"
    if isinstance(error, socket.gaierror):
        return f"{where}: the address cannot be used"
    if error.errno == errno.EADDRNOTAVAIL and peer.source is not None:
        return f"{where}: {peer.source} is no address of this host"
    return clean(f"{where}: {describe(error)}")

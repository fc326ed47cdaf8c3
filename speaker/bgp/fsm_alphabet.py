"""What goes into the state machine and what comes out: events, timers and actions (RFC 4271 §8.1, §8.2).

Frozen values; the machine itself is in `fsm`.
"""

from dataclasses import dataclass
from enum import IntEnum, StrEnum

from speaker.bgp.messages import Notification


class Event(IntEnum):
    """The events of §8.1, with their numbers; those of later RFCs follow."""

    MANUAL_START = 1
    MANUAL_STOP = 2
    AUTOMATIC_START = 3
    AUTOMATIC_STOP = 8
    CONNECT_RETRY_TIMER_EXPIRES = 9
    HOLD_TIMER_EXPIRES = 10
    KEEPALIVE_TIMER_EXPIRES = 11
    IDLE_HOLD_TIMER_EXPIRES = 13
    TCP_CR_ACKED = 16
    TCP_CONNECTION_CONFIRMED = 17
    TCP_CONNECTION_FAILS = 18
    BGP_OPEN = 19
    BGP_HEADER_ERR = 21
    BGP_OPEN_MSG_ERR = 22
    OPEN_COLLISION_DUMP = 23
    NOTIF_MSG_VER_ERR = 24
    NOTIF_MSG = 25
    KEEPALIVE_MSG = 26
    UPDATE_MSG = 27
    UPDATE_MSG_ERR = 28
    SEND_HOLD_TIMER_EXPIRES = 29  # RFC 9687 §4
    ROUTE_REFRESH_MSG = 30  # RFC 2918 gives it no number
    STABLE_TIMER_EXPIRES = 31  # ours, for DampPeerOscillations


class Timer(StrEnum):
    """The timers of §8.1.3 (SendHoldTimer is the transport's), and ours for damping."""

    CONNECT_RETRY = "ConnectRetryTimer"
    HOLD = "HoldTimer"
    KEEPALIVE = "KeepaliveTimer"
    IDLE_HOLD = "IdleHoldTimer"
    STABLE = "StableTimer"


EXPIRY = {
    Timer.CONNECT_RETRY: Event.CONNECT_RETRY_TIMER_EXPIRES,
    Timer.HOLD: Event.HOLD_TIMER_EXPIRES,
    Timer.KEEPALIVE: Event.KEEPALIVE_TIMER_EXPIRES,
    Timer.IDLE_HOLD: Event.IDLE_HOLD_TIMER_EXPIRES,
    Timer.STABLE: Event.STABLE_TIMER_EXPIRES,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """An event with what came along.

    Attributes:
        hold_time_seconds: the negotiated hold time, with BGP_OPEN.
        notification: what to send with an error or a stop; None sends what the table says.
        received: the NOTIFICATION that the peer sent, with its two events.
        silent: with a stop, send no NOTIFICATION (graceful restart).
        pause_seconds: with a stop that is followed by a new start, the least time until then.
        reason: one sentence for people on why a connection ends.
    """

    event: Event
    hold_time_seconds: int = 0
    notification: Notification | None = None
    received: Notification | None = None
    silent: bool = False
    pause_seconds: float = 0.0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Dial:
    """Initiate a TCP connection to the peer."""


@dataclass(frozen=True, slots=True)
class SendOpen:
    """Send our OPEN."""


@dataclass(frozen=True, slots=True)
class SendKeepalive:
    """Send a KEEPALIVE."""


@dataclass(frozen=True, slots=True)
class SendNotification:
    """Send a NOTIFICATION; a `Disconnect` follows."""

    notification: Notification


@dataclass(frozen=True, slots=True)
class Disconnect:
    """Drop the TCP connection, or the attempt at one, after what is queued has been written."""


@dataclass(frozen=True, slots=True)
class StartTimer:
    """(Re)start a timer; `jitter` asks for the 0.75 to 1.0 of §10."""

    timer: Timer
    seconds: float
    jitter: bool = False


@dataclass(frozen=True, slots=True)
class StopTimer:
    """Stop a timer ("set to zero")."""

    timer: Timer


Action = Dial | SendOpen | SendKeepalive | SendNotification | Disconnect | StartTimer | StopTimer

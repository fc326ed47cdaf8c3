"""What BFD tells the daemon: events, and each session as it stands; the sentences in them are for people."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from speaker.bfd.packet import Discard, State


class BfdEventKind(StrEnum):
    """The kinds of event; the names are what logs show."""

    UP = "up"
    DOWN = "down"
    ADMIN_DOWN = "admin-down"


@dataclass(frozen=True, slots=True, kw_only=True)
class BfdEvent:
    """A session came up, or left Up.

    Attributes:
        peer: `Peer.name`.
        kind: DOWN means that the path or the peer has failed, and sessions over it should end. ADMIN_DOWN
            means that the peer has turned BFD off, or begins it anew, and nothing is known of the path: it
            "SHOULD NOT indicate a connectivity failure" (RFC 5882 §3.2).
        reason: one sentence.
        diagnostic: with DOWN, our diagnostic (RFC 5880 §4.1): 1 is silence, 3 the peer's own word.
    """

    peer: str
    kind: BfdEventKind
    reason: str
    diagnostic: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BfdStatus:
    """A session as it stands.

    Attributes:
        state: ours.
        remote_state: the peer's, as last heard.
        local_discriminator: ours.
        remote_discriminator: the peer's; zero when it is not heard.
        multihop: routers may stand between (RFC 5883).
        transmit_milliseconds: between our packets, before jitter; None when the peer asks for none.
        receive_milliseconds: between the peer's packets, before jitter; zero before its first.
        detection_milliseconds: how long the peer may be silent; zero before its first packet.
        diagnostic: why the session last went down, by the name of RFC 5880 §4.1.
        remote_diagnostic: the peer's.
        control_plane_independent: the peer's BFD outlives its control plane (C bit).
        changed_at: seconds since the epoch of the last change of state; None before the first.
        flaps: how many times a session that was Up went down by a failure.
        packets_in: how many packets were received.
        packets_out: how many were sent.
        discards: how many of the peer's packets broke a rule, by rule; only those that did.
        send_errors: how many packets the kernel did not take.
        last_send_error: why it did not take the last of these, or "" when the last packet was taken.
    """

    state: State
    remote_state: State
    local_discriminator: int
    remote_discriminator: int
    multihop: bool
    transmit_milliseconds: float | None
    receive_milliseconds: float
    detection_milliseconds: float
    diagnostic: str
    remote_diagnostic: str
    control_plane_independent: bool = False
    changed_at: float | None = None
    flaps: int = 0
    packets_in: int = 0
    packets_out: int = 0
    discards: Mapping[Discard, int] = field(default_factory=dict)
    send_errors: int = 0
    last_send_error: str = ""

"""The BFD control packet (RFC 5880 §4.1): its octets, and every rule by which one is discarded (§6.8.6).

Knows what can be told from a packet alone. Must not know sessions, sockets or time.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum, StrEnum

VERSION = 1
MANDATORY_LENGTH = 24
"""Octets of the mandatory section, which is all that we send."""

_AUTHENTICATED_LENGTH = 26
_LAYOUT = struct.Struct("!BBBBIIIII")

_POLL = 0x20
_FINAL = 0x10
_CONTROL_PLANE_INDEPENDENT = 0x08
_AUTHENTICATION = 0x04
_DEMAND = 0x02
_MULTIPOINT = 0x01


class State(IntEnum):
    """The states of a session, with their numbers on the wire (§4.1)."""

    ADMIN_DOWN = 0
    DOWN = 1
    INIT = 2
    UP = 3

    def __str__(self) -> str:
        return _STATE_NAMES[self]


_STATE_NAMES = {
    State.ADMIN_DOWN: "AdminDown",
    State.DOWN: "Down",
    State.INIT: "Init",
    State.UP: "Up",
}


class Diagnostic(IntEnum):
    """Why a session last left Up or Init (§4.1)."""

    NONE = 0
    DETECTION_TIME_EXPIRED = 1
    ECHO_FAILED = 2
    NEIGHBOR_SIGNALED_DOWN = 3
    FORWARDING_PLANE_RESET = 4
    PATH_DOWN = 5
    CONCATENATED_PATH_DOWN = 6
    ADMINISTRATIVELY_DOWN = 7
    REVERSE_CONCATENATED_PATH_DOWN = 8


_DIAGNOSTIC_NAMES = {
    Diagnostic.NONE: "No Diagnostic",
    Diagnostic.DETECTION_TIME_EXPIRED: "Control Detection Time Expired",
    Diagnostic.ECHO_FAILED: "Echo Function Failed",
    Diagnostic.NEIGHBOR_SIGNALED_DOWN: "Neighbor Signaled Session Down",
    Diagnostic.FORWARDING_PLANE_RESET: "Forwarding Plane Reset",
    Diagnostic.PATH_DOWN: "Path Down",
    Diagnostic.CONCATENATED_PATH_DOWN: "Concatenated Path Down",
    Diagnostic.ADMINISTRATIVELY_DOWN: "Administratively Down",
    Diagnostic.REVERSE_CONCATENATED_PATH_DOWN: "Reverse Concatenated Path Down",
}


def diagnostic_name(code: int) -> str:
    """What §4.1 calls a diagnostic; a peer may also send one of those that are reserved."""
    return _DIAGNOSTIC_NAMES[Diagnostic(code)] if code < len(_DIAGNOSTIC_NAMES) else f"diagnostic {code}"


class Discard(StrEnum):
    """Why a packet was not received; each is counted, and none is logged."""

    TOO_SHORT = "too-short"
    VERSION = "version"
    LENGTH = "length"
    DETECT_MULTIPLIER = "detect-multiplier-zero"
    MULTIPOINT = "multipoint"
    MY_DISCRIMINATOR = "my-discriminator-zero"
    NO_DISCRIMINATOR = "your-discriminator-zero"
    UNKNOWN_DISCRIMINATOR = "your-discriminator-unknown"
    AUTHENTICATION = "authentication"
    TTL = "ttl"
    SOURCE = "source"
    STRANGER = "stranger"
    PORT = "port"
    OVERRIDE = "your-discriminator-zero-while-up"


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlPacket:
    """The mandatory section; intervals are microseconds.

    Attributes:
        state: the sender's.
        my_discriminator: the sender's, never zero.
        your_discriminator: ours as the sender knows it, or zero.
        multiplier: the sender's Detect Mult, never zero.
        desired_min_tx: the least interval between packets that the sender wants to send.
        required_min_rx: the least interval that it can take; zero asks for no periodic packets.
        required_min_echo_rx: the same for echo packets; zero is a sender without echo.
        diagnostic: one of `Diagnostic`, or a reserved number below 32.
        poll: asks for a packet with `final`.
        final: answers a `poll`.
        control_plane_independent: the sender's BFD outlives its control plane.
        demand: the sender wants no periodic packets while both sides are Up.
    """

    state: State
    my_discriminator: int
    your_discriminator: int
    multiplier: int
    desired_min_tx: int
    required_min_rx: int
    required_min_echo_rx: int = 0
    diagnostic: int = Diagnostic.NONE
    poll: bool = False
    final: bool = False
    control_plane_independent: bool = False
    demand: bool = False

    def pack(self) -> bytes:
        """The 24 octets on the wire."""
        flags = (
            (_POLL if self.poll else 0)
            | (_FINAL if self.final else 0)
            | (_CONTROL_PLANE_INDEPENDENT if self.control_plane_independent else 0)
            | (_DEMAND if self.demand else 0)
        )
        return _LAYOUT.pack(
            VERSION << 5 | self.diagnostic,
            self.state << 6 | flags,
            self.multiplier,
            MANDATORY_LENGTH,
            self.my_discriminator,
            self.your_discriminator,
            self.desired_min_tx,
            self.required_min_rx,
            self.required_min_echo_rx,
        )


def unpack(data: bytes) -> ControlPacket | Discard:
    """The packet, or the first of the rules of §6.8.6 that it breaks.

    Which session it belongs to, if any, is for the caller; so is the TTL it came with.
    """
    if len(data) < MANDATORY_LENGTH:
        return Discard.TOO_SHORT
    first, second, multiplier, length, mine, yours, tx, rx, echo = _LAYOUT.unpack_from(data)
    broken = _broken_rule(first, second, multiplier, length, len(data), mine)
    if broken is not None:
        return broken
    state = _STATES[second >> 6]
    # "If the Your Discriminator field is zero and the State field is not Down or AdminDown, the packet
    # MUST be discarded."
    if not yours and state > State.DOWN:
        return Discard.NO_DISCRIMINATOR
    # "If the A bit is set and no authentication is in use (bfd.AuthType is zero), the packet MUST be
    # discarded."
    if second & _AUTHENTICATION:
        return Discard.AUTHENTICATION
    return ControlPacket(
        state=state,
        my_discriminator=mine,
        your_discriminator=yours,
        multiplier=multiplier,
        desired_min_tx=tx,
        required_min_rx=rx,
        required_min_echo_rx=echo,
        diagnostic=first & 0x1F,
        poll=bool(second & _POLL),
        final=bool(second & _FINAL),
        control_plane_independent=bool(second & _CONTROL_PLANE_INDEPENDENT),
        demand=bool(second & _DEMAND),
    )


_STATES = tuple(State)


def _broken_rule(
    first: int, second: int, multiplier: int, length: int, payload: int, mine: int
) -> Discard | None:
    """The rules up to the one on My Discriminator, in their order."""
    if first >> 5 != VERSION:
        return Discard.VERSION
    least = _AUTHENTICATED_LENGTH if second & _AUTHENTICATION else MANDATORY_LENGTH
    if not least <= length <= payload:
        return Discard.LENGTH
    if multiplier == 0:
        return Discard.DETECT_MULTIPLIER
    if second & _MULTIPOINT:
        return Discard.MULTIPOINT
    return Discard.MY_DISCRIMINATOR if mine == 0 else None

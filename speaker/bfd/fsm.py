"""The BFD session (RFC 5880 §6.2, §6.8), without sockets, clocks or tasks.

Packets and the end of the Detection Time go in, what must be sent comes out; intervals are microseconds.

Two rules:
1. Everything that affects the state is in this file, and `TRANSITIONS` is the whole of it: an event that
   is not in the table changes nothing.
2. This file does not know when packets are sent. Whoever runs it sends `octets()` at the
   `transmit_interval`, and calls `expire` when nothing was received for the `detection_time`.

Supported standards: RFC 5880 in asynchronous mode, in the active role, without authentication and echo.
A peer's demand mode (§6.6) is honoured; ours is never on. The C bit is never set: the event loop that
sends these packets is also that of the BGP sessions, and dies with them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from speaker.bfd.packet import ControlPacket, Diagnostic, State
from speaker.model.peer import BfdTimers

SLOW_INTERVAL = 1_000_000
"""The least bfd.DesiredMinTxInterval of a session that is not Up (§6.8.3)."""


class Event(IntEnum):
    """What can happen to a session; a received packet's event is its state's number."""

    ADMIN_DOWN_RECEIVED = 0
    DOWN_RECEIVED = 1
    INIT_RECEIVED = 2
    UP_RECEIVED = 3
    DETECTION_TIME_EXPIRES = 4
    DISABLE = 5
    ENABLE = 6


_RECEIVED = {state: Event(state) for state in State}
_SIGNALED = Diagnostic.NEIGHBOR_SIGNALED_DOWN
_EXPIRED = Diagnostic.DETECTION_TIME_EXPIRED

TRANSITIONS: Mapping[tuple[State, Event], tuple[State, Diagnostic | None]] = {
    (State.DOWN, Event.DOWN_RECEIVED): (State.INIT, None),
    (State.DOWN, Event.INIT_RECEIVED): (State.UP, Diagnostic.NONE),
    (State.DOWN, Event.DISABLE): (State.ADMIN_DOWN, Diagnostic.ADMINISTRATIVELY_DOWN),
    (State.INIT, Event.ADMIN_DOWN_RECEIVED): (State.DOWN, _SIGNALED),
    (State.INIT, Event.INIT_RECEIVED): (State.UP, Diagnostic.NONE),
    (State.INIT, Event.UP_RECEIVED): (State.UP, Diagnostic.NONE),
    (State.INIT, Event.DETECTION_TIME_EXPIRES): (State.DOWN, _EXPIRED),
    (State.INIT, Event.DISABLE): (State.ADMIN_DOWN, Diagnostic.ADMINISTRATIVELY_DOWN),
    (State.UP, Event.ADMIN_DOWN_RECEIVED): (State.DOWN, _SIGNALED),
    (State.UP, Event.DOWN_RECEIVED): (State.DOWN, _SIGNALED),
    (State.UP, Event.DETECTION_TIME_EXPIRES): (State.DOWN, _EXPIRED),
    (State.UP, Event.DISABLE): (State.ADMIN_DOWN, Diagnostic.ADMINISTRATIVELY_DOWN),
    (State.ADMIN_DOWN, Event.ENABLE): (State.DOWN, Diagnostic.NONE),
}
"""The whole machine (§6.2, §6.8.4, §6.8.6, §6.8.16): the next state, and the diagnostic if it changes."""


@dataclass(frozen=True, slots=True)
class Reaction:
    """What an event asks for.

    Attributes:
        old: the state before.
        new: the state now.
        send: the packet differs from the last one: send it at once, "in order to more rapidly communicate
            a change in state" (§6.8.7).
        answer: send a packet with Final at once.
    """

    old: State
    new: State
    send: bool
    answer: bool = False


class Fsm:
    """One session.

    Args:
        discriminator: ours, unique on this host and not zero.
        timers: as configured.
    """

    def __init__(self, discriminator: int, timers: BfdTimers) -> None:
        self.state = State.DOWN
        self.diagnostic = Diagnostic.NONE
        self.discriminator = discriminator
        self.remote_state = State.DOWN
        self.remote_diagnostic = 0
        self.remote_discriminator = 0
        self.remote_multiplier = 0
        self.remote_min_tx = 0
        # "This variable MUST be initialized to 1." (§6.8.1)
        self.remote_min_rx = 1
        self.remote_demand = False
        self.remote_independent = False
        self.polling = False
        self._timers = timers
        self._desired_min_tx, self._required_min_rx = self._wanted()
        # What counts here, which lags behind what is advertised while a Poll Sequence goes on (§6.8.3).
        self._transmit, self._receive = self._desired_min_tx, self._required_min_rx
        self._settled = True

    # -- events ------------------------------------------------------------------------------------

    def receive(self, packet: ControlPacket) -> Reaction:
        """A packet of this session that broke no rule of §6.8.6."""
        before = self._content()
        self._learn(packet)
        self._settle(packet)
        old = self._move(_RECEIVED[packet.state])
        self._advertise()
        return Reaction(old, self.state, self._content() != before, packet.poll)

    def expire(self) -> Reaction:
        """Nothing was received for the Detection Time (§6.8.4)."""
        # "If a period of a Detection Time passes without the receipt of a valid, authenticated BFD packet
        # from the remote system, this variable MUST be set to zero." (§6.8.1)
        before = self._content()
        self.remote_discriminator = 0
        self.remote_demand = False
        old = self._move(Event.DETECTION_TIME_EXPIRES)
        self._advertise()
        return Reaction(old, self.state, self._content() != before)

    def disable(self) -> Reaction:
        """The session ends by the will of an operator (§6.8.16)."""
        old = self._move(Event.DISABLE)
        self._advertise()
        return Reaction(old, self.state, send=old is not self.state)

    def enable(self) -> Reaction:
        """The opposite of `disable`."""
        old = self._move(Event.ENABLE)
        self._advertise()
        return Reaction(old, self.state, send=old is not self.state)

    def configure(self, timers: BfdTimers) -> Reaction:
        """Other timers: a session that is Up stays Up, and tells the peer by a Poll Sequence (§6.8.3)."""
        before = self._content()
        self._timers = timers
        self._advertise()
        return Reaction(self.state, self.state, self._content() != before)

    # -- what follows from the state ---------------------------------------------------------------

    @property
    def transmit_interval(self) -> int | None:
        """Between periodic packets, before jitter (§6.8.2); None when none may be sent (§6.8.7)."""
        if self.remote_min_rx == 0 or (self._is_peer_demanding() and not self.polling):
            return None
        return max(self._transmit, self.remote_min_rx)

    @property
    def detection_time(self) -> int:
        """How long the peer may be silent (§6.8.4); zero before its first packet."""
        return self.remote_multiplier * max(self._receive, self.remote_min_tx)

    @property
    def multiplier(self) -> int:
        """Our Detect Mult. A change needs no Poll Sequence (§6.8.12)."""
        return self._timers.multiplier

    def octets(self, *, final: bool = False) -> bytes:
        """The packet to send (§6.8.7), periodic or in answer to a Poll."""
        return ControlPacket(
            state=self.state,
            my_discriminator=self.discriminator,
            your_discriminator=self.remote_discriminator,
            multiplier=self._timers.multiplier,
            desired_min_tx=self._desired_min_tx,
            required_min_rx=self._required_min_rx,
            diagnostic=self.diagnostic,
            # "MUST NOT be set" together: a Final is no Poll (§6.5).
            poll=self.polling and not final,
            final=final,
        ).pack()

    def _content(self) -> tuple[int, ...]:
        """What makes packets differ, "other than the Poll and Final bits" (§6.8.7)."""
        return (
            self.state,
            self.diagnostic,
            self.remote_discriminator,
            self._timers.multiplier,
            self._desired_min_tx,
            self._required_min_rx,
        )

    def _is_peer_demanding(self) -> bool:
        both_up = self.state is State.UP and self.remote_state is State.UP
        return self.remote_demand and both_up

    # -- the peer's words --------------------------------------------------------------------------

    def _learn(self, packet: ControlPacket) -> None:
        self.remote_discriminator = packet.my_discriminator
        self.remote_state = packet.state
        self.remote_diagnostic = packet.diagnostic
        self.remote_multiplier = packet.multiplier
        self.remote_min_tx = packet.desired_min_tx
        self.remote_min_rx = packet.required_min_rx
        self.remote_demand = packet.demand
        self.remote_independent = packet.control_plane_independent

    def _settle(self, packet: ControlPacket) -> None:
        """Ends a Poll Sequence; what it asked for counts from now on (§6.5, §6.8.3)."""
        if not packet.final:
            self._settled = True
        elif self.polling:
            self.polling = False
            # Another one waits for "an additional BFD Control packet with the Final (F) bit clear".
            self._settled = False
            self._transmit, self._receive = self._desired_min_tx, self._required_min_rx

    def _move(self, event: Event) -> State:
        """Makes the transition; the answer is the state before."""
        old = self.state
        self.state, diagnostic = TRANSITIONS.get((old, event), (old, None))
        if diagnostic is not None:
            self.diagnostic = diagnostic
        if old is State.UP and self.state is not State.UP:
            # The slow interval counts at once, and what was to be told by polling goes with each packet.
            self.polling, self._settled = False, True
        return old

    # -- our words ---------------------------------------------------------------------------------

    def _wanted(self) -> tuple[int, int]:
        transmit = self._timers.transmit_milliseconds * 1000
        if self.state is not State.UP:
            transmit = max(transmit, SLOW_INTERVAL)
        return transmit, self._timers.receive_milliseconds * 1000

    def _advertise(self) -> None:
        """Brings what is advertised to what is wanted, by a Poll Sequence while Up (§6.8.3)."""
        wanted = self._wanted()
        if wanted == (self._desired_min_tx, self._required_min_rx):
            # Outside Up there is no Poll Sequence to wait for.
            if self.state is not State.UP:
                self._transmit, self._receive = wanted
            return
        if self.state is not State.UP:
            self._desired_min_tx, self._required_min_rx = self._transmit, self._receive = wanted
            return
        # "if multiple changes are made that require the use of a Poll Sequence" one follows the other.
        if self.polling or not self._settled:
            return
        self._desired_min_tx, self._required_min_rx = wanted
        self.polling = True
        # "If bfd.DesiredMinTxInterval is increased and bfd.SessionState is Up, the actual transmission
        # interval used MUST NOT change until the Poll Sequence described above has terminated."
        self._transmit = min(self._transmit, self._desired_min_tx)
        # "If bfd.RequiredMinRxInterval is reduced and bfd.SessionState is Up, the previous value [...]
        # MUST be used when calculating the Detection Time [...] until the Poll Sequence [...] terminated."
        self._receive = max(self._receive, self._required_min_rx)

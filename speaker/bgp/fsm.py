"""The BGP finite state machine (RFC 4271 §8.2.2), without sockets, clocks or tasks.

Events go in by `handle`, actions come out as values, in the order in which they must be done.

Two rules:
1. Everything that affects the state is in this file, and `TRANSITIONS` is the whole of it: what is not in
   the table is "any other event" of its state (`_OTHERWISE`).
2. This file does not know what is in a message. Whoever feeds it decides whether an OPEN or an UPDATE is
   valid, and which of two colliding connections goes (§6.8).

As §8.2.1 has it, each machine has at most one TCP connection; a second connection of the same peer has a
machine of its own until one of them is dumped.

Supported standards: RFC 4271 §8, RFC 4724 §5 (by the session), RFC 6608 (subcodes of FSM errors),
RFC 9687 (send hold timer). Optional attributes of §8.1.1: AllowAutomaticStart, DampPeerOscillations,
PassiveTcpEstablishment and TrackTcpState are TRUE, the others FALSE.
"""

from collections.abc import Callable, Mapping

from speaker.bgp.fsm_alphabet import (
    Action,
    Dial,
    Disconnect,
    Event,
    Occurrence,
    SendKeepalive,
    SendNotification,
    SendOpen,
    StartTimer,
    StopTimer,
    Timer,
)
from speaker.bgp.messages import Cease, ErrorCode, Notification
from speaker.model.peer import SessionState

LARGE_HOLD_SECONDS = 240.0
"""HoldTimer before the OPEN of the peer: "A HoldTimer value of 4 minutes is suggested" (§8.2.2)."""

CONNECT_SECONDS = 5.0
"""How long one attempt to connect may take; the kernel sends three SYNs meanwhile."""

FIRST_PAUSE_SECONDS = 0.5
"""The first pause after a failure; each further one is twice as long, up to the configured."""

STABLE_SECONDS = 10.0
"""A session that lasted this long forgets earlier failures."""


class Fsm:
    """One machine.

    Args:
        passive: never dial (PassiveTcpEstablishment).
        keepalive_seconds: the KEEPALIVE interval; None is a third of the negotiated hold time.
        connect_retry_seconds: the longest pause between attempts.
        open_seconds: HoldTimer before the OPEN of the peer.
        state: where it starts; a machine for an incoming connection starts in Active.
        connect_retry_counter: how many attempts have failed in a row.
    """

    def __init__(
        self,
        *,
        passive: bool = False,
        keepalive_seconds: int | None = None,
        connect_retry_seconds: float = 30.0,
        open_seconds: float = LARGE_HOLD_SECONDS,
        state: SessionState = SessionState.IDLE,
        connect_retry_counter: int = 0,
    ) -> None:
        self.state = state
        self.connect_retry_counter = connect_retry_counter
        # These three may change under a running session: it acts on them when it next looks.
        self.passive = passive
        self.keepalive_seconds = keepalive_seconds
        self.connect_retry_seconds = connect_retry_seconds
        self._open_seconds = open_seconds
        self._hold_time = 0
        self._actions: list[Action] = []

    def handle(self, occurrence: Occurrence) -> list[Action]:
        """Makes the transition for an event; the actions are to be done in order."""
        self._actions = []
        transition = TRANSITIONS.get((self.state, occurrence.event), _OTHERWISE[self.state])
        transition(self, occurrence)
        return self._actions

    def _do(self, *actions: Action) -> None:
        self._actions.extend(actions)

    # -- starting and waiting ----------------------------------------------------------------------

    def ignore(self, _occurrence: Occurrence) -> None:
        """The event changes nothing here."""

    def start(self, _occurrence: Occurrence) -> None:
        """Idle: initiate a connection, or listen for one (Events 1, 3 to 5)."""
        self._do(StopTimer(Timer.IDLE_HOLD))
        if self.passive:
            self.state = SessionState.ACTIVE
        else:
            self._dial()

    def _dial(self) -> None:
        self.state = SessionState.CONNECT
        seconds = min(CONNECT_SECONDS, self.connect_retry_seconds)
        self._do(StartTimer(Timer.CONNECT_RETRY, seconds), Dial())

    def redial(self, _occurrence: Occurrence) -> None:
        """Connect, Event 9: give this attempt up and begin another; "stays in the Connect state"."""
        self.connect_retry_counter += 1
        self._do(Disconnect())
        self._dial()

    def dial_again(self, _occurrence: Occurrence) -> None:
        """Active, Event 9: "initiates a TCP connection [...] and changes its state to Connect"."""
        if not self.passive:
            self._dial()

    def wait_to_retry(self, _occurrence: Occurrence) -> None:
        """Connect or OpenSent, Event 18: back to Active, where the peer's connections are welcome.

        For Connect §8.2.2 asks this only while the DelayOpenTimer runs, and Idle otherwise. Idle would
        refuse a peer that dials us while we cannot reach it, so every router waits in Active.
        """
        self._do(Disconnect(), StopTimer(Timer.HOLD))
        self.state = SessionState.ACTIVE
        if not self.passive:
            self._do(StartTimer(Timer.CONNECT_RETRY, self._pause(), jitter=True))
        self.connect_retry_counter += 1

    def _pause(self) -> float:
        """The pause before the next attempt: exponential, bounded."""
        doubled = FIRST_PAUSE_SECONDS * 2.0 ** min(self.connect_retry_counter, 16)
        return min(doubled, self.connect_retry_seconds)

    def open_connection(self, _occurrence: Occurrence) -> None:
        """Connect or Active, Events 16 and 17: the TCP connection succeeded."""
        self._do(
            StopTimer(Timer.CONNECT_RETRY),
            SendOpen(),
            StartTimer(Timer.HOLD, self._open_seconds),
        )
        self.state = SessionState.OPEN_SENT

    # -- opening -----------------------------------------------------------------------------------

    def confirm(self, occurrence: Occurrence) -> None:
        """OpenSent, Event 19: the OPEN of the peer is acceptable."""
        self._hold_time = occurrence.hold_time_seconds
        self._do(SendKeepalive())
        self._start_keepalive_timer()
        self._restart_hold_timer()
        self.state = SessionState.OPEN_CONFIRM

    def establish(self, _occurrence: Occurrence) -> None:
        """OpenConfirm, Event 26: restarts the HoldTimer; the session is established."""
        self._restart_hold_timer()
        self._do(StartTimer(Timer.STABLE, STABLE_SECONDS))
        self.state = SessionState.ESTABLISHED

    def _restart_hold_timer(self) -> None:
        # "If the negotiated Hold Time value is zero, then the HoldTimer and KeepaliveTimer are not
        # started." (§4.2, §8.2.2)
        if self._hold_time:
            self._do(StartTimer(Timer.HOLD, self._hold_time))
        else:
            self._do(StopTimer(Timer.HOLD))

    def _start_keepalive_timer(self) -> None:
        if not self._hold_time:
            return
        # "A reasonable maximum time between KEEPALIVE messages would be one third of the Hold Time
        # interval." (§4.4)
        seconds = self._hold_time / 3
        if self.keepalive_seconds:
            seconds = min(seconds, self.keepalive_seconds)
        self._do(StartTimer(Timer.KEEPALIVE, seconds, jitter=True))

    # -- running -----------------------------------------------------------------------------------

    def keep_alive(self, _occurrence: Occurrence) -> None:
        """OpenConfirm and Established, Event 11: "sends a KEEPALIVE message, restarts the timer"."""
        self._do(SendKeepalive())
        self._start_keepalive_timer()

    def heard(self, _occurrence: Occurrence) -> None:
        """Established, Events 26 and 27: the peer is alive, whatever our own sending does."""
        self._restart_hold_timer()

    def settled(self, _occurrence: Occurrence) -> None:
        """The session has lasted: earlier failures no longer count."""
        self.connect_retry_counter = 0

    # -- ending ------------------------------------------------------------------------------------

    def stop(self, occurrence: Occurrence) -> None:
        """Event 2: an operator, or the end of the process, stops the session for good."""
        default = Notification(ErrorCode.CEASE, Cease.ADMINISTRATIVE_SHUTDOWN)
        if self.state in _SPEAKING and not occurrence.silent:
            self._do(SendNotification(occurrence.notification or default))
        self._release()
        self.connect_retry_counter = 0

    def stop_and_retry(self, occurrence: Occurrence) -> None:
        """Event 8: we end the session ourselves and come back."""
        default = Notification(ErrorCode.CEASE, Cease.CONFIGURATION_CHANGE)
        if self.state in _SPEAKING and not occurrence.silent:
            self._do(SendNotification(occurrence.notification or default))
        self._release_and_retry(occurrence.pause_seconds)

    def dump(self, _occurrence: Occurrence) -> None:
        """Event 23: another connection of the same peer won; its machine goes on, this one does not."""
        if self.state in _SPEAKING:
            notification = Notification(ErrorCode.CEASE, Cease.COLLISION_RESOLUTION)
            self._do(SendNotification(notification))
        self._release()

    def reject(self, occurrence: Occurrence) -> None:
        """Events 21, 22, 28 and 29: something was wrong; `notification` says what."""
        if occurrence.notification is not None:
            self._do(SendNotification(occurrence.notification))
        self._release_and_retry()

    def hold_expired(self, _occurrence: Occurrence) -> None:
        """Event 10: "sends a NOTIFICATION message with the error code Hold Timer Expired"."""
        self._do(SendNotification(Notification(ErrorCode.HOLD_TIMER_EXPIRED)))
        self._release_and_retry()

    def lost(self, _occurrence: Occurrence) -> None:
        """Events 18, 24 and 25: the connection is gone, or the peer has said that it is."""
        self._release_and_retry()

    def unexpected(self, _occurrence: Occurrence) -> None:
        """Any other event: "sends the NOTIFICATION with the Error Code Finite State Machine Error".

        The subcode names the state (RFC 6608 §3).
        """
        subcode = _SPEAKING[self.state]
        self._do(SendNotification(Notification(ErrorCode.FINITE_STATE_MACHINE, subcode)))
        self._release_and_retry()

    def unexpected_while_connecting(self, _occurrence: Occurrence) -> None:
        """Connect and Active, "any other event": nothing can be sent yet."""
        self._release_and_retry()

    def _release(self) -> None:
        """All timers off, "releases all BGP resources, drops the TCP connection", and Idle."""
        self._do(*(StopTimer(timer) for timer in Timer), Disconnect())
        self.state = SessionState.IDLE

    def _release_and_retry(self, least_pause: float = 0.0) -> None:
        self._release()
        self._do(StartTimer(Timer.IDLE_HOLD, max(self._pause(), least_pause), jitter=True))
        # "increments the ConnectRetryCounter by 1"
        self.connect_retry_counter += 1


# The states that have a TCP connection to send on, with the subcode of RFC 6608 for an unexpected message.
_SPEAKING: Mapping[SessionState, int] = {
    SessionState.OPEN_SENT: 1,
    SessionState.OPEN_CONFIRM: 2,
    SessionState.ESTABLISHED: 3,
}

Transition = Callable[[Fsm, Occurrence], None]

_OTHERWISE: Mapping[SessionState, Transition] = {
    # Idle: any other event "does not cause change in the state".
    SessionState.IDLE: Fsm.ignore,
    SessionState.CONNECT: Fsm.unexpected_while_connecting,
    SessionState.ACTIVE: Fsm.unexpected_while_connecting,
    SessionState.OPEN_SENT: Fsm.unexpected,
    SessionState.OPEN_CONFIRM: Fsm.unexpected,
    SessionState.ESTABLISHED: Fsm.unexpected,
}


def _in_states(
    states: tuple[SessionState, ...], rows: Mapping[Event, Transition]
) -> dict[tuple[SessionState, Event], Transition]:
    return {(state, event): transition for state in states for event, transition in rows.items()}


_BUSY = tuple(state for state in SessionState if state is not SessionState.IDLE)

TRANSITIONS: Mapping[tuple[SessionState, Event], Transition] = {
    **_in_states(
        (SessionState.IDLE,),
        {
            Event.MANUAL_START: Fsm.start,
            Event.AUTOMATIC_START: Fsm.start,
            Event.IDLE_HOLD_TIMER_EXPIRES: Fsm.start,
            Event.MANUAL_STOP: Fsm.stop,
        },
    ),
    **_in_states(
        _BUSY,
        {
            # "The start events (Events 1, 3-7) are ignored" in every state but Idle.
            Event.MANUAL_START: Fsm.ignore,
            Event.AUTOMATIC_START: Fsm.ignore,
            Event.MANUAL_STOP: Fsm.stop,
            Event.AUTOMATIC_STOP: Fsm.stop_and_retry,
            Event.OPEN_COLLISION_DUMP: Fsm.dump,
        },
    ),
    **_in_states(
        (SessionState.CONNECT, SessionState.ACTIVE),
        {
            Event.TCP_CR_ACKED: Fsm.open_connection,
            Event.TCP_CONNECTION_CONFIRMED: Fsm.open_connection,
            Event.TCP_CONNECTION_FAILS: Fsm.wait_to_retry,
        },
    ),
    (SessionState.CONNECT, Event.CONNECT_RETRY_TIMER_EXPIRES): Fsm.redial,
    (SessionState.ACTIVE, Event.CONNECT_RETRY_TIMER_EXPIRES): Fsm.dial_again,
    **_in_states(
        (SessionState.OPEN_SENT, SessionState.OPEN_CONFIRM, SessionState.ESTABLISHED),
        {
            Event.HOLD_TIMER_EXPIRES: Fsm.hold_expired,
            Event.BGP_HEADER_ERR: Fsm.reject,
            Event.SEND_HOLD_TIMER_EXPIRES: Fsm.reject,
            Event.NOTIF_MSG_VER_ERR: Fsm.lost,
            # In OpenSent §8.2.2 would answer a NOTIFICATION with one, which §6.4 forbids: "the receiver
            # cannot use a NOTIFICATION message to report this error back to the peer".
            Event.NOTIF_MSG: Fsm.lost,
        },
    ),
    (SessionState.OPEN_SENT, Event.BGP_OPEN): Fsm.confirm,
    (SessionState.OPEN_SENT, Event.BGP_OPEN_MSG_ERR): Fsm.reject,
    (SessionState.OPEN_SENT, Event.TCP_CONNECTION_FAILS): Fsm.wait_to_retry,
    (SessionState.OPEN_CONFIRM, Event.KEEPALIVE_TIMER_EXPIRES): Fsm.keep_alive,
    (SessionState.OPEN_CONFIRM, Event.TCP_CONNECTION_FAILS): Fsm.lost,
    (SessionState.OPEN_CONFIRM, Event.KEEPALIVE_MSG): Fsm.establish,
    (SessionState.ESTABLISHED, Event.KEEPALIVE_TIMER_EXPIRES): Fsm.keep_alive,
    (SessionState.ESTABLISHED, Event.TCP_CONNECTION_FAILS): Fsm.lost,
    (SessionState.ESTABLISHED, Event.KEEPALIVE_MSG): Fsm.heard,
    (SessionState.ESTABLISHED, Event.UPDATE_MSG): Fsm.heard,
    (SessionState.ESTABLISHED, Event.UPDATE_MSG_ERR): Fsm.reject,
    (SessionState.ESTABLISHED, Event.ROUTE_REFRESH_MSG): Fsm.heard,
    (SessionState.ESTABLISHED, Event.STABLE_TIMER_EXPIRES): Fsm.settled,
}
"""The whole machine: what each event does in each state."""

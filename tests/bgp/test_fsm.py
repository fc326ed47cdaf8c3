"""The state machine against RFC 4271 §8.2.2."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speaker.bgp.fsm import TRANSITIONS, Fsm
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
from speaker.bgp.messages import Notification
from speaker.model.peer import SessionState as State

WAY = {
    State.IDLE: (),
    State.CONNECT: (Event.MANUAL_START,),
    State.ACTIVE: (Event.MANUAL_START, Event.TCP_CONNECTION_FAILS),
    State.OPEN_SENT: (Event.MANUAL_START, Event.TCP_CR_ACKED),
    State.OPEN_CONFIRM: (Event.MANUAL_START, Event.TCP_CR_ACKED, Event.BGP_OPEN),
    State.ESTABLISHED: (Event.MANUAL_START, Event.TCP_CR_ACKED, Event.BGP_OPEN, Event.KEEPALIVE_MSG),
}
BAD_UPDATE = Notification(3, 1)


def machine(state: State, **arguments: object) -> Fsm:
    """A machine that went to `state` the usual way."""
    fsm = Fsm(**arguments)  # type: ignore[arg-type]
    for event in WAY[state]:
        feed(fsm, event)
    assert fsm.state is state
    return fsm


def feed(fsm: Fsm, event: Event, hold_time: int = 90) -> list[Action]:
    return fsm.handle(Occurrence(event=event, hold_time_seconds=hold_time, notification=BAD_UPDATE))


def notifications(actions: list[Action]) -> list[str]:
    return [str(action.notification) for action in actions if isinstance(action, SendNotification)]


@pytest.mark.parametrize(
    ("state", "event", "new", "sent"),
    [
        (State.IDLE, Event.MANUAL_START, State.CONNECT, []),
        (State.IDLE, Event.IDLE_HOLD_TIMER_EXPIRES, State.CONNECT, []),
        (State.IDLE, Event.TCP_CONNECTION_FAILS, State.IDLE, []),
        (State.IDLE, Event.BGP_OPEN, State.IDLE, []),
        (State.CONNECT, Event.MANUAL_START, State.CONNECT, []),
        (State.CONNECT, Event.MANUAL_STOP, State.IDLE, []),
        (State.CONNECT, Event.CONNECT_RETRY_TIMER_EXPIRES, State.CONNECT, []),
        (State.CONNECT, Event.TCP_CR_ACKED, State.OPEN_SENT, []),
        (State.CONNECT, Event.TCP_CONNECTION_CONFIRMED, State.OPEN_SENT, []),
        (State.CONNECT, Event.TCP_CONNECTION_FAILS, State.ACTIVE, []),
        (State.CONNECT, Event.UPDATE_MSG, State.IDLE, []),
        (State.ACTIVE, Event.CONNECT_RETRY_TIMER_EXPIRES, State.CONNECT, []),
        (State.ACTIVE, Event.TCP_CONNECTION_CONFIRMED, State.OPEN_SENT, []),
        (State.ACTIVE, Event.MANUAL_STOP, State.IDLE, []),
        (State.OPEN_SENT, Event.BGP_OPEN, State.OPEN_CONFIRM, []),
        (State.OPEN_SENT, Event.BGP_OPEN_MSG_ERR, State.IDLE, ["3/1"]),
        (State.OPEN_SENT, Event.BGP_HEADER_ERR, State.IDLE, ["3/1"]),
        (State.OPEN_SENT, Event.HOLD_TIMER_EXPIRES, State.IDLE, ["4/0"]),
        (State.OPEN_SENT, Event.TCP_CONNECTION_FAILS, State.ACTIVE, []),
        (State.OPEN_SENT, Event.KEEPALIVE_MSG, State.IDLE, ["5/1"]),
        (State.OPEN_SENT, Event.UPDATE_MSG, State.IDLE, ["5/1"]),
        (State.OPEN_SENT, Event.ROUTE_REFRESH_MSG, State.IDLE, ["5/1"]),
        (State.OPEN_SENT, Event.NOTIF_MSG, State.IDLE, []),
        (State.OPEN_SENT, Event.NOTIF_MSG_VER_ERR, State.IDLE, []),
        (State.OPEN_SENT, Event.OPEN_COLLISION_DUMP, State.IDLE, ["6/7"]),
        (State.OPEN_SENT, Event.AUTOMATIC_STOP, State.IDLE, ["3/1"]),
        (State.OPEN_CONFIRM, Event.KEEPALIVE_MSG, State.ESTABLISHED, []),
        (State.OPEN_CONFIRM, Event.KEEPALIVE_TIMER_EXPIRES, State.OPEN_CONFIRM, []),
        (State.OPEN_CONFIRM, Event.TCP_CONNECTION_FAILS, State.IDLE, []),
        (State.OPEN_CONFIRM, Event.HOLD_TIMER_EXPIRES, State.IDLE, ["4/0"]),
        (State.OPEN_CONFIRM, Event.BGP_OPEN, State.IDLE, ["5/2"]),
        (State.OPEN_CONFIRM, Event.UPDATE_MSG, State.IDLE, ["5/2"]),
        (State.OPEN_CONFIRM, Event.OPEN_COLLISION_DUMP, State.IDLE, ["6/7"]),
        (State.ESTABLISHED, Event.KEEPALIVE_MSG, State.ESTABLISHED, []),
        (State.ESTABLISHED, Event.UPDATE_MSG, State.ESTABLISHED, []),
        (State.ESTABLISHED, Event.ROUTE_REFRESH_MSG, State.ESTABLISHED, []),
        (State.ESTABLISHED, Event.KEEPALIVE_TIMER_EXPIRES, State.ESTABLISHED, []),
        (State.ESTABLISHED, Event.HOLD_TIMER_EXPIRES, State.IDLE, ["4/0"]),
        (State.ESTABLISHED, Event.SEND_HOLD_TIMER_EXPIRES, State.IDLE, ["3/1"]),
        (State.ESTABLISHED, Event.UPDATE_MSG_ERR, State.IDLE, ["3/1"]),
        (State.ESTABLISHED, Event.BGP_OPEN, State.IDLE, ["5/3"]),
        (State.ESTABLISHED, Event.CONNECT_RETRY_TIMER_EXPIRES, State.IDLE, ["5/3"]),
        (State.ESTABLISHED, Event.NOTIF_MSG, State.IDLE, []),
        (State.ESTABLISHED, Event.TCP_CONNECTION_FAILS, State.IDLE, []),
        (State.ESTABLISHED, Event.MANUAL_STOP, State.IDLE, ["3/1"]),
    ],
)
def test_transition(state: State, event: Event, new: State, sent: list[str]) -> None:
    fsm = machine(state)

    actions = feed(fsm, event)

    assert (new, sent) == (fsm.state, notifications(actions))


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("event", Event)
def test_every_event_has_an_answer_in_every_state(state: State, event: Event) -> None:
    actions = feed(machine(state), event)

    if notifications(actions):
        last_word = next(i for i, action in enumerate(actions) if isinstance(action, SendNotification))
        assert Disconnect() in actions[last_word:], "a NOTIFICATION ends the connection"


def test_a_stop_sends_cease_unless_it_is_silent() -> None:
    loud = machine(State.ESTABLISHED).handle(Occurrence(event=Event.MANUAL_STOP))
    silent = machine(State.ESTABLISHED).handle(Occurrence(event=Event.MANUAL_STOP, silent=True))

    assert (["6/2"], []) == (notifications(loud), notifications(silent))
    assert Disconnect() in silent


def test_a_passive_machine_waits_and_never_dials() -> None:
    fsm = Fsm(passive=True)

    actions = feed(fsm, Event.MANUAL_START)

    assert fsm.state is State.ACTIVE
    assert Dial() not in actions
    assert not [action for action in actions if isinstance(action, StartTimer)]


def test_the_open_starts_with_a_hold_time_of_four_minutes() -> None:
    actions = feed(machine(State.CONNECT), Event.TCP_CR_ACKED)

    assert SendOpen() in actions
    assert StartTimer(Timer.HOLD, 240.0) in actions


def test_keepalives_go_at_a_third_of_the_negotiated_hold_time() -> None:
    actions = feed(machine(State.OPEN_SENT), Event.BGP_OPEN, hold_time=9)

    assert SendKeepalive() in actions
    assert StartTimer(Timer.KEEPALIVE, 3.0, jitter=True) in actions
    assert StartTimer(Timer.HOLD, 9) in actions


def test_a_configured_keepalive_interval_never_exceeds_a_third_of_the_hold_time() -> None:
    often = feed(machine(State.OPEN_SENT, keepalive_seconds=1), Event.BGP_OPEN, hold_time=9)
    seldom = feed(machine(State.OPEN_SENT, keepalive_seconds=60), Event.BGP_OPEN, hold_time=9)

    assert StartTimer(Timer.KEEPALIVE, 1, jitter=True) in often
    assert StartTimer(Timer.KEEPALIVE, 3.0, jitter=True) in seldom


def test_a_hold_time_of_zero_stops_both_timers() -> None:
    fsm = machine(State.OPEN_SENT)

    actions = feed(fsm, Event.BGP_OPEN, hold_time=0) + feed(fsm, Event.KEEPALIVE_MSG)

    assert StopTimer(Timer.HOLD) in actions
    started = {action.timer for action in actions if isinstance(action, StartTimer)}
    assert started == {Timer.STABLE}


def pauses(fsm: Fsm, number: int) -> list[float]:
    """The pauses after as many refused connections in a row."""
    seconds = []
    for _ in range(number):
        seconds += [a.seconds for a in feed(fsm, Event.TCP_CONNECTION_FAILS) if isinstance(a, StartTimer)]
        feed(fsm, Event.CONNECT_RETRY_TIMER_EXPIRES)
    return seconds


def test_pauses_double_up_to_the_configured_longest() -> None:
    fsm = machine(State.CONNECT, connect_retry_seconds=3.0)

    assert [0.5, 1.0, 2.0, 3.0, 3.0] == pauses(fsm, 5)


def test_a_session_that_lasts_forgets_earlier_failures() -> None:
    fsm = machine(State.CONNECT)
    pauses(fsm, 4)
    for event in (Event.TCP_CR_ACKED, Event.BGP_OPEN, Event.KEEPALIVE_MSG, Event.STABLE_TIMER_EXPIRES):
        feed(fsm, event)

    actions = feed(fsm, Event.TCP_CONNECTION_FAILS)

    assert StartTimer(Timer.IDLE_HOLD, 0.5, jitter=True) in actions


def test_a_dumped_machine_does_not_come_back_by_itself() -> None:
    actions = feed(machine(State.OPEN_CONFIRM), Event.OPEN_COLLISION_DUMP)

    assert not [action for action in actions if isinstance(action, StartTimer)]


@given(st.lists(st.sampled_from(Event), max_size=40), st.booleans())
def test_any_sequence_keeps_connections_and_timers_in_order(events: list[Event], passive: bool) -> None:
    """One connection at a time, nothing sent without one, and no timer left in Idle but IdleHold."""
    fsm = Fsm(passive=passive)
    connected = dialling = False
    running: Counter[Timer] = Counter()
    for event in events:
        if event in (Event.TCP_CR_ACKED, Event.TCP_CONNECTION_CONFIRMED):
            if fsm.state not in (State.CONNECT, State.ACTIVE):
                continue  # the session gives a second connection to another machine
            connected, dialling = True, False
        for action in feed(fsm, event):
            match action:
                case SendOpen() | SendKeepalive() | SendNotification():
                    assert connected
                case Dial():
                    assert not passive
                    assert not connected
                    assert not dialling
                    dialling = True
                case Disconnect():
                    connected = dialling = False
                case StartTimer(timer):
                    running[timer] = 1
                case StopTimer(timer):
                    running[timer] = 0
        speaking = fsm.state in (State.OPEN_SENT, State.OPEN_CONFIRM, State.ESTABLISHED)
        assert connected == speaking
        if fsm.state is State.IDLE:
            assert {timer for timer in running if running[timer]} <= {Timer.IDLE_HOLD}


def test_the_table_names_no_state_twice_for_an_event_it_ignores_in_idle() -> None:
    assert {event for state, event in TRANSITIONS if state is State.IDLE} == {
        Event.MANUAL_START,
        Event.AUTOMATIC_START,
        Event.IDLE_HOLD_TIMER_EXPIRES,
        Event.MANUAL_STOP,
    }

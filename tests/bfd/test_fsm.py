"""The state machine against RFC 5880 §6.2, §6.5, §6.6 and §6.8; intervals are microseconds."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speaker.bfd.fsm import SLOW_INTERVAL, TRANSITIONS, Event, Fsm, Reaction
from speaker.bfd.packet import ControlPacket, Diagnostic, State, unpack
from speaker.model.peer import BfdTimers
from tests.bfd.builders import FAST, packet

ADMIN_DOWN, DOWN, INIT, UP = State
FAST_INTERVAL = 100_000


def machine(state: State = DOWN, timers: BfdTimers = FAST) -> Fsm:
    """A machine that went to `state` the usual way."""
    fsm = Fsm(7, timers)
    if state is ADMIN_DOWN:
        fsm.disable()
    if state in {INIT, UP}:
        hear(fsm, DOWN)
    if state is UP:
        hear(fsm, UP)
    assert fsm.state is state
    return fsm


def settled(timers: BfdTimers = FAST) -> Fsm:
    """One that is Up and has nothing more to negotiate."""
    fsm = machine(UP, timers)
    hear(fsm, UP, final=True)
    hear(fsm, UP)
    assert not fsm.polling
    return fsm


def hear(fsm: Fsm, state: State, **fields: Any) -> Reaction:
    return fsm.receive(packet(**({"state": state, "desired_min_tx": FAST_INTERVAL} | fields)))


def said(fsm: Fsm, *, final: bool = False) -> ControlPacket:
    """What it would send now."""
    read = unpack(fsm.octets(final=final))
    assert isinstance(read, ControlPacket)
    return read


@pytest.mark.parametrize(
    ("state", "heard", "new", "diagnostic"),
    [
        (ADMIN_DOWN, ADMIN_DOWN, ADMIN_DOWN, Diagnostic.ADMINISTRATIVELY_DOWN),
        (ADMIN_DOWN, DOWN, ADMIN_DOWN, Diagnostic.ADMINISTRATIVELY_DOWN),
        (ADMIN_DOWN, INIT, ADMIN_DOWN, Diagnostic.ADMINISTRATIVELY_DOWN),
        (ADMIN_DOWN, UP, ADMIN_DOWN, Diagnostic.ADMINISTRATIVELY_DOWN),
        (DOWN, ADMIN_DOWN, DOWN, Diagnostic.NONE),
        (DOWN, DOWN, INIT, Diagnostic.NONE),
        (DOWN, INIT, UP, Diagnostic.NONE),
        (DOWN, UP, DOWN, Diagnostic.NONE),
        (INIT, ADMIN_DOWN, DOWN, Diagnostic.NEIGHBOR_SIGNALED_DOWN),
        (INIT, DOWN, INIT, Diagnostic.NONE),
        (INIT, INIT, UP, Diagnostic.NONE),
        (INIT, UP, UP, Diagnostic.NONE),
        (UP, ADMIN_DOWN, DOWN, Diagnostic.NEIGHBOR_SIGNALED_DOWN),
        (UP, DOWN, DOWN, Diagnostic.NEIGHBOR_SIGNALED_DOWN),
        (UP, INIT, UP, Diagnostic.NONE),
        (UP, UP, UP, Diagnostic.NONE),
    ],
)
def test_what_the_peer_says_moves_the_session(
    state: State, heard: State, new: State, diagnostic: Diagnostic
) -> None:
    fsm = machine(state)

    reaction = hear(fsm, heard)

    assert (reaction.old, reaction.new, fsm.state) == (state, new, new)
    assert fsm.diagnostic is diagnostic
    assert said(fsm).state is new


@pytest.mark.parametrize(
    ("state", "event", "new", "diagnostic"),
    [
        (DOWN, Fsm.expire, DOWN, Diagnostic.NONE),
        (INIT, Fsm.expire, DOWN, Diagnostic.DETECTION_TIME_EXPIRED),
        (UP, Fsm.expire, DOWN, Diagnostic.DETECTION_TIME_EXPIRED),
        (ADMIN_DOWN, Fsm.expire, ADMIN_DOWN, Diagnostic.ADMINISTRATIVELY_DOWN),
        (DOWN, Fsm.disable, ADMIN_DOWN, Diagnostic.ADMINISTRATIVELY_DOWN),
        (INIT, Fsm.disable, ADMIN_DOWN, Diagnostic.ADMINISTRATIVELY_DOWN),
        (UP, Fsm.disable, ADMIN_DOWN, Diagnostic.ADMINISTRATIVELY_DOWN),
        (ADMIN_DOWN, Fsm.enable, DOWN, Diagnostic.NONE),
        (UP, Fsm.enable, UP, Diagnostic.NONE),
    ],
)
def test_silence_and_operators_move_the_session(
    state: State, event: Any, new: State, diagnostic: Diagnostic
) -> None:
    fsm = machine(state)

    reaction = event(fsm)

    assert (reaction.old, reaction.new, fsm.diagnostic) == (state, new, diagnostic)


def test_every_row_of_the_table_leads_somewhere_else() -> None:
    assert not [row for row, (new, _) in TRANSITIONS.items() if row[0] is new]


def test_a_change_of_state_is_sent_at_once_and_its_repetition_is_not() -> None:
    fsm = machine()
    assert hear(fsm, DOWN).send
    assert not hear(fsm, DOWN).send
    assert hear(fsm, INIT).send
    assert fsm.expire().send
    assert not fsm.expire().send


# -- discriminators --------------------------------------------------------------------------------


def test_the_first_packet_has_our_discriminator_and_no_other() -> None:
    first = said(machine())
    assert (first.my_discriminator, first.your_discriminator) == (7, 0)


def test_the_peers_discriminator_is_reflected_until_it_falls_silent() -> None:
    """§6.8.1: without a packet for a Detection Time the variable is zero again, whatever the state."""
    fsm = machine(UP)
    assert said(fsm).your_discriminator == 9
    fsm.expire()
    assert said(fsm).your_discriminator == 0


def test_a_peer_that_began_anew_is_reflected_by_its_new_discriminator() -> None:
    fsm = settled()
    assert hear(fsm, UP, my_discriminator=10).send
    assert said(fsm).your_discriminator == 10


# -- times -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [DOWN, INIT, ADMIN_DOWN])
def test_a_session_that_is_not_up_sends_slowly(state: State) -> None:
    fsm = machine(state)
    assert fsm.transmit_interval == SLOW_INTERVAL
    assert said(fsm).desired_min_tx == SLOW_INTERVAL


def test_a_session_slower_than_that_stays_so() -> None:
    fsm = machine(timers=BfdTimers(transmit_milliseconds=5000))
    assert said(fsm).desired_min_tx == 5_000_000


@pytest.mark.parametrize(("theirs", "interval"), [(50_000, FAST_INTERVAL), (300_000, 300_000)])
def test_the_slower_of_our_sending_and_their_receiving_counts(theirs: int, interval: int) -> None:
    fsm = settled()
    hear(fsm, UP, required_min_rx=theirs)
    assert fsm.transmit_interval == interval


@pytest.mark.parametrize(("theirs", "detection"), [(50_000, 500_000), (300_000, 1_500_000)])
def test_the_detection_time_is_theirs_times_the_slower(theirs: int, detection: int) -> None:
    """§6.8.4: their Detect Mult, and the greater of our Required Min RX and their Desired Min TX."""
    fsm = settled()
    hear(fsm, UP, desired_min_tx=theirs, multiplier=5)
    assert fsm.detection_time == detection


def test_before_the_first_packet_there_is_no_detection_time() -> None:
    assert machine().detection_time == 0


def test_a_peer_that_takes_no_packets_gets_none() -> None:
    """§6.8.7: "if bfd.RemoteMinRxInterval is zero" nothing is sent periodically."""
    fsm = settled()
    hear(fsm, UP, required_min_rx=0)
    assert fsm.transmit_interval is None


def test_echo_is_not_offered_and_demand_not_asked() -> None:
    sent = said(settled())
    assert (sent.required_min_echo_rx, sent.demand, sent.control_plane_independent) == (0, False, False)


# -- Poll Sequences --------------------------------------------------------------------------------


def test_a_poll_is_answered_in_every_state() -> None:
    for state in State:
        fsm = machine(state)
        assert hear(fsm, DOWN if state is DOWN else UP, poll=True).answer
        answer = said(fsm, final=True)
        assert (answer.final, answer.poll) == (True, False)


def test_the_faster_sending_of_a_session_that_came_up_is_polled() -> None:
    fsm = machine(UP)
    assert (said(fsm).poll, said(fsm).desired_min_tx) == (True, FAST_INTERVAL)
    assert fsm.transmit_interval == FAST_INTERVAL
    hear(fsm, UP)
    assert said(fsm).poll
    hear(fsm, UP, final=True)
    assert not said(fsm).poll


def test_a_session_that_stays_slow_has_nothing_to_poll() -> None:
    assert not said(machine(UP, BfdTimers())).poll


def test_slower_sending_waits_for_the_final() -> None:
    """§6.8.3: so that "the remote system updates its Detection Time before the [...] interval increases"."""
    fsm = settled()

    assert fsm.configure(BfdTimers(transmit_milliseconds=400, receive_milliseconds=100)).send

    assert (said(fsm).poll, said(fsm).desired_min_tx) == (True, 400_000)
    assert fsm.transmit_interval == FAST_INTERVAL
    hear(fsm, UP, final=True)
    assert fsm.transmit_interval == 400_000


def test_faster_sending_counts_at_once() -> None:
    fsm = settled()
    fsm.configure(BfdTimers(transmit_milliseconds=50, receive_milliseconds=100))
    hear(fsm, UP, required_min_rx=10_000)
    assert fsm.transmit_interval == 50_000


def test_a_shorter_detection_time_waits_for_the_final() -> None:
    """§6.8.3: the peer sends faster first."""
    fsm = settled(BfdTimers(transmit_milliseconds=100, receive_milliseconds=400))

    fsm.configure(FAST)

    assert (said(fsm).poll, said(fsm).required_min_rx) == (True, FAST_INTERVAL)
    assert fsm.detection_time == 1_200_000
    hear(fsm, UP, final=True)
    assert fsm.detection_time == 300_000


def test_a_longer_detection_time_counts_at_once() -> None:
    fsm = settled()
    fsm.configure(BfdTimers(transmit_milliseconds=100, receive_milliseconds=400))
    assert fsm.detection_time == 1_200_000


def test_another_multiplier_needs_no_poll() -> None:
    """§6.8.12."""
    fsm = settled()
    assert fsm.configure(BfdTimers(transmit_milliseconds=100, receive_milliseconds=100, multiplier=9)).send
    assert (said(fsm).multiplier, said(fsm).poll) == (9, False)


def test_a_second_change_waits_until_the_first_poll_is_surely_over() -> None:
    """§6.8.3: a packet without Final must come between two Poll Sequences."""
    fsm = settled()
    fsm.configure(BfdTimers(transmit_milliseconds=400, receive_milliseconds=100))
    fsm.configure(BfdTimers(transmit_milliseconds=800, receive_milliseconds=100))
    assert said(fsm).desired_min_tx == 400_000
    hear(fsm, UP, final=True)
    assert (said(fsm).desired_min_tx, said(fsm).poll) == (400_000, False)
    assert hear(fsm, UP).send
    assert (said(fsm).desired_min_tx, said(fsm).poll) == (800_000, True)
    assert fsm.transmit_interval == 400_000


def test_a_final_that_nobody_asked_for_changes_nothing() -> None:
    fsm = settled()
    assert not hear(fsm, UP, final=True).send
    assert not fsm.polling


def test_a_session_that_goes_down_gives_its_poll_up_and_is_slow_at_once() -> None:
    fsm = settled()
    fsm.configure(BfdTimers(transmit_milliseconds=400, receive_milliseconds=50))
    fsm.expire()
    assert (said(fsm).poll, said(fsm).desired_min_tx) == (False, SLOW_INTERVAL)
    assert (fsm.transmit_interval, fsm.detection_time) == (SLOW_INTERVAL, 300_000)


def test_other_timers_of_a_session_that_is_down_count_at_once() -> None:
    fsm = machine(INIT)
    fsm.configure(BfdTimers(transmit_milliseconds=100, receive_milliseconds=700))
    assert (said(fsm).poll, said(fsm).required_min_rx, fsm.detection_time) == (False, 700_000, 2_100_000)


# -- demand mode -----------------------------------------------------------------------------------


def test_a_peer_in_demand_mode_is_left_in_peace_while_both_are_up() -> None:
    """§6.6: no periodic packets, Polls are answered, and its own packets are still expected."""
    fsm = settled()
    hear(fsm, UP, demand=True)
    assert fsm.transmit_interval is None
    assert hear(fsm, UP, demand=True, poll=True).answer
    assert fsm.detection_time == 300_000


def test_we_poll_a_peer_in_demand_mode_when_something_changes() -> None:
    fsm = settled()
    hear(fsm, UP, demand=True)
    fsm.configure(BfdTimers(transmit_milliseconds=400, receive_milliseconds=100))
    assert fsm.transmit_interval == FAST_INTERVAL
    hear(fsm, UP, demand=True, final=True)
    assert fsm.transmit_interval is None


def test_demand_mode_ends_with_the_session() -> None:
    fsm = settled()
    hear(fsm, UP, demand=True)
    fsm.expire()
    assert fsm.transmit_interval == SLOW_INTERVAL


# -- anything at all -------------------------------------------------------------------------------

events = st.one_of(
    st.builds(
        packet,
        state=st.sampled_from(State),
        my_discriminator=st.integers(1, 3),
        multiplier=st.integers(1, 255),
        desired_min_tx=st.integers(0, 0xFFFFFFFF),
        required_min_rx=st.integers(0, 0xFFFFFFFF),
        poll=st.booleans(),
        final=st.booleans(),
        demand=st.booleans(),
    ),
    st.sampled_from([Event.DETECTION_TIME_EXPIRES, Event.DISABLE, Event.ENABLE]),
    st.builds(
        BfdTimers,
        transmit_milliseconds=st.integers(10, 60_000),
        receive_milliseconds=st.integers(10, 60_000),
        multiplier=st.integers(2, 255),
    ),
)


@given(st.lists(events, max_size=30))
def test_whatever_happens_what_is_sent_is_legal(happening: list[ControlPacket | Event | BfdTimers]) -> None:
    fsm = machine()
    for each in happening:
        feed(fsm, each)
        sent = said(fsm)
        assert fsm.state is UP or (sent.desired_min_tx >= SLOW_INTERVAL and not sent.poll)
        assert sent.state is fsm.state
        interval = fsm.transmit_interval
        assert interval is None or interval >= fsm.remote_min_rx


def feed(fsm: Fsm, each: ControlPacket | Event | BfdTimers) -> None:
    match each:
        case ControlPacket():
            fsm.receive(each)
        case BfdTimers():
            fsm.configure(each)
        case Event.DISABLE:
            fsm.disable()
        case Event.ENABLE:
            fsm.enable()
        case _:
            fsm.expire()

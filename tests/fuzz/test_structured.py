"""Inputs made with a plan, a bounded number of them; `make fuzz` makes more for as long as it is told."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from speaker.bgp.messages import Framer
from tests.bgp.builders import notification_for
from tests.fuzz import structured, targets

BOUNDED = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@BOUNDED
@given(structured.STRATEGIES["messages"])
def test_any_messages_end_in_acceptance_or_in_a_legal_notification(data: bytes) -> None:
    targets.TARGETS["messages"](data)


@BOUNDED
@given(structured.STRATEGIES["stream"])
def test_any_stream_ends_in_acceptance_or_in_a_legal_notification(data: bytes) -> None:
    targets.TARGETS["stream"](data)


@BOUNDED
@given(structured.STRATEGIES["bodies"])
def test_any_body_is_read_or_refused_as_the_rfc_says(data: bytes) -> None:
    targets.TARGETS["bodies"](data)


@BOUNDED
@given(structured.STRATEGIES["bfd"])
def test_any_bfd_packets_are_received_or_discarded(data: bytes) -> None:
    targets.TARGETS["bfd"](data)


@BOUNDED
@given(structured.STRATEGIES["annotations"])
def test_any_annotations_are_understood_or_a_problem(data: bytes) -> None:
    targets.TARGETS["annotations"](data)


@BOUNDED
@given(structured.STRATEGIES["control"])
def test_any_request_gets_an_answer_of_one_line(data: bytes) -> None:
    targets.TARGETS["control"](data)


@BOUNDED
@given(st.lists(st.binary(min_size=1, max_size=9000), max_size=6))
def test_what_waits_for_the_rest_of_a_message_is_less_than_one(pieces: list[bytes]) -> None:
    """The most that a peer can make the frame reader keep."""
    framer = Framer()
    for piece in pieces:
        answer = notification_for(lambda piece=piece: list(framer.feed(piece)))  # type: ignore[misc]
        if answer is not None:
            break
        assert len(framer._buffer) < 65535


@pytest.mark.parametrize("name", targets.TARGETS)
def test_every_target_has_a_strategy_and_a_share_of_the_time(name: str) -> None:
    assert name in structured.STRATEGIES
    assert targets.WEIGHTS[name] > 0

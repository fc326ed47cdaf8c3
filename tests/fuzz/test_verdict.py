"""The judge itself: what it must call a finding, it does."""

import pytest

from tests.fuzz import wire
from tests.fuzz.idle_loop import EndlessError, IdleLoop, close_loop
from tests.fuzz.verdict import Answer, Finding, may_close_silently, read_answer

OPEN = wire.open_message(65000)


def test_a_proper_conversation_is_no_finding() -> None:
    sent = OPEN + wire.KEEPALIVE_MESSAGE + wire.notification(6, 2)

    assert Answer((1, 4, 3), (6, 2, b"")) == read_answer(sent, opened=False)


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(OPEN + wire.notification(2, 5), id="a subcode that is deprecated"),
        pytest.param(OPEN + wire.notification(9, 0), id="a code that nobody has defined"),
        pytest.param(OPEN + wire.notification(1, 2), id="data missing"),
        pytest.param(OPEN + wire.notification(2, 2, b"x"), id="data where none belongs"),
        pytest.param(OPEN + wire.notification(6, 2) * 2, id="two NOTIFICATIONs"),
        pytest.param(OPEN + wire.notification(6, 2) + wire.KEEPALIVE_MESSAGE, id="going on after one"),
        pytest.param(OPEN + wire.notification(3, 1, bytes(5000)), id="a NOTIFICATION that is too long"),
        pytest.param(OPEN + wire.KEEPALIVE_MESSAGE[:-1], id="a message cut short"),
        pytest.param(OPEN + wire.frame(6), id="a type that nobody has defined"),
        pytest.param(OPEN * 2, id="two OPENs"),
        pytest.param(wire.KEEPALIVE_MESSAGE + OPEN, id="a KEEPALIVE before the OPEN"),
        pytest.param(wire.KEEPALIVE_MESSAGE, id="no OPEN"),
    ],
)
def test_what_no_speaker_may_send_is_a_finding(sent: bytes) -> None:
    with pytest.raises(Finding):
        read_answer(sent, opened=False)


def test_only_a_notification_lets_a_connection_end_unanswered() -> None:
    assert may_close_silently(wire.KEEPALIVE_MESSAGE + wire.notification(6, 2))
    assert not may_close_silently(wire.KEEPALIVE_MESSAGE * 2 + wire.notification(6, 2)[:-1])


def test_a_loop_that_does_not_come_to_rest_is_a_hang() -> None:
    loop = IdleLoop()

    def again() -> None:
        loop.call_soon(again)

    loop.call_soon(again)
    with pytest.raises(EndlessError):
        loop.settle()
    close_loop_of_endless(loop)


def close_loop_of_endless(loop: IdleLoop) -> None:
    close_loop(loop)
    assert loop.is_closed()

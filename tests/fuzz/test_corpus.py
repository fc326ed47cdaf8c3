"""Every kept input again: what routers send, what our own codec sends, and what once was a finding."""

from collections.abc import Callable
from pathlib import Path

import pytest

from speaker.model.peer import SessionState
from tests.fuzz import sessions, targets, wire
from tests.fuzz.engine import SETTINGS, Engine

INPUTS = [pytest.param(file, id=f"{file.parent.name}/{file.name}") for file in targets.corpus()]
OF_ROUTERS = [
    pytest.param(file, id=file.name)
    for file in targets.corpus()
    if file.name.startswith("stream-") and file.name.split("-")[1] in ("bird", "frr", "gobgp", "openbgpd")
]


@pytest.mark.parametrize("file", INPUTS)
def test_an_input_of_the_corpus_is_answered_as_it_must_be(file: Path) -> None:
    targets.TARGETS[targets.target_of(file)](file.read_bytes())


@pytest.mark.parametrize("file", OF_ROUTERS)
def test_what_a_router_says_is_accepted_with_its_routes(file: Path) -> None:
    """The OPEN, KEEPALIVE, UPDATEs and End-of-RIBs of each router, as they came over the wire."""
    data = file.read_bytes()
    engine = Engine(SETTINGS[data[0] // len(sessions.STATES)])
    connection = engine.connect()
    connection.feed(data[2:])
    engine.loop.settle()

    assert engine.state is SessionState.ESTABLISHED
    received = dict(engine.peers.sessions()["tor"].received)
    assert sum(received.values()) == 4
    engine.close()


@pytest.mark.parametrize(
    ("target", "broken"),
    [
        pytest.param(sessions.stream_target, b"\x02\x00", id="an empty stream"),
        pytest.param(sessions.messages_target, b"\x02\x00\x02", id="half a record"),
        pytest.param(sessions.stream_target, b"", id="nothing"),
    ],
)
def test_inputs_that_are_hardly_there_are_no_finding(target: Callable[[bytes], None], broken: bytes) -> None:
    target(broken)


def test_a_record_is_framed_as_a_message() -> None:
    body = b"\0\0\0\0"

    assert wire.frame(wire.UPDATE, body) == sessions.framed(sessions.record(wire.UPDATE, body))

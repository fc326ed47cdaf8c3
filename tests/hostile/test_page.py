"""What the page on hostile peers says of numbers and of tests is so."""

import re
from pathlib import Path

import pytest

from speaker.bgp import connection, connections, fsm, session, transport
from speaker.bgp.messages import MAX_EXTENDED_MESSAGE, MAX_MESSAGE

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/explanation/hostile-peers.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(test_\w+)`", PAGE))))
def test_each_named_test_is_there(name: str) -> None:
    files = (ROOT / "tests/hostile").glob("test_*.py")

    assert any(f"def {name}(" in file.read_text(encoding="utf-8") for file in files)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (connections.MOST_CONNECTIONS, "{:g}, those that are just ending included"),
        (fsm.LARGE_HOLD_SECONDS, "{:g} s (RFC 4271 §8.2.2)"),
        (fsm.FIRST_PAUSE_SECONDS, "after {:g} s, 1 s, 2 s"),
        (fsm.STABLE_SECONDS, "only a session of {:g} s starts anew"),
        (connection.OPEN_SECONDS, "a word about it after {:g} s"),
        (connection.SEND_HOLD_SECONDS, "after {:g} s, or twice the hold time"),
        (session.STRANGER_OPEN_SECONDS, "whoever says no OPEN within {:g} s"),
        (session.PREFIX_LIMIT_PAUSE_SECONDS, "{:g} s of peace"),
        (transport._SLICE_SECONDS * 1000, "read for {:g} ms"),
        (transport._LINGER_SECONDS, "{:g} s to write them"),
        (MAX_MESSAGE, "{} octets a message"),
        (MAX_EXTENDED_MESSAGE, "{} where RFC 8654 was agreed on"),
    ],
)
def test_each_number_is_the_one_in_the_code(number: float, words: str) -> None:
    assert words.format(number) in PAGE

"""Answers as text."""

import pytest

from speaker.cli.tables import render


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param({}, "nothing", id="empty mapping"),
        pytest.param([], "nothing", id="empty list"),
        pytest.param("in sync", "in sync", id="text"),
        pytest.param({"in_sync": True, "last_error": ""}, "In sync: yes\nLast error: -", id="pairs"),
        pytest.param(
            [{"peer": "10.0.0.1", "routes": 3}, {"peer": "fd00::1", "why": "x"}],
            "PEER      ROUTES  WHY\n10.0.0.1  3       -\nfd00::1   -       x",
            id="table",
        ),
        pytest.param(
            {"sessions": [{"peer": "a"}], "node": "n"}, "Node: n\n\nSessions:\n  PEER\n  a", id="nested"
        ),
        pytest.param({"advertised": {"ipv4": 1}}, "Advertised:\n  Ipv4: 1", id="mapping in mapping"),
        pytest.param(
            [{"peer": "a", "facts": {"ipv4": 1, "ipv6": 2}, "addresses": ["a", "b"]}],
            "PEER  ADDRESSES\na     a, b",
            id="nested cells",
        ),
        pytest.param(["a", "b"], "a\nb", id="plain list"),
        pytest.param([{"up_at": 0.5}], "UP AT\n1970-01-01T00:00:00Z", id="moment"),
        pytest.param({"reason": "\x1b[2J"}, "Reason: \\x1b[2J", id="control characters"),
    ],
)
def test_render(value: object, text: str) -> None:
    assert render(value) == text

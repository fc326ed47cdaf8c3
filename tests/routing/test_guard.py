"""What is never advertised, whoever asks."""

from ipaddress import ip_address

import pytest

from speaker.model.publication import ExclusionReason as Why
from speaker.routing.guard import Guard
from tests.builders import prefix


@pytest.mark.parametrize(
    "text",
    [
        "0.0.0.0/0",
        "::/0",
        "0.0.0.0/32",
        "0.1.2.3/32",
        "127.0.0.1/32",
        "127.0.0.0/8",
        "169.254.1.0/24",
        "224.0.0.5/32",
        "239.0.0.0/8",
        "255.255.255.255/32",
        "::/128",
        "::1/128",
        "::ffff:10.0.0.1/128",
        "fe80::1/128",
        "fe80::/10",
        "ff02::1/128",
        "8.0.0.0/7",
        "2000::/15",
        "192.0.2.254/32",
        "2001:db8::fe/128",
    ],
)
def test_reserved(text: str) -> None:
    guard = Guard((), (ip_address("192.0.2.254"), ip_address("2001:db8::fe")))

    refusal = guard.refuse(prefix(text))

    assert refusal is not None
    assert refusal.reason is Why.PREFIX_RESERVED
    assert refusal.detail


@pytest.mark.parametrize(
    "text", ["10.0.0.0/8", "192.0.2.0/24", "192.0.2.253/32", "240.0.0.1/32", "2000::/16"]
)
def test_ordinary(text: str) -> None:
    assert Guard((), (ip_address("192.0.2.254"),)).refuse(prefix(text)) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.1.0.0/16", None),
        ("10.0.0.0/8", None),
        ("11.0.0.1/32", Why.PREFIX_NOT_ALLOWED),
        ("fd00::1/128", Why.PREFIX_NOT_ALLOWED),
        ("127.0.0.1/32", Why.PREFIX_RESERVED),
    ],
)
def test_only_what_is_inside_an_allowed_prefix(text: str, expected: Why | None) -> None:
    refusal = Guard((prefix("10.0.0.0/8"),)).refuse(prefix(text))

    assert (refusal and refusal.reason) == expected


def test_an_allowed_prefix_opens_what_is_too_short() -> None:
    assert Guard((prefix("8.0.0.0/6"),)).refuse(prefix("8.0.0.0/7")) is None


def test_an_allowed_default_route_is_still_refused() -> None:
    assert Guard((prefix("0.0.0.0/0"),)).refuse(prefix("0.0.0.0/0")) is not None

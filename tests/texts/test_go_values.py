"""Texts as Go reads them."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speaker.texts import go_values


@pytest.mark.parametrize("text", ["1", "t", "T", "TRUE", "true", "True"])
def test_true_texts(text: str) -> None:
    assert go_values.boolean(text) is True


@pytest.mark.parametrize("text", ["0", "f", "F", "FALSE", "false", "False"])
def test_false_texts(text: str) -> None:
    assert go_values.boolean(text) is False


@pytest.mark.parametrize("text", ["", "yes", "on", "tRUE", " true", "2"])
def test_what_strconv_refuses_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be true or false"):
        go_values.boolean(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("0s", 0),
        ("90s", 90),
        ("1m30s", 90),
        ("1.5m", 90),
        (".5s", Fraction(1, 2)),
        ("1.s", 1),
        ("1h1m1s1ms1us1ns", Fraction(3661001001001, 10**9)),
        ("300ms", Fraction(3, 10)),
        ("5\u00b5s", Fraction(5, 10**6)),
        ("5\u03bcs", Fraction(5, 10**6)),
        ("18h", 64800),
    ],
)
def test_durations(text: str, seconds: Fraction) -> None:
    assert go_values.duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "90", "s", "-90s", "+90s", "1 m", "90 s", ".s", "1d", "\u0663s", "9" * 99 + "s"]
)
def test_texts_that_are_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="duration with its unit"):
        go_values.duration(text)


@given(
    st.fractions(min_value=0, max_value=10**6, max_denominator=10**3).filter(
        lambda f: 10**9 % f.denominator == 0
    )
)
def test_a_written_duration_is_read_back(seconds: Fraction) -> None:
    assert go_values.duration(go_values.duration_text(seconds)) == seconds


@pytest.mark.parametrize(
    ("text", "number"), [("0", 0), ("65001", 65001), ("0xFDE9", 65001), ("0b11", 3), ("0o17", 15)]
)
def test_numbers(text: str, number: int) -> None:
    assert go_values.unsigned(text) == number


@pytest.mark.parametrize("text", ["", "-1", "+1", "1.0", "017", "1_000", "\u0661", "1e3", "9" * 5000])
def test_texts_that_are_no_number(text: str) -> None:
    with pytest.raises(ValueError, match="whole number"):
        go_values.unsigned(text)


@pytest.mark.parametrize(
    ("text", "elements"),
    [
        ("", ()),
        ("  ", ()),
        ("a", ("a",)),
        ("a,b", ("a", "b")),
        (' a , "b" ', ("a", "b")),
        ("a,", ("a", "")),
    ],
)
def test_comma_lists(text: str, elements: tuple[str, ...]) -> None:
    assert go_values.elements(text) == elements

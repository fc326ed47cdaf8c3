"""Calico's selector grammar."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotations.problems import bounded
from speaker.fabric.selector import DEEPEST, LONGEST, LONGEST_KEY, parse

LABELS = {"rack": "r1", "route-reflector": "true", "topology.kubernetes.io/zone": "eu-1a", "empty": ""}


@pytest.mark.parametrize(
    "text",
    [
        "rack == 'r1'",
        'rack == "r1"',
        "rack=='r1'",
        "rack != 'r2'",
        "absent != 'r2'",
        "rack in {'r1', 'r2'}",
        "rack in{'r1',}",
        "rack not in {'r2'}",
        "rack notin {}",
        "absent not in {'r1'}",
        "has(rack)",
        "has( topology.kubernetes.io/zone )",
        "!has(absent)",
        "! has(absent)",
        "!!has(rack)",
        "!rack == 'r2'",
        "topology.kubernetes.io/zone starts with 'eu'",
        "topology.kubernetes.io/zone ends   with '1a'",
        "topology.kubernetes.io/zone contains '-1'",
        "empty == ''",
        "has(rack) && route-reflector == 'true'",
        "has(absent) || rack == 'r1'",
        "has(rack) || has(absent) && has(absent)",
        "(has(absent) || has(rack)) && !(has(absent))",
        "all()",
        "global()",
        "all( )",
        "",
        "  \t ",
    ],
)
def test_chooses(text: str) -> None:
    assert parse(text).matches(LABELS)


@pytest.mark.parametrize(
    "text",
    [
        "rack == 'r2'",
        "absent == ''",
        "rack != 'r1'",
        "rack in {}",
        "absent in {'r1'}",
        "rack not in {'r1'}",
        "!has(rack)",
        "!all()",
        "absent contains ''",
        "absent starts with ''",
        "absent ends with ''",
        "(has(rack) || has(absent)) && has(absent)",
        "!(has(rack) && rack == 'r1')",
    ],
)
def test_does_not_choose(text: str) -> None:
    assert not parse(text).matches(LABELS)


@pytest.mark.parametrize("name", ["has", "in", "not", "all", "contains", "a.b/c-d_e"])
def test_a_label_may_be_called_like_an_operator(name: str) -> None:
    assert parse(f"{name} == 'x'").matches({name: "x"})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("rack = 'r1'", "character 6 must be =="),
        ("rack == r1", "character 9 must be a text in quotes, and there is r1"),
        ("rack == 'r1", "character 9 begins a text without an end"),
        ("rack", "character 5 must be ==, !=, in"),
        ("rack is 'x'", "character 6 must be ==, !=, in"),
        ("rack not 'x'", "character 6 must be ==, !=, in"),
        ("rack in 'x'", "character 9 must be {"),
        ("rack in {'x' 'y'}", "character 14 must be }"),
        ("(has(a)", r"character 8 must be \), and there is the end"),
        ("has(a))", "character 7 must be &&, || or the end"),
        ("has()", "character 5 must be a label"),
        ("all(x)", r"character 5 must be \)"),
        ("any()", "character 4 must be ==, !=, in"),
        ("has(a) & has(b)", "character 8 must be &&"),
        ("has(a) &&", "character 10 must be a label, has"),
        ("a == 'b' \u202e", "character 10 means nothing here"),
    ],
)
def test_an_error_says_where_and_what_would_be_right(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence.replace("||", r"\|\|")):
        parse(text)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ('  a=="x"  ', "a == 'x'"),
        ('a == "it\'s"', 'a == "it\'s"'),
        ("a in {'y','x','x'}", "a in {'x', 'y'}"),
        ("((a == 'x'))", "a == 'x'"),
        ("has(a)&&(has(b)||!(c!='z'))", "has(a) && (has(b) || !(c != 'z'))"),
        ("global()", "all()"),
        ("", "all()"),
    ],
)
def test_the_text_is_canonical(text: str, canonical: str) -> None:
    assert parse(text).text == canonical
    assert parse(canonical) == parse(text)


def test_it_tells_which_labels_decide() -> None:
    assert parse("has(a) && (b == 'x' || !(c in {'y'})) && all()").keys == {"a", "b", "c"}


def test_what_is_too_long_or_too_deep_is_refused() -> None:
    assert parse("!" * DEEPEST + "all()").matches({})
    for text in ("x" * (LONGEST + 1), "(" * 2000, "!" * 2000, "k" * (LONGEST_KEY + 1) + " == 'x'"):
        with pytest.raises(ValueError, match="must be"):
            parse(text)


PIECES = st.sampled_from(
    [
        *("a", "b/c.d", "==", "!=", "!", "&&", "||", "(", ")", "{", "}", ",", "'x'", '"y"', "in", "not in"),
        *("has(", "all()", "global()", "contains", "starts with", "ends with", "'", "=", "\x00", "é", " "),
    ]
)


@given(st.one_of(st.text(max_size=200), st.lists(PIECES, max_size=40).map("".join)))
def test_any_text_is_a_selector_or_a_value_error(text: str) -> None:
    """And what is a selector is the same selector when its canonical text is parsed."""
    try:
        selector = parse(text)
    except ValueError as error:
        sentence = str(error)
    else:
        sentence = "a selector"
        again = parse(selector.text)
        assert again == selector
        for labels in ({}, {"a": "x"}, {"a": "y", "b/c.d": "x"}):
            assert again.matches(labels) is selector.matches(labels)
    assert sentence
    assert bounded(sentence, len(sentence)) == sentence

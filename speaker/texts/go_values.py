"""Values as Go programs read them from flags, because Kube-OVN's DaemonSets carry them.

Knows the texts that Go's `strconv`, `time.ParseDuration` and `pflag` accept; knows no flag. Every
function takes one text and returns a value, or raises `ValueError` whose text says what would be right.
"""

import re
from fractions import Fraction

TRUE_TEXTS = frozenset({"1", "t", "T", "TRUE", "true", "True"})
FALSE_TEXTS = frozenset({"0", "f", "F", "FALSE", "false", "False"})

_DURATION_SHAPE = re.compile(r"(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:ns|us|µs|μs|ms|s|m|h))+")
_DURATION_PART = re.compile(r"([0-9]*\.?[0-9]*)(ns|us|µs|μs|ms|s|m|h)")
_UNIT_SECONDS = {
    "ns": Fraction(1, 10**9),
    "us": Fraction(1, 10**6),
    "µs": Fraction(1, 10**6),  # U+00B5, micro sign
    "μs": Fraction(1, 10**6),  # U+03BC, Greek letter mu
    "ms": Fraction(1, 1000),
    "s": Fraction(1),
    "m": Fraction(60),
    "h": Fraction(3600),
}
_INTEGER_SHAPE = re.compile(r"0[xX][0-9a-fA-F]+|0[oO][0-7]+|0[bB][01]+|0|[1-9][0-9]*")
_LONGEST_NUMBER = 32


def boolean(text: str) -> bool:
    """A truth value by the rules of `strconv.ParseBool`."""
    if text in TRUE_TEXTS:
        return True
    if text in FALSE_TEXTS:
        return False
    raise ValueError("must be true or false")


def unsigned(text: str) -> int:
    """A non-negative integer: decimal, or with the prefix 0x, 0o or 0b.

    Go would read a leading zero as octal; here it is refused, since nobody means it.
    """
    if len(text) > _LONGEST_NUMBER or not _INTEGER_SHAPE.fullmatch(text):
        raise ValueError("must be a whole number")
    return int(text, 0)


def duration(text: str) -> Fraction:
    """A length of time by the rules of `time.ParseDuration`, in seconds, exactly.

    A sign is refused: no flag of ours takes a negative time.
    """
    if text == "0":
        return Fraction(0)
    if len(text) > 2 * _LONGEST_NUMBER or not _DURATION_SHAPE.fullmatch(text):
        raise ValueError("must be a duration with its unit, such as 90s or 1m30s")
    return sum(
        (Fraction(number) * _UNIT_SECONDS[unit] for number, unit in _DURATION_PART.findall(text)),
        start=Fraction(0),
    )


def duration_text(seconds: Fraction | float) -> str:
    """The shortest text in whole units that `duration` reads back as `seconds`."""
    exact = Fraction(seconds)
    for unit in ("h", "m", "s", "ms", "us", "ns"):
        count = exact / _UNIT_SECONDS[unit]
        if count.denominator == 1 and (count or unit == "s"):
            return f"{count.numerator}{unit}"
    return f"{float(exact)}s"


def elements(text: str) -> tuple[str, ...]:
    """The elements of a comma list, as `pflag` splits one: quotes and blanks around elements go.

    An empty text is an empty list; an empty element is kept, so that its parser can refuse it.
    """
    bare = text.replace('"', "").replace("'", "").replace("`", "")
    return tuple(element.strip() for element in bare.split(",")) if bare.strip() else ()

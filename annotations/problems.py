"""What is wrong with an annotation, as a value that is safe to show.

Annotations are written by tenants and end in logs, Events and terminals: what is kept of them is
bounded and free of control characters.
"""

import unicodedata
from dataclasses import dataclass

VALUE_LIMIT = 64
KEY_LIMIT = 317  # a prefix of 253 characters, a slash, a name of 63: the most that Kubernetes takes

# Control, format, surrogate, private and unassigned characters; line and paragraph separators.
_BREAKING = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def bounded(text: str, limit: int = VALUE_LIMIT) -> str:
    """At most `limit` characters of `text`, without control, format or unassigned ones and line separators.

    Format characters (Unicode Cf) go as well: they can turn the direction of a terminal's line.
    """
    if len(text) <= limit and text.isascii() and text.isprintable():
        return text
    head = text[: limit * 4]
    clean = "".join(character for character in head if unicodedata.category(character) not in _BREAKING)
    return clean if len(clean) <= limit and len(head) == len(text) else clean[: limit - 1] + "…"


@dataclass(frozen=True, slots=True)
class Problem:
    """One annotation that cannot be understood.

    Attributes:
        key: the annotation's key.
        value: its value, bounded.
        expected: what would be right, a few words.
    """

    key: str
    value: str
    expected: str

    @property
    def sentence(self) -> str:
        """The problem in one sentence for people."""
        return f"{self.key}={self.value!r} is not understood: {self.expected}"


def problem(key: str, value: str, expected: str) -> Problem:
    """A Problem whose texts are bounded."""
    return Problem(bounded(key, KEY_LIMIT), bounded(value), expected)

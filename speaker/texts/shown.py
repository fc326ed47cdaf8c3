"""How a message repeats a value that somebody has written: bounded, whatever it is."""

from annotations.problems import bounded

LONGEST_SHOWN = 80
"""How much of a value a message repeats, in characters."""

LARGEST_SHOWN = 10**LONGEST_SHOWN
"""Python refuses to write numbers of thousands of digits."""

_WORDS = {None: "null", True: "true", False: "false"}


def scalar_shown(value: object) -> str:
    """A value that is no collection, as YAML or JSON would have it; texts in quotation marks."""
    if value is None or isinstance(value, bool):
        return _WORDS[value]
    if isinstance(value, int) and abs(value) > LARGEST_SHOWN:
        return "(a number without end)"
    return bounded(repr(value) if isinstance(value, str) else str(value), LONGEST_SHOWN)

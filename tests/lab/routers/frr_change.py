"""From one configuration of FRR to another: the lines to type, since its daemons do not read files again.

Knows the form of such a text (a line belongs to the last one that is indented less) and nothing of BGP.
"""

from collections.abc import Iterator

_Line = tuple[str, ...]
"""A line with those it is below in front of it: `("router bgp 65030", "neighbor 10.0.0.1 passive")`."""

# As many words as say which setting of which neighbor a line is about: `neighbor ADDRESS password`.
_SETTING_WORDS = 3


def lines(old: str, new: str) -> list[str]:
    """What to type in configuration mode: first what goes, then what comes, each where it belongs."""
    before, after = list(_parse(old)), list(_parse(new))
    gone = [line for line in before if line not in after]
    come = [line for line in after if line not in before]
    replaced = {(*line[:-1], *_setting(line)) for line in come}
    typed: list[str] = []
    for line in gone:
        # What is below a line that goes, goes with it; what gets another value need not go first.
        if line[:-1] not in gone and (*line[:-1], *_setting(line)) not in replaced:
            typed += [*line[:-1], _negated(line[-1])]
    for line in come:
        typed += line
    return typed


def _parse(text: str) -> Iterator[_Line]:
    above: list[str] = []
    for line in text.splitlines():
        words = line.strip()
        if words and not words.startswith("exit"):
            del above[len(line) - len(line.lstrip()) :]
            above.append(words)
            yield tuple(above)


def _setting(line: _Line) -> list[str]:
    return line[-1].split()[:_SETTING_WORDS]


def _negated(line: str) -> str:
    return line.removeprefix("no ") if line.startswith("no ") else f"no {line}"

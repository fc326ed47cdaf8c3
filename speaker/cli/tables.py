"""Answers as text for people: lists become tables, everything else `Name: value` lines.

Knows shapes, no meaning: what is shown, and in which order, is said by who answers.
"""

import time
from collections.abc import Iterator, Mapping, Sequence

from speaker.log import escaped

GAP = "  "


def render(value: object) -> str:
    """`value` (of what JSON can hold) as lines of text."""
    return "\n".join(_lines(value)) or "nothing"


def _lines(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        yield from _pairs(value)
    elif isinstance(value, list):
        yield from table(value)
    else:
        yield cell(value)


def _pairs(value: Mapping[str, object]) -> Iterator[str]:
    """Plain values first, one a line; then what is nested, each under its name."""
    nested = {key: item for key, item in value.items() if isinstance(item, Mapping | list) and item}
    plain = [f"{heading(key)}: {field(key, item)}" for key, item in value.items() if key not in nested]
    yield from plain
    for number, (key, item) in enumerate(nested.items()):
        if plain or number:
            yield ""
        yield f"{heading(key)}:"
        yield from (f"{GAP}{line}".rstrip() for line in _lines(item))


def table(rows: Sequence[object]) -> Iterator[str]:
    """Rows of like mappings as a table with upper-case headings; other rows one a line.

    A mapping inside a row would make the table too wide for any screen: it is left to JSON.
    """
    mappings = [row for row in rows if isinstance(row, Mapping)]
    if len(mappings) != len(rows):
        yield from (cell(row) for row in rows)
        return
    nested = {key for row in mappings for key, item in row.items() if isinstance(item, Mapping)}
    columns = [key for key in dict.fromkeys(key for row in mappings for key in row) if key not in nested]
    cells = [[field(column, row.get(column)) for column in columns] for row in mappings]
    cells.insert(0, [heading(column).upper() for column in columns])
    widths = [max(len(row[index]) for row in cells) for index in range(len(columns))]
    for row in cells:
        yield GAP.join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()


def heading(key: str) -> str:
    """A key as a heading: `last_error` is `Last error`."""
    words = key.replace("_", " ")
    return escaped(words[:1].upper() + words[1:])


def field(key: str, value: object) -> str:
    """The value of one key; what ends in `_at` is a moment, in seconds since the epoch."""
    if key.endswith("_at") and isinstance(value, int | float):
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(value))
    return cell(value)


def cell(value: object) -> str:
    """One value on one line."""
    if value is None or value in ("", [], {}):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {cell(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(cell(item) for item in value)
    return escaped(str(value))

"""How log lines look: constant messages with fields, as text for people or JSON for machines.

The only configuration of `logging`. Knows no message and no flag. What peers and annotations say ends
up in fields, so control characters are escaped here, once, for every line.
"""

import json
import logging
import sys
import time
from collections.abc import Iterator
from typing import TextIO

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
FORMATS = ("text", "json")

LIBRARIES = ("aiohttp", "asyncio", "exabgp", "kubernetes", "pyroute2", "urllib3")
"""Loggers that say too much below WARNING: request bodies, for one, which may hold secrets."""

_STANDARD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def configure(level: str, form: str, stream: TextIO | None = None) -> None:
    """Send every log line of at least `level` to `stream`, and nothing anywhere else.

    Args:
        level: a key of `LEVELS`.
        form: one of `FORMATS`.
        stream: standard error when None.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(LEVELS[level])
    for name in LIBRARIES:
        logging.getLogger(name).setLevel(max(LEVELS[level], logging.WARNING))


class TextFormatter(logging.Formatter):
    """One line a record: `2026-01-31T12:00:00.123Z INFO message key=value …`."""

    def format(self, record: logging.LogRecord) -> str:
        """The line; a traceback follows it, indented, a line each."""
        parts = [_moment(record), record.levelname, escaped(record.getMessage())]
        parts += [f"{key}={_text_value(value)}" for key, value in _fields(record)]
        return "\n".join([" ".join(parts), *_traceback(self, record)])


class JsonFormatter(logging.Formatter):
    """One JSON object a line: `time`, `level`, `logger`, `message` and the record's fields."""

    def format(self, record: logging.LogRecord) -> str:
        """The object in ASCII alone, so that nothing in it can end the line."""
        line: dict[str, object] = {
            "time": _moment(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line.update((key, value) for key, value in _fields(record) if key not in line)
        traceback = list(_traceback(self, record))
        if traceback:
            line["traceback"] = "\n".join(traceback)
        return json.dumps(line, default=_json_value)


def escaped(text: str) -> str:
    """`text` with everything that is no printable character as a backslash sequence."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


def _fields(record: logging.LogRecord) -> Iterator[tuple[str, object]]:
    return ((key, value) for key, value in vars(record).items() if key not in _STANDARD_FIELDS)


def _moment(record: logging.LogRecord) -> str:
    """When the record was made, in UTC to the millisecond (RFC 3339)."""
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    return f"{whole}.{int(record.msecs):03d}Z"


def _text_value(value: object) -> str:
    """A field's value: as it is when that is one plain word, otherwise quoted."""
    if isinstance(value, list | tuple | set | frozenset):
        return _text_value(",".join(map(str, value)))
    text = escaped(str(value))
    if text and not any(character in ' "=' for character in text):
        return text
    return '"' + text.replace('"', '\\"') + '"'


def _json_value(value: object) -> object:
    """What stands for a value that JSON has no form for."""
    return sorted(map(str, value)) if isinstance(value, set | frozenset) else str(value)


def _traceback(formatter: logging.Formatter, record: logging.LogRecord) -> Iterator[str]:
    if record.exc_info:
        for line in formatter.formatException(record.exc_info).splitlines():
            yield "    " + escaped(line)

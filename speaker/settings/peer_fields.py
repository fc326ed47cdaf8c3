"""Fields of a file of peers: each one's name, how its YAML value is read, what stands for it when absent.

Knows mappings, lists and scalars as YAML and JSON give them, and collects every problem with them. Knows
no file, and not how peers are made of the values: that is `peer_file`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Generic, TypeVar, cast

from annotations.problems import bounded
from speaker.texts import go_values
from speaker.texts.readers import Parser
from speaker.texts.shown import LARGEST_SHOWN, LONGEST_SHOWN, scalar_shown

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

LONGEST_TEXT = 255
"""How many characters a name, a description or a path may have."""

_MOST_PROBLEMS = 100
"""So many problems are told of one file; the rest follow from these or are found the next time."""


@dataclass(frozen=True, slots=True)
class Spot:
    """One place in the file, and where problems with it are told.

    Attributes:
        place: what the file is called.
        path: the field, such as `peers[1].holdTime`; "" is the whole file.
        problems: every sentence so far; shared by all spots of the file.
    """

    place: str
    path: str
    problems: list[str]

    def field(self, name: str) -> "Spot":
        """The field of that name in the mapping at this spot."""
        shown = bounded(name)
        return Spot(self.place, f"{self.path}.{shown}" if self.path else shown, self.problems)

    def item(self, number: int) -> "Spot":
        """One item, counted from 0, of the list at this spot."""
        return Spot(self.place, f"{self.path}[{number}]", self.problems)

    def problem(self, sentence: str) -> None:
        """Tell what is wrong here."""
        if len(self.problems) < _MOST_PROBLEMS:
            self.problems.append(f"{self.place}: {f'{self.path}: ' if self.path else ''}{sentence}")

    def wrong(self, value: object, sentence: str) -> None:
        """Tell what is wrong with a value here, showing it."""
        if len(self.problems) < _MOST_PROBLEMS:
            self.problems.append(f"{self.place}: {self.path}={shown(value)}: {sentence}")


Read = Callable[[object, Spot], T]
"""Turns a value into what it means; tells problems at the spot and raises `ValueError` after the last."""


@dataclass(frozen=True, slots=True)
class Field(Generic[T_co]):
    """One field.

    Attributes:
        name: as it stands in the file.
        read: how its value is read.
        default: what it is when absent, null or wrong.
        kind: the word for people: "duration", "address", …
        help: what it is for: one sentence or two, for people.
        shown_default: how the default is described; "" where there is none.
    """

    name: str
    read: Read[T_co]
    default: T_co
    kind: str
    help: str
    shown_default: str = ""


class Mapped:
    """The fields of one mapping of the file, read as far as they can be.

    Args:
        spot: where the mapping is.
        content: what stands there.
        known: every field that may stand there.
        advice: for fields that others have and this file has not: what to do instead.
    """

    def __init__(
        self, spot: Spot, content: object, known: Sequence[Field[object]], advice: Mapping[str, str]
    ) -> None:
        self.spot = spot
        self._values: dict[str, object] = {}
        self._raw: dict[str, object] = {}
        self.is_mapping = isinstance(content, dict)
        if not isinstance(content, dict):
            spot.problem(f"must be a mapping of fields, not {shown(content)}")
            return
        fields = {field.name: field for field in known}
        for name, value in content.items():
            if not isinstance(name, str) or name not in fields:
                _tell_unknown(spot, name, list(fields), advice)
                continue
            self._raw[name] = value
            if value is not None:
                self._read(fields[name], value)

    def _read(self, field: Field[object], value: object) -> None:
        try:
            self._values[field.name] = field.read(value, self.spot.field(field.name))
        except ValueError:
            return  # told where it was found; the default stands in, so that the rest is read

    def __getitem__(self, field: Field[T]) -> T:
        """The value of a field, or its default."""
        return cast("T", self._values.get(field.name, field.default))

    def names(self, field: Field[object]) -> bool:
        """Whether the field stands in the mapping, also with null or with something wrong."""
        return field.name in self._raw

    def raw(self, field: Field[object]) -> object:
        """What stands in the file for a field."""
        return self._raw.get(field.name)


def scalar(parser: Parser[T]) -> Read[T]:
    """One text or number, as the flags' parsers take it."""

    def read(value: object, spot: Spot) -> T:
        try:
            # What is no text and no number has no text: the parser then says what would be right.
            return parser("" if _is_no_scalar(value) else str(value))
        except ValueError as error:
            spot.wrong(value, str(error))
            raise

    return read


def _is_no_scalar(value: object) -> bool:
    is_endless = isinstance(value, int) and abs(value) > LARGEST_SHOWN
    return isinstance(value, bool) or is_endless or not isinstance(value, str | int | float)


def text(value: object, spot: Spot) -> str:
    """A text on one line."""
    if isinstance(value, str) and value.strip() and value.isprintable() and len(value) <= LONGEST_TEXT:
        return value
    sentence = f"must be a text of one line and at most {LONGEST_TEXT} characters"
    spot.wrong(value, sentence)
    raise ValueError(sentence)


def switch(value: object, spot: Spot) -> bool:
    """True or false."""
    return scalar(go_values.boolean)(str(value).lower() if isinstance(value, bool) else value, spot)


def listed(parser: Parser[T]) -> Read[tuple[T, ...]]:
    """A list, or a text with commas."""

    def read(value: object, spot: Spot) -> tuple[T, ...]:
        items = value if isinstance(value, list) else None
        if isinstance(value, str):
            items = list(go_values.elements(value))
        if not items:
            spot.wrong(value, "must be a list that is not empty")
            raise ValueError(spot.path)
        read_one = scalar(parser)
        return tuple(read_one(item, spot.item(number)) for number, item in enumerate(items))

    return read


def switched(fields: Sequence[Field[object]], make: Callable[[Mapped], T]) -> Read[T | None]:
    """True for the defaults, false for None, or a mapping of `fields` for all else."""

    def read(value: object, spot: Spot) -> T | None:
        if isinstance(value, bool):
            return make(Mapped(spot, {}, fields, {})) if value else None
        if not isinstance(value, dict):
            names = ", ".join(field.name for field in fields)
            spot.wrong(value, f"must be true, false, or a mapping of {names}")
            raise ValueError(spot.path)  # noqa: TRY004 # what is in a file is wrong by its value
        return make(Mapped(spot, value, fields, {}))

    return read


def shown(value: object) -> str:
    """A value as a message repeats it: bounded, and of collections only what they are.

    YAML's aliases can make a small file into a text without end.
    """
    if isinstance(value, dict | list):
        return _shape(value)
    return scalar_shown(value)


def _shape(value: object) -> str:
    return {"dict": "a mapping", "list": "a list", "NoneType": "nothing"}.get(type(value).__name__, "a value")


def _tell_unknown(spot: Spot, name: object, known: Sequence[str], advice: Mapping[str, str]) -> None:
    if isinstance(name, str) and name in advice:
        spot.field(name).problem(advice[name])
        return
    lowered = {each.lower(): each for each in known}
    near = get_close_matches(str(name).lower()[:LONGEST_SHOWN], lowered, n=1)
    hint = f"; did you mean {lowered[near[0]]}?" if near else f"; there are {', '.join(known)}"
    spot.problem(f"there is no field {shown(name)}{hint}")

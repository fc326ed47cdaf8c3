"""Fields of a resource: reads them one by one and collects every problem with them.

Knows mappings, lists and scalars as JSON decodes them; knows no field by name. What is wrong never raises
here: it is told at its place and a default stands in, so that the rest is read and told too.
"""

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import NamedTuple, TypeVar

from annotations.problems import bounded
from speaker.errors import SpeakerError
from speaker.texts.shown import LONGEST_SHOWN, scalar_shown

T = TypeVar("T")
Read = Callable[[object], T]
"""Turns a value into what it means, or raises ValueError with a sentence such as "must be …"."""

MOST_PROBLEMS = 50
"""So many problems are told of one resource; the rest follow from these or are found the next time."""


class FieldProblem(NamedTuple):
    """What is wrong with one field.

    Attributes:
        field: its path in the resource, such as `spec.peerIP` or `spec.exportV4[0].cidr`.
        value: what stands there, bounded; "" where a value must not be shown or there is none.
        sentence: what would be right.
    """

    field: str
    value: str
    sentence: str

    def __str__(self) -> str:
        return (
            f"{self.field}={self.value}: {self.sentence}" if self.value else f"{self.field}: {self.sentence}"
        )


class ResourceError(SpeakerError):
    """A resource that cannot be used.

    Attributes:
        problems: all that is wrong with it, in the order of its fields' reading.
    """

    def __init__(self, problems: tuple[FieldProblem, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class Fields:
    """One mapping of a resource. Every field must be asked for before `close`, which tells the others.

    Args:
        content: what stands there.
        path: where that is.
        problems: where problems are told; shared by all mappings of the resource.
    """

    def __init__(self, content: Mapping[str, object], path: str, problems: list[FieldProblem]) -> None:
        self._content = content
        self.path = path
        self._problems = problems
        self._known: list[str] = []

    def has(self, name: str) -> bool:
        """Whether the field stands there with a value; null, an empty text and an empty list are none."""
        return self._value(name) not in (None, [])

    def get(self, name: str, read: Read[T], default: T) -> T:
        """The value of a field, or the default when it is absent or wrong."""
        value = self._value(name)
        if value is None:
            return default
        return self._read(f"{self.path}.{name}", value, read, default)

    def many(self, name: str, read: Read[T], most: int) -> tuple[T, ...]:
        """The values of a list of scalars that are right."""
        found = []
        for place, value in self._items(name, most):
            one = self._read(place, value, read, None)
            if one is not None:
                found.append(one)
        return tuple(found)

    def mapping(self, name: str, *, secret: bool = False) -> "Fields | None":
        """The mapping in a field; None when absent or wrong. `secret` never shows what stands there."""
        value = self._value(name)
        if value is None:
            return None
        path = f"{self.path}.{name}"
        if isinstance(value, dict):
            return Fields(value, path, self._problems)
        self._tell(path, "" if secret else shown(value), "must be a mapping of fields")
        return None

    def mappings(self, name: str, most: int) -> tuple["Fields", ...]:
        """The mappings in a list."""
        found = []
        for place, value in self._items(name, most):
            if isinstance(value, dict):
                found.append(Fields(value, place, self._problems))
            else:
                self._tell(place, shown(value), "must be a mapping of fields")
        return tuple(found)

    def wrong(self, name: str, sentence: str) -> None:
        """Tell what is wrong with a field, showing its value."""
        value = self._content.get(name)
        self._tell(f"{self.path}.{name}", "" if value is None else shown(value), sentence)

    def require(self, *names: str) -> None:
        """Tell which of these fields are absent."""
        for name in names:
            if not self.has(name):
                self._tell(f"{self.path}.{name}", "", "is missing")

    def close(self) -> None:
        """Tell the fields that nobody asked for."""
        for name in self._content:
            if name not in self._known:
                place = f"{self.path}.{bounded(str(name), LONGEST_SHOWN)}"
                self._tell(place, "", f"there is no such field{self._hint(str(name))}")

    def _hint(self, name: str) -> str:
        lowered = {each.lower(): each for each in self._known}
        near = get_close_matches(name.lower()[:LONGEST_SHOWN], lowered, n=1)
        return f"; did you mean {lowered[near[0]]}?" if near else f"; there are {', '.join(self._known)}"

    def _value(self, name: str) -> object:
        if name not in self._known:
            self._known.append(name)
        value = self._content.get(name)
        return None if value == "" else value

    def _items(self, name: str, most: int) -> list[tuple[str, object]]:
        value = self._value(name)
        path = f"{self.path}.{name}"
        if value is None:
            return []
        if not isinstance(value, list):
            self._tell(path, shown(value), "must be a list")
            return []
        if len(value) > most:
            self._tell(path, "", f"must have at most {most} items, and has {len(value)}")
        return [(f"{path}[{number}]", item) for number, item in enumerate(value[:most])]

    def _read(self, path: str, value: object, read: Read[T], default: T) -> T:
        try:
            return read(value)
        except ValueError as error:
            self._tell(path, shown(value), str(error))
            return default

    def _tell(self, path: str, value: str, sentence: str) -> None:
        if len(self._problems) < MOST_PROBLEMS:
            self._problems.append(FieldProblem(path, value, sentence))


def shown(value: object) -> str:
    """A value as a message repeats it: bounded, and of collections only what they are."""
    if isinstance(value, dict | list):
        return "{…}" if isinstance(value, dict) else "[…]"
    return scalar_shown(value)

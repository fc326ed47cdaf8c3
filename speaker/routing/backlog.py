"""What waits to be looked at: a queue in which nothing waits twice for the same turn."""

from collections.abc import Iterable
from typing import Generic, TypeVar

_T = TypeVar("_T")


class Backlog(Generic[_T]):
    """Things in the order of their arrival, taken by the dozen.

    What is added while it is being taken waits for the next round: so a thing may come twice, which costs
    another look. Taking the first of a dictionary whose head was deleted would cost its length, and an
    ordered dictionary ten times as much for each. What was long keeps no memory once it is taken.
    """

    def __init__(self) -> None:
        self._fresh: dict[_T, None] = {}
        # The round that is being taken, the first at the end.
        self._round: list[_T] = []

    def __len__(self) -> int:
        return len(self._fresh) + len(self._round)

    def add(self, items: Iterable[_T]) -> None:
        """Let these wait."""
        self._fresh.update(dict.fromkeys(items))

    def take(self, most: int) -> list[_T]:
        """Remove and return those that have waited longest, so many of them at most."""
        if not self._round:
            self._round, self._fresh = list(reversed(self._fresh)), {}
        taken = self._round[: -most - 1 : -1]
        del self._round[-most:]
        return taken

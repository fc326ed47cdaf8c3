"""Limits on how many prefixes are advertised, as a function of the state alone.

What is sent stays: prefixes rank by the age of the oldest object that asks for them, and the first
ones are admitted. A new object is younger than all that is sent, so it never displaces anything; of
objects created in one second the name decides. (What "is sent" in the sense of history cannot be
used: a restarted speaker would then choose other prefixes than the one it follows.)
"""

from bisect import bisect_left, insort

from speaker.model.prefix import Prefix, sort_key
from speaker.model.publication import Publication

Rank = tuple[float, str, str, str, tuple[int, int, int]]
"""Creation time, kind, namespace and name of the object, then the prefix: a total order."""


def rank_of(publication: Publication) -> Rank:
    """Where a publication stands among all others: older objects first."""
    source = publication.source
    return (
        publication.created_at,
        source.kind.value,
        source.namespace,
        source.name,
        sort_key(publication.prefix),
    )


class Ranking:
    """Prefixes in the order of their ranks, of which the first `most` are admitted.

    Placing or asking costs O(log n) comparisons. A limit of 0 admits all and keeps nothing.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._order: list[Rank] = []
        self._ranks: dict[Prefix, Rank] = {}
        self._prefixes: dict[Rank, Prefix] = {}

    def __len__(self) -> int:
        return len(self._order)

    def admits(self, prefix: Prefix) -> bool:
        """Whether `prefix` is among the first; one that was never placed is not."""
        if not self._most:
            return True
        rank = self._ranks.get(prefix)
        return rank is not None and bisect_left(self._order, rank) < self._most

    def place(self, prefix: Prefix, rank: Rank | None) -> tuple[Prefix, ...]:
        """Give `prefix` its rank (None: it leaves); returns the others whose admission changed."""
        if not self._most or self._ranks.get(prefix) == rank:
            return ()
        edge = self._admitted_last()
        self._remove(prefix)
        if rank is not None:
            self._ranks[prefix] = rank
            self._prefixes[rank] = prefix
            insort(self._order, rank)
        return tuple(
            {each for each in (edge, self._admitted_last(), self._refused_first()) if each} - {prefix}
        )

    def _remove(self, prefix: Prefix) -> None:
        rank = self._ranks.pop(prefix, None)
        if rank is not None:
            del self._order[bisect_left(self._order, rank)]
            del self._prefixes[rank]

    def _admitted_last(self) -> Prefix | None:
        index = min(self._most, len(self._order)) - 1
        return self._prefixes[self._order[index]] if index >= 0 else None

    def _refused_first(self) -> Prefix | None:
        return self._prefixes[self._order[self._most]] if len(self._order) > self._most else None

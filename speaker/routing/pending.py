"""What the peers should hear differently since it was last taken.

Keeps one entry a prefix: what the peers were to hear when changes were last taken. What goes away and
comes back in between is no change. Withdrawals wait until the recomputation is complete and all
advertisements are taken: a Subnet that goes from Local to Cluster must have its CIDR out before the
host routes go.
"""

from collections.abc import Callable, Iterator, Mapping

from speaker.model.prefix import Prefix
from speaker.routing.export import Hearing

Hearings = Mapping[str, Hearing]
"""What the peers hear of a prefix, by the names of those that hear something."""


class Pending:
    """Changes that wait to be taken."""

    def __init__(self) -> None:
        self._reaching: dict[Prefix, Hearings] = {}
        self._leaving: dict[Prefix, Hearings] = {}

    def __len__(self) -> int:
        return len(self._reaching) + len(self._leaving)

    def note(self, prefix: Prefix, before: Hearings, after: Hearings) -> None:
        """What the peers hear of `prefix` went from `before` to `after`."""
        taken = self._reaching.pop(prefix, None)
        if taken is None:
            taken = self._leaving.pop(prefix, before) if self._leaving else before
        if taken == after:
            return
        news = not taken or any(taken.get(peer) != hearing for peer, hearing in after.items())
        (self._reaching if news else self._leaving)[prefix] = taken

    def take(
        self, limit: int | None, current: Callable[[Prefix], Hearings], *, complete: bool
    ) -> Iterator[tuple[Prefix, Hearings, Hearings]]:
        """Take up to `limit` prefixes with what was heard of them and what is to be heard.

        A prefix that some peers are to hear anew and others no longer comes twice: the first time, those
        others still hear it.

        Args:
            limit: how many at most; None takes all.
            current: what the peers should hear of a prefix.
            complete: whether nothing is left to recompute; until then withdrawals wait.
        """
        taken = _first(self._reaching, limit)
        for prefix, before in taken:
            after = current(prefix)
            if before:
                still = {peer: hearing for peer, hearing in before.items() if peer not in after}
                if still:
                    after = self._leaving[prefix] = {**still, **after}
            yield prefix, before, after
        if complete and not self._reaching:
            left = None if limit is None else limit - len(taken)
            for prefix, before in _first(self._leaving, left):
                yield prefix, before, current(prefix)


def _first(waiting: dict[Prefix, Hearings], limit: int | None) -> list[tuple[Prefix, Hearings]]:
    """Remove and return the entries that have waited longest."""
    if limit is None or limit >= len(waiting):
        taken = list(waiting.items())
        waiting.clear()
        return taken
    heads = [prefix for prefix, _ in zip(waiting, range(max(limit, 0)), strict=False)]
    return [(prefix, waiting.pop(prefix)) for prefix in heads]

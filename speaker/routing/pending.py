"""What the peers should hear differently since it was last taken.

Keeps one entry a prefix: what the peers were to hear when changes were last taken. What goes away and
comes back in between is no change. Withdrawals wait until the recomputation is complete and all
advertisements are taken: a Subnet that goes from Local to Cluster must have its CIDR out before the
host routes go.
"""

from collections.abc import Iterable, Iterator

from speaker.model.prefix import Prefix
from speaker.model.route import Route
from speaker.routing.export import Distribution

PeerChanges = dict[str, dict[Prefix, Route | None]]


class Pending:
    """Changes that wait to be taken."""

    def __init__(self) -> None:
        self._reaching: dict[Prefix, Distribution] = {}
        self._leaving: dict[Prefix, Distribution] = {}

    def __len__(self) -> int:
        return len(self._reaching) + len(self._leaving)

    def note(self, prefix: Prefix, before: Distribution, after: Distribution) -> None:
        """What the peers hear of `prefix` went from `before` to `after`."""
        reaching = self._reaching.pop(prefix, None)
        leaving = self._leaving.pop(prefix, None)
        taken = reaching or leaving or before
        if taken.hearings == after.hearings:
            return
        (self._reaching if after.hearings else self._leaving)[prefix] = taken

    def take(self, limit: int | None, *, complete: bool) -> Iterator[tuple[Prefix, Distribution]]:
        """Take up to `limit` prefixes with what was heard of them; withdrawals come last.

        Args:
            limit: how many at most; None takes all.
            complete: whether nothing is left to recompute; until then withdrawals wait.
        """
        taken = _first(self._reaching, limit)
        yield from taken
        left = None if limit is None else limit - len(taken)
        if complete and not self._reaching:
            yield from _first(self._leaving, left)


def changes(
    peers: Iterable[str], prefix: Prefix, before: Distribution, after: Distribution
) -> Iterator[tuple[str, Route | None]]:
    """The peers that hear the prefix differently, with what they should hear."""
    for peer in peers:
        hearing = after.hearings.get(peer)
        if before.hearings.get(peer) != hearing:
            yield peer, after.route(prefix, peer)


def _first(waiting: dict[Prefix, Distribution], limit: int | None) -> list[tuple[Prefix, Distribution]]:
    """Remove and return the entries that have waited longest."""
    if limit is None or limit >= len(waiting):
        taken = list(waiting.items())
        waiting.clear()
        return taken
    heads = [prefix for prefix, _ in zip(waiting, range(max(limit, 0)), strict=False)]
    return [(prefix, waiting.pop(prefix)) for prefix in heads]

"""What one peer has advertised to us (RFC 4271 §3.2), bounded, with what is stale of it.

Pure bookkeeping. Beyond the limit further prefixes are not kept: a peer that sends a full table to a
speaker that only publishes costs it no memory.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

from speaker.bgp.messages import UpdateMessage
from speaker.model.prefix import Family, family_of
from speaker.model.route import PrefixPath, Route

LLGR_STALE = 0xFFFF0006
"""The well-known community of what is kept for long (RFC 9494 §3.2)."""

NO_LLGR = 0xFFFF0007
"""The well-known community of what must not be kept for long (RFC 9494 §3.3)."""


class AdjRibIn:
    """The Adj-RIB-In of one peer; while the peer restarts it outlives the session.

    Args:
        limit: how many paths are kept at most, beside those that are stale.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._routes: dict[PrefixPath, Route] = {}
        self._counts = dict.fromkeys(Family, 0)
        self._stale: dict[Family, set[PrefixPath]] = {family: set() for family in Family}

    @property
    def routes(self) -> Mapping[PrefixPath, Route]:
        """The routes by prefix and Path Identifier."""
        return MappingProxyType(self._routes)

    @property
    def counts(self) -> tuple[tuple[Family, int], ...]:
        """How many routes of each family are kept; families without any are left out."""
        return tuple((family, count) for family, count in self._counts.items() if count)

    @property
    def stale(self) -> int:
        """How many of them the peer has not advertised since it restarted, or since a refresh began."""
        return sum(map(len, self._stale.values()))

    def has_stale(self, family: Family) -> bool:
        """Whether any route of the family is stale."""
        return bool(self._stale[family])

    def apply(self, update: UpdateMessage) -> tuple[Route, ...]:
        """Takes in an UPDATE; "withdrawn" first, since it may name what the same one advertises.

        Returns:
            The advertised routes that are kept.
        """
        for path in update.withdrawn:
            self._drop(path)
        refused: set[PrefixPath] = set()
        for route in update.advertised:
            path = PrefixPath(route.prefix, route.path_id)
            family = family_of(route.prefix)
            if path not in self._routes:
                # What is stale gives way to what is new: a peer that restarts has not sent too much.
                if len(self._routes) - self.stale >= self.limit:
                    refused.add(path)
                    continue
                self._counts[family] += 1
            self._routes[path] = route
            self._stale[family].discard(path)
        if not refused:
            return update.advertised
        kept = (route for route in update.advertised if (route.prefix, route.path_id) not in refused)
        return tuple(kept)

    def _drop(self, path: PrefixPath) -> None:
        if self._routes.pop(path, None) is not None:
            family = family_of(path.prefix)
            self._counts[family] -= 1
            self._stale[family].discard(path)

    def mark_stale(self, family: Family) -> None:
        """What the peer has advertised of the family is true until further notice only."""
        self._stale[family].update(path for path in self._routes if family_of(path.prefix) is family)

    def drop_stale(self, family: Family) -> tuple[PrefixPath, ...]:
        """The peer has said all: what is stale still is gone. Returns it."""
        return self._drop_all(tuple(self._stale[family]))

    def keep_long(self, family: Family) -> tuple[tuple[Route, ...], tuple[PrefixPath, ...]]:
        """What is stale becomes a last choice, but for what must not be kept (RFC 9494 §4.2).

        Returns:
            The routes as they are now, with LLGR_STALE, and what is gone.
        """
        unwanted = [
            path for path in self._stale[family] if NO_LLGR in self._routes[path].attributes.communities
        ]
        gone = self._drop_all(unwanted)
        kept = []
        for path in self._stale[family]:
            route = self._routes[path]
            communities = tuple(sorted({*route.attributes.communities, LLGR_STALE}))
            self._routes[path] = replace(route, attributes=replace(route.attributes, communities=communities))
            kept.append(self._routes[path])
        return tuple(kept), gone

    def drop_family(self, family: Family) -> tuple[PrefixPath, ...]:
        """Forgets the family. Returns what is gone."""
        return self._drop_all([path for path in self._routes if family_of(path.prefix) is family])

    def _drop_all(self, paths: Iterable[PrefixPath]) -> tuple[PrefixPath, ...]:
        gone = tuple(paths)
        for path in gone:
            self._drop(path)
        return gone

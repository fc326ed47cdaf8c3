"""What one peer has advertised to us (RFC 4271 §3.2), bounded.

Pure bookkeeping. Beyond the limit further prefixes are not kept: a peer that sends a full table to a
speaker that only publishes costs it no memory.
"""

from collections.abc import Mapping
from types import MappingProxyType

from speaker.bgp.messages import UpdateMessage
from speaker.model.prefix import Family, Prefix, family_of
from speaker.model.route import Route


class AdjRibIn:
    """The Adj-RIB-In of one session; it ends with it.

    Args:
        limit: how many prefixes are kept at most.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._routes: dict[Prefix, Route] = {}
        self._counts = dict.fromkeys(Family, 0)

    @property
    def routes(self) -> Mapping[Prefix, Route]:
        """The routes by prefix."""
        return MappingProxyType(self._routes)

    @property
    def counts(self) -> tuple[tuple[Family, int], ...]:
        """How many routes of each family are kept; families without any are left out."""
        return tuple((family, count) for family, count in self._counts.items() if count)

    def apply(self, update: UpdateMessage) -> None:
        """Takes in an UPDATE; "withdrawn" first, since it may name what the same one advertises."""
        for prefix in update.withdrawn:
            if self._routes.pop(prefix, None) is not None:
                self._counts[family_of(prefix)] -= 1
        for route in update.advertised:
            if route.prefix not in self._routes:
                if len(self._routes) >= self._limit:
                    continue
                self._counts[family_of(route.prefix)] += 1
            self._routes[route.prefix] = route

    def clear(self) -> None:
        """The session is gone, and what it brought with it."""
        self._routes.clear()
        self._counts = dict.fromkeys(Family, 0)

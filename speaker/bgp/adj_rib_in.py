"""What one peer has advertised to us (RFC 4271 §3.2), bounded, with what is stale of it.

Pure bookkeeping. Beyond the limit further prefixes are not kept: a peer that sends a full table to a
speaker that only publishes costs it no memory.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from ipaddress import IPv4Network
from types import MappingProxyType

from speaker.bgp.messages import UpdateMessage
from speaker.model.prefix import Family, Prefix, family_of
from speaker.model.route import PrefixPath, Route

LLGR_STALE = 0xFFFF0006
"""The well-known community of what is kept for long (RFC 9494 §3.2)."""

NO_LLGR = 0xFFFF0007
"""The well-known community of what must not be kept for long (RFC 9494 §3.3)."""


_Key = Prefix | PrefixPath
"""What a route is kept under: its prefix alone where the Path Identifier is 0, to spare a tuple for each."""


class AdjRibIn:
    """The Adj-RIB-In of one peer; while the peer restarts it outlives the session.

    Args:
        limit: how many paths are kept at most, beside those that are stale.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._routes: dict[Family, dict[_Key, Route]] = {family: {} for family in Family}
        self._stale: dict[Family, set[_Key]] = {family: set() for family in Family}

    @property
    def routes(self) -> Mapping[PrefixPath, Route]:
        """The routes by prefix and Path Identifier, as they are at this moment."""
        every = (route for routes in self._routes.values() for route in routes.values())
        return MappingProxyType({PrefixPath(each.prefix, each.path_id): each for each in every})

    @property
    def counts(self) -> tuple[tuple[Family, int], ...]:
        """How many routes of each family are kept; families without any are left out."""
        return tuple((family, len(routes)) for family, routes in self._routes.items() if routes)

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
            self._drop(family_of(path.prefix), _key(path))
        # What is stale gives way to what is new: a peer that restarts has not sent too much.
        room = self.limit + self.stale - sum(map(len, self._routes.values()))
        refused: set[_Key] = set()
        for route in update.advertised:
            # All of the loop is written out: it is passed for every route of a full table.
            prefix = route.prefix
            family = Family.IPV4 if isinstance(prefix, IPv4Network) else Family.IPV6
            key = PrefixPath(prefix, route.path_id) if route.path_id else prefix
            routes, stale = self._routes[family], self._stale[family]
            is_new = key not in routes
            if is_new and room <= 0:
                refused.add(key)
                continue
            if is_new or (stale and key in stale):
                room -= 1
                stale.discard(key)
            routes[key] = route
        if not refused:
            return update.advertised
        return tuple(
            each for each in update.advertised if _key(PrefixPath(each.prefix, each.path_id)) not in refused
        )

    def _drop(self, family: Family, key: _Key) -> None:
        if self._routes[family].pop(key, None) is not None:
            self._stale[family].discard(key)

    def mark_stale(self, family: Family) -> None:
        """What the peer has advertised of the family is true until further notice only."""
        self._stale[family].update(self._routes[family])

    def drop_stale(self, family: Family) -> tuple[PrefixPath, ...]:
        """The peer has said all: what is stale still is gone. Returns it."""
        return self._drop_all(family, tuple(self._stale[family]))

    def keep_long(self, family: Family) -> tuple[tuple[Route, ...], tuple[PrefixPath, ...]]:
        """What is stale becomes a last choice, but for what must not be kept (RFC 9494 §4.2).

        Returns:
            The routes as they are now, with LLGR_STALE, and what is gone.
        """
        routes = self._routes[family]
        unwanted = [key for key in self._stale[family] if NO_LLGR in routes[key].attributes.communities]
        gone = self._drop_all(family, unwanted)
        kept = []
        for key in self._stale[family]:
            route = routes[key]
            communities = tuple(sorted({*route.attributes.communities, LLGR_STALE}))
            routes[key] = route._replace(attributes=replace(route.attributes, communities=communities))
            kept.append(routes[key])
        return tuple(kept), gone

    def drop_family(self, family: Family) -> tuple[PrefixPath, ...]:
        """Forgets the family. Returns what is gone."""
        return self._drop_all(family, tuple(self._routes[family]))

    def _drop_all(self, family: Family, keys: Iterable[_Key]) -> tuple[PrefixPath, ...]:
        gone = tuple(keys)
        for key in gone:
            self._drop(family, key)
        return tuple(key if isinstance(key, PrefixPath) else PrefixPath(key) for key in gone)


def _key(path: PrefixPath) -> _Key:
    return path if path.path_id else path.prefix

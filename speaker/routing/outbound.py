"""What a peer hears in the end: our own routes through its export rules, then what others have taught.

Own routes come from the reconciler, learned ones from the Loc-RIB, which has passed them through the export
rules itself. An own route stands before the learned ones: alone where the session takes one path, first
where it takes several. Knows no cluster and no next hop.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from speaker.model.fabric import BgpFilter, PrefixAdvertisement
from speaker.model.policy import HostView
from speaker.model.prefix import Prefix
from speaker.model.route import Paths, Route
from speaker.routing.filters import Passage, export_route, with_advertisements
from speaker.routing.imports import filters_of
from speaker.routing.paths import OWN_PATH_ID

_P = TypeVar("_P", bound=Paths)


@dataclass(frozen=True, slots=True)
class ExportTerms:
    """What the export of own routes to one peer depends on.

    Attributes:
        is_ibgp: whether it is an internal peer.
        filters: its BGPFilters; None when one of them does not exist, so that it hears nothing.
        advertisements: communities by prefix.
    """

    is_ibgp: bool
    filters: tuple[BgpFilter, ...] | None = ()
    advertisements: tuple[PrefixAdvertisement, ...] = ()

    def export(self, route: Route) -> Route | None:
        """An own route as the peer hears it; None when the rules reject it."""
        if self.filters is None:
            return None
        if self.advertisements:
            route = with_advertisements(route, self.advertisements)
        if not self.filters:
            return route
        return export_route(self.filters, route, Passage(self.is_ibgp, learned=False)).route


class _Table:
    """What one peer is to hear, from both sides."""

    def __init__(self) -> None:
        self.terms: ExportTerms | None = None
        self.own: dict[Prefix, Route] = {}
        self.learned: dict[Prefix, Paths] = {}

    def merged(self, prefix: Prefix) -> Paths | None:
        """What the peer hears of a prefix."""
        own = self.own.get(prefix)
        if own is not None and self.terms is not None:
            own = self.terms.export(own)
        learned = self.learned.get(prefix)
        if own is None or learned is None:
            return own or learned
        others = (learned,) if isinstance(learned, Route) else learned
        if not others[0].path_id:
            return own
        return (own._replace(path_id=OWN_PATH_ID), *others)


class Outbound:
    """The tables of all peers. A name that `set_host` has not brought is exported to without rules."""

    def __init__(self) -> None:
        self._tables: dict[str, _Table] = {}
        self._stale: OrderedDict[tuple[str, Prefix], None] = OrderedDict()

    def own(self, peer: str, changes: Mapping[Prefix, Route | None]) -> Mapping[Prefix, Paths | None]:
        """Take over how our own routes to a peer change; returns how what it hears does. None withdraws."""
        table = self._table(peer)
        _update(table.own, changes)
        return {prefix: table.merged(prefix) for prefix in changes}

    def learned(self, peer: str, changes: Mapping[Prefix, Paths | None]) -> Mapping[Prefix, Paths | None]:
        """Take over how the learned routes to a peer change; returns how what it hears does."""
        table = self._table(peer)
        _update(table.learned, changes)
        return {prefix: table.merged(prefix) for prefix in changes}

    def set_host(
        self,
        host: HostView,
        filters: Mapping[str, BgpFilter],
        advertisements: tuple[PrefixAdvertisement, ...] = (),
    ) -> None:
        """Take over the peers and the export rules; marks the own routes of peers whose rules differ.

        A peer that is not in `host` is forgotten: one that comes back is told everything anew.

        Args:
            host: the peers.
            filters: all BGPFilters by name.
            advertisements: communities by prefix.
        """
        for gone in self._tables.keys() - host.peers.keys():
            del self._tables[gone]
        for name, view in host.peers.items():
            terms = ExportTerms(view.peer.is_ibgp, filters_of(view.peer, filters), advertisements)
            table = self._table(name)
            if table.terms != terms:
                table.terms = terms
                self._mark(name, table.own)

    @property
    def has_changes(self) -> bool:
        """Whether `take` would look at something."""
        return bool(self._stale)

    def take(self, limit: int | None = None) -> Mapping[str, Mapping[Prefix, Paths | None]]:
        """Per peer, what `set_host` changes of what it hears; None withdraws.

        Args:
            limit: how many prefixes to look at, each peer's by itself; call again while `has_changes`.
        """
        number = len(self._stale) if limit is None else min(limit, len(self._stale))
        found: dict[str, dict[Prefix, Paths | None]] = {}
        for _ in range(number):
            name, prefix = self._stale.popitem(last=False)[0]
            table = self._tables.get(name)
            if table is not None:
                found.setdefault(name, {})[prefix] = table.merged(prefix)
        return found

    def desired(self, peer: str) -> Mapping[Prefix, Paths]:
        """All that a peer hears."""
        table = self._table(peer)
        prefixes = table.own.keys() | table.learned.keys()
        merged = ((prefix, table.merged(prefix)) for prefix in prefixes)
        return {prefix: paths for prefix, paths in merged if paths is not None}

    def _table(self, peer: str) -> _Table:
        found = self._tables.get(peer)
        if found is None:
            found = self._tables[peer] = _Table()
        return found

    def _mark(self, peer: str, prefixes: Iterable[Prefix]) -> None:
        self._stale.update(((peer, prefix), None) for prefix in prefixes)


def _update(table: dict[Prefix, _P], changes: Mapping[Prefix, _P | None]) -> None:
    for prefix, paths in changes.items():
        if paths is None:
            table.pop(prefix, None)
        else:
            table[prefix] = paths

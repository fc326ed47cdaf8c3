"""What a router holds that hears an Adj-RIB-Out's changes, and refuses what makes no sense."""

from speaker.bgp.adj_rib_out import Changes
from speaker.model.prefix import Family, Prefix, family_of
from speaker.model.route import Route


class ListeningRouter:
    """A table of paths.

    Args:
        add_path: the families in which NLRI carry Path Identifiers; in others a prefix has one path.
    """

    def __init__(self, add_path: frozenset[Family] = frozenset()) -> None:
        self._add_path = add_path
        self._stale: dict[Family, set[tuple[Prefix, int]]] = {}
        self.paths: dict[tuple[Prefix, int], Route] = {}

    def key(self, prefix: Prefix, path_id: int) -> tuple[Prefix, int]:
        """What the path is known by on the wire, where a lone path has the identifier 1."""
        return prefix, (path_id or 1) if family_of(prefix) in self._add_path else 0

    def hear(self, changes: Changes) -> None:
        """Takes in one slice, in the order in which it is written."""
        for family in changes.refresh_begins:
            self._stale[family] = {key for key in self.paths if family_of(key[0]) is family}
        gone = [self.key(each.prefix, each.path_id) for each in changes.withdrawn]
        new = {self.key(each.prefix, each.path_id): each for each in changes.advertised}
        assert len(new) == len(changes.advertised), "one path was advertised twice"
        assert not new.keys() & set(gone), "a path was withdrawn only to be advertised"
        for key in gone:
            assert key in self.paths, "withdrawn without having been sent"
            del self.paths[key]
        self.paths.update(new)
        for stale in self._stale.values():
            stale.difference_update(new)
        for family in changes.refresh_ends:
            self._end_refresh(family)

    def _end_refresh(self, family: Family) -> None:
        assert family in self._stale, "a refresh ended that had not begun"
        for key in self._stale.pop(family):
            self.paths.pop(key, None)

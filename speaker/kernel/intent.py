"""Which routes there should be, and where they lead now: prefixes, their next hops, what those resolve to.

Remembers what changed and has not been carried out. Pure: knows nothing of what the kernel has.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from collections.abc import Set as AbstractSet

from speaker.kernel.routes import Entry
from speaker.model.fib import Hop, Resolution
from speaker.model.prefix import Address, Prefix

DROP = Entry()
"""What a blackhole does."""


class Intent:
    """The routes and blackholes that are asked for."""

    def __init__(self) -> None:
        self._next_hops: dict[Prefix, tuple[Address, ...]] = {}
        self._blackholes: frozenset[Prefix] = frozenset()
        self._users: defaultdict[Address, set[Prefix]] = defaultdict(set)
        self._resolutions: dict[Address, Resolution] = {}
        # Most prefixes share their next hops with many others.
        self._entries: dict[tuple[int, tuple[Address, ...]], Entry | None] = {}
        self._changed: set[Prefix] = set()

    def __len__(self) -> int:
        return len(self._next_hops) + sum(prefix not in self._next_hops for prefix in self._blackholes)

    @property
    def prefixes(self) -> set[Prefix]:
        """All that is wanted, whether it leads anywhere or not."""
        return self._next_hops.keys() | self._blackholes

    @property
    def next_hops(self) -> set[Address]:
        """What has to be resolved for it."""
        return set(self._users)

    @property
    def has_changed(self) -> bool:
        """Whether `take_changed` would give anything."""
        return bool(self._changed)

    def set_routes(self, changes: Mapping[Prefix, tuple[Address, ...] | None]) -> None:
        """Route these prefixes over these next hops; None takes a prefix out."""
        for prefix, next_hops in changes.items():
            before = self._next_hops.pop(prefix, ())
            for next_hop in before:
                self._users[next_hop].discard(prefix)
                if not self._users[next_hop]:
                    del self._users[next_hop]
            for next_hop in next_hops or ():
                self._users[next_hop].add(prefix)
            if next_hops:
                self._next_hops[prefix] = next_hops
            self._changed.add(prefix)

    def set_blackholes(self, prefixes: Collection[Prefix]) -> None:
        """Drop what is sent to these prefixes, and to no others; they win over routes."""
        wanted = frozenset(prefixes)
        self._changed |= wanted ^ self._blackholes
        self._blackholes = wanted

    def set_resolutions(self, changes: Mapping[Address, Resolution]) -> None:
        """Take in where next hops lead now."""
        self._resolutions.update(changes)
        self._entries.clear()
        for next_hop in changes:
            self._changed |= self._users.get(next_hop, set())

    def forget(self, next_hops: Collection[Address]) -> None:
        """Know nothing any more of next hops that nothing here uses."""
        for next_hop in next_hops:
            if next_hop not in self._users:
                self._resolutions.pop(next_hop, None)

    def clear(self) -> None:
        """Want nothing any more."""
        self._changed |= self.prefixes
        self._next_hops.clear()
        self._users.clear()
        self._blackholes = frozenset()

    def count_settled(self, prefixes: AbstractSet[Prefix]) -> int:
        """How many of the prefixes have not changed since `take_changed`."""
        return len(prefixes) - len(prefixes & self._changed)

    def touch(self, prefixes: Collection[Prefix]) -> None:
        """Look at these again, as though they had changed."""
        self._changed.update(prefixes)

    def take_changed(self) -> set[Prefix]:
        """What changed since the last call."""
        changed, self._changed = self._changed, set()
        return changed

    def is_wanted(self, prefix: Prefix) -> bool:
        """Whether there should be a route or a blackhole, if it leads anywhere."""
        return prefix in self._next_hops or prefix in self._blackholes

    def is_resolved(self, prefix: Prefix) -> bool:
        """Whether it is known where all its next hops lead, if anywhere."""
        if prefix in self._blackholes:
            return True
        return all(next_hop in self._resolutions for next_hop in self._next_hops.get(prefix, ()))

    def entry(self, prefix: Prefix) -> Entry | None:
        """What should be in the kernel; None when nothing should, or no next hop can be reached."""
        if prefix in self._blackholes:
            return DROP
        next_hops = self._next_hops.get(prefix)
        if next_hops is None:
            return None
        key = (prefix.version, next_hops)
        if key not in self._entries:
            self._entries[key] = self._forwarding(prefix.version, next_hops)
        return self._entries[key]

    def _forwarding(self, version: int, next_hops: tuple[Address, ...]) -> Entry | None:
        hops = frozenset(hop for next_hop in next_hops for hop in self._hops(next_hop) if _fits(version, hop))
        return Entry(hops) if hops else None

    def _hops(self, next_hop: Address) -> tuple[Hop, ...]:
        resolution = self._resolutions.get(next_hop)
        return () if resolution is None else resolution.hops


def _fits(version: int, hop: Hop) -> bool:
    """IPv4 can be sent to an IPv6 neighbour, but not IPv6 to an IPv4 one."""
    return hop.gateway is None or version == 4 or hop.gateway.version == 6

"""What is kept of a prefix that peers have advertised: its paths, its next hops and what was chosen.

Mutable records of the Loc-RIB, lean since there is one for each prefix and path; they decide nothing.
"""

from collections import OrderedDict
from collections.abc import Mapping

from speaker.model.fib import UNREACHABLE, Resolution
from speaker.model.prefix import Address, Prefix
from speaker.model.route import Route
from speaker.routing.decision import Rule, distance
from speaker.routing.imports import Source
from speaker.routing.reflect import SILENCE, Hearing

OWN_PATH_ID = 1
"""The Path Identifier of our own route where it stands beside learned ones; theirs are higher."""


class NextHop:
    """One BGP next hop, and the paths over it.

    Attributes:
        address: the next hop.
        alone: what a prefix with no other forwards by; shared by all of them.
        resolution: what the kernel says; None as long as it has said nothing.
        is_own: it is an address of this host (RFC 4271 §5.1.3).
        refusal: why no path over it is eligible, or None.
        distance: its interior cost.
        paths: those that lead over it, as far as the import policy lets them through.
    """

    __slots__ = ("address", "alone", "distance", "is_own", "paths", "refusal", "resolution")

    def __init__(self, address: Address, *, is_own: bool) -> None:
        self.address = address
        self.alone: tuple[Address, ...] = (address,)
        self.resolution: Resolution | None = None
        self.distance = distance(UNREACHABLE)
        self.paths: set[Path] = set()
        self.set_own(is_own)

    @property
    def is_unknown(self) -> bool:
        """Whether the kernel has yet to say how it is reached."""
        return self.resolution is None and not self.is_own

    def set_resolution(self, resolution: Resolution) -> None:
        """Take over how it is reached."""
        self.resolution, self.distance = resolution, distance(resolution)
        self.set_own(self.is_own)

    def set_own(self, is_own: bool) -> None:  # noqa: FBT001 -- a fact, not a switch
        """Take over whether it is an address of this host."""
        self.is_own = is_own
        reachable = self.resolution is not None and self.resolution.is_reachable
        unreachable = None if reachable else Rule.NEXT_HOP_UNREACHABLE
        self.refusal = Rule.OWN_NEXT_HOP if is_own else unreachable


class NextHops:
    """All next hops that learned routes have."""

    def __init__(self) -> None:
        self._by_address: dict[Address, NextHop] = {}
        self._own: frozenset[Address] = frozenset()
        # The routes of an UPDATE share the very address, and to hash one costs more than all the rest.
        self._last: NextHop | None = None

    def of(self, address: Address) -> NextHop:
        """The next hop at an address."""
        last = self._last
        if last is not None and last.address is address:
            return last
        found = self._by_address.get(address)
        if found is None:
            found = self._by_address[address] = NextHop(address, is_own=address in self._own)
        self._last = found
        return found

    @property
    def in_use(self) -> frozenset[Address]:
        """Those that some path leads over."""
        return frozenset(address for address, each in self._by_address.items() if each.paths)

    def forget_unused(self) -> None:
        """Forget the others, and how they are reached."""
        self._last = None
        for address in [address for address, each in self._by_address.items() if not each.paths]:
            del self._by_address[address]

    def set_resolutions(self, resolutions: Mapping[Address, Resolution]) -> list[NextHop]:
        """Take over how they are reached; returns those that are reached otherwise than before."""
        changed = []
        for address, resolution in resolutions.items():
            found = self.of(address)
            if found.resolution != resolution:
                found.set_resolution(resolution)
                changed.append(found)
        return changed

    def set_own(self, addresses: frozenset[Address]) -> list[NextHop]:
        """Take over the addresses of this host; returns the next hops that are ours now, or no more."""
        differing, self._own = addresses ^ self._own, addresses
        changed = [self._by_address[each] for each in differing if each in self._by_address]
        for each in changed:
            each.set_own(each.address in addresses)
        return changed


class Path:
    """One path as a peer advertised it, and what the import policy made of it.

    Attributes:
        entry: its prefix.
        peer: who advertised it.
        received: the route as it came.
        number: the Path Identifier that we give it toward others: it stays as long as the path does.
        source: by which `admitted` or `refusal` was found; None before it was judged.
        admitted: the route as the import policy leaves it; None when it is refused.
        refusal: why the policy refuses it; None when it does not.
        next_hop: where `admitted` leads.
    """

    __slots__ = ("admitted", "entry", "next_hop", "number", "peer", "received", "refusal", "source")

    def __init__(self, entry: "Entry", peer: str, received: Route, number: int) -> None:
        self.entry = entry
        self.peer = peer
        self.received = received
        self.number = number
        self.source: Source | None = None
        self.admitted: Route | None = None
        self.refusal: Rule | None = None
        self.next_hop: NextHop | None = None

    def judged(self, source: Source, verdict: Route | Rule, next_hops: NextHops) -> None:
        """Take over what the import policy of the peer says."""
        self.source = source
        if isinstance(verdict, Rule):
            self.admitted, self.refusal = None, verdict
            self.follow(None)
        else:
            self.admitted, self.refusal = verdict, None
            self.follow(next_hops.of(verdict.next_hop))

    def follow(self, next_hop: NextHop | None) -> None:
        """Lead over this next hop; None is nowhere."""
        before = self.next_hop
        if before is next_hop:
            return
        if before is not None:
            before.paths.discard(self)
        if next_hop is not None:
            next_hop.paths.add(self)
        self.next_hop = next_hop

    def leave(self) -> None:
        """The path is gone; what it was stays as it is for whoever still holds it."""
        if self.next_hop is not None:
            self.next_hop.paths.discard(self)


class Entry:
    """One prefix.

    Attributes:
        prefix: the destination.
        paths: as the peers advertise them, in the order of their arrival.
        refusal: why the prefix itself is not learned; None when it may be.
        is_judged: whether `refusal` was ever found.
        is_queued: whether it waits to be decided.
        order: the eligible paths, the best first.
        forward: where packets shall go, as the kernel hears it next; None is nowhere.
        forwarded: the same as it was last taken.
        hearing: what peers shall hear.
        heard: the same as it was last taken.
    """

    __slots__ = (
        "forward",
        "forwarded",
        "heard",
        "hearing",
        "is_judged",
        "is_queued",
        "order",
        "paths",
        "prefix",
        "refusal",
    )

    def __init__(self, prefix: Prefix) -> None:
        self.prefix = prefix
        self.paths: tuple[Path, ...] = ()
        self.refusal: Rule | None = None
        self.is_judged = False
        self.is_queued = False
        self.order: tuple[Path, ...] = ()
        self.forward: tuple[Address, ...] | None = None
        self.forwarded: tuple[Address, ...] | None = None
        self.hearing: Hearing = SILENCE
        self.heard: Hearing = SILENCE

    @property
    def is_over(self) -> bool:
        """Whether nothing of it is left to keep or to tell."""
        return not (self.paths or self.is_queued) and self.is_told

    @property
    def is_told(self) -> bool:
        """Whether the kernel and the peers have been told how it stands."""
        return self.forwarded == self.forward and self.heard is self.hearing

    @property
    def is_silent(self) -> bool:
        """Whether no peer is to hear of it."""
        return not self.hearing.shares

    @property
    def waits(self) -> bool:
        """Whether nobody knows yet how the next hop of some path is reached."""
        return any(path.next_hop is not None and path.next_hop.is_unknown for path in self.paths)

    def find(self, peer: str, path_id: int) -> Path | None:
        """The path that a peer advertises under a Path Identifier."""
        for each in self.paths:
            if each.peer == peer and each.received.path_id == path_id:
                return each
        return None

    def put(self, peer: str, route: Route) -> tuple[Path, Path | None] | None:
        """Take in a route, in place of what the peer advertised under its Path Identifier.

        Returns:
            The path and the one whose place it takes; None when nothing changes.
        """
        if not self.paths:
            # One path to a prefix is the most frequent case.
            path = Path(self, peer, route, OWN_PATH_ID + 1)
            self.paths = (path,)
            return path, None
        before = self.find(peer, route.path_id)
        if before is None:
            path = Path(self, peer, route, self._free_number())
            self.paths = (*self.paths, path)
        elif before.received == route:
            return None
        else:
            path = Path(self, peer, route, before.number)
            self.paths = tuple(path if each is before else each for each in self.paths)
        return path, before

    def drop(self, path: Path) -> None:
        """Forget a path."""
        self.paths = tuple(each for each in self.paths if each is not path)

    def _free_number(self) -> int:
        used = {each.number for each in self.paths}
        number = OWN_PATH_ID + 1
        while number in used:
            number += 1
        return number


class Waiting:
    """Prefixes whose news wait to be taken: what goes away comes last."""

    def __init__(self) -> None:
        # Ordered dictionaries: taking the first of a dict whose head was deleted costs its length.
        self._reaching: OrderedDict[Entry, None] = OrderedDict()
        self._leaving: OrderedDict[Entry, None] = OrderedDict()

    def has_any(self, *, complete: bool) -> bool:
        """Whether `take` would give something."""
        return bool(self._reaching or (complete and self._leaving))

    def note(self, entry: Entry, *, is_told: bool, leaves: bool) -> None:
        """How a prefix stands now: as it was told, or with something to tell."""
        if self._reaching or self._leaving:
            self._reaching.pop(entry, None)
            self._leaving.pop(entry, None)
        if not is_told:
            (self._leaving if leaves else self._reaching)[entry] = None

    def take(self, limit: int | None, *, complete: bool) -> list[Entry]:
        """Remove and return the prefixes that have waited longest.

        Args:
            limit: how many at most; None takes all.
            complete: whether nothing is left to recompute; until then those that go away wait.
        """
        taken = _first(self._reaching, limit)
        if complete and not self._reaching:
            taken += _first(self._leaving, None if limit is None else limit - len(taken))
        return taken


def _first(waiting: OrderedDict[Entry, None], limit: int | None) -> list[Entry]:
    if limit is None or limit >= len(waiting):
        taken = list(waiting)
        waiting.clear()
        return taken
    return [waiting.popitem(last=False)[0] for _ in range(max(limit, 0))]

"""What is kept of a prefix that peers have advertised: its paths, its next hops and what was chosen.

Mutable records of the Loc-RIB, lean since there is one for each prefix and path; they decide nothing.
"""

from collections import OrderedDict

from speaker.model.fib import Resolution
from speaker.model.prefix import Address, Prefix
from speaker.model.route import Route
from speaker.routing.decision import Rule
from speaker.routing.imports import Source
from speaker.routing.reflect import SILENCE, Hearing

OWN_PATH_ID = 1
"""The Path Identifier of our own route where it stands beside learned ones; theirs are higher."""


class NextHop:
    """One BGP next hop, and the prefixes with a path over it.

    Attributes:
        address: the next hop.
        alone: what a prefix with no other forwards by; shared by all of them.
        resolution: what the kernel says; None as long as it has said nothing.
        is_own: it is an address of this host (RFC 4271 §5.1.3).
        entries: who has a path over it.
    """

    __slots__ = ("address", "alone", "entries", "is_own", "resolution")

    def __init__(self, address: Address) -> None:
        self.address = address
        self.alone: tuple[Address, ...] = (address,)
        self.resolution: Resolution | None = None
        self.is_own = False
        self.entries: set[Entry] = set()

    @property
    def is_unknown(self) -> bool:
        """Whether the kernel has yet to say how it is reached."""
        return self.resolution is None and not self.is_own

    @property
    def refusal(self) -> Rule | None:
        """Why no path over it is eligible, or None."""
        if self.is_own:
            return Rule.OWN_NEXT_HOP
        reachable = self.resolution is not None and self.resolution.is_reachable
        return None if reachable else Rule.NEXT_HOP_UNREACHABLE


class Path:
    """One path as a peer advertised it, and what the import policy made of it.

    Attributes:
        peer: who advertised it.
        received: the route as it came.
        number: the Path Identifier that we give it toward others: it stays as long as the path does.
        source: by which `admitted` or `refusal` was found; None before it was judged.
        admitted: the route as the import policy leaves it; None when it is refused.
        refusal: why the policy refuses it; None when it does not.
        next_hop: where `admitted` leads.
    """

    __slots__ = ("admitted", "next_hop", "number", "peer", "received", "refusal", "source")

    def __init__(self, peer: str, received: Route, number: int) -> None:
        self.peer = peer
        self.received = received
        self.number = number
        self.source: Source | None = None
        self.admitted: Route | None = None
        self.refusal: Rule | None = None
        self.next_hop: NextHop | None = None

    def judge(self, source: Source) -> None:
        """Let the import policy of the peer decide."""
        verdict = source.admit(self.received)
        self.source = source
        if isinstance(verdict, Rule):
            self.admitted, self.refusal = None, verdict
        else:
            self.admitted, self.refusal = verdict, None


class Entry:
    """One prefix.

    Attributes:
        prefix: the destination.
        paths: as the peers advertise them, in the order of their arrival.
        refusal: why the prefix itself is not learned; None when it may be.
        is_judged: whether `refusal` was ever found.
        is_queued: whether it waits to be decided.
        next_hops: whose `entries` it is in.
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
        "next_hops",
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
        self.next_hops: tuple[NextHop, ...] = ()
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

    def find(self, peer: str, path_id: int) -> Path | None:
        """The path that a peer advertises under a Path Identifier."""
        for each in self.paths:
            if each.peer == peer and each.received.path_id == path_id:
                return each
        return None

    def put(self, peer: str, route: Route) -> bool:
        """Take in a route, in place of what the peer advertised under its Path Identifier; False if equal."""
        before = self.find(peer, route.path_id)
        if before is None:
            self.paths = (*self.paths, Path(peer, route, self._free_number()))
        elif before.received == route:
            return False
        else:
            path = Path(peer, route, before.number)
            self.paths = tuple(path if each is before else each for each in self.paths)
        return True

    def drop(self, path: Path) -> None:
        """Forget a path."""
        self.paths = tuple(each for each in self.paths if each is not path)

    def has_path_of(self, peer: str) -> bool:
        """Whether any path is the peer's."""
        return any(each.peer == peer for each in self.paths)

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

"""What one peer should hear, what it has been sent, and the changes between (RFC 4271 §3.2).

Pure bookkeeping: desired routes in, changes to write out. Must not know sockets or bytes.

Rules:
1. At most one change waits for each prefix, and it is computed when it is taken, from what is desired
   then and what was sent. The last writer wins whatever the order of announcements and withdrawals.
2. `sent` holds what the transport took (`commit`), never what we meant to send.
3. A new session starts at nothing sent.
4. The first advertisement is complete when every prefix that waited at its start has been taken;
   what changes meanwhile queues behind it, so that End-of-RIB never waits for churn. The same holds for
   a refresh and its end (RFC 7313).
5. Where several paths to a prefix may be sent (RFC 7911) all that the session can carry are, otherwise
   the first of them.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from types import MappingProxyType

from speaker.bgp.packing import Withdrawal, is_multiprotocol, wire_path_id
from speaker.model.prefix import Family, Prefix, family_of
from speaker.model.route import Paths, Route, each_path


@dataclass(frozen=True, slots=True)
class Changes:
    """A slice of what is to be written.

    Attributes:
        withdrawn: paths to take back.
        advertised: routes to send.
        now: what is sent of each of their prefixes, once this is; None is nothing.
        refresh_begins: families whose refresh begins before this slice.
        initial_done: whether it ends the first advertisement.
        refresh_ends: families whose refresh ends with it.
    """

    withdrawn: tuple[Withdrawal, ...] = ()
    advertised: tuple[Route, ...] = ()
    now: Mapping[Prefix, Paths | None] = field(default_factory=dict)
    refresh_begins: tuple[Family, ...] = ()
    initial_done: bool = False
    refresh_ends: tuple[Family, ...] = ()


@dataclass(slots=True)
class _Mark:
    """Something to be said once `left` more prefixes have been taken.

    It is the end of a family's refresh or, without a family, of the first advertisement.
    """

    left: int
    family: Family | None = None


class AdjRibOut:
    """The Adj-RIB-Out of one peer; it outlives the sessions."""

    def __init__(self) -> None:
        self._desired: dict[Prefix, Paths] = {}
        self._sent: dict[Prefix, Paths] = {}
        self._counts = dict.fromkeys(Family, 0)
        # Prefixes to look at, oldest first; True sends even what is equal to what was sent.
        self._dirty: dict[Prefix, bool] = {}
        self._marks: list[_Mark] = []
        # The first advertisement has not begun; a refresh that is asked for meanwhile follows it.
        self._initial_waits = False
        self._refresh_wanted: dict[Family, None] = {}
        self._refresh_begins: dict[Family, None] = {}
        self._can_carry: Callable[[Route], bool] = _carries_nothing
        self._add_path: frozenset[Family] = frozenset()

    @property
    def desired(self) -> Mapping[Prefix, Paths]:
        """What the peer should hear."""
        return MappingProxyType(self._desired)

    @property
    def sent(self) -> Mapping[Prefix, Paths]:
        """What the transport of the present session took."""
        return MappingProxyType(self._sent)

    @property
    def counts(self) -> tuple[tuple[Family, int], ...]:
        """How many routes of each family are sent; families without any are left out."""
        return tuple((family, count) for family, count in self._counts.items() if count)

    @property
    def pending(self) -> int:
        """How many prefixes wait to be looked at."""
        return len(self._dirty)

    @property
    def has_work(self) -> bool:
        """Whether `take` has something: changes, or the end of the first advertisement or of a refresh."""
        return bool(self._dirty or self._marks or self._refresh_begins) or self._initial_waits

    def update(self, changes: Mapping[Prefix, Paths | None]) -> None:
        """Changes what is desired; None withdraws."""
        dirty = self._dirty
        for prefix, paths in changes.items():
            if not paths:
                self._desired.pop(prefix, None)
            else:
                self._desired[prefix] = paths
            dirty.setdefault(prefix, False)

    def begin(self, can_carry: Callable[[Route], bool], add_path: frozenset[Family] = frozenset()) -> None:
        """A session is established: nothing is sent, everything desired waits.

        Args:
            can_carry: whether the session can express a route; others are not sent.
            add_path: the families in which several paths to one prefix may be sent.
        """
        self._sent = {}
        self._counts = dict.fromkeys(Family, 0)
        self._can_carry = can_carry
        self._add_path = add_path
        self._dirty = dict.fromkeys(self._desired, False)
        self._marks.clear()
        self._refresh_wanted.clear()
        self._refresh_begins.clear()
        self._initial_waits = True

    def end(self) -> None:
        """The session is gone, and with it all that it was sent."""
        self.begin(_carries_nothing)
        self._dirty = {}
        self._initial_waits = False

    def refresh(self, family: Family) -> None:
        """The peer asks for everything of `family` again (RFC 2918 §4).

        During the first advertisement the refresh waits for its end; during another one of the family it
        begins anew (RFC 7313 §4).
        """
        if self._initial_waits or any(mark.family is None for mark in self._marks):
            self._refresh_wanted[family] = None
            return
        if family in self._refresh_begins:
            # Nothing was taken since the last request: a peer that repeats it costs no walk of the table.
            return
        # What is on its way counts as sent only later, and the peer drops what stands before the begin of
        # the refresh and not after it: so everything that is desired or may be so again, not what is sent.
        for prefix in (*self._dirty, *self._desired):
            if family_of(prefix) is family:
                self._dirty[prefix] = True
        self._refresh_begins[family] = None
        self._marks = [mark for mark in self._marks if mark.family is not family]
        self._marks.append(_Mark(len(self._dirty), family))

    def repeat(self, chosen: Callable[[Route], bool]) -> None:
        """Sends chosen routes again even if the peer has heard them: they are written otherwise now."""
        for prefix, paths in self._desired.items():
            if any(map(chosen, each_path(paths))):
                self._dirty[prefix] = True

    def take(self, limit: int) -> Changes:
        """At most `limit` prefixes' changes, oldest first; each must be committed or the session ended."""
        if self._initial_waits:
            self._initial_waits = False
            self._marks.append(_Mark(len(self._dirty)))
        begins, self._refresh_begins = tuple(self._refresh_begins), {}
        withdrawn: list[Withdrawal] = []
        advertised: list[Route] = []
        now: dict[Prefix, Paths | None] = {}
        taken = list(islice(self._dirty, limit))
        for prefix in taken:
            forced = self._dirty.pop(prefix)
            sent, wanted = self._sent.get(prefix), self._carried(prefix)
            if not forced and wanted == sent:
                continue
            now[prefix] = wanted
            if isinstance(wanted, Route) and (sent is None or _replaces(wanted, sent)):
                # Most of all changes, and one path replaces the other by itself.
                advertised.append(wanted)
            else:
                withdrawn += _taken_back(sent, wanted)
                advertised += _sent_anew(sent, wanted, forced=forced)
        ended = self._passed(len(taken))
        ends = tuple(mark.family for mark in ended if mark.family is not None)
        return Changes(tuple(withdrawn), tuple(advertised), now, begins, len(ended) > len(ends), ends)

    def _carried(self, prefix: Prefix) -> Paths | None:
        """What of the desired paths the session can express."""
        paths = self._desired.get(prefix)
        if paths is None:
            return None
        if isinstance(paths, Route) and not paths.path_id:
            # Most of all prefixes.
            return paths if self._can_carry(paths) else None
        carried = tuple(path for path in each_path(paths) if self._can_carry(path))
        if not carried:
            return None
        if family_of(prefix) not in self._add_path:
            first = carried[0]
            return replace(first, path_id=0) if first.path_id else first
        return carried[0] if isinstance(paths, Route) else carried

    def _passed(self, taken: int) -> list[_Mark]:
        """The marks that are reached when so many prefixes more have been taken."""
        for mark in self._marks:
            mark.left -= taken
        ended = [mark for mark in self._marks if mark.left <= 0]
        self._marks = [mark for mark in self._marks if mark.left > 0]
        if any(mark.family is None for mark in ended):
            wanted, self._refresh_wanted = self._refresh_wanted, {}
            for family in wanted:
                self.refresh(family)
        return ended

    def commit(self, changes: Changes) -> None:
        """The transport took `changes`."""
        sent, number = self._sent, {4: 0, 6: 0}
        for prefix, paths in changes.now.items():
            before = sent.pop(prefix, None)
            if paths is not None:
                sent[prefix] = paths
            number[prefix.version] += (1 if isinstance(paths, Route) else _number(paths)) - (
                0 if before is None else _number(before)
            )
        self._counts[Family.IPV4] += number[4]
        self._counts[Family.IPV6] += number[6]


def _number(paths: Paths | None) -> int:
    return len(each_path(paths))


def _replaces(wanted: Route, sent: Paths) -> bool:
    return isinstance(sent, Route) and wire_path_id(sent) == wire_path_id(wanted)


def _taken_back(sent: Paths | None, wanted: Paths | None) -> Iterator[Withdrawal]:
    kept = {wire_path_id(path) for path in each_path(wanted)}
    for path in each_path(sent):
        if wire_path_id(path) not in kept:
            yield Withdrawal(path.prefix, is_multiprotocol(path), path.path_id)


def _sent_anew(sent: Paths | None, wanted: Paths | None, *, forced: bool) -> Iterator[Route]:
    before = {wire_path_id(path): path for path in each_path(sent)}
    return (path for path in each_path(wanted) if forced or before.get(wire_path_id(path)) != path)


def _carries_nothing(_route: Route) -> bool:
    return False

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

What was sent is kept as its difference from what is desired: a prefix that waits has beside it what was
desired of it when it was last taken; of any other that is what is desired now. Of both, the peer has what
the session can carry. So a first advertisement writes nothing down: it walks through what is desired, and
whatever would change that on the way first makes the rest of the walk wait like all other prefixes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from types import MappingProxyType

from speaker.bgp.packing import Withdrawal, alike, is_multiprotocol, wire_path_id
from speaker.model.prefix import Family, Prefix, family_of
from speaker.model.route import Paths, Route, each_path


@dataclass(frozen=True, slots=True)
class Changes:
    """A slice of what is to be written.

    Attributes:
        withdrawn: paths to take back.
        groups: routes to send, as `packing.alike` has them.
        more: how many routes more than before are sent once this is, of IPv4 and of IPv6.
        refresh_begins: families whose refresh begins before this slice.
        initial_done: whether it ends the first advertisement.
        refresh_ends: families whose refresh ends with it.
    """

    withdrawn: tuple[Withdrawal, ...] = ()
    groups: tuple[Sequence[Route], ...] = ()
    more: tuple[int, int] = (0, 0)
    refresh_begins: tuple[Family, ...] = ()
    initial_done: bool = False
    refresh_ends: tuple[Family, ...] = ()

    @property
    def advertised(self) -> tuple[Route, ...]:
        """The routes to send, one by one."""
        return tuple(route for group in self.groups for route in group)


@dataclass(slots=True)
class _Mark:
    """Something to be said once `left` more prefixes have been taken.

    It is the end of a family's refresh or, without a family, of the first advertisement.
    """

    left: int
    family: Family | None = None


@dataclass(slots=True)
class _Gathered:
    """The changes of a slice, as they are found."""

    withdrawn: list[Withdrawal] = field(default_factory=list)
    advertised: list[Route] = field(default_factory=list)
    groups: list[Sequence[Route]] = field(default_factory=list)
    more: dict[int, int] = field(default_factory=lambda: {4: 0, 6: 0})


class AdjRibOut:
    """The Adj-RIB-Out of one peer; it outlives the sessions."""

    def __init__(self) -> None:
        self._desired: dict[Prefix, Paths] = {}
        self._counts = dict.fromkeys(Family, 0)
        # Nothing has been taken since the session began, or there is none.
        self._is_fresh = True
        # Prefixes to look at, oldest first, with what was desired of them when they were last taken.
        self._dirty: dict[Prefix, Paths | None] = {}
        # Those of them that are sent even when they are equal to what was sent.
        self._forced: set[Prefix] = set()
        # The first advertisement: what is left of the walk, and how much; nothing is dirty meanwhile.
        self._walk: Iterator[Paths] = iter(())
        self._left = 0
        # What was taken and not committed: as `_dirty` has it, or a piece of the walk.
        self._in_flight: Mapping[Prefix, Paths | None] = {}
        self._walked_in_flight: Sequence[Paths] = ()
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
        """What the transport of the present session took; made anew at each look."""
        if self._is_fresh:
            return {}
        told: dict[Prefix, Paths | None] = {}
        told.update(islice(self._desired.items(), len(self._desired) - self._left))
        told.update(self._dirty)
        told.update(self._in_flight)
        told.update((_prefix_of(paths), None) for paths in self._walked_in_flight)
        carried = ((prefix, self._carried(paths)) for prefix, paths in told.items())
        return {prefix: paths for prefix, paths in carried if paths is not None}

    @property
    def counts(self) -> tuple[tuple[Family, int], ...]:
        """How many routes of each family are sent; families without any are left out."""
        return tuple((family, count) for family, count in self._counts.items() if count)

    @property
    def pending(self) -> int:
        """How many prefixes wait to be looked at; none without a session."""
        return len(self._desired) if self._initial_waits else self._left + len(self._dirty)

    @property
    def has_work(self) -> bool:
        """Whether `take` has something: changes, or the end of the first advertisement or of a refresh."""
        return bool(self._dirty or self._left or self._marks or self._refresh_begins) or self._initial_waits

    def update(self, changes: Mapping[Prefix, Paths | None]) -> None:
        """Changes what is desired; None withdraws."""
        self._stop_walking()
        desired, dirty, is_fresh = self._desired, self._dirty, self._is_fresh
        for prefix, paths in changes.items():
            before = desired.get(prefix)
            if paths:
                desired[prefix] = paths
            elif before is not None:
                del desired[prefix]
            if not is_fresh:
                dirty.setdefault(prefix, before)

    def begin(self, can_carry: Callable[[Route], bool], add_path: frozenset[Family] = frozenset()) -> None:
        """A session is established: nothing is sent, everything desired waits.

        Args:
            can_carry: whether the session can express a route; others are not sent. Of routes that are
                `packing.alike` it is asked once.
            add_path: the families in which several paths to one prefix may be sent.
        """
        self.end()
        self._can_carry = can_carry
        self._add_path = add_path
        self._initial_waits = True

    def end(self) -> None:
        """The session is gone, and with it all that it was sent."""
        self._counts = dict.fromkeys(Family, 0)
        self._is_fresh = True
        self._dirty = {}
        self._forced.clear()
        self._walk, self._left = iter(()), 0
        self._in_flight, self._walked_in_flight = {}, ()
        self._marks.clear()
        self._initial_waits = False
        self._refresh_wanted.clear()
        self._refresh_begins.clear()
        self._can_carry = _carries_nothing

    def refresh(self, family: Family) -> None:
        """The peer asks for everything of `family` again (RFC 2918 §4).

        During the first advertisement the refresh waits for its end; during another one of the family it
        begins anew (RFC 7313 §4).
        """
        if self._is_fresh or self._left or any(mark.family is None for mark in self._marks):
            self._refresh_wanted[family] = None
            return
        if family in self._refresh_begins:
            # Nothing was taken since the last request: a peer that repeats it costs no walk of the table.
            return
        # What is on its way counts as sent only later, and the peer drops what stands before the begin of
        # the refresh and not after it: so everything that is desired or may be so again, not what is sent.
        self._forced.update(prefix for prefix in self._dirty if family_of(prefix) is family)
        desired = self._desired.items()
        self._repeat({prefix: paths for prefix, paths in desired if family_of(prefix) is family})
        self._refresh_begins[family] = None
        self._marks = [mark for mark in self._marks if mark.family is not family]
        self._marks.append(_Mark(len(self._dirty), family))

    def repeat(self, chosen: Callable[[Route], bool]) -> None:
        """Sends chosen routes again even if the peer has heard them: they are written otherwise now."""
        if self._is_fresh:
            return
        self._stop_walking()
        desired = self._desired.items()
        self._repeat({prefix: paths for prefix, paths in desired if any(map(chosen, each_path(paths)))})

    def _repeat(self, desired: Mapping[Prefix, Paths]) -> None:
        """Has these wait, behind those that do already and keep what was told of them."""
        self._forced.update(desired)
        self._dirty = {**self._dirty, **desired, **self._dirty}

    def _stop_walking(self) -> None:
        """What the first advertisement has not come to yet waits from now on as changes do."""
        if self._left:
            self._dirty = dict.fromkeys(map(_prefix_of, self._walk))
            self._marks.append(_Mark(self._left))
            self._left = 0

    def take(self, limit: int) -> Changes:
        """At most `limit` prefixes' changes, oldest first; to be committed before the next are taken."""
        begins, self._refresh_begins = tuple(self._refresh_begins), {}
        gathered = _Gathered()
        starts, self._initial_waits = self._initial_waits, False
        if starts:
            self._is_fresh = False
            self._walk, self._left = iter(self._desired.values()), len(self._desired)
        walks = starts or self._left > 0
        taken = self._take_walk(limit, gathered) if walks else self._take_dirty(limit, gathered)
        ended = self._passed(taken)
        initial_done = (walks and not self._left) or any(mark.family is None for mark in ended)
        if initial_done:
            self._begin_wanted()
        return Changes(
            tuple(gathered.withdrawn),
            (*gathered.groups, *alike(gathered.advertised)),
            (gathered.more[4], gathered.more[6]),
            begins,
            initial_done,
            tuple(mark.family for mark in ended if mark.family is not None),
        )

    def _take_walk(self, limit: int, gathered: _Gathered) -> int:
        """A piece of the first advertisement; returns of how many prefixes."""
        walked = list(islice(self._walk, limit))
        self._left -= len(walked)
        self._walked_in_flight = walked
        alone: list[Route] = []
        for paths in walked:
            if isinstance(paths, Route) and not paths.path_id:
                alone.append(paths)
            else:
                self._compare(_prefix_of(paths), None, gathered)
        self._send_new(alone, gathered)
        return len(walked)

    def _take_dirty(self, limit: int, gathered: _Gathered) -> int:
        """The oldest changes; returns of how many prefixes."""
        if len(self._dirty) <= limit:
            taken, self._dirty = self._dirty, {}
        else:
            taken = {prefix: self._dirty.pop(prefix) for prefix in list(islice(self._dirty, limit))}
        self._in_flight = taken
        alone: list[Route] = []
        for prefix, told in taken.items():
            paths = self._desired.get(prefix)
            if told is None and isinstance(paths, Route) and not paths.path_id:
                alone.append(paths)
            else:
                self._compare(prefix, told, gathered)
        self._send_new(alone, gathered)
        if self._forced:
            self._forced.difference_update(taken)
        return len(taken)

    def _send_new(self, routes: list[Route], gathered: _Gathered) -> None:
        """Most of all changes: single routes to prefixes of which nothing was told, so nothing to compare."""
        for group in alike(routes):
            first = group[0]
            if self._can_carry(first):
                gathered.groups.append(group)
                gathered.more[first.prefix.version] += len(group)

    def _compare(self, prefix: Prefix, told: Paths | None, gathered: _Gathered) -> None:
        """Any change: from what was told of a prefix to what is desired of it."""
        sent, wanted = self._carried(told), self._carried(self._desired.get(prefix))
        forced = prefix in self._forced
        if not forced and wanted == sent:
            return
        gathered.more[prefix.version] += len(each_path(wanted)) - len(each_path(sent))
        if isinstance(wanted, Route) and (sent is None or _replaces(wanted, sent)):
            gathered.advertised.append(wanted)
        elif wanted is None and isinstance(sent, Route):
            gathered.withdrawn.append(_withdrawal(sent))
        else:
            gathered.withdrawn += _taken_back(sent, wanted)
            gathered.advertised += _sent_anew(sent, wanted, forced=forced)

    def _carried(self, paths: Paths | None) -> Paths | None:
        """What of the paths to a prefix the session can express."""
        if paths is None:
            return None
        if isinstance(paths, Route) and not paths.path_id:
            # Most of all prefixes.
            return paths if self._can_carry(paths) else None
        carried = tuple(path for path in each_path(paths) if self._can_carry(path))
        if not carried:
            return None
        first = carried[0]
        if family_of(first.prefix) not in self._add_path:
            return first._replace(path_id=0) if first.path_id else first
        return first if isinstance(paths, Route) else carried

    def _passed(self, taken: int) -> list[_Mark]:
        """The marks that are reached when so many prefixes more have been taken."""
        for mark in self._marks:
            mark.left -= taken
        ended = [mark for mark in self._marks if mark.left <= 0]
        self._marks = [mark for mark in self._marks if mark.left > 0]
        return ended

    def _begin_wanted(self) -> None:
        """The first advertisement is complete: what was asked for again meanwhile follows."""
        wanted, self._refresh_wanted = self._refresh_wanted, {}
        for family in wanted:
            self.refresh(family)

    def commit(self, changes: Changes) -> None:
        """The transport took `changes`."""
        self._in_flight, self._walked_in_flight = {}, ()
        for family, more in zip((Family.IPV4, Family.IPV6), changes.more, strict=True):
            self._counts[family] += more


def _prefix_of(paths: Paths) -> Prefix:
    return each_path(paths)[0].prefix


def _replaces(wanted: Route, sent: Paths) -> bool:
    return isinstance(sent, Route) and wire_path_id(sent) == wire_path_id(wanted)


def _taken_back(sent: Paths | None, wanted: Paths | None) -> Iterator[Withdrawal]:
    kept = {wire_path_id(path) for path in each_path(wanted)}
    for path in each_path(sent):
        if wire_path_id(path) not in kept:
            yield _withdrawal(path)


def _withdrawal(path: Route) -> Withdrawal:
    return Withdrawal(path.prefix, is_multiprotocol(path), path.path_id)


def _sent_anew(sent: Paths | None, wanted: Paths | None, *, forced: bool) -> Iterator[Route]:
    before = {wire_path_id(path): path for path in each_path(sent)}
    return (path for path in each_path(wanted) if forced or before.get(wire_path_id(path)) != path)


def _carries_nothing(_route: Route) -> bool:
    return False

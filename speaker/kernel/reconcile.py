"""Carries out the difference between the routes there should be and those in the kernel.

Knows what was refused, and why. Knows nothing of next hops, of links or of when to begin.
"""

import asyncio
import errno
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

from speaker.kernel.intent import Intent
from speaker.kernel.owned import Act, Owned, owner
from speaker.kernel.pace import Pace
from speaker.kernel.routes import ADD, REMOVE, REPLACE, Entry, Place, encode
from speaker.kernel.writer import BATCH, Refusal, Writer
from speaker.model.prefix import Prefix

_LOG = logging.getLogger(__name__)

_GONE = frozenset({errno.ESRCH, errno.ENOENT})
_OPERATIONS = MappingProxyType({Act.ADD: ADD, Act.REPLACE: REPLACE, Act.REMOVE: REMOVE})
_PREFIXES_PER_STEP = 32
_NOTHING: Mapping[Prefix, str] = MappingProxyType({})
_UNREACHABLE = "no next hop can be reached"
_DENIED = "the kernel does not let us change routes: the speaker needs the capability NET_ADMIN"


@dataclass(frozen=True, slots=True, kw_only=True)
class FibStatus:
    """What is asked of the kernel, and what it has.

    Attributes:
        wanted: how many routes and blackholes there should be.
        installed: how many of them are in the kernel just so.
        conflicts: whose route is where ours should be, by prefix.
        refused: why a route is not installed otherwise, by prefix.
        problems: what a person should know, a sentence each.
    """

    wanted: int = 0
    installed: int = 0
    conflicts: Mapping[Prefix, str] = field(default_factory=lambda: _NOTHING)
    refused: Mapping[Prefix, str] = field(default_factory=lambda: _NOTHING)
    problems: tuple[str, ...] = ()


class _Change(NamedTuple):
    act: Act
    prefix: Prefix
    entry: Entry | None
    place: Place


class Reconciler:
    """Our routes in one place of the kernel.

    Args:
        place: the table, metric and protocol number of our routes.
        intent: what is wanted; what changed there is taken from it.
    """

    def __init__(self, place: Place, intent: Intent) -> None:
        self._place = place
        self._intent = intent
        self._owned: Owned | None = None
        self._may_remove = False
        self._conflicts: dict[Prefix, int] = {}
        self._refused: dict[Prefix, tuple[Entry | None, str]] = {}
        # What has to wait for the next reading.
        self._deferred: set[Prefix] = set()
        self._unreachable: set[Prefix] = set()
        self._installed: set[Prefix] = set()
        self._log: Counter[Act] = Counter()
        self.is_denied = False
        """The kernel refused the last change for want of permission: try again, but slowly."""
        self.is_surprised = False
        """The kernel has something that was not there when it was read: read again."""

    def release(self) -> None:
        """From now on what is ours and not wanted goes."""
        self._may_remove = True
        if self._owned is not None:
            self._intent.touch(self._owned.ours.keys())

    async def take_reading(self, owned: Owned) -> None:
        """This is what the kernel has: look at what is not as it was left, and try again what was refused."""
        before: Mapping[Prefix, Entry | None] = {} if self._owned is None else self._owned.ours
        pace = Pace()
        kept = 0
        for number, (prefix, entry) in enumerate(owned.ours.items()):
            if number % _PREFIXES_PER_STEP == 0:
                await pace.step()
            if entry is None or before.get(prefix) != entry:
                self._intent.touch((prefix,))
            else:
                kept += 1
        if kept < len(before):
            self._intent.touch(before.keys() - owned.ours.keys())
        self._intent.touch(self._refused.keys() | self._conflicts.keys() | owned.others.keys())
        self._intent.touch(self._deferred)
        self._refused.clear()
        self._deferred.clear()
        self._owned = owned
        self.is_surprised = False

    async def bring_about(self, writer: Writer, is_uncertain: Callable[[Prefix], bool]) -> None:
        """Carry out what is to be done, in slices; what comes up meanwhile is left for the next time.

        Args:
            writer: what changes the kernel.
            is_uncertain: whether somebody may have changed a route since the reading; it is not
                replaced then, since the replacement would hit whatever is there.

        Raises:
            HostError: the kernel takes no changes; read again before anything else.
        """
        if self._owned is None:
            return
        changes = await self._plan(self._owned)
        done = 0
        try:
            while done < len(changes) and not self.is_denied:
                self._carry_out(self._owned, writer, changes[done : done + BATCH], is_uncertain)
                done += BATCH
                await asyncio.sleep(0)
        finally:
            # With an error anything may have become of the last batch.
            left = {each.prefix for each in changes[done:]}
            if self.is_denied:
                self._intent.touch(left)
            else:
                self._deferred |= left
            self._tell()

    def _carry_out(
        self,
        owned: Owned,
        writer: Writer,
        changes: Sequence[_Change],
        is_uncertain: Callable[[Prefix], bool],
    ) -> None:
        batch: list[_Change] = []
        for change in changes:
            if change.act is Act.REPLACE and is_uncertain(change.prefix):
                self._deferred.add(change.prefix)
            else:
                batch.append(change)
        if not batch:
            return
        outcomes = writer.carry_out(
            [encode(_OPERATIONS[each.act], each.prefix, each.place, each.entry) for each in batch]
        )
        for change, refusal in zip(batch, outcomes, strict=True):
            self._conclude(owned, change, refusal)

    async def _plan(self, owned: Owned) -> list[_Change]:
        """What is to be done: additions and replacements first, so that nothing is missing meanwhile."""
        puts: list[_Change] = []
        removals: list[_Change] = []
        pace = Pace()
        for number, prefix in enumerate(self._intent.take_changed()):
            if number % _PREFIXES_PER_STEP == 0:
                await pace.step()
            if not self._intent.is_resolved(prefix):
                self._intent.touch((prefix,))
                continue
            change = self._change(owned, prefix)
            if change is not None:
                (removals if change.act is Act.REMOVE else puts).append(change)
        if self._may_remove:
            removals += (
                _Change(Act.REMOVE, prefix, None, self._place._replace(metric=metric))
                for prefix, metric in owned.strays
            )
        self.is_denied = False
        return puts + removals

    def _change(self, owned: Owned, prefix: Prefix) -> _Change | None:
        entry = self._intent.entry(prefix)
        # A prefix that leads nowhere is no different from one that nobody wants.
        act = owned.act(prefix, entry, may_remove=self._may_remove)
        self._note(owned, prefix, entry, act)
        if act in (Act.NOTHING, Act.CONFLICT):
            self._refused.pop(prefix, None)
            return None
        refused = self._refused.get(prefix)
        if refused is not None and refused[0] == entry:
            return None
        return _Change(act, prefix, None if act is Act.REMOVE else entry, self._place)

    def _note(self, owned: Owned, prefix: Prefix, entry: Entry | None, act: Act) -> None:
        """Keep for the status what a look at a prefix has shown."""
        is_wanted = self._intent.is_wanted(prefix)
        other = owned.other(prefix)
        if is_wanted and other is not None and act in (Act.CONFLICT, Act.REMOVE):
            self._conflicts[prefix] = other
        else:
            self._conflicts.pop(prefix, None)
        if is_wanted and entry is None:
            self._unreachable.add(prefix)
        else:
            self._unreachable.discard(prefix)
        if entry is not None and act is Act.NOTHING:
            self._installed.add(prefix)
        else:
            self._installed.discard(prefix)

    def _conclude(self, owned: Owned, change: _Change, refusal: Refusal | None) -> None:
        """Take in what became of a change."""
        is_stray = change.place != self._place
        if refusal is not None and refusal.number == errno.EPERM:
            self.is_denied = True
            self._intent.touch((change.prefix,))
        elif refusal is None or (change.act is Act.REMOVE and refusal.number in _GONE):
            self._refused.pop(change.prefix, None)
            self._log[change.act] += 1
            if is_stray:
                owned.stray_gone((change.prefix, change.place.metric))
            else:
                owned.done(change.prefix, change.entry)
                if change.entry is not None:
                    self._installed.add(change.prefix)
                elif self._intent.is_wanted(change.prefix):
                    self._intent.touch((change.prefix,))
        elif not is_stray:
            self._refused[change.prefix] = (change.entry, refusal.reason)
            # The place is taken, or ours is no longer there: somebody was faster than his event.
            self.is_surprised = self.is_surprised or refusal.number in {errno.EEXIST, *_GONE}

    def _tell(self) -> None:
        if self._log:
            _LOG.info(
                "kernel routes changed",
                extra={
                    "added": self._log[Act.ADD],
                    "replaced": self._log[Act.REPLACE],
                    "removed": self._log[Act.REMOVE],
                },
            )
            self._log.clear()

    def status(self) -> FibStatus:
        """How far the kernel has what is wanted."""
        refused = {prefix: reason for prefix, (_, reason) in self._refused.items()}
        refused |= dict.fromkeys(self._unreachable, _UNREACHABLE)
        return FibStatus(
            wanted=len(self._intent),
            installed=self._intent.count_settled(self._installed),
            conflicts=MappingProxyType({prefix: owner(number) for prefix, number in self._conflicts.items()}),
            refused=MappingProxyType(refused),
            problems=tuple(self.problems().values()),
        )

    def problems(self) -> dict[str, str]:
        """What a person should know, a sentence each, by what makes it one problem over time."""
        found: dict[str, str] = {}
        if self.is_denied:
            found["denied"] = _DENIED
        for prefix, number in self._conflicts.items():
            found.setdefault(
                f"conflict {number}",
                f"{owner(number)} has a route to {prefix} with our table and metric; ours waits for its end",
            )
        for prefix, (_, reason) in self._refused.items():
            found.setdefault(f"refused {reason}", f"the kernel refuses the route to {prefix}: {reason}")
        return found

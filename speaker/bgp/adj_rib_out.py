"""What one peer should hear, what it has been sent, and the changes between (RFC 4271 §3.2).

Pure bookkeeping: desired routes in, changes to write out. Must not know sockets or bytes.

Rules:
1. At most one change waits for each prefix, and it is computed when it is taken, from what is desired
   then and what was sent. The last writer wins whatever the order of announcements and withdrawals.
2. `sent` holds what the transport took (`commit`), never what we meant to send.
3. A new session starts at nothing sent.
4. The first advertisement is complete when every prefix that waited at its start has been taken;
   what changes meanwhile queues behind it, so that End-of-RIB never waits for churn.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from types import MappingProxyType

from speaker.bgp.packing import Withdrawal, is_multiprotocol
from speaker.model.prefix import Family, Prefix, family_of
from speaker.model.route import Route

_DONE = -1


@dataclass(frozen=True, slots=True)
class Changes:
    """A slice of what is to be written; `initial_done` when it ends the first advertisement."""

    withdrawn: tuple[Withdrawal, ...] = ()
    advertised: tuple[Route, ...] = ()
    initial_done: bool = False


class AdjRibOut:
    """The Adj-RIB-Out of one peer; it outlives the sessions."""

    def __init__(self, desired: Mapping[Prefix, Route] | None = None) -> None:
        self._desired: dict[Prefix, Route] = dict(desired or {})
        self._sent: dict[Prefix, Route] = {}
        self._counts = dict.fromkeys(Family, 0)
        # Prefixes to look at, oldest first; True sends even what is equal to what was sent.
        self._dirty: dict[Prefix, bool] = {}
        # How many of the first advertisement wait; None before it has begun.
        self._initial_left: int | None = _DONE
        self._can_carry: Callable[[Route], bool] = _carries_nothing

    @property
    def desired(self) -> Mapping[Prefix, Route]:
        """What the peer should hear."""
        return MappingProxyType(self._desired)

    @property
    def sent(self) -> Mapping[Prefix, Route]:
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
        """Whether `take` has something: changes, or the end of the first advertisement."""
        return bool(self._dirty) or self._initial_left is None or self._initial_left != _DONE

    def update(self, changes: Mapping[Prefix, Route | None]) -> None:
        """Changes what is desired; None withdraws."""
        dirty = self._dirty
        for prefix, route in changes.items():
            if route is None:
                self._desired.pop(prefix, None)
            else:
                self._desired[prefix] = route
            dirty.setdefault(prefix, False)

    def begin(self, can_carry: Callable[[Route], bool]) -> None:
        """A session is established: nothing is sent, everything desired waits.

        Args:
            can_carry: whether the session can express a route; others are not sent.
        """
        self._sent = {}
        self._counts = dict.fromkeys(Family, 0)
        self._can_carry = can_carry
        self._dirty = dict.fromkeys(self._desired, False)
        self._initial_left = None

    def end(self) -> None:
        """The session is gone, and with it all that it was sent."""
        self.begin(_carries_nothing)
        self._dirty = {}
        self._initial_left = _DONE

    def refresh(self, family: Family) -> None:
        """The peer asks for everything of `family` again (RFC 2918 §4)."""
        for prefix in self._sent:
            if family_of(prefix) is family:
                self._dirty[prefix] = True

    def take(self, limit: int) -> Changes:
        """At most `limit` prefixes' changes, oldest first; each must be committed or the session ended."""
        if self._initial_left is None:
            self._initial_left = len(self._dirty)
        withdrawn: list[Withdrawal] = []
        advertised: list[Route] = []
        taken = list(islice(self._dirty, limit))
        for prefix in taken:
            forced = self._dirty.pop(prefix)
            sent, route = self._sent.get(prefix), self._desired.get(prefix)
            if route is not None and not self._can_carry(route):
                route = None
            if route is None:
                if sent is not None:
                    withdrawn.append(Withdrawal(prefix, is_multiprotocol(sent)))
            elif forced or route != sent:
                advertised.append(route)
        return Changes(tuple(withdrawn), tuple(advertised), self._initial_done(len(taken)))

    def _initial_done(self, taken: int) -> bool:
        """Whether this slice ends the first advertisement; true once a session."""
        left = self._initial_left
        if left is None or left == _DONE:
            return False
        self._initial_left = left - taken
        if self._initial_left > 0:
            return False
        self._initial_left = _DONE
        return True

    def commit(self, changes: Changes) -> None:
        """The transport took `changes`."""
        for withdrawal in changes.withdrawn:
            if self._sent.pop(withdrawal.prefix, None) is not None:
                self._counts[family_of(withdrawal.prefix)] -= 1
        for route in changes.advertised:
            if route.prefix not in self._sent:
                self._counts[family_of(route.prefix)] += 1
            self._sent[route.prefix] = route


def _carries_nothing(_route: Route) -> bool:
    return False

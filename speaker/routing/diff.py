"""The difference of two Adj-RIBs-Out, and its inverse.

Whole routes are compared (prefix, next hop, attributes), and a withdrawal names the route that was
sent, not what today's settings would send.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from speaker.model.prefix import sort_key
from speaker.model.route import AdjRibOut, Route


@dataclass(frozen=True, slots=True)
class Plan:
    """What leads from one Adj-RIB-Out to another; each tuple is ordered by prefix.

    Attributes:
        advertise: routes that are new or changed, as they shall be (RFC 4271 §3.1: a route to the
            same prefix replaces the earlier one). They go out before the withdrawals.
        withdraw: routes that shall go, as they were sent.
    """

    advertise: tuple[Route, ...] = ()
    withdraw: tuple[Route, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is to do."""
        return not self.advertise and not self.withdraw

    def __bool__(self) -> bool:
        raise TypeError("a plan is neither true nor false: ask is_empty")


def diff(before: AdjRibOut, after: AdjRibOut) -> Plan:
    """What must be sent to a peer that has heard `before` so that it has heard `after`."""
    return Plan(
        advertise=_ordered(route for prefix, route in after.items() if before.get(prefix) != route),
        withdraw=_ordered(route for prefix, route in before.items() if prefix not in after),
    )


def apply(plan: Plan, rib: AdjRibOut) -> AdjRibOut:
    """What a peer that has heard `rib` has heard after `plan`."""
    gone = {route.prefix for route in plan.withdraw}
    kept = {prefix: route for prefix, route in rib.items() if prefix not in gone}
    return kept | {route.prefix: route for route in plan.advertise}


def _ordered(routes: Iterable[Route]) -> tuple[Route, ...]:
    return tuple(sorted(routes, key=lambda route: sort_key(route.prefix)))

"""Which of the eligible paths are used, for every prefix of a full table.

What `decision.decide` says; said once of the thousands of prefixes that have the same attributes from the
same peers. Knows no policy and no table.
"""

from speaker.model.fib import UNREACHABLE
from speaker.model.prefix import Address
from speaker.routing.decision import Contender, decide, distance
from speaker.routing.imports import Source
from speaker.routing.paths import Path

REMEMBERED_MOST = 1_000
"""How many outcomes are remembered: those of the UPDATEs that are being taken in."""

_Outcome = tuple[tuple[int, ...] | None, tuple[Address, ...]]
"""The order of the paths, None where it is as they came, and where packets go."""


class Chooser:
    """Chooses among eligible paths."""

    def __init__(self) -> None:
        # By the identity of all that decides: to compare by value would cost as much as to decide. The paths
        # beside an outcome keep those objects from going, so that nothing else comes to have their identity.
        self._outcomes: dict[tuple[int, ...], tuple[_Outcome, tuple[object, ...]]] = {}

    def choose(self, eligible: tuple[Path, ...]) -> tuple[tuple[Path, ...], tuple[Address, ...] | None]:
        """The paths, the best first, and where packets go; None is nowhere."""
        if len(eligible) < 2:
            next_hop = eligible[0].next_hop if eligible else None
            return eligible, None if next_hop is None else next_hop.alone
        order, next_hops = self._outcome(eligible)
        return eligible if order is None else tuple([eligible[index] for index in order]), next_hops

    def _outcome(self, eligible: tuple[Path, ...]) -> _Outcome:
        deciding: list[int] = []
        for path in eligible:
            route, hop = path.admitted or path.received, path.next_hop
            # RFC 4271 §9.1.2.2: nothing else is looked at, and the peer is known by its source.
            deciding += (
                id(path.source),
                id(route.attributes),
                id(hop),
                0 if hop is None else hop.distance,
                route.path_id,
            )
        key = tuple(deciding)
        found = self._outcomes.get(key)
        if found is None:
            if len(self._outcomes) >= REMEMBERED_MOST:
                self._outcomes.clear()
            found = self._outcomes[key] = _decided(eligible), _held(eligible)
        return found[0]


def _decided(eligible: tuple[Path, ...]) -> _Outcome:
    decision = decide([contender(path, path.source) for path in eligible if path.source is not None])
    as_they_came = decision.order == tuple(range(len(eligible)))
    return None if as_they_came else decision.order, decision.next_hops


def _held(eligible: tuple[Path, ...]) -> tuple[object, ...]:
    return tuple(
        (path.source, (path.admitted or path.received).attributes, path.next_hop) for path in eligible
    )


def contender(path: Path, source: Source) -> Contender:
    """The path with all that it is compared by.

    Args:
        path: it and what the import policy made of it.
        source: its peer.
    """
    resolution = None if path.next_hop is None else path.next_hop.resolution
    return Contender(
        route=path.admitted or path.received,
        is_ibgp=source.is_ibgp,
        router_id=source.router_id,
        peer=source.name,
        address=source.address,
        distance=distance(resolution or UNREACHABLE),
    )

"""What flows out of a session: the Adj-RIB-Out becomes UPDATEs, a slice at a time, then End-of-RIB.

Knows what was negotiated and what was released. Must not know connections or states.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial

from speaker.bgp.adj_rib_out import AdjRibOut, Changes
from speaker.bgp.messages import RefreshSubtype, pack_route_refresh
from speaker.bgp.negotiation import Negotiated
from speaker.bgp.packing import (
    PackingContext,
    fits,
    pack_end_of_rib,
    pack_groups,
    pack_withdrawals,
)
from speaker.bgp.transport import Slice
from speaker.model.peer import Peer
from speaker.model.prefix import Family
from speaker.model.route import Route

_PREFIXES_PER_SLICE = 1000
"""How many prefixes one turn of the event loop packs: some 3 ms, and a tenth of it where all are new."""


class Advertiser:
    """The sending half of a session.

    Args:
        released: whether UPDATEs and End-of-RIB may flow: the cluster is in sync.
        holds_end: whether End-of-RIB waits, while UPDATEs flow: a route reflector that has started has
            not heard all of its clients yet.
    """

    def __init__(self, *, released: bool, holds_end: Callable[[], bool] = lambda: False) -> None:
        self.rib = AdjRibOut()
        self.released = released
        self._holds_end = holds_end
        # The first advertisement is complete, and its end has not been told.
        self._end_is_owed = False
        self._negotiated: Negotiated | None = None
        self._packing: PackingContext | None = None

    def begin(self, negotiated: Negotiated, peer: Peer) -> None:
        """A session is established with a peer whose configuration may have changed since the OPENs."""
        self._negotiated = negotiated
        context = replace(negotiated.packing.attributes, remove_private_asns=peer.remove_private_asns)
        self._packing = replace(negotiated.packing, attributes=context)
        self._end_is_owed = False
        self.rib.begin(_Carrier(negotiated), negotiated.packing.add_path)

    def remove_private_asns(self, removed: bool) -> None:  # noqa: FBT001 -- a setting and its value
        """Private AS numbers are left out from now on, or no more; what was sent is sent again."""
        packing = self._packing
        if packing is None or packing.attributes.remove_private_asns == removed:
            return
        self._packing = replace(packing, attributes=replace(packing.attributes, remove_private_asns=removed))
        self.rib.repeat(_was_learned)

    def end(self) -> None:
        """The session is gone."""
        self._negotiated = self._packing = None
        self.rib.end()

    def next_slice(self) -> Slice | None:
        """The next UPDATEs; End-of-RIB of each family follows the complete first advertisement."""
        negotiated, packing = self._negotiated, self._packing
        if negotiated is None or packing is None or not self.released or not self._has_work:
            return None
        changes = self.rib.take(_PREFIXES_PER_SLICE)
        parts = [
            *self._refresh_marks(RefreshSubtype.BEGIN, changes.refresh_begins),
            *pack_withdrawals(packing, changes.withdrawn),
            *pack_groups(packing, changes.groups),
        ]
        self._end_is_owed |= changes.initial_done
        if self._end_is_owed and not self._holds_end():
            self._end_is_owed = False
            # RFC 4724 §2: the marker helps convergence in general, so it does not depend on whether
            # graceful restart was negotiated.
            parts += [pack_end_of_rib(family) for family in sorted(negotiated.facts.families)]
        parts += self._refresh_marks(RefreshSubtype.END, changes.refresh_ends)
        return Slice(b"".join(parts), partial(self._taken, negotiated, changes))

    @property
    def _has_work(self) -> bool:
        return self.rib.has_work or (self._end_is_owed and not self._holds_end())

    def _refresh_marks(self, subtype: RefreshSubtype, families: Iterable[Family]) -> list[bytes]:
        """Where a refresh begins and ends, for a peer that knows such marks (RFC 7313 §4)."""
        if self._negotiated is None or not self._negotiated.facts.enhanced_route_refresh:
            return []
        return [pack_route_refresh(family, subtype) for family in families]

    def _taken(self, negotiated: Negotiated, changes: Changes) -> None:
        # A slice of an earlier session says nothing about this one.
        if negotiated is self._negotiated:
            self.rib.commit(changes)


class _Carrier:
    """Whether a session can send a route, which depends on all of it but the address (`packing.alike`)."""

    def __init__(self, negotiated: Negotiated) -> None:
        self._negotiated = negotiated
        self._known: dict[tuple[int, int, int], tuple[Route, bool]] = {}

    def __call__(self, route: Route) -> bool:
        key = (id(route.attributes), id(route.next_hop), id(route.prefix.netmask))
        known = self._known.get(key)
        if known is None:
            verdict = self._negotiated.can_carry(route) and fits(self._negotiated.packing, route)
            if len(self._known) >= _VERDICTS:
                self._known.clear()
            # With the route: identities hold as long as their objects live.
            known = self._known[key] = (route, verdict)
        return known[1]


_VERDICTS = 1000


def _was_learned(route: Route) -> bool:
    return route.attributes.learned is not None

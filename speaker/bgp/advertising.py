"""What flows out of a session: the Adj-RIB-Out becomes UPDATEs, a slice at a time, then End-of-RIB.

Knows what was negotiated and what was released. Must not know connections or states.
"""

from collections.abc import Iterable
from functools import partial

from speaker.bgp.adj_rib_out import AdjRibOut, Changes
from speaker.bgp.messages import RefreshSubtype, pack_route_refresh
from speaker.bgp.negotiation import Negotiated
from speaker.bgp.packing import fits, pack_end_of_rib, pack_routes, pack_withdrawals
from speaker.bgp.transport import Slice
from speaker.model.prefix import Family
from speaker.model.route import Route

_PREFIXES_PER_SLICE = 1000
"""How many prefixes one turn of the event loop packs: some 5 ms."""


class Advertiser:
    """The sending half of a session.

    Args:
        released: whether UPDATEs and End-of-RIB may flow: the cluster is in sync.
    """

    def __init__(self, *, released: bool) -> None:
        self.rib = AdjRibOut()
        self.released = released
        self._negotiated: Negotiated | None = None

    def begin(self, negotiated: Negotiated) -> None:
        """A session is established."""
        self._negotiated = negotiated
        self.rib.begin(partial(_can_send, negotiated), negotiated.packing.add_path)

    def end(self) -> None:
        """The session is gone."""
        self._negotiated = None
        self.rib.end()

    def next_slice(self) -> Slice | None:
        """The next UPDATEs; End-of-RIB of each family follows the complete first advertisement."""
        negotiated = self._negotiated
        if negotiated is None or not self.released or not self.rib.has_work:
            return None
        changes = self.rib.take(_PREFIXES_PER_SLICE)
        parts = [
            *self._refresh_marks(RefreshSubtype.BEGIN, changes.refresh_begins),
            *pack_withdrawals(negotiated.packing, changes.withdrawn),
            *pack_routes(negotiated.packing, changes.advertised),
        ]
        if changes.initial_done:
            # RFC 4724 §2: the marker helps convergence in general, so it does not depend on whether
            # graceful restart was negotiated.
            parts += [pack_end_of_rib(family) for family in sorted(negotiated.facts.families)]
        parts += self._refresh_marks(RefreshSubtype.END, changes.refresh_ends)
        return Slice(b"".join(parts), partial(self._taken, negotiated, changes))

    def _refresh_marks(self, subtype: RefreshSubtype, families: Iterable[Family]) -> list[bytes]:
        """Where a refresh begins and ends, for a peer that knows such marks (RFC 7313 §4)."""
        if self._negotiated is None or not self._negotiated.facts.enhanced_route_refresh:
            return []
        return [pack_route_refresh(family, subtype) for family in families]

    def _taken(self, negotiated: Negotiated, changes: Changes) -> None:
        # A slice of an earlier session says nothing about this one.
        if negotiated is self._negotiated:
            self.rib.commit(changes)


def _can_send(negotiated: Negotiated, route: Route) -> bool:
    return negotiated.can_carry(route) and fits(negotiated.packing, route)

"""What flows out of a session: the Adj-RIB-Out becomes UPDATEs, a slice at a time, then End-of-RIB.

Knows what was negotiated and what was released. Must not know connections or states.
"""

from collections.abc import Mapping
from functools import partial

from speaker.bgp.adj_rib_out import AdjRibOut, Changes
from speaker.bgp.negotiation import Negotiated
from speaker.bgp.packing import fits, pack_end_of_rib, pack_routes, pack_withdrawals
from speaker.bgp.transport import Slice
from speaker.model.prefix import Prefix
from speaker.model.route import Route

_PREFIXES_PER_SLICE = 1000
"""How many prefixes one turn of the event loop packs: some 5 ms."""


class Advertiser:
    """The sending half of a session.

    Args:
        released: whether UPDATEs and End-of-RIB may flow: the cluster is in sync.
        desired: what the peer should hear from the start.
    """

    def __init__(self, *, released: bool, desired: Mapping[Prefix, Route] | None = None) -> None:
        self.rib = AdjRibOut(desired)
        self.released = released
        self._negotiated: Negotiated | None = None

    def begin(self, negotiated: Negotiated) -> None:
        """A session is established."""
        self._negotiated = negotiated
        self.rib.begin(partial(_can_send, negotiated))

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
        parts = [*pack_withdrawals(changes.withdrawn), *pack_routes(negotiated.context, changes.advertised)]
        if changes.initial_done:
            # RFC 4724 §2: the marker helps convergence in general, so it does not depend on whether
            # graceful restart was negotiated.
            parts += [pack_end_of_rib(family) for family in sorted(negotiated.facts.families)]
        return Slice(b"".join(parts), partial(self._taken, negotiated, changes))

    def _taken(self, negotiated: Negotiated, changes: Changes) -> None:
        # A slice of an earlier session says nothing about this one.
        if negotiated is self._negotiated:
            self.rib.commit(changes)


def _can_send(negotiated: Negotiated, route: Route) -> bool:
    return negotiated.can_carry(route) and fits(negotiated.context, route)

"""The receiving half of a session: what the peer has advertised, also while it restarts (RFC 4724 §4.2).

Knows which routes are stale and until when they are kept. Must not know connections or states.

Supported standards: RFC 4724 §4.2 (the receiving speaker), RFC 7313 §4 (refresh), RFC 9494 §4 (long-lived
graceful restart, the receiving speaker).
"""

import asyncio
from collections.abc import Callable
from functools import partial

from speaker.bgp.adj_rib_in import AdjRibIn
from speaker.bgp.messages import RefreshSubtype, RouteRefresh, UpdateMessage
from speaker.bgp.negotiation import Negotiated
from speaker.model.prefix import Family
from speaker.model.route import Route

REFRESH_SECONDS = 360.0
"""How long a refresh may take before what is stale goes without its end having come (RFC 7313 §4)."""


class ReceivingSpeaker:
    """The receiving half of a session.

    Args:
        limit: how many paths are kept at most.
        deferral_seconds: after a restart of the peer, how long its End-of-RIB may take: "to put an upper
            bound on the amount of time a router retains the stale routes" (RFC 4724 §4.2).
        on_change: hears what changes without the peer having said it.
    """

    def __init__(
        self, limit: int, deferral_seconds: float, on_change: Callable[[UpdateMessage], None]
    ) -> None:
        self.rib = AdjRibIn(limit)
        self.deferral_seconds = deferral_seconds
        self._on_change = on_change
        self._negotiated: Negotiated | None = None
        self._deadlines: dict[Family, asyncio.TimerHandle] = {}
        # Whose End-of-RIB has come on this session, and whose refresh has begun.
        self._complete: set[Family] = set()
        self._refreshing: set[Family] = set()
        # Until when, on the loop's clock, what is kept for long is kept.
        self._long_until: dict[Family, float] = {}

    # -- the session begins and ends -------------------------------------------------------------------

    def begin(self, negotiated: Negotiated) -> None:
        """A session is established: what was kept of the last one stays if the peer has kept its state.

        RFC 4724 §4.2: "If the Forwarding State bit for a specific address family is not set in the newly
        received Graceful Restart Capability, or if a specific address family is not included [...], or if
        the Graceful Restart Capability is not received [...] the Receiving Speaker MUST immediately
        remove all the stale routes". RFC 9494 §4.2 has the same for its own capability, by which they may
        have been kept.
        """
        self._negotiated = negotiated
        self._complete.clear()
        self._refreshing.clear()
        for family in Family:
            self._stop(family)
            if not self.rib.has_stale(family):
                continue
            if _preserved(negotiated, family, long_lived=family in self._long_until):
                self._start(family, self.deferral_seconds, partial(self._drop_stale, family))
            else:
                self._drop_stale(family)

    def end(self, *, kept: bool) -> None:
        """The session is gone.

        Args:
            kept: it ended in a way that lets the peer restart (RFC 4724 §4.2, RFC 8538 §4).
        """
        negotiated, self._negotiated = self._negotiated, None
        if negotiated is None:
            return
        for family in Family:
            self._stop(family)
            seconds = _restart_seconds(negotiated, family) if kept else None
            if seconds is None:
                self._long_until.pop(family, None)
                self._tell(UpdateMessage(withdrawn=self.rib.drop_family(family)))
                continue
            long_lived_seconds = _long_lived_seconds(negotiated, family)
            if not long_lived_seconds and family not in self._refreshing:
                # "To deal with possible consecutive restarts, a route (from the peer) previously marked as
                # stale MUST be deleted." RFC 9494 §4.2 takes that back where it is negotiated.
                self._drop_stale(family)
            self.rib.mark_stale(family)
            self._start(family, seconds, partial(self._restart_time_over, family, long_lived_seconds))

    def silence(self) -> None:
        """We restart ourselves: what was learned stays in use meanwhile, so nobody hears that it goes."""
        self._on_change = _nobody_hears

    def close(self) -> None:
        """Forgets everything, also what is kept while the peer restarts."""
        self.end(kept=False)
        for family in Family:
            self._stop(family)
            self._tell(UpdateMessage(withdrawn=self.rib.drop_family(family)))

    def _restart_time_over(self, family: Family, long_lived_seconds: int) -> None:
        self._stop(family)
        if long_lived_seconds == 0:
            self._drop_stale(family)
            return
        kept, gone = self.rib.keep_long(family)
        self._tell(UpdateMessage(advertised=kept, withdrawn=gone))
        now = asyncio.get_running_loop().time()
        # RFC 9494 §4.2: the time runs on over sessions that end before their End-of-RIB.
        until = self._long_until.setdefault(family, now + long_lived_seconds)
        self._start(family, max(0.0, until - now), partial(self._drop_stale, family))

    # -- what the peer says ----------------------------------------------------------------------------

    def apply(self, update: UpdateMessage) -> tuple[Route, ...]:
        """Takes in an UPDATE; returns the routes of it that are kept."""
        if update.end_of_rib is not None and update.end_of_rib not in self._complete:
            self._complete.add(update.end_of_rib)
            if update.end_of_rib not in self._refreshing:
                self._drop_stale(update.end_of_rib)
        return self.rib.apply(update)

    def refresh(self, message: RouteRefresh) -> None:
        """The begin or the end of a refresh (RFC 7313 §4); an end without a begin says nothing.

        "A BGP speaker that has received the Graceful Restart Capability from its neighbor MUST ignore any
        BoRRs for an <AFI, SAFI> from the neighbor before the speaker receives the EoR for the given
        <AFI, SAFI> from the neighbor."
        """
        family = message.family
        if message.subtype is RefreshSubtype.BEGIN and self._may_refresh(family):
            self._refreshing.add(family)
            self.rib.mark_stale(family)
            self._start(family, REFRESH_SECONDS, partial(self._drop_stale, family))
        elif message.subtype is RefreshSubtype.END and family in self._refreshing:
            self._drop_stale(family)

    def _may_refresh(self, family: Family) -> bool:
        restarts = self._negotiated is not None and self._negotiated.peer_restart is not None
        return family in self._complete or not restarts

    # -- stale routes ----------------------------------------------------------------------------------

    def _drop_stale(self, family: Family) -> None:
        self._stop(family)
        self._refreshing.discard(family)
        self._long_until.pop(family, None)
        self._tell(UpdateMessage(withdrawn=self.rib.drop_stale(family)))

    def _tell(self, update: UpdateMessage) -> None:
        if update.advertised or update.withdrawn:
            self._on_change(update)

    def _start(self, family: Family, seconds: float, expired: Callable[[], None]) -> None:
        self._stop(family)
        self._deadlines[family] = asyncio.get_running_loop().call_later(seconds, expired)

    def _stop(self, family: Family) -> None:
        deadline = self._deadlines.pop(family, None)
        if deadline is not None:
            deadline.cancel()


def _nobody_hears(_update: UpdateMessage) -> None:
    """In place of the session."""


def _preserved(negotiated: Negotiated, family: Family, *, long_lived: bool) -> bool:
    """Whether the peer has kept its state: its F bit, of the capability by which its routes were kept."""
    if long_lived:
        return any(each.family is family and each.preserved for each in negotiated.peer_long_lived)
    restart = negotiated.peer_restart
    return restart is not None and family in restart.preserved


def _restart_seconds(negotiated: Negotiated, family: Family) -> int | None:
    """How long the peer may take to restart; None when its routes are not kept meanwhile.

    RFC 9494 §4.2: for a family that only the long-lived capability lists the time is zero.
    """
    restart = negotiated.peer_restart
    if restart is not None and family in restart.families:
        return restart.restart_time_seconds
    return 0 if _long_lived_seconds(negotiated, family) else None


def _long_lived_seconds(negotiated: Negotiated, family: Family) -> int:
    """How long the peer wants its routes of the family to be kept; 0 is not at all."""
    return max(
        (each.stale_seconds for each in negotiated.peer_long_lived if each.family is family), default=0
    )

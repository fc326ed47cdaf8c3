"""The BGP sessions with BFD beside them: what BFD finds dead ends at once (RFC 5882 §4).

Knows both engines and that peers of ranges come and go. Must not know routes, settings or clusters.
"""

import logging
from collections.abc import Mapping, Sequence

from speaker.bfd import BfdEvent, BfdEventKind, BfdSessions, BfdStatus, State
from speaker.bgp import PeerSet, SessionEvent, SessionEventKind
from speaker.metrics import Metrics
from speaker.model.peer import Peer, PeerRange

_log = logging.getLogger(__name__)


class Peering:
    """The peers with all that keeps their sessions.

    Args:
        sessions: the BGP sessions; who made them runs and stops them.
    """

    def __init__(self, sessions: PeerSet) -> None:
        self._sessions = sessions
        self._bfd = BfdSessions(on_event=self._bfd_event, on_problem=_bfd_problem)
        self._peers: tuple[Peer, ...] = ()

    async def run(self) -> None:
        """Runs BFD until cancelled, which says nothing to the peers: they see silence, as from a restart."""
        await self._bfd.run()

    def set_peers(self, peers: Sequence[Peer], ranges: Sequence[PeerRange] = ()) -> None:
        """Adds, changes and removes peers and ranges, one at a time; the others do not notice."""
        self._peers = tuple(peers)
        self._sessions.set_peers(peers)
        self._sessions.set_ranges(ranges)
        self._bfd.set_peers(self.peers)

    @property
    def peers(self) -> tuple[Peer, ...]:
        """The configured peers, and those of ranges that are here now."""
        return (*self._peers, *self._sessions.range_peers)

    def session_event(self, event: SessionEvent) -> None:
        """A session was established or ended: a peer of a range has BFD from then or until then."""
        if event.kind in (SessionEventKind.ESTABLISHED, SessionEventKind.CLOSED):
            self._bfd.set_peers(self.peers)

    def bfd_statuses(self) -> Mapping[str, BfdStatus]:
        """Each BFD session as it stands, by `Peer.name`."""
        return self._bfd.statuses()

    def record(self, metrics: Metrics) -> None:
        """Record what is known of BFD and of the listener."""
        metrics.record_connections(refused=self._sessions.refused_connections)
        metrics.record_bfd(
            {name: (each.state is State.UP, each.flaps) for name, each in self._bfd.statuses().items()}
        )

    def _bfd_event(self, event: BfdEvent) -> None:
        fields = {"peer": event.peer, "reason": event.reason}
        if event.kind is BfdEventKind.DOWN:
            _log.warning("bfd is down", extra=fields)
            self._sessions.bfd_down(event.peer, f"BFD: {event.reason}")
        elif event.kind is BfdEventKind.UP:
            _log.info("bfd is up", extra=fields)
        else:
            _log.info("bfd was turned off by the peer", extra=fields)


def _bfd_problem(problem: str) -> None:
    if problem:
        _log.error("bfd does not work", extra={"reason": problem})
    else:
        _log.info("bfd works")

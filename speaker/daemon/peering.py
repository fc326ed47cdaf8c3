"""The BGP sessions with BFD beside them: what BFD finds dead ends at once (RFC 5882 §4).

Knows both engines and that peers of ranges come and go. Must not know routes, settings or clusters.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence

from speaker.bfd import BfdEvent, BfdEventKind, BfdSessions, BfdStatus, OpenSocket, State, udp_socket
from speaker.bgp import PeerSet, SessionEvent, SessionEventKind
from speaker.metrics import Metrics
from speaker.model.peer import BfdTimers, Peer, PeerRange

HANDSHAKE_SECONDS = 2.0
"""From the first packet of a BFD session to Up: each side sends one a second (RFC 5880 §6.8.3)."""

_log = logging.getLogger(__name__)


class Peering:
    """The peers with all that keeps their sessions.

    Args:
        sessions: the BGP sessions; who made them runs and stops them.
        open_socket: makes UDP sockets of a family, perhaps in another network namespace.
    """

    def __init__(self, sessions: PeerSet, open_socket: OpenSocket = udp_socket) -> None:
        self._sessions = sessions
        self._bfd = BfdSessions(on_event=self._bfd_event, on_problem=_bfd_problem, open_socket=open_socket)
        self._peers: tuple[Peer, ...] = ()
        self._started = False
        self._held: dict[str, asyncio.TimerHandle] = {}

    async def run(self) -> None:
        """Runs BFD until cancelled, which says nothing to the peers: they see silence, as from a restart."""
        await self._bfd.run()

    def set_peers(self, peers: Sequence[Peer], ranges: Sequence[PeerRange] = ()) -> None:
        """Adds, changes and removes peers and ranges, one at a time; the others do not notice."""
        self._peers = tuple(peers)
        self._sessions.set_peers(peers)
        self._sessions.set_ranges(ranges)
        self._bfd.set_peers(self.peers)
        names = {peer.name for peer in peers}
        for name in self._held.keys() - names:
            self._held.pop(name).cancel()
        if self._started:
            self._sessions.start(names - self._held.keys())

    def start(self) -> None:
        """Begins to dial and to listen; a second call changes nothing.

        Over a restart of ours a router keeps the routes, but holds the BFD session of before against the
        new BGP session when that one expires. BFD that is up anew shows that it has expired, so a peer
        with both is not dialled earlier, for a bounded time.
        """
        if self._started:
            return
        self._started = True
        loop = asyncio.get_running_loop()
        for peer in self._peers:
            if peer.bfd is not None and peer.graceful_restart is not None:
                seconds = _patience_seconds(peer.bfd)
                self._held[peer.name] = loop.call_later(seconds, self._let_go, peer.name)
        self._sessions.start({peer.name for peer in self._peers} - self._held.keys())

    def _let_go(self, name: str) -> None:
        held = self._held.pop(name, None)
        if held is not None:
            held.cancel()
            self._sessions.start({name})

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
            self._let_go(event.peer)
        else:
            _log.info("bfd was turned off by the peer", extra=fields)


def _patience_seconds(timers: BfdTimers) -> float:
    """The Detection Time of the session of before, as far as we know it, and some packets for a new one."""
    slowest = max(timers.transmit_milliseconds, timers.receive_milliseconds) / 1000
    return timers.multiplier * slowest + HANDSHAKE_SECONDS


def _bfd_problem(problem: str) -> None:
    if problem:
        _log.error("bfd does not work", extra={"reason": problem})
    else:
        _log.info("bfd works")

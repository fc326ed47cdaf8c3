"""The session with one peer: what it should hear, what it has said, and when all that begins and ends.

Knows restarts of the peer and changes of the configuration. Must not know sockets, state machines or other
peers.
"""

import asyncio
import socket
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from speaker.bgp.adj_rib_out import AdjRibOut
from speaker.bgp.advertising import Advertiser
from speaker.bgp.changes import Effect, effect
from speaker.bgp.codec_open import pack_open
from speaker.bgp.connection import Connection, Ending
from speaker.bgp.connections import Connections
from speaker.bgp.fsm import CONNECT_SECONDS, LARGE_HOLD_SECONDS
from speaker.bgp.fsm_alphabet import Event, Occurrence
from speaker.bgp.messages import (
    Cease,
    ErrorCode,
    Notification,
    RefreshSubtype,
    RouteRefresh,
    UpdateMessage,
    pack_route_refresh,
    prefix_limit_reached,
)
from speaker.bgp.negotiation import Negotiated
from speaker.bgp.receiving import ReceivingSpeaker
from speaker.bgp.record import Record
from speaker.bgp.surroundings import Surroundings, deferral_seconds, retry_seconds
from speaker.bgp.transport import Slice, Transport
from speaker.model.peer import Peer, SessionFacts, SessionState, SessionStatus
from speaker.model.prefix import Family, Prefix, family_of
from speaker.model.route import Paths, PrefixPath, Route

PREFIX_LIMIT_PAUSE_SECONDS = 300.0
"""How long a peer that sends too many prefixes gets no new session (RFC 4486 §4 leaves it to us)."""

RETURN_SECONDS = 0.4
"""The longest attempt to connect, and pause after it, while the peer keeps our routes (RFC 4724 §4.2).

So soon a session follows when the router's password changes after ours. It has to be well within 1 s, after
which FRR 8.4 starts its machine for us again: a session that comes up in that very millisecond inherits an
event of the start, which ends it with all routes. In a longer attempt the kernel repeats its SYN after 1 s.
"""

STRANGER_OPEN_SECONDS = 10.0
"""How long a peer of a range may take to send its OPEN: it holds one of few places meanwhile."""


class Session:
    """A peer at work.

    Args:
        peer: the configuration.
        around: what all sessions share.
        released: whether UPDATEs and End-of-RIB may flow.
        on_ended: called when a connection has ended and none is left; None for a configured peer, which
            tries again. A peer with it belongs to a range.
    """

    def __init__(
        self,
        peer: Peer,
        around: Surroundings,
        *,
        released: bool,
        on_ended: Callable[["Session"], None] | None = None,
    ) -> None:
        self.peer = peer
        self._around = around
        self._on_ended = on_ended
        self._advertiser = Advertiser(released=released, holds_end=around.holds_end_of_rib)
        self._record = Record(peer.name, around.on_event)
        self._receiving = ReceivingSpeaker(
            around.limit_of(peer), deferral_seconds(peer), self._record.update_received
        )
        self._connections = Connections(
            self,
            on_moved=self._moved,
            on_failed=self._failed,
            open_seconds=LARGE_HOLD_SECONDS if on_ended is None else STRANGER_OPEN_SECONDS,
        )
        self._negotiated: Negotiated | None = None
        # Both have to hold before anything flows: the cluster is in sync, and the routes are those of this
        # very session.
        self._released = released
        self._routes_complete = not around.holds_new_sessions
        self._stopped = False
        # Whether the peer has advertised more than was kept.
        self._overflowed = False
        self._absent_until = 0.0
        self._kept_until = 0.0
        self.served = 0

    # -- what the set of peers asks ----------------------------------------------------------------

    @property
    def facts(self) -> SessionFacts | None:
        """What was negotiated; None unless established."""
        return self._record.facts

    @property
    def rib_out(self) -> AdjRibOut:
        """What the peer should hear, and what it has been sent."""
        return self._advertiser.rib

    @property
    def received(self) -> Mapping[PrefixPath, Route]:
        """What the peer has advertised, also what is kept of it while it restarts."""
        return self._receiving.rib.routes

    @property
    def is_connected(self) -> bool:
        """Whether there is a TCP connection with the peer."""
        return self._connections.connected

    @property
    def absence_seconds(self) -> float:
        """How long it matters without a connection: its routes are kept, or a pause has to last."""
        return max(0.0, self._absent_until - asyncio.get_running_loop().time())

    @property
    def is_flushed(self) -> bool:
        """Whether the peer's TCP has acknowledged everything that was to be sent."""
        return not self.rib_out.has_work and self._connections.is_flushed

    def status(self) -> SessionStatus:
        """The session as it stands."""
        record = self._record
        return SessionStatus(
            peer=self.peer,
            state=record.state,
            facts=record.facts,
            established_at=record.established_at,
            last_error=record.last_error,
            advertised=self.rib_out.counts,
            pending=self.rib_out.pending,
            received=self._receiving.rib.counts,
            flaps=record.flaps,
        )

    def start(self) -> None:
        """Begins to dial, or to wait for the peer."""
        self._connections.start()

    def update(self, changes: Mapping[Prefix, Paths | None]) -> None:
        """Changes what the peer should hear."""
        self.rib_out.update(changes)
        self._connections.kick()

    def release(self) -> None:
        """UPDATEs and End-of-RIB may flow."""
        self._released = True
        self._check_flow()

    def routes_complete(self) -> None:
        """All that the new session should hear is known: its first advertisement may begin."""
        self._routes_complete = True
        self._check_flow()

    def end_may_follow(self) -> None:
        """End-of-RIB is held no more (`Surroundings.holds_end_of_rib`)."""
        self._connections.kick()

    def _check_flow(self) -> None:
        self._advertiser.released = self._released and self._routes_complete
        self._connections.kick()

    def change(self, peer: Peer) -> None:
        """Takes another configuration; `changes.EFFECTS` says what it does to the session."""
        if peer == self.peer:
            return
        outcome = effect(self.peer, peer)
        keeps = (
            outcome is Effect.RESTART
            and self.facts is not None
            and self.facts.peer_graceful_restart
            and peer.graceful_restart is not None
        )
        running, before = self._connections.running, self.peer
        if keeps and self.peer.graceful_restart is not None:
            restart_seconds = self.peer.graceful_restart.restart_time_seconds
            self._kept_until = asyncio.get_running_loop().time() + restart_seconds
        self.peer = peer
        self._receiving.rib.limit = self._around.limit_of(peer)
        self._receiving.deferral_seconds = deferral_seconds(peer)
        if outcome is Effect.LIVE and self._connections.connected:
            self._change_live(before)
            return
        cease = Notification(ErrorCode.CEASE, Cease.CONFIGURATION_CHANGE)
        self._end(None if keeps else cease, "the peer's configuration changed", hard=outcome is Effect.RESET)
        if outcome is Effect.RESET:
            self._receiving.close()
        if running:
            self.start()

    def _change_live(self, before: Peer) -> None:
        """What was sent or kept otherwise before is sent, or asked for, again."""
        peer = self.peer
        self._advertiser.remove_private_asns(peer.remove_private_asns)
        self._connections.kick()
        wanted_more = self._overflowed and self._receiving.rib.limit > self._around.limit_of(before)
        if wanted_more or peer.cluster_id != before.cluster_id:
            self._overflowed = False
            for family in peer.families:
                self.request_refresh(family)

    def request_refresh(self, family: Family) -> None:
        """Asks the peer for all its routes of a family again, if it can do that (RFC 2918 §4)."""
        negotiated = self._negotiated
        if negotiated is not None and negotiated.peer_refreshes and family in negotiated.facts.families:
            self._connections.send(pack_route_refresh(family))

    def reset(self, notification: Notification, reason: str, pause_seconds: float = 0.0) -> None:
        """Ends the session and all routes with it, and begins anew after a pause."""
        self._absent_until = asyncio.get_running_loop().time() + pause_seconds
        self._connections.reset(
            Occurrence(
                event=Event.AUTOMATIC_STOP,
                notification=self._harden(notification),
                pause_seconds=pause_seconds,
                reason=reason,
            )
        )

    def stop(self, notification: Notification | None, reason: str, *, returns: bool = False) -> None:
        """Ends the session for good; without a NOTIFICATION the peer sees a restart (RFC 4724).

        `returns` says that it is we who restart: what was learned is not told as withdrawn.
        """
        self._stopped = True
        if returns:
            self._receiving.silence()
        self._end(notification, reason, hard=True)
        self._receiving.close()

    def _end(self, notification: Notification | None, reason: str, *, hard: bool) -> None:
        if notification is not None and hard:
            notification = self._harden(notification)
        self._connections.stop(
            Occurrence(
                event=Event.MANUAL_STOP,
                notification=notification,
                silent=notification is None,
                reason=reason,
            )
        )

    def _harden(self, notification: Notification) -> Notification:
        """Says that the routes must go, where a NOTIFICATION alone would not (RFC 8538 §3)."""
        facts = self.facts
        return (
            notification.as_hard_reset() if facts is not None and facts.notification_restart else notification
        )

    def accept(self, sock: socket.socket) -> bool:
        """Takes a connection that the peer has made; False when it is not welcome now."""
        return self._connections.accept(sock, peer_may_restart=self._peer_may_restart())

    def _peer_may_restart(self) -> bool:
        """Whether a new connection, while one is Established, means that the peer has restarted.

        It does where graceful restart is negotiated. But an attempt that the peer began before the session
        was established arrives at that time too, and is a collision.
        """
        negotiated = self._negotiated
        restarts = negotiated is not None and negotiated.peer_restarts
        return restarts and self._record.age_seconds > CONNECT_SECONDS

    # -- what a connection asks --------------------------------------------------------------------

    @property
    def connect_retry_seconds(self) -> float:
        """The configured time, or less while the peer keeps our routes over a restart that we began."""
        configured = retry_seconds(self.peer)
        returning = asyncio.get_running_loop().time() < self._kept_until
        return min(RETURN_SECONDS, configured) if returning else configured

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Runs `work` beside everything else."""
        return self._around.spawn(work)

    def serve(self, transport: Transport) -> None:
        """Runs a TCP connection until it has ended, which may be a moment after the machine let it go."""
        self.served += 1
        self.spawn(transport.run()).add_done_callback(partial(self._connection_ended, transport))

    def _connection_ended(self, transport: Transport, _task: asyncio.Task[None]) -> None:
        # A task that is cancelled before its first turn has closed nothing.
        transport.abandon()
        self.served -= 1

    def open_socket(self, family: socket.AddressFamily) -> socket.socket:
        """A TCP socket toward the peer."""
        return self._around.open_socket(family)

    def open_message(self) -> bytes:
        """Our OPEN; the R bit is set on the first session within the restart time of our start."""
        return pack_open(
            self.peer,
            restarting=self._is_restarting(),
            forwarding_preserved=self._around.forwarding_preserved,
        )

    def _is_restarting(self) -> bool:
        restart, started_at = self.peer.graceful_restart, self._around.started_at
        if restart is None or started_at is None or self._record.had_session:
            return False
        return asyncio.get_running_loop().time() - started_at < restart.restart_time_seconds

    def stalled(self, reason: str) -> None:
        """A connection waits for what should have come: worth a word, and no more."""
        self._failed(reason)

    def _moved(self, connection: Connection, new: SessionState, ending: Ending) -> None:
        if new is SessionState.ESTABLISHED and connection.negotiated is not None:
            self._establish(connection.negotiated)
        elif self._record.state is SessionState.ESTABLISHED:
            self._close(new, ending)
        else:
            old = self._record.state
            self._record.moved(new, ending.reason)
            self._failed(ending.reason)
            # A connection that was no session yet.
            if old in (SessionState.OPEN_SENT, SessionState.OPEN_CONFIRM):
                self._check_ended()

    def _failed(self, reason: str) -> None:
        if not self._stopped:
            self._record.failed(reason)

    def _check_ended(self) -> None:
        if self._on_ended is not None and not self._stopped and not self._connections.connected:
            self._on_ended(self)

    # -- beginning and end -------------------------------------------------------------------------

    def _establish(self, negotiated: Negotiated) -> None:
        self._negotiated = negotiated
        self._kept_until = 0.0
        self._overflowed = False
        self._routes_complete = not self._around.holds_new_sessions
        self._check_flow()
        self._advertiser.begin(negotiated, self.peer)
        self._receiving.begin(negotiated)
        self._record.established(negotiated.facts)
        self._connections.kick()

    def _close(self, new: SessionState, ending: Ending) -> None:
        self._advertiser.end()
        self._receiving.end(kept=ending.lets_peer_restart)
        self._record.closed(new, ending.reason)
        if ending.lets_peer_restart and self._negotiated is not None:
            restart = self._negotiated.peer_restart
            seconds = 0 if restart is None else restart.restart_time_seconds
            self._absent_until = asyncio.get_running_loop().time() + seconds
        self._negotiated = None
        self._check_ended()

    # -- routes ------------------------------------------------------------------------------------

    def next_slice(self) -> Slice | None:
        """The next UPDATEs."""
        return self._advertiser.next_slice()

    def refresh_received(self, message: RouteRefresh) -> None:
        """RFC 2918 §4: "re-advertise the Adj-RIB-Out of the <AFI, SAFI>"; or a mark of RFC 7313."""
        if self.facts is None or message.family not in self.facts.families:
            # "the speaker shall ignore such a message" (RFC 2918 §4)
            return
        if message.subtype is RefreshSubtype.REQUEST:
            self.rib_out.refresh(message.family)
            self._connections.kick()
        else:
            self._receiving.refresh(message)

    def update_received(self, update: UpdateMessage) -> None:
        """The peer sent routes or took some back."""
        kept = self._receiving.apply(update)
        whole = len(kept) == len(update.advertised)
        self._record.update_received(update if whole else replace(update, advertised=kept))
        if not whole:
            self._overflow(update)

    def _overflow(self, update: UpdateMessage) -> None:
        """The peer has sent more than is kept of it."""
        self._overflowed = True
        limit = self.peer.max_prefixes
        if limit is None and self.peer.imports:
            self._failed(f"peer sent more than {self._around.import_limit} prefixes: the others are not used")
        elif limit is not None:
            notification = prefix_limit_reached(family_of(update.advertised[-1].prefix), limit)
            reason = f"peer sent more than {limit} prefixes; next attempt in {PREFIX_LIMIT_PAUSE_SECONDS:g} s"
            self.reset(notification, reason, PREFIX_LIMIT_PAUSE_SECONDS)

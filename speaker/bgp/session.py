"""The session with one configured peer, over all its connections.

Knows the peer's Adj-RIBs, which of two connections goes on (RFC 4271 §6.8), what restarts mean
(RFC 4724) and what the daemon is to hear. Must not know other peers.
"""

import asyncio
import socket
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

from speaker.bgp.adj_rib_in import AdjRibIn
from speaker.bgp.adj_rib_out import AdjRibOut
from speaker.bgp.advertising import Advertiser
from speaker.bgp.codec_open import pack_open
from speaker.bgp.connection import Connection
from speaker.bgp.events import SessionEvent, SessionEventKind
from speaker.bgp.fsm import CONNECT_SECONDS, Fsm
from speaker.bgp.fsm_alphabet import Event, Occurrence
from speaker.bgp.messages import Notification, OpenMessage, UpdateMessage
from speaker.bgp.negotiation import Negotiated
from speaker.bgp.transport import Slice, Transport
from speaker.model.peer import Peer, SessionFacts, SessionState, SessionStatus
from speaker.model.prefix import Family, Prefix
from speaker.model.route import Route

_MOST_CONNECTIONS = 8
"""How many TCP connections a peer may have here at once, those that are just ending included."""


# The states of a machine whose connection has ended.
_OVER = (SessionState.IDLE, SessionState.ACTIVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What all sessions share.

    Attributes:
        spawn: runs a coroutine whose exceptions end the process.
        open_socket: makes a TCP socket of a family, perhaps in another network namespace.
        on_event: the daemon's ear.
        started_at: when the process started, on the event loop's clock; None never sets the R bit.
        forwarding_preserved: the F bit of RFC 4724 §3.
        received_limit: how many received prefixes are kept for each peer.
    """

    spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]
    open_socket: Callable[[socket.AddressFamily], socket.socket]
    on_event: Callable[[SessionEvent], None]
    started_at: float | None
    forwarding_preserved: bool
    received_limit: int


class Session:
    """A configured peer at work.

    Args:
        peer: the configuration.
        around: what all sessions share.
        released: whether UPDATEs and End-of-RIB may flow.
        desired: what the peer should hear, from a session that this one replaces.
    """

    def __init__(
        self,
        peer: Peer,
        around: Surroundings,
        *,
        released: bool,
        desired: Mapping[Prefix, Route] | None = None,
    ) -> None:
        self.peer = peer
        self.rib_in = AdjRibIn(around.received_limit)
        self._around = around
        self._advertiser = Advertiser(released=released, desired=desired)
        self._main: Connection | None = None
        self._rival: Connection | None = None
        self._reported = SessionState.IDLE
        self._negotiated: Negotiated | None = None
        self._established_at: float | None = None
        self._established_on_loop = 0.0
        self._had_session = False
        self._last_error = ""
        self._flaps = 0
        self._stopped = False
        self._served = 0

    # -- what the set of peers asks ----------------------------------------------------------------

    @property
    def facts(self) -> SessionFacts | None:
        """What was negotiated; None unless established."""
        return None if self._negotiated is None else self._negotiated.facts

    @property
    def rib_out(self) -> AdjRibOut:
        """What the peer should hear, and what it has been sent."""
        return self._advertiser.rib

    @property
    def is_flushed(self) -> bool:
        """Whether the peer's TCP has acknowledged everything that was to be sent."""
        return not self.rib_out.has_work and (self._main is None or self._main.is_flushed)

    def status(self) -> SessionStatus:
        """The session as it stands."""
        return SessionStatus(
            peer=self.peer,
            state=self._reported,
            facts=self.facts,
            established_at=self._established_at,
            last_error=self._last_error,
            advertised=self.rib_out.counts,
            pending=self.rib_out.pending,
            received=self.rib_in.counts,
            flaps=self._flaps,
        )

    def start(self) -> None:
        """Begins to dial, or to wait for the peer."""
        if self._main is None:
            self._main = Connection(self, self._machine(SessionState.IDLE))
            self._main.handle(Occurrence(event=Event.MANUAL_START))

    def update(self, changes: Mapping[Prefix, Route | None]) -> None:
        """Changes what the peer should hear."""
        self.rib_out.update(changes)
        self._kick()

    def release(self) -> None:
        """UPDATEs and End-of-RIB may flow."""
        self._advertiser.released = True
        self._kick()

    def stop(self, notification: Notification | None, reason: str) -> None:
        """Ends the session for good; without a NOTIFICATION the peer sees a restart (RFC 4724)."""
        self._stopped = True
        occurrence = Occurrence(
            event=Event.MANUAL_STOP,
            notification=notification,
            silent=notification is None,
            reason=reason,
        )
        for connection in (self._rival, self._main):
            if connection is not None:
                connection.handle(occurrence)
                connection.dispose()
        self._main = self._rival = None

    def accept(self, sock: socket.socket) -> bool:
        """Takes a connection that the peer has made; False when it is not welcome now."""
        main = self._main
        if main is None or main.state is SessionState.IDLE:
            # "In this state, BGP FSM refuses all incoming BGP connections for this peer." (§8.2.2)
            return False
        if self._served >= _MOST_CONNECTIONS:
            return False
        if main.state is SessionState.ESTABLISHED and self._is_restart_of_peer():
            reason = "peer opened a new connection: it has restarted"
            main.handle(Occurrence(event=Event.TCP_CONNECTION_FAILS, reason=reason))
            main.dispose()
            main = self._main = Connection(self, self._machine(SessionState.ACTIVE))
        if main.state is SessionState.ACTIVE:
            main.accept(sock)
            return True
        self._drop_rival()
        self._rival = Connection(self, self._machine(SessionState.ACTIVE))
        self._rival.accept(sock)
        return True

    def _is_restart_of_peer(self) -> bool:
        """Whether a new connection, while one is Established, means that the peer has restarted.

        RFC 4724 §4.2 says so where graceful restart is negotiated: the old connection is closed without a
        NOTIFICATION, and the session goes on over the new one. But an attempt that the peer began before
        the session was established arrives at that time too, and is a collision.
        """
        age = asyncio.get_running_loop().time() - self._established_on_loop
        return self._negotiated is not None and self._negotiated.peer_restarts and age > CONNECT_SECONDS

    def _machine(self, state: SessionState) -> Fsm:
        return Fsm(
            passive=self.peer.passive,
            keepalive_seconds=self.peer.keepalive_seconds,
            connect_retry_seconds=self.peer.connect_retry_seconds,
            state=state,
            connect_retry_counter=0 if self._main is None else self._main.connect_retry_counter,
        )

    def _kick(self) -> None:
        if self._main is not None:
            self._main.kick()

    # -- what a connection asks --------------------------------------------------------------------

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Runs `work` beside everything else."""
        return self._around.spawn(work)

    def serve(self, transport: Transport) -> None:
        """Runs a TCP connection until it has ended, which may be a moment after the machine let it go."""
        self._served += 1
        self.spawn(transport.run()).add_done_callback(self._connection_ended)

    def _connection_ended(self, _task: asyncio.Task[None]) -> None:
        self._served -= 1

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
        if restart is None or started_at is None or self._had_session:
            return False
        return asyncio.get_running_loop().time() - started_at < restart.restart_time_seconds

    def loses_collision(self, connection: Connection, message: OpenMessage) -> bool:
        """Connection collision detection (RFC 4271 §6.8), on the OPEN of `connection`."""
        other = self._rival if connection is self._main else self._main
        if other is None or other.state not in (SessionState.OPEN_CONFIRM, SessionState.ESTABLISHED):
            return False
        if other.state is SessionState.ESTABLISHED:
            # "a connection collision with an existing BGP connection that is in the Established state
            # causes closing of the newly created connection"
            return True
        # Of the two the one goes on that the side with the higher BGP Identifier has made; RFC 6286 §2.3
        # lets the AS number decide between equal ones.
        ours = (int(self.peer.router_id), self.peer.local_asn)
        theirs = (int(message.router_id), message.asn)
        if connection.incoming == (ours > theirs):
            return True
        self._dump(other)
        return False

    def _dump(self, loser: Connection) -> None:
        """Ends the connection that lost; the other one is the session from now on."""
        survivor = self._rival if loser is self._main else self._main
        self._main, self._rival = survivor, None
        loser.handle(Occurrence(event=Event.OPEN_COLLISION_DUMP))
        loser.dispose()

    def _drop_rival(self) -> None:
        if self._rival is not None:
            rival, self._rival = self._rival, None
            rival.handle(Occurrence(event=Event.OPEN_COLLISION_DUMP))
            rival.dispose()

    def moved(self, connection: Connection, new: SessionState, reason: str) -> None:
        """A connection's machine has made a transition."""
        if connection is self._rival:
            self._rival_moved(connection, new, reason)
        elif connection is self._main:
            self._main_moved(connection, new, reason)

    def stalled(self, reason: str) -> None:
        """A connection waits for what should have come: worth a word, and no more."""
        self._report_error(reason)

    def _rival_moved(self, rival: Connection, new: SessionState, reason: str) -> None:
        if new is SessionState.ESTABLISHED and self._main is not None:
            self._dump(self._main)
            self._main_moved(rival, new, reason)
        elif new in _OVER:
            self._rival = None
            rival.dispose()
            self._report_error(reason)

    def _main_moved(self, main: Connection, new: SessionState, reason: str) -> None:
        was_established = self._reported is SessionState.ESTABLISHED
        if new is SessionState.ESTABLISHED and main.negotiated is not None:
            self._drop_rival()
            self._establish(main.negotiated)
        elif was_established:
            self._close(new, reason)
        elif new in _OVER and self._rival is not None:
            # The peer chose the other connection (§6.8), or this attempt just failed: either way the
            # other one is the session now.
            self._main, self._rival = self._rival, None
            main.dispose()
            self._report_state(self._main.state, reason)
        else:
            self._report_state(new, reason)
            self._report_error(reason)

    # -- beginning and end -------------------------------------------------------------------------

    def _establish(self, negotiated: Negotiated) -> None:
        self._negotiated = negotiated
        self._established_at = time.time()
        self._had_session = True
        self._last_error = ""
        self._established_on_loop = asyncio.get_running_loop().time()
        self._advertiser.begin(negotiated)
        old = self._reported
        self._report_state(SessionState.ESTABLISHED, "")
        self._emit(SessionEventKind.ESTABLISHED, old, SessionState.ESTABLISHED, facts=negotiated.facts)
        self._kick()

    def _close(self, new: SessionState, reason: str) -> None:
        self._negotiated = None
        self._established_at = None
        self._last_error = reason
        self._flaps += 1
        self._advertiser.end()
        self.rib_in.clear()
        self._report_state(new, reason)
        self._emit(SessionEventKind.CLOSED, SessionState.ESTABLISHED, new, reason=reason)

    def _report_state(self, new: SessionState, reason: str) -> None:
        if new is not self._reported:
            old, self._reported = self._reported, new
            self._emit(SessionEventKind.STATE_CHANGED, old, new, reason=reason)

    def _report_error(self, reason: str) -> None:
        # The same failure again says nothing new; a peer must not fill the log.
        if reason and reason != self._last_error and not self._stopped:
            self._last_error = reason
            self._emit(SessionEventKind.ERROR, None, self._reported, reason=reason)

    def _emit(
        self,
        kind: SessionEventKind,
        old: SessionState | None,
        new: SessionState,
        *,
        reason: str = "",
        facts: SessionFacts | None = None,
    ) -> None:
        name = self.peer.name
        self._around.on_event(
            SessionEvent(peer=name, kind=kind, old=old, new=new, reason=reason, facts=facts)
        )

    # -- routes ------------------------------------------------------------------------------------

    def next_slice(self) -> Slice | None:
        """The next UPDATEs."""
        return self._advertiser.next_slice()

    def refresh_requested(self, family: Family) -> None:
        """RFC 2918 §4: "re-advertise the Adj-RIB-Out of the <AFI, SAFI>"."""
        self.rib_out.refresh(family)
        self._kick()

    def update_received(self, update: UpdateMessage) -> None:
        """The peer sent routes or took some back."""
        self.rib_in.apply(update)
        if update.advertised or update.withdrawn:
            self._around.on_event(
                SessionEvent(
                    peer=self.peer.name,
                    kind=SessionEventKind.UPDATE_RECEIVED,
                    new=self._reported,
                    advertised=update.advertised,
                    withdrawn=update.withdrawn,
                )
            )

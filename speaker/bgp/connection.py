"""One state machine at work: its timers, its attempts to connect, and its TCP connection.

Knows how to turn what the network does into events of the FSM, and the FSM's actions into deeds. Must not
know routes, nor that the peer may have another connection: that is the session's.
"""

import asyncio
import socket
from collections import deque
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from speaker.bgp import fsm_alphabet as machine
from speaker.bgp.capabilities import describe
from speaker.bgp.codec_open import unpack_open
from speaker.bgp.codec_update import UpdateDecoder
from speaker.bgp.fsm import Fsm
from speaker.bgp.fsm_alphabet import Event, Occurrence, Timer
from speaker.bgp.messages import (
    KEEPALIVE,
    ErrorCode,
    MessageType,
    Notification,
    OpenMessage,
    ProtocolError,
    RouteRefresh,
    UpdateMessage,
    pack_notification,
    unpack_notification,
    unpack_route_refresh,
)
from speaker.bgp.negotiation import Negotiated, check_open, negotiate
from speaker.bgp.reasons import (
    cannot_connect,
    is_collision,
    no_answer,
    no_open,
    notification_received,
    plain_reason,
    with_notification_sent,
)
from speaker.bgp.sockopts import prepare, set_md5
from speaker.bgp.timers import Timers
from speaker.bgp.transport import Slice, Transport
from speaker.model.peer import Peer, SessionState
from speaker.sockets import address_of, socket_address, socket_family

SEND_HOLD_SECONDS = 480.0
"""RFC 9687 §5: "the greater of 8 minutes or 2 times the negotiated Hold Time"."""

OPEN_SECONDS = 5.0
"""After how long a missing OPEN is told; the HoldTimer gives it four minutes (RFC 4271 §8.2.2)."""


class Owner(Protocol):
    """The session that a connection belongs to.

    Attributes:
        peer: the configuration; some of it changes under a running session.
        served: how many TCP connections of the peer have not ended yet.
    """

    peer: Peer
    served: int

    @property
    def connect_retry_seconds(self) -> float:
        """How long an attempt to connect, or the pause after it, may take now."""

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Runs `work` until it ends or is cancelled; its exceptions end the process."""

    def serve(self, transport: Transport) -> None:
        """Runs a TCP connection until it has ended."""

    def open_socket(self, family: socket.AddressFamily) -> socket.socket:
        """A TCP socket toward the peer."""

    def open_message(self) -> bytes:
        """Our OPEN, ready for the wire."""

    def stalled(self, reason: str) -> None:
        """Nothing has changed for a while that should have."""

    def update_received(self, update: UpdateMessage) -> None:
        """The peer sent routes."""

    def refresh_received(self, message: RouteRefresh) -> None:
        """The peer asks for all routes again, or begins or ends to send its own."""

    def next_slice(self) -> Slice | None:
        """UPDATEs to write."""


class Siblings(Protocol):
    """The connections of the same session."""

    def loses_collision(self, connection: "Connection", message: OpenMessage) -> bool:
        """Whether another connection of the peer goes on in place of this one (RFC 4271 §6.8)."""

    def moved(self, connection: "Connection", new: SessionState, ending: "Ending | None") -> None:
        """A transition is done; `ending` says how a connection or an attempt ended, if one did."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a connection ended.

    Attributes:
        reason: one sentence for people, or "".
        lets_peer_restart: the routes of the peer may be kept for its restart time (RFC 4724, RFC 8538).
    """

    reason: str = ""
    lets_peer_restart: bool = False


class Connection:
    """A machine with what it drives.

    Args:
        owner: the session.
        siblings: all its connections, this one included.
        fsm: the machine, in the state where it starts.
    """

    def __init__(self, owner: Owner, siblings: Siblings, fsm: Fsm) -> None:
        self.incoming = False
        self.negotiated: Negotiated | None = None
        self._owner = owner
        self._siblings = siblings
        self._fsm = fsm
        self._timers = Timers(self._timer_expired)
        self._timers_task = owner.spawn(self._timers.run())
        self._dialling: asyncio.Task[None] | None = None
        self._patience: asyncio.TimerHandle | None = None
        self._socket: socket.socket | None = None
        self._transport: Transport | None = None
        self._decoder: UpdateDecoder | None = None
        self._occurrences: deque[Occurrence] = deque()
        self._handling = False

    @property
    def state(self) -> SessionState:
        """The state of the machine."""
        return self._fsm.state

    @property
    def _peer(self) -> Peer:
        return self._owner.peer

    @property
    def connect_retry_counter(self) -> int:
        """How many attempts have failed in a row."""
        return self._fsm.connect_retry_counter

    @property
    def is_flushed(self) -> bool:
        """Whether the peer's TCP has acknowledged all that was written."""
        return self._transport is None or self._transport.is_flushed

    def accept(self, sock: socket.socket) -> None:
        """Takes over a connection that the peer has made."""
        self.incoming = True
        self._adopt(sock)
        self.handle(Occurrence(event=Event.TCP_CONNECTION_CONFIRMED))

    def kick(self) -> None:
        """Says that there may be UPDATEs to write."""
        if self._transport is not None:
            self._transport.kick()

    def dispose(self) -> None:
        """Lets go of the machine; its TCP connection ends by itself."""
        self._timers_task.cancel()
        self._disconnect()

    def handle(self, occurrence: Occurrence) -> None:
        """Feeds the machine and does what it orders; what that causes is handled after it, in order."""
        self._occurrences.append(occurrence)
        if self._handling:
            return
        self._handling = True
        try:
            while self._occurrences:
                self._transition(self._occurrences.popleft())
        finally:
            self._handling = False

    def _transition(self, occurrence: Occurrence) -> None:
        old = self._fsm.state
        reason = occurrence.reason or plain_reason(occurrence.event, old, self._peer)
        # What needs no new session may have changed since the last transition.
        self._fsm.passive = self._peer.passive
        self._fsm.keepalive_seconds = self._peer.keepalive_seconds
        self._fsm.connect_retry_seconds = self._owner.connect_retry_seconds
        actions = self._fsm.handle(occurrence)
        ending = None
        if machine.Disconnect() in actions:
            sent = [each.notification for each in actions if isinstance(each, machine.SendNotification)]
            if sent and occurrence.event is not Event.OPEN_COLLISION_DUMP:
                reason = with_notification_sent(reason, sent[0])
            ending = Ending(reason, self._lets_peer_restart(occurrence, sent))
        for action in actions:
            self._perform(action)
        if ending is not None or self._fsm.state is not old:
            self._siblings.moved(self, self._fsm.state, ending)

    def _lets_peer_restart(self, occurrence: Occurrence, sent: Sequence[Notification]) -> bool:
        """RFC 4724 §4.2: the end of TCP is a restart, a NOTIFICATION is none unless RFC 8538 says so."""
        if occurrence.event is Event.TCP_CONNECTION_FAILS or occurrence.silent:
            return True
        if self.negotiated is None or not self.negotiated.facts.notification_restart:
            return False
        received = occurrence.received
        return not any(each.is_hard_reset for each in (*sent, *(() if received is None else (received,))))

    def _perform(self, action: machine.Action) -> None:
        match action:
            case machine.Dial():
                self._dialling = self._owner.spawn(self._dial())
            case machine.SendOpen():
                self.send(self._owner.open_message())
            case machine.SendKeepalive():
                self.send(KEEPALIVE)
            case machine.SendNotification(notification):
                self.send(pack_notification(notification))
            case machine.Disconnect():
                self._disconnect()
            case machine.StartTimer():
                self._timers.start(action)
            case machine.StopTimer(timer):
                self._timers.stop(timer)

    def send(self, message: bytes) -> None:
        """Queues a control message, ahead of all UPDATEs not yet begun."""
        if self._transport is not None:
            self._transport.send(message)

    def _disconnect(self) -> None:
        if self._dialling is not None and self._dialling is not asyncio.current_task():
            self._dialling.cancel()
        self._dialling = None
        if self._patience is not None:
            self._patience.cancel()
        if self._transport is not None:
            self._transport.close()
        self._transport = self._socket = self._decoder = self.negotiated = None

    def _timer_expired(self, timer: Timer) -> None:
        self.handle(Occurrence(event=machine.EXPIRY[timer]))

    # -- connecting --------------------------------------------------------------------------------

    async def _dial(self) -> None:
        sock: socket.socket | None = None
        try:
            sock = self._prepared_socket()
            await asyncio.get_running_loop().sock_connect(
                sock, socket_address(self._peer.address, self._peer.port)
            )
        except OSError as error:
            if sock is not None:
                sock.close()
            reason = (
                no_answer(self._peer)
                if isinstance(error, TimeoutError)
                else cannot_connect(self._peer, error)
            )
            self.handle(Occurrence(event=Event.TCP_CONNECTION_FAILS, reason=reason))
        except asyncio.CancelledError:
            if sock is not None:
                sock.close()
            raise
        else:
            self.incoming = False
            self._adopt(sock)
            self.handle(Occurrence(event=Event.TCP_CR_ACKED))

    def _prepared_socket(self) -> socket.socket:
        sock = self._owner.open_socket(socket_family(self._peer.address))
        try:
            sock.setblocking(False)
            prepare(sock, self._peer)
            if self._peer.password is not None:
                set_md5(sock, self._peer.address, self._peer.password)
            if self._peer.source is not None:
                sock.bind(socket_address(self._peer.source, 0))
        except OSError:
            sock.close()
            raise
        return sock

    def _adopt(self, sock: socket.socket) -> None:
        self._dialling = None
        self._socket = sock
        self._transport = Transport(sock, self)
        self._transport.send_hold_seconds = SEND_HOLD_SECONDS
        self._owner.serve(self._transport)
        self._patience = asyncio.get_running_loop().call_later(OPEN_SECONDS, self._open_missing)

    def _open_missing(self) -> None:
        if self.state is SessionState.OPEN_SENT:
            self._owner.stalled(no_open(self._peer, OPEN_SECONDS))

    # -- what the transport reports ----------------------------------------------------------------

    def message_received(self, kind: MessageType, body: bytes) -> None:
        """A message with a proper header."""
        match kind:
            case MessageType.OPEN:
                self._open_received(body)
            case MessageType.UPDATE:
                self._update_received(body)
            case MessageType.NOTIFICATION:
                self._notification_received(unpack_notification(body))
            case MessageType.KEEPALIVE:
                self.handle(Occurrence(event=Event.KEEPALIVE_MSG))
            case MessageType.ROUTE_REFRESH:
                self._refresh_received(body)

    def header_broken(self, error: ProtocolError) -> None:
        """A header that is not proper (Event 21)."""
        self._reject(Event.BGP_HEADER_ERR, error)

    def connection_lost(self, reason: str) -> None:
        """The TCP connection ended, and not by us (Event 18)."""
        if self.state is SessionState.OPEN_SENT:
            reason += " before its OPEN (it may not be configured for our address, or not be ready yet)"
        self.handle(Occurrence(event=Event.TCP_CONNECTION_FAILS, reason=reason))

    def send_hold_expired(self) -> None:
        """The peer has taken nothing for the send hold time (RFC 9687 §4)."""
        notification = Notification(ErrorCode.SEND_HOLD_TIMER_EXPIRED)
        error = ProtocolError(notification, "peer has not read what we send for the send hold time")
        self._reject(Event.SEND_HOLD_TIMER_EXPIRES, error)

    def next_slice(self) -> Slice | None:
        """UPDATEs to write, once the session is established."""
        return self._owner.next_slice() if self.state is SessionState.ESTABLISHED else None

    def _reject(self, event: Event, error: ProtocolError) -> None:
        self.handle(Occurrence(event=event, notification=error.notification, reason=str(error)))

    def _open_received(self, body: bytes) -> None:
        if self.state is not SessionState.OPEN_SENT or self._socket is None:
            self.handle(Occurrence(event=Event.BGP_OPEN))
            return
        try:
            message = unpack_open(body)
            check_open(self._peer, message)
            self._decoder = UpdateDecoder(self._peer, body)
        except ProtocolError as error:
            self._reject(Event.BGP_OPEN_MSG_ERR, error)
            return
        if self._siblings.loses_collision(self, message):
            self.handle(Occurrence(event=Event.OPEN_COLLISION_DUMP))
            return
        local_address = address_of(self._socket.getsockname())
        self.negotiated = negotiate(self._peer, message, local_address, describe(body))
        hold_time = self.negotiated.facts.hold_time_seconds
        if self._transport is not None:
            self._transport.send_hold_seconds = max(SEND_HOLD_SECONDS, 2.0 * hold_time)
            self._transport.accept_messages_of(self.negotiated.max_received, self._decoder.paths)
        self.handle(Occurrence(event=Event.BGP_OPEN, hold_time_seconds=hold_time))

    def _update_received(self, body: bytes) -> None:
        if self.state is not SessionState.ESTABLISHED or self._decoder is None:
            self.handle(Occurrence(event=Event.UPDATE_MSG))
            return
        try:
            update = self._decoder.unpack_update(body, self._peer)
        except ProtocolError as error:
            self._reject(Event.UPDATE_MSG_ERR, error)
            return
        self.handle(Occurrence(event=Event.UPDATE_MSG))
        self._owner.update_received(update)

    def _notification_received(self, notification: Notification) -> None:
        # Event 24 is the version error, which is not counted as an oscillation.
        is_version = (notification.code, notification.subcode) == (ErrorCode.OPEN_MESSAGE, 1)
        event = Event.NOTIF_MSG_VER_ERR if is_version else Event.NOTIF_MSG
        # Losing a collision is how two connections become one, and no failure.
        reason = "" if is_collision(notification) else notification_received(notification)
        self.handle(Occurrence(event=event, received=notification, reason=reason))

    def _refresh_received(self, body: bytes) -> None:
        enhanced = self.negotiated is not None and self.negotiated.facts.enhanced_route_refresh
        message = None
        if self.state is SessionState.ESTABLISHED:
            try:
                message = unpack_route_refresh(body, enhanced=enhanced)
            except ProtocolError as error:
                self._reject(Event.BGP_HEADER_ERR, error)
                return
        self.handle(Occurrence(event=Event.ROUTE_REFRESH_MSG))
        if message is not None:
            self._owner.refresh_received(message)

"""The connections of one session: normally one, two while both sides dial at once (RFC 4271 §6.8).

Each has a state machine of its own, as §8.2.1 has it: "a connection collision [...] creates a second state
machine", until collision detection or the peer ends one of them. To the session they are one.

Knows collisions and restarts of the peer. Must not know routes, nor what an OPEN has to hold.
"""

import socket
from collections.abc import Callable

from speaker.bgp.connection import Connection, Ending, Owner
from speaker.bgp.fsm import LARGE_HOLD_SECONDS, Fsm
from speaker.bgp.fsm_alphabet import Event, Occurrence
from speaker.bgp.messages import OpenMessage
from speaker.model.peer import SessionState

MOST_CONNECTIONS = 8
"""How many TCP connections a peer may have here at once, those that are just ending included."""

# The states of a machine whose connection has ended.
_OVER = (SessionState.IDLE, SessionState.ACTIVE)
# The states of a machine that has no connection yet.
_WITHOUT_CONNECTION = (SessionState.IDLE, SessionState.CONNECT, SessionState.ACTIVE)


class Connections:
    """The connections of a session.

    Args:
        owner: the session.
        on_moved: hears what the machine that counts does; a rival's doings are none until it wins.
        on_failed: hears why a rival ended.
        open_seconds: how long the peer may take to send its OPEN.
    """

    def __init__(
        self,
        owner: Owner,
        *,
        on_moved: Callable[[Connection, SessionState, Ending], None],
        on_failed: Callable[[str], None],
        open_seconds: float = LARGE_HOLD_SECONDS,
    ) -> None:
        self._owner = owner
        self._on_moved = on_moved
        self._on_failed = on_failed
        self._open_seconds = open_seconds
        self._main: Connection | None = None
        self._rival: Connection | None = None

    # -- what the session asks -------------------------------------------------------------------------

    @property
    def running(self) -> bool:
        """Whether there is a machine at all."""
        return self._main is not None

    @property
    def connected(self) -> bool:
        """Whether there is a TCP connection with the peer."""
        return self._main is not None and self._main.state not in _WITHOUT_CONNECTION

    @property
    def is_flushed(self) -> bool:
        """Whether the peer's TCP has acknowledged all that was written."""
        return self._main is None or self._main.is_flushed

    def start(self) -> None:
        """Begins to dial, or to wait for the peer."""
        if self._main is None:
            self._main = self._connection(SessionState.IDLE)
            self._main.handle(Occurrence(event=Event.MANUAL_START))

    def kick(self) -> None:
        """Says that there may be UPDATEs to write."""
        if self._main is not None:
            self._main.kick()

    def send(self, message: bytes) -> None:
        """Sends a control message on the established session."""
        if self._main is not None and self._main.state is SessionState.ESTABLISHED:
            self._main.send(message)

    def reset(self, occurrence: Occurrence) -> None:
        """Ends the session; the machine begins anew by itself."""
        if self._main is not None:
            self._drop_rival()
            self._main.handle(occurrence)

    def stop(self, occurrence: Occurrence) -> None:
        """Ends everything; nothing begins by itself any more."""
        for connection in filter(None, (self._rival, self._main)):
            connection.handle(occurrence)
            connection.dispose()
        self._main = self._rival = None

    def accept(self, sock: socket.socket, *, peer_may_restart: bool) -> bool:
        """Takes a connection that the peer has made.

        Args:
            sock: the connection.
            peer_may_restart: a new connection, while one is Established, means that the peer has restarted:
                RFC 4724 §4.2 has the old one closed without a NOTIFICATION, and the session goes on over
                the new one.

        Returns:
            False when it is not welcome now.
        """
        main = self._main
        if main is None or main.state is SessionState.IDLE or self._owner.served >= MOST_CONNECTIONS:
            # "In this state, BGP FSM refuses all incoming BGP connections for this peer." (§8.2.2)
            return False
        if main.state is SessionState.ESTABLISHED and peer_may_restart:
            reason = "peer opened a new connection: it has restarted"
            main.handle(Occurrence(event=Event.TCP_CONNECTION_FAILS, reason=reason))
            main.dispose()
            main = self._main = self._connection(SessionState.ACTIVE)
        if main.state is SessionState.ACTIVE:
            main.accept(sock)
            return True
        self._drop_rival()
        self._rival = self._connection(SessionState.ACTIVE)
        self._rival.accept(sock)
        return True

    def _connection(self, state: SessionState) -> Connection:
        machine = Fsm(
            open_seconds=self._open_seconds,
            state=state,
            connect_retry_counter=0 if self._main is None else self._main.connect_retry_counter,
        )
        return Connection(self._owner, self, machine)

    # -- what a connection asks ------------------------------------------------------------------------

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
        peer = self._owner.peer
        ours = (int(peer.router_id), peer.local_asn)
        theirs = (int(message.router_id), message.asn)
        if connection.incoming == (ours > theirs):
            return True
        self._dump(other)
        return False

    def moved(self, connection: Connection, new: SessionState, ending: Ending | None) -> None:
        """A machine has made a transition."""
        if connection is self._rival:
            self._rival_moved(connection, new, ending or Ending())
        elif connection is self._main:
            self._main_moved(connection, new, ending or Ending())

    def _rival_moved(self, rival: Connection, new: SessionState, ending: Ending) -> None:
        if new is SessionState.ESTABLISHED and self._main is not None:
            self._dump(self._main)
            self._on_moved(rival, new, ending)
        elif new in _OVER:
            self._rival = None
            rival.dispose()
            self._on_failed(ending.reason)

    def _main_moved(self, main: Connection, new: SessionState, ending: Ending) -> None:
        if new is SessionState.ESTABLISHED:
            self._drop_rival()
        elif new in _OVER and self._rival is not None:
            # The peer chose the other connection (§6.8), or this attempt just failed: either way the
            # other one is the session now.
            self._main, self._rival = self._rival, None
            main.dispose()
            new = self._main.state
        self._on_moved(main, new, ending)

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

"""All BFD sessions against the configured peers: BFD as the daemon sees it.

Knows which peers have BFD, and which session a packet belongs to. Must not know states or timers. It does
not log: what a stranger can cause, at any rate, is a number.

Supported standards: RFC 5881 (single hop, UDP 3784, TTL 255), RFC 5883 (multihop, UDP 4784).
"""

import asyncio
import random
import socket
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence

from speaker.bfd.events import BfdEvent, BfdStatus
from speaker.bfd.packet import MANDATORY_LENGTH, Discard
from speaker.bfd.path import SINGLE_HOP_TTL, OpenSocket, Path, path_to, udp_socket
from speaker.bfd.receiver import Source, source_key
from speaker.bfd.reception import Reception
from speaker.bfd.session import Session, Surroundings
from speaker.clock import Clock, SystemClock
from speaker.model.peer import BfdTimers, Peer
from speaker.model.prefix import Address
from speaker.sockets import socket_address, socket_family

_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 30.0


class BfdSessions:
    """All sessions; they live inside `run`.

    Args:
        on_event: called on the event loop, in order, by `run`; what it raises ends `run`. It may call
            `set_peers`.
        open_socket: makes UDP sockets of a family, for sending and receiving.
        on_problem: told once when a port for receiving cannot be had, and once with "" when all can; one
            sentence. Sessions wait meanwhile, and nothing else does.
        listen_addresses: where to receive; none means every address.
        clock: dates what is shown to people.
    """

    def __init__(
        self,
        *,
        on_event: Callable[[BfdEvent], None],
        open_socket: OpenSocket = udp_socket,
        on_problem: Callable[[str], None] = lambda _problem: None,
        listen_addresses: tuple[Address, ...] = (),
        clock: Clock | None = None,
    ) -> None:
        self._on_event = on_event
        self._on_problem = on_problem
        self._reception = Reception(
            listen_addresses,
            open_socket,
            single_hop=self._deliver_single_hop,
            multihop=self._deliver_multihop,
        )
        self._around = Surroundings(
            open_socket=open_socket,
            emit=self._emit,
            is_behind=self._reception.is_behind,
            clock=clock or SystemClock(),
        )
        self._wanted: dict[str, tuple[Path, BfdTimers]] = {}
        self._sessions: dict[str, Session] = {}
        self._leaving: dict[Session, asyncio.TimerHandle] = {}
        self._by_discriminator: dict[int, Session] = {}
        self._by_source: dict[Source, Session] = {}
        self._discards: Counter[Discard] = Counter()
        self._events: deque[BfdEvent] = deque()
        self._wake = asyncio.Event()
        self._retry: asyncio.TimerHandle | None = None
        self._retry_due = False
        self._pause = _FIRST_PAUSE_SECONDS
        self._running = False
        self._told = ""

    # -- configuration -----------------------------------------------------------------------------

    def set_peers(self, peers: Sequence[Peer]) -> None:
        """Adds, changes and removes sessions, one at a time; the others do not notice.

        Peers without `bfd` have none. Other timers are negotiated in the running session; another
        address, source or interface begins a new one. A peer that is gone is told AdminDown.
        """
        self._wanted = {peer.name: (path_to(peer), peer.bfd) for peer in peers if peer.bfd is not None}
        if self._running:
            self._apply()

    def _apply(self) -> None:
        for name, session in list(self._sessions.items()):
            wanted = self._wanted.get(name)
            if wanted is None or wanted[0] != session.path:
                self._remove(self._sessions.pop(name))
        fresh = [
            self._add(name, path, timers)
            for name, (path, timers) in self._wanted.items()
            if name not in self._sessions
        ]
        self._receive()
        for session in fresh:
            session.start()
        for name, session in self._sessions.items():
            if session.timers != (timers := self._wanted[name][1]):
                session.configure(timers)
        self._wake.set()

    def _add(self, name: str, path: Path, timers: BfdTimers) -> Session:
        for old in [each for each in self._leaving if each.path.address == path.address]:
            # Two voices toward one peer would contradict each other.
            self._let_go(old)
        session = Session(name, path, timers, self._new_discriminator(), self._around)
        self._sessions[name] = self._by_discriminator[session.discriminator] = session
        return session

    def _receive(self) -> None:
        """Opens the sockets that are needed now, as far as they can be had."""
        self._reception.open(session.path for session in self._sessions.values())
        self._index()

    def _index(self) -> None:
        """Brings what finds a session by its peer's address up to date."""
        self._by_source.clear()
        for session in self._sessions.values():
            session.source_key = _key_of(session.path.address)
            if session.source_key is not None:
                self._by_source.setdefault(session.source_key, session)
        self._reception.admit([session.path.address for session in self._sessions.values()])

    def _new_discriminator(self) -> int:
        """Unique here and not zero; drawn by lot, so that it is another one after a restart (§6.8.1)."""
        source = random.SystemRandom()
        while (drawn := source.randint(1, 0xFFFFFFFF)) in self._by_discriminator:
            pass
        return drawn

    def _remove(self, session: Session) -> None:
        del self._by_discriminator[session.discriminator]
        seconds = session.leave()
        loop = asyncio.get_running_loop()
        self._leaving[session] = loop.call_later(seconds, self._let_go, session)

    def _let_go(self, session: Session) -> None:
        self._leaving.pop(session).cancel()
        session.close()

    # -- running -----------------------------------------------------------------------------------

    async def run(self) -> None:
        """Holds the sessions until cancelled; then they fall silent, and no peer is told AdminDown.

        A speaker that is being replaced must not say that its BFD was turned off: the peer's BGP would
        lose what tells it of the node's death.
        """
        self._running = True
        try:
            self._apply()
            while True:
                self._wake.clear()
                self._tell()
                self._plan_retry()
                await self._wake.wait()
                if self._retry_due:
                    self._retry_due = False
                    self._receive()
        finally:
            self._running = False
            self._close()

    def _plan_retry(self) -> None:
        if not self.problem:
            self._pause = _FIRST_PAUSE_SECONDS
        elif self._retry is None:
            self._retry = asyncio.get_running_loop().call_later(self._pause, self._try_again)
            self._pause = min(2 * self._pause, _LONGEST_PAUSE_SECONDS)

    def _try_again(self) -> None:
        self._retry = None
        self._retry_due = True
        self._wake.set()

    def _tell(self) -> None:
        while self._events:
            self._on_event(self._events.popleft())
        if (problem := self.problem) != self._told:
            self._told = problem
            self._on_problem(problem)

    def _emit(self, event: BfdEvent) -> None:
        self._events.append(event)
        self._wake.set()

    def _close(self) -> None:
        for session in (*self._sessions.values(), *self._leaving):
            session.close()
        for timer in (*self._leaving.values(), self._retry):
            if timer is not None:
                timer.cancel()
        self._retry = None
        self._reception.close()
        for registry in (self._sessions, self._leaving, self._by_discriminator, self._by_source):
            registry.clear()
        self._events.clear()

    # -- receiving ---------------------------------------------------------------------------------

    def _deliver_single_hop(self, data: bytes, source: Source, ttl: int) -> None:
        session = self._session_of(data, source)
        if session is None:
            return
        # "all received BFD Control packets that are demultiplexed to the session MUST be discarded if the
        # received TTL or Hop Limit is not equal to 255" (RFC 5881 §5)
        if ttl != SINGLE_HOP_TTL:
            session.discards[Discard.TTL] += 1
        elif session.multihop and not session.follow(multihop=False):
            session.discards[Discard.PORT] += 1
        else:
            session.receive(data)

    def _deliver_multihop(self, data: bytes, source: Source, _ttl: int) -> None:
        session = self._session_of(data, source)
        if session is None:
            return
        if not session.multihop and not session.follow(multihop=True):
            session.discards[Discard.PORT] += 1
        else:
            session.receive(data)

    def _session_of(self, data: bytes, source: Source) -> Session | None:
        """Whose packet it is: by Your Discriminator; if that is zero, by source (RFC 5880 §6.8.6)."""
        yours = data[8:12]
        if yours == _ZERO or len(data) < MANDATORY_LENGTH:
            session, otherwise = self._by_source.get(source), Discard.STRANGER
        else:
            session = self._by_discriminator.get(int.from_bytes(yours))
            otherwise = Discard.UNKNOWN_DISCRIMINATOR
        if session is not None and session.source_key == source:
            return session
        if session is not None:
            otherwise = Discard.SOURCE
        self._discards[otherwise] += 1
        if source[1]:
            # The interface of a link-local peer may have come, or come back with another number.
            self._rekey(source)
        return None

    def _rekey(self, source: Source) -> None:
        for session in self._sessions.values():
            address = session.path.address
            if address.is_link_local and _printed(address) == source[0] and _key_of(address) == source:
                self._index()
                return

    # -- showing -----------------------------------------------------------------------------------

    def statuses(self) -> Mapping[str, BfdStatus]:
        """Every session as it stands, by `Peer.name`; none while `run` does not."""
        return {name: session.status() for name, session in self._sessions.items()}

    @property
    def problem(self) -> str:
        """Why BFD cannot be received, one sentence, or ""."""
        return self._reception.problem

    @property
    def discards(self) -> Mapping[Discard, int]:
        """Packets that belonged to no session, by reason; only reasons that occurred."""
        return dict(self._discards)

    @property
    def dropped(self) -> int:
        """Packets that the kernel dropped before they were read: strangers', and those it had no room for."""
        return self._reception.dropped


_ZERO = b"\0\0\0\0"


def _key_of(address: Address) -> Source | None:
    """The address as a source of packets; None when its interface is not there."""
    try:
        name = socket_address(address, 0)
    except OSError:
        return None
    return source_key((_printed(address), *name[1:]))


def _printed(address: Address) -> str:
    """The address in the kernel's spelling."""
    return socket.inet_ntop(socket_family(address), address.packed)

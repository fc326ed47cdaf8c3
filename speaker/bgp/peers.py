"""The set of configured peers against the running sessions: the engine as the daemon sees it.

Knows which peers there are and when they may begin, speak and stop. Must not know messages or states.
"""

import asyncio
import socket
from collections.abc import Callable, Collection, Coroutine, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from speaker.bgp.events import SessionEvent
from speaker.bgp.listening import Listening
from speaker.bgp.messages import Cease, ErrorCode, Notification, shutdown_communication
from speaker.bgp.ranges import Ranges
from speaker.bgp.session import Session
from speaker.bgp.sockopts import prepare
from speaker.bgp.surroundings import Surroundings
from speaker.model.peer import Password, Peer, PeerRange, SessionStatus
from speaker.model.prefix import Address, Family, Prefix
from speaker.model.route import PathAttributes, Paths, PrefixPath, Route
from speaker.sockets import same_host

GRACEFUL_SHUTDOWN = 0xFFFF0000
"""The well-known community 65535:0 (RFC 8326 §5)."""

PEER_DECONFIGURED = Notification(ErrorCode.CEASE, Cease.PEER_DECONFIGURED)

_WRITE_SECONDS = 5.0
"""How long a stopping speaker waits for its withdrawals to be taken."""

_MOMENT_SECONDS = 0.2
"""What a peer gets to act on withdrawals before the session ends."""

_CLOSE_SECONDS = 2.5
"""How long connections may take to end; somewhat more than the transport's own patience."""

_PREFIXES_PER_SLICE = 2000


def tcp_socket(family: socket.AddressFamily) -> socket.socket:
    """A TCP socket in the network namespace of the process."""
    return socket.socket(family, socket.SOCK_STREAM)


class PeerSet:
    """All sessions.

    Args:
        on_event: called synchronously on the event loop, in order. It may call `update`: nothing is sent
            to a new session before it has returned. It must not call `set_peers` or `stop` itself.
        listen_port: None opens no listener.
        listen_addresses: none means every address of both families.
        started_at: when the process started (monotonic seconds): the first session to each peer within the
            restart time of it carries the R bit. None never sets it.
        forwarding_preserved: the F bit of each family; False when the node itself has just booted.
        open_socket: makes TCP sockets of a family, for dialling and listening.
        received_limit: how many received prefixes are kept of a peer without a limit of its own whose routes
            are not used; of one whose routes are used it is `surroundings.IMPORT_LIMIT`.
        holds_new_sessions: each new session waits for `routes_complete` before it sends anything.
    """

    def __init__(
        self,
        *,
        on_event: Callable[[SessionEvent], None],
        listen_port: int | None = None,
        listen_addresses: tuple[Address, ...] = (),
        started_at: float | None = None,
        forwarding_preserved: bool = True,
        open_socket: Callable[[socket.AddressFamily], socket.socket] = tcp_socket,
        received_limit: int = 10_000,
        holds_new_sessions: bool = False,
    ) -> None:
        self._around = Surroundings(
            spawn=self._spawn,
            open_socket=open_socket,
            on_event=on_event,
            started_at=started_at,
            forwarding_preserved=forwarding_preserved,
            received_limit=received_limit,
            holds_new_sessions=holds_new_sessions,
            holds_end_of_rib=lambda: self._end_of_rib_held,
        )
        self._listening = Listening(
            listen_port,
            listen_addresses,
            open_socket=open_socket,
            on_connection=self._connection_accepted,
            keys=self._keys,
        )
        self._sessions: dict[str, Session] = {}
        self._ranges = Ranges(self._around)
        self._tasks: asyncio.TaskGroup | None = None
        self._running: set[asyncio.Task[None]] = set()
        self._started: set[str] = set()
        self._start_all = False
        self._released = False
        self._end_of_rib_held = False
        self._stopping = False
        self._stopped = asyncio.Event()

    # -- configuration -----------------------------------------------------------------------------

    def set_peers(self, peers: Sequence[Peer]) -> None:
        """Adds, changes and removes peers, one at a time; the others do not notice.

        A changed peer keeps what it should hear. `changes.EFFECTS` says which changes its session survives;
        over the others graceful restart keeps the routes, where it is negotiated and both ASes stay, or
        the peer is a Node of the cluster.
        """
        wanted = {peer.name: peer for peer in peers}
        for name in [name for name in self._sessions if name not in wanted]:
            self._remove(self._sessions.pop(name))
        for peer in wanted.values():
            session = self._sessions.get(peer.name)
            if session is None:
                self._add(peer)
            elif session.peer != peer:
                self._change(session, peer)

    def set_ranges(self, ranges: Sequence[PeerRange]) -> None:
        """Takes peers from these prefixes, without each being configured, and from no others any more."""
        for each in self._ranges.configured:
            self._listening.set_password(each.prefix, None)
        self._ranges.configure(ranges)
        for each in ranges:
            self._listening.set_password(each.prefix, each.template.password)

    def listen(self, port: int | None, addresses: tuple[Address, ...] = ()) -> None:
        """Listens there from now on and nowhere else; established sessions do not notice.

        Args:
            port: None listens nowhere.
            addresses: none means every address of both families.

        Raises:
            HostError: the port cannot be had; the old one stays.
        """
        self._listening.change(port, addresses)

    def _add(self, peer: Peer) -> None:
        self._ranges.yield_to(peer)
        session = Session(peer, self._around, released=self._released)
        self._sessions[peer.name] = session
        self._listening.set_password(peer.address, peer.password)
        self._begin(session)

    def _change(self, session: Session, peer: Peer) -> None:
        if session.peer.address != peer.address:
            self._listening.set_password(session.peer.address, None)
            self._ranges.yield_to(peer)
        # Before the session goes, so that the peer finds the new key when it comes back.
        self._listening.set_password(peer.address, peer.password)
        session.change(peer)

    def _remove(self, session: Session) -> None:
        session.stop(PEER_DECONFIGURED, "the peer was removed from the configuration")
        self._listening.set_password(session.peer.address, None)

    def _keys(self) -> Iterator[tuple[Address | Prefix, Password | None]]:
        """What signs connections, of configured peers and of ranges."""
        for session in self._sessions.values():
            yield session.peer.address, session.peer.password
        for each in self._ranges.configured:
            yield each.prefix, each.template.password

    # -- beginning ---------------------------------------------------------------------------------

    def start(self, peers: Collection[str] | None = None) -> None:
        """Begins to dial and to listen; None means all peers, also those added later.

        Raises:
            HostError: the listening port cannot be had.
        """
        if peers is None:
            self._start_all = True
        else:
            self._started.update(peers)
        self._listening.open()
        self._begin_all()

    def _begin_all(self) -> None:
        if self._tasks is not None:
            self._listening.begin(self._spawn)
        for session in self._sessions.values():
            self._begin(session)

    def _begin(self, session: Session) -> None:
        if self._tasks is not None and (self._start_all or session.peer.name in self._started):
            session.start()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        if self._tasks is None:
            work.close()
            raise RuntimeError("sessions live inside PeerSet.run()")
        task = self._tasks.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def run(self) -> None:
        """Owns every task of every session until `stop`, or until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                self._begin_all()
                await self._stopped.wait()
                for task in self._running:
                    task.cancel()
        finally:
            self._tasks = None
            self._listening.close()

    def _connection_accepted(self, sock: socket.socket, address: Address) -> bool:
        session = next((s for s in self._sessions.values() if same_host(s.peer.address, address)), None)
        if session is None:
            session = self._ranges.session(address, released=self._released)
        if session is None:
            return False
        try:
            prepare(sock, session.peer)
        except OSError:
            return False
        return session.accept(sock)

    # -- routes ------------------------------------------------------------------------------------

    def _session(self, name: str) -> Session | None:
        return self._sessions.get(name) or self._ranges.sessions.get(name)

    def _all(self) -> list[Session]:
        return [*self._sessions.values(), *self._ranges.sessions.values()]

    def update(self, peer: str, changes: Mapping[Prefix, Paths | None]) -> None:
        """Changes what a peer should hear; the last writer wins for each prefix, None withdraws.

        Cheap: packing and writing happen on the event loop, in slices. A peer that is not configured
        any more is no error.
        """
        session = self._session(peer)
        if session is not None and not self._stopping:
            session.update(changes)

    def release(self) -> None:
        """The cluster is in sync: UPDATEs and End-of-RIB may flow. Before, nothing is sent."""
        self._released = True
        for session in self._all():
            session.release()

    def hold_end_of_rib(self, held: bool) -> None:  # noqa: FBT001 -- a setting and its value
        """While held, sessions say what they have to say and not that this was all.

        RFC 4724 §4.1 has a restarting speaker wait for its peers' End-of-RIB; a route reflector that told
        its own earlier would make its clients drop what it has not heard again yet.
        """
        self._end_of_rib_held = held
        if not held:
            for session in self._all():
                session.end_may_follow()

    def routes_complete(self, peer: str) -> None:
        """All that the peer's new session should hear has been handed over (`holds_new_sessions`)."""
        session = self._session(peer)
        if session is not None:
            session.routes_complete()

    def request_refresh(self, peer: str, family: Family) -> None:
        """Asks the peer for all its routes of a family again (RFC 2918); one that cannot is not asked."""
        session = self._session(peer)
        if session is not None:
            session.request_refresh(family)

    def bfd_down(self, peer: str, reason: str) -> None:
        """The path to the peer is dead: ends its session, and its routes with it; a new attempt follows."""
        session = self._session(peer)
        if session is not None and session.facts is not None:
            session.reset(Notification(ErrorCode.CEASE, Cease.BFD_DOWN), reason)

    def advertised(self, peer: str) -> Mapping[Prefix, Paths]:
        """What the transport of the present session took."""
        session = self._session(peer)
        return {} if session is None else session.rib_out.sent

    def received(self, peer: str) -> Mapping[PrefixPath, Route]:
        """What the peer has advertised, also what is kept of it while it restarts gracefully."""
        session = self._session(peer)
        return {} if session is None else session.received

    def sessions(self) -> Mapping[str, SessionStatus]:
        """Every session as it stands, by `Peer.name`; those of ranges come last."""
        return {session.peer.name: session.status() for session in self._all()}

    @property
    def range_peers(self) -> tuple[Peer, ...]:
        """The peers that belong to ranges and are here now."""
        return tuple(session.peer for session in self._ranges.sessions.values())

    @property
    def refused_connections(self) -> int:
        """How many incoming connections were closed at once: strangers', or unwelcome at that moment."""
        return self._listening.refused

    # -- stopping ----------------------------------------------------------------------------------

    async def stop(self, *, graceful_restart: bool, drain_seconds: float = 0.0, reason: str = "") -> None:
        """Ends all sessions, then `run`.

        Args:
            graceful_restart: close without a NOTIFICATION toward peers that keep the routes meanwhile;
                the others get Cease in any case. What was learned is not told as withdrawn. False withdraws
                everything first.
            drain_seconds: with withdrawal, how long everything is advertised with GRACEFUL_SHUTDOWN
                (RFC 8326) before.
            reason: told to the peers (RFC 9003).
        """
        self._stopping = True
        if not graceful_restart:
            await self._withdraw(drain_seconds)
        data = shutdown_communication(reason)
        cease = Notification(ErrorCode.CEASE, Cease.ADMINISTRATIVE_SHUTDOWN, data)
        for session in self._all():
            silent = graceful_restart and session.facts is not None and session.facts.peer_graceful_restart
            # Until it is back, or somebody else is, the kernel goes on with what was learned.
            session.stop(None if silent else cease, reason or "the speaker stops", returns=graceful_restart)
        self._listening.stop()
        if self._running:
            await asyncio.wait(tuple(self._running), timeout=_CLOSE_SECONDS)
        self._stopped.set()

    async def _withdraw(self, drain_seconds: float) -> None:
        established = [session for session in self._all() if session.facts is not None]
        if not established:
            return
        if drain_seconds > 0:
            for session in established:
                for chunk in _in_chunks(session.rib_out.desired):
                    session.update({prefix: _shutting_down(paths) for prefix, paths in chunk.items()})
                    await asyncio.sleep(0)
            await asyncio.sleep(drain_seconds)
        for session in established:
            for chunk in _in_chunks(session.rib_out.desired):
                session.update(dict.fromkeys(chunk))
                await asyncio.sleep(0)
        await _wait_flushed(established)
        await asyncio.sleep(_MOMENT_SECONDS)


def _in_chunks(routes: Mapping[Prefix, Paths]) -> Iterator[dict[Prefix, Paths]]:
    """The routes as they now are, a slice at a time."""
    items = iter(list(routes.items()))
    while chunk := dict(islice(items, _PREFIXES_PER_SLICE)):
        yield chunk


def _shutting_down(paths: Paths) -> Paths:
    """Routes as those that are about to go: RFC 8326 §4.2, and the least local preference inside the AS."""
    if isinstance(paths, Route):
        return _path_shutting_down(paths)
    return tuple(_path_shutting_down(path) for path in paths)


def _path_shutting_down(route: Route) -> Route:
    attributes: PathAttributes = replace(
        route.attributes,
        communities=tuple(sorted({*route.attributes.communities, GRACEFUL_SHUTDOWN})),
        local_preference=0,
    )
    return route._replace(attributes=attributes)


async def _wait_flushed(sessions: Sequence[Session]) -> None:
    """Waits until the peers' TCPs have acknowledged everything, for a bounded time."""
    deadline = asyncio.get_running_loop().time() + _WRITE_SECONDS
    while asyncio.get_running_loop().time() < deadline:
        waiting = [s for s in sessions if s.facts is not None and not s.is_flushed]
        if not waiting:
            return
        # The kernel gives no event for "everything is acknowledged".
        await asyncio.sleep(0.01)

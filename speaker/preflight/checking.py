"""Preflight as a whole: every peer in turn through all checks, several at a time.

Knows the order of the checks and what must not be touched: a peer with an established session, whether of
the running speaker or of anything else on this host, is not connected to. Must not know how results are
shown.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address

from speaker.bgp.capabilities import describe as describe_capabilities
from speaker.bgp.messages import ErrorCode
from speaker.bgp.sockopts import MAXIMUM_TTL
from speaker.errors import HostError
from speaker.model.peer import Peer
from speaker.model.prefix import Address, Prefix
from speaker.preflight.connections import Connected, established
from speaker.preflight.dialing import Dialer, OpenSocket, lift_ttl_limits
from speaker.preflight.exchange import Conversation, Opening, Trouble, hear, open_session
from speaker.preflight.findings import Check, Findings, PeerReport
from speaker.preflight.listening import Reception, ttl_of
from speaker.preflight.live import Running, ask_running, is_established, live_report
from speaker.preflight.opens import judge
from speaker.preflight.reach import Reach, tell_low_ttl, tell_ttl_check
from speaker.preflight.source import choose_source
from speaker.preflight.trial_route import TrialRoute

RETRANSMISSION_SECONDS = 1.0
"""TCP waits longer each time before it sends again: after some silence, as long again and this."""

AT_ONCE = 16
"""How many peers are checked at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to check.

    Attributes:
        timeout_seconds: how long to wait for each answer, and for a passive peer's connection.
        allowed_sources: the addresses that connections may come from; none of a family leaves it free.
        test_prefix: a host route to advertise and withdraw; None advertises nothing.
        retry_seconds: when to try again after the peer closed a connection without a word: GoBGP does so in
            the first 5 s after a session.
        settle_seconds: how long to watch a session after each UPDATE of the test.
        disruptive: connect to peers with an established session too.
        control_socket: where a running speaker answers; None asks nobody.
        listen_port: where passive peers connect to; None does not listen.
        listen_addresses: on which addresses; none means all.
        router_id_from_source: the router ID is the source address, where that is IPv4.
        open_socket: makes sockets of a family, kind and protocol.
    """

    timeout_seconds: float = 5.0
    allowed_sources: tuple[Address, ...] = ()
    test_prefix: Prefix | None = None
    retry_seconds: float = 5.5
    settle_seconds: float = 2.0
    disruptive: bool = False
    control_socket: str | None = None
    listen_port: int | None = None
    listen_addresses: tuple[Address, ...] = ()
    router_id_from_source: bool = False
    open_socket: OpenSocket = socket.socket


async def preflight(peers: Sequence[Peer], options: Options) -> tuple[PeerReport, ...]:
    """A report about each peer, in their order. Never raises for what a peer does."""
    running = await ask_running(options.control_socket)
    connected = await asyncio.to_thread(established, options.open_socket)
    limit = asyncio.Semaphore(AT_ONCE)

    async def one(peer: Peer, hall: "_Hall") -> PeerReport:
        async with limit:
            return await _Preflight(peer, options, hall).report(running, connected)

    waiting = [
        peer
        for peer in peers
        if peer.passive and (options.disruptive or not is_established(running.session(peer)))
    ]
    async with _open_hall(waiting, options) as hall:
        return tuple(await asyncio.gather(*(one(peer, hall) for peer in peers)))


@dataclass(frozen=True, slots=True)
class _Hall:
    """Where passive peers come in; `trouble` says why they cannot."""

    reception: Reception | None = None
    trouble: str = ""


@contextlib.asynccontextmanager
async def _open_hall(peers: Sequence[Peer], options: Options) -> AsyncIterator[_Hall]:
    if not peers or options.listen_port is None:
        yield _Hall(trouble="nothing listens for it: --passivemode or --listen-port is needed")
        return
    reception = Reception(options.listen_port, options.listen_addresses, peers, options.open_socket)
    try:
        reception.open()
    except HostError as error:
        yield _Hall(trouble=str(error))
        return
    try:
        yield _Hall(reception)
    finally:
        await reception.close()


class _Preflight:
    """All checks of one peer."""

    def __init__(self, peer: Peer, options: Options, hall: _Hall) -> None:
        self._peer = peer
        self._options = options
        self._hall = hall
        self._findings = Findings()
        self._opening = Opening()
        self._is_awaited = False

    async def report(self, running: Running, connected: Sequence[Connected]) -> PeerReport:
        session = running.session(self._peer)
        if session is not None and is_established(session) and not self._options.disruptive:
            return live_report(self._peer, session)
        if self._may_connect(running, connected):
            await self._check()
        body = self._opening.body
        return PeerReport(
            peer=self._peer,
            findings=self._findings.in_order(),
            capabilities=describe_capabilities(body) if body else (),
        )

    def _may_connect(self, running: Running, connected: Sequence[Connected]) -> bool:
        """Whether no session is at risk; tells what is known of one."""
        session = running.session(self._peer)
        if session is not None and not is_established(session):
            self._is_awaited = self._peer.passive
            error = session.get("last_error")
            self._findings.skipped(
                Check.SESSION,
                f"the running speaker's session is in state {session.get('state')}"
                + (f": {error}" if error else ""),
            )
        held = next((each for each in connected if _concerns(each, self._peer)), None)
        # The running speaker's own attempt may have a connection for a moment; there is no session to lose.
        if held is None or (session is not None and not is_established(session)):
            return True
        where = f"this host has a connection with it already, from {held.local} port {held.local_port}"
        if self._options.disruptive:
            self._findings.warned(Check.SESSION, f"{where}: the session on it may have been reset")
            return True
        self._findings.warned(
            Check.SESSION,
            f"{where}, and a second one would make BIRD and FRR end the session; nothing was sent",
            "name that speaker's --control-socket, or check with --disruptive",
        )
        return False

    async def _check(self) -> None:
        peer, options = self._peer, self._options
        source = choose_source(self._findings, peer, options.allowed_sources, options.open_socket)
        if source is None:
            return
        if options.allowed_sources:
            self._peer = replace(peer, source=source)
        if options.router_id_from_source and isinstance(source, IPv4Address):
            self._peer = replace(self._peer, router_id=source)
        if peer.passive:
            await self._receive()
        else:
            await self._dial()

    async def _dial(self) -> None:
        dialer = Dialer(self._peer, self._options.open_socket)
        reach = Reach(dialer, self._findings, self._options.timeout_seconds)
        attempt = await reach.connect()
        if attempt.sock is None:
            return
        conversation, opening = await self._open(attempt.sock)
        if _may_pass(opening) and not self._findings.has_failed:
            await conversation.leave()
            await asyncio.sleep(self._options.retry_seconds)
            again = await dialer.dial(self._options.timeout_seconds)
            if again.sock is not None:
                conversation, opening = await self._open(again.sock)
        await self._finish(conversation, opening)

    async def _open(self, sock: socket.socket) -> tuple[Conversation, Opening]:
        """Exchange OPENs over a connection."""
        conversation = Conversation(sock)
        seconds = self._options.timeout_seconds
        opening = await open_session(conversation, self._offer, seconds)
        if opening.trouble is Trouble.SILENT and self._ttl_may_hinder:
            # Routers look at the TTL only once the connection is their daemon's, after the handshake.
            conversation.relax_ttl()
            later = await hear(conversation, opening, seconds + RETRANSMISSION_SECONDS)
            if later.trouble is not Trouble.SILENT:
                opening = later
                self._tell_ttl()
        return conversation, opening

    @property
    def _ttl_may_hinder(self) -> bool:
        return self._peer.sending_ttl < MAXIMUM_TTL or self._peer.ttl_security_hops is not None

    def _tell_ttl(self) -> None:
        """Tell that only without the configured TTL the peer was heard, or heard us."""
        tell = tell_ttl_check if self._peer.ttl_security_hops is None else tell_low_ttl
        tell(self._findings, self._peer)

    async def _receive(self) -> None:
        """Wait for a passive peer."""
        reception, seconds = self._hall.reception, self._options.timeout_seconds
        if reception is None and self._is_awaited:
            self._findings.warned(Check.TCP, "the running speaker waits for it, and it has not connected yet")
            return
        if reception is None:
            self._findings.failed(Check.TCP, self._hall.trouble, "free the port, or choose another")
            return
        sock = await reception.connection(self._peer, seconds)
        if sock is None:
            strangers = reception.strangers
            self._findings.failed(
                Check.TCP,
                f"the peer did not connect within {seconds:g} s"
                + (f"; {strangers} connections came from addresses that nobody awaits" if strangers else ""),
                "have the router connect to this node's address, with the same password (another one looks"
                " like this too); FRR waits up to 120 s between attempts, so try a longer --timeout",
            )
            return
        self._tell_arrival(sock)
        conversation, opening = await self._open(sock)
        if _may_pass(opening):
            # A router whose own patience ended while it connected comes again.
            await conversation.leave()
            another = await reception.connection(self._peer, seconds)
            if another is not None:
                conversation, opening = await self._open(another)
        await self._finish(conversation, opening)

    def _tell_arrival(self, sock: socket.socket) -> None:
        peer, ttl = self._peer, ttl_of(sock)
        self._findings.passed(Check.TCP, f"the peer connected to port {self._options.listen_port}")
        lowest = 0 if peer.ttl_security_hops is None else MAXIMUM_TTL + 1 - peer.ttl_security_hops
        if ttl is None:
            self._findings.skipped(Check.TTL, "unknown: the kernel does not tell with which TTL it came")
        elif ttl < lowest:
            self._findings.failed(
                Check.TTL,
                f"the peer's packets arrive with TTL {ttl}, and TTL security asks for {lowest}",
                "configure TTL security at the router for this node, or correct the hops here",
            )
            with contextlib.suppress(OSError):
                # What else is wrong can be heard all the same.
                lift_ttl_limits(sock)
        else:
            self._findings.passed(Check.TTL, f"the peer's packets arrive with TTL {ttl}")
        signed = "both sides sign with the same password" if peer.password else "no password on either side"
        self._findings.passed(Check.MD5, signed)

    @property
    def _offer(self) -> Peer:
        """What to offer: as configured, but for the test prefix in the plainest encoding."""
        if self._options.test_prefix is None:
            return self._peer
        return replace(self._peer, add_path_send=False, add_path_receive=False, extended_messages=False)

    async def _finish(self, conversation: Conversation, opening: Opening) -> None:
        """Tell what the OPENs mean, try the test prefix, and end the conversation."""
        self._opening = opening
        try:
            judge(self._findings, self._peer, opening)
            if self._options.test_prefix is not None:
                await self._try_prefix(conversation, opening, self._options.test_prefix)
        finally:
            heard = await conversation.leave()
            # A router that looks at the TTL may have taken our OPEN before it began to.
            if not heard and opening.accepted and self._ttl_may_hinder:
                self._tell_ttl()

    async def _try_prefix(self, conversation: Conversation, opening: Opening, prefix: Prefix) -> None:
        local = conversation.local_address
        if local is None or self._findings.has_failed:
            self._findings.skipped(Check.TEST_PREFIX, "not advertised, since other checks failed")
            return
        trial = TrialRoute(self._offer, prefix, local, self._options.settle_seconds)
        await trial.run(conversation, opening, self._findings)


def _may_pass(opening: Opening) -> bool:
    """Whether what the peer did may be a matter of the moment.

    It closed the connection without a word, or was in a state in which it takes no OPEN.
    """
    if opening.notification is not None:
        return opening.notification.code == ErrorCode.FINITE_STATE_MACHINE
    return opening.trouble is Trouble.CLOSED and not opening.body


def _concerns(connection: Connected, peer: Peer) -> bool:
    """Whether it may carry a session with the peer: the kernel tells link-local addresses without scope."""
    ports = (connection.remote_port, connection.local_port)
    return int(connection.remote) == int(peer.address) and peer.port in ports

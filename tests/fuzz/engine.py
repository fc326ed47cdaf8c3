"""The whole engine without a network: one configured peer, whose bytes are the test's.

Knows how a `PeerSet` is built and how a peer gets to each state. Must not judge what it answers.
"""

import asyncio
import socket
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, ip_network
from typing import cast

from speaker.bgp import PeerSet, SessionEvent
from speaker.model.peer import GracefulRestart, Peer, Role, SessionState
from speaker.model.prefix import Family
from speaker.model.route import PathAttributes, Route
from tests.fuzz import wire
from tests.fuzz.idle_loop import FakeListener, FakeSocket, IdleLoop, close_loop

LOCAL, REMOTE = IPv4Address("192.0.2.9"), IPv4Address("192.0.2.1")
OUR_AS, THEIR_AS = 65000, 65030
RECEIVED_LIMIT = 64
_REST_SECONDS = 10_000.0
"""Longer than every pause and every restart time."""

_CONFIGURED = Peer(
    name="tor",
    address=REMOTE,
    asn=THEIR_AS,
    local_asn=OUR_AS,
    router_id=IPv4Address("10.0.0.1"),
    families=frozenset(Family),
    passive=True,
    connect_retry_seconds=1.0,
    graceful_restart=GracefulRestart(),
)


@dataclass(frozen=True, slots=True)
class Setting:
    """A configured peer, and the OPEN with which the other side accepts it."""

    name: str
    peer: Peer
    open_message: bytes


def _graceful_restart(flags: int, *families: int) -> bytes:
    value = (flags << 12 | 90).to_bytes(2, "big")
    return wire.capability(64, value + b"".join(bytes((0, afi, 1, 0x80)) for afi in families))


_USUAL = (
    wire.multiprotocol(1)
    + wire.multiprotocol(2)
    + wire.capability(2)
    + wire.capability(70)
    + _graceful_restart(0, 1, 2)
)
_EVERYTHING = (
    _USUAL
    + wire.capability(5, bytes.fromhex("000100010002"))
    + wire.capability(6)
    + wire.capability(9, b"\0")
    + wire.capability(69, bytes.fromhex("0001010300020103"))
)

SETTINGS = (
    Setting(
        "external",
        _CONFIGURED,
        wire.open_message(THEIR_AS, capabilities=_USUAL + wire.four_octet_as(THEIR_AS)),
    ),
    Setting(
        "internal",
        replace(_CONFIGURED, asn=OUR_AS),
        wire.open_message(OUR_AS, capabilities=_USUAL + wire.four_octet_as(OUR_AS)),
    ),
    Setting(
        "everything",
        replace(
            _CONFIGURED,
            extended_next_hop=True,
            add_path_send=True,
            add_path_receive=True,
            role=Role.CUSTOMER,
            max_prefixes=48,
            graceful_restart=GracefulRestart(notification=True, long_lived_seconds=100),
        ),
        wire.open_message(THEIR_AS, capabilities=_EVERYTHING + wire.four_octet_as(THEIR_AS)),
    ),
    Setting(
        "plain",
        replace(
            _CONFIGURED,
            families=frozenset({Family.IPV4}),
            graceful_restart=None,
            extended_messages=False,
            hold_time_seconds=0,
        ),
        wire.open_message(THEIR_AS, capabilities=b""),
    ),
)

_ADVERTISED = {
    ip_network("10.1.0.0/24"): Route(ip_network("10.1.0.0/24"), LOCAL, PathAttributes(med=1)),
}


@dataclass
class Engine:
    """A `PeerSet` with one passive peer, on a loop of its own; it lives through many connections."""

    setting: Setting
    loop: IdleLoop = field(default_factory=IdleLoop)
    events: list[SessionEvent] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._listener = FakeListener(socket.AF_INET)
        self.peers = PeerSet(
            on_event=self.events.append,
            listen_port=179,
            listen_addresses=(LOCAL,),
            open_socket=lambda _family: cast("socket.socket", self._listener),
            received_limit=RECEIVED_LIMIT,
        )
        self.peers.set_peers([self.setting.peer])
        self.peers.update("tor", _ADVERTISED)
        self.peers.release()
        self.peers.start()
        self.running = self.loop.create_task(self.peers.run())
        self.loop.settle()
        self.tasks_at_rest = self.tasks

    @property
    def tasks(self) -> int:
        """How many tasks there are."""
        return len(asyncio.all_tasks(self.loop))

    @property
    def state(self) -> SessionState:
        """The state of the session."""
        return self.peers.sessions()["tor"].state

    def connect(self) -> FakeSocket:
        """The peer connects; our OPEN has been sent."""
        connection = FakeSocket(LOCAL, REMOTE)
        self._listener.arrive(connection, REMOTE)
        self.loop.settle()
        return connection

    def bring_to(self, connection: FakeSocket, state: SessionState) -> None:
        """Goes as far as OpenSent, OpenConfirm or Established."""
        steps = {SessionState.OPEN_SENT: 0, SessionState.OPEN_CONFIRM: 1, SessionState.ESTABLISHED: 2}
        for message in (self.setting.open_message, wire.KEEPALIVE_MESSAGE)[: steps[state]]:
            connection.feed(message)
        self.loop.settle()
        assert self.state is state, (self.state, self.peers.sessions()["tor"].last_error)
        self.events.clear()

    def rest(self) -> None:
        """Lets all pauses pass: the session waits for the peer again."""
        self.loop.advance(_REST_SECONDS)
        self.events.clear()

    def close(self) -> None:
        """Ends everything."""
        close_loop(self.loop)

"""Packets, peers and sessions for the tests of BFD."""

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, ip_address
from typing import Any

from speaker.bfd import BfdEvent, BfdEventKind, BfdSessions, BfdStatus, State
from speaker.bfd.packet import ControlPacket
from speaker.bfd.path import SINGLE_HOP_PORT
from speaker.model.peer import BfdTimers, Peer
from speaker.model.prefix import Address, Family
from tests.bgp.builders import until

FAST = BfdTimers(transmit_milliseconds=100, receive_milliseconds=100)
"""100 ms x 3 on both sides: what operators of routers usually set."""

CALM = BfdTimers(transmit_milliseconds=100, receive_milliseconds=100, multiplier=50)
"""As talkative, and so patient that no load on the machine brings a session down."""


def packet(**overrides: Any) -> ControlPacket:
    """A good packet of a peer that is Down and knows us as 7."""
    values: dict[str, Any] = {
        "state": State.DOWN,
        "my_discriminator": 9,
        "your_discriminator": 7,
        "multiplier": 3,
        "desired_min_tx": 1_000_000,
        "required_min_rx": 100_000,
    }
    return ControlPacket(**(values | overrides))


def peer(address: Address | str, source: Address | str | None = None, **overrides: Any) -> Peer:
    """An eBGP peer on the link, named by its address, with patient BFD."""
    values: dict[str, Any] = {
        "name": str(address),
        "address": ip_address(str(address)),
        "source": None if source is None else ip_address(str(source)),
        "asn": 65030,
        "local_asn": 65000,
        "router_id": IPv4Address("10.0.0.1"),
        "families": frozenset(Family),
        "bfd": CALM,
    }
    return Peer(**(values | overrides))


@dataclass
class Bfd:
    """BfdSessions that run in the test's loop, with everything they reported."""

    sessions: BfdSessions
    events: list[BfdEvent] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    task: asyncio.Task[None] | None = None

    def run(self) -> None:
        self.task = asyncio.create_task(self.sessions.run())

    def kinds(self) -> list[BfdEventKind]:
        return [event.kind for event in self.events]

    def status(self, name: object = None) -> BfdStatus:
        """The session with a peer; the only one if none is named."""
        statuses = self.sessions.statuses()
        if name is None:
            (status,) = statuses.values()
            return status
        return statuses[str(name)]

    async def until_state(self, state: State, name: object = None, seconds: float = 20.0) -> BfdStatus:
        def there() -> bool:
            return bool(self.sessions.statuses()) and self.status(name).state is state

        await until(there, f"{name} in {state}", seconds)
        return self.status(name)

    async def until_event(self, kind: BfdEventKind, seconds: float = 20.0) -> BfdEvent:
        """The latest event, once it is of this kind."""
        await until(lambda: self.events and self.events[-1].kind is kind, kind, seconds)
        return self.events[-1]

    async def end(self) -> None:
        """Falls silent."""
        if self.task is not None:
            self.task.cancel()
            await asyncio.wait((self.task,))
            if not self.task.cancelled():
                self.task.result()
            self.task = None


def make_bfd(*peers: Peer, **arguments: Any) -> Bfd:
    """Sessions with these peers, not running yet."""
    events: list[BfdEvent] = []
    problems: list[str] = []
    on_event: Callable[[BfdEvent], None] = arguments.pop("on_event", events.append)
    sessions = BfdSessions(on_event=on_event, on_problem=problems.append, **arguments)
    sessions.set_peers(peers)
    return Bfd(sessions, events, problems)


class RawPeer:
    """A peer whose every packet is the test's own: it sends from one address to another."""

    def __init__(self, own: Address, speaker: Address, port: int = SINGLE_HOP_PORT) -> None:
        self._listening = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._listening.setblocking(False)
        self._listening.bind((str(own), port))
        self._sending = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sending.bind((str(own), 0))
        self._speaker = (str(speaker), port)
        self.received: list[bytes] = []

    def send(self, data: bytes | ControlPacket, ttl: int = 255) -> None:
        octets = data.pack() if isinstance(data, ControlPacket) else data
        self._sending.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
        self._sending.sendto(octets, self._speaker)

    def say(self, state: State, status: BfdStatus, **fields: Any) -> None:
        """Sends a packet of the session that the speaker has with this peer."""
        values: dict[str, Any] = {"desired_min_tx": 100_000, "multiplier": 100}
        values |= {"state": state, "your_discriminator": status.local_discriminator}
        self.send(packet(**(values | fields)))

    async def receive(self) -> bytes:
        """The next packet, whose source address and port are then in `source`."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(20):
            data, self.source = await loop.sock_recvfrom(self._listening, 256)
        self.received.append(data)
        return data

    def forget(self) -> None:
        """Throws away what has come so far."""
        try:
            while True:
                self._listening.recv(256)
        except BlockingIOError:
            return

    def close(self) -> None:
        self._listening.close()
        self._sending.close()

"""Peers, routes and waiting for the tests of the BGP engine."""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_address, ip_network
from itertools import count
from typing import Any

from speaker.bgp import PeerSet, SessionEvent, SessionEventKind
from speaker.bgp.messages import Notification, ProtocolError
from speaker.model.peer import GracefulRestart, Peer, SessionState
from speaker.model.prefix import Address, Family, Prefix
from speaker.model.route import PathAttributes, Route

PORT = 1790
_numbers = count(1)


def loopback() -> Address:
    """An address of 127.0.0.0/8 that no other test of this run has, so that fixed ports never clash."""
    turn, last = divmod(next(_numbers), 250)
    process = os.getpid()
    return IPv4Address(f"127.{20 + process % 200}.{(process // 200 + turn) % 250}.{last + 1}")


def loopback_block() -> IPv4Network:
    """Sixteen addresses of 127.0.0.0/8 that no other test of this run has."""
    number = (os.getpid() * 64 + next(_numbers)) % (15 << 12)
    return IPv4Network((0x7F050000 + (number << 4), 28))


def peer(**overrides: Any) -> Peer:
    """An eBGP peer at 192.0.2.1, dual stack, with graceful restart."""
    values: dict[str, Any] = {
        "name": "tor",
        "address": ip_address("192.0.2.1"),
        "asn": 65030,
        "local_asn": 65000,
        "router_id": IPv4Address("10.0.0.1"),
        "families": frozenset(Family),
        "port": PORT,
        "connect_retry_seconds": 0.2,
        "graceful_restart": GracefulRestart(),
    }
    return Peer(**(values | overrides))


def route(prefix: str, next_hop: str = "", **attributes: Any) -> Route:
    network = ip_network(prefix)
    hop = next_hop or ("192.0.2.9" if network.version == 4 else "2001:db8::9")
    return Route(network, ip_address(hop), PathAttributes(**attributes))


def path(prefix: str, path_id: int, next_hop: str = "", **attributes: Any) -> Route:
    """One of several paths to a prefix."""
    return route(prefix, next_hop, **attributes)._replace(path_id=path_id)


def as_sent(received: Route) -> Route:
    """A received route without what it has gathered on its way."""
    return received._replace(attributes=replace(received.attributes, learned=None))


def routes(*prefixes: str, **attributes: Any) -> dict[Prefix, Route]:
    return {ip_network(prefix): route(prefix, **attributes) for prefix in prefixes}


def host_routes(number: int) -> dict[Prefix, Route]:
    """That many /32 with equal attributes."""
    hop = IPv4Address("192.0.2.9")
    prefixes = (IPv4Network(0x0A000000 + index) for index in range(number))
    return {prefix: Route(prefix, hop) for prefix in prefixes}


def prefix(text: str) -> IPv4Network | IPv6Network:
    return ip_network(text)


def notification_for(work: Callable[[], object]) -> Notification | None:
    """What the peer would be sent for `work`; None when nothing is wrong."""
    try:
        work()
    except ProtocolError as error:
        return error.notification
    return None


async def until(condition: Callable[[], object], what: str = "the condition", seconds: float = 10.0) -> None:
    """Waits, turn by turn of the loop, for a condition that other tasks bring about."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 -- the condition is whatever the test looks at
            await asyncio.sleep(0.002)
    assert condition(), what


@dataclass
class Speaker:
    """A PeerSet that runs in the test's loop, with everything it reported."""

    peers: PeerSet
    events: list[SessionEvent] = field(default_factory=list)
    task: asyncio.Task[None] | None = None

    def run(self) -> None:
        self.task = asyncio.create_task(self.peers.run())

    def kinds(self, kind: SessionEventKind) -> list[SessionEvent]:
        return [event for event in self.events if event.kind is kind]

    def state(self, name: str = "tor") -> SessionState:
        return self.peers.sessions()[name].state

    async def until_state(self, state: SessionState, name: str = "tor") -> None:
        await until(lambda: self.state(name) is state, f"{name} in {state}")

    async def until_error(self, text: str, name: str = "tor") -> str:
        """The session's last error, once it holds `text`."""
        await until(lambda: text in self.peers.sessions()[name].last_error, text)
        return self.peers.sessions()[name].last_error

    async def end(self) -> None:
        if self.task is not None:
            self.task.cancel()
            await asyncio.wait((self.task,))

"""Speakers on several nodes of one cluster, which peer with each other."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address
from typing import Any

from speaker.bgp import PeerSet, SessionEvent, SessionEventKind
from speaker.bgp.peers import tcp_socket
from speaker.model.peer import GracefulRestart, Peer, SessionState
from speaker.model.prefix import Family, Prefix
from speaker.model.route import Route
from tests.bgp.builders import PORT, Speaker, loopback, peer, prefix, route, until


@dataclass
class Node:
    """A node, its speaker, and what it has dialled."""

    address: IPv4Address
    speaker: Speaker
    sockets: list[socket.socket] = field(default_factory=list)

    @property
    def name(self) -> str:
        return str(self.address)

    @property
    def peers(self) -> PeerSet:
        return self.speaker.peers

    @property
    def cidr(self) -> Prefix:
        """What its Pods have their addresses from."""
        return prefix(f"10.{self.address.packed[3]}.{self.address.packed[2]}.0/24")

    @property
    def route(self) -> Route:
        return route(str(self.cidr), next_hop=self.name)

    @property
    def connections(self) -> int:
        """How many of the connections that it has dialled are up."""
        return sum(map(_is_connected, self.sockets))

    def heard(self) -> set[Prefix]:
        return {path.prefix for name in self.peers.sessions() for path in self.peers.received(name)}

    def withdrawn(self) -> list[Prefix]:
        """All that it was told is gone."""
        updates = self.speaker.kinds(SessionEventKind.UPDATE_RECEIVED)
        return [path.prefix for event in updates for path in event.withdrawn]

    def ends_of_rib(self) -> set[tuple[str, Family | None]]:
        updates = self.speaker.kinds(SessionEventKind.UPDATE_RECEIVED)
        return {(event.peer, event.end_of_rib) for event in updates if event.end_of_rib is not None}

    def is_established(self) -> bool:
        return all(each.state is SessionState.ESTABLISHED for each in self.peers.sessions().values())


def _is_connected(sock: socket.socket) -> bool:
    try:
        sock.getpeername()
    except OSError:
        return False
    return True


class Cluster:
    """Nodes with addresses of 127.0.0.0/8, in ascending order."""

    def __init__(self, number: int, **settings: Any) -> None:
        self.addresses = sorted(IPv4Address(int(loopback())) for _ in range(number))
        self.settings = settings
        self.nodes: list[Node] = []
        self._old: list[Node] = []

    def peer(self, own: IPv4Address, other: IPv4Address, **settings: Any) -> Peer:
        """How one node has another configured: the lower address dials."""
        values: dict[str, Any] = {
            "name": str(other),
            "node": str(other),
            "address": other,
            "source": own,
            "passive": own > other,
            "asn": 65000,
            "local_asn": 65000,
            "router_id": own,
            "multihop_ttl": 64,
            "connect_retry_seconds": 30.0,
            "graceful_restart": GracefulRestart(restart_time_seconds=120),
            "add_path_send": True,
            "add_path_receive": True,
            "imports": True,
        }
        return peer(**(values | self.settings | settings))

    def peers_of(self, own: IPv4Address, **settings: Any) -> list[Peer]:
        return [self.peer(own, other, **settings) for other in self.addresses if other != own]

    def start(self, own: IPv4Address, *, released: bool = True, **arguments: Any) -> Node:
        """A speaker on the node, which advertises the node's own prefix; the first one or the next."""
        events: list[SessionEvent] = []
        opened: list[socket.socket] = []

        def open_socket(family: socket.AddressFamily) -> socket.socket:
            opened.append(tcp_socket(family))
            return opened[-1]

        listens: dict[str, Any] = {"listen_port": PORT, "listen_addresses": (own,)}
        peers = PeerSet(on_event=events.append, open_socket=open_socket, **listens, **arguments)
        node = Node(own, Speaker(peers, events), opened)
        self.nodes = [each for each in self.nodes if each.address != own] + [node]
        self.nodes.sort(key=lambda each: each.address)
        peers.set_peers(self.peers_of(own))
        for each in self.peers_of(own):
            peers.update(each.name, {node.cidr: node.route})
        if released:
            peers.release()
        peers.start()
        node.speaker.run()
        return node

    async def shut_down(self, node: Node) -> None:
        """The node's speaker ends for an upgrade."""
        await node.peers.stop(graceful_restart=True)
        self._old.append(node)
        await node.speaker.end()

    async def restart(self, node: Node, **arguments: Any) -> Node:
        """An upgrade of the node's speaker."""
        await self.shut_down(node)
        return self.start(node.address, started_at=time.monotonic(), **arguments)

    async def until_complete(self) -> None:
        """Every node has heard of every other all that there is."""
        await until(self.is_complete, "every node knows every prefix", seconds=30)

    def is_complete(self) -> bool:
        everything = {each.cidr for each in self.nodes}
        return all(
            each.is_established()
            and each.heard() | {each.cidr} == everything
            and len(each.ends_of_rib()) == 2 * (len(self.nodes) - 1)
            for each in self.nodes
        )

    async def end(self) -> None:
        await asyncio.gather(*(each.speaker.end() for each in (*self.nodes, *self._old)))


@asynccontextmanager
async def cluster(number: int, *, started: bool = True, **settings: Any) -> AsyncIterator[Cluster]:
    """So many nodes in a full mesh, complete once the block begins."""
    made = Cluster(number, **settings)
    try:
        if started:
            for address in made.addresses:
                made.start(address)
            await made.until_complete()
        yield made
    finally:
        await made.end()


def renumbered(configured: Peer, asn: int) -> Peer:
    """The same peer, both ends in another AS."""
    return replace(configured, asn=asn, local_asn=asn)

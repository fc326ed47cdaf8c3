"""BGP sessions with BFD beside them: two of our own, on two ends of a link."""

import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

import pytest

from speaker.bgp import PeerSet, SessionEvent, SessionEventKind
from speaker.daemon.peering import Peering
from speaker.model.peer import BfdTimers, Peer, SessionState
from speaker.model.prefix import Address
from tests.bgp.builders import Speaker, peer, until
from tests.lab.net.namespace import Namespace
from tests.lab.net.topology import Topology

pytestmark = pytest.mark.netns

QUICK = BfdTimers(transmit_milliseconds=100, receive_milliseconds=100, multiplier=3)


class End:
    """One end: its sessions, with BFD beside them."""

    def __init__(self, namespace: Namespace, *peers: Peer, passive: bool) -> None:
        self.events: list[SessionEvent] = []
        self.sessions = PeerSet(
            on_event=self._on_event, open_socket=namespace.socket, listen_port=179 if passive else None
        )
        self.peering = Peering(self.sessions, lambda family: namespace.socket(family, socket.SOCK_DGRAM))
        self.speaker = Speaker(self.sessions, self.events)
        self.peering.set_peers(peers)
        self.sessions.release()

    def _on_event(self, event: SessionEvent) -> None:
        self.events.append(event)
        self.peering.session_event(event)

    def closed(self) -> list[str]:
        return [event.reason for event in self.speaker.kinds(SessionEventKind.CLOSED)]

    async def until_established(self) -> None:
        await self.speaker.until_state(SessionState.ESTABLISHED)

    @property
    def bfd(self) -> str:
        status = self.peering.bfd_statuses().get("tor")
        return "" if status is None else str(status.state)

    async def until_bfd_is_up(self) -> None:
        await until(lambda: self.bfd == "Up", "BFD to come up")

    async def until_dialled(self) -> None:
        await until(lambda: self.speaker.state() is not SessionState.IDLE, "an attempt to connect")


@pytest.fixture
def topology() -> Iterator[Topology]:
    with Topology(nodes=1, tors=1, clients=0) as network:
        yield network


class Pair:
    """The node, which dials, and the router, which waits for it."""

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self.stack = AsyncExitStack()

    def node(self, **overrides: Any) -> End:
        configured = peer(address=self._router(), port=179, hold_time_seconds=90, **overrides)
        return self._run(End(self.topology["node1"].namespace, configured, passive=False))

    def router(self, **overrides: Any) -> End:
        configured = peer(
            address=self.topology.address("node1", "tor1"),
            asn=65000,
            local_asn=65030,
            router_id=IPv4Address("10.0.0.2"),
            passive=True,
            **overrides,
        )
        return self._run(End(self.topology["tor1"].namespace, configured, passive=True))

    def _router(self) -> Address:
        return self.topology.router_address("node1", "tor1")

    def _run(self, end: End) -> End:
        end.speaker.run()
        bfd = Speaker(end.sessions)
        bfd.task = end.speaker.task.get_loop().create_task(end.peering.run()) if end.speaker.task else None
        self.stack.push_async_callback(end.speaker.end)
        self.stack.push_async_callback(bfd.end)
        return end


@pytest.fixture
async def pair(topology: Topology) -> AsyncIterator[Pair]:
    made = Pair(topology)
    async with made.stack:
        yield made


async def test_a_dead_path_ends_the_session_at_once_and_it_comes_back(pair: Pair) -> None:
    """The hold time of 90 seconds has nothing to do with it (RFC 5882 §4.1)."""
    node, router = pair.node(bfd=QUICK), pair.router(bfd=QUICK)
    for end in (router, node):
        end.peering.start()
    for end in (router, node):
        await end.until_established()
        await end.until_bfd_is_up()

    with pair.topology.link("node1").silent():
        await until(lambda: node.closed() and router.closed(), "the end of both sessions")

    assert all("BFD" in reason and "6/10" in reason for reason in (*node.closed(), *router.closed()))
    for end in (node, router):
        await end.until_established()


async def test_over_a_restart_a_peer_is_not_dialled_before_bfd_is_up(pair: Pair) -> None:
    node, router = pair.node(bfd=QUICK), pair.router(bfd=QUICK)
    router.peering.start()
    node.peering.start()

    await node.until_dialled()

    assert node.bfd == "Up"
    await node.until_established()


async def test_without_an_answer_of_bfd_a_peer_is_dialled_all_the_same(pair: Pair) -> None:
    node, router = pair.node(bfd=QUICK), pair.router()
    router.peering.start()
    node.peering.start()

    await node.until_established()

    assert node.bfd == "Down"


async def test_without_graceful_restart_nothing_is_waited_for(pair: Pair) -> None:
    node, router = pair.node(bfd=QUICK, graceful_restart=None), pair.router()
    router.peering.start()
    node.peering.start()

    await node.until_dialled()

    assert node.bfd != "Up"
    await node.until_established()


async def test_bfd_that_is_turned_off_ends_nothing(pair: Pair) -> None:
    """AdminDown says nothing of the path (RFC 5882 §3.2)."""
    node, router = pair.node(bfd=QUICK), pair.router(bfd=QUICK)
    for end in (router, node):
        end.peering.start()
    for end in (router, node):
        await end.until_established()
        await end.until_bfd_is_up()

    router.peering.set_peers([peer_without_bfd(router)])
    await until(lambda: str(node.peering.bfd_statuses()["tor"].remote_state) == "AdminDown", "AdminDown")

    assert not node.closed()


def peer_without_bfd(end: End) -> Peer:
    return replace(end.sessions.sessions()["tor"].peer, bfd=None)

"""A router of the kind under test, and speakers of ours, in this process, on the nodes below it.

Knows how the two are told about each other. The speakers' sockets belong to their nodes' namespaces, so
one event loop serves them all.
"""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from ipaddress import IPv4Address
from typing import Any, Self

import pytest
from _pytest.mark.structures import ParameterSet

from speaker.bgp import PeerSet, SessionEvent
from speaker.model.peer import Peer, PeerRange, SessionState
from speaker.model.prefix import Address, Family, Prefix, family_of
from speaker.model.route import Route
from tests.bgp.builders import Speaker
from tests.bgp.builders import peer as bgp_peer
from tests.bgp.builders import route as bgp_route
from tests.interop.fate import Fate
from tests.interop.wire import OpenSocket, Wire
from tests.lab.net.topology import Topology, router_id
from tests.lab.routers.config import Neighbor, RouterConfig
from tests.lab.routers.router import Router

ROUTER_ASN = 65030
NODE_ASN = 65000


def against(*names: str) -> pytest.MarkDecorator:
    """Runs a test against these routers only."""
    return pytest.mark.parametrize("daemon", [marked(name) for name in names], indirect=True)


def marked(name: str) -> ParameterSet:
    """The router's name as a parameter that bears its marker."""
    return pytest.param(name, marks=getattr(pytest.mark, name))


class Rack:
    """Routers and speakers on a topology; all of them end with it."""

    def __init__(self, topology: Topology, daemon: type[Router]) -> None:
        self.topology = topology
        self.daemon = daemon
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def address(self, node: str = "node1", router: str = "tor1", family: Family = Family.IPV4) -> Address:
        """The node's address toward the router."""
        return self.topology.address(node, router, family)

    def neighbor(
        self,
        node: str = "node1",
        router: str = "tor1",
        family: Family = Family.IPV4,
        *,
        asn: int = NODE_ASN,
        passive: bool = True,
        **options: Any,
    ) -> Neighbor:
        """The node's speaker in the router's configuration; the router waits for it unless told to dial."""
        return Neighbor(where=self.address(node, router, family), asn=asn, passive=passive, **options)

    async def router(
        self, *neighbors: Neighbor, number: int = 1, host: str | None = None, **options: Any
    ) -> Router:
        """A started router with these neighbors; node1 over IPv4 if none are named.

        It runs on `host`, which is the top-of-rack router of that number unless named.
        """
        config = RouterConfig(
            asn=options.pop("asn", ROUTER_ASN),
            router_id=router_id(number),
            neighbors=neighbors or (self.neighbor(router=f"tor{number}"),),
            **options,
        )
        namespace = self.topology[host or f"tor{number}"].namespace
        return await self._stack.enter_async_context(self.daemon(config, namespace))

    def peer(
        self, node: str = "node1", router: str = "tor1", family: Family = Family.IPV4, **overrides: Any
    ) -> Peer:
        """The router in the configuration of the node's speaker."""
        values: dict[str, Any] = {
            "name": router,
            "address": self.topology.router_address(node, router, family),
            "asn": ROUTER_ASN,
            "local_asn": NODE_ASN,
            "router_id": IPv4Address(int(self.address(node))),
            "port": 179,
        }
        return bgp_peer(**(values | overrides))

    def speaker(
        self,
        *peers: Peer,
        node: str = "node1",
        released: bool = True,
        ranges: Sequence[PeerRange] = (),
        wire: Wire | None = None,
        **arguments: Any,
    ) -> Speaker:
        """A running speaker on the node; toward tor1 over IPv4 if neither peers nor ranges are named.

        `wire` hears what goes over its connections.
        """
        events: list[SessionEvent] = []
        open_socket: OpenSocket = self.topology[node].namespace.socket
        if wire is not None:
            open_socket = wire.around(open_socket)
        speaker = Speaker(PeerSet(on_event=events.append, open_socket=open_socket, **arguments), events)
        speaker.peers.set_peers(peers if peers or ranges else (self.peer(node),))
        speaker.peers.set_ranges(ranges)
        if released:
            speaker.peers.release()
        speaker.peers.start()
        speaker.run()
        self._stack.push_async_callback(speaker.end)
        return speaker

    def bfd(self, speaker: Speaker, *peers: Peer, node: str = "node1") -> Fate:
        """BFD beside the sessions of a speaker on the node."""
        fate = Fate(speaker, peers, self.topology[node].namespace)
        self._stack.push_async_callback(fate.end)
        return fate

    async def session(self, **options: Any) -> tuple[Router, Speaker]:
        """The plainest of all: an established eBGP session of node1 over IPv4; `options` are the router's."""
        router = await self.router(**options)
        speaker = self.speaker()
        await speaker.until_state(SessionState.ESTABLISHED, "tor1")
        return router, speaker

    def routes(
        self, *prefixes: str, node: str = "node1", router: str = "tor1", **attributes: Any
    ) -> dict[Prefix, Route]:
        """Routes to the node, as attributes say, with its address of the prefix's family as next hop."""
        found = {}
        for prefix in prefixes:
            route = bgp_route(prefix, **attributes)
            hop = self.address(node, router, family_of(route.prefix))
            found[route.prefix] = Route(route.prefix, hop, route.attributes)
        return found

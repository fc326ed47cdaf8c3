"""Four nodes below one router, a client behind it, and two addresses: one that every node advertises and
one that only the first does.

Knows how to set it up and when it is whole again. Knows nothing of what is measured on it.
"""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Self

from speaker.model.prefix import Address, Family
from tests.lab.cluster import NODE_ASN, ROUTER_ASN, Cluster
from tests.lab.failover.scenarios import Setup
from tests.lab.net.host import Link
from tests.lab.objects import BGP, endpoint_slice, service
from tests.lab.routers.config import RouterConfig, tor_config
from tests.lab.routers.router import Router
from tests.lab.routers.table import BfdInfo
from tests.lab.speakers import Speaker
from tests.lab.traffic import Flow
from tests.lab.waiting import eventually

NODES = 4
VICTIM = "node1"
SHARED = ip_address("192.0.2.10")
SINGLE = ip_address("192.0.2.20")
SHARED_FLOWS = 32
SINGLE_FLOWS = 8
PROBES_PER_SECOND = 100
"""In each flow."""

_WITHIN_SECONDS = 40.0
_FAMILIES = frozenset({Family.IPV4})


class Rack:
    """A lab that ends with it: `async with Rack(folder, Bird, setup) as rack`; `folder` is a short path."""

    def __init__(self, folder: Path, driver: type[Router], setup: Setup, nodes: int = NODES) -> None:
        self.cluster = Cluster(folder, nodes=nodes, clients=1)
        self._driver = driver
        self._setup = setup
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.cluster)
            await self._create_services()
            tor = self.cluster.topology["tor1"].namespace
            router = await stack.enter_async_context(self._driver(_router(self._setup), tor))
            self.cluster.routers.append(router)
            for node in self.nodes:
                await (await self._speaker(node)).start()
            await self.wait_whole()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    @property
    def nodes(self) -> frozenset[str]:
        """The names of all nodes."""
        return frozenset(self.cluster.node_names)

    @property
    def router(self) -> Router:
        """The router on top."""
        return self.cluster.routers[0]

    @property
    def speaker(self) -> Speaker:
        """The speaker of the node that things happen to."""
        return self.cluster.speakers[VICTIM]

    @property
    def link(self) -> Link:
        """Between that node and the router."""
        return self.cluster.topology.link(VICTIM)

    def shared_flow(self) -> Flow:
        """Traffic from the client to the address of all nodes."""
        return self._flow(SHARED, SHARED_FLOWS)

    def single_flow(self) -> Flow:
        """Traffic to the address of the one node."""
        return self._flow(SINGLE, SINGLE_FLOWS)

    async def wait_whole(self) -> None:
        """Return once every speaker has its sessions and the router's kernel forwards to every node."""
        for speaker in self.cluster.speakers.values():
            await speaker.wait_in_sync(within=_WITHIN_SECONDS)
        await self.cluster.wait_established(self.router, len(self.nodes), within=_WITHIN_SECONDS)
        whole = {f"{SHARED}/32": set(self.nodes), f"{SINGLE}/32": {VICTIM}}
        await self.router.wait_fib(whole, within=_WITHIN_SECONDS)
        if self._setup.bfd:
            await self._wait_bfd()

    async def wait_leg_gone(self) -> None:
        """Return once the router's kernel forwards to the other nodes only."""
        others = {f"{SHARED}/32": set(self.nodes) - {VICTIM}}
        await self.router.wait_fib(others, within=_WITHIN_SECONDS)

    async def _speaker(self, node: str) -> Speaker:
        hold_time = f"--holdtime={self._setup.hold_seconds}s"
        return await self.cluster.speaker(node, hold_time, *self._setup.flags, families=_FAMILIES)

    async def _create_services(self) -> None:
        annotations = {BGP: "true"}
        await self.cluster.create(
            service("shared", str(SHARED), policy="Cluster", annotations=annotations),
            endpoint_slice("shared", "IPv4", {"10.16.0.1": VICTIM}),
            service("single", str(SINGLE), policy="Local", annotations=annotations),
            endpoint_slice("single", "IPv4", {"10.16.0.2": VICTIM}),
        )

    def _flow(self, destination: Address, flows: int) -> Flow:
        topology = self.cluster.topology
        rate = flows * PROBES_PER_SECOND
        return Flow(topology["client1"], destination, topology.nodes, rate=rate, flows=flows)

    async def _wait_bfd(self) -> None:
        def all_up(sessions: Mapping[Address, BfdInfo]) -> bool:
            return len(sessions) == len(self.nodes) and all(info.up for info in sessions.values())

        await eventually(self.router.bfd_sessions, all_up, within=_WITHIN_SECONDS, what="BFD with every node")


def _router(setup: Setup) -> RouterConfig:
    """A router that helps with graceful restart and honours GRACEFUL_SHUTDOWN, with BFD as asked for."""
    config = tor_config(
        asn=ROUTER_ASN, node_asn=NODE_ASN, hold_seconds=setup.hold_seconds, honour_graceful_shutdown=True
    )
    neighbors = tuple(
        replace(each, bfd=setup.bfd, bfd_graceful=setup.bfd_graceful) for each in config.neighbors
    )
    return replace(config, neighbors=neighbors)

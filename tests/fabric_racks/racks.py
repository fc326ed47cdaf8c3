"""A cluster of racks, with what its administrator writes down: labels, AS numbers, BGPPeers.

Every node is labelled with its rack (`rack=r1`), and has the AS number that its rack or it alone is given.
Knows what the resources look like; what comes of them is for the tests to see.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from speaker.model.prefix import Family
from tests.lab.all_pairs import AllPairs
from tests.lab.cluster import Manifest, Table
from tests.lab.fabric_cluster import FabricCluster
from tests.lab.routers.config import Neighbor, RouterConfig
from tests.lab.routers.racks import rack_config
from tests.lab.routers.router import Router
from tests.lab.waiting import eventually

API_VERSION = "bgp.route-speaker.io/v1alpha1"
AS_NUMBER = "bgp.route-speaker.io/as-number"

CONNECT_RETRY = {"connectRetry": "1s"}
"""What every BGPPeer has: a test does not wait as long as an administrator would."""

HOLD_TIMES = {"hold_seconds": 90, "keepalive_seconds": 30}
"""What every router has: a machine that is busy elsewhere for some seconds ends no session."""

SOME_PACKETS = 20


def configuration(**spec: Any) -> Manifest:
    """The BGPConfiguration."""
    return {
        "apiVersion": API_VERSION,
        "kind": "BGPConfiguration",
        "metadata": {"name": "default"},
        "spec": spec,
    }


def bgp_peer(name: str, **spec: Any) -> Manifest:
    """A BGPPeer."""
    return {
        "apiVersion": API_VERSION,
        "kind": "BGPPeer",
        "metadata": {"name": name},
        "spec": CONNECT_RETRY | spec,
    }


class Racks(FabricCluster):
    """`async with Racks(folder, 3, 2) as racks`; the arguments are those of `FabricCluster`."""

    def __init__(self, folder: Path, *racks: int, **options: Any) -> None:
        super().__init__(folder, *racks, **options)

    def nodes_of(self, rack: int) -> tuple[str, ...]:
        """The names of a rack's nodes."""
        return tuple(self.fabric.racks[rack - 1].nodes)

    async def mark(self, asns: Sequence[int] = ()) -> None:
        """Label every node with its rack, and annotate it with its rack's AS number, if there are any."""
        for rack in self.fabric.racks:
            await self.kubectl("label", "node", *rack.nodes, f"rack=r{rack.number}")
            if asns:
                number = f"{AS_NUMBER}={asns[rack.number - 1]}"
                await self.kubectl("annotate", "node", *rack.nodes, number)

    def router_peers(self, rack: int, asn: int, **spec: Any) -> tuple[Manifest, ...]:
        """The BGPPeers of a rack's nodes with their router, one for each family."""
        return tuple(
            bgp_peer(
                f"rack-r{rack}-{family}",
                nodeSelector=f"rack == 'r{rack}'",
                peerIP=str(self.fabric.head_address(rack, family)),
                asNumber=asn,
                **spec,
            )
            for family in Family
        )

    def node_by_node(
        self, rack: int, asns: Sequence[int], nodes: Mapping[str, int], **options: Any
    ) -> RouterConfig:
        """The router of a rack with a neighbor for each node, whose AS numbers are given.

        For those in its own AS it is the reflector. `options` are those of `RouterConfig`.
        """
        config = rack_config(self.fabric, rack, asns, **(HOLD_TIMES | options))
        neighbors = tuple(
            Neighbor(
                where=self.fabric.address(name, family),
                asn=nodes[name],
                passive=True,
                rr_client=nodes[name] == config.asn,
                families=(family,),
            )
            for name in self.nodes_of(rack)
            for family in Family
        )
        return replace(config, neighbors=(*neighbors, *config.addresses))

    async def start_reflector(self, driver: type[Router], rack: int, asn: int, **options: Any) -> Router:
        """Start the router of a rack as the reflector of its nodes."""
        return await self.add_router(driver, rack, [asn], **(HOLD_TIMES | options))

    async def start_router(self, driver: type[Router], rack: int, config: RouterConfig) -> Router:
        """Start the router of a rack with a configuration of its own."""
        router = await self.start_beside(driver(config, self.fabric.racks[rack - 1].head.namespace))
        self.routers[rack] = router
        return router

    async def sessions(self, node: str) -> Mapping[str, Any]:
        """The sessions of a node's speaker, by peer."""
        status = await self.ask(node, "status")
        return {session["peer"]: session for session in status["sessions"]}

    async def wait_sessions(self, *nodes: str) -> None:
        """Return once all sessions of these nodes are established."""
        for node in nodes:
            await eventually(
                partial(self.sessions, node),
                lambda all_: {each["state"] for each in all_.values()} == {"Established"},
                within=60,
                what=f"sessions of {node}",
            )

    async def wait_table(self, node: str, table: Table) -> None:
        """Return once the kernel of a node has exactly these learned routes."""

        def present() -> Table:
            return self.learned(node)

        await eventually(present, lambda fib: fib == table, within=60, what=f"{node}: {table}")

    async def rules(self, node: str, prefix: str) -> tuple[str, ...]:
        """What decided about each path that a node's speaker has to a prefix."""
        answer = await self.ask(node, "learned", prefix=prefix)
        return tuple(path["rule"] for path in answer["paths"])

    async def some_packets(self, traffic: AllPairs) -> None:
        """Return once every pair has received a number of packets from here on."""
        before = dict(traffic.received())
        await eventually(
            lambda: min(count - before[pair] for pair, count in traffic.received().items()),
            lambda fewest: fewest >= SOME_PACKETS,
            within=60,
            what="packets between all Pods",
        )

    async def start_two(self, driver: type[Router], asns: Sequence[int], **options: Any) -> None:
        """A router that reflects in each rack, and a speaker on each node; all know all Pod CIDRs.

        `options` are those of `RouterConfig`.
        """
        await self.mark(asns)
        await self.apply(*(each for rack, asn in enumerate(asns, 1) for each in self.router_peers(rack, asn)))
        for rack, asn in enumerate(asns, 1):
            config = self.node_by_node(rack, asns, dict.fromkeys(self.nodes_of(rack), asn), **options)
            await self.start_router(driver, rack, config)
        await self.start_speakers("--fabric", "--graceful-restart")
        await self.wait_learned()

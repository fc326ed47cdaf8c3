"""A cluster in the lab: nodes in namespaces below real routers, an API server, a speaker on each node.

Puts the parts together; the demo and the end-to-end tests are played on it. Knows nothing of what
is published.
"""

from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any, Self

from speaker.model.prefix import Family
from tests.lab.control_planes import API_PORT, ControlPlane, EmbeddedControlPlane, RealControlPlane
from tests.lab.kubeapi.backend import Backend
from tests.lab.kubeapi.server import KubeApi
from tests.lab.kubectl import Kubectl
from tests.lab.net.topology import MANAGEMENT_ADDRESSES, Topology
from tests.lab.roles import role_manifests
from tests.lab.routers.config import tor_config
from tests.lab.routers.router import Router
from tests.lab.routers.table import show_table
from tests.lab.speakers import Speaker
from tests.lab.waiting import eventually

NODE_ASN = 65000
ROUTER_ASN = 65030

Manifest = dict[str, Any]
Table = dict[str, set[str]]
"""Prefix to the names of the nodes that are its next hops."""


def node_manifest(name: str, addresses: Iterable[object]) -> dict[str, Any]:
    """A Node that carries the label which chooses speakers."""
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"ovn.kubernetes.io/bgp": "true"}},
        "status": {"addresses": [{"type": "InternalIP", "address": str(each)} for each in addresses]},
    }


class Cluster:
    """Everything of it ends with it: `async with Cluster(folder, nodes=3) as cluster`.

    Args:
        folder: for files and sockets; a short path.
        backend: a running API server to use; None starts the embedded one.
        nodes: how many nodes: node1, node2, ...
        tors: how many routers every node is below.
        clients: how many clients are behind each router.
    """

    def __init__(
        self,
        folder: Path,
        *,
        backend: Backend | None = None,
        nodes: int = 3,
        tors: int = 1,
        clients: int = 0,
    ) -> None:
        self.folder = folder
        self._backend = backend
        self.routers: list[Router] = []
        self.speakers: dict[str, Speaker] = {}
        self._shape = {"nodes": nodes, "tors": tors, "clients": clients}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            self.topology = stack.enter_context(Topology(management=True, **self._shape))
            inside = stack.enter_context(self.topology.management.socket())
            inside.bind((MANAGEMENT_ADDRESSES[0], API_PORT))
            inside.listen()
            self._control_plane: ControlPlane = (
                EmbeddedControlPlane(self.folder, inside)
                if self._backend is None
                else RealControlPlane(self._backend, inside)
            )
            await stack.enter_async_context(self._control_plane)
            await self.create(*role_manifests())
            for name in self.node_names:
                await self.create(node_manifest(name, self.topology.link(name).lower.addresses))
            self._kubectl = Kubectl(self._control_plane.kubeconfig, home=self.folder)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    @property
    def api(self) -> KubeApi:
        """The embedded API server, to do harm to.

        Raises:
            TypeError: the API server is a real one.
        """
        if not isinstance(self._control_plane, EmbeddedControlPlane):
            raise TypeError("this needs the embedded API server; mark the test emulator_only")
        return self._control_plane.api

    async def create(self, *documents: Manifest) -> None:
        """Create objects, their status included, as a controller would have left them."""
        await self._control_plane.create(*documents)

    @property
    def kubeconfig(self) -> Path:
        """An administrator's kubeconfig."""
        return self._control_plane.kubeconfig

    @property
    def node_names(self) -> tuple[str, ...]:
        """The names of all nodes."""
        return tuple(host.name for host in self.topology.nodes)

    async def add_router(self, driver: type[Router], **options: Any) -> Router:
        """Start a top-of-rack router that accepts every node; `options` are those of `RouterConfig`."""
        number = len(self.routers) + 1
        config = tor_config(asn=ROUTER_ASN, node_asn=NODE_ASN, number=number, **options)
        router = driver(config, self.topology[f"tor{number}"].namespace)
        self.routers.append(await self._stack.enter_async_context(router))
        return router

    async def speaker(
        self, node: str, *flags: str, families: frozenset[Family] = frozenset(Family)
    ) -> Speaker:
        """A speaker that is not started, with a session of each of the families to each router."""
        kubeconfig = self.folder / "speaker.kubeconfig"
        if not self.speakers:
            await self._control_plane.speaker_kubeconfig(kubeconfig)
        links = [self.topology.link(node, router.name) for router in self.topology.tors]
        v4 = ",".join(str(link.upper.v4.ip) for link in links)
        v6 = ",".join(str(link.upper.v6.ip) for link in links)
        neighbors = [f"--neighbor-address={v4}"] if Family.IPV4 in families else []
        neighbors += [f"--neighbor-ipv6-address={v6}"] if Family.IPV6 in families else []
        speaker = self.speakers[node] = Speaker(
            node,
            kubeconfig=kubeconfig,
            folder=self.folder,
            flags=[*neighbors, f"--neighbor-as={ROUTER_ASN}", f"--cluster-as={NODE_ASN}", *flags],
            addresses=links[0].lower.addresses,
            namespace=self.topology[node].namespace,
        )
        self._stack.push_async_exit(speaker)
        return speaker

    async def start_speakers(self, *flags: str, families: frozenset[Family] = frozenset(Family)) -> None:
        """Start the speakers of all nodes and return once they are in sync and have their sessions."""
        for name in self.node_names:
            await (await self.speaker(name, *flags, families=families)).start()
        for speaker in self.speakers.values():
            await speaker.wait_in_sync()
        for router in self.routers:
            await self.wait_established(router, len(families) * len(self.speakers))

    async def wait_established(self, router: Router, count: int, within: float = 15.0) -> None:
        """Return once the router has so many established sessions."""
        await router.wait_sessions(
            lambda sessions: sum(info.established for info in sessions.values()) == count,
            what=f"{count} established sessions",
            within=within,
        )

    async def table(self, router: Router | None = None) -> Table:
        """What the router, by default the first, has learned: prefix to the names of nodes."""
        seen = router or self.routers[0]
        names = {str(address): name for address, name in self.topology.names(seen.namespace.name).items()}
        learned = await seen.next_hops()
        return {prefix: {names.get(hop, hop) for hop in hops} for prefix, hops in learned.items()}

    async def wait_table(self, expected: Mapping[str, set[str]], within: float = 10.0) -> None:
        """Return once every router has exactly these prefixes from these nodes."""
        for router in self.routers:
            try:
                await eventually(
                    partial(self.table, router),
                    lambda table: table == expected,
                    within=within,
                    what=f"{router}: {dict(expected)}",
                )
            except AssertionError as error:
                error.add_note(show_table(await router.routes()))
                for speaker in self.speakers.values():
                    error.add_note(f"{speaker} wrote, at the end:\n{speaker.log()[-3000:]}")
                raise

    async def kubectl(self, *arguments: str, stdin: str = "") -> str:
        """What kubectl prints, as an administrator of the cluster.

        Raises:
            CommandFailedError: it failed.
        """
        return await self._kubectl.run(arguments, stdin)

    async def annotate(self, kind: str, name: str, *annotations: str) -> None:
        """`kubectl annotate --overwrite`; `key=value` sets, `key-` removes."""
        await self.kubectl("annotate", "--overwrite", kind, name, *annotations)

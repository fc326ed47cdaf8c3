"""A cluster on a fabric: nodes that route each other's Pods, an API server, a speaker on each node.

Puts the parts together, as `tests.lab.cluster` does below top-of-rack routers: the network
(`tests.lab.net.fabric`), Pods, Node objects with Pod CIDRs, the custom resources, speakers and the routers
of racks. All of it may change while it runs. Knows nothing of what sessions there should be.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any, Self

import yaml

from tests.lab.cluster import Manifest, Table, node_manifest
from tests.lab.control_planes import API_PORT, ControlPlane, EmbeddedControlPlane, RealControlPlane
from tests.lab.kubeapi.backend import Backend
from tests.lab.kubeapi.server import KubeApi
from tests.lab.kubectl import Kubectl
from tests.lab.net.fabric import Fabric
from tests.lab.net.topology import MANAGEMENT_ADDRESSES
from tests.lab.pods import Pods, pod_cidrs
from tests.lab.program import Completed, run_program
from tests.lab.roles import role_manifests
from tests.lab.routers.fib import kernel_fib
from tests.lab.routers.racks import rack_config
from tests.lab.routers.router import Router
from tests.lab.speakers import Speaker
from tests.lab.waiting import eventually

KERNEL_PROTOCOL = "203"
"""What speakers mark the routes with that they learn."""

START_SECONDS = 120.0
"""How long speakers get that start at once on a machine that has other work too."""

_CRDS = Path(__file__).parents[2] / "manifests" / "crds"


def crd_manifests() -> list[Manifest]:
    """The CustomResourceDefinitions of manifests/crds."""
    documents = (yaml.safe_load_all(path.read_text()) for path in sorted(_CRDS.glob("*.yaml")))
    # A kustomization stands beside them.
    return [
        each for some in documents for each in some if each and each["kind"] == "CustomResourceDefinition"
    ]


class FabricCluster:
    """Everything of it ends with it: `async with FabricCluster(folder, 3, 2) as cluster`.

    Args:
        folder: for files and sockets; a short path.
        racks: how many nodes each rack has from the start; see `Fabric`.
        flat: all nodes are on one switch.
        pods: how many Pods each node gets.
        crds: what to create instead of manifests/crds.
        labels: the labels of all Nodes, beside those that every Node has.
        backend: a running API server to use; None starts the embedded one.
    """

    def __init__(
        self,
        folder: Path,
        *racks: int,
        flat: bool = False,
        pods: int = 1,
        crds: Sequence[Manifest] | None = None,
        labels: Mapping[str, str] | None = None,
        backend: Backend | None = None,
    ) -> None:
        self.folder = folder
        self.speakers: dict[str, Speaker] = {}
        self.routers: dict[int, Router] = {}
        self._racks = racks
        self._flat = flat
        self._pods_each = pods
        self._crds = crds
        self._labels = dict(labels or {})
        self._backend = backend
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            self.fabric = stack.enter_context(Fabric(*self._racks, flat=self._flat, management=True))
            self.pods = stack.enter_context(Pods(self.fabric))
            inside = stack.enter_context(self.fabric.management.socket())
            inside.bind((MANAGEMENT_ADDRESSES[0], API_PORT))
            inside.listen()
            self._control_plane: ControlPlane = (
                EmbeddedControlPlane(self.folder, inside)
                if self._backend is None
                else RealControlPlane(self._backend, inside)
            )
            await stack.enter_async_context(self._control_plane)
            await self.create(*role_manifests(), *(crd_manifests() if self._crds is None else self._crds))
            await self._control_plane.speaker_kubeconfig(self._speaker_kubeconfig)
            self._kubectl = Kubectl(self._control_plane.kubeconfig, home=self.folder)
            for name in self.node_names:
                await self._create_node(name, {}, {})
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    @property
    def node_names(self) -> tuple[str, ...]:
        """The names of all nodes there are now."""
        return tuple(host.name for host in self.fabric.nodes)

    @property
    def api(self) -> KubeApi:
        """The embedded API server, to do harm to.

        Raises:
            TypeError: the API server is a real one.
        """
        if not isinstance(self._control_plane, EmbeddedControlPlane):
            raise TypeError("this needs the embedded API server; mark the test emulator_only")
        return self._control_plane.api

    @property
    def kubeconfig(self) -> Path:
        """An administrator's kubeconfig."""
        return self._control_plane.kubeconfig

    # -- objects ---------------------------------------------------------------------------------------

    async def create(self, *documents: Manifest) -> None:
        """Create objects, their status included, as a controller would have left them."""
        await self._control_plane.create(*documents)

    async def apply(self, *documents: Manifest | str) -> str:
        """`kubectl apply` of objects, or of YAML as it stands; returns what it printed.

        Raises:
            CommandFailedError: the API server refused one of them.
        """
        texts = [each if isinstance(each, str) else yaml.safe_dump(each) for each in documents]
        return await self.kubectl("apply", "-f", "-", stdin="\n---\n".join(texts))

    async def kubectl(self, *arguments: str, stdin: str = "") -> str:
        """What kubectl prints, as an administrator of the cluster.

        Raises:
            CommandFailedError: it failed.
        """
        return await self._kubectl.run(arguments, stdin)

    async def get(self, kind: str, name: str) -> Any:
        """An object as the API server has it, as a document."""
        return yaml.safe_load(await self.kubectl("get", kind, name, "-o", "yaml"))

    async def annotate(self, node: str, *annotations: str) -> None:
        """`kubectl annotate --overwrite` of a Node; `key=value` sets, `key-` removes."""
        await self.kubectl("annotate", "--overwrite", "node", node, *annotations)

    async def label(self, node: str, *labels: str) -> None:
        """`kubectl label --overwrite` of a Node; `key=value` sets, `key-` removes."""
        await self.kubectl("label", "--overwrite", "node", node, *labels)

    # -- nodes -----------------------------------------------------------------------------------------

    async def add_node(
        self,
        rack: int = 1,
        *,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
    ) -> str:
        """Add a node with its Pods and its Node object, and return its name; its speaker is not started."""
        name = self.fabric.add_node(rack)
        await self._create_node(name, labels or {}, annotations or {})
        return name

    async def remove_node(self, name: str) -> None:
        """Take a node away as an administrator does: speaker, Node object, then the machine with its Pods."""
        speaker = self.speakers.pop(name, None)
        if speaker is not None:
            await speaker.stop()
        await self.kubectl("delete", "node", name, "--wait=false")
        self.pods.remove_from(name)
        self.fabric.remove(name)

    async def _create_node(
        self, name: str, labels: Mapping[str, str], annotations: Mapping[str, str]
    ) -> None:
        for _ in range(self._pods_each):
            self.pods.add(name)
        manifest = node_manifest(name, self.fabric.link(name).lower.addresses)
        cidrs = [str(cidr) for cidr in pod_cidrs(name)]
        manifest["metadata"]["labels"] |= self._labels | {"kubernetes.io/hostname": name} | dict(labels)
        manifest["metadata"]["annotations"] = dict(annotations)
        manifest["spec"] = {"podCIDR": cidrs[0], "podCIDRs": cidrs}
        await self.create(manifest)

    # -- speakers and routers --------------------------------------------------------------------------

    def speaker(self, node: str, *flags: str) -> Speaker:
        """A speaker that is not started, with no flags but those that every speaker of the lab has."""
        speaker = self.speakers[node] = Speaker(
            node,
            kubeconfig=self._speaker_kubeconfig,
            folder=self.folder,
            flags=flags,
            addresses=self.fabric.link(node).lower.addresses,
            namespace=self.fabric[node].namespace,
        )
        self._stack.push_async_exit(speaker)
        return speaker

    async def start_speakers(
        self, *flags: str, nodes: Sequence[str] | None = None, within: float = START_SECONDS
    ) -> None:
        """Start the speakers of these nodes, by default of all, at once; return when they are in sync."""
        speakers = [self.speaker(name, *flags) for name in (self.node_names if nodes is None else nodes)]
        await asyncio.gather(*(speaker.start() for speaker in speakers))
        for speaker in speakers:
            await speaker.wait_in_sync(within)

    async def add_router(
        self, driver: type[Router], rack: int, asns: Sequence[int], **options: Any
    ) -> Router:
        """Start the router of a rack; `options` are those of `rack_config`."""
        config = rack_config(self.fabric, rack, asns, **options)
        router = await self.start_beside(driver(config, self.fabric.racks[rack - 1].head.namespace))
        self.routers[rack] = router
        return router

    async def start_beside(self, router: Router) -> Router:
        """Start a router that is no rack's own, on a node or another host; it ends with the cluster."""
        return await self._stack.enter_async_context(router)

    def learned(self, node: str, protocol: str = KERNEL_PROTOCOL) -> Table:
        """The node's kernel routes of a protocol: prefix to the names of the nodes or routers behind them."""
        names = {str(address): name for address, name in self.fabric.names().items()}
        fib = kernel_fib(self.fabric[node].namespace, protocol=protocol)
        return {prefix: {names.get(leg.gateway, leg.gateway) for leg in legs} for prefix, legs in fib.items()}

    async def wait_learned(
        self, *nodes: str, protocol: str = KERNEL_PROTOCOL, within: float = START_SECONDS
    ) -> None:
        """Return once the kernels of these nodes, by default of all, have all Pod CIDRs of all others."""
        wanted = {name: {str(cidr) for cidr in pod_cidrs(name)} for name in self.node_names}

        def missing(node: str) -> set[str]:
            others = (cidrs for name, cidrs in wanted.items() if name != node)
            return set().union(*others) - set(self.learned(node, protocol))

        for node in nodes or self.node_names:
            await eventually(
                # ip(8) takes its time, and this loop may have traffic to send.
                partial(asyncio.to_thread, missing, node),
                lambda prefixes: not prefixes,
                within=within,
                what=f"{node}: kernel routes to all Pod CIDRs",
                show=lambda prefixes: f"it has none to {sorted(prefixes)}",
            )

    async def ask(self, node: str, command: str, **request: object) -> Any:
        """What a node's speaker answers over its control socket."""
        return await self.speakers[node].ask(command, **request)

    async def ask_all(self, command: str, **request: object) -> dict[str, Any]:
        """The same of all speakers that run, by node."""
        running = [node for node, speaker in self.speakers.items() if speaker.child.running]
        answers = await asyncio.gather(*(self.ask(node, command, **request) for node in running))
        return dict(zip(running, answers, strict=True))

    async def run(self, *arguments: str, node: str | None = None, stdin: str = "") -> Completed:
        """`speaker ARGUMENTS` as an administrator types it; with a node, about its speaker."""
        if node is not None:
            arguments += (f"--control-socket={self.speakers[node].control_socket}",)
        return await run_program(*arguments, kubeconfig=self.kubeconfig, stdin=stdin)

    @property
    def _speaker_kubeconfig(self) -> Path:
        return self.folder / "speaker.kubeconfig"

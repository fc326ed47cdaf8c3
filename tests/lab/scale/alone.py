"""One whole speaker, alone in its process, on a node of its own; its neighbours are cheap ones.

It is the program as a node runs it: with an API server that tells it of all Nodes, with the kernel's real
tables, and with as many sessions as the design gives it. Knows how to build that and what to read off it.
"""

import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from statistics import median
from typing import Any

from speaker.model.fabric import GROUP, VERSION
from tests.lab.control_planes import API_PORT, EmbeddedControlPlane
from tests.lab.fabric_cluster import crd_manifests
from tests.lab.net.namespace import Namespace
from tests.lab.net.topology import MANAGEMENT_ADDRESSES
from tests.lab.roles import role_manifests
from tests.lab.scale.clusters import NODE_NETWORK, ClusterShape, address_of, name_of, pod_cidr
from tests.lab.scale.process import Answer, Process
from tests.lab.scale.usage import Usage, usage
from tests.lab.speakers import Speaker
from tests.lab.waiting import eventually

CHANGES = 5
"""How many times a node's Pod CIDRs change: the middle counts."""

QUIET_SECONDS = 10.0
"""How long the speaker is watched while nothing happens."""

IDLE_SECONDS = 2.0
"""Between two looks at what the neighbours have heard."""

COMPLETE_SECONDS = 120.0
CHANGE_SECONDS = 20.0

_UPSTREAM, _NODE = "10.130.0.1", "10.130.0.2"
_ROUTES = ("ip", "-4", "route", "show", "proto", "203", "type", "unicast")


@dataclass(frozen=True, slots=True, kw_only=True)
class AloneFigures:
    """What one whole speaker took.

    Attributes:
        sessions: how many it has.
        routes: how many it has put into the kernel.
        start_seconds: from the start of the process until the kernel had every Pod CIDR.
        start_cpu_seconds: CPU until then.
        memory_bytes: resident when all was quiet.
        peak_bytes: the most that was resident.
        quiet_cpu: CPU while nothing happens, seconds a second.
        change_seconds: from another node's new Pod CIDR until it is in the kernel.
        change_cpu_seconds: CPU for that, its report included.
        updates_sent: UPDATEs with routes that it had sent when all was quiet.
    """

    sessions: int
    routes: int
    start_seconds: float
    start_cpu_seconds: float
    memory_bytes: float
    peak_bytes: float
    quiet_cpu: float
    change_seconds: float
    change_cpu_seconds: float
    updates_sent: float


async def measure(shape: ClusterShape, number: int) -> AloneFigures:
    """Start the speaker of one Node among its neighbours, change another Node, and return the figures.

    Raises:
        NotReachedError: it took too long.
        ProcessEndedError: the neighbours ended.
    """
    async with _scene(shape, number) as scene:
        return await scene.measure()


@asynccontextmanager
async def _scene(shape: ClusterShape, number: int) -> AsyncIterator["_Scene"]:
    # Unix sockets live here: the path must be short.
    folder = Path(tempfile.mkdtemp(prefix="scale-"))
    try:
        async with AsyncExitStack() as stack:
            others = stack.enter_context(Namespace("others"))
            node = stack.enter_context(Namespace("node"))
            _connect(others, node, number)
            listening = stack.enter_context(others.socket())
            listening.bind((MANAGEMENT_ADDRESSES[0], API_PORT))
            listening.listen()
            plane = EmbeddedControlPlane(folder, listening)
            await stack.enter_async_context(plane)
            await plane.create(*role_manifests(), *crd_manifests(), *manifests(shape))
            await plane.speaker_kubeconfig(folder / "speaker.kubeconfig")
            neighbours = await stack.enter_async_context(
                Process.started(
                    others, "tests.lab.scale.neighbours", shape.design, str(shape.size), str(number)
                )
            )
            speaker = Speaker(
                name_of(number),
                kubeconfig=folder / "speaker.kubeconfig",
                folder=folder,
                flags=["--fabric", "--graceful-restart", f"--annotation-prefix={GROUP}"],
                addresses=[address_of(number)],
                namespace=node,
            )
            stack.push_async_exit(speaker)
            yield _Scene(shape, number, node, plane, neighbours, speaker)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _connect(others: Namespace, node: Namespace, number: int) -> None:
    """A cable between the node and everybody else, who are all behind one router."""
    own = address_of(number)
    others.ip(
        f"link add name node type veth peer name eth0 netns {node.path}",
        f"address add {_UPSTREAM}/30 dev node",
        "link set node up",
        f"address add {MANAGEMENT_ADDRESSES[0]}/32 dev lo",
        # All addresses of the network are here, but for that of the node.
        *(f"route add local {part} dev lo" for part in NODE_NETWORK.address_exclude(IPv4Network(own))),
        f"route add {own}/32 via {_NODE}",
    )
    node.ip(
        f"address add {_NODE}/30 dev eth0",
        "link set eth0 up",
        f"address add {own}/32 dev lo",
        f"route add {NODE_NETWORK} via {_UPSTREAM} src {own}",
        f"route add {MANAGEMENT_ADDRESSES[0]}/32 via {_UPSTREAM} src {own}",
    )


def manifests(shape: ClusterShape) -> list[dict[str, Any]]:
    """The cluster as an API server has it."""
    resources = [
        {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": str(kind),
            "metadata": {"name": name},
            "spec": spec,
        }
        for (kind, name), spec in shape.specs().items()
    ]
    return [*(node_manifest(shape, number) for number in range(1, shape.nodes + 1)), *resources]


def node_manifest(shape: ClusterShape, number: int, pod_cidrs: int = 1) -> dict[str, Any]:
    """A Node with so many Pod CIDRs."""
    cidrs = [str(pod_cidr(number, which)) for which in range(pod_cidrs)]
    labels, annotations = shape.marks(number)
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name_of(number), "labels": labels, "annotations": annotations},
        "spec": {"podCIDR": cidrs[0], "podCIDRs": cidrs},
        "status": {"addresses": [{"type": "InternalIP", "address": str(address_of(number))}]},
    }


class _Scene:
    """Everything is there, and the speaker has not been started."""

    def __init__(
        self,
        shape: ClusterShape,
        number: int,
        node: Namespace,
        plane: EmbeddedControlPlane,
        neighbours: Process,
        speaker: Speaker,
    ) -> None:
        self._shape = shape
        self._number = number
        self._node = node
        self._plane = plane
        self._neighbours = neighbours
        self._speaker = speaker

    async def measure(self) -> AloneFigures:
        began = time.monotonic()
        await self._speaker.start()
        await self._until_routes(self._shape.nodes - 1, COMPLETE_SECONDS)
        start_seconds = time.monotonic() - began
        started = self._usage()
        await self._until_quiet()
        quiet = self._usage()
        await asyncio.sleep(QUIET_SECONDS)
        later = self._usage()
        seen = await self._neighbours_idle()
        took = [await self._change(which) for which in range(1, CHANGES + 1)]
        await self._until_quiet()
        return AloneFigures(
            sessions=int(seen["sessions"]),
            routes=self._shape.nodes - 1,
            start_seconds=start_seconds,
            start_cpu_seconds=started.cpu_seconds,
            memory_bytes=later.memory_bytes,
            peak_bytes=later.peak_bytes,
            quiet_cpu=(later.cpu_seconds - quiet.cpu_seconds) / QUIET_SECONDS,
            change_seconds=median(took),
            change_cpu_seconds=(self._usage().cpu_seconds - later.cpu_seconds) / CHANGES,
            updates_sent=seen["updates"],
        )

    def _usage(self) -> Usage:
        return usage(self._speaker.child.pid)

    async def _change(self, which: int) -> float:
        """Another Node, neither the first nor a reflector, gets one more Pod CIDR; how long it took."""
        owner = self._shape.nodes
        resources = self._plane.api.api.resources()
        nodes = next(each for each in resources if each.kind == "Node")
        began = time.monotonic()
        self._plane.api.api.replace(nodes, "", node_manifest(self._shape, owner, which + 1))
        await self._neighbours.ask(f"announce {owner} {which}", CHANGE_SECONDS)
        await self._until_routes(self._shape.nodes - 1 + which, CHANGE_SECONDS)
        return time.monotonic() - began

    async def _until_routes(self, number: int, within: float) -> None:
        await eventually(
            self._routes,
            lambda seen: seen == number,
            within=within,
            what=f"{number} routes in the kernel",
            show=lambda seen: f"{seen} routes\n{self._speaker.log()[-2000:]}",
        )

    async def _routes(self) -> int:
        # ip(8) takes its time, and the API server lives on this loop.
        shown = await asyncio.to_thread(self._node.run, *_ROUTES)
        return len(shown.splitlines())

    async def _neighbours_idle(self) -> Answer:
        """What the neighbours have heard, once they have read it all: they share a core."""
        before: Answer = {}
        while (seen := await self._neighbours.ask("figures", COMPLETE_SECONDS)) != before:
            before = seen
            await asyncio.sleep(IDLE_SECONDS)
        return seen

    async def _until_quiet(self) -> None:
        """Return once the speaker has used next to nothing for a while: its reports are written."""

        async def used() -> float:
            before = self._usage().cpu_seconds
            await asyncio.sleep(1.0)
            return self._usage().cpu_seconds - before

        await eventually(used, lambda seconds: seconds <= 0.05, within=60.0, what="a quiet speaker", show=str)

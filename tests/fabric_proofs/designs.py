"""The designs of a fabric as resources, and whether the speakers have arrived at one.

Knows the documents that an administrator applies, and the sessions that have to follow from them.
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping
from functools import partial
from itertools import permutations
from typing import Any

from speaker.errors import SpeakerError
from tests.lab.cluster import Manifest
from tests.lab.fabric_cluster import FabricCluster
from tests.lab.pods import pod_cidrs
from tests.lab.waiting import eventually

API = "bgp.route-speaker.io/v1alpha1"
CLUSTER_ID = "bgp.route-speaker.io/route-reflector-cluster-id"
CLIENTS = "clients"
"""The BGPPeer that binds clients to reflectors."""

FLAGS = ("--fabric", "--graceful-restart")
WAIT_SECONDS = 120.0
"""For what takes two seconds where nothing else is to be done."""

Sessions = Mapping[str, Collection[str]]
"""Which other nodes each node peers with."""


def configuration(**spec: object) -> Manifest:
    """The BGPConfiguration that counts."""
    return resource("BGPConfiguration", "default", **spec)


def mesh(**spec: object) -> Manifest:
    """Every node peers with every other."""
    return configuration(nodeToNodeMeshEnabled=True, **spec)


def reflected(**spec: object) -> list[Manifest]:
    """The nodes labelled `rr` reflect, if they are marked, and the others are their clients."""
    return [
        configuration(nodeToNodeMeshEnabled=False, routeReflectorSelector="has(rr)", **spec),
        resource("BGPPeer", CLIENTS, nodeSelector="!has(rr)", peerSelector="has(rr)"),
    ]


def resource(kind: str, name: str, **spec: object) -> Manifest:
    """One of our custom resources."""
    return {"apiVersion": API, "kind": kind, "metadata": {"name": name}, "spec": spec}


async def make_reflector(cluster: FabricCluster, node: str, cluster_id: str = "244.0.0.1") -> None:
    """Mark a node and label it: from then on it reflects, where the BGPConfiguration says so too."""
    await cluster.annotate(node, f"{CLUSTER_ID}={cluster_id}")
    await cluster.label(node, "rr=yes")


async def make_client(cluster: FabricCluster, node: str) -> None:
    """Undo `make_reflector`."""
    await cluster.label(node, "rr-")
    await cluster.annotate(node, f"{CLUSTER_ID}-")


def all_of(nodes: Iterable[str]) -> Sessions:
    """The sessions of a full mesh."""
    found: dict[str, set[str]] = {}
    for one, other in permutations(nodes, 2):
        found.setdefault(one, set()).add(other)
    return found


def around(reflectors: Collection[str], nodes: Iterable[str]) -> Sessions:
    """The sessions of reflectors, in a mesh of their own, with all other nodes as clients of each."""
    everybody = set(nodes)
    return {node: everybody - {node} if node in reflectors else set(reflectors) for node in sorted(everybody)}


async def wait_sessions(cluster: FabricCluster, wanted: Sessions, within: float = WAIT_SECONDS) -> None:
    """Return once these speakers have exactly these sessions, all established and nothing held back."""

    async def missing() -> list[str]:
        answers = await statuses(cluster, wanted)
        return [
            sentence
            for node, peers in wanted.items()
            for sentence in _missing(node, answers[node], set(peers))
        ]

    await eventually(missing, lambda found: not found, within=within, what="the design", show="\n".join)


async def wait_down(cluster: FabricCluster, gone: str, nodes: Iterable[str] | None = None) -> None:
    """Return once none of these speakers, by default all others, has a session with this node."""
    others = [node for node in nodes or cluster.node_names if node != gone]

    async def still() -> list[str]:
        answers = await statuses(cluster, others)
        return [node for node in others if states(answers[node]).get(gone) == "Established"]

    await eventually(still, lambda found: not found, within=WAIT_SECONDS, what=f"the end of {gone}")


async def statuses(cluster: FabricCluster, nodes: Iterable[str]) -> dict[str, Any]:
    """What `speaker status` says on these nodes; None where no speaker answers."""

    async def one(node: str) -> Any:
        try:
            return await cluster.ask(node, "status")
        except SpeakerError:
            return None

    names = tuple(nodes)
    return dict(zip(names, await asyncio.gather(*map(one, names)), strict=True))


def states(status: Mapping[str, Any] | None) -> dict[str, str]:
    """The state of each session, by peer; there are none where no speaker answers."""
    return {} if status is None else {each["peer"]: each["state"] for each in status["sessions"]}


def _missing(node: str, status: dict[str, Any] | None, wanted: set[str]) -> list[str]:
    """What keeps a speaker from having arrived."""
    if status is None:
        return [f"{node}: no speaker"]
    there, fabric = states(status), status["fabric"]
    found = [f"{node}: no session with {peer}" for peer in sorted(wanted - there.keys())]
    found += [f"{node}: still a session with {peer}" for peer in sorted(there.keys() - wanted)]
    found += [f"{node}: {peer} is {state}" for peer, state in there.items() if state != "Established"]
    found += [f"{node}: {each}" for each in (*fabric["retiring"], *fabric["held_back"])]
    return found if fabric["settled"] else [*found, f"{node}: has not settled"]


async def wait_forgotten(cluster: FabricCluster, gone: str) -> None:
    """Return once no kernel has a route of a speaker to the Pod CIDRs of this node."""
    cidrs = {str(cidr) for cidr in pod_cidrs(gone)}

    def left(node: str) -> set[str]:
        return cidrs & cluster.learned(node).keys()

    for node in cluster.node_names:
        if node != gone:
            await eventually(
                partial(asyncio.to_thread, left, node),
                lambda prefixes: not prefixes,
                within=WAIT_SECONDS,
                what=f"{node}: no kernel routes to {gone}",
            )

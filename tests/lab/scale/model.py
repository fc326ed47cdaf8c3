"""What a fabric of any size takes, from the figures of those that were measured.

Sessions, routes and UPDATEs follow from the design. Memory and CPU are those of a small speaker, and so much
for each Node and for each pair of Nodes, from the two largest rows of a kind. Pure arithmetic.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Self

from tests.lab.scale.rows import Results

ROUTERS_A_NODE = 2
"""How many routers, or reflectors, each Node peers with."""

NODES_A_RACK = 40

HEARTBEAT_SECONDS = 300
"""How often the kubelet writes the status of a Node that does not change (nodeStatusReportFrequency)."""

NODE_BYTES = 18_000
"""A Node as JSON on the wire: an estimate, since labels, images and conditions differ."""


class Fabric(Enum):
    """The designs, as headings name them."""

    MESH = "Full mesh"
    REFLECTORS = "Two route reflectors in the cluster"
    RACKS = "Routers as reflectors, an AS for each rack"
    SERVERS = "An AS for each server, and nodes that learn nothing"


@dataclass(frozen=True, slots=True)
class Curve:
    """`base + linear * nodes + square * nodes ** 2`, none of them negative."""

    base: float
    linear: float
    square: float

    @classmethod
    def through(cls, base: float, one: tuple[int, float], other: tuple[int, float]) -> Self:
        """The one that goes through two points above a base; figures scatter, so as near as it can."""
        (few, less), (many, more) = one, other
        less, more = max(less - base, 0.0), max(more - base, 0.0)
        square = (more / many - less / few) / (many - few)
        if square < 0:
            return cls(base, more / many, 0.0)
        linear = more / many - square * many
        return cls(base, linear, square) if linear >= 0 else cls(base, 0.0, more / many**2)

    def at(self, nodes: int) -> float:
        """The value for so many Nodes."""
        return self.base + self.linear * nodes + self.square * nodes**2


@dataclass(frozen=True, slots=True)
class Part:
    """What one speaker of a kind takes.

    Attributes:
        memory: bytes.
        start: CPU seconds until all is known, the start of the program included.
        change: CPU seconds for another Node's change.
    """

    memory: Curve
    start: Curve
    change: Curve


@dataclass(frozen=True, slots=True)
class Constants:
    """The model's constants, by the kind of speaker."""

    mesh: Part
    client: Part
    reflector: Part

    @classmethod
    def of(cls, results: Results) -> Self:
        """From the rows of single speakers.

        Raises:
            KeyError: one of them has not been measured.
        """
        return cls(
            mesh=_part(results, "mesh", (500, 1000)),
            client=_part(results, "client", (500, 2000)),
            reflector=_part(results, "reflector", (200, 400)),
        )


def _part(results: Results, kind: str, sizes: tuple[int, int]) -> Part:
    base = results.alone["node-mesh-10"]
    few, many = sizes
    less, more = (results.alone[f"node-{kind}-{size}"] for size in sizes)
    return Part(
        memory=Curve.through(base.memory_bytes, (few, less.memory_bytes), (many, more.memory_bytes)),
        start=Curve.through(
            base.start_cpu_seconds, (few, less.start_cpu_seconds), (many, more.start_cpu_seconds)
        ),
        change=Curve.through(0.0, (few, less.change_cpu_seconds), (many, more.change_cpu_seconds)),
    )


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a design takes with so many Nodes, each with one Pod CIDR of one family.

    Attributes:
        sessions: of an ordinary Node.
        hub_sessions: of a reflector or a top-of-rack router; None where there is none.
        connections: TCP connections of the Nodes in all.
        routes: what an ordinary Node puts into its kernel.
        memory_bytes: of an ordinary Node's speaker.
        hub_memory_bytes: of a reflector's speaker; None where it is none of ours.
        start_updates: what all speakers of Nodes receive when all start.
        change_updates: what they receive when one Node has one more Pod CIDR.
        start_seconds: until all is known, by CPU alone, a core for each Node.
        change_seconds: the same for one change.
    """

    sessions: int
    hub_sessions: int | None
    connections: int
    routes: int
    memory_bytes: float
    hub_memory_bytes: float | None
    start_updates: int
    change_updates: int
    start_seconds: float
    change_seconds: float


def estimate(constants: Constants, fabric: Fabric, nodes: int) -> Estimate:
    """What a design takes."""
    match fabric:
        case Fabric.MESH:
            return _mesh(constants.mesh, nodes)
        case Fabric.REFLECTORS:
            return _reflectors(constants, nodes)
        case _:
            return _routers(constants.client, nodes, learns=fabric is Fabric.RACKS)


def _mesh(part: Part, nodes: int) -> Estimate:
    return Estimate(
        sessions=nodes - 1,
        hub_sessions=None,
        connections=nodes * (nodes - 1) // 2,
        routes=nodes - 1,
        memory_bytes=part.memory.at(nodes),
        hub_memory_bytes=None,
        start_updates=nodes * (nodes - 1),
        change_updates=nodes - 1,
        start_seconds=part.start.at(nodes),
        change_seconds=part.change.at(nodes),
    )


def _reflectors(constants: Constants, nodes: int) -> Estimate:
    """Of the Nodes two reflect; each tells its clients all, and the other what its clients tell."""
    clients = nodes - ROUTERS_A_NODE
    return Estimate(
        sessions=ROUTERS_A_NODE,
        hub_sessions=nodes - 1,
        connections=ROUTERS_A_NODE * clients + 1,
        routes=nodes - 1,
        memory_bytes=constants.client.memory.at(nodes),
        hub_memory_bytes=constants.reflector.memory.at(nodes),
        # A client hears of every other Node from both; of a reflector's own from both as well.
        start_updates=ROUTERS_A_NODE * (clients * (nodes - 1) + 2 * clients + 1),
        change_updates=ROUTERS_A_NODE * (clients - 1) + 2 * ROUTERS_A_NODE,
        start_seconds=constants.reflector.start.at(nodes),
        change_seconds=constants.reflector.change.at(nodes) + constants.client.change.at(nodes),
    )


def _routers(part: Part, nodes: int, *, learns: bool) -> Estimate:
    routes = nodes - 1 if learns else 0
    seen = nodes if learns else 1
    return Estimate(
        sessions=ROUTERS_A_NODE,
        hub_sessions=NODES_A_RACK,
        connections=ROUTERS_A_NODE * nodes,
        routes=routes,
        memory_bytes=part.memory.at(seen),
        hub_memory_bytes=None,
        start_updates=ROUTERS_A_NODE * nodes * routes,
        change_updates=ROUTERS_A_NODE * (nodes - 1) if learns else 0,
        start_seconds=part.start.at(seen),
        change_seconds=part.change.at(seen) if learns else 0.0,
    )


@dataclass(frozen=True, slots=True)
class WatchCost:
    """What watching all Nodes costs when no Node changes.

    Attributes:
        events: a second, at each watcher.
        watcher_bytes: a second, at each watcher.
        total_bytes: a second, for all API servers together when every speaker watches.
    """

    events: float
    watcher_bytes: float
    total_bytes: float


def watch_cost(nodes: int) -> WatchCost:
    """The cost of heartbeats alone: each Node's status, to every speaker."""
    events = nodes / HEARTBEAT_SECONDS
    return WatchCost(events, events * NODE_BYTES, events * NODE_BYTES * nodes)

"""How cost grows: a line through what was measured, drawn out to clusters that no lab holds.

Knows which figure of which row each constant is. Every formula is one sum; what it leaves out stands on the
page.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.bench.table import Line

PODS_A_NODE = 20
CLUSTERS = ((10, 1_000), (100, 10_000), (1_000, 50_000), (5_000, 100_000))
"""Nodes, and Pods of them all."""


@dataclass(frozen=True, slots=True)
class Constants:
    """What the measurements give.

    Attributes:
        base_mebibytes: resident with no Pods to speak of.
        pod_kibibytes: for each further published Pod.
        base_seconds: from process start to the last route with no Pods to speak of.
        pod_microseconds: for each further published Pod.
        change_microseconds: CPU of one change of a Pod.
        pod_event_kibibytes: that the API server sends for a Pod.
    """

    base_mebibytes: float
    pod_kibibytes: float
    base_seconds: float
    pod_microseconds: float
    change_microseconds: float
    pod_event_kibibytes: float


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one speaker, in a cluster."""

    nodes: int
    pods: int
    policy: str
    mebibytes: float
    start_seconds: float
    api_mebibytes: float
    all_api_gibibytes: float


def constants(lines: Iterable[Line]) -> Constants:
    """The constants in these lines.

    Raises:
        KeyError: a row that is needed was not measured.
    """
    notes: dict[str, float] = {}
    for line in lines:
        notes |= {f"{line.row}: {name}": value for name, value in line.notes.items()}
    return Constants(
        base_mebibytes=notes["memory: base, MiB"],
        pod_kibibytes=notes["memory: a Pod, KiB"],
        base_seconds=notes["start: with 10 Pods, s"],
        pod_microseconds=notes["start: a Pod, µs"],
        change_microseconds=notes["scale: a change, µs"],
        pod_event_kibibytes=notes["api: a Pod, KiB"],
    )


def growth(given: Constants) -> Iterator[Cost]:
    """What one speaker costs in clusters of each size."""
    for nodes, pods in CLUSTERS:
        for policy, watched in (("cluster", pods), ("local, --pod-scope=node", min(pods, PODS_A_NODE))):
            sent = watched * given.pod_event_kibibytes / 1024
            yield Cost(
                nodes=nodes,
                pods=pods,
                policy=policy,
                mebibytes=given.base_mebibytes + watched * given.pod_kibibytes / 1024,
                start_seconds=given.base_seconds + watched * given.pod_microseconds / 1e6,
                api_mebibytes=sent,
                all_api_gibibytes=nodes * sent / 1024,
            )


def most_changes(given: Constants) -> float:
    """How many Pod changes a second one core carries."""
    return 1e6 / given.change_microseconds


def as_rows(costs: Iterable[Cost]) -> Sequence[Mapping[str, str]]:
    """The cells of the table by their headings."""
    return [
        {
            "Nodes": f"{each.nodes:,}",
            "Pods": f"{each.pods:,}",
            "Policy": each.policy,
            "Memory": f"{each.mebibytes:,.0f} MiB",
            "Start to last route": f"{each.start_seconds:.1f} s",
            "API bytes of one start": f"{each.api_mebibytes:,.1f} MiB",
            "All speakers starting at once": f"{each.all_api_gibibytes:,.1f} GiB",
        }
        for each in costs
    ]

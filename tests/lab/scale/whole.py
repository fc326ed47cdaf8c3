"""A whole cluster at work: all of its speakers, in a few processes, in one namespace.

Knows how to start them, what to ask of them, and what the answers come to. Must not know the page.
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from statistics import median

from tests.lab.net.namespace import Namespace
from tests.lab.scale.clusters import NODE_NETWORK, REFLECTORS, ClusterShape, Design
from tests.lab.scale.process import Answer, Process

PROCESSES = 2
"""How many processes share the speakers that are no reflectors: the machine has as many cores."""

CHANGES = 5
"""How many times one node's Pod CIDRs change: the middle counts."""

COMPLETE_SECONDS = 170.0
CHANGE_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PartFigures:
    """What one speaker of a kind used, on average over those of its kind.

    Attributes:
        speakers: how many there are.
        per_process: how many shared a process.
        sessions: established sessions of one.
        updates: UPDATEs with routes that one received until all was known.
        start_cpu_seconds: CPU until all was known.
        memory_bytes: what one added to its process, which is nearly the whole of the process where it is
            alone: Python and the program came before.
        base_bytes: what the process had before its speakers.
        change_updates: UPDATEs that one received for one change.
        change_cpu_seconds: CPU for one change.
    """

    speakers: int
    per_process: float
    sessions: float
    updates: float
    start_cpu_seconds: float
    memory_bytes: float
    base_bytes: float
    change_updates: float
    change_cpu_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeFigures:
    """What a whole cluster took.

    Attributes:
        start_seconds: from the moment the speakers were told of the cluster until each knew every Pod CIDR.
        change_seconds: from the moment they were told of one new Pod CIDR until each knew it.
        speakers: the speakers that are no reflectors.
        reflectors: the others; None where there are none.
    """

    start_seconds: float
    change_seconds: float
    speakers: PartFigures
    reflectors: PartFigures | None


async def measure(shape: ClusterShape) -> WholeFigures:
    """Start a cluster, change a node, and return the figures.

    Raises:
        TimeoutError: it took too long.
        ProcessEndedError: a process ended.
    """
    with Namespace("cluster") as namespace:
        namespace.ip(f"route add local {NODE_NETWORK} dev lo")
        async with AsyncExitStack() as stack:
            processes = [
                await stack.enter_async_context(_started(namespace, shape, numbers))
                for numbers in _shares(shape)
            ]
            return await _measure(shape, processes)


async def _measure(shape: ClusterShape, processes: Sequence[Process]) -> WholeFigures:
    began = time.monotonic()
    start_seconds = await _order(processes, "start", COMPLETE_SECONDS) - began
    started = [await process.ask("figures", COMPLETE_SECONDS) for process in processes]
    changed = REFLECTORS + 1
    took = []
    for _ in range(CHANGES):
        began = time.monotonic()
        took.append(await _order(processes, f"change {changed}", CHANGE_SECONDS) - began)
    ended = [await process.ask("figures", COMPLETE_SECONDS) for process in processes]
    reflecting = REFLECTORS if shape.design is Design.REFLECTORS else 0
    return WholeFigures(
        start_seconds=start_seconds,
        change_seconds=median(took),
        speakers=_part(started[reflecting:], ended[reflecting:]),
        reflectors=_part(started[:reflecting], ended[:reflecting]) if reflecting else None,
    )


def _started(
    namespace: Namespace, shape: ClusterShape, numbers: Sequence[int]
) -> AbstractAsyncContextManager[Process]:
    """A process with the speakers of these Nodes."""
    names = ",".join(map(str, numbers))
    return Process.started(namespace, "tests.lab.scale.worker", shape.design, str(shape.size), names)


def _shares(shape: ClusterShape) -> list[list[int]]:
    """Which Nodes share a process: each reflector is alone, and the first ones."""
    numbers = range(1, shape.nodes + 1)
    reflectors = [[number] for number in numbers if shape.is_reflector(number)]
    others = [number for number in numbers if not shape.is_reflector(number)]
    return reflectors + [others[first::PROCESSES] for first in range(min(PROCESSES, len(others)))]


async def _order(processes: Sequence[Process], order: str, within: float) -> float:
    """When the last process had carried it out."""
    answers = await asyncio.gather(*(process.ask(order, within) for process in processes))
    return max(answer["at"] for answer in answers)


def _part(started: Sequence[Answer], ended: Sequence[Answer]) -> PartFigures:
    speakers = sum(answer["speakers"] for answer in started)

    def share(amount: float) -> float:
        return amount / speakers

    def used(answers: Sequence[Answer], key: str) -> float:
        return sum(answer[key] for answer in answers)

    return PartFigures(
        speakers=int(speakers),
        per_process=speakers / len(started),
        sessions=share(used(started, "sessions")),
        updates=share(used(started, "updates")),
        start_cpu_seconds=share(used(started, "cpu_seconds") - used(started, "base_cpu_seconds")),
        memory_bytes=share(used(started, "memory_bytes") - used(started, "base_bytes")),
        base_bytes=used(started, "base_bytes") / len(started),
        change_updates=share(used(ended, "updates") - used(started, "updates")) / CHANGES,
        change_cpu_seconds=share(used(ended, "cpu_seconds") - used(started, "cpu_seconds")) / CHANGES,
    )

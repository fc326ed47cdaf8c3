"""A process with some of the speakers of a cluster: `python -m tests.lab.scale.worker DESIGN SIZE NUMBERS`.

Reads an order a line and answers each with a line of JSON; ends with its input. Knows its own speakers
and the shape of the cluster; must not know what is measured.
"""

import asyncio
import gc
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

from speaker.model.objects import Change
from tests.lab.scale.clusters import ClusterShape, Design, address_of, name_of
from tests.lab.scale.fed_speaker import FedSpeaker
from tests.lab.scale.process import Answer, prepare, serve
from tests.lab.scale.usage import usage


class Worker:
    """Speakers, and when all of them knew all.

    Args:
        shape: the cluster.
        numbers: the Nodes whose speakers are here.
    """

    def __init__(self, shape: ClusterShape, numbers: Sequence[int]) -> None:
        gc.collect()
        self._base = usage()
        self._shape = shape
        self._speakers = {
            number: FedSpeaker(name_of(number), address_of(number), self._routes_changed)
            for number in numbers
        }
        self._pod_cidrs = Counter(range(1, shape.nodes + 1))
        self._ignorant: set[FedSpeaker] = set()
        self._wanted: dict[FedSpeaker, int] = {}
        self._complete = asyncio.Event()
        self._complete_at = 0.0

    async def serve(self) -> None:
        """Carry out orders until the input ends."""
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(speaker.run()) for speaker in self._speakers.values()]
            await serve(self._carry_out)
            for task in running:
                task.cancel()

    async def _carry_out(self, order: Sequence[str]) -> Answer:
        match order:
            case ["start"]:
                return await self._tell(self._shape.changes())
            case ["change", number]:
                self._pod_cidrs[int(number)] += 1
                return await self._tell([self._shape.node(int(number), self._pod_cidrs[int(number)])])
            case _:
                return self._figures()

    async def _tell(self, changes: Sequence[Change]) -> Answer:
        """Tell every speaker; answers when each of them knows every Pod CIDR."""
        everything = self._pod_cidrs.total()
        for number, speaker in self._speakers.items():
            # What a node owns itself it learns from nobody.
            self._wanted[speaker] = everything - self._pod_cidrs[number]
        self._ignorant = {m for m in self._speakers.values() if m.learned != self._wanted[m]}
        self._complete.clear()
        for speaker in self._speakers.values():
            speaker.tell(changes)
        self._look()
        await self._complete.wait()
        return {"at": self._complete_at}

    def _routes_changed(self, speaker: FedSpeaker) -> None:
        if speaker in self._ignorant and speaker.learned == self._wanted[speaker]:
            self._ignorant.discard(speaker)
            self._look()

    def _look(self) -> None:
        if not self._ignorant:
            self._complete_at = time.monotonic()
            self._complete.set()

    def _figures(self) -> Answer:
        """What the process has used, and what its speakers have."""
        gc.collect()
        speakers = self._speakers.values()
        return {
            **asdict(usage()),
            "base_bytes": self._base.memory_bytes,
            "base_cpu_seconds": self._base.cpu_seconds,
            "speakers": len(speakers),
            "sessions": sum(speaker.sessions for speaker in speakers),
            "updates": sum(speaker.updates for speaker in speakers),
        }


def main(design: str, size: str, numbers: str) -> None:
    """Serve the speakers of these Nodes: `3,4,5`."""
    prepare()
    shape = ClusterShape(Design(design), int(size))
    worker = Worker(shape, [int(number) for number in numbers.split(",")])
    asyncio.run(worker.serve())


if __name__ == "__main__":
    main(*sys.argv[1:])

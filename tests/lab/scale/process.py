"""The processes of a benchmark: orders in, answers out, a line each.

Knows how one is started in a namespace, asked and ended; both ends of the conversation are here. Must not
know what is asked.
"""

import asyncio
import json
import logging
import resource
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Self

from tests.lab.net.namespace import Namespace
from tests.lab.processes import mortal

START_SECONDS = 60.0
"""How long a process may take until it answers."""

_LINE_BYTES = 1 << 20

Answer = dict[str, float]


class ProcessEndedError(RuntimeError):
    """A process of the benchmark ended before it was asked to."""


class Process:
    """A process that is asked and answers."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    @asynccontextmanager
    async def started(cls, namespace: Namespace, module: str, *arguments: str) -> AsyncIterator[Self]:
        """`python -m MODULE ARGUMENTS` in the namespace; it ends with the block."""
        program = [sys.executable, "-m", module, *arguments]
        process = await asyncio.create_subprocess_exec(
            *namespace.inside(mortal(program)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_LINE_BYTES,
        )
        try:
            made = cls(process)
            await made.answer(START_SECONDS)
            yield made
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def ask(self, order: str, within: float) -> Answer:
        """Give an order and wait for the answer.

        Raises:
            TimeoutError: it did not come within so many seconds.
            ProcessEndedError: the process has ended.
        """
        if self._process.stdin is None:
            raise ProcessEndedError("the process takes no orders")
        self._process.stdin.write(f"{order}\n".encode())
        return await self.answer(within)

    async def answer(self, within: float) -> Answer:
        """The next line that it writes; as for `ask`."""
        if self._process.stdout is None:
            raise ProcessEndedError("the process gives no answers")
        async with asyncio.timeout(within):
            line = await self._process.stdout.readline()
        if not line:
            raise ProcessEndedError(f"the process ended with status {await self._process.wait()}")
        answer: Answer = json.loads(line)
        return answer


async def serve(carry_out: Callable[[Sequence[str]], Awaitable[Mapping[str, float]]]) -> None:
    """Be such a process: say that all is ready, then carry out each order until the input ends."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    _say({})
    while line := await reader.readline():
        _say(await carry_out(line.decode().split()))


def _say(figures: Mapping[str, float]) -> None:
    sys.stdout.write(json.dumps(figures) + "\n")
    sys.stdout.flush()


def prepare() -> None:
    """Log nothing but what is wrong, and have as many files open as the machine permits."""
    logging.basicConfig(level=logging.ERROR)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

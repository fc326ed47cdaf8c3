"""Children that die with the test: however this process ends, the kernel kills them.

Knows one child: how it is started, asked to stop, killed, and what it wrote. The parent-death
signal is set by setpriv(1) before the program runs; it survives as long as the program keeps its
user, so programs that change it are given a private /etc/passwd (see `tests.lab.routers.privacy`).
"""

import asyncio
import contextlib
import shutil
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from tests.lab.net.namespace import Namespace

STOP_SECONDS = 5.0


def mortal(argv: Sequence[str]) -> list[str]:
    """The command line that runs `argv` and has it killed when the thread that starts it dies."""
    return ["setpriv", "--pdeathsig", "KILL", "--", *argv] if shutil.which("setpriv") else list(argv)


class Child:
    """One running process, its output in a file."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path) -> None:
        self.name = name
        self._process = process
        self.log = log

    @classmethod
    async def start(
        cls,
        name: str,
        argv: Sequence[str],
        *,
        namespace: Namespace | None,
        log: Path,
        env: Mapping[str, str] | None = None,
    ) -> Self:
        """Start `argv` in the namespace, or in that of this process; both streams are appended to `log`."""
        command = mortal(argv) if namespace is None else namespace.inside(mortal(argv))
        with log.open("ab") as file:
            process = await asyncio.create_subprocess_exec(
                *command, env=env, stdin=asyncio.subprocess.DEVNULL, stdout=file, stderr=file
            )
        return cls(name, process, log)

    @property
    def pid(self) -> int:
        """The process's own pid."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.returncode is None

    @property
    def returncode(self) -> int | None:
        """Its exit status, negative for a signal; None while it runs."""
        return self._process.returncode

    def output(self) -> str:
        """All it wrote so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def send_signal(self, number: signal.Signals) -> None:
        """Signal it, if it still runs."""
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def wait(self) -> int:
        """Its exit status, once it has ended."""
        return await self._process.wait()

    async def stop(self, grace: float = STOP_SECONDS) -> int:
        """Ask it to end with SIGTERM; after `grace` seconds kill it."""
        self.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(grace):
                return await self.wait()
        except TimeoutError:
            return await self.kill()

    async def kill(self) -> int:
        """End it at once, with SIGKILL."""
        self.send_signal(signal.SIGKILL)
        return await self.wait()

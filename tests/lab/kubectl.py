"""The real kubectl against a cluster of the lab."""

import asyncio
import os
from pathlib import Path


class CommandFailedError(Exception):
    """A command failed; the text is what it said."""


class Kubectl:
    """kubectl with a kubeconfig.

    Args:
        kubeconfig: the cluster and the user.
        home: where it keeps its caches; None is the user's own place.
        program: which kubectl.
    """

    def __init__(self, kubeconfig: Path, *, home: Path | None = None, program: str = "kubectl") -> None:
        self._program = program
        self._environment = os.environ | {"KUBECONFIG": str(kubeconfig)}
        if home is not None:
            self._environment["HOME"] = str(home)

    async def run(self, arguments: tuple[str, ...], stdin: str = "") -> str:
        """What the command prints.

        Raises:
            CommandFailedError: it failed.
        """
        process = await asyncio.create_subprocess_exec(
            self._program,
            *arguments,
            env=self._environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate(stdin.encode())
        text = output.decode(errors="replace").strip()
        if process.returncode != 0:
            raise CommandFailedError(text)
        return text

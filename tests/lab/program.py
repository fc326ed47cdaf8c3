"""The program as an administrator types it: a command that ends, what it printed, and its exit status."""

import asyncio
import os
import sys
from dataclasses import dataclass
from pathlib import Path

_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Completed:
    """What a command ended with."""

    status: int
    output: str
    errors: str


async def run_program(*arguments: str, kubeconfig: Path, stdin: str = "") -> Completed:
    """`speaker ARGUMENTS`, which has a minute.

    Raises:
        TimeoutError: it took longer.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "speaker", *arguments),
        env=os.environ | {"KUBECONFIG": str(kubeconfig)},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(_SECONDS):
            output, errors = await process.communicate(stdin.encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return Completed(process.returncode or 0, output.decode(), errors.decode())

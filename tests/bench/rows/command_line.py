"""How long the program takes to say its version and its help."""

import asyncio
import sys
import time
from statistics import median

from tests.bench.rows.transfer import SPEAKER, side
from tests.bench.table import Line, Sense

RUNS = 15


async def command_line(*, runs: int = RUNS) -> list[Line]:
    """`speaker version` and `speaker --help`, beside an empty program of the same Python."""
    bare, *ours = await _times(
        ("-c", "pass"), ("-m", "speaker", "version"), ("-m", "speaker", "--help"), runs=runs
    )
    empty = side(f"Python {sys.version.split()[0]}", "an empty program", bare)
    return [
        Line(
            row="cli",
            title=f"start of {words}",
            figure=median(times),
            unit="s",
            sense=Sense.AT_MOST,
            bound=0.15,
            ours=side(SPEAKER, words, times),
            theirs=empty,
        )
        for words, times in zip(("speaker version", "speaker --help"), ours, strict=True)
    ]


async def _times(*programs: tuple[str, ...], runs: int) -> list[list[float]]:
    found: list[list[float]] = [[] for _ in programs]
    for _ in range(runs):
        for times, program in zip(found, programs, strict=True):
            began = time.monotonic()
            process = await asyncio.create_subprocess_exec(
                sys.executable, *program, stdout=asyncio.subprocess.DEVNULL
            )
            status = await process.wait()
            times.append(time.monotonic() - began)
            if status:
                raise RuntimeError(f"{' '.join(program)} ended with status {status}")
    return found

"""`make soak`: a million changes of Pods, and what the speaker's memory does meanwhile."""

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from statistics import median

from tests.bench import page
from tests.bench.rows.starting import MEBIBYTE
from tests.bench.scene import SYNC_SECONDS, scene
from tests.lab.net import namespace

CHANGES = 1_000_000
PODS = 2_000
PORTION = 10_000
FLAT_MEBIBYTES = 2.0
"""What the second half may have more than the first, medians both, once it has warmed up."""

_WARM_PART = 0.2
_PORTION_SECONDS = 120.0

Samples = list[tuple[float, float]]


def main() -> int:
    """Soak; returns 0 if memory stays flat and nothing is lost."""
    arguments = _arguments()
    if why := namespace.available():
        print(why, file=sys.stderr)
        return 2
    began = time.monotonic()
    samples, cpu = asyncio.run(soak(arguments.changes))
    grown = growth(samples)
    summary = {
        "soak_changes": samples[-1][0],
        "soak_pods": float(PODS),
        "soak_seconds": time.monotonic() - began,
        "soak_first_mebibytes": samples[0][1],
        "soak_last_mebibytes": samples[-1][1],
        "soak_grown_mebibytes": grown,
        "soak_change_microseconds": 1e6 * cpu / samples[-1][0],
    }
    for name, value in summary.items():
        print(f"{name.removeprefix('soak_')}: {value:,.2f}")
    if arguments.write:
        page.write_soak(samples, summary)
        page.write_page()
    return 0 if grown <= FLAT_MEBIBYTES else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.soak", description=__doc__)
    parser.add_argument("--changes", type=int, default=CHANGES)
    parser.add_argument("--write", action="store_true", help="keep the curve, and write the page")
    return parser.parse_args()


async def soak(changes: int, pods: int = PODS) -> tuple[Samples, float]:
    """MiB by the number of changes so far, and the CPU in seconds that they took.

    Raises:
        NotReachedError: it was not in sync in time.
        TimeoutError: what the peer has heard is not what it should have.
    """
    async with scene(pods=pods) as at:
        await at.speaker.start()
        await at.speaker.wait_in_sync(within=SYNC_SECONDS)
        await at.peers.ask(f"routes {pods}", SYNC_SECONDS)
        samples = [(0.0, at.usage().memory_bytes / MEBIBYTE)]
        before, done = at.cpu_seconds(), 0
        while done < changes:
            portion = min(PORTION, changes - done)
            told = await at.api.ask(f"churn {portion}", _PORTION_SECONDS)
            # What is not read yet is the kernel's: the server stops when the connection is full.
            await at.peers.ask(f"routes {told['published']:.0f}", _PORTION_SECONDS)
            done += portion
            samples.append((float(done), at.usage().memory_bytes / MEBIBYTE))
        return samples, at.cpu_seconds() - before


def growth(samples: Sequence[tuple[float, float]]) -> float:
    """By how many MiB the second half lies above the first, without what comes first of all."""
    warm = samples[int(len(samples) * _WARM_PART) :]
    half = len(warm) // 2
    return median(each for _, each in warm[half:]) - median(each for _, each in warm[:half])


if __name__ == "__main__":
    sys.exit(main())

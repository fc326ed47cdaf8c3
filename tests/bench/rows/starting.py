"""A cold start, the memory that it takes, and what the speaker does when nothing happens."""

import asyncio
import time
from statistics import median

from tests.bench.bench_speaker import BenchSpeaker
from tests.bench.place import place
from tests.bench.rows.transfer import SPEAKER, loaded, side
from tests.bench.scene import SYNC_SECONDS, Scene, scene
from tests.bench.table import Line, Sense
from tests.lab.scale.process import Process
from tests.lab.scale.usage import usage

FEW = 10
"""As many Pods as cost next to nothing."""

MEBIBYTE = 2**20
KIBIBYTE = 2**10

_SETTLE_SECONDS = 3.0


async def cold_start(*, pods: int = 10_000, runs: int = 3) -> list[Line]:
    """Process start to last route in BIRD, and the most memory of that."""
    few, _ = await _starts(FEW, runs)
    times, peaks = await _starts(pods, runs)
    a_pod = (median(times) - median(few)) / (pods - FEW)
    return [
        Line(
            row="start",
            title=f"process start to last route in BIRD, {pods:,} published Pods",
            figure=median(times),
            unit="s",
            sense=Sense.AT_MOST,
            bound=3.0,
            ours=side(SPEAKER, "one peer, WatchList over HTTP", times),
            notes={f"with {FEW} Pods, s": median(few), "a Pod, µs": 1e6 * a_pod},
        ),
        Line(
            row="start",
            title=f"peak resident memory of that run, {pods:,} published Pods",
            figure=median(peaks),
            unit="MiB",
            sense=Sense.AT_MOST,
            bound=115.0,
            ours=side(SPEAKER, "one peer", peaks, "MiB"),
        ),
    ]


async def _starts(pods: int, runs: int) -> tuple[list[float], list[float]]:
    """How long each start took, and the MiB at its peak."""
    times, peaks = [], []
    with place() as at:
        async with (
            Process.started(at.node, "tests.bench.standin", str(pods), "10", "cluster"),
            at.collector() as collector,
        ):
            for _ in range(runs):
                began = time.monotonic()
                async with BenchSpeaker(at) as speaker:
                    times.append(await loaded(collector, pods) - began)
                    peaks.append(usage(speaker.child.pid).peak_bytes / MEBIBYTE)
                await loaded(collector, 0)
    return times, peaks


async def memory(*, sizes: tuple[int, int, int] = (FEW, 10_000, 30_000)) -> list[Line]:
    """What each further published Pod takes."""
    resident = [await _resident(pods) for pods in sizes]
    base, few, many = resident
    a_pod = (many - few) / (sizes[2] - sizes[1])
    return [
        Line(
            row="memory",
            title="resident memory of each further published Pod",
            figure=a_pod / KIBIBYTE,
            unit="KiB",
            sense=Sense.AT_MOST,
            bound=2.5,
            ours=side(SPEAKER, f"{sizes[1]:,} and {sizes[2]:,} Pods, one peer", [a_pod / KIBIBYTE], "KiB"),
            notes={
                "base, MiB": base / MEBIBYTE,
                "a Pod, KiB": a_pod / KIBIBYTE,
                f"{sizes[1]:,} Pods, MiB": few / MEBIBYTE,
                f"{sizes[2]:,} Pods, MiB": many / MEBIBYTE,
            },
        )
    ]


async def _resident(pods: int) -> float:
    async with scene(pods=pods) as at:
        await _settled(at, pods)
        return at.usage().memory_bytes


async def idle(*, pods: int = 10_000, seconds: float = 20.0) -> list[Line]:
    """CPU while nothing happens."""
    async with scene(pods=pods, peers=2) as at:
        await _settled(at, pods)
        before = at.cpu_seconds()
        await asyncio.sleep(seconds)
        percent = 100 * (at.cpu_seconds() - before) / seconds
    return [
        Line(
            row="idle",
            title=f"idle CPU, {pods:,} Pods, 2 peers",
            figure=percent,
            unit="% of a core",
            sense=Sense.AT_MOST,
            bound=0.2,
            ours=side(SPEAKER, f"over {seconds:g} s", [percent], "%"),
        )
    ]


async def _settled(at: Scene, pods: int) -> None:
    await at.speaker.start()
    await at.speaker.wait_in_sync(within=SYNC_SECONDS)
    await at.peers.ask(f"routes {pods}", SYNC_SECONDS)
    await asyncio.sleep(_SETTLE_SECONDS)

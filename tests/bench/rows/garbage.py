"""What the garbage collector costs under changes, as the speaker sets it and otherwise."""

import asyncio
import json
import os
import platform
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.rows.starting import MEBIBYTE
from tests.bench.rows.transfer import SPEAKER, side
from tests.bench.scene import SYNC_SECONDS, Scene, scene
from tests.bench.table import Line, Sense
from tests.bench.watch import moment

OURS = "spared"

WORDS: Mapping[str, str] = {
    OURS: "spared what is there, again and again",
    "once": "spared what is there when in sync",
    "rare": "spared once, thresholds 10,000, 10 and never",
    "default": "CPython's defaults",
    "off": "switched off",
}
"""The settings of `tests.bench.collecting`, as the table names them."""

_GRACE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one setting.

    Attributes:
        longest: the longest pass, in ms.
        notes: the rest, by what the page's table calls it.
    """

    longest: float
    notes: Mapping[str, float]


async def garbage(*, pods: int = 10_000, rate: int = 2_000, seconds: float = 20.0) -> list[Line]:
    """The longest pass while Pods change, under each setting."""
    costs = {setting: await _cost(setting, pods, rate, seconds) for setting in WORDS}
    ours = costs.pop(OURS)
    what = f"{pods:,} Pods, {rate:,} changes a second for {seconds:g} s"
    own = side(SPEAKER, WORDS[OURS], [ours.longest], "ms")
    python = f"Python {platform.python_version()}"
    return [
        Line(
            row="gc",
            title=f"longest pass of the garbage collector, {what}",
            figure=ours.longest,
            unit="ms",
            sense=Sense.AT_MOST,
            bound=15.0,
            ours=own,
            notes=ours.notes,
        ),
        *(
            Line(
                row="gc",
                title=f"the same, {WORDS[setting]}",
                figure=cost.longest / ours.longest,
                unit="times as long",
                sense=Sense.REPORTED,
                ours=own,
                theirs=side(python, WORDS[setting], [cost.longest], "ms"),
                notes=cost.notes,
            )
            for setting, cost in costs.items()
        ),
    ]


async def _cost(setting: str, pods: int, rate: int, seconds: float) -> Cost:
    changes = int(rate * seconds)
    async with scene(pods=pods) as at:
        file = at.at.folder / "passes.json"
        at.speaker.run_as("tests.bench.collecting", str(file), setting)
        await at.speaker.start()
        await at.speaker.wait_in_sync(within=SYNC_SECONDS)
        await at.peers.ask(f"routes {pods}", SYNC_SECONDS)
        start = await _told(at, file)
        await at.api.ask(f"prepare {changes}", SYNC_SECONDS)
        await _told(at, file)
        memory = at.usage().memory_bytes
        told = await at.api.ask(f"flood {rate} {seconds}", seconds + _GRACE_SECONDS)
        await at.peers.ask(f"routes {told['published']:.0f}", _GRACE_SECONDS)
        passes = await _told(at, file)
        memory = at.usage().memory_bytes - memory
    return Cost(
        longest=1000 * max(passes["longest_seconds"]),
        notes={
            "full passes": passes["number"][2],
            "passes": sum(passes["number"]),
            "of the CPU, %": 100 * sum(passes["seconds"]) / passes["cpu_seconds"],
            "a change, µs": 1e6 * passes["cpu_seconds"] / changes,
            "objects found": passes["found"],
            "more memory, MiB": memory / MEBIBYTE,
            "longest at the start, ms": 1000 * max(start["longest_seconds"]),
            "all at the start, ms": 1000 * sum(start["seconds"]),
        },
    )


async def _told(at: Scene, file: Path) -> dict[str, Any]:
    """What the collector did since it was last asked."""
    file.unlink(missing_ok=True)
    os.kill(at.speaker.child.pid, signal.SIGUSR1)

    async def there() -> bool:
        return await asyncio.to_thread(file.exists)

    await moment(there, bool, what="the collector's figures")
    return dict(json.loads(file.read_text(encoding="utf-8")))

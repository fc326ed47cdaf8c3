"""Many at once: changes without a pause, many peers, many routes that are received, many nodes."""

import asyncio
import json
import time
from statistics import median

from tests.bench.bench_speaker import BEATS
from tests.bench.rows.starting import KIBIBYTE, MEBIBYTE
from tests.bench.rows.transfer import SPEAKER, side
from tests.bench.scene import SYNC_SECONDS, Scene, scene
from tests.bench.table import Line, Sense
from tests.bench.watch import moment

_GRACE_SECONDS = 30.0


async def flood(*, pods: int = 10_000, rate: int = 1_000, seconds: float = 30.0) -> list[Line]:
    """So many Pod changes a second."""
    async with scene(pods=pods, beats=True) as at:
        beats = at.at.folder / BEATS
        await _ready(at, pods)
        await at.api.ask(f"prepare {int(rate * seconds)}", SYNC_SECONDS)
        beats.unlink()
        cpu, sent = at.cpu_seconds(), await at.api.ask(f"flood {rate} {seconds}", seconds + _GRACE_SECONDS)
        ended = await at.peers.ask(f"routes {sent['published']:.0f}", _GRACE_SECONDS)
        cpu = at.cpu_seconds() - cpu
        await asyncio.sleep(1.5)
        worst = json.loads(beats.read_text())
    behind = max(0.0, ended["changed"] - sent["done"])
    settings = f"{pods:,} Pods, {rate:,} changes a second for {seconds:g} s"
    notes = {
        "changes": sent["sent"],
        "UPDATEs": ended["updates"],
        "last UPDATE after the last change, s": behind,
        "longest turn by its own CPU, ms": 1000 * worst["cpu_seconds"],
        "longest silence toward the peer, s": ended["longest_silence"],
        "sessions": ended["sessions"],
        "CPU, % of a core": 100 * cpu / seconds,
    }
    return [
        Line(
            row="load",
            title=f"{rate:,} Pod changes a second: longest event-loop delay",
            figure=1000 * worst["late_seconds"],
            unit="ms",
            sense=Sense.AT_MOST,
            bound=50.0,
            ours=side(SPEAKER, settings, [1000 * worst["late_seconds"]], "ms"),
            notes=notes,
        ),
        Line(
            row="load",
            title="the same: prefixes that differ at the end",
            figure=abs(ended["routes"] - sent["published"]) + (ended["sessions"] - 1),
            unit="prefixes",
            sense=Sense.AT_MOST,
            ours=side(SPEAKER, settings, [ended["routes"]], "prefixes"),
        ),
    ]


async def peers(*, number: int = 50, routes: int = 1_000, runs: int = 3) -> list[Line]:
    """Many peers at once."""
    times, whole = [], []
    for _ in range(runs):
        async with scene(pods=routes, peers=number) as at:
            began = time.monotonic()
            await at.speaker.start()
            seen = await at.peers.ask(f"routes {routes}", SYNC_SECONDS)
            times.append(seen["changed"] - seen["first_accepted"])
            whole.append(seen["changed"] - began)
    return [
        Line(
            row="peers",
            title=f"{number} peers, {routes:,} routes each: first connection to last route",
            figure=median(times),
            unit="s",
            sense=Sense.AT_MOST,
            bound=0.6,
            ours=side(SPEAKER, f"{number} sessions", times),
            notes={"process start to last route, s": median(whole)},
        )
    ]


async def receive(*, routes: int = 50_000, runs: int = 3) -> list[Line]:
    """Routes taken in, and the best of each prefix chosen."""
    walls, cpus = [], []
    flags = (
        "--import-routes",
        "--import-prefix=100.0.0.0/8",
        "--kernel-routes=false",
        f"--max-prefixes={2 * routes}",
    )
    for _ in range(runs):
        async with scene(*flags, pods=10) as at:
            await _ready(at, 10)
            await at.peers.ask(f"prepare {routes}", SYNC_SECONDS)
            cpu = at.cpu_seconds()
            began = (await at.peers.ask("advertise", SYNC_SECONDS))["at"]
            ended = await moment(lambda: _learned(at), lambda seen: seen >= routes, what="learned routes")
            walls.append(routes / (ended - began))
            cpus.append(routes / (at.cpu_seconds() - cpu))
    return [
        Line(
            row="receive",
            title=f"receiving {routes:,} routes and choosing best paths",
            figure=median(walls),
            unit="routes/s",
            sense=Sense.AT_LEAST,
            bound=50_000.0,
            ours=side(SPEAKER, "one peer, UPDATEs of 800 prefixes", walls, "routes/s"),
            notes={"routes for each second of its own CPU": median(cpus)},
        )
    ]


async def api_cost(*, pods: int = 10_000, nodes: int = 100) -> list[Line]:
    """What a speaker costs the API server."""
    found = {}
    for scope in ("cluster", "node"):
        async with scene(f"--pod-scope={scope}", pods=pods, nodes=nodes, policy="local") as at:
            await _ready(at, pods // nodes)
            found[scope] = await at.api.ask("figures", SYNC_SECONDS)
    settings = f"{pods:,} Pods on {nodes} nodes, --pod-scope="
    every, own = found["cluster"], found["node"]
    notes = {
        "watches, cluster": every["watches"],
        "watches, node": own["watches"],
        "MiB at start, cluster": every["bytes"] / MEBIBYTE,
        "MiB at start, node": own["bytes"] / MEBIBYTE,
        "requests, node": own["requests"],
        "a Pod, KiB": (every["bytes"] - own["bytes"]) / (pods - pods / nodes) / KIBIBYTE,
    }
    return [
        Line(
            row="api",
            title="bytes at the start that Local policy with --pod-scope=node spares the API server",
            figure=every["bytes"] / own["bytes"],
            unit="times fewer",
            sense=Sense.REPORTED,
            ours=side(SPEAKER, f"{settings}node", [own["bytes"] / MEBIBYTE], "MiB"),
            theirs=side(SPEAKER, f"{settings}cluster", [every["bytes"] / MEBIBYTE], "MiB"),
            notes=notes,
        ),
        Line(
            row="api",
            title="watches of Pods beyond the own node with --pod-scope=node",
            figure=1 - own["watches_of_own_node"],
            unit="watches",
            sense=Sense.AT_MOST,
            ours=side(SPEAKER, f"{settings}node", [own["watches"]], "watches"),
            theirs=side(SPEAKER, f"{settings}cluster", [every["watches"]], "watches"),
        ),
    ]


async def _ready(at: Scene, routes: int) -> None:
    await at.speaker.start()
    await at.speaker.wait_in_sync(within=SYNC_SECONDS)
    await at.peers.ask(f"routes {routes}", SYNC_SECONDS)


async def _learned(at: Scene) -> float:
    """How many prefixes have a path in use. Not by /metrics, which are rendered once a second at most."""
    return float((await at.speaker.ask("status"))["fabric"]["learned"])

"""One object's change: how long until it is on the wire, and what it costs the more objects there are."""

import json
import time
from statistics import median, quantiles

from tests.bench.documents import BGP, pod_name
from tests.bench.rows.transfer import SPEAKER, side
from tests.bench.scene import SYNC_SECONDS, Scene, scene
from tests.bench.standin import PORT
from tests.bench.table import Line, Sense, Side

POLLING_MILLISECONDS = 2500.0
"""The mean wait for a loop that looks every five seconds."""

_CHANGE_SECONDS = 10.0
_WARM = 20


class Patching:
    """kubectl annotate, as one kept connection to the API server."""

    def __init__(self, at: Scene) -> None:
        self._sock = at.at.node.socket()
        self._sock.connect(("127.0.0.1", PORT))
        self._received = b""

    def annotate(self, pod: int, policy: str | None) -> float:
        """PATCH the Pod's annotation; the monotonic time at which that was answered."""
        body = json.dumps({"metadata": {"annotations": {BGP: policy}}}).encode()
        path = f"/api/v1/namespaces/default/pods/{pod_name(pod)}"
        head = f"PATCH {path} HTTP/1.1\r\nHost: api\r\nContent-Type: application/merge-patch+json\r\n"
        self._sock.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        answered = self._sock.recv(1 << 16)
        at = time.monotonic()
        self._drain(answered)
        return at

    def _drain(self, answered: bytes) -> None:
        while b"\r\n\r\n" not in answered:
            answered += self._sock.recv(1 << 16)
        head, _, body = answered.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split()[0])
        while len(body) < length:
            body += self._sock.recv(1 << 16)

    def close(self) -> None:
        """Close the connection."""
        self._sock.close()


async def one_change(*, pods: int = 10_000, changes: int = 200) -> list[Line]:
    """PATCH answered to UPDATE on the wire."""
    async with scene(pods=pods) as at:
        await _ready(at, pods)
        times, _ = await _changes(at, pods, changes)
    milliseconds = sorted(1000 * each for each in times)
    ninety_ninth = quantiles(milliseconds, n=100)[98]
    ours = side(SPEAKER, f"{pods:,} Pods, {changes} changes, one after the other", milliseconds, "ms")
    polling = Side(
        program="a polling loop", settings="every 5 s, its mean", value=POLLING_MILLISECONDS, unit="ms"
    )
    title = f"PATCH answered to UPDATE on the wire, {pods:,} Pods"
    notes = {"longest, ms": milliseconds[-1], "shortest, ms": milliseconds[0]}
    return [
        Line(
            row="change",
            title=f"{title}: {which}",
            figure=figure,
            unit="ms",
            sense=Sense.AT_MOST,
            bound=bound,
            ours=ours,
            theirs=polling,
            notes=notes,
        )
        for which, figure, bound in (
            ("median", median(milliseconds), 5.0),
            ("99th percentile", ninety_ninth, 25.0),
        )
    ]


async def same_cost(*, sizes: tuple[int, ...] = (1_000, 10_000, 50_000), changes: int = 400) -> list[Line]:
    """The CPU of one change, by how many Pods there are."""
    costs: dict[int, float] = {}
    for pods in sizes:
        async with scene(pods=pods) as at:
            await _ready(at, pods)
            _, costs[pods] = await _changes(at, pods, changes)
    most, least = max(costs, key=costs.__getitem__), min(costs, key=costs.__getitem__)
    settings = "CPU of one Pod's change with {:,} Pods, {} changes"
    return [
        Line(
            row="scale",
            title="one object's change with " + ", ".join(f"{each:,}" for each in sizes) + " Pods",
            figure=costs[most] / costs[least],
            unit="times the cost",
            sense=Sense.AT_MOST,
            bound=1.5,
            ours=side(SPEAKER, settings.format(most, changes), [1e6 * costs[most]], "µs"),
            theirs=side(SPEAKER, settings.format(least, changes), [1e6 * costs[least]], "µs"),
            notes={f"{pods:,} Pods, µs": 1e6 * cost for pods, cost in costs.items()}
            | {"a change, µs": 1e6 * costs[most]},
        )
    ]


async def _ready(at: Scene, pods: int) -> None:
    await at.speaker.start()
    await at.speaker.wait_in_sync(within=SYNC_SECONDS)
    await at.peers.ask(f"routes {pods}", SYNC_SECONDS)


async def _changes(at: Scene, pods: int, changes: int) -> tuple[list[float], float]:
    """How long each took, and the CPU of one on average."""
    patching = Patching(at)
    try:
        for number in range(_WARM):
            await _change(at, patching, number % pods)
        cpu = at.cpu_seconds()
        # All over the table, so that none is cheap for its place.
        times = [await _change(at, patching, number * 7919 % pods) for number in range(changes)]
        return times, (at.cpu_seconds() - cpu) / (2 * changes)
    finally:
        patching.close()


async def _change(at: Scene, patching: Patching, pod: int) -> float:
    """Take one Pod's annotation away, and give it again; how long the first took."""
    before = await at.peers.ask("figures", _CHANGE_SECONDS)
    answered = patching.annotate(pod, None)
    after = await at.peers.ask(f"change {before['updates'] + 1:.0f}", _CHANGE_SECONDS)
    patching.annotate(pod, "cluster")
    await at.peers.ask(f"change {before['updates'] + 2:.0f}", _CHANGE_SECONDS)
    return after["changed"] - answered

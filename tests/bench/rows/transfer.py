"""Routes to BIRD: from the trigger, and from the session; against gobgpd, ExaBGP and ready-made bytes."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from ipaddress import IPv4Address
from statistics import median

from speaker import __version__
from tests.bench import exabgp_process, gobgp_stream, ready_made, wire
from tests.bench.bench_speaker import BenchSpeaker
from tests.bench.collector import Collector
from tests.bench.documents import pod_address
from tests.bench.engine import HANDED_OVER
from tests.bench.place import NODE, NODE_ASN, place
from tests.bench.table import Line, Sense, Side
from tests.bench.watch import moment
from tests.lab.routers.gobgp import GoBgp
from tests.lab.scale.process import Process

SPEAKER = f"speaker {__version__}"
GOBGPD = "gobgpd 3.10.0"
EXABGP = "ExaBGP 5.0.15"

_LOAD_SECONDS = 120.0
_STREAMED = f"AddPathStream, {gobgp_stream.BATCH} a message"


def addresses(number: int) -> list[IPv4Address]:
    """The addresses of so many Pods."""
    return [pod_address(index) for index in range(number)]


async def loaded(collector: Collector, number: int) -> float:
    """When the collector had so many routes."""
    return await moment(
        collector.state, lambda seen: seen[1] == number, what=f"{number} routes", within=_LOAD_SECONDS
    )


async def established(collector: Collector) -> float:
    """When the collector's session was established."""
    return await moment(collector.state, lambda seen: seen[0], what="a session", within=30.0)


async def with_engine(routes: int, runs: int) -> list[float]:
    """The speaker's BGP engine: the hand-over of the first routes is the trigger."""
    found = []
    with place() as at:
        async with at.collector() as collector, Process.started(at.node, "tests.bench.engine") as engine:
            await engine.ask(f"prepare {routes}", _LOAD_SECONDS)
            await established(collector)
            for _ in range(runs):
                began = (await engine.ask("announce", _LOAD_SECONDS))["at"]
                found.append(await loaded(collector, routes) - began)
                await engine.ask("withdraw", _LOAD_SECONDS)
                await loaded(collector, 0)
    return found


async def with_speaker(routes: int, runs: int) -> list[float]:
    """The whole speaker: one Subnet is annotated, and every Pod in it has its host route published."""
    found = []
    async with AsyncExitStack() as stack:
        at = stack.enter_context(place())
        api = await stack.enter_async_context(
            Process.started(at.node, "tests.bench.standin", str(routes), "10")
        )
        collector = await stack.enter_async_context(at.collector())
        speaker = await stack.enter_async_context(BenchSpeaker(at, "--announce-subnet-pods"))
        await speaker.wait_in_sync(within=_LOAD_SECONDS)
        await established(collector)
        for _ in range(runs):
            began = (await api.ask("subnet cluster", 10.0))["at"]
            # The CIDR of the Subnet comes with its Pods.
            found.append(await loaded(collector, routes + 1) - began)
            await api.ask("subnet none", 10.0)
            await loaded(collector, 0)
    return found


async def with_gobgpd(routes: int, runs: int) -> list[float]:
    """The same for gobgpd: the first message on the stream is the trigger."""
    messages = gobgp_stream.requests(addresses(routes), NODE)
    found = []
    for _ in range(runs):
        with place() as at:
            async with at.collector() as collector, gobgp_stream.gobgpd(at) as router:
                await established(collector)
                began = time.monotonic()
                found.append(await _while(gobgp_stream.stream(router, messages), collector, routes) - began)
    return found


async def with_exabgp(routes: int, runs: int) -> list[float]:
    """The same for ExaBGP: the first command is the trigger."""
    text = exabgp_process.commands(addresses(routes), NODE)
    found = []
    for _ in range(runs):
        with place() as at:
            async with at.collector() as collector, exabgp_process.exabgp(at) as program:
                await established(collector)
                began = time.monotonic()
                found.append(await _while(program.announce(text), collector, routes) - began)
    return found


async def _while(work: Awaitable[None], collector: Collector, routes: int) -> float:
    """When the routes were there, with `work` under way."""
    feeding = asyncio.ensure_future(work)
    at = await loaded(collector, routes)
    await feeding
    return at


async def again_with_speaker(routes: int, runs: int) -> list[float]:
    """Established to last route, with all routes known before."""
    async with AsyncExitStack() as stack:
        at = stack.enter_context(place())
        await stack.enter_async_context(
            Process.started(at.node, "tests.bench.standin", str(routes), "10", "cluster")
        )
        collector = await stack.enter_async_context(at.collector())
        speaker = await stack.enter_async_context(BenchSpeaker(at, "--connect-retry=1s"))
        await speaker.wait_in_sync(within=_LOAD_SECONDS)
        await loaded(collector, routes)
        return [await _again(collector, routes) for _ in range(runs)]


async def again_with_gobgpd(routes: int, runs: int) -> list[float]:
    """The same for gobgpd, which is fed before it has a session."""
    messages = gobgp_stream.requests(addresses(routes), NODE)
    found = []
    for _ in range(runs):
        with place() as at:
            async with at.collector() as collector:
                await collector.close_peer()
                async with gobgp_stream.gobgpd(at) as router:
                    await gobgp_stream.stream(router, messages)
                    await _settled(router, routes)
                    await collector.open_peer()
                    began = await established(collector)
                    found.append(await loaded(collector, routes) - began)
    return found


async def _again(collector: Collector, routes: int) -> float:
    await collector.close_peer()
    await loaded(collector, 0)
    await collector.open_peer()
    began = await established(collector)
    return await loaded(collector, routes) - began


async def _settled(router: GoBgp, routes: int) -> None:
    """Return once gobgpd's table has all of it."""

    async def known() -> bool:
        return str(routes) in await router.command("global", "rib", "summary")

    await moment(known, bool, what=f"{routes} routes in gobgpd")


async def ready_made_bytes(routes: int, runs: int) -> list[float]:
    """Ready-made UPDATEs on an established session: first octet to last route."""
    messages = wire.updates([(int(each), 32) for each in addresses(routes)], NODE, [NODE_ASN])
    found = []
    with place() as at:
        async with at.collector() as collector:
            for _ in range(runs):
                async with ready_made.session(at) as sock:
                    await established(collector)
                    began = time.monotonic()
                    found.append(await _while(ready_made.write(sock, messages), collector, routes) - began)
                await loaded(collector, 0)
    return found


async def alternately(runs: int, *measured: Callable[[], Awaitable[list[float]]]) -> list[tuple[float, ...]]:
    """Each in turn, so often: what else the machine does meanwhile meets all of them."""
    found: list[list[float]] = [[] for _ in measured]
    for _ in range(runs):
        for kept, each in zip(found, measured, strict=True):
            kept.extend(await each())
    return [tuple(each) for each in found]


def side(program: str, settings: str, runs: Sequence[float], unit: str = "s") -> Side:
    """A side by the median of its runs."""
    return Side(program=program, settings=settings, value=median(runs), unit=unit, runs=tuple(runs))


async def transfer(*, routes: int = 50_000, rounds: int = 3) -> list[Line]:
    """From the hand-over: everybody gets routes that are decided already."""
    ours, gobgpd = await alternately(rounds, lambda: with_engine(routes, 2), lambda: with_gobgpd(routes, 1))
    exabgp = tuple(await with_exabgp(routes, 1))
    mine = side(SPEAKER, f"its BGP engine, {HANDED_OVER} routes a turn", ours)
    others = (
        (side(GOBGPD, _STREAMED, gobgpd), 5.0),
        (side(EXABGP, f"API pipe, {exabgp_process.GROUP} prefixes a command", exabgp), 30.0),
    )
    title = f"{routes:,} host routes to BIRD, hand-over of the first to the last in BIRD"
    return [_faster("transfer", title, mine, other, bound) for other, bound in others]


async def publish(*, routes: int = 50_000, rounds: int = 3) -> list[Line]:
    """From the cluster: the speaker has to decide about every Pod first, and gobgpd about nothing."""
    ours, gobgpd = await alternately(rounds, lambda: with_speaker(routes, 2), lambda: with_gobgpd(routes, 1))
    mine = side(SPEAKER, "the whole program, one Subnet annotated, --announce-subnet-pods", ours)
    title = f"{routes:,} Pods published by one annotation, the event to the last route in BIRD"
    return [_faster("publish", title, mine, side(GOBGPD, _STREAMED, gobgpd), 5.0)]


def _faster(row: str, title: str, mine: Side, other: Side, bound: float) -> Line:
    return Line(
        row=row,
        title=title,
        figure=other.value / mine.value,
        unit="times as fast",
        sense=Sense.AT_LEAST,
        bound=bound,
        ours=mine,
        theirs=other,
    )


async def resend(*, routes: int = 50_000, rounds: int = 3) -> list[Line]:
    """From the session."""
    ours, gobgpd, limit = await alternately(
        rounds,
        lambda: again_with_speaker(routes, 2),
        lambda: again_with_gobgpd(routes, 1),
        lambda: ready_made_bytes(routes, 2),
    )
    mine = side(SPEAKER, "all routes known", ours)
    others = (
        (side(GOBGPD, "all routes known", gobgpd), 1.5),
        (side("ready-made UPDATEs", "the limit: no program at all", limit), 3.0),
    )
    return [
        Line(
            row="resend",
            title=f"{routes:,} host routes to BIRD, established to last route",
            figure=mine.value / other.value,
            unit="times the time",
            sense=Sense.AT_MOST,
            bound=bound,
            ours=mine,
            theirs=other,
        )
        for other, bound in others
    ]

"""The cluster watched by a command: each time that something has changed, and settled, the command is told.

Knows when; must not know what is made of it. Changes that come together are told once.
"""

import asyncio
import signal
from collections.abc import Callable, Sequence

import click

from speaker.cli.cluster_reading import FabricView
from speaker.cluster import Cluster, ClusterConfig, SourceHealth
from speaker.log import escaped
from speaker.model.objects import Change

PAUSE_SECONDS = 1.0
"""How long changes are collected: a Node that joins is changed many times in its first seconds."""


async def watch_fabric(
    config: ClusterConfig,
    view: FabricView,
    on_change: Callable[[FabricView], None],
    *,
    pause_seconds: float = PAUSE_SECONDS,
) -> None:
    """Tell `on_change` once everything is known, and after every change, until SIGINT or SIGTERM.

    Raises:
        ClusterError: the configuration cannot be used. A server that does not answer is waited for.
    """
    changed = asyncio.Event()
    told: dict[str, str] = {}

    def apply(changes: Sequence[Change]) -> None:
        if view.apply(changes):
            changed.set()

    def say(health: SourceHealth) -> None:
        if health.error and told.get(health.name) != health.error:
            click.echo(f"speaker: {escaped(f'{health.name}: {health.error}')}", err=True)
        told[health.name] = health.error

    cluster = Cluster(config, on_changes=apply, on_health=say)
    running = asyncio.create_task(cluster.run(), name="cluster")
    following = asyncio.create_task(_follow(cluster, view, changed, on_change, pause_seconds), name="output")
    stopping = asyncio.create_task(_stopped(), name="signals")
    tasks = (running, following, stopping)
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _follow(
    cluster: Cluster,
    view: FabricView,
    changed: asyncio.Event,
    on_change: Callable[[FabricView], None],
    pause_seconds: float,
) -> None:
    await cluster.wait_in_sync()
    changed.set()
    while True:
        await changed.wait()
        changed.clear()
        on_change(view)
        await asyncio.sleep(pause_seconds)


async def _stopped() -> None:
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    await stopped.wait()

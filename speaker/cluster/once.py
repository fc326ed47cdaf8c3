"""The cluster as it is now, read once: for `speaker plan`."""

import asyncio
import logging
from collections.abc import Sequence

from speaker.cluster.cluster import Cluster
from speaker.cluster.config import ClusterConfig, SourceHealth
from speaker.errors import ClusterError
from speaker.model.objects import Change

PATIENCE_SECONDS = 30.0
TROUBLE_SECONDS = 3.0
"""A person waits: trouble that has not mended itself in this time is told."""

_log = logging.getLogger(__name__)


async def list_once(
    config: ClusterConfig,
    *,
    patience_seconds: float = PATIENCE_SECONDS,
    trouble_seconds: float = TROUBLE_SECONDS,
) -> list[Change]:
    """Everything that the sources hold now.

    Args:
        config: how to reach the cluster; an empty node name reads all Nodes.
        patience_seconds: how long a source that is being read may take.
        trouble_seconds: how long a source that cannot be read may take.

    Raises:
        ClusterError: a source cannot be read in time; the text says which and why.
    """
    changes: list[Change] = []
    cluster = Cluster(config, on_changes=changes.extend, on_health=_say)
    tasks = (asyncio.create_task(cluster.run()), asyncio.create_task(cluster.wait_in_sync()))
    try:
        if not await _first(tasks, trouble_seconds) and any(map(_is_stuck, cluster.health())):
            raise ClusterError(_missing(cluster.health()))
        if not await _first(tasks, patience_seconds - trouble_seconds):
            raise ClusterError(_missing(cluster.health()))
        running, _ = tasks
        if running.done():
            running.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return changes


async def _first(tasks: Sequence[asyncio.Task[None]], seconds: float) -> bool:
    done, _ = await asyncio.wait(tasks, timeout=max(seconds, 0), return_when=asyncio.FIRST_COMPLETED)
    return bool(done)


def _say(health: SourceHealth) -> None:
    if health.error:
        _log.debug("source failed", extra={"source": health.name, "reason": health.error})


def _is_stuck(health: SourceHealth) -> bool:
    return bool(health.error) and not health.synced


def _missing(health: Sequence[SourceHealth]) -> str:
    """One sentence; what stops every source is said once."""
    reasons: dict[str, list[str]] = {}
    for each in health:
        if not each.synced:
            reasons.setdefault(each.error or "no answer in time", []).append(each.name)
    return "the cluster cannot be read: " + "; ".join(
        f"{', '.join(names)}: {reason}" for reason, names in reasons.items()
    )

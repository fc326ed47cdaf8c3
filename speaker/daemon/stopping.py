"""Decides how the speaker stops: keep the routes over an upgrade, or withdraw them.

On SIGTERM one fresh look (at most a second) at the own Node and DaemonSet: what the watches last
said may be older than the reason for the stop. What cannot be known counts as an upgrade.
"""

import asyncio
import logging
from dataclasses import dataclass

from speaker.cluster import Cluster
from speaker.errors import ClusterError
from speaker.model.objects import Kind, NodeView
from speaker.settings import Settings, ShutdownMode

LOOK_SECONDS = 1.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Stop:
    """How to stop, and why in a few words."""

    graceful_restart: bool
    reason: str


async def decide_stop(settings: Settings, cluster: Cluster) -> Stop:
    """Choose by `--shutdown`; `auto` looks at the cluster first. Never raises."""
    if settings.shutdown is ShutdownMode.WITHDRAW:
        return Stop(graceful_restart=False, reason="--shutdown=withdraw")
    if not settings.graceful_restart:
        return Stop(graceful_restart=False, reason="graceful restart is off")
    if settings.shutdown is ShutdownMode.GRACEFUL_RESTART:
        return Stop(graceful_restart=True, reason="--shutdown=graceful-restart")
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            why = await _planned_end(settings, cluster)
    except (TimeoutError, ClusterError) as error:
        _log.info("stop looked in vain", extra={"reason": str(error) or "the API server did not answer"})
        return Stop(graceful_restart=True, reason="the cluster could not be asked, so an upgrade is assumed")
    if why:
        return Stop(graceful_restart=False, reason=why)
    return Stop(graceful_restart=True, reason="the node is still chosen")


async def _planned_end(settings: Settings, cluster: Cluster) -> str:
    """Why this node stops speaking for good, or "" when it does not."""
    view = await cluster.get_fresh(Kind.NODE, "", settings.node_name, LOOK_SECONDS)
    if not isinstance(view, NodeView):
        return "the Node is gone"
    if view.deleting:
        return "the Node is being deleted"
    if view.shutting_down:
        return "the node is shutting down"
    policy = settings.publication_policy()
    if policy.node_label is not None and view.labels.get(policy.node_label[0]) != policy.node_label[1]:
        return "the Node no longer carries the label that chooses speakers"
    if policy.drain_on_cordon and view.unschedulable:
        return "the Node is cordoned"
    if settings.pod_namespace and settings.daemonset_name:
        deleting = await cluster.get_daemonset_deleting(
            settings.pod_namespace, settings.daemonset_name, LOOK_SECONDS
        )
        if deleting:
            return "the DaemonSet is being deleted"
    return ""

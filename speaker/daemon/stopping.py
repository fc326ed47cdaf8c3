"""Decides how the speaker stops: keep the routes over an upgrade, or withdraw them.

On SIGTERM one fresh look (at most a second) at the own Node and DaemonSet: what the watches last
said may be older than the reason for the stop. What cannot be known counts as an upgrade.
"""

import asyncio
import logging
from dataclasses import dataclass
from typing import Protocol

from speaker.errors import ClusterError
from speaker.model.objects import Kind, NodeView, View
from speaker.model.policy import PublicationPolicy
from speaker.settings import Settings, ShutdownMode

LOOK_SECONDS = 1.0

_log = logging.getLogger(__name__)


class FreshLook(Protocol):
    """The cluster, asked directly."""

    async def get_fresh(self, kind: Kind, namespace: str, name: str, timeout_seconds: float) -> View | None:
        """The object as it is now; None if there is none. Raises ClusterError if nobody can tell."""

    async def get_daemonset_deleting(self, namespace: str, name: str, timeout_seconds: float) -> bool | None:
        """Whether the DaemonSet is gone or being deleted; None where that may not be asked."""


@dataclass(frozen=True, slots=True)
class Stop:
    """How to stop, and why in a few words."""

    graceful_restart: bool
    reason: str


async def decide_stop(settings: Settings, cluster: FreshLook) -> Stop:
    """Choose by `--shutdown`; `auto` looks at the cluster first. Never raises."""
    if settings.shutdown is ShutdownMode.WITHDRAW:
        return Stop(graceful_restart=False, reason="--shutdown=withdraw")
    # Sessions between nodes always have graceful restart; peers without it get Cease in any case.
    if settings.graceful_restart is None and not settings.fabric:
        return Stop(graceful_restart=False, reason="graceful restart is off")
    if settings.shutdown is ShutdownMode.GRACEFUL_RESTART:
        return Stop(graceful_restart=True, reason="--shutdown=graceful-restart")
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            why = await _planned_end(settings, cluster)
    except (TimeoutError, ClusterError) as error:
        _log.info("own Node is not known", extra={"reason": str(error) or "the API server did not answer"})
        return Stop(graceful_restart=True, reason="the cluster could not be asked, so an upgrade is assumed")
    if why:
        return Stop(graceful_restart=False, reason=why)
    return Stop(graceful_restart=True, reason="the node is still chosen")


async def _planned_end(settings: Settings, cluster: FreshLook) -> str:
    """Why this node stops speaking for good, or "" when it does not."""
    view = await cluster.get_fresh(Kind.NODE, "", settings.node_name, LOOK_SECONDS)
    if not isinstance(view, NodeView):
        return "the Node is gone"
    return _node_leaves(view, settings.publication_policy()) or await _daemonset_leaves(settings, cluster)


def _node_leaves(node: NodeView, policy: PublicationPolicy) -> str:
    """Why the node itself ends its part, or ""."""
    if node.deleting:
        return "the Node is being deleted"
    if node.shutting_down:
        return "the node is shutting down"
    if policy.node_label is not None and node.labels.get(policy.node_label[0]) != policy.node_label[1]:
        return "the Node no longer carries the label that chooses speakers"
    if policy.drain_on_cordon and node.unschedulable:
        return "the Node is cordoned"
    return ""


async def _daemonset_leaves(settings: Settings, cluster: FreshLook) -> str:
    """Why the speaker's own DaemonSet ends, or "" (also where its name is not known)."""
    if not settings.pod_namespace or not settings.daemonset_name:
        return ""
    deleting = await cluster.get_daemonset_deleting(
        settings.pod_namespace, settings.daemonset_name, LOOK_SECONDS
    )
    return "the DaemonSet is being deleted" if deleting else ""

"""How the speaker decides to stop: an upgrade keeps the routes, an end withdraws them."""

from dataclasses import replace
from typing import Any

import pytest

from speaker.daemon.stopping import Stop, decide_stop
from speaker.errors import ClusterError
from speaker.model.objects import NodeView
from speaker.model.peer import GracefulRestart
from speaker.settings import Settings, ShutdownMode, settings_from
from tests.daemon.answers import NODE, Answers


async def decide(cluster: Answers, **changed: Any) -> Stop:
    return await decide_stop(restarting(**changed), cluster)


def restarting(**changed: Any) -> Settings:
    defaults: dict[str, Any] = {"graceful_restart": GracefulRestart()}
    flags = {"neighbor-address": "10.0.0.1", "neighbor-as": "65001", "cluster-as": "65000"}
    given = settings_from(flags, {"NODE_NAME": "node1", "POD_IPS": "10.0.0.5"})
    return replace(given, **(defaults | changed))


async def test_a_node_that_is_still_chosen_is_being_upgraded() -> None:
    assert await decide(Answers()) == Stop(graceful_restart=True, reason="the node is still chosen")


async def test_a_member_of_a_fabric_is_being_upgraded_without_the_flag() -> None:
    """Sessions between nodes always have graceful restart."""
    stop = await decide(Answers(), graceful_restart=None, fabric=True)

    assert stop.graceful_restart


@pytest.mark.parametrize(
    ("node", "reason"),
    [
        (None, "the Node is gone"),
        (replace(NODE, labels={}), "no longer carries the label"),
        (replace(NODE, shutting_down=True), "the node is shutting down"),
        (replace(NODE, deleting=True), "the Node is being deleted"),
    ],
)
async def test_a_node_that_leaves_withdraws(node: NodeView | None, reason: str) -> None:
    stop = await decide(Answers(node=node))

    assert not stop.graceful_restart
    assert reason in stop.reason


async def test_a_daemonset_that_is_deleted_withdraws() -> None:
    cluster = Answers(daemonset_deleting=True)
    stop = await decide(cluster, pod_namespace="kube-system", daemonset_name="speaker")

    assert stop == Stop(graceful_restart=False, reason="the DaemonSet is being deleted")
    assert cluster.asked == ["node1", "kube-system/speaker"]


@pytest.mark.parametrize("error", [ClusterError("cannot be reached"), TimeoutError()])
async def test_what_cannot_be_known_counts_as_an_upgrade(error: Exception) -> None:
    assert (await decide(Answers(error=error))).graceful_restart


async def test_a_cluster_that_does_not_answer_delays_the_stop_by_a_second_at_most() -> None:
    assert (await decide(Answers(hangs=True))).graceful_restart


@pytest.mark.parametrize(
    ("changed", "kept"),
    [
        ({"shutdown": ShutdownMode.WITHDRAW}, False),
        ({"shutdown": ShutdownMode.GRACEFUL_RESTART}, True),
        ({"graceful_restart": None}, False),
    ],
)
async def test_the_flags_decide_without_asking(changed: dict[str, Any], kept: bool) -> None:
    cluster = Answers(error=ClusterError("must not be asked"))

    assert (await decide(cluster, **changed)).graceful_restart is kept
    assert cluster.asked == []

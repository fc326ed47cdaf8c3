"""The cluster that `tests/daemon` makes up answers as the real one does, in every case that decides."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from speaker.cluster import ClusterConfig
from speaker.daemon.stopping import FreshLook
from speaker.errors import ClusterError
from speaker.model.objects import Kind, NodeView
from tests.cluster.watching import watching
from tests.daemon.answers import NODE, Answers
from tests.lab.kubeapi import KubeApi
from tests.lab.objects import Manifest

SECONDS = 1.0


@dataclass(frozen=True)
class Case:
    """One situation: how the fake is told of it, and how a server comes into it."""

    fake: Answers
    objects: tuple[Manifest, ...] = ()
    harm: Callable[[KubeApi], None] = lambda _: None


def node(**spec: object) -> Manifest:
    metadata = {"name": "node1", "labels": {"ovn.kubernetes.io/bgp": "true"}}
    return {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": spec}


def daemonset() -> Manifest:
    metadata = {"name": "speaker", "namespace": "kube-system"}
    return {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": metadata, "spec": {}}


PRESENT = Case(Answers(), (node(), daemonset()))
NODE_GONE = Case(Answers(node=None), (daemonset(),))
DAEMONSET_GONE = Case(Answers(daemonset_deleting=True), (node(),))
DAEMONSET_FORBIDDEN = Case(
    Answers(daemonset_deleting=None),
    (node(), daemonset()),
    lambda api: api.faults.answer_next(403, "daemonsets"),
)
NOBODY_ANSWERS = Case(
    Answers(error=ClusterError("cannot be reached")),
    (node(),),
    lambda api: api.faults.reset_next("nodes/", times=5),
)


@asynccontextmanager
async def looking(kind: str, case: Case, folder: Path) -> AsyncIterator[FreshLook]:
    """The fake, or a cluster of ours that watches a server in the same situation."""
    if kind == "fake":
        yield case.fake
        return
    async with KubeApi() as api:
        api.create(*case.objects)
        config = ClusterConfig(kubeconfig=str(api.kubeconfig(folder / "kubeconfig")))
        async with watching(config) as seen:
            await seen.synced()
            case.harm(api)
            yield seen.cluster


both = pytest.mark.parametrize("kind", ["fake", "real"])


@both
async def test_a_node_that_is_there(kind: str, tmp_path: Path) -> None:
    async with looking(kind, PRESENT, tmp_path) as cluster:
        view = await cluster.get_fresh(Kind.NODE, "", "node1", SECONDS)

    assert isinstance(view, NodeView)
    assert (view.meta.ref, view.labels) == (NODE.meta.ref, NODE.labels)
    assert (view.deleting, view.shutting_down, view.unschedulable) == (False, False, False)


@both
async def test_a_node_that_is_gone(kind: str, tmp_path: Path) -> None:
    async with looking(kind, NODE_GONE, tmp_path) as cluster:
        assert await cluster.get_fresh(Kind.NODE, "", "node1", SECONDS) is None


@both
async def test_nobody_who_answers(kind: str, tmp_path: Path) -> None:
    async with looking(kind, NOBODY_ANSWERS, tmp_path) as cluster:
        with pytest.raises(ClusterError):
            await cluster.get_fresh(Kind.NODE, "", "node1", SECONDS)


@both
@pytest.mark.parametrize(
    ("case", "expected"), [(PRESENT, False), (DAEMONSET_GONE, True), (DAEMONSET_FORBIDDEN, None)]
)
async def test_whether_the_daemonset_ends(
    kind: str, case: Case, expected: bool | None, tmp_path: Path
) -> None:
    async with looking(kind, case, tmp_path) as cluster:
        assert await cluster.get_daemonset_deleting("kube-system", "speaker", SECONDS) is expected

"""One look at the cluster: all of it for `speaker plan`, one object for a speaker that is to stop."""

import asyncio
from pathlib import Path

import pytest

from speaker.cluster import Cluster, ClusterConfig, list_once
from speaker.errors import ClusterError
from speaker.model.objects import Kind, NodeView
from tests.cluster.watching import create, expected, node, pods, watching
from tests.lab.kubeapi import KubeApi
from tests.lab.kubeapi.resources import Object

DAEMONSET: Object = {
    "apiVersion": "apps/v1",
    "kind": "DaemonSet",
    "metadata": {"name": "kube-route-speaker", "namespace": "kube-system"},
    "spec": {},
}


async def deleting(cluster: Cluster) -> bool | None:
    return await cluster.get_daemonset_deleting("kube-system", "kube-route-speaker", 5.0)


# -- everything ----------------------------------------------------------------------------------------


async def test_everything_is_listed_once(api: KubeApi, config: ClusterConfig) -> None:
    create(
        api, *({**each, "metadata": {**each["metadata"], "namespace": "kube-system"}} for each in pods(1200))
    )
    changes = await list_once(config)
    assert {change.ref: change.view for change in changes} == expected(api)


async def test_a_large_list_is_not_cut_by_the_patience_with_trouble(
    api: KubeApi, config: ClusterConfig
) -> None:
    """Slow is no trouble: only a source that fails ends the wait early."""
    api.faults.chunk_bytes, api.faults.chunk_delay_seconds = 400, 0.03
    changes = await list_once(config, trouble_seconds=0.05)
    assert {change.ref: change.view for change in changes} == expected(api)


async def test_trouble_that_passes_is_not_told(api: KubeApi, config: ClusterConfig) -> None:
    api.faults.answer_next(503, "pods", times=1)
    assert await list_once(config)


async def test_a_source_that_cannot_be_read_is_named(api: KubeApi, config: ClusterConfig) -> None:
    api.faults.answer_next(500, "/services", times=99)
    with pytest.raises(ClusterError) as caught:
        await list_once(config, trouble_seconds=1.0)
    assert str(caught.value) == (
        f"the cluster cannot be read: services: the API server {api.url} refuses to watch services (500): "
        "planned answer 500"
    )


async def test_nothing_goes_on_after_a_failure(tmp_path: Path) -> None:
    before = len(asyncio.all_tasks())
    with pytest.raises(ClusterError):
        await list_once(ClusterConfig(kubeconfig=str(tmp_path / "none")))
    assert len(asyncio.all_tasks()) == before


# -- one object ----------------------------------------------------------------------------------------


async def test_a_node_is_asked_for_afresh(api: KubeApi, config: ClusterConfig) -> None:
    async with watching(config) as seen:
        await seen.synced()
        api.faults.silent = True
        create(api, node("node-9"))
        view = await seen.cluster.get_fresh(Kind.NODE, "", "node-9", 5.0)
        assert isinstance(view, NodeView)
        assert view.labels == {"ovn.kubernetes.io/bgp": "true"}


async def test_an_object_that_is_not_there_is_none(config: ClusterConfig) -> None:
    async with watching(config) as seen:
        await seen.synced()
        assert await seen.cluster.get_fresh(Kind.POD, "default", "nobody", 5.0) is None
        found = await seen.cluster.get_fresh(Kind.POD, "default", "pod-0001", 5.0)
        assert found is not None
        assert found.meta.ref.name == "pod-0001"


@pytest.mark.parametrize(
    ("harm", "expected_text"),
    [
        (lambda api: api.faults.hang_next("nodes/"), "did not answer in 0.1 s"),
        (lambda api: api.faults.answer_next(500, "nodes/"), "refuses to get nodes (500)"),
        (lambda api: api.faults.reset_next("nodes/", times=5), "cannot be reached"),
        (lambda api: api.faults.answer_next(200, "nodes/", body=b"<html>"), "malformed"),
    ],
)
async def test_no_answer_in_time_is_one_sentence(
    api: KubeApi, config: ClusterConfig, harm: object, expected_text: str
) -> None:
    async with watching(config) as seen:
        await seen.synced()
        assert callable(harm)
        harm(api)
        with pytest.raises(ClusterError, match=None) as caught:
            await seen.cluster.get_fresh(Kind.NODE, "", "node-1", 0.1)
        assert expected_text in str(caught.value)


async def test_before_the_first_contact_nothing_can_be_asked(config: ClusterConfig) -> None:
    cluster = Cluster(config, on_changes=lambda _: None, on_health=lambda _: None)
    assert not cluster.in_sync
    assert cluster.health() == ()
    with pytest.raises(ClusterError, match="has not been reached yet"):
        await cluster.get_fresh(Kind.NODE, "", "node-1", 0.1)


async def test_whether_the_daemonset_is_being_deleted(api: KubeApi, config: ClusterConfig) -> None:
    resource = next(each for each in api.api.resources() if each.plural == "daemonsets")
    async with watching(config) as seen:
        await seen.synced()
        assert await deleting(seen.cluster) is True, "it is gone"
        held = DAEMONSET | {"metadata": DAEMONSET["metadata"] | {"finalizers": ["example.org/wait"]}}
        create(api, held)
        assert await deleting(seen.cluster) is False
        api.api.delete(resource, "kube-system", "kube-route-speaker")
        assert await deleting(seen.cluster) is True, "it waits for its finalizer"
        api.faults.answer_next(403, "daemonsets")
        assert await deleting(seen.cluster) is None, "the role does not say"
        api.faults.answer_next(500, "daemonsets")
        with pytest.raises(ClusterError, match="daemonsets"):
            await deleting(seen.cluster)

"""Custom resources that are not there, that come, and that go; and roles that are missing."""

from pathlib import Path

import pytest

from speaker.cluster import ClusterConfig
from speaker.model.objects import Kind
from tests.cluster.watching import converged, create, delete, node, pod, reflecting, subnet, watching
from tests.lab.kubeapi import KubeApi
from tests.lab.kubeapi.crds import IPS, SUBNETS
from tests.lab.kubeapi.resources import BUILT_IN, RBAC
from tests.lab.waiting import eventually

SUBNET_PATH = "/apis/kubeovn.io/v1/subnets"
CRDS = next(each for each in BUILT_IN if each.plural == "customresourcedefinitions")


def delete_crd(api: KubeApi, name: str) -> None:
    api.api.delete(CRDS, "", name)


def role(*rules: tuple[str, str, str]) -> list[dict[str, object]]:
    """Rules for everything but what is named: (group, resource, verbs)."""
    return [
        {"apiGroups": [group], "resources": [resource], "verbs": verbs.split()}
        for group, resource, verbs in rules
    ]


EVERYTHING = (
    ("", "pods", "list watch"),
    ("", "services", "list watch"),
    ("", "namespaces", "list watch"),
    ("", "nodes", "list watch"),
    ("discovery.k8s.io", "endpointslices", "list watch"),
    ("kubeovn.io", "subnets", "list watch"),
    ("kubeovn.io", "ips", "list watch"),
    ("apiextensions.k8s.io", "customresourcedefinitions", "watch"),
)


def as_account(api: KubeApi, path: Path, rules: list[dict[str, object]]) -> ClusterConfig:
    """A kubeconfig for a ServiceAccount that may do only so much."""
    api.create(
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "speaker"},
            "rules": rules,
        },
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "speaker"},
            "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "speaker"},
            "subjects": [{"kind": "ServiceAccount", "name": "speaker", "namespace": "kube-system"}],
        },
    )
    return ClusterConfig(
        kubeconfig=str(api.kubeconfig(path / "account", service_account="kube-system/speaker"))
    )


def set_rules(api: KubeApi, rules: list[dict[str, object]]) -> None:
    roles = next(each for each in BUILT_IN if each.plural == "clusterroles")
    api.api.update(roles, "", "speaker", lambda item: item | {"rules": rules})


# -- 404 -----------------------------------------------------------------------------------------------


async def test_a_cluster_without_kube_ovn_is_in_sync(empty_api: KubeApi, empty_config: ClusterConfig) -> None:
    """An absent CRD is no trouble: nothing is said, and nothing is waited for."""
    create(empty_api, node(), pod("web"))
    async with watching(empty_config) as seen:
        await seen.synced()
        await converged(empty_api, seen)
        assert not seen.errors()


async def test_a_crd_that_is_installed_later_is_seen(empty_api: KubeApi, empty_config: ClusterConfig) -> None:
    async with watching(empty_config) as seen:
        await seen.synced()
        create(empty_api, SUBNETS, IPS, subnet("ovn-default"))
        await converged(empty_api, seen)
        create(empty_api, subnet("second", "10.17.0.0/16"))
        await converged(empty_api, seen)
        assert not seen.errors()


async def test_waiting_for_a_crd_asks_for_nothing_again(
    empty_api: KubeApi, empty_config: ClusterConfig
) -> None:
    async with reflecting(empty_config, Kind.SUBNET):
        await eventually(lambda: empty_api.faults.watches("customresourcedefinitions"))
        requests = len(empty_api.requests)
        create(empty_api, *(pod(f"pod-{n}") for n in range(20)))
        assert len(empty_api.requests) == requests <= 3


async def test_a_crd_that_is_served_in_another_version_is_not_asked_for_in_a_loop(
    empty_api: KubeApi, empty_config: ClusterConfig
) -> None:
    spec = SUBNETS["spec"]
    version = spec["versions"][0] | {"name": "v2"}
    create(empty_api, SUBNETS | {"spec": spec | {"versions": [version]}})
    async with reflecting(empty_config, Kind.SUBNET) as seen:
        await eventually(lambda: sum(seen.time.slept) > 120, what="two minutes of the clock that tests move")
        assert len(empty_api.requests) < 40
        assert not seen.errors()


async def test_a_crd_that_is_deleted_takes_its_objects_along(api: KubeApi, config: ClusterConfig) -> None:
    """The server deletes the objects and then the resource: this is news, and no fault."""
    async with watching(config) as seen:
        await seen.synced()
        delete_crd(api, "subnets.kubeovn.io")
        api.faults.close_watches(SUBNET_PATH)
        await eventually(lambda: api.faults.watches("customresourcedefinitions"))
        await converged(api, seen)
        assert {(ref.kind, ref.name) for ref in seen.gone} == {(Kind.SUBNET, "ovn-default")}
        create(api, SUBNETS, subnet("back", "10.18.0.0/16"))
        await converged(api, seen)


async def test_a_404_that_discovery_does_not_confirm_takes_nothing(
    api: KubeApi, config: ClusterConfig
) -> None:
    """One API server of several, not yet up, answers 404 for custom resources: unknown is not empty."""
    async with reflecting(config, Kind.SUBNET) as seen:
        await converged(api, seen, Kind.SUBNET)
        api.faults.answer_next(404, SUBNET_PATH, times=4)
        api.faults.reset_watches()
        await eventually(lambda: any("(404)" in each for each in seen.errors()))
        create(api, subnet("late", "10.17.0.0/16"))
        await converged(api, seen, Kind.SUBNET)
        assert not seen.gone


async def test_a_discovery_that_is_wrong_once_takes_nothing(api: KubeApi, config: ClusterConfig) -> None:
    """What is known goes only when discovery says twice, seconds apart, that it is gone."""
    async with reflecting(config, Kind.SUBNET) as seen:
        await converged(api, seen, Kind.SUBNET)
        api.faults.answer_next(404, SUBNET_PATH)
        api.faults.answer_next(404, "/apis/kubeovn.io/v1$")
        api.faults.reset_watches()
        create(api, subnet("late", "10.17.0.0/16"))
        await converged(api, seen, Kind.SUBNET)
        assert not seen.gone


@pytest.mark.parametrize("status", [403, 500, 503])
async def test_a_discovery_that_cannot_tell_takes_nothing(
    api: KubeApi, config: ClusterConfig, status: int
) -> None:
    async with reflecting(config, Kind.SUBNET) as seen:
        await converged(api, seen, Kind.SUBNET)
        api.faults.answer_next(404, SUBNET_PATH, times=3)
        api.faults.answer_next(status, "/apis/kubeovn.io/v1$", times=3)
        api.faults.reset_watches()
        create(api, subnet("late", "10.17.0.0/16"))
        await converged(api, seen, Kind.SUBNET)
        assert not seen.gone


async def test_a_404_of_a_built_in_kind_is_never_an_absence(api: KubeApi, config: ClusterConfig) -> None:
    async with reflecting(config, Kind.POD) as seen:
        await converged(api, seen, Kind.POD)
        api.faults.answer_next(404, "", times=5)
        api.faults.reset_watches()
        create(api, pod("late", "10.9.0.1"))
        await converged(api, seen, Kind.POD)
        assert not seen.gone


async def test_a_crd_is_found_where_crds_may_not_be_watched(empty_api: KubeApi, tmp_path: Path) -> None:
    """Without that part of the role discovery is asked now and then."""
    config = as_account(empty_api, tmp_path, role(*EVERYTHING[:-1]))
    async with watching(config) as seen:
        await seen.synced()
        create(empty_api, SUBNETS, subnet("ovn-default"))
        await converged(empty_api, seen)
        assert not seen.errors()


# -- 403 -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("watch_list", [True, False])
async def test_a_missing_verb_is_named_in_one_sentence(
    api: KubeApi, tmp_path: Path, watch_list: bool
) -> None:
    api.faults.watch_list = watch_list
    config = as_account(api, tmp_path, role(*(each for each in EVERYTHING if each[1] != "services")))
    async with watching(config) as seen:
        await eventually(lambda: seen.failing)
        verb = "watch"
        assert seen.failing == {
            "services": f"the API server {api.url} refuses to {verb} services (403): services is forbidden: "
            f'User "system:serviceaccount:kube-system:speaker" cannot {verb} resource "services" in API '
            'group "" at the cluster scope; apply the ClusterRole in manifests/base'
        }
        assert not seen.cluster.in_sync, "what may not be read is unknown, not empty"


async def test_a_missing_list_is_named_where_pages_are_listed(api: KubeApi, tmp_path: Path) -> None:
    api.faults.watch_list = False
    rules = [each for each in EVERYTHING if each[1] != "services"]
    config = as_account(api, tmp_path, role(*rules, ("", "services", "watch")))
    async with watching(config) as seen:
        await eventually(lambda: seen.failing)
        assert 'cannot list resource "services" in API group ""' in seen.failing["services"]


async def test_a_role_that_is_granted_later_is_enough(api: KubeApi, tmp_path: Path) -> None:
    config = as_account(api, tmp_path, role(*EVERYTHING[:2]))
    async with watching(config) as seen:
        await eventually(lambda: len(seen.failing) == 5)
        set_rules(api, role(*EVERYTHING))
        await seen.synced()
        await converged(api, seen)
        assert not seen.failing


async def test_a_role_that_is_taken_away_loses_nothing(api: KubeApi, tmp_path: Path) -> None:
    config = as_account(api, tmp_path, role(*EVERYTHING))
    async with watching(config) as seen:
        await seen.synced()
        await converged(api, seen)
        before = dict(seen.views)
        set_rules(api, [])
        api.faults.reset_watches()
        await eventually(lambda: len(seen.failing) == 7)
        delete(api, Kind.POD, "pod-0001", "default")
        assert (seen.views, seen.gone) == (before, set())
        set_rules(api, role(*EVERYTHING))
        await converged(api, seen)


async def test_a_kind_that_is_neither_served_nor_allowed_is_absent(
    empty_api: KubeApi, tmp_path: Path
) -> None:
    """The server checks the role first, so a cluster without the CRD answers 403."""
    config = as_account(empty_api, tmp_path, role(*EVERYTHING[:5]))
    async with watching(config) as seen:
        await seen.synced()
        assert not seen.errors()

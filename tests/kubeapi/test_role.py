"""The roles in manifests/base are enough for the speaker, and no part of them is more than enough.

They permit no Secret: who names one in a BGPPeer permits it, as the comment in role.yaml says.
"""

import copy
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from speaker.cluster import ClusterConfig
from speaker.cluster.events import AGAIN_SECONDS
from speaker.errors import ClusterError
from speaker.model.fabric import GROUP, VERSION
from speaker.model.objects import Kind, ObjectRef
from tests.cluster.watching import (
    STORED,
    Watched,
    create,
    endpoint_slice,
    node,
    pod,
    service,
    subnet,
    watching,
)
from tests.lab.kubeapi import KubeApi
from tests.lab.kubeapi.auth import Attributes
from tests.lab.kubeapi.crds import IPAM_BLOCKS, IPS, OPEN_CRDS, SUBNETS
from tests.lab.roles import SERVICE_ACCOUNT, role_manifests
from tests.lab.waiting import eventually

DAEMONSET = {
    "apiVersion": "apps/v1",
    "kind": "DaemonSet",
    "metadata": {"name": "kube-route-speaker", "namespace": "kube-system"},
    "spec": {},
}
OPTIONAL = tuple(plural for group, plural in STORED.values() if group not in {"", "discovery.k8s.io"})
STATUSES = (
    (Kind.BGP_NODE_STATUS, "node-1"),
    (Kind.BGP_CONFIGURATION, "default"),
    (Kind.BGP_PEER, "tor"),
    (Kind.BGP_FILTER, "some"),
)
OTHERS = tuple(
    {"apiVersion": f"{GROUP}/{VERSION}", "kind": kind.value, "metadata": {"name": name}}
    for kind, name in STATUSES[1:]
)
PASSWORD = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "tor", "namespace": "kube-system"},
    "data": {"password": "c2VjcmV0"},
}
Permission = tuple[str, int, str, str, str]
"""Kind of role, number of its rule, resource, name and verb."""


def permissions() -> Iterator[Permission]:
    for document in role_manifests():
        for number, rule in enumerate(document.get("rules", ())):
            for resource in rule["resources"]:
                for name in rule.get("resourceNames", [""]):
                    for verb in rule["verbs"]:
                        yield document["kind"], number, resource, name, verb


def without(permission: Permission) -> list[Any]:
    """The roles with one verb on one resource taken away, all else left as it is."""
    kind, number, resource, name, verb = permission
    reduced = copy.deepcopy(role_manifests())
    rules = next(each for each in reduced if each["kind"] == kind)["rules"]
    rule = rules.pop(number)
    for each in rule["resources"]:
        for named in rule.get("resourceNames", [""]):
            verbs = [v for v in rule["verbs"] if (each, named, v) != (resource, name, verb)]
            names = {"resourceNames": [named]} if named else {}
            if verbs:
                rules.append({"apiGroups": rule["apiGroups"], "resources": [each], "verbs": verbs} | names)
    return reduced


async def life_of_a_speaker(api: KubeApi, kubeconfig: Path) -> list[Attributes]:
    """Everything that it ever asks for, to its end or the first refusal; returns what was refused."""
    config = ClusterConfig(
        kubeconfig=str(kubeconfig), node_name="node-1", fabric=True, namespace="kube-system"
    )
    create(api, node(), pod("web"), service("shop"), endpoint_slice("shop-1", "shop", "node-1"), DAEMONSET)
    async with watching(config) as seen, seen.cluster.watching(Kind.BGP_NODE_STATUS):
        for step in (_absent, _present, _statuses, _events, _lease, _stop):
            await step(api, seen)
            if api.authority.denied:
                break
    return api.authority.denied


async def _refused_or(api: KubeApi, holds: Callable[[], object], what: str) -> None:
    await eventually(lambda: holds() or api.authority.denied, what=what)


async def _absent(api: KubeApi, seen: Watched) -> None:
    await _refused_or(api, lambda: seen.cluster.in_sync, "all sources")
    for name in OPTIONAL:
        await _refused_or(api, partial(api.faults.watches, f"metadata.name%3D{name}"), "a CRD's watch")


async def _present(api: KubeApi, seen: Watched) -> None:
    create(api, SUBNETS, IPS, IPAM_BLOCKS, *OPEN_CRDS, subnet("ovn-default"))
    await _refused_or(api, lambda: any(ref.kind is Kind.SUBNET for ref in seen.views), "the Subnet")
    for plural in {plural for kind, (_, plural) in STORED.items() if kind is not Kind.SECRET}:
        await _refused_or(api, partial(api.faults.watches, f"/{plural}\\?"), f"a watch of {plural}")


async def _statuses(api: KubeApi, seen: Watched) -> None:
    """The own BGPNodeStatus is created; the others are there."""
    create(api, *OTHERS)
    for kind, name in STATUSES:
        seen.cluster.statuses.write(kind, name, {"n": 1}, create=kind is Kind.BGP_NODE_STATUS)
        await _refused_or(api, partial(_has_status, api, kind, name), f"the status of {kind} {name}")


def _has_status(api: KubeApi, kind: Kind, name: str) -> bool:
    stored = api.store.get(STORED[kind], "", name)
    return stored is not None and "status" in stored


async def _events(api: KubeApi, seen: Watched) -> None:
    web = ObjectRef(Kind.POD, "default", "web")
    for count in (1, 2):
        seen.cluster.events.warn(web, "InvalidAnnotation", "no")
        await _refused_or(api, partial(_is_counted, api, count), f"an Event, {count} times")
        seen.time.now += AGAIN_SECONDS + 1


def _is_counted(api: KubeApi, count: int) -> bool:
    return any(event["count"] == count for event in api.store.all(("", "events")))


async def _lease(api: KubeApi, _: Watched) -> None:
    for method in ("POST", "PUT"):
        asked = f"{method} /apis/coordination.k8s.io"
        await _refused_or(api, partial(_was_asked, api, asked), asked)


def _was_asked(api: KubeApi, text: str) -> bool:
    return any(text in each for each in api.requests)


async def _stop(_: KubeApi, seen: Watched) -> None:
    with suppress(ClusterError):
        assert await seen.cluster.get_fresh(Kind.NODE, "", "node-1", 5.0)
    await seen.cluster.get_daemonset_deleting("kube-system", "kube-route-speaker", 5.0)


@pytest.mark.parametrize("watch_list", [True, False])
async def test_the_roles_are_enough(api: KubeApi, tmp_path: Path, watch_list: bool) -> None:
    api.faults.watch_list = watch_list
    create(api, *role_manifests())
    kubeconfig = api.kubeconfig(tmp_path / "kubeconfig", service_account=SERVICE_ACCOUNT)
    assert await life_of_a_speaker(api, kubeconfig) == []


@pytest.mark.parametrize("permission", tuple(permissions()), ids=lambda each: "-".join(map(str, each)))
async def test_each_permission_is_needed(api: KubeApi, tmp_path: Path, permission: Permission) -> None:
    """Lists are needed where the server knows no WatchList, so it is asked without."""
    api.faults.watch_list = False
    create(api, *without(permission))
    kubeconfig = api.kubeconfig(tmp_path / "kubeconfig", service_account=SERVICE_ACCOUNT)
    denied = {(each.resource, each.verb) for each in await life_of_a_speaker(api, kubeconfig)}
    assert denied == {(permission[2], permission[4])}


def commented_rule() -> Any:
    """The rule that role.yaml tells users to write."""
    (text,) = (path.read_text() for path in Path(__file__).parents[2].glob("manifests/base/role.yaml"))
    lines = [line.removeprefix("#   ") for line in text.splitlines() if line.startswith("#   ")]
    (rule,) = yaml.safe_load("\n".join(lines))
    return rule


async def test_a_secret_is_read_with_the_rule_that_users_are_told_to_write(
    api: KubeApi, tmp_path: Path
) -> None:
    """And with nothing less: the base alone is refused."""
    create(api, *role_manifests(), node(), PASSWORD)
    kubeconfig = api.kubeconfig(tmp_path / "kubeconfig", service_account=SERVICE_ACCOUNT)
    only = frozenset({Kind.NODE})
    config = ClusterConfig(kubeconfig=str(kubeconfig), namespace="kube-system", only=only)
    ref = ObjectRef(Kind.SECRET, "kube-system", "tor")
    async with watching(config) as seen:
        seen.cluster.set_secrets(frozenset({"tor"}))
        await eventually(lambda: api.authority.denied, what="a refusal")
        role, binding = copy.deepcopy([each for each in role_manifests() if each["kind"].startswith("Role")])
        role["metadata"]["name"] = binding["metadata"]["name"] = binding["roleRef"]["name"] = "passwords"
        role["rules"] = [commented_rule() | {"resourceNames": ["tor"]}]
        create(api, role, binding)
        await eventually(lambda: ref in seen.views, what="the Secret")
    assert {each.name for each in api.authority.denied} == {"tor"}

"""Secrets are watched by name, one by one; what is missing or forbidden is told, and no value ever is."""

import base64
import json
import logging
from pathlib import Path

import msgspec
import pytest

from speaker.cluster import Cluster, ClusterConfig, views_from_manifest, wire
from speaker.cluster.bounded import LONGEST_SECRET
from speaker.cluster.passing import MOST_SECRETS
from speaker.model.objects import Kind, ObjectRef, SecretView
from tests.cluster.watching import PREFIX, FastTime, Watched, create, running, watching
from tests.lab.kubeapi import KubeApi
from tests.lab.kubeapi.resources import BUILT_IN, RBAC, Object
from tests.lab.waiting import eventually

SECRETS = next(each for each in BUILT_IN if each.plural == "secrets")
PATH = "/api/v1/namespaces/kube-system/secrets"
PASSWORD = "correct-horse"


def ref(name: str) -> ObjectRef:
    return ObjectRef(Kind.SECRET, "kube-system", name)


def secret(name: str, **values: str | bytes) -> Object:
    octets = {key: value.encode() if isinstance(value, str) else value for key, value in values.items()}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": "kube-system"},
        "data": {key: base64.b64encode(value).decode() for key, value in octets.items()},
    }


def rewrite(api: KubeApi, name: str, **parts: object) -> None:
    api.api.update(SECRETS, "kube-system", name, lambda item: item | parts)


def remove(api: KubeApi, name: str) -> None:
    api.api.delete(SECRETS, "kube-system", name)


def values(seen: Watched, name: str) -> dict[str, str]:
    view = seen.views[ref(name)]
    assert isinstance(view, SecretView)
    return {key: value.reveal() for key, value in view.data.items()}


def troubles(seen: Watched) -> dict[str, str]:
    """What health says of the Secrets that are not as they should be."""
    return {each.name: each.error for each in seen.cluster.health() if "secrets" in each.name and each.error}


@pytest.fixture
def config(empty_config: ClusterConfig) -> ClusterConfig:
    return ClusterConfig(kubeconfig=empty_config.kubeconfig, namespace="kube-system")


# -- reading -------------------------------------------------------------------------------------------


async def test_exactly_the_wanted_secrets_are_read(empty_api: KubeApi, config: ClusterConfig) -> None:
    create(empty_api, *(secret(name, password=name) for name in ("a", "b", "other")))
    async with watching(config) as seen:
        await seen.synced()
        seen.cluster.set_secrets(frozenset({"a", "b"}))
        await eventually(lambda: {ref("a"), ref("b")} <= seen.views.keys(), what="two Secrets")
        assert values(seen, "a") == {"password": "a"}
        assert ref("other") not in seen.views
        asked = [each for each in empty_api.requests if PATH in each]
        assert asked
        assert all("metadata.name%3Da" in each or "metadata.name%3Db" in each for each in asked)
        assert not troubles(seen)


async def test_secrets_that_were_wanted_before_the_start_are_read(
    empty_api: KubeApi, config: ClusterConfig
) -> None:
    create(empty_api, secret("a", password=PASSWORD))
    seen = Watched(FastTime())
    seen.cluster = Cluster(config, on_changes=seen.take, on_health=seen.hear, pacing=seen.time.pacing())
    seen.cluster.set_secrets(frozenset({"a"}))
    async with running(seen.cluster.run()):
        await eventually(lambda: ref("a") in seen.views, what="the Secret")


async def test_a_new_value_is_told(empty_api: KubeApi, config: ClusterConfig) -> None:
    create(empty_api, secret("a", password="old"))
    async with watching(config) as seen:
        seen.cluster.set_secrets(frozenset({"a"}))
        await eventually(lambda: ref("a") in seen.views, what="the Secret")
        rewrite(empty_api, "a", data=secret("a", password="new")["data"])
        await eventually(lambda: values(seen, "a") == {"password": "new"}, what="the new value")


async def test_the_same_set_again_changes_nothing(empty_api: KubeApi, config: ClusterConfig) -> None:
    create(empty_api, secret("a"))
    async with watching(config) as seen:
        seen.cluster.set_secrets(frozenset({"a"}))
        await eventually(lambda: ref("a") in seen.views, what="the Secret")
        await eventually(lambda: empty_api.faults.watches(PATH), what="the watch")
        seen.cluster.set_secrets(frozenset({"a"}))
        rewrite(empty_api, "a", data=secret("a", password="new")["data"])
        await eventually(lambda: values(seen, "a") == {"password": "new"}, what="the new value")
        assert sum(PATH in each for each in empty_api.requests) == 1


async def test_what_is_no_longer_wanted_is_told_gone_and_not_watched(
    empty_api: KubeApi, config: ClusterConfig
) -> None:
    create(empty_api, secret("a"), secret("b"))
    async with watching(config) as seen:
        seen.cluster.set_secrets(frozenset({"a", "b"}))
        await eventually(lambda: {ref("a"), ref("b")} <= seen.views.keys(), what="two Secrets")
        seen.cluster.set_secrets(frozenset({"b"}))
        await eventually(lambda: ref("a") not in seen.views, what="the end of a")
        await eventually(lambda: not empty_api.faults.watches("metadata.name%3Da"), what="the watch's end")
        assert {each.name for each in seen.cluster.health() if "secrets" in each.name} == {"secrets/b"}


# -- what is not there ---------------------------------------------------------------------------------


async def test_a_missing_secret_is_told(empty_api: KubeApi, config: ClusterConfig) -> None:
    async with watching(config) as seen:
        seen.cluster.set_secrets(frozenset({"a"}))
        await eventually(lambda: ref("a") in seen.gone, what="that it is not there")
        assert troubles(seen) == {"secrets/a": "there is no Secret a in the namespace kube-system"}
        await eventually(lambda: "secrets/a" in seen.failing, what="its health")
        create(empty_api, secret("a", password=PASSWORD))
        await eventually(lambda: ref("a") in seen.views, what="the Secret")
        assert values(seen, "a") == {"password": PASSWORD}
        assert not troubles(seen)
        assert not seen.failing


async def test_a_deleted_secret_is_told(empty_api: KubeApi, config: ClusterConfig) -> None:
    create(empty_api, secret("a"))
    async with watching(config) as seen:
        seen.cluster.set_secrets(frozenset({"a"}))
        await eventually(lambda: ref("a") in seen.views, what="the Secret")
        remove(empty_api, "a")
        await eventually(lambda: ref("a") not in seen.views, what="its end")
        assert "secrets/a" in troubles(seen)


async def test_a_missing_secret_does_not_hold_up_the_rest(empty_api: KubeApi, config: ClusterConfig) -> None:
    del empty_api
    async with watching(config) as seen:
        seen.cluster.set_secrets(frozenset({"a"}))
        await seen.synced()
        await eventually(lambda: troubles(seen), what="its health")
        assert seen.cluster.in_sync
        assert all(each.synced for each in seen.cluster.health())


async def test_without_a_namespace_there_are_no_secrets(empty_config: ClusterConfig) -> None:
    async with watching(empty_config) as seen:
        await seen.synced()
        seen.cluster.set_secrets(frozenset({"a"}))
        assert troubles(seen) == {
            "secrets": "Secrets cannot be read: the speaker's own namespace is not known"
        }
        seen.cluster.set_secrets(frozenset())
        assert not troubles(seen)


async def test_more_secrets_than_can_be_watched_are_left_out(
    empty_api: KubeApi, config: ClusterConfig, caplog: pytest.LogCaptureFixture
) -> None:
    async with watching(config) as seen:
        await seen.synced()
        empty_api.faults.outage = True
        seen.cluster.set_secrets(frozenset(f"s-{n:04}" for n in range(MOST_SECRETS + 1)))
        watched = [each.name for each in seen.cluster.health() if "secrets" in each.name]
        assert len(watched) == MOST_SECRETS
        assert f"secrets/s-{MOST_SECRETS:04}" not in watched
        assert "secrets are left out" in caplog.text
        seen.cluster.set_secrets(frozenset())


# -- what may not be read ------------------------------------------------------------------------------


def permitted(api: KubeApi, path: Path, *names: str) -> ClusterConfig:
    """A ServiceAccount that may list and watch these Secrets, and all that has no namespace."""
    subjects = [{"kind": "ServiceAccount", "name": "speaker", "namespace": "kube-system"}]
    everything = {"apiGroups": ["*"], "resources": ["nodes", "namespaces"], "verbs": ["*"]}
    rule = {
        "apiGroups": [""],
        "resources": ["secrets"],
        "resourceNames": list(names),
        "verbs": ["list", "watch"],
    }
    for scope, rules in (("Cluster", [everything]), ("", [rule] if names else [])):
        metadata = {"name": "speaker"} | ({} if scope else {"namespace": "kube-system"})
        reference = {"apiGroup": RBAC, "kind": f"{scope}Role", "name": "speaker"}
        api.create(
            {"apiVersion": f"{RBAC}/v1", "kind": f"{scope}Role", "metadata": metadata, "rules": rules},
            {
                "apiVersion": f"{RBAC}/v1",
                "kind": f"{scope}RoleBinding",
                "metadata": metadata,
                "roleRef": reference,
                "subjects": subjects,
            },
        )
    kubeconfig = api.kubeconfig(path / "account", service_account="kube-system/speaker")
    only = frozenset({Kind.NODE})
    return ClusterConfig(kubeconfig=str(kubeconfig), namespace="kube-system", only=only)


@pytest.mark.parametrize("watch_list", [True, False])
async def test_a_role_with_the_name_is_enough(empty_api: KubeApi, tmp_path: Path, watch_list: bool) -> None:
    empty_api.faults.watch_list = watch_list
    create(empty_api, secret("a"), secret("b"))
    async with watching(permitted(empty_api, tmp_path, "a")) as seen:
        seen.cluster.set_secrets(frozenset({"a"}))
        await eventually(lambda: ref("a") in seen.views, what="the Secret")
        await eventually(lambda: empty_api.faults.watches(PATH), what="the watch")
        assert not empty_api.authority.denied


async def test_a_forbidden_secret_is_told(empty_api: KubeApi, tmp_path: Path) -> None:
    create(empty_api, secret("a"), secret("b"))
    async with watching(permitted(empty_api, tmp_path, "a")) as seen:
        seen.cluster.set_secrets(frozenset({"a", "b"}))
        await eventually(lambda: ref("b") in seen.gone, what="that it may not be read")
        await eventually(lambda: ref("a") in seen.views, what="the other one")
        (sentence,) = troubles(seen).values()
        assert sentence.startswith(f"the API server {empty_api.url} refuses to watch secrets/b (403): ")
        assert sentence.endswith("; permit it by its name in a Role of the speaker's namespace")


async def test_a_permission_that_is_taken_away_loses_nothing(
    empty_api: KubeApi, config: ClusterConfig
) -> None:
    create(empty_api, secret("a", password=PASSWORD))
    async with watching(config) as seen:
        seen.cluster.set_secrets(frozenset({"a"}))
        await eventually(lambda: ref("a") in seen.views, what="the Secret")
        await eventually(lambda: empty_api.faults.watches(PATH), what="the watch")
        empty_api.faults.answer_next(403, PATH, times=999)
        empty_api.faults.reset_watches()
        await eventually(lambda: troubles(seen), what="the refusal")
        assert values(seen, "a") == {"password": PASSWORD}


# -- values --------------------------------------------------------------------------------------------


def read(document: Object) -> tuple[SecretView, list[str]]:
    changes, problems = views_from_manifest(document, PREFIX)
    (only,) = changes
    assert isinstance(only.view, SecretView)
    return only.view, problems


@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
def test_the_end_of_a_line_is_no_part_of_a_password(end: str) -> None:
    view, problems = read(secret("a", password=f"{PASSWORD}{end}"))
    assert view.data["password"].reveal() == PASSWORD
    assert not problems


@pytest.mark.parametrize(
    "value", [b"\xff\xfe" + PASSWORD.encode(), PASSWORD.encode() * LONGEST_SECRET], ids=["no-text", "long"]
)
def test_a_value_that_cannot_be_read_is_absent_and_told_without_it(value: bytes) -> None:
    view, problems = read(secret("a", password=value, other=b"x"))
    assert view.data.keys() == {"other"}
    assert problems == [
        "Secret kube-system/a: data.password cannot be read: it is not base64 of a short UTF-8 text"
    ]


def test_a_value_that_is_not_base64_is_absent_and_told_without_it() -> None:
    document = secret("a")
    document["data"] = {"password": f"{PASSWORD}!"}
    view, problems = read(document)
    assert not view.data
    assert len(problems) == 1
    assert PASSWORD not in problems[0]


def test_plain_values_of_a_manifest_are_read() -> None:
    document = secret("a")
    document["stringData"] = {"password": f"{PASSWORD}\n"}
    view, _ = read(document)
    assert view.data["password"].reveal() == PASSWORD


def test_no_value_shows_itself() -> None:
    decoded = msgspec.json.decode(json.dumps(secret("a", password=PASSWORD)), type=wire.Secret)
    view, _ = read(secret("a", password=PASSWORD))
    encoded = secret("a", password=PASSWORD)["data"]["password"]
    for shown in (repr(view), str(view), repr(decoded), str(view.data)):
        assert PASSWORD not in shown
        assert encoded not in shown


async def test_no_value_is_logged(
    empty_api: KubeApi, config: ClusterConfig, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    document = secret("a", password=PASSWORD)
    create(empty_api, document)
    async with watching(config) as seen:
        seen.cluster.set_secrets(frozenset({"a"}))
        await eventually(lambda: ref("a") in seen.views, what="the Secret")
        rewrite(empty_api, "a", data={"password": 7, "other": document["data"]["password"]})
        empty_api.faults.write(
            b'{"type":"MODIFIED","object":{"metadata":{"name":"a"},"data":["%s"]}}\n' % PASSWORD.encode()
        )
        rewrite(empty_api, "a", data={"password": "%%%", "last": document["data"]["password"]})
        await eventually(lambda: values(seen, "a").keys() == {"last"}, what="what can be read")
    logged = " ".join(str(vars(each)) for each in caplog.records)
    assert PASSWORD not in logged
    assert document["data"]["password"] not in logged
    assert PASSWORD not in str([each.error for each in seen.told])

"""The four kinds of PATCH, and custom resources with their structural schemas."""

import json
from typing import Any

import pytest

from tests.cluster.watching import pod, subnet
from tests.kubeapi.asking import APPLY, JSON, MERGE, PODS, STRATEGIC, SUBNET, Http, reason
from tests.lab.kubeapi import KubeApi
from tests.lab.kubeapi.crds import SUBNETS

# -- patches -------------------------------------------------------------------------------------------


async def test_a_merge_patch_sets_and_removes(api: KubeApi, http: Http) -> None:
    api.create(pod("web", note="old"))
    patch = {"metadata": {"annotations": {"ovn.kubernetes.io/note": None, "new": "yes"}}}
    answer = await http("PATCH", f"{PODS}/web", patch, content_type=MERGE)
    assert answer.body["metadata"]["annotations"] == {"new": "yes"}


async def test_a_json_patch_keeps_to_its_tests(api: KubeApi, http: Http) -> None:
    api.create(pod("web", note="old"))
    path = "/metadata/annotations/ovn.kubernetes.io~1note"
    good = [{"op": "test", "path": path, "value": "old"}, {"op": "replace", "path": path, "value": "new"}]
    answer = await http("PATCH", f"{PODS}/web", good, content_type=JSON)
    assert answer.body["metadata"]["annotations"] == {"ovn.kubernetes.io/note": "new"}
    assert (await http("PATCH", f"{PODS}/web", good, content_type=JSON)).status == 422
    refused: tuple[Any, ...] = (
        [{"op": "remove", "path": "/metadata/annotations/none"}],
        [{"op": "dance", "path": "/a"}],
        [{}],
    )
    for bad in refused:
        assert (await http("PATCH", f"{PODS}/web", bad, content_type=JSON)).status == 422


async def test_a_strategic_merge_joins_lists_by_their_key(api: KubeApi, http: Http) -> None:
    api.create(pod("web"))
    patch = {"spec": {"containers": [{"name": "side", "image": "b"}, {"name": "main", "image": "a"}]}}
    answer = await http("PATCH", f"{PODS}/web", patch, content_type=STRATEGIC)
    images = {each["name"]: each["image"] for each in answer.body["spec"]["containers"]}
    assert images == {"main": "a", "side": "b"}
    patch = {"spec": {"containers": [{"name": "side", "$patch": "delete"}]}}
    answer = await http("PATCH", f"{PODS}/web", patch, content_type=STRATEGIC)
    assert [each["name"] for each in answer.body["spec"]["containers"]] == ["main"]


async def test_custom_resources_know_no_strategic_merge(api: KubeApi, http: Http) -> None:
    api.create(SUBNETS, subnet("ovn-default"))
    answer = await http("PATCH", f"{SUBNET}/ovn-default", {}, content_type=STRATEGIC)
    assert (answer.status, reason(answer.body)) == (415, "UnsupportedMediaType")


async def test_an_apply_patch_creates_and_then_merges(http: Http) -> None:
    path = f"{PODS}/web?fieldManager=test"
    assert (await http("PATCH", path, pod("web"), content_type=APPLY)).status == 201
    again = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "labels": {"a": "b"}}}
    answer = await http("PATCH", path, again, content_type=APPLY)
    assert (answer.status, answer.body["metadata"]["labels"]) == (200, {"a": "b"})


# -- custom resources ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"protocol": "IPv5"}, "spec.protocol"),
        ({"natOutgoing": "yes"}, "spec.natOutgoing"),
        ({"namespaces": "default"}, "spec.namespaces"),
        ({"namespaces": ["a", 1]}, "spec.namespaces[1]"),
        ({"vpc": None}, "spec.vpc"),
    ],
)
async def test_a_structural_schema_is_enforced(api: KubeApi, http: Http, spec: Any, field: str) -> None:
    api.create(SUBNETS)
    answer = await http("POST", SUBNET, {"metadata": {"name": "x"}, "spec": spec})
    assert (answer.status, reason(answer.body)) == (422, "Invalid")
    assert [each["field"] for each in answer.body["details"]["causes"]] == [field]


async def test_unknown_fields_are_pruned_or_refused(api: KubeApi, http: Http) -> None:
    api.create(SUBNETS)
    document = {"metadata": {"name": "x"}, "spec": {"cidrr": "10.0.0.0/8", "vpc": "v"}}
    strict = await http("POST", f"{SUBNET}?fieldValidation=Strict", document)
    assert (strict.status, strict.body["message"].endswith('unknown field "spec.cidrr"')) == (400, True)
    assert (await http("POST", SUBNET, document)).body["spec"] == {"vpc": "v"}


async def test_defaults_of_a_schema_are_filled_in(api: KubeApi, http: Http) -> None:
    crd = json.loads(json.dumps(SUBNETS))
    properties = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    properties["protocol"]["default"] = "IPv4"
    api.create(crd)
    answer = await http("POST", SUBNET, {"metadata": {"name": "x"}, "spec": {}})
    assert answer.body["spec"] == {"protocol": "IPv4"}

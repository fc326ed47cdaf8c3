"""The embedded API server over HTTP: discovery, reading and writing as a kube-apiserver would answer."""

import pytest

from tests.cluster.watching import pod, pods, service, subnet
from tests.kubeapi.asking import MERGE, PODS, SUBNET, TABLE, Http, reason
from tests.lab.kubeapi import KubeApi
from tests.lab.kubeapi.crds import SUBNETS

# -- discovery -----------------------------------------------------------------------------------------


async def test_discovery_lists_groups_versions_and_resources(http: Http) -> None:
    assert (await http("GET", "/api")).body["versions"] == ["v1"]
    groups = {each["name"] for each in (await http("GET", "/apis")).body["groups"]}
    assert {"apps", "discovery.k8s.io", "coordination.k8s.io", "apiextensions.k8s.io"} <= groups
    core = (await http("GET", "/api/v1")).body
    assert (core["kind"], core["groupVersion"]) == ("APIResourceList", "v1")
    found = {each["name"]: each for each in core["resources"]}
    assert found["pods"]["shortNames"] == ["po"]
    assert found["pods"]["namespaced"] is True
    assert found["nodes"]["namespaced"] is False
    assert "pods/status" in found


async def test_aggregated_discovery_is_one_document(http: Http) -> None:
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    answer = await http("GET", "/apis", accept=accept)
    assert answer.body["kind"] == "APIGroupDiscoveryList"
    assert "as=APIGroupDiscoveryList" in answer.headers["Content-Type"]


async def test_a_crd_is_discovered_while_it_is_there(api: KubeApi, http: Http) -> None:
    assert (await http("GET", "/apis/kubeovn.io/v1")).status == 404
    api.create(SUBNETS)
    listed = (await http("GET", "/apis/kubeovn.io/v1")).body["resources"]
    assert {each["name"] for each in listed} == {"subnets", "subnets/status"}
    await http("DELETE", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/subnets.kubeovn.io")
    assert (await http("GET", "/apis/kubeovn.io/v1")).status == 404
    assert (await http("GET", SUBNET)).status == 404


# -- reading -------------------------------------------------------------------------------------------


async def test_items_of_a_built_in_list_carry_no_kind_and_custom_ones_do(api: KubeApi, http: Http) -> None:
    api.create(SUBNETS, pod("web"), subnet("ovn-default"))
    listed = (await http("GET", "/api/v1/pods")).body
    assert (listed["kind"], listed["apiVersion"]) == ("PodList", "v1")
    assert "kind" not in listed["items"][0]
    assert (await http("GET", SUBNET)).body["items"][0]["kind"] == "Subnet"
    assert (await http("GET", f"{PODS}/web")).body["kind"] == "Pod"


async def test_pages_are_of_one_moment(api: KubeApi, http: Http) -> None:
    api.create(*pods(7))
    first = (await http("GET", "/api/v1/pods?limit=3")).body
    api.create(pod("a-first"))
    token, version = first["metadata"]["continue"], first["metadata"]["resourceVersion"]
    assert first["metadata"]["remainingItemCount"] == 4
    names = [each["metadata"]["name"] for each in first["items"]]
    while token:
        page = (await http("GET", f"/api/v1/pods?limit=3&continue={token}")).body
        assert page["metadata"]["resourceVersion"] == version
        names += [each["metadata"]["name"] for each in page["items"]]
        token = page["metadata"].get("continue", "")
    assert names == [f"pod-{n:04}" for n in range(7)]


async def test_a_continue_token_that_is_not_known_is_expired(http: Http) -> None:
    answer = await http("GET", "/api/v1/pods?limit=3&continue=99.3")
    assert (answer.status, reason(answer.body)) == (410, "Expired")


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("labelSelector=app", {"a", "b"}),
        ("labelSelector=!app", {"c"}),
        ("labelSelector=app%3Done", {"a"}),
        ("labelSelector=app%3D%3Done", {"a"}),
        ("labelSelector=app!%3Done", {"b", "c"}),
        ("labelSelector=app%20in%20(one,two),tier%3Dx", {"b"}),
        ("labelSelector=app%20notin%20(one)", {"b", "c"}),
        ("fieldSelector=metadata.name%3Da", {"a"}),
        ("fieldSelector=spec.nodeName%3Dnode-2", {"c"}),
        ("fieldSelector=status.phase!%3DRunning", set()),
        ("fieldSelector=metadata.namespace%3Ddefault,metadata.name%3Db", {"b"}),
    ],
)
async def test_selectors(api: KubeApi, http: Http, query: str, names: set[str]) -> None:
    for name, labels, on in (
        ("a", {"app": "one"}, "node-1"),
        ("b", {"app": "two", "tier": "x"}, "node-1"),
        ("c", {}, "node-2"),
    ):
        document = pod(name, node=on)
        document["metadata"]["labels"] = labels
        api.create(document)
    listed = (await http("GET", f"{PODS}?{query}")).body["items"]
    assert {each["metadata"]["name"] for each in listed} == names


@pytest.mark.parametrize("query", ["labelSelector=a%20b%20c", "fieldSelector=nonsense"])
async def test_a_selector_that_cannot_be_read_is_refused(http: Http, query: str) -> None:
    answer = await http("GET", f"{PODS}?{query}")
    assert (answer.status, reason(answer.body)) == (400, "BadRequest")


async def test_a_table_has_what_kubectl_prints(api: KubeApi, http: Http) -> None:
    api.create(SUBNETS, pod("web", "10.0.0.7"), subnet("ovn-default", "10.16.0.0/16"))
    table = (await http("GET", PODS, accept=TABLE)).body
    columns = [each["name"] for each in table["columnDefinitions"]]
    row = dict(zip(columns, table["rows"][0]["cells"], strict=True))
    assert (row["Name"], row["Status"], row["IP"]) == ("web", "Running", "10.0.0.7")
    custom = (await http("GET", SUBNET, accept=TABLE)).body
    assert "10.16.0.0/16" in custom["rows"][0]["cells"]


# -- writing -------------------------------------------------------------------------------------------


async def test_errors_have_the_reasons_of_the_api(api: KubeApi, http: Http) -> None:
    api.create(pod("web"))
    for method, path, body, status, why in (
        ("GET", f"{PODS}/none", None, 404, "NotFound"),
        ("POST", PODS, pod("web"), 409, "AlreadyExists"),
        ("POST", PODS, {"metadata": {}}, 422, "Invalid"),
        ("POST", "/api/v1/namespaces/none/pods", {"metadata": {"name": "x"}}, 404, "NotFound"),
        ("POST", PODS, b"{", 400, "BadRequest"),
        ("GET", "/api/v1/teapots", None, 404, "NotFound"),
        ("GET", f"{PODS}/web/log", None, 404, "NotFound"),
        ("PUT", PODS, {}, 405, "MethodNotAllowed"),
    ):
        answer = await http(method, path, body)
        assert (answer.status, reason(answer.body)) == (status, why), (method, path)


async def test_a_write_on_an_old_version_is_a_conflict(api: KubeApi, http: Http) -> None:
    api.create(pod("web"))
    mine = (await http("GET", f"{PODS}/web")).body
    await http("PATCH", f"{PODS}/web", {"metadata": {"labels": {"a": "b"}}}, content_type=MERGE)
    answer = await http("PUT", f"{PODS}/web", mine)
    assert (answer.status, reason(answer.body)) == (409, "Conflict")
    patch = {"metadata": {"resourceVersion": mine["metadata"]["resourceVersion"], "labels": {"a": "c"}}}
    assert (await http("PATCH", f"{PODS}/web", patch, content_type=MERGE)).status == 409


async def test_a_write_of_nothing_new_keeps_the_version(api: KubeApi, http: Http) -> None:
    api.create(pod("web"))
    before = (await http("GET", f"{PODS}/web")).body
    after = (await http("PUT", f"{PODS}/web", before)).body
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]


async def test_spec_and_status_are_written_apart(api: KubeApi, http: Http) -> None:
    api.create(pod("web", "10.0.0.7"))
    item = (await http("GET", f"{PODS}/web")).body
    item["status"]["phase"] = "Failed"
    item["metadata"]["labels"] = {"written": "by spec"}
    kept = (await http("PUT", f"{PODS}/web", item)).body
    assert kept["status"]["phase"] == "Running"
    item["metadata"] = kept["metadata"] | {"labels": {"written": "by status"}}
    changed = (await http("PUT", f"{PODS}/web/status", item)).body
    assert changed["status"]["phase"] == "Failed"
    assert changed["metadata"]["labels"] == {"written": "by spec"}


async def test_generation_counts_changes_of_the_spec(api: KubeApi, http: Http) -> None:
    api.create(SUBNETS, subnet("ovn-default"))
    path = f"{SUBNET}/ovn-default"
    generations = []
    for patch in (
        {"metadata": {"labels": {"a": "b"}}},
        {"spec": {"vpc": "other"}},
        {"spec": {"vpc": "other"}},
    ):
        answer = await http("PATCH", path, patch, content_type=MERGE)
        generations.append(answer.body["metadata"]["generation"])
    assert generations == [1, 2, 2]


async def test_a_dry_run_stores_nothing(api: KubeApi, http: Http) -> None:
    assert (await http("POST", f"{PODS}?dryRun=All", pod("web"))).status == 201
    assert (await http("GET", f"{PODS}/web")).status == 404
    api.create(pod("web"))
    await http("DELETE", f"{PODS}/web?dryRun=All")
    assert (await http("GET", f"{PODS}/web")).status == 200


async def test_finalizers_hold_an_object_until_they_are_gone(api: KubeApi, http: Http) -> None:
    held = pod("web")
    held["metadata"]["finalizers"] = ["example.org/wait"]
    api.create(held)
    marked = (await http("DELETE", f"{PODS}/web")).body
    assert marked["metadata"]["deletionTimestamp"]
    assert (await http("GET", f"{PODS}/web")).status == 200
    await http("PATCH", f"{PODS}/web", {"metadata": {"finalizers": None}}, content_type=MERGE)
    assert (await http("GET", f"{PODS}/web")).status == 404


async def test_a_delete_keeps_to_its_preconditions(api: KubeApi, http: Http) -> None:
    api.create(pod("web"))
    wrong = {"preconditions": {"uid": "another"}}
    assert (await http("DELETE", f"{PODS}/web", wrong)).status == 409
    deleted = await http("DELETE", f"{PODS}/web")
    assert (deleted.status, deleted.body["kind"]) == (200, "Pod")


async def test_a_namespace_takes_all_in_it_along(api: KubeApi, http: Http) -> None:
    api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
    inside = pod("web")
    inside["metadata"]["namespace"] = "shop"
    api.create(inside)
    await http("DELETE", "/api/v1/namespaces/shop")
    assert (await http("GET", "/api/v1/pods")).body["items"] == []


async def test_a_collection_is_deleted_by_selector(api: KubeApi, http: Http) -> None:
    api.create(*pods(3))
    await http("DELETE", f"{PODS}?fieldSelector=metadata.name%3Dpod-0001")
    names = [each["metadata"]["name"] for each in (await http("GET", PODS)).body["items"]]
    assert names == ["pod-0000", "pod-0002"]


async def test_services_get_addresses_of_their_families(api: KubeApi, http: Http) -> None:
    dual = service("dual")
    dual["spec"] |= {"ipFamilies": ["IPv4", "IPv6"], "ipFamilyPolicy": "RequireDualStack"}
    headless = service("headless")
    headless["spec"]["clusterIP"] = "None"
    api.create(service("one"), service("two"), dual, headless)
    path = "/api/v1/namespaces/default/services"
    given = {each["metadata"]["name"]: each["spec"] for each in (await http("GET", path)).body["items"]}
    assert given["one"]["clusterIP"] != given["two"]["clusterIP"]
    assert [":" in each for each in given["dual"]["clusterIPs"]] == [False, True]
    assert given["headless"]["clusterIPs"] == ["None"]

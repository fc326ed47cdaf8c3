"""Watches of the embedded API server; and who may do what there."""

import asyncio

import pytest

from tests.cluster.watching import node, pod, pods
from tests.kubeapi.asking import MERGE, PODS, TABLE, Http, reason
from tests.lab.kubeapi import KubeApi

# -- watches -------------------------------------------------------------------------------------------


async def test_a_watch_goes_on_from_its_version(api: KubeApi, http: Http) -> None:
    api.create(pod("before"))
    version = (await http("GET", PODS)).body["metadata"]["resourceVersion"]
    api.create(pod("after"))
    async with http.watch(f"{PODS}?watch=true&resourceVersion={version}") as watching:
        event = await watching.next()
        assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", "after")
        await http("PATCH", f"{PODS}/before", {"metadata": {"labels": {"a": "b"}}}, content_type=MERGE)
        assert (await watching.next())["type"] == "MODIFIED"
        await http("DELETE", f"{PODS}/before")
        event = await watching.next()
        assert (event["type"], event["object"]["metadata"]["labels"]) == ("DELETED", {"a": "b"})
        listed = (await http("GET", PODS)).body["metadata"]["resourceVersion"]
        assert event["object"]["metadata"]["resourceVersion"] == listed


async def test_a_watch_without_a_version_begins_with_what_is_there(api: KubeApi, http: Http) -> None:
    api.create(pod("web"))
    async with http.watch(f"{PODS}?watch=true") as watching:
        assert (await watching.next())["object"]["metadata"]["name"] == "web"


async def test_a_selection_hears_of_what_enters_and_leaves_it(api: KubeApi, http: Http) -> None:
    api.create(pod("web"))
    version = api.store.rv
    async with http.watch(f"{PODS}?watch=true&resourceVersion={version}&labelSelector=on") as watching:
        for labels, expected in (
            ({"on": "1"}, "ADDED"),
            ({"on": "2"}, "MODIFIED"),
            ({"on": None}, "DELETED"),
        ):
            await http("PATCH", f"{PODS}/web", {"metadata": {"labels": labels}}, content_type=MERGE)
            assert (await watching.next())["type"] == expected


async def test_a_watch_of_a_namespace_hears_of_no_other(api: KubeApi, http: Http) -> None:
    elsewhere = pod("elsewhere")
    elsewhere["metadata"]["namespace"] = "kube-system"
    async with http.watch(f"{PODS}?watch=true&resourceVersion={api.store.rv}") as watching:
        api.create(elsewhere, pod("here"))
        assert (await watching.next())["object"]["metadata"]["name"] == "here"


async def test_a_version_that_is_too_old_is_gone(api: KubeApi, http: Http) -> None:
    api.create(pod("web"))
    api.store.compact()
    async with http.watch(f"{PODS}?watch=true&resourceVersion=1") as watching:
        event = await watching.next()
        assert (event["type"], event["object"]["code"], event["object"]["reason"]) == (
            "ERROR",
            410,
            "Expired",
        )
        assert await watching.next() is None


async def test_a_version_of_the_future_is_too_large(http: Http) -> None:
    answer = await http("GET", f"{PODS}?watch=true&resourceVersion=999999")
    assert (answer.status, reason(answer.body)) == (504, "Timeout")
    assert answer.body["message"].startswith("Too large resource version")


@pytest.mark.parametrize("query", ["watch=true&resourceVersion=yesterday", "limit=-1", "limit=1e3"])
async def test_a_parameter_that_is_no_number_is_refused(http: Http, query: str) -> None:
    answer = await http("GET", f"{PODS}?{query}")
    assert (answer.status, reason(answer.body)) == (400, "BadRequest")


async def test_a_watch_list_ends_its_first_part_with_a_bookmark(api: KubeApi, http: Http) -> None:
    api.create(*pods(3))
    query = "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    async with http.watch(f"{PODS}?{query}") as watching:
        assert [(await watching.next())["type"] for _ in range(3)] == ["ADDED"] * 3
        bookmark = await watching.next()
        assert bookmark["type"] == "BOOKMARK"
        assert bookmark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        api.create(pod("late"))
        assert (await watching.next())["object"]["metadata"]["name"] == "late"


async def test_without_the_feature_a_watch_list_is_invalid(api: KubeApi, http: Http) -> None:
    api.faults.watch_list = False
    answer = await http("GET", f"{PODS}?watch=true&sendInitialEvents=true")
    assert (answer.status, reason(answer.body)) == (422, "Invalid")


async def test_bookmarks_come_to_who_asks(api: KubeApi, http: Http) -> None:
    api.faults.bookmark_seconds = 0.05
    async with http.watch(
        f"{PODS}?watch=true&resourceVersion={api.store.rv}&allowWatchBookmarks=true"
    ) as watching:
        event = await watching.next()
    assert (event["type"], event["object"]["metadata"]["resourceVersion"]) == ("BOOKMARK", str(api.store.rv))


async def test_a_watch_ends_when_its_time_is_over(api: KubeApi, http: Http) -> None:
    async with http.watch(f"{PODS}?watch=true&resourceVersion={api.store.rv}&timeoutSeconds=1") as watching:
        assert await watching.next() is None


async def test_a_watch_in_tables_has_one_row_an_event(api: KubeApi, http: Http) -> None:
    async with http.watch(f"{PODS}?watch=true&resourceVersion={api.store.rv}", accept=TABLE) as watching:
        api.create(pod("web"))
        event = await watching.next()
    assert (event["object"]["kind"], len(event["object"]["rows"])) == ("Table", 1)


async def test_fifty_watches_hear_the_same(api: KubeApi, http: Http) -> None:
    async def two_events() -> list[str]:
        async with http.watch(f"{PODS}?watch=true&resourceVersion={version}") as watching:
            return [(await watching.next())["object"]["metadata"]["name"] for _ in range(2)]

    version = api.store.rv
    tasks = [asyncio.create_task(two_events()) for _ in range(50)]
    api.create(pod("one"), pod("two"))
    assert await asyncio.gather(*tasks) == [["one", "two"]] * 50


# -- who may -------------------------------------------------------------------------------------------


async def test_without_a_token_nothing_is_served_but_health(http: Http) -> None:
    http.token = ""
    for path, status in (("/readyz", 200), ("/version", 200), (PODS, 401), ("/apis", 401)):
        assert (await http("GET", path)).status == status


@pytest.mark.parametrize("token", ["x", "kube-system:speaker.0.0", "\u00fc"])
async def test_a_forged_token_is_refused(http: Http, token: str) -> None:
    http.token = token
    answer = await http("GET", PODS)
    assert (answer.status, reason(answer.body)) == (401, "Unauthorized")


async def test_a_service_account_may_what_its_role_says(api: KubeApi, http: Http) -> None:
    rbac = "rbac.authorization.k8s.io/v1"
    subject = {"kind": "ServiceAccount", "name": "reader", "namespace": "default"}
    api.create(
        pod("web"),
        {
            "apiVersion": rbac,
            "kind": "Role",
            "metadata": {"name": "reader", "namespace": "default"},
            "rules": [{"apiGroups": [""], "resources": ["pods"], "resourceNames": ["web"], "verbs": ["get"]}],
        },
        {
            "apiVersion": rbac,
            "kind": "RoleBinding",
            "metadata": {"name": "reader", "namespace": "default"},
            "roleRef": {"kind": "Role", "name": "reader"},
            "subjects": [subject],
        },
    )
    http.token = api.authority.token_for("default/reader")
    assert (await http("GET", f"{PODS}/web")).status == 200
    for method, path in (
        ("GET", PODS),
        ("GET", f"{PODS}/other"),
        ("DELETE", f"{PODS}/web"),
        ("GET", f"{PODS}/web/status"),
        ("GET", "/api/v1/namespaces/kube-system/pods/web"),
        ("GET", "/api/v1/nodes"),
    ):
        answer = await http(method, path)
        assert (answer.status, reason(answer.body)) == (403, "Forbidden"), path
    assert (
        'User "system:serviceaccount:default:reader" cannot list' in (await http("GET", PODS)).body["message"]
    )


async def test_history_and_numbers_outlive_a_restart(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("data")
    first = KubeApi(folder)
    first.create(node(), pod("web"))
    version, token = first.store.rv, first.authority.admin_token
    first.store.close()
    second = KubeApi(folder)
    assert (second.store.rv, second.authority.admin_token) == (version, token)
    assert [entry.rv for entry in second.store.since(version - 1)] == [version]
    second.store.compact()
    second.store.close()
    third = KubeApi(folder)
    assert third.store.floor == version
    third.store.close()

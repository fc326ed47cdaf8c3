"""Our own resources on the embedded API server: their CRDs as users apply them, and their statuses."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from speaker.model.fabric import GROUP, VERSION
from tests.kubeapi.asking import JSON, MERGE, Http, reason
from tests.lab.kubeapi import KubeApi
from tests.lab.kubeapi.crds import own_crds
from tests.lab.kubeapi.schemas import problems
from tests.lab.kubectl import CommandFailedError, Kubectl

ROOT = f"/apis/{GROUP}/{VERSION}"
PEERS = f"{ROOT}/bgppeers"
TOR: dict[str, Any] = {"metadata": {"name": "tor"}, "spec": {"peerIP": "192.0.2.1", "asNumber": 64512}}
ACCEPTED = {"type": "Accepted", "status": "True", "reason": "Valid"}


@pytest.fixture
async def peers(api: KubeApi, http: Http) -> Http:
    """Somebody who asks a server with our CRDs and one BGPPeer."""
    api.create(*own_crds())
    assert (await http("POST", PEERS, TOR)).status == 201
    return http


# -- the schemas ---------------------------------------------------------------------------------------


async def test_the_crds_are_served_with_their_statuses(api: KubeApi, http: Http) -> None:
    api.create(*own_crds())
    listed = {each["name"]: each for each in (await http("GET", ROOT)).body["resources"]}
    plurals = {"bgpconfigurations", "bgppeers", "bgpfilters", "bgpnodestatuses"}
    assert set(listed) == plurals | {f"{each}/status" for each in plurals}
    assert not any(each["namespaced"] for each in listed.values())


async def test_defaults_are_filled_in(peers: Http) -> None:
    spec = (await peers("GET", f"{PEERS}/tor")).body["spec"]
    assert spec["peerIP"] == "192.0.2.1"
    assert spec["passive"] is False
    assert spec["nextHopMode"] == "Auto"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"nextHopMode": "Sometimes"}, "spec.nextHopMode"),
        ({"ttlSecurity": 255}, "spec.ttlSecurity"),
        ({"ttlSecurity": "1"}, "spec.ttlSecurity"),
        ({"asNumber": 2**32}, "spec.asNumber"),
        ({"asNumber": "AS1"}, "spec.asNumber"),
        ({"asNumber": [1]}, "spec.asNumber"),
        ({"asNumber": True}, "spec.asNumber"),
        ({"password": {"secretKeyRef": {"name": "s"}}}, "spec.password.secretKeyRef.key"),
        ({"families": ["IPv4", "IPX"]}, "spec.families[1]"),
    ],
)
async def test_what_the_schema_forbids_is_refused(peers: Http, change: Any, field: str) -> None:
    document = {"metadata": {"name": "other"}, "spec": TOR["spec"] | change}
    answer = await peers("POST", PEERS, document)
    assert (answer.status, reason(answer.body)) == (422, "Invalid")
    assert [each["field"] for each in answer.body["details"]["causes"]] == [field]


@pytest.mark.parametrize("number", [64512, "64512", "1.10"], ids=["number", "text", "dotted"])
async def test_a_number_may_be_a_text_where_the_schema_says_so(peers: Http, number: object) -> None:
    document = {"metadata": {"name": "other"}, "spec": TOR["spec"] | {"asNumber": number}}
    assert (await peers("POST", PEERS, document)).body["spec"]["asNumber"] == number


async def test_two_conditions_of_one_type_are_refused(peers: Http) -> None:
    body = {"status": {"conditions": [ACCEPTED, ACCEPTED]}}
    answer = await peers("PATCH", f"{PEERS}/tor/status", body, content_type=MERGE)
    assert (answer.status, reason(answer.body)) == (422, "Invalid")
    assert answer.body["details"]["causes"][0]["field"] == "status.conditions[1]"


@pytest.mark.parametrize(
    ("value", "schema", "sentences"),
    [
        ([1, 2, 1], {"type": "array", "x-kubernetes-list-type": "set"}, ["Duplicate value: 1"]),
        (2**31, {"type": "integer", "format": "int32"}, ["in body must be of type int32"]),
        (2**31, {"type": "integer", "format": "int64"}, []),
        ("2026-01-01T00:00:00Z", {"type": "string", "format": "date-time"}, []),
        ("yesterday", {"type": "string", "format": "date-time"}, ["in body must be of type date-time"]),
        ([1, 1], {"type": "array"}, []),
    ],
)
def test_a_value_is_checked_as_the_schema_says(value: object, schema: Any, sentences: list[str]) -> None:
    found = [message for _, message in problems(value, schema, "spec")]
    assert len(found) == len(sentences)
    assert all(wanted in each for wanted, each in zip(sentences, found, strict=True))


async def test_a_rule_in_cel_is_not_evaluated(peers: Http) -> None:
    """A known difference from a real API server; the speaker checks the same rules itself."""
    both = TOR["spec"] | {"node": "a", "nodeSelector": "all()"}
    answer = await peers("POST", PEERS, {"metadata": {"name": "both"}, "spec": both})
    assert answer.status == 201


# -- the status ----------------------------------------------------------------------------------------


async def test_a_status_is_not_created_with_its_object(peers: Http) -> None:
    answer = await peers("POST", PEERS, TOR | {"metadata": {"name": "b"}, "status": {"sessions": 1}})
    assert answer.status == 201
    assert "status" not in answer.body


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (MERGE, {"status": {"sessions": 1}, "spec": {"asNumber": 1}, "metadata": {"labels": {"a": "b"}}}),
        (
            JSON,
            [
                {"op": "add", "path": "/status", "value": {"sessions": 1}},
                {"op": "replace", "path": "/spec/asNumber", "value": 1},
            ],
        ),
    ],
    ids=["merge", "json"],
)
async def test_a_patch_of_the_status_changes_nothing_else(peers: Http, content_type: str, body: Any) -> None:
    before = (await peers("GET", f"{PEERS}/tor")).body
    answer = await peers("PATCH", f"{PEERS}/tor/status", body, content_type=content_type)
    assert answer.status == 200
    after = (await peers("GET", f"{PEERS}/tor")).body
    assert after["status"] == {"sessions": 1}
    assert after["spec"] == before["spec"]
    assert after["metadata"].pop("resourceVersion") != before["metadata"].pop("resourceVersion")
    assert after["metadata"] == before["metadata"]


async def test_a_put_of_the_status_changes_nothing_else(peers: Http) -> None:
    whole = (await peers("GET", f"{PEERS}/tor")).body
    changed = whole | {"status": {"sessions": 2}, "spec": whole["spec"] | {"asNumber": 1}}
    answer = await peers("PUT", f"{PEERS}/tor/status", changed)
    assert (answer.body["status"], answer.body["spec"]) == ({"sessions": 2}, whole["spec"])


async def test_a_write_of_the_spec_keeps_the_status_and_counts(peers: Http) -> None:
    await peers("PATCH", f"{PEERS}/tor/status", {"status": {"sessions": 1}}, content_type=MERGE)
    body = {"spec": {"passive": True}, "status": {"sessions": 9}}
    answer = await peers("PATCH", f"{PEERS}/tor", body, content_type=MERGE)
    assert answer.body["metadata"]["generation"] == 2
    assert answer.body["status"] == {"sessions": 1}


@pytest.mark.parametrize(
    ("content_type", "body"),
    [(MERGE, {"status": None}), (JSON, [{"op": "remove", "path": "/status"}])],
    ids=["merge", "json"],
)
async def test_a_status_can_be_removed(peers: Http, content_type: str, body: Any) -> None:
    await peers("PATCH", f"{PEERS}/tor/status", {"status": {"sessions": 1}}, content_type=MERGE)
    answer = await peers("PATCH", f"{PEERS}/tor/status", body, content_type=content_type)
    assert answer.status == 200
    assert "status" not in answer.body


async def test_a_null_in_a_merge_patch_removes_its_key(peers: Http) -> None:
    status = {"sessions": 1, "established": "1/1"}
    await peers("PATCH", f"{PEERS}/tor/status", {"status": status}, content_type=MERGE)
    body = {"status": {"established": None}}
    answer = await peers("PATCH", f"{PEERS}/tor/status", body, content_type=MERGE)
    assert answer.body["status"] == {"sessions": 1}


async def test_an_equal_status_is_not_stored_again(peers: Http) -> None:
    body = [{"op": "add", "path": "/status", "value": {"sessions": 1}}]
    first = await peers("PATCH", f"{PEERS}/tor/status", body, content_type=JSON)
    second = await peers("PATCH", f"{PEERS}/tor/status", body, content_type=JSON)
    assert first.body == second.body


async def test_the_status_of_what_is_not_there_is_not_found(peers: Http) -> None:
    for body, content_type in (({"status": {}}, MERGE), ([], JSON)):
        answer = await peers("PATCH", f"{PEERS}/none/status", body, content_type=content_type)
        assert (answer.status, reason(answer.body)) == (404, "NotFound")


async def test_an_owner_that_goes_takes_nothing_along(api: KubeApi, peers: Http) -> None:
    """There is no garbage collector here, as there is none in a control plane without controllers."""
    api.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-1"}})
    uid = (await peers("GET", "/api/v1/nodes/node-1")).body["metadata"]["uid"]
    owner = {"apiVersion": "v1", "kind": "Node", "name": "node-1", "uid": uid}
    metadata = {"name": "node-1", "ownerReferences": [owner]}
    assert (await peers("POST", f"{ROOT}/bgpnodestatuses", {"metadata": metadata})).status == 201
    await peers("DELETE", "/api/v1/nodes/node-1")
    kept = await peers("GET", f"{ROOT}/bgpnodestatuses/node-1")
    assert kept.body["metadata"]["ownerReferences"] == [owner]


# -- kubectl -------------------------------------------------------------------------------------------


def manifest(name: str, **spec: object) -> str:
    document = {"apiVersion": f"{GROUP}/{VERSION}", "kind": "BGPPeer", "metadata": {"name": name}}
    return yaml.safe_dump(document | {"spec": spec})


@pytest.mark.kubectl
async def test_kubectl_applies_the_crds_and_what_is_of_their_kinds(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    async with KubeApi(tmp_path, tls=True) as api:
        kubectl = Kubectl(api.kubeconfig(tmp_path / "kubeconfig"), home=tmp_path_factory.mktemp("home"))
        await kubectl.run(("apply", "-f", "-"), yaml.safe_dump_all(own_crds()))
        applied = await kubectl.run(("apply", "-f", "-"), manifest("tor", peerIP="192.0.2.1", asNumber=64512))
        assert "bgppeer.bgp.route-speaker.io/tor created" in applied
        await kubectl.run(("apply", "-f", "-"), manifest("tor", peerIP="192.0.2.1", asNumber=64513))
        header, row = (await kubectl.run(("get", "bgppeers"))).splitlines()
        assert header.split()[:2] == ["NAME", "PEER"]
        assert row.split()[:3] == ["tor", "192.0.2.1", "64513"]
        assert row.split()[-1].endswith("s")
        with pytest.raises(CommandFailedError, match="nextHopMode"):
            await kubectl.run(
                ("apply", "-f", "-"), manifest("bad", peerIP="192.0.2.1", asNumber=1, nextHopMode="No")
            )
        with pytest.raises(CommandFailedError, match="unknown field"):
            await kubectl.run(("apply", "-f", "-"), manifest("bad", peerIp="192.0.2.1"))
        assert "peerSelector" in await kubectl.run(("explain", "bgppeers.spec"))

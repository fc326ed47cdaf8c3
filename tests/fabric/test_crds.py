"""The CustomResourceDefinitions: the API server takes them, and they say what the speaker reads."""

import json
import re
from collections.abc import AsyncIterator, Iterator
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml

from speaker.cli.program import exit_status
from speaker.fabric import filter_reading, reading
from speaker.fabric.reading import ResourceError, read_configuration, read_filter, read_peer
from speaker.fabric.report import (
    MOST_DEMOTIONS,
    MOST_PREFIXES,
    MOST_SESSIONS,
    MOST_UNREACHABLE,
    Demotion,
    Held,
    NodeReport,
    SessionReport,
    Unreachable,
    to_status,
)
from speaker.model.fabric import GROUP, VERSION
from speaker.model.objects import Kind, Meta, ObjectRef, ResourceView
from speaker.model.peer import SessionState
from tests.lab.kubeapi import KubeApi, schemas
from tests.lab.kubectl import CommandFailedError, Kubectl

FOLDER = Path(__file__).parents[2] / "manifests" / "crds"
READERS = {
    Kind.BGP_CONFIGURATION: read_configuration,
    Kind.BGP_PEER: read_peer,
    Kind.BGP_FILTER: read_filter,
}
CRDS: dict[Kind, Any] = {
    Kind(crd["spec"]["names"]["kind"]): crd
    for crd in (yaml.safe_load(path.read_text()) for path in sorted(FOLDER.glob("bgp*.yaml")))
}
EVERY = [pytest.param(crd, id=kind.value) for kind, crd in CRDS.items()]
READ = [pytest.param(kind, id=kind.value) for kind in READERS]

Schema = dict[str, Any]


def schema_of(crd: Any) -> Schema:
    (version,) = crd["spec"]["versions"]
    schema: Schema = version["schema"]["openAPIV3Schema"]
    return schema


def spec_schema(kind: Kind) -> Schema:
    schema: Schema = schema_of(CRDS[kind])["properties"]["spec"]
    return schema


def every_schema(schema: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    """A schema and all that are in it, by their paths."""
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from every_schema(inner, f"{path}.{name}")
    if "items" in schema:
        yield from every_schema(schema["items"], f"{path}[]")


def problems(kind: Kind, spec: Any) -> str:
    name = reading.DEFAULT_NAME if kind is Kind.BGP_CONFIGURATION else "x"
    view = ResourceView(meta=Meta(ref=ObjectRef(kind, "", name), annotations={}), spec=spec)
    try:
        READERS[kind](view)
    except ResourceError as error:
        return str(error)
    return ""


def known_fields(told: str) -> set[str]:
    """The fields that a reader names when it is given one that it does not know."""
    (names,) = re.findall(r"there is no such field; there are (.*)", told)
    return set(names.split(", "))


@pytest.mark.parametrize("crd", EVERY)
def test_each_kind_is_named_as_the_others(crd: Any) -> None:
    spec, names = crd["spec"], crd["spec"]["names"]
    (version,) = spec["versions"]
    assert (spec["group"], version["name"], spec["scope"]) == (GROUP, VERSION, "Cluster")
    assert crd["metadata"]["name"] == f"{names['plural']}.{GROUP}"
    assert (names["singular"], names["listKind"]) == (names["kind"].lower(), f"{names['kind']}List")
    assert names["categories"] == ["route-speaker"]
    assert names["shortNames"]
    assert version["served"]
    assert version["storage"]
    assert version["subresources"] == {"status": {}}


@pytest.mark.parametrize("crd", EVERY)
def test_the_schema_is_structural(crd: Any) -> None:
    """What an API server asks of a CustomResourceDefinition: else it would not serve it."""
    for path, schema in every_schema(schema_of(crd)):
        if schema.get("x-kubernetes-int-or-string"):
            assert schema["anyOf"] == [{"type": "integer"}, {"type": "string"}], path
            assert "type" not in schema, path
        else:
            assert schema["type"] in {"object", "array", "string", "integer", "boolean"}, path
        assert ("items" in schema) == (schema.get("type") == "array"), path
        assert not schema.keys() & {"$ref", "allOf", "oneOf", "not", "nullable", "additionalProperties"}, path
        assert set(schema.get("required", ())) <= set(schema.get("properties", ())), path
        for key in schema.get("x-kubernetes-list-map-keys", ()):
            assert key in schema["items"]["required"], path
        re.compile(schema.get("pattern", ""))


@pytest.mark.parametrize("crd", EVERY)
def test_everything_is_bounded(crd: Any) -> None:
    """CEL rules cost what their values may hold at most: without bounds the API server refuses them."""
    for path, schema in every_schema(schema_of(crd)):
        if path in {"", ".apiVersion", ".kind", ".metadata"}:
            continue
        if schema.get("type") == "string":
            assert {"maxLength", "enum", "format"} & schema.keys(), path
        if schema.get("type") == "array":
            assert "maxItems" in schema, path


@pytest.mark.parametrize("crd", EVERY)
def test_every_field_is_described_and_every_rule_says_what_is_wrong(crd: Any) -> None:
    for path, schema in every_schema(schema_of(crd)):
        if path not in {".apiVersion", ".kind", ".metadata"} and not path.endswith("[]"):
            assert schema["description"], path
        for rule in schema.get("x-kubernetes-validations", ()):
            assert rule.keys() == {"rule", "message"}, path
            assert "\n" not in rule["message"], path


@pytest.mark.parametrize("crd", EVERY)
def test_defaults_satisfy_their_own_schema(crd: Any) -> None:
    for path, schema in every_schema(schema_of(crd)):
        if "default" in schema:
            assert list(schemas.problems(schema["default"], schema, path)) == []


@pytest.mark.parametrize("crd", EVERY)
def test_columns_show_fields_that_exist(crd: Any) -> None:
    known = {path for path, _ in every_schema(schema_of(crd))} | {".metadata.creationTimestamp"}
    for column in crd["spec"]["versions"][0]["additionalPrinterColumns"]:
        path, bracket, rest = column["jsonPath"].partition("[?")
        assert (f"{path}[].{rest.rpartition('.')[2]}" if bracket else path) in known


@pytest.mark.parametrize("kind", READ)
def test_the_speaker_reads_every_field_and_no_other(kind: Kind) -> None:
    assert known_fields(problems(kind, {"zzzzzzzz": 1})) == set(spec_schema(kind)["properties"])


def test_the_speaker_reads_every_field_of_a_rule_and_no_other() -> None:
    rule = spec_schema(Kind.BGP_FILTER)["properties"]["exportV4"]["items"]["properties"]
    told = problems(Kind.BGP_FILTER, {"exportV4": [{"action": "Accept", "zzzzzzzz": 1}]})
    assert known_fields(told) == set(rule)
    operation = {"setMED": {"value": 1}, "zzzzzzzz": 1}
    told = problems(Kind.BGP_FILTER, {"exportV4": [{"action": "Accept", "operations": [operation]}]})
    assert known_fields(told) == set(rule["operations"]["items"]["properties"])


def test_rules_differ_between_directions_and_families_in_nothing_but_lengths() -> None:
    properties = spec_schema(Kind.BGP_FILTER)["properties"]
    assert properties["exportV4"]["items"] == properties["importV4"]["items"]
    assert properties["exportV6"]["items"] == properties["importV6"]["items"]
    of_v4, of_v6 = (dict(properties[name]["items"]["properties"]) for name in ("exportV4", "exportV6"))
    for each in (of_v4, of_v6):
        each.pop("cidr")
        each.pop("prefixLength")
    assert of_v4 == of_v6


@pytest.mark.parametrize("kind", READ)
def test_the_defaults_of_the_schema_are_those_of_the_speaker(kind: Kind) -> None:
    def read(spec: Any) -> object:
        ref = ObjectRef(kind, "", reading.DEFAULT_NAME)
        return READERS[kind](ResourceView(meta=Meta(ref=ref, annotations={}), spec=spec))

    needed = {Kind.BGP_PEER: {"peerIP": "192.0.2.1", "asNumber": 1}}.get(kind, {})
    for spec in (needed, {**needed, "bfd": {}} if kind is not Kind.BGP_FILTER else needed):
        filled = schemas.prune(spec, spec_schema(kind), root=False)
        assert filled != spec or kind is Kind.BGP_FILTER
        assert read(filled) == read(spec)


def test_the_limits_are_those_of_the_speaker() -> None:
    configuration, peer = (
        spec_schema(kind)["properties"] for kind in (Kind.BGP_CONFIGURATION, Kind.BGP_PEER)
    )
    rules = spec_schema(Kind.BGP_FILTER)["properties"]["importV6"]
    rule = rules["items"]["properties"]
    status = schema_of(CRDS[Kind.BGP_NODE_STATUS])["properties"]["status"]["properties"]
    assert [
        configuration["communities"]["maxItems"],
        configuration["prefixAdvertisements"]["maxItems"],
        configuration["importPrefixes"]["maxItems"],
        peer["filters"]["maxItems"],
        peer["maxPrefixes"]["maximum"],
        peer["numAllowedLocalASNumbers"]["maximum"],
        rules["maxItems"],
        rule["communities"]["properties"]["values"]["maxItems"],
        rule["asPathPrefix"]["maxItems"],
        rule["operations"]["maxItems"],
        status["sessions"]["maxItems"],
        status["unreachable"]["maxItems"],
        status["unreachable"]["items"]["properties"]["prefixes"]["maxItems"],
        status["demotions"]["maxItems"],
    ] == [
        reading.MOST_COMMUNITIES,
        reading.MOST_PREFIXES,
        reading.MOST_PREFIXES,
        reading.MOST_FILTERS,
        reading.LARGEST_PREFIX_LIMIT,
        reading.MOST_ALLOWED_LOCAL_ASNS,
        filter_reading.MOST_RULES,
        filter_reading.MOST_COMMUNITIES,
        filter_reading.MOST_ASNS,
        filter_reading.MOST_OPERATIONS,
        MOST_SESSIONS,
        MOST_UNREACHABLE,
        MOST_PREFIXES,
        MOST_DEMOTIONS,
    ]


@pytest.mark.parametrize(
    "peer_ip",
    [
        *("192.0.2.1", "192.0.2.1:1790", "2001:db8::1", "::1", "[2001:db8::1]", "[2001:db8::1]:1790"),
        *("fe80::1%eth0", "[fe80::1%eth0]:179", "::ffff:192.0.2.1"),
    ],
)
def test_the_pattern_of_peer_ip_permits_what_the_speaker_reads(peer_ip: str) -> None:
    assert list(schemas.problems(peer_ip, spec_schema(Kind.BGP_PEER)["properties"]["peerIP"])) == []
    assert problems(Kind.BGP_PEER, {"peerIP": peer_ip, "asNumber": 1}) == ""


@pytest.mark.parametrize(
    "peer_ip", ["router-1", "192.0.2.1/32", "192.0.2.1:x", "[192.0.2.1]:1", "a b", "::1 "]
)
def test_and_forbids_what_is_no_address(peer_ip: str) -> None:
    assert list(schemas.problems(peer_ip, spec_schema(Kind.BGP_PEER)["properties"]["peerIP"]))
    assert problems(Kind.BGP_PEER, {"peerIP": peer_ip, "asNumber": 1})


def full_report() -> NodeReport:
    held = Held(ready=False, reason="waits for the session with n2", since=7.0)
    session = SessionReport(
        peer="n2",
        address=ip_address("192.0.2.2"),
        node="n2",
        as_number=64512,
        state=SessionState.ESTABLISHED,
        since=5.0,
        origin="mesh",
        received=3,
        advertised=4,
        end_of_rib=True,
        last_error="gone",
        retiring=held,
    )
    return NodeReport(
        node="n1",
        fingerprint="0123456789abcdef",
        as_number=64512,
        router_id=ip_address("192.0.2.1"),  # type: ignore[arg-type]  # an IPv4 address
        cluster_id=ip_address("244.0.0.1"),  # type: ignore[arg-type]  # an IPv4 address
        settled=True,
        sessions=(session,),
        session_count=1,
        unreachable=(Unreachable("n3", (ip_network("10.0.3.0/24"),)),),
        unreachable_count=1,
        learned=9,
        installed=8,
        conflicts=1,
        demotions=(Demotion("n2", held),),
    )


def test_a_report_fits_its_schema() -> None:
    schema = schema_of(CRDS[Kind.BGP_NODE_STATUS])["properties"]["status"]
    status = to_status(full_report())
    assert list(schemas.unknown_fields(status, schema, root=False)) == []
    assert list(schemas.problems(status, schema, "status")) == []


def test_every_field_of_a_report_is_in_its_schema_and_no_other() -> None:
    def fields(value: Any, path: str = "") -> Iterator[str]:
        yield path
        for name, inner in value.items() if isinstance(value, dict) else ():
            yield from fields(inner, f"{path}.{name}")
        for item in value if isinstance(value, list) else ():
            yield from fields(item, f"{path}[]")

    schema = schema_of(CRDS[Kind.BGP_NODE_STATUS])["properties"]["status"]
    assert set(fields(to_status(full_report()))) == {path for path, _ in every_schema(schema)}


# -- kubectl -------------------------------------------------------------------------------------------

CALICO = """
apiVersion: projectcalico.org/v3
kind: BGPConfiguration
metadata: {name: default}
spec: {asNumber: 64512, nodeToNodeMeshEnabled: true, logSeverityScreen: Info}
---
apiVersion: projectcalico.org/v3
kind: BGPPeer
metadata: {name: tor}
spec: {nodeSelector: rack == 'r1', peerIP: "192.0.2.1:1790", asNumber: 64513, filters: [pods]}
---
apiVersion: projectcalico.org/v3
kind: BGPFilter
metadata: {name: pods}
spec: {exportV4: [{action: Accept, cidr: 10.0.0.0/8, matchOperator: In}, {action: Reject}]}
---
apiVersion: projectcalico.org/v3
kind: Node
metadata: {name: n1, labels: {rack: r1}}
spec: {bgp: {asNumber: 64514, ipv4Address: 192.0.2.11/24}}
"""


@pytest.fixture
async def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Kubectl]:
    """kubectl against the embedded API server, which knows our kinds and one Node."""
    monkeypatch.setenv("NO_PROXY", "*")
    async with KubeApi(tmp_path, tls=True) as api:
        api.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1", "labels": {"a": "b"}}})
        asking = Kubectl(api.kubeconfig(tmp_path / "kubeconfig"), home=tmp_path)
        await asking.run(("apply", "-k", str(FOLDER)))
        yield asking


@pytest.mark.kubectl
async def test_what_was_converted_is_applied_as_it_is(
    kubectl: Kubectl, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With kubectl's strict validation: a field that the schema does not have would be refused."""
    file = tmp_path / "calico.yaml"
    file.write_text(CALICO)
    assert exit_status(["convert", "-f", str(file)]) == 0
    await kubectl.run(("apply", "--validate=strict", "-f", "-"), capsys.readouterr().out)
    for kind, name in (("bgpconfig", "default"), ("bgppeer", "tor"), ("bgpfilter", "pods")):
        stored = json.loads(await kubectl.run(("get", kind, name, "-o", "json")))
        assert problems(Kind(stored["kind"]), stored["spec"]) == ""
    node = json.loads(await kubectl.run(("get", "node", "n1", "-o", "json")))["metadata"]
    assert node["labels"] == {"a": "b", "rack": "r1"}
    assert node["annotations"]["bgp.route-speaker.io/as-number"] == "64514"


@pytest.mark.kubectl
async def test_people_see_peers_with_their_sessions(kubectl: Kubectl) -> None:
    peer = {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "BGPPeer",
        "metadata": {"name": "tor"},
        "spec": {"nodeSelector": "has(rack)", "peerIP": "192.0.2.1", "asNumber": 64513},
    }
    await kubectl.run(("apply", "-f", "-"), json.dumps(peer))
    status = {
        "established": "3/3",
        "sessions": 3,
        "conditions": [{"type": "Accepted", "status": "True"}],
    }
    patch = json.dumps({"status": status})
    await kubectl.run(("patch", "bgppeer", "tor", "--subresource=status", "--type=merge", "-p", patch))
    heading, row = (await kubectl.run(("get", "bgppeers"))).splitlines()
    assert heading.split() == ["NAME", "PEER", "AS", "NODES", "ESTABLISHED", "ACCEPTED", "AGE"]
    assert row.split()[:-1] == ["tor", "192.0.2.1", "64513", "has(rack)", "3/3", "True"]


@pytest.mark.kubectl
@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("BGPPeer", {"peerIP": "router-1", "asNumber": 1}),
        ("BGPPeer", {"peerIP": "192.0.2.1", "asNumber": 1, "holdTime": 90}),
        ("BGPPeer", {"peerIP": "192.0.2.1", "asNumber": 1, "ebgpMultiHop": 2}),
        ("BGPFilter", {"exportV4": [{"action": "Drop"}]}),
        ("BGPConfiguration", {"listenPort": 0}),
    ],
)
async def test_what_the_schema_forbids_is_refused(kubectl: Kubectl, kind: str, spec: Any) -> None:
    document = {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": kind,
        "metadata": {"name": reading.DEFAULT_NAME},
        "spec": spec,
    }
    with pytest.raises(CommandFailedError, match=r"(?i)invalid|unknown field|should|unsupported"):
        await kubectl.run(("create", "--validate=strict", "-f", "-"), json.dumps(document))
    assert problems(Kind(kind), spec)

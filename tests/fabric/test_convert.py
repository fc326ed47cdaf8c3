"""Calico's resources become ours: what is kept, what is told, and that the result reads back."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from speaker.cli.program import exit_status
from speaker.errors import UsageError
from speaker.fabric.convert import (
    NO_CONFIGURATION,
    REFLECTORS_WITHOUT_CONFIGURATION,
    Conversion,
    Converted,
    Source,
    convert,
)
from speaker.fabric.reading import read_configuration, read_filter, read_peer
from speaker.model.fabric import AddPaths, BgpPeer, ReversePeering, SecretKeyRef, SourceAddress
from speaker.model.objects import Kind, Meta, ObjectRef, ResourceView
from speaker.model.peer import NextHopMode

V3 = "projectcalico.org/v3"
CRD = "crd.projectcalico.org/v1"
READERS = {
    "BGPConfiguration": read_configuration,
    "BGPPeer": read_peer,
    "BGPFilter": read_filter,
}


def calico(kind: str, name: str = "x", version: str = V3, **rest: Any) -> dict[str, Any]:
    metadata = {"name": name, "uid": "u", "resourceVersion": "7", **rest.pop("metadata", {})}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **rest}


def all_of(*documents: dict[str, Any]) -> Conversion:
    return convert([Source(f"document {number}", each) for number, each in enumerate(documents, start=1)])


def only(document: dict[str, Any]) -> Converted:
    (converted,) = all_of(document).converted
    return converted


def spec_of(converted: Converted) -> Any:
    assert converted.document is not None
    return converted.document["spec"]


def read(document: Mapping[str, Any] | None) -> Any:
    """A converted document as the speaker reads it; fails when it has a problem."""
    assert document is not None
    ref = ObjectRef(Kind(document["kind"]), "", document["metadata"]["name"])
    return READERS[document["kind"]](ResourceView(meta=Meta(ref=ref, annotations={}), spec=document["spec"]))


@pytest.mark.parametrize("version", [V3, CRD])
def test_a_configuration(version: str) -> None:
    converted = only(
        calico(
            "BGPConfiguration",
            "default",
            version,
            spec={
                "asNumber": 63400,
                "nodeToNodeMeshEnabled": False,
                "nodeMeshMaxRestartTime": "2m0s",
                "nodeMeshPassword": {"secretKeyRef": {"name": "bgp", "key": "mesh", "optional": True}},
                "listenPort": 178,
                "communities": [{"name": "large", "value": "63400:300:100"}],
                "prefixAdvertisements": [{"cidr": "172.218.4.0/26", "communities": ["large", "63400:120"]}],
            },
        )
    )
    found = read(converted.document)
    assert (found.as_number, found.listen_port, found.node_to_node_mesh_enabled) == (63400, 178, False)
    assert found.node_mesh_max_restart_time_seconds == 120
    assert found.node_mesh_password == SecretKeyRef(name="bgp", key="mesh")
    assert found.prefix_advertisements[0].attributes.large_communities == ((63400, 300, 100),)
    assert converted.notes == (
        "nodeMeshPassword: copy the Secret bgp from the namespace of calico-node into that of the speaker",
    )


def test_calicos_mesh_is_on_where_nobody_says_otherwise() -> None:
    converted = only(calico("BGPConfiguration", "default"))
    assert read(converted.document).node_to_node_mesh_enabled
    assert "nodeToNodeMeshEnabled: true written down" in converted.notes[0]


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("serviceClusterIPs", [{"cidr": "10.96.0.0/12"}], "--announce-cluster-ip"),
        ("serviceExternalIPs", [{"cidr": "10.96.0.0/12"}], "bgp-addresses=external"),
        ("serviceLoadBalancerIPs", [{"cidr": "10.96.0.0/12"}], "kubectl annotate service"),
        ("logSeverityScreen", "Info", "--log-level"),
        ("bindMode", "NodeIP", "every address"),
        ("ipv4NormalRoutePriority", 1024, "--kernel-metric"),
        ("somethingNew", 1, "is not known"),
    ],
)
def test_what_a_configuration_loses_is_told(field: str, value: object, words: str) -> None:
    spec = {"nodeToNodeMeshEnabled": True, field: value}
    converted = only(calico("BGPConfiguration", "default", spec=spec))
    (note,) = converted.notes
    assert note.startswith(f"{field}: ")
    assert words in note
    assert field not in spec_of(converted)


def test_a_peer_outside_keeps_what_it_has_and_gets_the_hops_that_calico_gives_silently() -> None:
    converted = only(
        calico(
            "BGPPeer",
            "tor",
            metadata={"labels": {"team": "net"}},
            spec={
                "nodeSelector": "rack == 'r1'",
                "peerIP": "192.0.2.1:1790",
                "asNumber": "64567",
                "localASNumber": 64600,
                "sourceAddress": "None",
                "keepOriginalNextHop": True,
                "numAllowedLocalASNumbers": 3,
                "keepaliveTime": "30s",
                "filters": ["a", "b"],
                "password": {"secretKeyRef": {"name": "bgp", "key": "tor"}},
            },
        )
    )
    found = read(converted.document)
    assert isinstance(found, BgpPeer)
    assert (found.peer_port, found.as_number, found.local_as_number) == (1790, 64567, 64600)
    assert found.source_address is SourceAddress.NONE
    assert found.next_hop_mode is NextHopMode.KEEP
    assert (found.num_allowed_local_as_numbers, found.filters) == (3, ("a", "b"))
    assert (found.ebgp_multihop, found.max_restart_time_seconds) == (64, None)
    assert (found.keepalive_time_seconds, found.hold_time_seconds) == (30, None)
    assert found.add_paths is not AddPaths.BOTH
    assert converted.document is not None
    assert converted.document["metadata"] == {"name": "tor", "labels": {"team": "net"}}
    assert converted.document["apiVersion"] == "bgp.route-speaker.io/v1alpha1"


def test_a_peer_between_nodes() -> None:
    spec = {"node": "n1", "peerSelector": "has(rr)", "reversePeering": "Manual", "maxRestartTime": "90s"}
    converted = only(calico("BGPPeer", version=CRD, spec=spec))
    assert spec_of(converted) == spec
    assert read(converted.document).reverse_peering is ReversePeering.MANUAL
    assert converted.notes == ()


@pytest.mark.parametrize(
    ("given", "kept", "words"),
    [
        ({}, {"ebgpMultihop": 64}, "ebgpMultihop: 64 written down"),
        ({"ttlSecurity": 255}, {"ebgpMultihop": 64}, "ttlSecurity: 255 hops permit any"),
        ({"keepaliveTime": "60s"}, {"keepaliveTime": "60s", "holdTime": "240s"}, "holdTime: 240s"),
        ({"maxRestartTime": "1500ms"}, {"maxRestartTime": "2s"}, "maxRestartTime: 1500ms becomes 2s"),
        ({"maxRestartTime": "2h"}, {"maxRestartTime": "4095s"}, "becomes 4095s"),
        ({"numAllowedLocalASNumbers": 99}, {"numAllowedLocalASNumbers": 10}, "at most 10"),
        ({"reachableBy": "192.0.2.9"}, {}, "reachableBy: add a route"),
    ],
)
def test_what_a_peer_changes_is_told(given: dict[str, Any], kept: dict[str, Any], words: str) -> None:
    converted = only(calico("BGPPeer", spec={"peerIP": "192.0.2.1", "asNumber": 1, **given}))
    assert any(words in note for note in converted.notes)
    assert kept.items() <= spec_of(converted).items()
    assert "reachableBy" not in spec_of(converted)
    read(converted.document)


def test_a_peer_with_ttl_security_needs_no_number_of_hops() -> None:
    converted = only(calico("BGPPeer", spec={"peerIP": "192.0.2.1", "asNumber": 1, "ttlSecurity": 2}))
    assert spec_of(converted) == {"peerIP": "192.0.2.1", "asNumber": 1, "ttlSecurity": 2}
    assert converted.notes == ()


def test_a_filter() -> None:
    rule = {
        "action": "Accept",
        "matchOperator": "In",
        "cidr": "10.0.0.0/8",
        "prefixLength": {"min": 16, "max": 24},
        "source": "RemotePeers",
        "peerType": "eBGP",
        "communities": {"values": ["65000:1"]},
        "asPathPrefix": [65001],
        "operations": [{"addCommunity": {"value": "65000:2"}}, {"prependASPath": {"prefix": [65000]}}],
    }
    spec = {"exportV4": [rule, {"action": "Reject"}], "importV6": [{"action": "Reject"}]}
    converted = only(calico("BGPFilter", spec=spec))
    assert spec_of(converted) == spec
    assert converted.notes == ()
    assert read(converted.document).export_v4[0].operations.prepend_as_path == (65000,)


@pytest.mark.parametrize(
    ("rule", "kept", "words"),
    [
        ({"action": "Reject", "interface": "*.calico"}, None, "the rule is left out"),
        ({"action": "Reject", "priority": 512}, None, "the rule is left out"),
        (
            {"action": "Accept", "operations": [{"setPriority": {"value": 5}}]},
            {"action": "Accept"},
            "setPriority: there is one metric",
        ),
        (
            {"action": "Accept", "operations": [{"prependASPath": {"prefix": [1]}}]},
            {"action": "Accept"},
            "AS_PATH grows in export rules only",
        ),
        (
            {"action": "Reject", "cidr": "10.0.0.1/8", "matchOperator": "In"},
            {"action": "Reject", "cidr": "10.0.0.0/8", "matchOperator": "In"},
            "10.0.0.1/8 becomes 10.0.0.0/8",
        ),
        ({"action": "Reject", "colour": "red"}, {"action": "Reject"}, "importV4[0].colour: is not known"),
    ],
)
def test_what_a_rule_loses_is_told(rule: Any, kept: Any, words: str) -> None:
    converted = only(calico("BGPFilter", spec={"importV4": [rule]}))
    (note,) = converted.notes
    assert words in note
    assert spec_of(converted) == ({"importV4": [kept]} if kept else {})
    read(converted.document)


def test_a_node_as_calicoctl_prints_it() -> None:
    bgp = {
        "asNumber": 64512,
        "ipv4Address": "10.244.0.1/24",
        "ipv6Address": "2001:db8::1/120",
        "routeReflectorClusterID": "244.0.0.1",
        "ipv4IPIPTunnelAddr": "192.168.0.1",
    }
    converted = only(calico("Node", "n1", spec={"bgp": bgp, "orchRefs": []}))
    assert converted.document == {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": "n1",
            "annotations": {
                "bgp.route-speaker.io/as-number": "64512",
                "bgp.route-speaker.io/route-reflector-cluster-id": "244.0.0.1",
                "bgp.route-speaker.io/ipv4-address": "10.244.0.1",
                "bgp.route-speaker.io/ipv6-address": "2001:db8::1",
            },
        },
    }
    assert converted.notes == ("spec.bgp.ipv4IPIPTunnelAddr: routes here run without an overlay",)


def test_a_kubernetes_node_gets_our_annotations_beside_calicos() -> None:
    metadata = {
        "annotations": {
            "projectcalico.org/IPv4Address": "10.0.0.2/24",
            "projectcalico.org/ASNumber": "64513",
            "bgp.route-speaker.io/as-number": "64514",
            "other": "x",
        }
    }
    converted = only(calico("Node", "n2", "v1", metadata=metadata))
    assert converted.document is not None
    assert converted.document["metadata"] == {
        "name": "n2",
        "annotations": {
            "bgp.route-speaker.io/as-number": "64514",
            "bgp.route-speaker.io/ipv4-address": "10.0.0.2",
        },
    }


def test_a_node_of_calicos_brings_the_labels_that_selectors_look_at() -> None:
    node = calico("Node", "n1", metadata={"labels": {"rack": "r1", "other": "x"}})
    peer = calico("BGPPeer", spec={"nodeSelector": "rack == 'r1'", "peerIP": "192.0.2.1", "asNumber": 1})
    converted = all_of(node, peer).converted[0]
    assert converted.document is not None
    assert converted.document["metadata"] == {"name": "n1", "labels": {"rack": "r1"}}
    assert converted.notes == ()


def reflector(name: str = "n1", **labels: str) -> dict[str, Any]:
    return calico(
        "Node", name, metadata={"labels": labels}, spec={"bgp": {"routeReflectorClusterID": "244.0.0.1"}}
    )


def test_reflectors_are_chosen_by_the_selector_that_chooses_them_already() -> None:
    converted = all_of(
        calico("BGPConfiguration", "default", spec={"nodeToNodeMeshEnabled": False}),
        calico("BGPPeer", "a", spec={"peerSelector": "all()"}),
        calico("BGPPeer", "b", spec={"nodeSelector": "all()", "peerSelector": "rr == 'yes'"}),
        reflector(rr="yes"),
        calico("Node", "n2", metadata={"labels": {"rr": "no"}}),
    ).converted[0]
    assert spec_of(converted)["routeReflectorSelector"] == "rr == 'yes'"
    assert "is the peerSelector of BGPPeer b" in converted.notes[-1]


@pytest.mark.parametrize("others", [(reflector(rr="yes"),), ()])
def test_else_the_cluster_id_alone_decides(others: tuple[dict[str, Any], ...]) -> None:
    converted = all_of(
        calico("BGPConfiguration", "default", spec={"nodeToNodeMeshEnabled": False}),
        calico("BGPPeer", "a", spec={"peerSelector": "has(other)"}),
        *others,
    ).converted[0]
    assert spec_of(converted)["routeReflectorSelector"] == "all()"
    assert "as in Calico" in converted.notes[-1]


def test_a_cluster_without_reflectors_gets_no_selector() -> None:
    converted = all_of(
        calico("BGPConfiguration", "default", spec={"nodeToNodeMeshEnabled": True}),
        calico("BGPPeer", "a", spec={"peerSelector": "all()"}),
        calico("Node", "n1"),
    ).converted[0]
    assert "routeReflectorSelector" not in spec_of(converted)


def test_files_without_a_configuration_are_told_of() -> None:
    peer = calico("BGPPeer", spec={"peerSelector": "all()"})
    assert all_of(peer).notes == (NO_CONFIGURATION,)
    assert all_of(peer, reflector()).notes == (NO_CONFIGURATION, REFLECTORS_WITHOUT_CONFIGURATION)
    assert all_of(calico("BGPConfiguration", "default")).notes == ()


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (calico("IPPool"), "is passed over"),
        (calico("BGPPeer", version="bgp.route-speaker.io/v1alpha1"), "is passed over"),
        (calico("Pod", version="v1"), "is passed over"),
        (calico("BGPConfiguration", "node.n1"), "only the BGPConfiguration default counts"),
        (calico("BGPPeer", spec={"localWorkloadSelector": "all()", "asNumber": 1}), "no peering with Pods"),
        (calico("Node", "n1"), "has nothing about BGP"),
    ],
)
def test_what_is_passed_over_is_told(document: dict[str, Any], words: str) -> None:
    converted = only(document)
    assert converted.document is None
    assert words in converted.notes[0]


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (
            calico("BGPPeer", spec={"peerIP": "tor-1", "asNumber": 1}),
            "document 1: spec.peerIP='tor-1': must be",
        ),
        (calico("BGPPeer", spec={"peerIP": "192.0.2.1"}), "spec.asNumber: is missing"),
        (calico("BGPPeer", spec={"peerSelector": "a = 'b'"}), "character 3 must be =="),
        (calico("BGPPeer", spec={"peerSelector": "all()", "maxRestartTime": "soon"}), "spec.maxRestartTime"),
        (calico("BGPPeer", spec="x"), "spec: must be a mapping"),
        (calico("BGPPeer", ""), "metadata.name: is missing"),
        (calico("BGPConfiguration", "default", spec={"asNumber": 2**32}), "spec.asNumber=4294967296"),
        (
            calico("BGPConfiguration", "default", spec={"prefixAdvertisements": "x"}),
            "spec.prefixAdvertisements: must be a list",
        ),
        (calico("BGPFilter", spec={"exportV4": [1]}), "spec.exportV4: must be a list of mappings"),
        (calico("BGPFilter", spec={"exportV4": [{"action": "Drop"}]}), "exportV4[0].action='Drop'"),
        (calico("Node", "n1", spec={"bgp": {"routeReflectorClusterID": "1"}}), "route-reflector-cluster-id"),
        (calico("Node", ""), "metadata.name: is missing"),
    ],
)
def test_what_is_wrong_in_itself_is_refused_with_its_place(document: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        only(document)
    assert words in str(caught.value)
    assert str(caught.value).startswith("document 1: ")


FILE = f"""
apiVersion: {V3}
kind: BGPConfigurationList
items:
- apiVersion: {V3}
  kind: BGPConfiguration
  metadata: {{name: default}}
  spec: {{asNumber: 64512, logSeverityScreen: Info}}
---
apiVersion: {CRD}
kind: BGPPeer
metadata: {{name: tor, labels: {{a: "1e3", b: "y", c: "0x7", d: "1.10"}}}}
spec: {{peerIP: 192.0.2.1, asNumber: 64513, password: {{secretKeyRef: {{name: bgp, key: tor}}}}}}
---
apiVersion: v1
kind: Node
metadata: {{name: n1, annotations: {{projectcalico.org/ASNumber: "64514"}}}}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "calico.yaml"
    path.write_text(FILE)
    return path


def test_the_command_writes_yaml_with_its_notes(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_status(["convert", "-f", str(file)]) == 0
    out, err = capsys.readouterr()
    documents = [each for each in yaml.safe_load_all(out) if each]
    assert [(each["kind"], each["metadata"]["name"]) for each in documents] == [
        ("BGPConfiguration", "default"),
        ("BGPPeer", "tor"),
        ("Node", "n1"),
    ]
    for note in ("logSeverityScreen: is the flag --log-level", "copy the Secret bgp"):
        assert any(note in line for line in out.splitlines() if line.startswith("# "))
        assert any(note in line for line in err.splitlines() if line.startswith(f"speaker: {file}, document"))


def test_texts_that_other_yaml_readers_take_for_numbers_are_quoted(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_status(["convert", "-f", str(file)]) == 0
    lines = {line.strip() for line in capsys.readouterr().out.splitlines()}
    assert {"'a': '1e3'", "'b': 'y'", "'c': '0x7'", "'d': '1.10'", "peerIP: '192.0.2.1'"} <= lines


def test_the_command_writes_json(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_status(["convert", "-f", str(file), "-o", "json"]) == 0
    document = yaml.safe_load(capsys.readouterr().out)
    assert document["kind"] == "List"
    assert [each["kind"] for each in document["items"]] == ["BGPConfiguration", "BGPPeer", "Node"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (FILE.replace("192.0.2.1", "tor-1"), "document 2: spec.peerIP='tor-1': must be an address"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n", "nothing to convert"),
        ("", "nothing to convert"),
        ("a: [", "this is no YAML"),
    ],
)
def test_bad_input_ends_with_a_sentence_and_status_2(
    file: Path, content: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(content)
    assert exit_status(["convert", "-f", str(file)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err

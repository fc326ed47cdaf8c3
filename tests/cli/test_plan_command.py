"""`speaker plan` as a person runs it."""

import json
from pathlib import Path

import pytest

from speaker.cli.program import exit_status

FLAGS = ("--neighbor-address=10.0.0.1", "--neighbor-as=65001", "--cluster-as=65000")
MANIFEST = """
apiVersion: v1
kind: Node
metadata: {name: n1, labels: {ovn.kubernetes.io/bgp: "true"}}
status: {addresses: [{type: InternalIP, address: 192.0.2.1}]}
---
apiVersion: v1
kind: Node
metadata: {name: n2, labels: {ovn.kubernetes.io/bgp: "true"}}
status: {addresses: [{type: InternalIP, address: 192.0.2.2}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web, annotations: {ovn.kubernetes.io/bgp: local, ovn.kubernetes.io/bgp-med: "7"}}
spec: {nodeName: n1}
status: {phase: Running, podIPs: [{ip: 10.16.0.5}]}
"""


@pytest.fixture
def manifest(tmp_path: Path) -> str:
    file = tmp_path / "cluster.yaml"
    file.write_text(MANIFEST)
    return str(file)


def test_text(manifest: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_status(["plan", "-f", manifest, *FLAGS]) == 0
    first, *_ = capsys.readouterr().out.partition("n2 advertises")
    assert [line.split() for line in first.splitlines()[:3]] == [
        ["n1", "advertises", "to", "10.0.0.1", "(AS", "65001):"],
        ["PREFIX", "NEXT", "HOP", "BECAUSE"],
        ["10.16.0.5/32", "192.0.2.1", "Pod", "default/web:", "Pod", "annotated", "local"],
    ]
    assert "n1 does not advertise: nothing" in first
    assert "AttributeNotAllowed" in first


def test_json(manifest: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_status(["plan", "-f", manifest, "-o", "json", *FLAGS]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [node["node"] for node in document["nodes"]] == ["n1", "n2"]
    assert [each["reason"] for each in document["nodes"][1]["excluded"]] == ["NotOnThisNode"]
    assert document["problems"] == []


def test_a_daemonsets_arguments_can_be_planned_as_they_are(manifest: str) -> None:
    assert exit_status(["plan", "-f", manifest, *FLAGS, "--logtostderr", "-v5", "--log_file=/x"]) == 0


def test_what_is_not_understood_is_told_and_the_rest_planned(
    manifest: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(MANIFEST.replace("10.16.0.5", "nonsense"))
    assert exit_status(["plan", "-f", manifest, "-f", str(file), *FLAGS]) == 0
    assert capsys.readouterr().err.startswith(f"speaker: {file}, document 3: ")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("a: [", "this is no YAML: "),
        ("kind: Pod", "m.yaml, document 1: must have apiVersion and kind"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {name: a}", "there is no Node among the objects"),
    ],
)
def test_a_manifest_that_cannot_be_planned(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, sentence: str
) -> None:
    (tmp_path / "m.yaml").write_text(content)
    assert exit_status(["plan", "-f", str(tmp_path / "m.yaml"), *FLAGS]) == 2
    err = capsys.readouterr().err
    assert sentence in err
    assert err.count("\n") == 1


def test_nothing_to_plan_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert exit_status(["plan", *FLAGS]) == 2
    assert capsys.readouterr().err == (
        "speaker: nothing to plan from: name manifests with -f, or a cluster with --kubeconfig\n"
    )


def test_a_kubeconfig_that_is_not_there_is_a_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_status(["plan", *FLAGS, f"--kubeconfig={tmp_path}/none"]) == 1
    err = capsys.readouterr().err
    assert err.startswith(f"speaker: the kubeconfig {tmp_path}/none cannot be used")
    assert err.count("\n") == 1

"""`speaker fabric status` and `speaker fabric check` as a person runs them."""

import json
from collections.abc import AsyncIterator
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from speaker.cli.cluster_reading import FabricView, Where
from speaker.cli.program import exit_status
from speaker.cluster import list_once
from speaker.fabric.report import Demotion, Held, SessionReport, Unreachable
from speaker.model.peer import SessionState
from tests.cli.fabrics import LABEL, MESH, Looked, bgp_peer, node, report, session
from tests.lab.kubeapi.server import KubeApi


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Looked]:
    async with KubeApi() as api:
        yield Looked(api, tmp_path)


# -- check ---------------------------------------------------------------------------------------------


async def test_a_whole_mesh_is_well(cluster: Looked) -> None:
    cluster.create(MESH, node(1), node(2), report(1, session(2), settled=True), report(2, session(1)))
    result = await cluster.run("fabric", "check")

    assert (result.status, result.errors) == (0, "")
    assert result.output.splitlines()[-1] == "Every Node reaches every other Node's Pods."


async def test_nodes_without_a_report_are_named_and_are_no_failure(cluster: Looked) -> None:
    cluster.create(MESH, node(1), node(2), report(1, session(2)))
    result = await cluster.run("fabric", "check")

    assert result.status == 0
    assert "Without report:\n  node2\n" in result.output
    assert result.output.splitlines()[-1].endswith("by the design; 1 of 2 Nodes have reported.")


async def test_a_design_without_sessions_fails(cluster: Looked) -> None:
    cluster.create(node(1), node(2))
    result = await cluster.run("fabric", "check", "-o", "json")
    answer = json.loads(result.output)

    assert result.status == 1
    assert answer["well"] is False
    assert {"node": "node1", "to": "node2", "family": "ipv4"} in answer["unreachable_by_design"]
    assert answer["conclusion"] == "The design itself leaves 2 pairs of Nodes without a route."


async def test_a_session_that_is_down_fails(cluster: Looked) -> None:
    cluster.create(MESH, node(1), node(2), report(1, session(2, SessionState.ACTIVE)), report(2))
    result = await cluster.run("fabric", "check")

    assert result.status == 1
    assert "Unreachable by sessions:\n  NODE   TO     FAMILY\n  node1  node2  ipv4\n" in result.output
    assert result.output.splitlines()[-1] == "As the sessions stand, 2 pairs of Nodes without a route."


async def test_a_route_that_a_node_lacks_fails(cluster: Looked) -> None:
    lacks = (Unreachable("node2", (ip_network("10.244.2.0/24"),)),)
    cluster.create(MESH, node(1), node(2), report(2, session(1)))
    cluster.create(report(1, session(2), unreachable=lacks, unreachable_count=1))
    result = await cluster.run("fabric", "check")

    assert result.status == 1
    assert "  node1  node2  10.244.2.0/24\n" in result.output
    assert result.output.splitlines()[-1].startswith("By the tables of the Nodes themselves, 1 pair of Nodes")


async def test_what_one_failure_would_cut_is_named_and_is_no_failure(cluster: Looked) -> None:
    cluster.create(node(1), node(2), bgp_peer("tor", peerIP="10.0.0.254", asNumber=64512))
    result = await cluster.run("fabric", "check")

    assert result.status == 0
    assert "10.0.0.254  router  2           node2 to node1 (ipv4), node1 to node2 (ipv4)" in result.output


async def test_nothing_to_judge_by_is_no_success(cluster: Looked) -> None:
    cluster.create(MESH, node(1, label="other"))
    assert (await cluster.run("fabric", "check")).status == 1

    result = await cluster.run("fabric", "check", "--node-label=other=true")
    assert result.status == 0


async def test_the_label_of_the_speakers_is_found_among_the_usual_ones(cluster: Looked) -> None:
    cluster.create(MESH, node(1, label="ovn.kubernetes.io/bgp"), node(2, label="ovn.kubernetes.io/bgp"))
    found = await cluster.run("fabric", "check", "-o", "json")
    asked = await cluster.run("fabric", "check", "-o", "json", "--annotation-prefix=projectcalico.org")

    assert json.loads(found.output)["nodes"] == 2
    assert json.loads(asked.output)["nodes"] == 0


# -- status --------------------------------------------------------------------------------------------


async def test_each_node_is_a_row_with_its_sessions_by_why_they_are_there(cluster: Looked) -> None:
    tor = SessionReport(peer="10.0.0.254", address=ip_address("10.0.0.254"), origin="BGPPeer tor")
    cluster.create(MESH, node(1), node(2), node(3))
    cluster.create(
        report(1, session(2), session(3), tor, as_number=64512, learned=4, installed=2, conflicts=1)
    )
    result = await cluster.run("fabric", "status", "-o", "json")
    rows = {row["node"]: row for row in json.loads(result.output)["nodes"]}

    assert rows["node1"] == {
        "node": "node1",
        "as": 64512,
        "router_id": "10.0.0.1",
        "cluster_id": None,
        "sessions": "2/3",
        "of_which": ["BGPPeer tor 0/1", "mesh 2/2"],
        "settled": False,
        "learned": 4,
        "installed": 2,
        "conflicts": 1,
    }
    assert rows["node2"]["sessions"] is None


async def test_the_text_names_what_is_wrong_and_nothing_that_is_not(cluster: Looked) -> None:
    down = session(2, SessionState.CONNECT, last_error="connection refused")
    cluster.create(MESH, node(1), node(2), report(1, down))
    result = await cluster.run("fabric", "status")

    assert result.status == 0
    assert "  node1  64512  10.0.0.1   -           0/1       mesh 0/1  no" in result.output
    assert "  node1  node2  mesh    Connect  connection refused\n" in result.output
    assert "Without report:\n  node2\n" in result.output
    assert "Retiring" not in result.output


async def test_what_retires_and_what_is_held_back_is_told_with_the_reason(cluster: Looked) -> None:
    waits = Held(ready=True, reason="node2 is not ready", since=1790000000.0)
    retiring = session(2, retiring=waits, origin="")
    cluster.create(node(1), node(2), report(1, retiring, demotions=(Demotion("node2", waits),)))
    result = await cluster.run("fabric", "status")

    assert "  node1  node2  yes    2026-09-21T14:13:20Z  node2 is not ready\n" in result.output
    assert (
        "Held back:\n  NODE   PEER   READY  REASON\n  node1  node2  yes    node2 is not ready"
        in result.output
    )


async def test_a_resource_that_is_not_right_is_told_with_the_reason(cluster: Looked) -> None:
    cluster.create(MESH, node(1, **{"bgp.route-speaker.io/as-number": "many"}))
    cluster.create(bgp_peer("tor", peerIP="10.0.0.254", asNumber=1, nodeSelector="rack =="))
    cluster.create(bgp_peer("c", peerIP="10.0.0.8", asNumber=1, filters=["gone"]))
    told = json.loads((await cluster.run("fabric", "status", "-o", "json")).output)["resources"]

    assert [row["object"] for row in told] == ["BGPPeer tor", "BGPPeer c", "Node node1"]
    assert told[1]["problem"] == "the BGPFilter gone is not there"
    assert "rack ==" in told[0]["problem"]


async def test_a_password_that_a_speaker_has_not_got_is_told(cluster: Looked) -> None:
    secret = {"secretKeyRef": {"name": "tor", "key": "md5"}}
    cluster.create(node(1), bgp_peer("tor", peerIP="10.0.0.254", asNumber=1, password=secret))
    cluster.create(report(1, fingerprint=await fingerprint(cluster)))
    (row,) = json.loads((await cluster.run("fabric", "status", "-o", "json")).output)["withheld"]

    assert (row["node"], row["peer"]) == ("node1", "10.0.0.254")
    assert row["reason"].startswith("its speaker has no key md5 of Secret tor")


async def fingerprint(cluster: Looked) -> str:
    """Of the design that a speaker sees there."""
    where = Where(kubeconfig=str(cluster.kubeconfig), node_labels=((LABEL, "true"),))
    view = FabricView(where)
    view.apply(await list_once(where.cluster_config(reports=False)))
    return view.plan().fingerprint


async def test_a_long_list_is_cut_in_text_and_whole_in_json(cluster: Looked) -> None:
    cluster.create(MESH, *(node(number) for number in range(1, 61)))
    text = (await cluster.run("fabric", "status")).output
    answer = json.loads((await cluster.run("fabric", "status", "-o", "json")).output)

    assert len(answer["nodes"]) == len(answer["without_report"]) == 60
    assert text.count("\n  node") == 100
    assert "Nodes not shown: and 10 more" in text


async def test_all_sessions_of_one_node(cluster: Looked) -> None:
    cluster.create(MESH, node(1), node(2), node(3))
    cluster.create(report(1, session(3, received=1, end_of_rib=True), session(2, SessionState.IDLE)))
    result = await cluster.run("fabric", "status", "--node=node1")

    rows = [line.split() for line in result.output.splitlines() if line.startswith("  node")]
    assert [row[0] for row in rows] == ["node2", "node3"]
    assert rows[1][:5] == ["node3", "10.0.0.3", "0", "mesh", "Established"]


async def test_a_node_that_has_not_reported(cluster: Looked) -> None:
    cluster.create(MESH, node(1))
    result = await cluster.run("fabric", "status", "--node=node1")

    assert (result.status, "Reported: no" in result.output) == (0, True)


# -- bad usage -----------------------------------------------------------------------------------------


async def test_a_node_that_is_not_there_is_bad_usage(cluster: Looked) -> None:
    result = await cluster.run("fabric", "status", "--node=nobody")

    assert (result.status, result.errors) == (2, "speaker: --node=nobody: there is no such Node\n")


def test_no_cluster_is_bad_usage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "KRS_KUBECONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))

    assert exit_status(["fabric", "status"]) == 2
    assert capsys.readouterr().err == "speaker: there is no cluster to read: name one with --kubeconfig\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--pod-cidr-source=x"], "--pod-cidr-source=x: must be auto, node, calico or kube-ovn"),
        (["--node-label=x"], "--node-label=x: must be"),
    ],
)
def test_a_flag_that_is_wrong_is_bad_usage(
    capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    assert exit_status(["fabric", "check", *arguments]) == 2
    assert capsys.readouterr().err.startswith(f"speaker: {sentence}")

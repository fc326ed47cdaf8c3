"""`speaker render-router` as a person runs it: from manifests, from a cluster, once and for ever."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import yaml

from speaker.cli.program import exit_status
from tests.cli.fabrics import Looked, bgp_peer, node
from tests.lab.kubeapi.server import KubeApi
from tests.lab.waiting import eventually

ROUTER = "10.0.0.254"
WITHIN = 60.0


@pytest.fixture
def manifests(tmp_path: Path) -> str:
    """Two Nodes and a router in their AS."""
    file = tmp_path / "manifests.yaml"
    documents = [node(1), node(2), bgp_peer("tor", peerIP=ROUTER, asNumber=64512)]
    file.write_text(yaml.safe_dump_all(documents))
    return str(file)


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Looked]:
    async with KubeApi() as api:
        looked = Looked(api, tmp_path)
        looked.create(node(1), bgp_peer("tor", peerIP=ROUTER, asNumber=64512))
        yield looked


# -- once ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["frr", "bird", "arista", "junos"])
def test_from_manifests(manifests: str, capsys: pytest.CaptureFixture[str], form: str) -> None:
    assert exit_status(["render-router", f"--router={ROUTER}", "--format", form, "-f", manifests]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert all(text in captured.out for text in ("10.0.0.1", "10.0.0.2", "node1", "node2", "64512"))


def test_the_same_manifests_make_the_same_text_in_any_order(
    manifests: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    turned = tmp_path / "turned.yaml"
    turned.write_text("---\n".join(reversed(Path(manifests).read_text().split("---\n"))))
    texts = []
    for path in (manifests, str(turned)):
        assert exit_status(["render-router", f"--router={ROUTER}", "--format=frr", "-f", path]) == 0
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1]


def test_what_a_bird_has_once_may_be_left_out(manifests: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["render-router", f"--router={ROUTER}", "--format=bird", "-f", manifests, "--sessions-only"]
    assert exit_status(arguments) == 0
    out = capsys.readouterr().out
    assert "protocol device" not in out
    assert "protocol bgp" in out


def test_notes_stand_in_the_text_and_on_standard_error(
    manifests: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "external.yaml"
    file.write_text(Path(manifests).read_text().replace("asNumber: 64512", "asNumber: 65000"))
    assert exit_status(["render-router", f"--router={ROUTER}", "--format=frr", "-f", str(file)]) == 0
    captured = capsys.readouterr()
    assert captured.err.startswith("speaker: The Nodes of AS 64512 refuse each other's routes")
    assert captured.err.removeprefix("speaker: ").strip() in captured.out


def test_a_resource_that_is_not_right_is_told_and_left_out(
    manifests: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text(yaml.safe_dump(bgp_peer("wrong", peerIP="nowhere", asNumber=1)))
    arguments = ["render-router", f"--router={ROUTER}", "--format=frr", "-f", manifests, "-f", str(file)]
    assert exit_status(arguments) == 0
    assert capsys.readouterr().err.startswith("speaker: BGPPeer wrong is left out, for it is not right: ")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--router=10.0.0.9"], "no BGPPeer leads from a Node to 10.0.0.9; those that do lead to 10.0.0.254"),
        (["--router=nowhere"], "invalid value for '--router': nowhere: must be"),
        (
            [f"--router={ROUTER}", "--range=10.0.0.1/24"],
            "invalid value for '--range': 10.0.0.1/24: has bits set",
        ),
        ([f"--router={ROUTER}", "--as=0"], "invalid value for '--as': 0: must be an AS number"),
        ([f"--router={ROUTER}", "--as=7"], "no BGPPeer leads from a Node to 10.0.0.254 in AS 7"),
        ([f"--router={ROUTER}", "--watch"], "--watch is for a live cluster: leave out -f"),
    ],
)
def test_bad_usage_is_one_sentence(
    manifests: str, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    assert exit_status(["render-router", "--format=frr", "-f", manifests, *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"speaker: {sentence}")
    assert captured.err.count("\n") == 1


def test_a_file_that_cannot_be_written_is_a_failure(
    manifests: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "none" / "router.conf"
    arguments = ["render-router", f"--router={ROUTER}", "--format=frr", "-f", manifests]
    assert exit_status([*arguments, f"--output-file={path}"]) == 1
    assert capsys.readouterr().err == (
        f"speaker: --output-file={path} cannot be written: No such file or directory\n"
    )


def test_a_file_is_replaced_and_keeps_its_mode(manifests: str, tmp_path: Path) -> None:
    path = tmp_path / "router.conf"
    path.write_text("before")
    path.chmod(0o640)
    arguments = ["render-router", f"--router={ROUTER}", "--format=bird", "-f", manifests]
    assert exit_status([*arguments, f"--output-file={path}"]) == 0
    assert "node2" in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o640
    assert sorted(each.name for each in tmp_path.iterdir()) == ["manifests.yaml", "router.conf"]


async def test_from_a_live_cluster_it_is_the_same_as_from_its_manifests(
    cluster: Looked, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    live = await cluster.run("render-router", f"--router={ROUTER}", "--format=junos")
    file = tmp_path / "same.yaml"
    file.write_text(yaml.safe_dump_all([node(1), bgp_peer("tor", peerIP=ROUTER, asNumber=64512)]))
    exit_status(["render-router", f"--router={ROUTER}", "--format=junos", "-f", str(file)])

    assert (live.status, live.errors, live.output) == (0, "", capsys.readouterr().out)


# -- for ever ------------------------------------------------------------------------------------------


@asynccontextmanager
async def watching(cluster: Looked, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """`speaker render-router --watch` while the context lasts."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "speaker", "render-router", f"--router={ROUTER}", "--watch", *arguments),
        env=os.environ | {"KUBECONFIG": str(cluster.kubeconfig)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def wait_written(path: Path, *texts: str) -> None:
    def content() -> str:
        return path.read_text() if path.exists() else ""

    await eventually(
        content, lambda found: all(text in found for text in texts), within=WITHIN, what="a text"
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_node_that_joins_is_written_and_a_signal_ends_it(
    cluster: Looked, tmp_path: Path, number: signal.Signals
) -> None:
    path = tmp_path / "router.conf"
    async with watching(cluster, "--format=bird", f"--output-file={path}") as process:
        await wait_written(path, "node1")
        cluster.create(node(2))
        await wait_written(path, "node1", "node2")

        process.send_signal(number)
        async with asyncio.timeout(WITHIN):
            output, errors = await process.communicate()
    assert (process.returncode, output, errors) == (0, b"", b"")


async def test_what_was_written_stays_while_there_is_nothing_to_write(
    cluster: Looked, tmp_path: Path
) -> None:
    path = tmp_path / "router.conf"
    async with watching(cluster, "--format=frr", f"--output-file={path}") as process:
        await wait_written(path, "node1")
        cluster.delete("BGPPeer", "tor")
        assert process.stderr is not None
        async with asyncio.timeout(WITHIN):
            line = (await process.stderr.readline()).decode()

        assert line.endswith("; what was written stays\n")
        assert "node1" in path.read_text()


async def test_without_a_file_texts_follow_each_other_on_standard_output(cluster: Looked) -> None:
    async with watching(cluster, "--format=frr") as process:
        assert process.stdout is not None
        async with asyncio.timeout(WITHIN):
            await process.stdout.readuntil(b"description node1\n")
            cluster.create(node(2))
            again = await process.stdout.readuntil(b"description node2\n")
    assert b"\n\n! The router's side of the BGPPeers" in again

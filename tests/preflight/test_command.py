"""`speaker preflight` as it is typed."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from speaker.bgp.messages import KEEPALIVE
from speaker.cli.program import exit_status
from speaker.model.peer import Peer
from tests.bgp.builders import PORT, loopback, peer
from tests.bgp.raw_peer import RawPeer

COMMON = ["--neighbor-as=65030", "--cluster-as=65000", f"--neighbor-port={PORT}", "--timeout=10s"]


def arguments(*addresses: object, folder: Path) -> list[str]:
    """A command line for peers on loopback, on a host where no speaker runs."""
    names = [f"--neighbor-address={address}" for address in addresses]
    return ["preflight", *names, *COMMON, f"--control-socket={folder}/none"]


async def accept_all(raw: RawPeer) -> None:
    """A peer that agrees."""
    await raw.accept()
    await raw.open_received()
    await raw.send(raw.open(), KEEPALIVE)
    await raw.expect_notification()


async def typed(raw: RawPeer, line: list[str]) -> int:
    """The exit status of the command, with a peer that agrees."""
    running = asyncio.create_task(asyncio.to_thread(exit_status, line))
    await accept_all(raw)
    return await running


def at(address: object) -> Peer:
    return peer(address=address)


async def test_a_table_for_people(
    raw: Callable[..., RawPeer], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    address = loopback()

    status = await typed(raw(at(address)).listen(), arguments(address, folder=tmp_path))

    out = capsys.readouterr().out
    assert status == 0
    assert out.startswith(f"Peer {address} (AS 65030): pass\n  CHECK ")
    assert "  The peer offers:\n    multiprotocol ipv4 unicast\n" in out
    assert out.endswith("\n1 peer: 1 pass\n")


async def test_json_for_machines(
    raw: Callable[..., RawPeer], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    address = loopback()

    status = await typed(raw(at(address)).listen(), [*arguments(address, folder=tmp_path), "-o", "json"])

    document = json.loads(capsys.readouterr().out)
    assert (status, document["failed"]) == (0, False)
    (report,) = document["peers"]
    assert set(report) == {"peer", "address", "asn", "result", "live", "capabilities", "checks"}
    assert all(set(check) == {"check", "result", "detail", "advice"} for check in report["checks"])
    assert [check["check"] for check in report["checks"]] == [
        *("source", "tcp", "ttl", "md5", "open", "as", "router-id", "hold-time", "families"),
        *("extended-next-hop", "graceful-restart", "4-octet-as", "route-refresh"),
    ]


def test_a_failure_is_exit_status_1_and_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = exit_status(arguments(loopback(), loopback(), folder=tmp_path))

    out = capsys.readouterr().out
    assert status == 1
    assert "  What to do:\n    tcp: start the daemon" in out
    assert out.endswith("\n2 peers: 2 fail\n")


def test_some_of_the_peers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = loopback(), loopback()

    exit_status([*arguments(first, second, folder=tmp_path), f"--peer={second}"])

    out = capsys.readouterr().out
    assert str(second) in out
    assert f"Peer {first} " not in out


def test_a_file_of_peers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    address, file = loopback(), tmp_path / "peers.yaml"
    file.write_text(
        f"localIP: 127.0.0.1\nlocalASN: 65000\npeers:\n- {{peerIP: {address}, peerASN: 65030, name: tor}}\n",
        encoding="utf-8",
    )

    status = exit_status(["preflight", f"--config={file}", f"--control-socket={tmp_path}/none"])

    out = capsys.readouterr().out
    assert status == 1
    assert out.startswith(f"Peer tor {address} (AS 65030): fail\n")
    assert "127.0.0.1 (configured)" in out


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        (["--peer=nobody"], "--peer=nobody: the peers are 127."),
        (["--timeout=0"], "must be from 100ms to 10m"),
        (["--test-prefix=10.96.0.0/24"], "must be a host route, a /32"),
        (["--test-prefix=127.0.0.1/32"], "never advertised: loopback"),
        (["--test-prefix=x"], "x: must"),
        (["--config=/nowhere.yaml"], "--config says everything about the peers"),
        (["--disruptive=perhaps"], "--disruptive"),
    ],
)
def test_bad_usage(more: list[str], problem: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_status([*arguments(loopback(), folder=tmp_path), *more]) == 2
    assert problem in capsys.readouterr().err


def test_no_peer_at_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_status(["preflight"]) == 2
    assert "--neighbor-address" in capsys.readouterr().err

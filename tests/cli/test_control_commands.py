"""`speaker status`, `routes` and `explain` against a control server."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from speaker.cli.control_commands import object_named
from speaker.cli.program import exit_status
from speaker.control import ControlServer
from speaker.errors import SpeakerError, UsageError

STATUS = {"node": "node1", "sessions": [{"peer": "10.0.0.1", "state": "Established"}]}


class Asked:
    """A running speaker's answers, which keeps the last request."""

    def __init__(self) -> None:
        self.request: Mapping[str, object] = {}

    def status(self, request: Mapping[str, object]) -> object:
        self.request = request
        return STATUS

    def routes(self, request: Mapping[str, object]) -> object:
        self.request = request
        if request.get("peer") == "nobody":
            raise SpeakerError("there is no peer nobody")
        return [{"prefix": "10.0.0.1/32"}]

    def explain(self, request: Mapping[str, object]) -> object:
        self.request = request
        return {"published": True}


async def asked(tmp_path: Path, *arguments: str) -> tuple[int, Mapping[str, object]]:
    """The exit status of the program, and what the speaker was asked."""
    answers = Asked()
    commands = {"status": answers.status, "routes": answers.routes, "explain": answers.explain}
    server = ControlServer(tmp_path / "control.sock", commands)
    running = asyncio.create_task(server.run())
    try:
        await server.started.wait()
        path = f"--control-socket={tmp_path / 'control.sock'}"
        status = await asyncio.to_thread(exit_status, [*arguments, path])
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    return status, answers.request


async def test_status_as_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, request = await asked(tmp_path, "status")
    assert status == 0
    assert request == {"command": "status"}
    assert capsys.readouterr().out == (
        "Node: node1\n\nSessions:\n  PEER      STATE\n  10.0.0.1  Established\n"
    )


async def test_status_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, _ = await asked(tmp_path, "status", "-o", "json")
    assert status == 0
    assert json.loads(capsys.readouterr().out) == STATUS


@pytest.mark.parametrize(
    ("arguments", "request_"),
    [
        (["routes"], {"command": "routes"}),
        (["routes", "10.0.0.1"], {"command": "routes", "peer": "10.0.0.1"}),
        (
            ["explain", "pod", "web"],
            {"command": "explain", "kind": "Pod", "namespace": "default", "name": "web"},
        ),
    ],
)
async def test_what_is_asked(tmp_path: Path, arguments: list[str], request_: dict[str, str]) -> None:
    assert await asked(tmp_path, *arguments) == (0, request_)


async def test_a_refusal_is_a_failure_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, _ = await asked(tmp_path, "routes", "nobody")
    assert status == 1
    assert capsys.readouterr().err == "speaker: there is no peer nobody\n"


@pytest.mark.parametrize(
    ("kind", "name", "identity"),
    [
        ("pod", "a", ("Pod", "default", "a")),
        ("Pods", "ns/a", ("Pod", "ns", "a")),
        ("po", "ns/a", ("Pod", "ns", "a")),
        ("svc", "a", ("Service", "default", "a")),
        ("endpointslices", "a", ("EndpointSlice", "default", "a")),
        ("subnet", "a", ("Subnet", "", "a")),
        ("node", "a", ("Node", "", "a")),
        ("ns", "a", ("Namespace", "", "a")),
    ],
)
def test_objects_are_named_as_in_kubectl(kind: str, name: str, identity: tuple[str, str, str]) -> None:
    assert tuple(object_named(kind, name).values()) == identity


@pytest.mark.parametrize("name", ["", "ns/", "/a", "a/b/c"])
def test_a_name_of_another_shape_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="is no name"):
        object_named("pod", name)

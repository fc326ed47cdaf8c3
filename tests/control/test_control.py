"""Questions over the unix socket, and who may ask them."""

import asyncio
import contextlib
import json
import os
import socket
import stat
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from speaker.control import MAX_REQUEST_BYTES, Command, ControlServer, ask
from speaker.errors import HostError, SpeakerError


def refuse(_: Mapping[str, object]) -> object:
    raise SpeakerError("no such peer")


COMMANDS: Mapping[str, Command] = {
    "echo": lambda request: request,
    "refuse": refuse,
    "unwritable": lambda _: object(),
}


@contextlib.asynccontextmanager
async def serving(path: Path, commands: Mapping[str, Command] = COMMANDS) -> AsyncIterator[ControlServer]:
    server = ControlServer(path, commands)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(server.run())
        async with asyncio.timeout(5):
            await server.started.wait()
        yield server
        running.cancel()


async def asked(path: Path, request: Mapping[str, object]) -> object:
    return await asyncio.to_thread(ask, path, request, timeout_seconds=5)


async def raw(path: Path, octets: bytes, *, finish: bool = False) -> Any:
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(octets)
    if finish:
        writer.write_eof()
    async with asyncio.timeout(5):
        answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return json.loads(answer)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "control.sock"


async def test_a_command_answers_with_its_result(path: Path) -> None:
    async with serving(path):
        assert await asked(path, {"command": "echo", "peer": "tor"}) == {"command": "echo", "peer": "tor"}


async def test_a_refusal_reaches_the_caller_in_the_commands_words(path: Path) -> None:
    async with serving(path):
        with pytest.raises(SpeakerError, match=r"^no such peer$"):
            await asked(path, {"command": "refuse"})


@pytest.mark.parametrize(
    "request_",
    [pytest.param({"command": "fly"}, id="unknown"), pytest.param({"command": []}, id="a list"), {}],
)
async def test_an_unknown_command_names_the_known_ones(path: Path, request_: Mapping[str, object]) -> None:
    async with serving(path):
        with pytest.raises(SpeakerError, match="there are echo, refuse, unwritable"):
            await asked(path, request_)


@pytest.mark.parametrize(
    ("octets", "error"),
    [
        pytest.param(b"hello\n", "the request is not JSON", id="no JSON"),
        pytest.param(b"[" * 60_000 + b"\n", "the request is not JSON", id="too deep"),
        pytest.param(b"[1]\n", "the request is not a JSON object", id="a list"),
        pytest.param(b"\xff\n", "the request is not JSON", id="no UTF-8"),
        pytest.param(
            b" " * (MAX_REQUEST_BYTES + 10) + b"\n", "the request is longer than 65536 bytes", id="long"
        ),
    ],
)
async def test_a_bad_request_is_answered_with_a_sentence(path: Path, octets: bytes, error: str) -> None:
    async with serving(path):
        assert await raw(path, octets) == {"ok": False, "error": error}


async def test_a_request_without_its_end_is_refused(path: Path) -> None:
    async with serving(path):
        answer = await raw(path, b"{}", finish=True)
    assert answer == {"ok": False, "error": "the request does not end with a newline"}


async def test_an_answer_that_json_cannot_hold_is_our_fault_and_said(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(path):
        with pytest.raises(SpeakerError, match="could not be written as JSON"):
            await asked(path, {"command": "unwritable"})
    assert caplog.records[0].message == "an answer could not be written as JSON"


async def test_only_our_own_user_can_ask(path: Path) -> None:
    async with serving(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


async def test_the_umask_is_put_back(path: Path) -> None:
    before = os.umask(0o022)
    try:
        async with serving(path):
            assert os.umask(0o022) == 0o022
    finally:
        os.umask(before)


async def test_the_socket_goes_with_the_server(path: Path) -> None:
    async with serving(path):
        assert path.exists()
    assert not path.exists()


async def test_a_successors_socket_stays(path: Path) -> None:
    """Over an upgrade the new speaker may listen before the old one has ended."""
    async with serving(path):
        path.unlink()
        with socket.socket(socket.AF_UNIX) as successor:
            successor.bind(str(path))
    assert path.exists()


async def test_what_a_dead_speaker_left_is_replaced(path: Path) -> None:
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    async with serving(path):
        assert await asked(path, {"command": "echo"}) == {"command": "echo"}


async def test_a_living_speaker_is_not_replaced(path: Path) -> None:
    async with serving(path):
        with pytest.raises(HostError, match="another speaker answers on"):
            await ControlServer(path, {}).run()
        assert await asked(path, {"command": "echo"}) == {"command": "echo"}


async def test_a_file_that_is_no_socket_is_not_replaced(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("precious")
    with pytest.raises(HostError, match="exists and is no socket"):
        await ControlServer(path, {}).run()
    assert path.read_text() == "precious"


async def test_a_place_that_cannot_be_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HostError, match=r"^cannot listen on the control socket .*: File exists$"):
        await ControlServer(tmp_path / "file" / "control.sock", {}).run()


async def test_an_idle_client_does_not_delay_the_end(path: Path) -> None:
    async with serving(path):
        reader, writer = await asyncio.open_unix_connection(path)
        await asked(path, {"command": "echo"})
    async with asyncio.timeout(5):
        assert await reader.read() in (
            b"",
            b'{"ok": false, "error": "the request does not end with a newline"}\n',
        )
    writer.close()


async def test_too_many_clients_are_turned_away(path: Path) -> None:
    async with serving(path):
        idle = [await asyncio.open_unix_connection(path) for _ in range(16)]
        answer = await raw(path, b"")
        for _, writer in idle:
            writer.close()
    assert answer == {"ok": False, "error": "the speaker is answering too many others; ask again"}


def test_nobody_listens(path: Path) -> None:
    with pytest.raises(HostError, match=r"^no speaker listens on .*; is it running"):
        ask(path, {"command": "status"})


async def test_a_speaker_that_hangs_up_is_one_sentence(path: Path) -> None:
    path.parent.mkdir()

    def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    server = await asyncio.start_unix_server(hang_up, path)
    async with server:
        with pytest.raises(HostError, match=r"ended the connection without an answer|cannot ask the speaker"):
            await asked(path, {"command": "status"})


@pytest.mark.parametrize("size", range(150_000, 310_000, 20_000))
async def test_a_long_answer_arrives_whole(path: Path, size: int) -> None:
    """Also one that the socket's buffer cannot take at once."""
    async with serving(path, {"status": lambda _: "x" * size}):
        reader, writer = await asyncio.open_unix_connection(path, limit=1 << 22)
        writer.write(b'{"command": "status"}\n')
        line = await reader.readuntil(b"\n")
        writer.close()
    assert len(json.loads(line)["result"]) == size

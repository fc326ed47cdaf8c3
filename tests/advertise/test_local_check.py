"""Local checks against real servers on the loopback interface."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from speaker.daemon.local_check import LocalChecks, Verdict
from speaker.settings.advertise_settings import CheckSettings
from speaker.settings.check_target import check_target
from tests.lab.kubeapi.tls import Authority, make_certificates
from tests.lab.waiting import eventually

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def server(
    serve: Serve, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[int]:
    """A server whose connections end with it; gives its port."""
    serving: set[asyncio.Task[Any]] = set()

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        try:
            await serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass  # the check has had enough
        finally:
            writer.transport.abort()
            serving.discard(task)

    running = await asyncio.start_server(one, host, 0, ssl=tls)
    try:
        yield running.sockets[0].getsockname()[1]
    finally:
        running.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        # A connection that was made and not yet served begins and ends now.
        await asyncio.sleep(0)


def answering(answer: bytes, asked: list[bytes] | None = None) -> Serve:
    """Reads a request and answers with these octets."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        if asked is not None:
            asked.append(request)
        writer.write(answer)
        await writer.drain()
        await reader.read()

    return serve


async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Takes a connection and never says anything."""
    await reader.read()


async def closing(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Reads a request and ends the connection."""
    await reader.readuntil(b"\r\n\r\n")


def checks(url: str, **settings: Any) -> LocalChecks:
    return LocalChecks(CheckSettings(targets=(check_target(url),), **settings), lambda _: None)


async def problem(url: str, **settings: Any) -> str:
    """What is wrong with one target, checked once."""
    return await checks(url, **settings).problem_of(check_target(url))


async def test_a_port_that_listens_passes() -> None:
    async with server(silent) as port:
        assert await problem(f"tcp://127.0.0.1:{port}") == ""


async def test_a_port_that_nobody_listens_on_fails() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        assert await problem(f"tcp://127.0.0.1:{port}") == "connection refused"


async def test_a_name_that_is_not_known_fails() -> None:
    assert await problem("tcp://nowhere.invalid:1") == "the name nowhere.invalid is not known"


@pytest.mark.parametrize("status", [b"200 OK", b"204 No Content", b"301 Moved", b"399", b"200"])
async def test_these_statuses_pass(status: bytes) -> None:
    async with server(answering(b"HTTP/1.1 " + status + b"\r\n\r\n")) as port:
        assert await problem(f"http://127.0.0.1:{port}/readyz") == ""


@pytest.mark.parametrize("status", [b"199 Odd", b"400 Bad", b"401 Unauthorized", b"500 Broken", b"503 Busy"])
async def test_these_statuses_fail(status: bytes) -> None:
    async with server(answering(b"HTTP/1.1 " + status + b"\r\n\r\n")) as port:
        found = await problem(f"http://127.0.0.1:{port}/readyz")
    assert found == f"the answer is HTTP status {status[:3].decode()}"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"SSH-2.0-Server\r\n", "the answer is no HTTP: 'SSH-2.0-Server'"),
        (b"HTTP/1.1 abc\r\n", "the answer is no HTTP: 'HTTP/1.1 abc'"),
        (b"HTTP/1.1 -20 OK\r\n", "the answer is no HTTP"),
        (b"\xff\x00\x1b[31m\n", "the answer is no HTTP"),
        (b"x" * 100_000 + b"\n", "the answer is no HTTP"),
    ],
)
async def test_what_is_no_http_fails_in_few_words(answer: bytes, words: str) -> None:
    async with server(answering(answer)) as port:
        found = await problem(f"http://127.0.0.1:{port}/")
    assert words in found
    assert len(found) < 120
    assert found.isprintable()


async def test_a_connection_that_ends_without_an_answer_fails() -> None:
    async with server(closing) as port:
        assert await problem(f"http://127.0.0.1:{port}/") == "closed without an answer"


async def test_the_request_names_host_path_and_query() -> None:
    asked: list[bytes] = []
    async with server(answering(b"HTTP/1.1 200 OK\r\n\r\n", asked)) as port:
        assert await problem(f"http://127.0.0.1:{port}/readyz?exclude=etcd") == ""
    (request,) = asked
    assert request.startswith(b"GET /readyz?exclude=etcd HTTP/1.1\r\n")
    assert f"\r\nHost: 127.0.0.1:{port}\r\n".encode() in request


async def test_an_ipv6_address_is_asked() -> None:
    asked: list[bytes] = []
    async with server(answering(b"HTTP/1.1 200 OK\r\n\r\n", asked), host="::1") as port:
        assert await problem(f"http://[::1]:{port}/") == ""
    assert f"\r\nHost: [::1]:{port}\r\n".encode() in asked[0]


async def test_a_server_that_says_nothing_fails_after_the_timeout() -> None:
    async with server(silent) as port:
        found = await problem(f"http://127.0.0.1:{port}/", timeout_seconds=0.1)
    assert found == "no answer within 0.1 s (--check-timeout)"


async def test_a_certificate_of_the_given_authority_passes(tmp_path: Path) -> None:
    tls, ca = make_certificates(tmp_path, ("127.0.0.1", "kubernetes"))
    async with server(answering(b"HTTP/1.1 200 OK\r\n\r\n"), tls=tls) as port:
        url = f"https://127.0.0.1:{port}/readyz"
        assert await problem(url, ca_file=str(ca)) == ""
        assert await problem(url, ca_file=str(ca), server_name="kubernetes") == ""


async def test_a_certificate_of_an_unknown_authority_fails_and_says_what_to_give(tmp_path: Path) -> None:
    tls, _ = make_certificates(tmp_path, ("127.0.0.1",))
    async with server(answering(b"HTTP/1.1 200 OK\r\n\r\n"), tls=tls) as port:
        found = await problem(f"https://127.0.0.1:{port}/")
    assert found.startswith("the certificate is not trusted")
    assert found.endswith("give its authority with --check-ca")


async def test_a_certificate_for_another_name_fails_and_says_what_to_give(tmp_path: Path) -> None:
    tls, ca = make_certificates(tmp_path, ("kubernetes",))
    async with server(answering(b"HTTP/1.1 200 OK\r\n\r\n"), tls=tls) as port:
        found = await problem(f"https://127.0.0.1:{port}/", ca_file=str(ca))
    assert found.endswith("give a name that the certificate has with --check-server-name")


async def test_any_certificate_passes_when_that_is_asked_for(tmp_path: Path) -> None:
    tls, _ = make_certificates(tmp_path, ("elsewhere",))
    async with server(answering(b"HTTP/1.1 200 OK\r\n\r\n"), tls=tls) as port:
        assert await problem(f"https://127.0.0.1:{port}/", insecure=True) == ""


async def test_a_server_without_tls_fails() -> None:
    async with server(answering(b"HTTP/1.1 200 OK\r\n\r\n")) as port:
        found = await problem(f"https://127.0.0.1:{port}/", insecure=True)
    assert found


@pytest.mark.parametrize(
    ("content", "words"), [(None, "cannot be read: no such file"), ("words\n", "holds no certificates")]
)
async def test_an_authority_that_cannot_be_read_fails(
    tmp_path: Path, content: str | None, words: str
) -> None:
    ca = tmp_path / "ca.crt"
    if content is not None:
        ca.write_text(content)
    async with server(silent) as port:
        found = await problem(f"https://127.0.0.1:{port}/", ca_file=str(ca))
    assert found.startswith(f"--check-ca={ca}")
    assert words in found


async def test_an_authority_that_is_renewed_on_disk_is_read_again(tmp_path: Path) -> None:
    tls, ca = make_certificates(tmp_path / "new", ("127.0.0.1",))
    given = tmp_path / "ca.crt"
    given.write_bytes(Authority(tmp_path / "old").certificate.read_bytes())
    async with server(answering(b"HTTP/1.1 200 OK\r\n\r\n"), tls=tls) as port:
        url = f"https://127.0.0.1:{port}/"
        made = checks(url, ca_file=str(given))
        assert await made.problem_of(check_target(url))
        fresh = tmp_path / "fresh"
        fresh.write_bytes(ca.read_bytes())
        fresh.replace(given)
        assert await made.problem_of(check_target(url)) == ""


async def test_every_target_must_pass() -> None:
    changes: list[bool | None] = []
    async with server(silent) as good, server(answering(b"HTTP/1.1 200 OK\r\n\r\n")) as other:
        targets = (check_target(f"tcp://127.0.0.1:{good}"), check_target(f"http://127.0.0.1:{other}/"))
        settings = CheckSettings(targets=targets, interval_seconds=0.01, fall=2)
        made = LocalChecks(settings, lambda _: changes.append(made.passes))
        assert made.passes is None
        running = asyncio.create_task(made.run())
        await eventually(lambda: made.passes is True)
    # Both servers are gone.
    await eventually(lambda: made.passes is False)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert changes[:2] == [None, True]
    assert changes[-1] is False


def test_without_targets_everything_passes() -> None:
    assert LocalChecks(CheckSettings(), lambda _: None).passes is True


@pytest.mark.parametrize(
    ("rise", "fall", "results", "expected"),
    [
        (1, 3, "+", "+"),
        (1, 3, "---", "??-"),
        (1, 3, "--+", "??+"),
        (1, 3, "+--+---+", "++++++-+"),
        (2, 1, "+-+-++-", "?------"[:2] + "---+-"),
        (2, 2, "+-+-", "????"),
    ],
)
def test_so_many_results_in_a_row_count(rise: int, fall: int, results: str, expected: str) -> None:
    """+ is a pass, - a failure, ? not known yet."""
    verdict = Verdict(rise, fall)
    seen = ""
    for each in results:
        verdict.observe("" if each == "+" else "broken")
        seen += {None: "?", True: "+", False: "-"}[verdict.passes]
    assert seen == expected

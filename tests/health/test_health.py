"""What the kubelet and Prometheus are told, and that strangers cannot wear the server out."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Iterable
from ipaddress import IPv4Address
from typing import Any

import pytest

from speaker.health import MAX_CONNECTIONS, Check, HealthServer, peer_checks, report
from speaker.model.peer import Peer, SessionState, SessionStatus
from speaker.model.prefix import Family


class SteppedClock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now


class Speaker:
    """What the server reports about: settable checks, and a count of renderings."""

    def __init__(self) -> None:
        self.ready: tuple[Check, ...] = (Check("in sync"),)
        self.rendered = 0
        self.broken = False

    def readiness(self) -> Iterable[Check]:
        if self.broken:
            raise ZeroDivisionError
        return self.ready

    def render(self) -> bytes:
        self.rendered += 1
        return b"metric 1\n"


class Served:
    def __init__(self, address: str, port: int, clock: SteppedClock) -> None:
        self.speaker = Speaker()
        self.clock = clock
        self.address = address
        self.server = HealthServer(
            address, port, readiness=self.speaker.readiness, render_metrics=self.speaker.render, clock=clock
        )

    async def started(self) -> None:
        async with asyncio.timeout(10):
            await self.server.started.wait()

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(self.address, self.server.port)

    async def ask(self, path: str, method: str = "GET", headers: str = "") -> tuple[int, str]:
        """(status, body) of one request; the server ends the connection."""
        reader, writer = await self.connect()
        writer.write(f"{method} {path} HTTP/1.1\r\nHost: speaker\r\n{headers}\r\n".encode())
        async with asyncio.timeout(10):
            answer = (await reader.read()).decode()
        writer.close()
        await writer.wait_closed()
        head, _, body = answer.partition("\r\n\r\n")
        return int(head.split()[1]), body


@contextlib.asynccontextmanager
async def serving(address: str = "127.0.0.1", port: int = 0, *, wait: bool = True) -> AsyncIterator[Served]:
    served = Served(address, port, SteppedClock())
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(served.server.run())
        if wait:
            await served.started()
        yield served
        running.cancel()


async def test_a_turning_event_loop_is_alive() -> None:
    async with serving() as served:
        assert await served.ask("/livez") == (200, "ok\n")
        assert await served.ask("/livez?verbose") == (200, "event loop: ok\n")


async def test_a_loop_that_stood_still_is_not_alive() -> None:
    async with serving() as served:
        served.clock.now += 16
        assert report(served.server._alive(), verbose=False) == (503, "event loop: has not turned for 16 s\n")


@pytest.mark.parametrize("path", ["/readyz", "/healthz"])
async def test_ready_when_every_check_is_well(path: str) -> None:
    async with serving() as served:
        assert await served.ask(path) == (200, "ok\n")
        assert await served.ask(f"{path}?verbose") == (200, "in sync: ok\n")


async def test_a_failed_check_says_what_is_wrong_beside_what_is_well() -> None:
    async with serving() as served:
        served.speaker.ready = (Check("in sync"), Check("peer 10.0.0.1", "Active: connection refused"))
        assert await served.ask("/readyz") == (
            503,
            "in sync: ok\npeer 10.0.0.1: Active: connection refused\n",
        )


async def test_a_problem_that_is_not_fatal_is_told_and_ready() -> None:
    async with serving() as served:
        served.speaker.ready = (Check("peer b", "Idle: refused", fatal=False),)
        assert await served.ask("/readyz") == (200, "peer b: Idle: refused\n")


async def test_metrics_are_rendered_once_a_second_however_often_asked() -> None:
    async with serving() as served:
        answers = [await served.ask("/metrics") for _ in range(3)]
        assert answers == [(200, "metric 1\n")] * 3
        assert served.speaker.rendered == 1
        served.clock.now += 1
        await served.ask("/metrics")
        assert served.speaker.rendered == 2


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics"])
async def test_a_head_request_gets_no_body(path: str) -> None:
    async with serving() as served:
        assert await served.ask(path, "HEAD") == (200, "")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
async def test_nothing_can_be_changed(method: str) -> None:
    async with serving() as served:
        status, _ = await served.ask("/readyz", method, "Content-Length: 0\r\n")
    assert status == 405


async def test_an_unknown_path_is_not_found() -> None:
    async with serving() as served:
        status, _ = await served.ask("/debug/pprof")
    assert status == 404


async def test_a_long_header_is_refused() -> None:
    async with serving() as served:
        status, _ = await served.ask("/livez", headers=f"X: {'y' * 10_000}\r\n")
    assert status == 400


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", id="TLS"),
        pytest.param(b"GET /livez HTTP/9.9\r\n\r\n", id="version"),
        pytest.param(b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", id="length"),
    ],
)
async def test_what_is_no_http_is_refused_without_a_word_in_the_log(
    octets: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving() as served:
        reader, writer = await served.connect()
        writer.write(octets)
        async with asyncio.timeout(5):
            assert (await reader.read()).startswith(b"HTTP/1.0 400 ")
        writer.close()
    assert not caplog.records


async def test_a_failure_of_our_own_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async with serving() as served:
        served.speaker.broken = True
        status, _ = await served.ask("/readyz")
    assert status == 500
    assert caplog.records[0].exc_info


async def test_a_silent_connection_is_ended_in_time() -> None:
    async with serving() as served:
        reader, writer = await served.connect()
        assert await served.ask("/livez") == (200, "ok\n")
        served.clock.now += 11
        async with asyncio.timeout(5):
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""
        writer.close()


async def test_the_oldest_connection_gives_way_to_the_kubelet() -> None:
    """A stranger who holds every connection must not have the speaker killed by its liveness probe."""
    async with serving() as served:
        held = [await served.connect() for _ in range(MAX_CONNECTIONS)]
        assert await served.ask("/livez") == (200, "ok\n")
        async with asyncio.timeout(5):
            with contextlib.suppress(ConnectionResetError):
                assert await held[0][0].read() == b""
        for _, writer in held:
            writer.close()


async def test_a_held_connection_does_not_delay_the_end() -> None:
    async with serving() as served:
        _, writer = await served.connect()
        async with asyncio.timeout(5):
            await served.ask("/livez")
    writer.close()


async def test_it_serves_ipv6() -> None:
    async with serving("::1") as served:
        assert await served.ask("/livez") == (200, "ok\n")


async def test_a_taken_port_is_logged_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    refused = asyncio.Event()

    def seen(_: logging.LogRecord) -> bool:
        refused.set()
        return True

    caplog.handler.addFilter(seen)
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        async with serving(port=port, wait=False) as served:
            async with asyncio.timeout(5):
                await refused.wait()
            holder.close()
            await served.started()
            assert await served.ask("/livez") == (200, "ok\n")
    record: Any = caplog.records[0]
    assert record.message == "health and metrics are not served"
    assert record.error == (
        f"cannot listen on 127.0.0.1 port {port} (--metrics-address, --metrics-port): Address already in use"
    )


def session(state: SessionState, last_error: str = "") -> SessionStatus:
    peer = Peer(
        name="10.0.0.1",
        address=IPv4Address("10.0.0.1"),
        asn=65030,
        local_asn=65000,
        router_id=IPv4Address("192.0.2.1"),
        families=frozenset({Family.IPV4}),
    )
    return SessionStatus(peer=peer, state=state, last_error=last_error)


UP = session(SessionState.ESTABLISHED)
DOWN = session(SessionState.ACTIVE)


@pytest.mark.parametrize(
    ("sessions", "running_seconds", "ready"),
    [
        pytest.param({"a": UP, "b": UP}, 1, True, id="all up at the start"),
        pytest.param({"a": UP, "b": DOWN}, 1, False, id="one down at the start"),
        pytest.param({"a": UP, "b": DOWN}, 60, True, id="one down after a minute"),
        pytest.param({"a": DOWN, "b": DOWN}, 60, False, id="none up after a minute"),
        pytest.param({}, 1, True, id="no peers"),
    ],
)
def test_which_peers_must_be_up(
    sessions: dict[str, SessionStatus], running_seconds: float, ready: bool
) -> None:
    status, _ = report(peer_checks(sessions, running_seconds), verbose=False)
    assert (status == 200) is ready


def test_a_peer_that_never_answered_is_told_what_it_may_be() -> None:
    (check,) = peer_checks({"10.0.0.1": DOWN}, 0)
    assert check.name == "peer 10.0.0.1"
    assert check.problem == "Active: no answer (unreachable, or the password differs)"


def test_a_peers_own_words_are_passed_on() -> None:
    (check,) = peer_checks({"tor": session(SessionState.IDLE, "the peer has AS 65099, not 65030")}, 0)
    assert check.problem == "Idle: the peer has AS 65099, not 65030"


def test_a_session_that_waits_for_the_cluster_is_not_blamed_on_the_peer() -> None:
    (check,) = peer_checks({"tor": session(SessionState.IDLE)}, 0)
    assert check.problem == "Idle: not tried yet"

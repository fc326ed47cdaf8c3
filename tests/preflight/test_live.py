"""Established sessions: reported by the running speaker, and not touched."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from speaker.control import ControlServer
from speaker.model.peer import SessionState
from speaker.preflight import Check, PeerReport, Result
from speaker.preflight.connections import established
from speaker.preflight.live import Running, ask_running, live_report
from tests.bgp.builders import Speaker, peer
from tests.interop.rack import Rack, against
from tests.lab.routers.router import Router
from tests.preflight.looking import failures, look_at, results, said

FACTS: dict[str, Any] = {
    "local_address": "172.30.1.2",
    "families": ["ipv4", "ipv6"],
    "hold_time_seconds": 9,
    "peer_router_id": "192.168.50.1",
    "peer_graceful_restart": True,
    "extended_next_hop": False,
    "peer_capabilities": ["route refresh", "4-octet AS 65030"],
}
SESSION: dict[str, Any] = {
    "peer": "tor",
    "asn": 65030,
    "state": "Established",
    "established_at": 1000.0,
    "facts": FACTS,
}


def report(**overrides: object) -> PeerReport:
    return live_report(peer(), {**SESSION, **overrides}, now=1000.0 + 3725)


def test_a_live_session_is_told_with_its_values() -> None:
    told = report()

    assert (told.live, told.result) == (True, Result.PASS)
    assert "Established for 1 h 2 min" in said(told, Check.SESSION)
    assert "9 s negotiated" in said(told, Check.HOLD_TIME)
    assert "192.168.50.1" in said(told, Check.ROUTER_ID)
    assert told.capabilities == ("route refresh", "4-octet AS 65030")


@pytest.mark.parametrize("facts", [None, {}, "x", {"families": None, "peer_capabilities": 5}])
def test_facts_may_be_absent(facts: object) -> None:
    assert report(facts=facts).result is Result.PASS


@pytest.mark.parametrize(
    ("overrides", "check", "result"),
    [
        ({"asn": 65031}, Check.AS, Result.FAIL),
        ({"facts": {**FACTS, "families": ["ipv4"]}}, Check.FAMILIES, Result.WARN),
        ({"facts": {**FACTS, "peer_graceful_restart": False}}, Check.GRACEFUL_RESTART, Result.WARN),
    ],
)
def test_a_live_session_that_is_otherwise(overrides: dict[str, object], check: Check, result: Result) -> None:
    assert results(report(**overrides))[check] is result


def test_a_session_is_found_by_address_or_name() -> None:
    by_name = {"peer": "tor"}
    by_address = {"peer": "x", "address": "192.0.2.1"}
    another = {"peer": "tor", "address": "192.0.2.2"}
    assert Running((another, by_address)).session(peer()) is by_address
    assert Running((by_name,)).session(peer()) is by_name
    assert Running(({"peer": "192.0.2.1"},)).session(peer()) == {"peer": "192.0.2.1"}
    assert Running((another,)).session(peer()) is None


async def test_no_running_speaker_is_no_trouble(tmp_path: Path) -> None:
    assert await ask_running(str(tmp_path / "none")) == Running()
    assert await ask_running(None) == Running()


def document(speaker: Speaker) -> dict[str, Any]:
    """What `status` answers about a speaker's sessions."""
    return {"node": "node1", "sessions": [_session(each) for each in speaker.peers.sessions().values()]}


def _session(status: Any) -> dict[str, Any]:
    facts = status.facts
    return {
        "peer": status.peer.name,
        "asn": status.peer.asn,
        "state": status.state.value,
        "established_at": status.established_at,
        "last_error": status.last_error,
        "facts": facts and {"hold_time_seconds": facts.hold_time_seconds, "families": sorted(facts.families)},
    }


@asynccontextmanager
async def answering(speaker: Speaker, folder: Path) -> AsyncIterator[str]:
    """A control socket that answers for a speaker."""

    def status(_request: Mapping[str, object]) -> object:
        return document(speaker)

    path = folder / "control.sock"
    server = ControlServer(path, {"status": status})
    running = asyncio.create_task(server.run())
    try:
        await server.started.wait()
        yield str(path)
    finally:
        running.cancel()
        await asyncio.wait((running,))


async def established_session(rack: Rack) -> tuple[Router, Speaker]:
    router, speaker = await rack.session()
    speaker.peers.update("tor1", rack.routes("10.96.0.10/32"))
    await router.wait_routes({"10.96.0.10/32": {"172.30.1.2"}})
    return router, speaker


@pytest.mark.netns
@against("frr", "bird")
async def test_the_session_of_the_running_speaker_is_left_alone(rack: Rack, tmp_path: Path) -> None:
    router, speaker = await established_session(rack)
    since = speaker.peers.sessions()["tor1"].established_at
    async with answering(speaker, tmp_path) as path:
        told = await look_at(rack, rack.peer(), control_socket=path, test_prefix=None)

    assert told.live
    assert "Established" in said(told, Check.SESSION)
    # The router answers after all that came before: it has closed nothing.
    await router.wait_established(str(rack.address()))
    assert speaker.state("tor1") is SessionState.ESTABLISHED
    assert speaker.peers.sessions()["tor1"].established_at == since
    assert speaker.peers.sessions()["tor1"].flaps == 0


@pytest.mark.netns
@against("frr", "bird")
async def test_a_session_of_a_speaker_that_does_not_answer_is_left_alone(rack: Rack) -> None:
    """The kernel knows of its connection, whoever it is: another speaker, in another Pod."""
    router, speaker = await established_session(rack)

    told = await look_at(rack, rack.peer())

    assert failures(told) == set()
    assert results(told) == {Check.SESSION: Result.WARN}
    assert "nothing was sent" in said(told, Check.SESSION)
    await router.wait_established(str(rack.address()))
    assert speaker.peers.sessions()["tor1"].flaps == 0


@pytest.mark.netns
@against("bird")
async def test_disruptive_connects_all_the_same(rack: Rack) -> None:
    await established_session(rack)

    told = await look_at(rack, rack.peer(), disruptive=True)

    assert results(told)[Check.SESSION] is Result.WARN
    assert Check.TCP in results(told)


@pytest.mark.netns
@against("bird")
async def test_a_session_that_is_not_established_is_looked_into(rack: Rack, tmp_path: Path) -> None:
    speaker = rack.speaker()
    await speaker.until_error("refused", "tor1")
    async with answering(speaker, tmp_path) as path:
        told = await look_at(rack, rack.peer(), control_socket=path)

    assert failures(told) == {Check.TCP}
    assert "connection refused" in said(told, Check.SESSION)


@pytest.mark.netns
@against("bird")
async def test_a_peer_that_the_running_speaker_waits_for(rack: Rack, tmp_path: Path) -> None:
    """It holds the port, so there is nothing to look at but what it says."""
    waiting = rack.peer(passive=True)
    speaker = rack.speaker(waiting, listen_port=179)
    async with answering(speaker, tmp_path) as path:
        told = await look_at(rack, waiting, control_socket=path, listen_port=179)

    assert results(told)[Check.TCP] is Result.WARN
    assert "the running speaker waits for it" in said(told, Check.TCP)


@pytest.mark.netns
@against("bird")
async def test_the_kernel_tells_the_connections_of_both_families(rack: Rack) -> None:
    await established_session(rack)

    found = established(rack.topology["node1"].namespace.socket)

    assert [(str(each.local), str(each.remote), each.remote_port) for each in found] == [
        ("172.30.1.2", "172.30.1.1", 179)
    ]
    assert established(rack.topology["node2"].namespace.socket) == ()

"""What one speaker writes for all: conditions, counts and Events, and each speaker's own report."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from speaker.clock import SystemClock
from speaker.daemon.fabric_report import FabricReport
from speaker.daemon.oversight import Oversight
from speaker.fabric.report import from_status
from speaker.model.objects import Kind
from speaker.model.peer import SessionState, SessionStatus
from tests.bgp.builders import until
from tests.daemon.fabric_parts import Api, Parts, learned, mesh, node, report, resource

PEERS = {"nodeSelector": "all()", "peerSelector": "all()"}


class Office:
    """An oversight at work."""

    def __init__(self) -> None:
        self.parts, self.api = Parts(), Api()
        self.oversight = Oversight(self.parts.fabric, self.api.watching, self.api, self.api, SystemClock())

    def apply(self, *changes: Any) -> None:
        self.parts.fabric.apply(changes)
        self.parts.fabric.decide()
        self.oversight.mark()

    def condition(self, kind: Kind, name: str, wanted: str) -> Any:
        status: Any = self.api.statuses.get((kind, name), {})
        return next((each for each in status.get("conditions", ()) if each["type"] == wanted), None)


@pytest.fixture
async def office() -> AsyncIterator[Office]:
    made = Office()
    running = asyncio.create_task(made.oversight.run())
    yield made
    running.cancel()
    await asyncio.wait((running,))


async def test_nothing_is_written_before_the_lease_is_ours(office: Office) -> None:
    office.apply(node(1), mesh())
    await asyncio.sleep(0)
    assert not office.api.statuses
    assert not office.api.watched

    office.oversight.leads(True)

    await until(lambda: bool(office.api.statuses), "a status")
    accepted = office.condition(Kind.BGP_CONFIGURATION, "default", "Accepted")
    assert (accepted["status"], accepted["reason"]) == ("True", "Valid")


async def test_what_is_wrong_with_a_resource_is_told_in_its_status_and_in_an_event(office: Office) -> None:
    office.apply(node(1), resource(Kind.BGP_PEER, "bad", {"peerIP": "router"}))
    office.oversight.leads(True)

    await until(lambda: bool(office.api.warnings), "an Event")

    accepted = office.condition(Kind.BGP_PEER, "bad", "Accepted")
    assert accepted["status"] == "False"
    assert "spec.peerIP" in accepted["message"]
    ref, reason, message = office.api.warnings[0]
    assert (ref.name, reason) == ("bad", "Invalid")
    assert message == accepted["message"]


async def test_the_younger_of_two_that_disagree_has_a_conflict(office: Office) -> None:
    router = {"peerIP": "192.0.2.1", "asNumber": 65030}
    office.apply(
        node(1),
        resource(Kind.BGP_PEER, "a", router),
        resource(Kind.BGP_PEER, "b", router | {"asNumber": 65031}),
    )
    office.oversight.leads(True)

    await until(lambda: (Kind.BGP_PEER, "b") in office.api.statuses, "a status")

    assert office.condition(Kind.BGP_PEER, "a", "Conflict")["status"] == "False"
    assert office.condition(Kind.BGP_PEER, "b", "Conflict")["status"] == "True"


async def test_the_sessions_of_a_peer_are_counted_over_all_reports(office: Office) -> None:
    office.apply(node(1), node(2), resource(Kind.BGP_PEER, "all", PEERS))
    for name, state in (("node1", "Established"), ("node2", "Active")):
        session = {"peer": "x", "origin": "BGPPeer all", "state": state}
        office.apply(report(name, {"sessions": [session]}))
    office.oversight.leads(True)

    await until(lambda: (Kind.BGP_PEER, "all") in office.api.statuses, "a status")

    assert office.api.statuses[Kind.BGP_PEER, "all"]["established"] == "1/2"


async def test_who_loses_the_lease_writes_no_more(office: Office) -> None:
    office.apply(node(1), mesh())
    office.oversight.leads(True)
    await until(lambda: bool(office.api.statuses), "a status")

    office.oversight.leads(False)

    await until(lambda: not office.api.watched, "the end of the watch")
    assert office.api.withdrawn == [(Kind.BGP_CONFIGURATION, "default")]


async def test_a_speaker_reports_its_sessions_and_whom_it_cannot_reach() -> None:
    parts, api = Parts(), Api()
    parts.fabric.apply([node(1), node(2), node(3), mesh()])
    peers = await parts.follow("node2")
    parts.teach("node2", learned("10.244.2.0/24", "10.0.0.2"))
    for _ in range(2):
        await parts.learning.settle()

    def statuses() -> dict[str, SessionStatus]:
        return {
            peer.name: SessionStatus(
                peer=peer,
                state=SessionState.ESTABLISHED if peer.name == "node2" else SessionState.ACTIVE,
                last_error="" if peer.name == "node2" else "connection refused",
            )
            for peer in peers
        }

    writing = FabricReport("node1", parts.fabric, parts.learning, statuses, api, SystemClock())
    running = asyncio.create_task(writing.run())
    try:
        writing.mark()
        await until(lambda: bool(api.statuses), "the report")
    finally:
        running.cancel()
        await asyncio.wait((running,))

    told = from_status("node1", api.statuses[Kind.BGP_NODE_STATUS, "node1"])
    two, three = told.session("node2"), told.session("node3")
    assert two is not None
    assert three is not None
    assert (two.state, two.end_of_rib, two.origin) == (SessionState.ESTABLISHED, True, "mesh")
    assert (three.state, three.last_error) == (SessionState.ACTIVE, "connection refused")
    assert [each.node for each in told.unreachable] == ["node3"]
    assert not told.settled
    assert told.fingerprint == parts.fabric.design.fingerprint
    assert (told.learned, told.installed) == (1, 1)

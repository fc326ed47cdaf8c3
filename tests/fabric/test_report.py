"""What speakers report, and what the resources' status makes of it."""

import json
from dataclasses import replace
from ipaddress import IPv4Address, ip_address, ip_network
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from speaker.fabric.conditions import accepted, conflict, established, resource_status, session_counts
from speaker.fabric.report import (
    LONGEST_TEXT,
    MOST_SESSIONS,
    Demotion,
    Held,
    NodeReport,
    SessionReport,
    Unreachable,
    from_status,
    time_text,
    to_status,
)
from speaker.model.peer import SessionState

NOON = 1_800_000_000.0
WAITING = Held(ready=True, reason="node2 is not ready", since=NOON)


def session(peer: str = "node2", **fields: Any) -> SessionReport:
    return SessionReport(
        **{"peer": peer, "node": peer, "state": SessionState.ESTABLISHED, "origin": "mesh"} | fields
    )


FULL = NodeReport(
    node="node1",
    fingerprint="0123456789abcdef",
    as_number=64512,
    router_id=IPv4Address("10.0.0.1"),
    cluster_id=IPv4Address("244.0.0.1"),
    settled=True,
    sessions=(
        session(
            address=ip_address("10.0.0.2"),
            as_number=64512,
            since=NOON,
            received=3,
            advertised=2,
            end_of_rib=True,
            last_error="hold timer expired",
            retiring=WAITING,
        ),
    ),
    session_count=1,
    unreachable=(Unreachable("node3", (ip_network("10.244.3.0/24"),)),),
    unreachable_count=1,
    learned=5,
    installed=4,
    conflicts=1,
    demotions=(Demotion("node4", WAITING),),
)


def again(report: NodeReport) -> NodeReport:
    """The report as another speaker reads it."""
    return from_status(report.node, json.loads(json.dumps(to_status(report))))


def test_a_report_is_read_as_it_was_written() -> None:
    assert again(FULL) == FULL


def test_an_empty_report_is_read_as_it_was_written() -> None:
    assert again(NodeReport(node="node1")) == NodeReport(node="node1")


def test_every_key_is_written_always() -> None:
    """A merge patch leaves alone what is not there."""
    assert to_status(NodeReport(node="n")).keys() == to_status(FULL).keys()
    assert to_status(NodeReport(node="n"))["clusterID"] is None


def test_texts_and_lists_are_bounded() -> None:
    """And retiring sessions are never those that are left out."""
    many = tuple(session(f"node{at:04}") for at in range(MOST_SESSIONS + 5))
    last = session("zzz", retiring=replace(WAITING, reason="x" * 9999))
    found = again(replace(FULL, sessions=(*many, last), session_count=len(many) + 1))
    assert len(found.sessions) == MOST_SESSIONS
    retiring = found.sessions[0].retiring
    assert retiring is not None
    assert len(retiring.reason) == LONGEST_TEXT
    assert not found.lists_all_sessions


def test_a_report_is_never_too_long_to_be_read() -> None:
    """Speakers read no status beyond 256 KiB; what is left out is counted."""
    held = Held(ready=False, reason="waits for " * 100, since=NOON)
    many = tuple(
        session(f"node{at:04}.example.org", retiring=held, since=NOON) for at in range(MOST_SESSIONS)
    )
    status = to_status(replace(FULL, sessions=many))
    assert len(json.dumps(status)) < 256 * 1024
    found = from_status("node1", status)
    assert (found.session_count, found.lists_all_sessions) == (MOST_SESSIONS, False)


def test_a_report_without_a_count_lists_nothing_for_sure() -> None:
    """A speaker that drops a session on the word of a report needs that word."""
    assert not from_status("node1", {"sessions": []}).lists_all_sessions


values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(
    status=st.fixed_dictionaries({}, optional=dict.fromkeys(to_status(FULL), values)),
    entry=st.fixed_dictionaries(
        {}, optional=dict.fromkeys(("peer", "state", "since", "retiring", "node", "prefixes"), values)
    ),
)
def test_whatever_stands_in_the_api_is_read(status: dict[str, Any], entry: dict[str, Any]) -> None:
    """Another version wrote it, or nobody of ours."""
    for key in ("sessions", "unreachable", "demotions"):
        report = from_status("node1", {**status, key: [entry]})
        assert again(report) == again(again(report))


def test_the_times_are_those_of_kubernetes() -> None:
    assert time_text(0) == "1970-01-01T00:00:00Z"


def test_a_resource_that_is_right() -> None:
    found = resource_status([accepted([]), conflict("")], generation=2, before={}, now=0)
    assert found == {
        "observedGeneration": 2,
        "conditions": [
            {
                "type": "Accepted",
                "status": "True",
                "reason": "Valid",
                "message": "",
                "observedGeneration": 2,
                "lastTransitionTime": "1970-01-01T00:00:00Z",
            },
            {
                "type": "Conflict",
                "status": "False",
                "reason": "None",
                "message": "",
                "observedGeneration": 2,
                "lastTransitionTime": "1970-01-01T00:00:00Z",
            },
        ],
    }


def test_a_resource_that_is_wrong_says_why() -> None:
    found = accepted(["spec.peerIP: is missing", "spec.asNumber: is missing"])
    assert (found.holds, found.reason) == (False, "Invalid")
    assert found.message == "spec.peerIP: is missing; spec.asNumber: is missing"


def test_what_to_know_of_one_that_was_accepted() -> None:
    found = accepted([], ["BGPFilter away is not there"])
    assert (found.holds, found.reason) == (True, "Incomplete")


def test_a_conflict_says_with_whom() -> None:
    found = conflict("the older BGPPeer a binds some of the same Nodes")
    assert (found.holds, found.message) == (True, "the older BGPPeer a binds some of the same Nodes")


def test_the_time_of_the_last_transition_stays_while_the_status_does() -> None:
    before = resource_status([accepted([])], generation=1, before={}, now=0)
    same = resource_status([accepted([], ["a note"])], generation=2, before=before, now=60)
    other = resource_status([accepted(["wrong"])], generation=2, before=before, now=60)
    assert same["conditions"][0]["lastTransitionTime"] == time_text(0)  # type: ignore[index]
    assert other["conditions"][0]["lastTransitionTime"] == time_text(60)  # type: ignore[index]


def test_how_many_sessions_of_a_bgppeer_are_established() -> None:
    """Those that retire are no longer its."""
    origin = "BGPPeer tor"
    reports = [
        replace(
            FULL,
            sessions=(
                session("a", origin=origin),
                session("b", origin=origin, state=SessionState.ACTIVE),
                session("c", origin=origin, retiring=WAITING),
                session("d"),
            ),
        )
    ]
    assert established("tor", reports) == (1, 2)
    assert session_counts(1, 2) == {"established": "1/2", "sessions": 2}


def test_a_session_between_nodes_is_established_when_neither_end_denies_it() -> None:
    """node2 has died and says what was; node3 has said nothing yet."""
    origin = "BGPPeer all"
    reports = [
        replace(
            FULL,
            node="node1",
            sessions=(
                session("node2", node="node2", origin=origin, state=SessionState.ACTIVE),
                session("node3", node="node3", origin=origin),
            ),
        ),
        replace(FULL, node="node2", sessions=(session("node1", node="node1", origin=origin),)),
    ]
    assert established("all", reports) == (1, 3)

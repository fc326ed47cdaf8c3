"""Make before break: what runs while one design gives way to another."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speaker.fabric.design import Design
from speaker.fabric.report import Held, NodeReport, SessionReport
from speaker.fabric.transition import QUIET_SECONDS, Session, Step
from speaker.model.fabric import BgpConfiguration, BgpPeer, FabricNode
from speaker.model.peer import SessionState
from speaker.model.prefix import Family
from tests.fabric.clusters import (
    CLIENTS,
    MESH,
    REFLECTING,
    cluster,
    no_secret,
    part,
    peers_of,
    plan,
)
from tests.fabric.transitions import (
    DEADLINE,
    OFF,
    OTHER_TOR,
    ROUTE,
    TOR,
    Speaker,
    in_mesh,
    retiring,
    towards_reflectors,
)

# -- beginning ---------------------------------------------------------------------------------------------


def test_at_first_what_is_wanted_runs_at_once() -> None:
    speaker = Speaker(wanted=part("node3", cluster(4)), nodes=set(cluster(4)))
    step = speaker.step()
    assert step.peers == speaker.wanted.peers
    assert (step.retiring, step.settled, step.look_again_seconds) == ({}, False, None)
    speaker.establish()
    assert speaker.step().settled


def test_new_peers_are_there_at_once() -> None:
    speaker = in_mesh(3)
    speaker.wanted = part("node3", cluster(4))
    speaker.nodes = set(cluster(4))
    assert {peer.name for peer in speaker.step().peers} == {"node1", "node2", "node4"}


def test_changed_settings_are_there_at_once() -> None:
    speaker = in_mesh()
    speaker.wanted = part("node3", cluster(4), replace(MESH, hold_time_seconds=9))
    step = speaker.step()
    assert {peer.hold_time_seconds for peer in step.peers} == {9}
    assert not step.demotions


# -- retiring ----------------------------------------------------------------------------------------------


def test_a_session_that_is_no_longer_wanted_ends_when_both_ends_are_ready() -> None:
    """Of the mesh of four only the session with the other client goes."""
    speaker = towards_reflectors()
    step = speaker.step()
    assert step.retiring["node4"].ready
    assert step.retiring["node4"].reason == "node4 has not reported"
    assert (step.wants_reports, step.settled) == (True, True)
    speaker.all_others_agree()
    step = speaker.step()
    assert {peer.name for peer in step.peers} == {"node1", "node2"}
    assert step.dropped == {"node4": "the new design carries all, at both ends"}
    assert not step.wants_reports


def test_it_keeps_its_old_settings_meanwhile() -> None:
    speaker = towards_reflectors()
    before = speaker.running["node4"]
    speaker.wanted = part(
        "node3", cluster(4, reflectors=2), replace(REFLECTING, hold_time_seconds=9), CLIENTS
    )
    assert peers_of(Design(peers=speaker.step().peers))["node4"] == before


def test_it_waits_for_sessions_of_the_new_design() -> None:
    speaker = towards_reflectors()
    speaker.all_others_agree()
    del speaker.sessions["node2"]
    step = speaker.step()
    assert not step.retiring["node4"].ready
    assert step.retiring["node4"].reason == "waits for the session with node2"
    speaker.establish("node2", awaited=[Family.IPV6])
    assert "node4" in speaker.step().retiring
    speaker.establish("node2")
    assert "node4" in speaker.step().dropped


def test_a_peer_that_sends_no_end_of_rib_has_told_all_after_a_while() -> None:
    speaker = towards_reflectors()
    speaker.all_others_agree()
    speaker.sessions["node2"] = Session(
        established_at=speaker.now, awaited=frozenset(Family), sends_end_of_rib=False
    )
    step = speaker.step()
    assert step.look_again_seconds == QUIET_SECONDS
    assert "node4" in step.retiring
    assert "node4" in speaker.step(after=QUIET_SECONDS).dropped


def test_it_waits_for_another_path_to_each_prefix() -> None:
    speaker = towards_reflectors()
    speaker.all_others_agree()
    speaker.paths = {ROUTE: {"node4"}}
    step = speaker.step()
    assert not step.retiring["node4"].ready
    assert step.retiring["node4"].reason == "10.244.3.0/24 has no other path yet"
    speaker.paths[ROUTE].add("node1")
    assert "node4" in speaker.step().dropped


def test_sessions_that_retire_do_not_stand_in_for_each_other() -> None:
    speaker = towards_reflectors(5)
    speaker.all_others_agree()
    speaker.paths = {ROUTE: {"node4", "node5"}}
    assert speaker.step().retiring.keys() == {"node4", "node5"}


def test_it_waits_for_the_other_end() -> None:
    speaker = towards_reflectors()
    speaker.all_others_agree(ready=False)
    step = speaker.step()
    assert step.retiring["node4"].ready
    assert step.retiring["node4"].reason == "node4 is not ready"


def test_a_report_of_another_design_is_no_word() -> None:
    speaker = towards_reflectors()
    speaker.all_others_agree()
    speaker.reports["node4"] = replace(speaker.reports["node4"], fingerprint="another")
    assert speaker.step().retiring["node4"].reason == "node4 sees other resources or Nodes, so far"


def test_an_end_that_has_dropped_us_is_ready() -> None:
    speaker = towards_reflectors()
    speaker.report("node4")
    assert "node4" in speaker.step().dropped


def test_an_end_whose_list_is_cut_has_not_said_that() -> None:
    speaker = towards_reflectors()
    speaker.report("node4")
    speaker.reports["node4"] = replace(speaker.reports["node4"], session_count=2000)
    assert "node4" in speaker.step().retiring


def test_an_end_that_wants_the_session_is_not_ready() -> None:
    speaker = towards_reflectors()
    speaker.report("node4", SessionReport(peer="node3", state=SessionState.ESTABLISHED))
    assert speaker.step().retiring["node4"].reason == "node4 still wants the session"


def test_the_deadline_ends_it_with_the_reason() -> None:
    """Counted from when the peer began to retire."""
    speaker = towards_reflectors()
    speaker.step()
    step = speaker.step(after=DEADLINE - 1)
    assert (step.look_again_seconds, list(step.retiring)) == (1, ["node4"])
    step = speaker.step(after=1)
    assert step.dropped == {"node4": "the deadline passed: node4 has not reported"}
    assert (step.retiring, step.look_again_seconds) == ({}, None)


def test_a_node_that_is_deleted_is_dropped_at_once() -> None:
    speaker = in_mesh()
    speaker.wanted = part("node3", cluster(3))
    speaker.nodes = set(cluster(3))
    step = speaker.step()
    assert step.dropped == {"node4": "its Node is gone"}
    assert {peer.name for peer in step.peers} == {"node1", "node2"}


def test_a_router_needs_no_report() -> None:
    nodes = cluster(1)
    speaker = Speaker(own="node1", wanted=part("node1", nodes, OFF, TOR, OTHER_TOR), nodes=set(nodes))
    speaker.step()
    speaker.establish()
    speaker.wanted = part("node1", nodes, OFF, OTHER_TOR)
    speaker.paths = {ROUTE: {"192.0.2.1"}}
    step = speaker.step()
    assert (list(step.retiring), step.wants_reports) == (["192.0.2.1"], False)
    speaker.paths = {}
    assert "192.0.2.1" in speaker.step().dropped


def test_an_address_that_another_peer_needs_is_free_at_once() -> None:
    """Two sessions with one address cannot be."""
    speaker = in_mesh(2, "node1")
    moved = replace(peers_of(speaker.wanted)["node2"], name="renamed", node="renamed")
    speaker.wanted = Design(peers=(moved,))
    step = speaker.step()
    assert [peer.name for peer in step.peers] == ["renamed"]
    assert step.dropped == {"node2": "its address is that of another peer now"}


def test_what_is_wanted_again_stays_as_if_nothing_had_been() -> None:
    speaker = towards_reflectors()
    speaker.step()
    speaker.wanted = part("node3", cluster(4, reflectors=2))
    step = speaker.step(after=DEADLINE - 1)
    assert (step.retiring, step.dropped) == ({}, {})
    speaker.wanted = part("node3", cluster(4, reflectors=2), REFLECTING, CLIENTS)
    # The deadline begins anew.
    assert speaker.step(after=2).look_again_seconds == DEADLINE


def test_a_withheld_peer_stays_as_it_was() -> None:
    speaker = in_mesh(2, "node1")
    before = speaker.running["node2"]
    speaker.wanted = Design(withheld={"node2": "its Secret is not there"})
    step = speaker.step(after=DEADLINE * 2)
    assert (step.peers, step.retiring) == ((before,), {})


def test_a_withheld_peer_that_is_new_holds_the_old_design() -> None:
    speaker = in_mesh(2, "node1")
    speaker.wanted = Design(withheld={"192.0.2.1": "Secret s is not there"})
    reason = speaker.step().retiring["node2"].reason
    assert reason == "waits for the session with 192.0.2.1: Secret s is not there"


# -- whatever happens --------------------------------------------------------------------------------------

DESIGNS: list[tuple[BgpConfiguration, *tuple[BgpPeer, ...]]] = [
    (MESH,),
    (REFLECTING, CLIENTS),
    (OFF,),
    (OFF, TOR),
    (replace(MESH, as_number=65000), TOR),
]
moments = st.tuples(
    st.sampled_from(["design", "establish", "lose", "report", "paths", "node", "time"]),
    st.integers(0, 4),
    st.booleans(),
)


def happen(speaker: Speaker, what: str, which: int, yes: bool, nodes: dict[str, FabricNode]) -> None:
    """One thing that can change between two steps."""
    names = sorted(speaker.running) or ["node1"]
    name = names[which % len(names)]
    match what:
        case "design":
            speaker.wanted = part(speaker.own, nodes, *DESIGNS[which])
        case "establish":
            speaker.establish(*([name] if yes else []), awaited=[Family.IPV4] if which == 4 else [])
        case "lose":
            speaker.sessions.pop(name, None)
        case "report" if name in nodes:
            speaker.report(name, retiring(speaker.own, ready=yes), settled=yes)
        case "paths":
            speaker.paths = {ROUTE: {name, *(names[:2] if yes else ())}}
        case "node" if name != speaker.own and yes:
            nodes.pop(name, None)
            speaker.nodes.discard(name)
            speaker.wanted = Design(
                peers=tuple(each for each in speaker.wanted.peers if each.name != name),
                fingerprint=speaker.wanted.fingerprint,
            )
        case _:
            speaker.now += which * 10


@settings(deadline=None)
@given(own=st.sampled_from(["node1", "node3"]), happened=st.lists(moments, max_size=25))
def test_nothing_is_dropped_early_and_everything_ends(
    own: str, happened: list[tuple[str, int, bool]]
) -> None:
    nodes = cluster(4, reflectors=2)
    speaker = Speaker(own=own, wanted=part(own, nodes), nodes=set(nodes))
    began: dict[str, float] = {}
    for what, which, yes in happened:
        happen(speaker, what, which, yes, nodes)
        before = dict(speaker.running)
        sessions = dict(speaker.sessions)
        step = speaker.step()
        wanted = peers_of(speaker.wanted)
        running = peers_of(Design(peers=step.peers))
        assert wanted.keys() <= running.keys(), "what is wanted is there at once"
        assert running.keys() - wanted.keys() == step.retiring.keys() <= before.keys()
        for name in step.retiring:
            assert running[name] == before[name], "with its old settings"
        began = {name: began.get(name, speaker.now) for name in step.retiring.keys() | step.dropped.keys()}
        for name, reason in step.dropped.items():
            overdue = speaker.now - began.pop(name) >= DEADLINE
            if before[name].node in {"", *speaker.nodes} and not overdue:
                assert "both ends" in reason
                assert all(each in sessions and not sessions[each].awaited for each in wanted)
                assert not speaker.lost_without(frozenset({name}))
                if before[name].node:
                    assert speaker.reports[name].fingerprint == speaker.wanted.fingerprint
    speaker.step()
    final = speaker.step(after=DEADLINE)
    # A session to a router that was held for its AS number may have been held for another one before.
    final = speaker.step(after=DEADLINE)
    assert final.peers == speaker.wanted.peers
    assert (final.retiring, final.demotions) == ({}, {})


@pytest.mark.parametrize("order", [("node3", "node4", "node5"), ("node5", "node4", "node3")])
def test_all_speakers_together_arrive_without_waiting_for_a_deadline(order: tuple[str, ...]) -> None:
    """From the mesh to reflectors, each with the reports that the others have written so far."""
    nodes = cluster(5, reflectors=2)
    speakers = {name: in_mesh(5, name, reflectors=2) for name in nodes}
    target = plan(nodes, REFLECTING, CLIENTS)
    reports: dict[str, NodeReport] = {}
    for _ in range(4):
        for name in ("node1", "node2", *order):
            speaker = speakers[name]
            speaker.wanted = target.of(name, no_secret)
            speaker.reports = reports
            step = speaker.step()
            reports[name] = reported(speaker, step)
    assert {name: tuple(speaker.running) for name, speaker in speakers.items()} == {
        name: tuple(peer.name for peer in target.of(name, no_secret).peers) for name in nodes
    }


def reported(speaker: Speaker, step: Step) -> NodeReport:
    """What the speaker reports after a step."""
    sessions = tuple(
        SessionReport(
            peer=peer.name,
            state=SessionState.ESTABLISHED,
            retiring=Held(ready=held.ready, reason=held.reason)
            if (held := step.retiring.get(peer.name))
            else None,
        )
        for peer in step.peers
    )
    return NodeReport(
        node=speaker.own,
        fingerprint=speaker.wanted.fingerprint,
        settled=step.settled,
        sessions=sessions,
        session_count=len(sessions),
    )

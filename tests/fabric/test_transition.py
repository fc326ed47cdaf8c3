"""Make before break: what runs while one design gives way to another."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speaker.fabric.design import Design
from speaker.fabric.report import Held, NodeReport, SessionReport
from speaker.fabric.transition import QUIET_SECONDS, Scene, Session, Step, Transition
from speaker.model.fabric import BgpConfiguration, BgpPeer, FabricNode
from speaker.model.peer import Peer, SessionState
from speaker.model.prefix import Family, Prefix
from tests.fabric.clusters import (
    CLIENTS,
    MESH,
    REFLECTING,
    bgp_peer,
    cluster,
    no_secret,
    part,
    peers_of,
    plan,
)

DEADLINE = 120.0
OFF = BgpConfiguration()
TOR = bgp_peer("tor", peer_ip="192.0.2.1", as_number=64999)
OTHER_TOR = bgp_peer("other", peer_ip="192.0.2.2", as_number=64999)
ROUTE = ip_network("10.244.3.0/24")


@dataclass
class Speaker:
    """One speaker, with everything about it that a test can set; it applies each step at once."""

    own: str = "node3"
    wanted: Design = field(default_factory=Design)
    nodes: set[str] = field(default_factory=set)
    now: float = 1000.0
    running: dict[str, Peer] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    reports: dict[str, NodeReport] = field(default_factory=dict)
    # The prefixes by the peers that have a path to each.
    paths: dict[Prefix, set[str]] = field(default_factory=dict)
    # The prefixes that have come by reflectors alone, with the CLUSTER_IDs of these.
    reflected: dict[Prefix, set[IPv4Address]] = field(default_factory=dict)
    transition: Transition = field(default_factory=Transition)

    def lost_without(self, peers: frozenset[str]) -> tuple[Prefix, ...]:
        return tuple(prefix for prefix, have in self.paths.items() if have and not have - peers)

    def lost_under(self, cluster_id: IPv4Address) -> tuple[Prefix, ...]:
        return tuple(prefix for prefix, clusters in self.reflected.items() if cluster_id in clusters)

    def step(self, after: float = 0.0) -> Step:
        self.now += after
        found = self.transition.step(
            Scene(
                own=self.own,
                wanted=self.wanted,
                running=dict(self.running),
                sessions=dict(self.sessions),
                lost_without=self.lost_without,
                lost_under=self.lost_under,
                reports=dict(self.reports),
                nodes=self.nodes,
                now=self.now,
                deadline_seconds=DEADLINE,
            )
        )
        assert found.retiring.keys() | found.demotions.keys() <= {peer.name for peer in found.peers}
        self.running = {peer.name: peer for peer in found.peers}
        self.sessions = {name: each for name, each in self.sessions.items() if name in self.running}
        return found

    def establish(self, *names: str, awaited: Iterable[Family] = ()) -> None:
        """The sessions are up; all of them unless named."""
        for name in names or self.running:
            self.sessions[name] = Session(established_at=self.now, awaited=frozenset(awaited))

    def all_others_agree(self, *, ready: bool = True) -> None:
        """Every other Node reports the same design, and of us that it can do without, or cannot."""
        held = SessionReport(
            peer=self.own, state=SessionState.ESTABLISHED, retiring=Held(ready=ready, reason="")
        )
        for name in self.nodes - {self.own}:
            self.report(name, held)

    def report(self, name: str, *sessions: SessionReport, settled: bool = True) -> None:
        self.reports[name] = NodeReport(
            node=name,
            fingerprint=self.wanted.fingerprint,
            settled=settled,
            sessions=sessions,
            session_count=len(sessions),
        )


def in_mesh(count: int = 4, own: str = "node3", *, reflectors: int = 0) -> Speaker:
    """A speaker of a mesh with all sessions up."""
    nodes = cluster(count, reflectors=reflectors)
    speaker = Speaker(own=own, wanted=part(own, nodes), nodes=set(nodes))
    speaker.step()
    speaker.establish()
    return speaker


def towards_reflectors(count: int = 4, own: str = "node3") -> Speaker:
    """A client that has just been told to use the reflectors node1 and node2 in place of the mesh."""
    speaker = in_mesh(count, own, reflectors=2)
    speaker.wanted = part(own, cluster(count, reflectors=2), REFLECTING, CLIENTS)
    return speaker


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


# -- reflectors --------------------------------------------------------------------------------------------


def reflector(own: str = "node1") -> Speaker:
    """The reflector node1 with the reflector node2 and the clients node3 and node4."""
    nodes = cluster(4, reflectors=2)
    speaker = Speaker(own=own, wanted=part(own, nodes, REFLECTING, CLIENTS), nodes=set(nodes))
    speaker.step()
    speaker.establish()
    return speaker


def test_a_reflector_goes_on_until_every_client_has_settled() -> None:
    """The mesh is back; the sessions stay, the reflection with them for a while."""
    speaker = reflector()
    speaker.wanted = part("node1", cluster(4, reflectors=2))
    step = speaker.step()
    assert [peer.client for peer in step.peers] == [False, True, True]
    assert all(peer.cluster_id for peer in step.peers)
    assert step.demotions.keys() == {"node2", "node3", "node4"}
    assert step.demotions["node2"].reason == "node3, a client, has not settled in the new design"
    assert step.wants_reports
    speaker.report("node3")
    speaker.report("node4", settled=False)
    assert speaker.step().demotions
    speaker.report("node4")
    step = speaker.step()
    assert (step.peers, step.demotions) == (speaker.wanted.peers, {})


def test_a_reflector_that_becomes_none_waits_no_longer_than_the_deadline() -> None:
    speaker = reflector()
    speaker.wanted = part("node1", cluster(4, reflectors=2))
    speaker.step()
    assert speaker.step(after=DEADLINE).peers == speaker.wanted.peers


def test_other_settings_change_while_a_demotion_waits() -> None:
    speaker = reflector()
    speaker.wanted = part("node1", cluster(4, reflectors=2), replace(MESH, hold_time_seconds=9))
    assert {(peer.hold_time_seconds, bool(peer.cluster_id)) for peer in speaker.step().peers} == {(9, True)}


def test_becoming_a_reflector_happens_at_once() -> None:
    speaker = in_mesh(4, "node1", reflectors=2)
    speaker.wanted = part("node1", cluster(4, reflectors=2), REFLECTING, CLIENTS)
    step = speaker.step()
    assert (step.peers, step.demotions) == (speaker.wanted.peers, {})


def promoted(cluster_id: str) -> Speaker:
    """The client node4, which has just been told to reflect; ROUTE has come by reflectors alone."""
    nodes = cluster(4, reflectors=2)
    speaker = Speaker(own="node4", wanted=part("node4", nodes, REFLECTING, CLIENTS), nodes=set(nodes))
    speaker.step()
    speaker.establish()
    (theirs,) = {node.cluster_id for node in nodes.values() if node.cluster_id is not None}
    speaker.reflected = {ROUTE: {theirs}}
    own = IPv4Address(cluster_id) if cluster_id else theirs
    nodes["node4"] = replace(nodes["node4"], labels={"rr": ""}, cluster_id=own)
    speaker.wanted = part("node4", nodes, REFLECTING, CLIENTS)
    return speaker


def test_a_client_that_is_to_reflect_first_hears_itself_what_was_reflected_to_it() -> None:
    """Under the CLUSTER_ID of the other reflectors what they have told is a loop (RFC 4456 §8)."""
    speaker = promoted("")
    speaker.reflected[ip_network("10.244.9.0/24")] = {IPv4Address("192.0.2.99")}
    step = speaker.step()
    assert {peer.name: bool(peer.cluster_id) for peer in step.peers} == {
        "node1": False,
        "node2": False,
        "node3": True,
    }
    assert {held.reason for held in step.demotions.values()} == {f"{ROUTE} has no other path yet"}
    del speaker.reflected[ROUTE]
    step = speaker.step()
    assert (step.peers, step.demotions) == (speaker.wanted.peers, {})


def test_it_waits_no_longer_than_the_deadline_to_reflect() -> None:
    speaker = promoted("")
    speaker.step()
    assert speaker.step(after=DEADLINE).peers == speaker.wanted.peers


def test_under_a_cluster_id_of_its_own_it_reflects_at_once() -> None:
    speaker = promoted("192.0.2.99")
    step = speaker.step()
    assert (step.peers, step.demotions) == (speaker.wanted.peers, {})


def replaced() -> Speaker:
    """The reflector node1 has just lost its mark to node4; node2 goes on."""
    speaker = reflector()
    nodes = cluster(4, reflectors=2)
    nodes["node4"] = replace(nodes["node4"], labels={"rr": ""}, cluster_id=nodes["node1"].cluster_id)
    nodes["node1"] = replace(nodes["node1"], labels={}, cluster_id=None)
    speaker.wanted = part("node1", nodes, REFLECTING, CLIENTS)
    speaker.step()
    return speaker


def retiring(own: str, *, ready: bool) -> SessionReport:
    return SessionReport(peer=own, state=SessionState.ESTABLISHED, retiring=Held(ready=ready, reason="waits"))


def test_a_reflector_gives_up_no_client_before_all_are_ready() -> None:
    """What one client takes away is what the others were told: node3 lives on what node4 told."""
    speaker = replaced()
    speaker.report("node3", retiring("node1", ready=False))
    speaker.report("node4")
    step = speaker.step()
    assert step.retiring.keys() == {"node3"}
    assert not step.retiring["node3"].ready
    assert step.retiring["node3"].reason == "node3, a client, is not ready"
    speaker.report("node3", retiring("node1", ready=True))
    step = speaker.step()
    assert step.peers == speaker.wanted.peers
    assert step.dropped.keys() == {"node3"}


# -- AS numbers --------------------------------------------------------------------------------------------


def test_between_nodes_another_as_number_counts_at_once() -> None:
    """The sessions keep their routes over it; what is established is not yet the new session."""
    speaker = in_mesh()
    speaker.wanted = part("node3", cluster(4), replace(MESH, as_number=65000))
    step = speaker.step()
    assert (step.peers, step.demotions) == (speaker.wanted.peers, {})
    assert not speaker.step(after=1).settled
    speaker.now += 1
    speaker.establish()
    assert speaker.step().settled


def with_two_routers() -> Speaker:
    """node1 with two routers, that both have the route, and another AS number for both sessions."""
    nodes = cluster(1)
    speaker = Speaker(own="node1", wanted=part("node1", nodes, OFF, TOR, OTHER_TOR), nodes=set(nodes))
    speaker.step()
    speaker.establish()
    speaker.paths = {ROUTE: {"192.0.2.1", "192.0.2.2"}}
    speaker.wanted = part("node1", nodes, replace(OFF, as_number=65000), TOR, OTHER_TOR)
    return speaker


def local_asns(step: Step) -> list[int]:
    return [peer.local_asn for peer in step.peers]


def test_routers_get_another_as_number_one_after_the_other() -> None:
    speaker = with_two_routers()
    step = speaker.step()
    assert local_asns(step) == [65000, 64512]
    assert "turn" in step.demotions["192.0.2.2"].reason
    # The session of before does not count as the new one.
    assert local_asns(speaker.step(after=1)) == [65000, 64512]
    speaker.now += 1
    speaker.establish("192.0.2.1")
    assert local_asns(speaker.step()) == [65000, 65000]


def test_a_router_with_the_only_path_keeps_its_session_until_the_deadline() -> None:
    speaker = with_two_routers()
    speaker.paths = {ROUTE: {"192.0.2.1"}}
    step = speaker.step()
    assert local_asns(step) == [64512, 65000]
    assert step.demotions["192.0.2.1"].reason == "10.244.3.0/24 has no other path yet"
    assert local_asns(speaker.step(after=DEADLINE)) == [65000, 65000]


def test_a_router_without_a_session_has_nothing_to_keep() -> None:
    """Its AS number may be what was wrong."""
    nodes = cluster(1)
    speaker = Speaker(own="node1", wanted=part("node1", nodes, OFF, TOR), nodes=set(nodes))
    speaker.step()
    speaker.wanted = part("node1", nodes, OFF, replace(TOR, as_number=65001))
    assert [peer.asn for peer in speaker.step().peers] == [65001]


def test_what_a_peer_taught_is_kept_until_others_teach_it() -> None:
    speaker = in_mesh(2, "node1")
    speaker.paths = {ROUTE: {"node2"}}
    speaker.wanted = Design(peers=tuple(replace(peer, imports=False) for peer in speaker.wanted.peers))
    assert [peer.imports for peer in speaker.step().peers] == [True]
    speaker.paths = {}
    assert [peer.imports for peer in speaker.step().peers] == [False]


def test_what_was_held_back_before_has_its_whole_time_to_retire() -> None:
    nodes = cluster(3, reflectors=2)
    speaker = Speaker(own="node1", wanted=part("node1", nodes, REFLECTING, CLIENTS), nodes=set(nodes))
    speaker.step()
    speaker.establish()
    speaker.wanted = part("node1", nodes, MESH)
    assert "node3" in speaker.step().demotions
    speaker.wanted = part("node1", nodes, OFF)
    step = speaker.step(after=DEADLINE - 1)
    assert "node3" in step.retiring
    assert "node3" in speaker.step(after=2).retiring
    assert "node3" not in speaker.step(after=DEADLINE).retiring


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

"""Another AS number, toward nodes and toward routers."""

from dataclasses import replace

from speaker.fabric.design import Design
from speaker.fabric.transition import Step
from tests.fabric.clusters import (
    CLIENTS,
    MESH,
    REFLECTING,
    cluster,
    part,
)
from tests.fabric.transitions import DEADLINE, OFF, OTHER_TOR, ROUTE, TOR, Speaker, in_mesh


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

"""Nodes that become route reflectors, stay such for others, or are none any more."""

from dataclasses import replace
from ipaddress import IPv4Address, ip_network

from tests.fabric.clusters import (
    CLIENTS,
    MESH,
    REFLECTING,
    cluster,
    part,
)
from tests.fabric.transitions import DEADLINE, ROUTE, Speaker, in_mesh, retiring


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

"""Who learns whose Pod CIDRs, and what a failure would cut."""

from dataclasses import replace
from ipaddress import IPv4Address, ip_address
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speaker.fabric.check import Verdict, check
from speaker.fabric.report import Held, NodeReport, SessionReport, Unreachable
from speaker.fabric.warnings import warnings_of
from speaker.model.fabric import BgpConfiguration, FabricNode, ReversePeering
from speaker.model.peer import Peer, SessionState
from speaker.model.prefix import Family
from tests.fabric.clusters import (
    CLIENTS,
    CLUSTER_ID,
    MESH,
    REFLECTING,
    bgp_peer,
    by_name,
    cluster,
    fabric_node,
    no_secret,
    peers_of,
    plan,
)

OFF = BgpConfiguration()
V4 = {"addresses": ("10.0.0.{}",)}


def pairs(verdict: Verdict) -> set[tuple[str, str]]:
    return {(pair.source, pair.target) for pair in verdict.unreachable}


def cuts(verdict: Verdict) -> dict[str, int]:
    return {failure.name: failure.cut for failure in verdict.failures}


# -- the design alone --------------------------------------------------------------------------------------


def test_a_mesh_reaches_all_and_no_failure_cuts_more_than_itself() -> None:
    verdict = check(plan(cluster(4)))
    assert verdict.is_well
    assert (verdict.nodes, verdict.failures) == (4, ())


def test_nodes_without_sessions_do_not_reach_each_other() -> None:
    """Each pair counts in both directions and for both families."""
    verdict = check(plan(cluster(2), OFF))
    assert (pairs(verdict), verdict.unreachable_count) == ({("node1", "node2"), ("node2", "node1")}, 4)
    assert not verdict.is_well


def test_two_reflectors_stand_in_for_each_other() -> None:
    verdict = check(plan(cluster(6, reflectors=2), REFLECTING, CLIENTS))
    assert verdict.is_well
    assert cuts(verdict) == {}


def test_one_reflector_alone_cuts_its_clients_from_each_other() -> None:
    verdict = check(plan(cluster(4, reflectors=1), REFLECTING, CLIENTS))
    assert verdict.is_well
    assert cuts(verdict) == {"node1": 3 * 2 * 2}
    assert verdict.failures[0].kind == "reflector"


def halves(one: str, other: str) -> Verdict:
    """Two reflectors, each with one client of its own."""
    nodes = by_name(
        fabric_node(1, reflects=True, labels={"half": "a"}, cluster_id=IPv4Address(one)),
        fabric_node(2, reflects=True, labels={"half": "b"}, cluster_id=IPv4Address(other)),
        fabric_node(3, labels={"half": "a"}),
        fabric_node(4, labels={"half": "b"}),
    )
    bound = [
        bgp_peer(x, node_selector=f"!has(rr) && half == '{x}'", peer_selector=f"has(rr) && half == '{x}'")
        for x in "ab"
    ]
    return check(plan(nodes, REFLECTING, *bound))


def test_reflectors_pass_on_what_their_clients_told_to_each_other() -> None:
    assert halves("244.0.0.1", "244.0.0.2").is_well


def test_reflectors_with_one_cluster_id_refuse_each_others_routes() -> None:
    """RFC 4456 §8: the CLUSTER_LIST holds their own; so their clients need both of them."""
    assert pairs(halves("244.0.0.1", "244.0.0.1")) >= {("node3", "node4"), ("node4", "node3")}


def test_nodes_do_not_pass_on_what_they_learn() -> None:
    """A chain of three Nodes without a reflector is no path."""
    chain = bgp_peer("chain", node="node2", peer_selector="!has(middle)")
    nodes = by_name(fabric_node(1), fabric_node(2, labels={"middle": ""}), fabric_node(3))
    assert pairs(check(plan(nodes, OFF, chain))) == {("node1", "node3"), ("node3", "node1")}


def test_routers_pass_on_between_their_nodes() -> None:
    tor = bgp_peer("tor", peer_ip="192.0.2.1", as_number=64999)
    verdict = check(plan(cluster(3), OFF, tor))
    assert verdict.is_well
    assert cuts(verdict) == {"192.0.2.1": 3 * 2 * 2}
    assert verdict.failures[0].kind == "router"


def test_two_racks_meet_outside_and_each_depends_on_its_router() -> None:
    nodes = by_name(*(fabric_node(at, labels={"rack": "a" if at < 3 else "b"}) for at in range(1, 5)))
    tors = [
        bgp_peer("a", peer_ip="192.0.2.1", as_number=64512, node_selector="rack == 'a'"),
        bgp_peer("b", peer_ip="192.0.2.2", as_number=64512, node_selector="rack == 'b'"),
    ]
    verdict = check(plan(nodes, OFF, *tors))
    assert verdict.is_well
    # Inside the rack 2 pairs, to and from the other 2 * 2 * 2, in both families.
    assert cuts(verdict) == {"192.0.2.1": 20, "192.0.2.2": 20}


def test_a_session_that_only_one_end_has_is_none() -> None:
    manual = bgp_peer("m", node="node1", peer_selector="all()", reverse_peering=ReversePeering.MANUAL)
    assert check(plan(cluster(2), OFF, manual)).unreachable_count == 4


def test_families_are_looked_at_one_by_one() -> None:
    nodes = by_name(fabric_node(1), fabric_node(2, addresses=("10.0.0.2",)))
    verdict = check(plan(nodes))
    assert {pair.family for pair in verdict.unreachable} == {Family.IPV6}
    assert verdict.unreachable_count == 2


# -- as reported -------------------------------------------------------------------------------------------


def reports_of(nodes: dict[str, FabricNode], *args: object) -> dict[str, NodeReport]:
    """What all report when every session is established."""
    whole = plan(nodes, *args)  # type: ignore[arg-type]

    def session(peer: Peer) -> SessionReport:
        return SessionReport(
            peer=peer.name, node=peer.node, address=peer.address, state=SessionState.ESTABLISHED
        )

    return {
        name: NodeReport(
            node=name,
            fingerprint=whole.fingerprint,
            settled=True,
            sessions=(sessions := tuple(session(peer) for peer in whole.of(name, no_secret).peers)),
            session_count=len(sessions),
        )
        for name in nodes
    }


def without(report: NodeReport, peer: str) -> NodeReport:
    """The report when the session with one peer is down."""
    sessions = tuple(
        replace(each, state=SessionState.ACTIVE) if each.peer == peer else each for each in report.sessions
    )
    return replace(report, sessions=sessions, settled=False)


def test_sessions_that_are_down_carry_nothing() -> None:
    """It is enough that one end says so."""
    reports = reports_of(cluster(3))
    reports["node1"] = without(reports["node1"], "node2")
    verdict = check(plan(cluster(3)), reports)
    assert pairs(verdict) == {("node1", "node2"), ("node2", "node1")}
    assert verdict.unsettled == ("node1",)


def test_routers_that_are_down_carry_nothing() -> None:
    tor = bgp_peer("tor", peer_ip="192.0.2.1", as_number=64999)
    reports = reports_of(cluster(3), OFF, tor)
    reports["node1"] = without(reports["node1"], "192.0.2.1")
    verdict = check(plan(cluster(3), OFF, tor), reports)
    assert {name for pair in pairs(verdict) for name in pair if name != "node1"} == {"node2", "node3"}
    assert verdict.unreachable_count == 8


def test_a_session_that_is_being_retired_still_carries() -> None:
    held = Held(ready=False, reason="waits")
    retiring = SessionReport(peer="node2", node="node2", state=SessionState.ESTABLISHED, retiring=held)
    reports = {"node1": NodeReport(node="node1", sessions=(retiring,), session_count=1)}
    assert check(plan(cluster(2), OFF), reports).is_well


def test_a_cut_list_leaves_out_only_what_is_established() -> None:
    reports = reports_of(cluster(3))
    reports["node1"] = replace(reports["node1"], sessions=reports["node1"].sessions[:1])
    assert check(plan(cluster(3)), reports).is_well


def test_what_the_nodes_say_of_their_tables() -> None:
    reports = reports_of(cluster(3))
    del reports["node3"]
    reports["node2"] = replace(
        reports["node2"], fingerprint="other", unreachable=(Unreachable("node1"),), unreachable_count=1
    )
    verdict = check(plan(cluster(3)), reports)
    assert (verdict.silent, verdict.differing) == (("node3",), ("node2",))
    assert (verdict.told, verdict.told_count) == ({"node2": (Unreachable("node1"),)}, 1)
    assert not verdict.is_well


# -- against a plain simulation ----------------------------------------------------------------------------


def simulated(nodes: dict[str, FabricNode], *args: object) -> set[tuple[str, str]]:
    """The same by passing each route from speaker to speaker, in IPv4, by the rules of RFC 4456."""
    whole = plan(nodes, *args)  # type: ignore[arg-type]
    parts = {name: peers_of(whole.of(name, no_secret)) for name in nodes}
    learned: set[tuple[str, str]] = set()
    for owner in nodes:
        # (who tells, to whom, CLUSTER_LIST)
        told = [(owner, peer, frozenset[IPv4Address]()) for peer in parts[owner]]
        done = set(told)
        while told:
            teller, hearer, clusters = told.pop()
            if hearer == owner or hearer not in parts or owner not in nodes:
                continue
            session = parts[hearer].get(teller)
            if session is None or Family.IPV4 not in session.families:
                continue
            if session.cluster_id is not None and session.cluster_id in clusters:
                continue
            learned.add((hearer, owner))
            if session.cluster_id is None or not session.is_ibgp:
                continue
            for peer in parts[hearer].values():
                if peer.is_ibgp and peer.name != teller and (session.client or peer.client):
                    passed = (hearer, peer.name, clusters | {session.cluster_id})
                    if passed not in done:
                        done.add(passed)
                        told.append(passed)
    return learned


@st.composite
def clusters(draw: st.DrawFn) -> dict[str, FabricNode]:
    return by_name(
        *(
            fabric_node(
                at,
                reflects=(reflects := draw(st.booleans())),
                labels={"x": draw(st.sampled_from("ab"))},
                addresses=[
                    f"10.0.0.{at}" if draw(st.integers(0, 5)) else f"fd00::{at}",
                ],
                as_number=draw(st.sampled_from([None, None, None, 64513])),
                **({"cluster_id": draw(st.sampled_from([CLUSTER_ID, IPv4Address(9)]))} if reflects else {}),
            )
            for at in range(1, draw(st.integers(2, 5)) + 1)  # all pairs of five are named
        )
    )


selectors = st.sampled_from(["all()", "has(rr)", "!has(rr)", "x == 'a'", "x == 'b'"])
bindings = st.lists(st.tuples(selectors, selectors), max_size=3)


@settings(deadline=None, max_examples=80)
@given(nodes=clusters(), bound=bindings)
def test_as_passing_routes_one_by_one(nodes: dict[str, FabricNode], bound: list[tuple[str, str]]) -> None:
    peers = [
        bgp_peer(f"p{at}", node_selector=near, peer_selector=far) for at, (near, far) in enumerate(bound)
    ]
    expected = set(permutations(nodes, 2)) - simulated(nodes, REFLECTING, *peers)
    verdict = check(plan(nodes, REFLECTING, *peers))
    found = {(pair.source, pair.target) for pair in verdict.unreachable if pair.family is Family.IPV4}
    assert found == expected


@settings(deadline=None, max_examples=40)
@given(nodes=clusters(), bound=bindings)
def test_a_failure_cuts_what_is_missing_without_the_node(
    nodes: dict[str, FabricNode], bound: list[tuple[str, str]]
) -> None:
    peers = [
        bgp_peer(f"p{at}", node_selector=near, peer_selector=far) for at, (near, far) in enumerate(bound)
    ]
    found = cuts(check(plan(nodes, REFLECTING, *peers)))
    whole = plan(nodes, REFLECTING, *peers)
    reach = {family: _reached(whole.whole.speakers, check(whole), family) for family in Family}
    for name in nodes:
        rest = {other: node for other, node in nodes.items() if other != name}
        after = check(plan(rest, REFLECTING, *peers))
        lost = sum(len(_within(reach[family], rest) - _reached(rest, after, family)) for family in Family)
        assert found.get(name, 0) == lost


def _reached(nodes: object, verdict: Verdict, family: Family) -> set[tuple[str, str]]:
    missing = {(pair.source, pair.target) for pair in verdict.unreachable if pair.family is family}
    return set(permutations(nodes, 2)) - missing  # type: ignore[call-overload]


def _within(found: set[tuple[str, str]], nodes: dict[str, FabricNode]) -> set[tuple[str, str]]:
    return {(one, other) for one, other in found if one in nodes and other in nodes}


# -- warnings ----------------------------------------------------------------------------------------------


def told(nodes: dict[str, FabricNode], *args: object) -> str:
    return "\n".join(warnings_of(plan(nodes, *args).whole))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("nodes", "args"),
    [
        (cluster(3), (MESH,)),
        (cluster(3), (OFF,)),
        (cluster(6, reflectors=2), (REFLECTING, CLIENTS)),
        (cluster(3), (OFF, bgp_peer("tor", peer_ip="192.0.2.1", as_number=64512))),
        (
            cluster(3),
            (OFF, bgp_peer("tor", peer_ip="192.0.2.1", as_number=1, num_allowed_local_as_numbers=1)),
        ),
        (cluster(1), (OFF, bgp_peer("tor", peer_ip="192.0.2.1", as_number=1))),
        (cluster(100), (MESH,)),
    ],
)
def test_a_sound_fabric_is_no_cause_for_a_warning(
    nodes: dict[str, FabricNode], args: tuple[object, ...]
) -> None:
    assert told(nodes, *args) == ""


@pytest.mark.parametrize(
    ("nodes", "args", "expected"),
    [
        pytest.param(
            cluster(3), (REFLECTING, CLIENTS), "No reflector is left and the mesh is off", id="none left"
        ),
        pytest.param(
            cluster(3, reflectors=1),
            (REFLECTING, CLIENTS),
            "There is one reflector alone, node1",
            id="one alone",
        ),
        pytest.param(
            cluster(3, reflectors=2), (REFLECTING,), "node3: no session with any reflector", id="a client"
        ),
        pytest.param(
            cluster(3, reflectors=2),
            (REFLECTING, bgp_peer("one", node="node1", peer_selector="!has(rr)")),
            "node3: a session with one reflector only",
            id="a client of one",
        ),
        pytest.param(
            cluster(2, reflectors=1),
            (MESH,),
            "node1: marked with a cluster ID, but routeReflectorSelector of the BGPConfiguration is not set",
            id="no selector",
        ),
        pytest.param(
            by_name(fabric_node(1, cluster_id=CLUSTER_ID), fabric_node(2, labels={"rr": ""})),
            (REFLECTING,),
            "node1: marked with a cluster ID, but not chosen by routeReflectorSelector\n"
            "node2: chosen by routeReflectorSelector, but without a cluster ID",
            id="marks and labels drift apart",
        ),
        pytest.param(
            cluster(2),
            (MESH, bgp_peer("p", peer_selector="has(nothing)")),
            "BGPPeer p: peerSelector chooses no Node",
            id="an empty side",
        ),
        pytest.param(
            cluster(2),
            (MESH, bgp_peer("p", node="gone", peer_ip="192.0.2.1", as_number=1)),
            "BGPPeer p: node and nodeSelector choose no Node",
            id="a router of nobody",
        ),
        pytest.param(
            cluster(3),
            (OFF, bgp_peer("p", node="node1", peer_selector="all()"), bgp_peer("q", node="node9")),
            "",
            id="all connected",
        ),
        pytest.param(
            by_name(*(fabric_node(at, labels={"x": str(at // 2)}) for at in range(2, 7))),
            (OFF, *(bgp_peer(x, node_selector=f"x == '{x}'", peer_selector=f"x == '{x}'") for x in "123")),
            "node6: in no session at all\nThe fabric is in 2 parts that no session connects;"
            " one of them is node2, node3",
            id="parts",
        ),
        pytest.param(
            by_name(fabric_node(1), fabric_node(2, router_id=IPv4Address("10.0.0.1"))),
            (MESH,),
            "node1, node2: the same router ID, 10.0.0.1",
            id="router IDs",
        ),
        pytest.param(
            by_name(fabric_node(1), fabric_node(2), fabric_node(3, addresses=("10.0.0.1",))),
            (MESH,),
            "node1, node3: the same address, 10.0.0.1",
            id="addresses",
        ),
        pytest.param(
            by_name(fabric_node(1), fabric_node(2), fabric_node(3, addresses=())),
            (MESH,),
            "node3: no address that other Nodes reach",
            id="no address",
        ),
        pytest.param(
            cluster(101), (MESH,), "The mesh has 101 Nodes, and 5050 sessions", id="a mesh that is too large"
        ),
        pytest.param(
            cluster(3),
            (OFF, bgp_peer("tor", peer_ip="192.0.2.1", as_number=64999)),
            "node1, node2, node3: all of AS 64512 and with eBGP alone",
            id="one AS",
        ),
    ],
)
def test_what_threatens_the_fabric_is_told(
    nodes: dict[str, FabricNode], args: tuple[object, ...], expected: str
) -> None:
    assert expected in told(nodes, *args)


def test_sentences_name_a_few_and_count_the_rest() -> None:
    nodes = by_name(*(fabric_node(at, cluster_id=CLUSTER_ID) for at in range(1, 10)))
    assert "node1, node2, node3, node4, node5 and 4 more: marked" in told(nodes, MESH)


def test_an_address_is_no_family_of_another() -> None:
    """Nodes that share no family are in parts of their own, even in a mesh."""
    nodes = by_name(
        *(fabric_node(at, addresses=(f"10.0.0.{at}" if at < 3 else f"fd00::{at}",)) for at in range(1, 5))
    )
    assert "The fabric is in 2 parts" in told(nodes, MESH)
    assert ip_address("10.0.0.1") in nodes["node1"].addresses

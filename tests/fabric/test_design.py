"""Which sessions a Node has, and how they are."""

import os
import subprocess
import sys
from dataclasses import replace
from ipaddress import IPv4Address, ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speaker.fabric.selector import parse
from speaker.model.fabric import (
    AddPaths,
    BgpConfiguration,
    FabricNode,
    ReversePeering,
    SecretKeyRef,
    SourceAddress,
)
from speaker.model.peer import BfdTimers, GracefulRestart, Password
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
    part,
    peers_of,
    plan,
)

OFF = BgpConfiguration()
BOTH = frozenset(Family)
KEY = SecretKeyRef(name="bgp", key="password")


def names(own: str, *given_: object) -> set[str]:
    return set(peers_of(part(own, *given_)))  # type: ignore[arg-type]


# -- the mesh ----------------------------------------------------------------------------------------------


def test_in_a_mesh_every_speaker_peers_with_every_other() -> None:
    """Never with itself, and not with Nodes that run no speaker."""
    nodes = cluster(3) | by_name(fabric_node(4, is_speaker=False))
    assert names("node1", nodes) == {"node2", "node3"}
    assert names("node4", nodes) == set()


def test_without_any_resource_there_is_no_session() -> None:
    assert part("node1", cluster(3), OFF).peers == ()


def test_a_session_of_the_mesh() -> None:
    found = peers_of(part("node1", cluster(2)))["node2"]
    assert (found.name, found.node) == ("node2", "node2")
    assert (str(found.address), str(found.source)) == ("10.0.0.2", "10.0.0.1")
    assert found.families == BOTH
    assert (found.asn, found.local_asn, found.router_id) == (64512, 64512, IPv4Address("10.0.0.1"))
    assert (found.port, found.multihop_ttl, found.hold_time_seconds) == (179, 64, 90)
    assert (found.add_path_send, found.add_path_receive, found.imports) == (True, True, True)
    assert found.graceful_restart == GracefulRestart(restart_time_seconds=120)
    assert (found.client, found.cluster_id, found.bfd, found.password) == (False, None, None, None)


def test_the_lower_address_dials() -> None:
    """By its value, not by its text."""
    nodes = by_name(fabric_node(9), fabric_node(10))
    assert not peers_of(part("node9", nodes))["node10"].passive
    assert peers_of(part("node10", nodes))["node9"].passive


def test_settings_of_the_configuration() -> None:
    configuration = replace(
        MESH,
        as_number=64999,
        listen_port=1790,
        hold_time_seconds=9,
        node_mesh_max_restart_time_seconds=0,
        bfd=BfdTimers(multiplier=5),
    )
    found = peers_of(part("node1", cluster(2), configuration))["node2"]
    assert (found.port, found.asn, found.hold_time_seconds) == (1790, 64999, 9)
    assert (found.graceful_restart, found.bfd) == (None, BfdTimers(multiplier=5))


def test_nodes_of_another_as_are_external() -> None:
    nodes = by_name(fabric_node(1), fabric_node(2, as_number=64513))
    found = peers_of(part("node1", nodes))["node2"]
    assert (found.local_asn, found.asn, found.is_ibgp) == (64512, 64513, False)


@pytest.mark.parametrize(
    ("here", "there", "over", "families", "extended"),
    [
        (("10.0.0.1", "fd00::1"), ("10.0.0.2", "fd00::2"), "10.0.0.2", BOTH, False),
        (("10.0.0.1",), ("10.0.0.2", "fd00::2"), "10.0.0.2", frozenset({Family.IPV4}), False),
        (("fd00::1",), ("10.0.0.2", "fd00::2"), "fd00::2", BOTH, True),
        (("fd00::1",), ("fd00::2",), "fd00::2", BOTH, True),
    ],
)
def test_over_which_family_and_for_which(
    here: tuple[str, ...], there: tuple[str, ...], over: str, families: frozenset[Family], extended: bool
) -> None:
    """IPv4 if both have it; over IPv6, IPv4 travels with IPv6 next hops (RFC 8950)."""
    nodes = by_name(fabric_node(1, addresses=here), fabric_node(2, addresses=there))
    found = peers_of(part("node1", nodes))["node2"]
    assert (str(found.address), found.families, found.extended_next_hop) == (over, families, extended)


def test_nodes_without_a_common_family_do_not_peer() -> None:
    nodes = by_name(fabric_node(1, addresses=("10.0.0.1",)), fabric_node(2, addresses=("fd00::2",)))
    assert part("node1", nodes).peers == ()


def test_a_node_without_ipv4_has_a_router_id_that_stays() -> None:
    nodes = by_name(fabric_node(1, addresses=("fd00::1",)), fabric_node(2), fabric_node(3))
    found = {peer.router_id for peer in part("node1", nodes).peers}
    assert len(found) == 1
    assert found != {IPv4Address(0)}


# -- reflectors --------------------------------------------------------------------------------------------


def test_clients_peer_with_reflectors_and_reflectors_among_themselves() -> None:
    nodes = cluster(5, reflectors=2)
    assert names("node4", nodes, REFLECTING, CLIENTS) == {"node1", "node2"}
    design = part("node1", nodes, REFLECTING, CLIENTS)
    assert design.reflects
    assert design.origins == {"node2": "reflectors"} | dict.fromkeys(
        ("node3", "node4", "node5"), "BGPPeer clients"
    )


def test_who_is_a_client() -> None:
    """Every internal Node that is no reflector; the CLUSTER_ID stands on all internal sessions."""
    found = peers_of(part("node1", cluster(3, reflectors=2), REFLECTING, CLIENTS))
    assert (found["node3"].client, found["node2"].client) == (True, False)
    assert {peer.cluster_id for peer in found.values()} == {CLUSTER_ID}
    client = peers_of(part("node3", cluster(3, reflectors=2), REFLECTING, CLIENTS))["node1"]
    assert (client.client, client.cluster_id) == (False, None)


def test_a_mark_without_the_selector_does_not_reflect() -> None:
    design = part("node1", cluster(3, reflectors=1), MESH)
    assert not design.reflects
    assert not any(peer.client or peer.cluster_id for peer in design.peers)


def test_a_label_without_the_mark_does_not_reflect() -> None:
    nodes = by_name(fabric_node(1, labels={"rr": ""}), fabric_node(2))
    assert not part("node1", nodes, REFLECTING).reflects


def test_a_reflector_in_a_mesh_reflects_to_all() -> None:
    """So that nothing is lost when the mesh goes."""
    both = replace(REFLECTING, node_to_node_mesh_enabled=True)
    found = peers_of(part("node1", cluster(3, reflectors=1), both, CLIENTS))
    assert [peer.client for peer in found.values()] == [True, True]


def test_a_session_survives_the_switch_unchanged() -> None:
    """Mesh and BGPPeer ask for the same session: only who reflects differs."""
    nodes = cluster(3, reflectors=1)
    before = peers_of(part("node2", nodes, MESH))["node1"]
    after = peers_of(part("node2", nodes, REFLECTING, CLIENTS))["node1"]
    assert before == after


def test_external_nodes_are_no_clients() -> None:
    nodes = by_name(fabric_node(1, reflects=True), fabric_node(2, as_number=64513))
    found = peers_of(part("node1", nodes, REFLECTING, CLIENTS))["node2"]
    assert (found.client, found.cluster_id) == (False, None)


# -- BGPPeers between Nodes --------------------------------------------------------------------------------


def test_the_settings_of_a_bgppeer_hold_on_both_ends_of_one_session() -> None:
    terms = bgp_peer(
        "terms",
        node="node2",
        peer_selector="rr == ''",
        hold_time_seconds=6,
        keepalive_time_seconds=2,
        connect_retry_seconds=1.5,
        max_restart_time_seconds=0,
        ttl_security=2,
        bfd=BfdTimers(),
        filters=("f",),
        num_allowed_local_as_numbers=1,
        max_prefixes=7,
        families=frozenset({Family.IPV6}),
        source_address=SourceAddress.NONE,
    )
    nodes = cluster(2, reflectors=1)
    for own, other in (("node1", "node2"), ("node2", "node1")):
        found = peers_of(part(own, nodes, MESH, terms))[other]
        assert (found.hold_time_seconds, found.keepalive_seconds, found.connect_retry_seconds) == (6, 2, 1.5)
        assert (found.graceful_restart, found.ttl_security_hops, found.bfd) == (None, 2, BfdTimers())
        assert (found.filters, found.allowed_local_asns, found.max_prefixes) == (("f",), 1, 7)
        assert (found.families, found.source) == (frozenset({Family.IPV6}), None)


def test_the_other_side_sees_directions_the_other_way_round() -> None:
    terms = bgp_peer("terms", node="node1", peer_selector="has(x)", add_paths=AddPaths.SEND, passive=True)
    nodes = by_name(fabric_node(1), fabric_node(2, labels={"x": ""}))
    near = peers_of(part("node1", nodes, OFF, terms))["node2"]
    far = peers_of(part("node2", nodes, OFF, terms))["node1"]
    assert (near.add_path_send, near.add_path_receive, near.passive) == (True, False, True)
    assert (far.add_path_send, far.add_path_receive, far.passive) == (False, True, False)


def test_the_local_as_number_of_one_end_is_what_the_other_expects() -> None:
    terms = bgp_peer("terms", node="node1", peer_selector="has(x)", local_as_number=65000)
    nodes = by_name(fabric_node(1), fabric_node(2, labels={"x": ""}, as_number=64513))
    near = peers_of(part("node1", nodes, OFF, terms))["node2"]
    far = peers_of(part("node2", nodes, OFF, terms))["node1"]
    assert (near.local_asn, near.asn) == (65000, 64513)
    assert (far.local_asn, far.asn) == (64513, 65000)


def test_without_the_reverse_side_only_one_end_has_it() -> None:
    terms = bgp_peer("t", node="node1", peer_selector="has(x)", reverse_peering=ReversePeering.MANUAL)
    nodes = by_name(fabric_node(1), fabric_node(2, labels={"x": ""}))
    assert names("node1", nodes, OFF, terms) == {"node2"}
    assert names("node2", nodes, OFF, terms) == set()


def test_a_selector_that_chooses_the_node_itself_makes_no_session_with_it() -> None:
    everyone = bgp_peer("all", peer_selector="all()", passive=True)
    nodes = cluster(3)
    assert names("node1", nodes, OFF, everyone) == {"node2", "node3"}
    # Both ends are on both sides, so one of them has to dial.
    assert not peers_of(part("node1", nodes, OFF, everyone))["node2"].passive
    assert peers_of(part("node2", nodes, OFF, everyone))["node1"].passive


def test_an_address_of_a_node_is_that_node() -> None:
    """Two sessions between the same two addresses cannot be."""
    terms = bgp_peer("by-address", peer_ip="10.0.0.1", as_number=64512, hold_time_seconds=30)
    found = part("node2", cluster(2), MESH, terms)
    assert {name: peer.hold_time_seconds for name, peer in peers_of(found).items()} == {"node1": 30}
    assert peers_of(part("node1", cluster(2), MESH, terms))["node2"].hold_time_seconds == 30


def test_the_older_bgppeer_counts_and_the_younger_conflicts() -> None:
    older = bgp_peer("z", peer_selector="all()", created_at=1.0, hold_time_seconds=9)
    younger = bgp_peer("a", peer_selector="all()", created_at=2.0, hold_time_seconds=30)
    found = part("node1", cluster(2), OFF, younger, older)
    assert peers_of(found)["node2"].hold_time_seconds == 9
    assert list(found.conflicts) == ["a"]
    assert "BGPPeer z" in found.conflicts["a"]


def test_equal_settings_are_no_conflict() -> None:
    """As where one BGPPeer binds clients to reflectors, and another reflectors among themselves."""
    one, other = bgp_peer("one", peer_selector="all()"), bgp_peer("other", peer_selector="has(rr)")
    assert not part("node1", cluster(3, reflectors=2), REFLECTING, one, other).conflicts


# -- routers -----------------------------------------------------------------------------------------------


def test_a_router_outside() -> None:
    tor = bgp_peer("tor", peer_ip="192.0.2.1", as_number=64999)
    design = part("node1", cluster(2), OFF, tor)
    found = peers_of(design)["192.0.2.1"]
    assert (found.node, found.port, found.asn, found.local_asn) == ("", 179, 64999, 64512)
    assert (str(found.source), found.multihop_ttl, found.passive) == ("10.0.0.1", 1, False)
    assert (found.imports, found.client, found.families) == (True, False, BOTH)
    assert (found.add_path_send, found.add_path_receive) == (False, False)
    assert found.graceful_restart == GracefulRestart(restart_time_seconds=120)
    assert design.origins == {"192.0.2.1": "BGPPeer tor"}


def test_a_router_of_each_family_carries_its_own() -> None:
    """Else all would be heard twice."""
    four = bgp_peer("four", peer_ip="192.0.2.1", as_number=64999)
    six = bgp_peer("six", peer_ip="2001:db8::1", as_number=64999)
    found = peers_of(part("node1", cluster(1), OFF, four, six))
    assert found["192.0.2.1"].families == {Family.IPV4}
    assert found["2001:db8::1"].families == {Family.IPV6}


def test_a_routers_own_settings() -> None:
    tor = bgp_peer(
        "tor",
        peer_ip="2001:db8::1",
        peer_port=1790,
        as_number=64999,
        local_as_number=65000,
        ebgp_multihop=5,
        extended_next_hop=True,
        source_address=SourceAddress.NONE,
        add_paths=AddPaths.RECEIVE,
        max_restart_time_seconds=0,
    )
    found = peers_of(part("node1", cluster(1), OFF, tor))["2001:db8::1"]
    assert (found.port, found.local_asn, found.multihop_ttl, found.source) == (1790, 65000, 5, None)
    assert (found.extended_next_hop, found.families, found.graceful_restart) == (True, BOTH, None)
    assert (found.add_path_send, found.add_path_receive) == (False, True)


def test_a_link_local_router_is_reached_from_what_the_kernel_chooses() -> None:
    tor = bgp_peer("tor", peer_ip="fe80::1%eth0", as_number=64999)
    assert peers_of(part("node1", cluster(1), OFF, tor))["fe80::1%eth0"].source is None


def test_selectors_choose_the_nodes() -> None:
    tor = bgp_peer("tor", peer_ip="192.0.2.1", as_number=1, node_selector="rack == 'a'")
    nodes = by_name(fabric_node(1, labels={"rack": "a"}), fabric_node(2))
    assert names("node1", nodes, OFF, tor) == {"192.0.2.1"}
    assert names("node2", nodes, OFF, tor) == set()


def test_two_bgppeers_for_one_router() -> None:
    """The older counts whatever they say."""
    older = bgp_peer("z", peer_ip="192.0.2.1", as_number=1, created_at=1.0)
    younger = bgp_peer("a", peer_ip="192.0.2.1", as_number=2, created_at=2.0)
    found = part("node1", cluster(1), OFF, younger, older)
    assert [peer.asn for peer in found.peers] == [1]
    assert list(found.conflicts) == ["a"]


def test_a_reflector_is_one_toward_internal_routers_too() -> None:
    inside = bgp_peer("inside", peer_ip="192.0.2.1", as_number=64512)
    outside = bgp_peer("outside", peer_ip="192.0.2.2", as_number=64513)
    found = peers_of(part("node1", cluster(2, reflectors=1), REFLECTING, inside, outside))
    assert (found["192.0.2.1"].cluster_id, found["192.0.2.1"].client) == (CLUSTER_ID, False)
    assert found["192.0.2.2"].cluster_id is None


# -- passwords ---------------------------------------------------------------------------------------------


def test_passwords_of_the_mesh_and_of_a_bgppeer() -> None:
    tor = bgp_peer("tor", peer_ip="192.0.2.1", as_number=1, password=SecretKeyRef(name="s", key="tor"))
    mesh = replace(MESH, node_mesh_password=SecretKeyRef(name="s", key="mesh"))
    found = peers_of(plan(cluster(2), mesh, tor).of("node1", lambda ref: Password(ref.key)))
    assert found["node2"].password == Password("mesh")
    assert found["192.0.2.1"].password == Password("tor")


def test_a_missing_secret_withholds_the_session() -> None:
    """Never is an empty password used in its place."""
    design = part("node1", cluster(2), replace(MESH, node_mesh_password=KEY))
    assert design.peers == ()
    assert design.withheld == {"node2": "Secret bgp has no key password, or is not there"}


# -- the whole ---------------------------------------------------------------------------------------------


def test_the_fingerprint_is_the_same_on_every_node() -> None:
    nodes = cluster(3, reflectors=1)
    assert len({part(name, nodes, REFLECTING, CLIENTS).fingerprint for name in nodes}) == 1


def test_the_fingerprint_is_the_same_in_every_process() -> None:
    """Sets and texts are hashed otherwise in each."""
    program = (
        "from tests.fabric.clusters import *\n"
        "from speaker.model.prefix import Family\n"
        "both = bgp_peer('p', peer_selector='all()', families=frozenset(Family))\n"
        "print(plan(cluster(3, reflectors=2), REFLECTING, CLIENTS, both).fingerprint)\n"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(found) == 1


def changed(node: FabricNode, **fields: object) -> dict[str, FabricNode]:
    return cluster(3) | {node.name: replace(node, **fields)}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "nodes",
    [
        cluster(4),
        changed(fabric_node(2), as_number=1),
        changed(fabric_node(2), is_speaker=False),
        changed(fabric_node(2), addresses=(ip_address("10.9.9.9"),)),
        changed(fabric_node(2), cluster_id=CLUSTER_ID, labels={"rr": ""}),
    ],
)
def test_what_changes_sessions_changes_the_fingerprint(nodes: dict[str, FabricNode]) -> None:
    assert plan(nodes, REFLECTING, CLIENTS).fingerprint != plan(cluster(3), REFLECTING, CLIENTS).fingerprint


def test_labels_that_no_selector_reads_do_not_change_the_fingerprint() -> None:
    """Nor do Pod CIDRs: all of them change all the time in a cluster that grows."""
    nodes = changed(fabric_node(2), labels={"other": "x"}, pod_cidrs=())
    assert plan(nodes, REFLECTING, CLIENTS).fingerprint == plan(cluster(3), REFLECTING, CLIENTS).fingerprint


def test_a_node_that_is_not_there_has_no_session() -> None:
    assert part("nobody", cluster(2)).peers == ()


address_sets = st.sampled_from([("10.0.0.{}", "fd00::{}"), ("10.0.0.{}",), ("fd00::{}",), ()])
selectors = st.sampled_from(["all()", "has(rr)", "!has(rr)", "x == '1'", "has(nothing)"])


@st.composite
def clusters(draw: st.DrawFn) -> dict[str, FabricNode]:
    nodes = [
        fabric_node(
            at,
            reflects=draw(st.booleans()),
            addresses=[text.format(at) for text in draw(address_sets)],
            labels={"x": draw(st.sampled_from(["1", "2"]))},
            as_number=draw(st.sampled_from([None, 64513])),
            is_speaker=draw(st.integers(0, 9)) > 0,
        )
        for at in range(1, draw(st.integers(1, 6)) + 1)
    ]
    return by_name(*nodes)


bgp_peers = st.lists(
    st.builds(
        lambda near, far, local, paths, passive, age, families: bgp_peer(
            f"p{age}",
            node_selector=near,
            peer_selector=far,
            local_as_number=local,
            add_paths=paths,
            passive=passive,
            created_at=float(age),
            families=families,
        ),
        selectors,
        selectors,
        st.sampled_from([None, 65000]),
        st.sampled_from([None, *AddPaths]),
        st.booleans(),
        st.integers(0, 5),
        st.sampled_from([frozenset[Family](), frozenset({Family.IPV4}), frozenset({Family.IPV6})]),
    ),
    max_size=3,
    unique_by=lambda peer: peer.name,
)


@settings(deadline=None, max_examples=60)
@given(nodes=clusters(), mesh=st.booleans(), peers=bgp_peers)
def test_both_ends_of_a_session_fit(nodes: dict[str, FabricNode], mesh: bool, peers: list[object]) -> None:
    """Whatever the resources say: same settings, one end dials, each expects what the other opens with."""
    configuration = BgpConfiguration(
        node_to_node_mesh_enabled=mesh, route_reflector_selector=parse("has(rr)")
    )
    whole = plan(nodes, configuration, *peers)  # type: ignore[arg-type]
    designs = {name: peers_of(whole.of(name, no_secret)) for name in nodes}
    for own, found in designs.items():
        assert own not in found
        for name, here in found.items():
            there = designs[name][own]
            assert (here.asn, here.local_asn) == (there.local_asn, there.asn)
            assert (here.address, here.source) == (there.source, there.address)
            assert here.passive != there.passive
            assert here.families == there.families
            assert here.extended_next_hop == there.extended_next_hop
            assert (here.add_path_send, here.add_path_receive) == (
                there.add_path_receive,
                there.add_path_send,
            )
            assert not (here.client and there.client)

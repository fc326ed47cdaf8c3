"""What nodes tell each other: only what they own themselves."""

from dataclasses import replace

import pytest

from speaker.model.objects import Change, Kind, ObjectRef, ResourceView, SecretView, View
from speaker.model.policy import PeerView, PodCidrSource
from speaker.model.publication import ExclusionReason as Why
from speaker.routing.reconcile import Reconciler, Result, reconcile
from tests.builders import (
    changes,
    endpoint,
    facts,
    host,
    load_balancer,
    meta,
    node,
    node_ref,
    peer,
    peer_view,
    pod,
    pod_ref,
    policy,
    prefix,
    service_ref,
    slice_,
    subnet,
    subnet_ref,
)
from tests.routing.deciding import excluded, notes, published, texts

ROUTER = peer_view(peer("tor", "192.0.2.254"), session=facts(), source="192.0.2.1")
NODES: tuple[PeerView, ...] = tuple(
    peer_view(
        peer(f"node-{number}", f"192.0.2.{number}", asn=65000, node=f"node-{number}"),
        session=facts(),
        source="192.0.2.1",
    )
    for number in (2, 3)
)
CLUSTER: tuple[View, ...] = (
    node(pod_cidrs=["10.244.0.0/24"]),
    pod("everywhere", ["10.16.0.2"], bgp="cluster"),
    pod("here", ["10.16.0.3"], bgp="local"),
    subnet("net", ["10.17.0.0/16"], bgp="cluster"),
    load_balancer("shop", "203.0.113.10", bgp="local", external_traffic_policy="Local"),
    slice_("shop", endpoint()),
)
FLAGS = policy(announce_pod_cidr=True, pod_cidr_source=PodCidrSource.NODE)
OWNED = {"10.244.0.0/24", "10.16.0.3/32"}


def told(*peers: PeerView) -> Result:
    return reconcile(FLAGS, host(*peers), CLUSTER)


def test_other_nodes_hear_what_this_node_owns() -> None:
    ribs = told(ROUTER, *NODES).adj_ribs_out

    assert texts(ribs["node-2"]) == texts(ribs["node-3"]) == OWNED
    assert texts(ribs["tor"]) == {*OWNED, "10.16.0.2/32", "10.17.0.0/16", "203.0.113.10/32"}


def test_what_other_nodes_do_not_hear_is_no_fault() -> None:
    outcome = told(ROUTER, *NODES).outcomes[service_ref()]

    assert published(outcome) == {"203.0.113.10/32"}
    assert notes(outcome) == []


def test_where_all_peers_are_nodes_the_rest_is_excluded() -> None:
    outcomes = told(*NODES).outcomes

    assert published(outcomes[node_ref()]) == {"10.244.0.0/24"}
    assert published(outcomes[pod_ref("here")]) == {"10.16.0.3/32"}
    assert excluded(outcomes[service_ref()]) == {"203.0.113.10/32": Why.NODE_PEERS_ONLY}
    assert excluded(outcomes[subnet_ref("net")]) == {"10.17.0.0/16": Why.NODE_PEERS_ONLY}
    assert excluded(outcomes[pod_ref("everywhere")]) == {"10.16.0.2/32": Why.NODE_PEERS_ONLY}


def test_a_router_of_the_other_family_is_the_nearer_reason() -> None:
    v6_only = peer_view(
        peer("tor", "2001:db8::fe"), session=facts("2001:db8::1", families=frozenset()), source="2001:db8::1"
    )

    outcome = told(v6_only, *NODES).outcomes[service_ref()]

    assert excluded(outcome) == {"203.0.113.10/32": Why.NO_PEER_FOR_FAMILY}


def test_explain_does_not_name_the_nodes() -> None:
    reconciler = Reconciler(policy(), host(ROUTER, *NODES))
    reconciler.apply(changes(*CLUSTER))
    reconciler.recompute()

    outcome = reconciler.explain(service_ref())

    assert outcome is not None
    assert outcome.notes == ()


def test_an_owned_and_a_shared_claim_on_one_prefix() -> None:
    """Nodes hear the claim that this node owns, although the other is older."""
    views = [
        pod("old", ["10.16.0.3"], bgp="cluster", annotations={"bgp-med": "1"}, created_at=1),
        pod("new", ["10.16.0.3"], bgp="local", annotations={"bgp-med": "2"}, created_at=2),
    ]

    ribs = reconcile(policy(allow_attributes=frozenset({"med"})), host(ROUTER, *NODES), views).adj_ribs_out

    assert ribs["tor"][prefix("10.16.0.3/32")].attributes.med == 1
    assert ribs["node-2"][prefix("10.16.0.3/32")].attributes.med == 2


def test_pod_cidrs_are_announced_once_the_policy_says_so() -> None:
    off = replace(FLAGS, announce_pod_cidr=False)
    reconciler = Reconciler(off, host(*NODES))
    reconciler.apply(changes(*CLUSTER))
    reconciler.recompute()
    before = texts(reconciler.adj_rib_out("node-2"))

    reconciler.set_policy(FLAGS)
    steps = 0
    while not reconciler.recompute(1):
        steps += 1
    during = texts(reconciler.adj_rib_out("node-2"))
    reconciler.set_policy(off)
    reconciler.recompute()

    assert before == texts(reconciler.adj_rib_out("node-2")) == OWNED - {"10.244.0.0/24"}
    assert during == OWNED
    assert steps < len(CLUSTER)


def test_other_flags_do_not_change() -> None:
    reconciler = Reconciler(policy(), host())

    with pytest.raises(ValueError, match="only announce_pod_cidr"):
        reconciler.set_policy(policy(announce_cluster_ip=True))


# -- Kube-OVN ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", [PodCidrSource.AUTO, PodCidrSource.KUBE_OVN])
def test_subnets_belong_to_their_gateway_nodes(source: PodCidrSource) -> None:
    views: list[View] = [
        node(pod_cidrs=["10.244.0.0/24"]),
        subnet("ours", ["10.17.0.0/16", "10.20.0.0/16"], gateway_nodes=["node-1", "node-2"]),
        subnet("theirs", ["10.18.0.0/16"], gateway_nodes=["node-2"]),
        subnet("everybodys", ["10.19.0.0/16"]),
    ]

    result = reconcile(policy(announce_pod_cidr=True, pod_cidr_source=source), host(*NODES), views)

    assert published(result.outcomes[node_ref()]) == {"10.17.0.0/16", "10.20.0.0/16"}


def test_a_gateway_subnet_that_cannot_be_published() -> None:
    views: list[View] = [
        node(),
        subnet("tenant", ["10.17.0.0/16"], vpc="tenant", gateway_nodes=["node-1"]),
        subnet("new", ["10.18.0.0/16"], ready=False, gateway_nodes=["node-1"]),
    ]

    outcome = reconcile(policy(announce_pod_cidr=True), host(*NODES), views).outcomes[node_ref()]

    assert excluded(outcome) == {"10.17.0.0/16": Why.CUSTOM_VPC, "10.18.0.0/16": Why.SUBNET_NOT_READY}


def test_a_gateway_that_moves() -> None:
    reconciler = Reconciler(policy(announce_pod_cidr=True), host(*NODES))
    reconciler.apply(changes(node(), subnet("net", ["10.17.0.0/16"], gateway_nodes=["node-2"])))
    reconciler.recompute()
    before = published(reconciler.outcomes()[node_ref()])

    reconciler.apply(changes(subnet("net", ["10.17.0.0/16"], gateway_nodes=["node-1"])))
    reconciler.recompute()
    here = published(reconciler.outcomes()[node_ref()])
    reconciler.apply(changes(subnet("net", ["10.17.0.0/16"], gateway_nodes=["node-3"])))
    reconciler.recompute()

    assert before == published(reconciler.outcomes()[node_ref()]) == set()
    assert here == {"10.17.0.0/16"}


# -- what is none of its business ----------------------------------------------------------------------


def test_other_nodes_and_the_resources_of_the_fabric_change_nothing() -> None:
    reconciler = Reconciler(policy(announce_pod_cidr=True), host(ROUTER))
    reconciler.apply(changes(*CLUSTER))
    reconciler.recompute()
    reconciler.take_changes()
    resources = [
        ResourceView(meta=meta(ObjectRef(kind, "", "default")))
        for kind in (Kind.BGP_CONFIGURATION, Kind.BGP_PEER, Kind.BGP_FILTER, Kind.BGP_NODE_STATUS)
    ]
    secret = SecretView(meta=meta(ObjectRef(Kind.SECRET, "kube-system", "key")))

    reconciler.apply(changes(*resources, secret, node("node-2", pod_cidrs=["10.244.2.0/24"])))
    reconciler.apply([Change(each.meta.ref, None) for each in resources])

    assert reconciler.is_complete
    assert reconciler.take_changes() == {}

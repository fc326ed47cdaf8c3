"""What `speaker plan` says, from objects to text."""

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from speaker.errors import UsageError
from speaker.model.objects import Change, Kind, Meta, NodeView, ObjectRef, PodView, ResourceView, View
from speaker.model.prefix import Address
from speaker.plan import Planner, as_document

FLAGS: dict[str, object] = {"neighbor-address": "10.0.0.1", "neighbor-as": "65001", "cluster-as": "65000"}
PREFIX = "ovn.kubernetes.io"


def addresses(*texts: str) -> tuple[Address, ...]:
    return tuple(ip_address(text) for text in texts)


def changes(*views: View) -> list[Change]:
    return [Change(view.meta.ref, view) for view in views]


def node(name: str, *ips: str, labels: Mapping[str, str] | None = None) -> NodeView:
    labels = {f"{PREFIX}/bgp": "true"} if labels is None else labels
    meta = Meta(ref=ObjectRef(Kind.NODE, "", name), annotations={})
    return NodeView(meta=meta, labels=labels, internal_ips=addresses(*ips))


def pod(name: str, node_name: str, *ips: str, **asks: str) -> PodView:
    annotations = {f"{PREFIX}/{key.replace('_', '-')}": value for key, value in asks.items()}
    meta = Meta(ref=ObjectRef(Kind.POD, "default", name), annotations=annotations)
    return PodView(meta=meta, node_name=node_name, phase="Running", pod_ips=addresses(*ips))


N1, N2 = node("n1", "192.0.2.1", "2001:db8::1"), node("n2", "192.0.2.2", "2001:db8::2")


def planned(*views: View, environ: Mapping[str, str] | None = None, **flags: object) -> list[dict[str, Any]]:
    given = FLAGS | {name.replace("_", "-"): value for name, value in flags.items()}
    return as_document(Planner(given, environ or {}).plans(changes(*views)))


def test_every_node_gets_a_plan_with_its_own_next_hop() -> None:
    first, second = planned(N2, N1, pod("web", "n1", "10.16.0.5", bgp="cluster"))
    assert (first["node"], second["node"]) == ("n1", "n2")
    (peer,) = first["peers"]
    (route,) = peer["routes"]
    assert (peer["peer"], peer["asn"]) == ("10.0.0.1", 65001)
    assert (route["prefix"], route["next_hop"]) == ("10.16.0.5/32", "192.0.2.1")
    assert route["because"][0].startswith("Pod default/web: ")
    assert second["peers"][0]["routes"][0]["next_hop"] == "192.0.2.2"


def test_what_is_not_advertised_has_its_reason_and_sentence() -> None:
    _, second = planned(N1, N2, pod("web", "n1", "10.16.0.5", bgp="local"))
    assert second["peers"][0]["routes"] == []
    (excluded,) = second["excluded"]
    assert excluded["object"] == "Pod default/web"
    assert excluded["reason"] == "NotOnThisNode"
    assert excluded["sentence"] == "the policy is Local and the workload is on another node"


def test_both_families_go_to_an_ipv4_peer_from_the_nodes_own_addresses() -> None:
    (plan,) = planned(N1, pod("web", "n1", "10.16.0.5", "fd00::5", bgp="cluster"))
    hops = {route["prefix"]: route["next_hop"] for route in plan["peers"][0]["routes"]}
    assert hops == {"10.16.0.5/32": "192.0.2.1", "fd00::5/128": "2001:db8::1"}


def test_attributes_are_shown_in_their_notation() -> None:
    web = pod("web", "n1", "10.16.0.5", bgp="cluster", bgp_communities="65000:7,65000:1:2", bgp_med="9")
    (plan,) = planned(N1, web, allow_attributes="communities,med")
    (route,) = plan["peers"][0]["routes"]
    assert route["communities"] == ["65000:7"]
    assert route["large_communities"] == ["65000:1:2"]
    assert route["med"] == 9
    assert "local_preference" not in route


def test_a_node_without_the_label_advertises_nothing() -> None:
    (plan,) = planned(node("n1", "192.0.2.1", labels={}), pod("web", "n1", "10.16.0.5", bgp="true"))
    assert plan["peers"][0]["routes"] == []
    assert [each["reason"] for each in plan["excluded"]] == ["NodeNotSelected"]


def test_one_node_can_be_chosen() -> None:
    assert [plan["node"] for plan in planned(N1, N2, node_name="n2")] == ["n2"]


def test_a_node_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(UsageError, match=r"^--node-name=n3: the Nodes are n1, n2$"):
        planned(N1, N2, node_name="n3")


def test_without_a_node_one_must_be_named() -> None:
    with pytest.raises(UsageError, match="there is no Node among the objects"):
        planned(pod("web", "n1", "10.16.0.5", bgp="true"))


def test_a_node_can_be_named_without_its_object() -> None:
    (plan,) = planned(pod("web", "n1", "10.16.0.5", bgp="true"), node_name="n1", node_ips="192.0.2.9")
    assert plan["peers"][0]["routes"][0]["next_hop"] == "192.0.2.9"


def test_a_node_that_needs_a_router_id_of_its_own_is_named() -> None:
    with pytest.raises(UsageError, match=r"^Node n6: --router-id: must be given"):
        planned(node("n6", "2001:db8::6"))


def test_the_environment_of_the_planning_host_stands_for_no_node() -> None:
    environ = {"NODE_NAME": "here", "POD_IPS": "198.51.100.1", "KRS_NODE_NAME": "here"}
    (plan,) = planned(N1, pod("web", "n1", "10.16.0.5", bgp="true"), environ=environ)
    assert plan["node"] == "n1"
    assert plan["peers"][0]["routes"][0]["next_hop"] == "192.0.2.1"


def test_wrong_flags_are_told_before_anything_is_read() -> None:
    with pytest.raises(UsageError, match=r"missing required flags: --neighbor-as, --cluster-as"):
        Planner({"neighbor-address": "10.0.0.1"}, {})


# -- the fabric ----------------------------------------------------------------------------------------


def resource(kind: Kind, name: str, **spec: object) -> ResourceView:
    return ResourceView(meta=Meta(ref=ObjectRef(kind, "", name), annotations={}), spec=spec)


MESH = resource(Kind.BGP_CONFIGURATION, "default", nodeToNodeMeshEnabled=True)
ROUTER = resource(Kind.BGP_PEER, "router", peerIP="192.0.2.254", asNumber=65030, filters=["pods"])


def with_pods(view: NodeView, *cidrs: str) -> NodeView:
    return replace(view, pod_cidrs=tuple(ip_network(each) for each in cidrs))


def test_peers_of_the_cluster_are_planned_for() -> None:
    nodes = with_pods(N1, "10.1.0.0/24"), with_pods(N2, "10.2.0.0/24")
    planner = Planner({"fabric": True}, {})

    [first, second] = as_document(planner.plans(changes(*nodes, MESH)))

    assert [(peer["peer"], peer["asn"]) for peer in as_list(first["peers"])] == [("n2", 64512)]
    [route] = as_list(as_list(second["peers"])[0]["routes"])
    assert (route["prefix"], route["next_hop"]) == ("10.2.0.0/24", "192.0.2.2")


def test_export_rules_count() -> None:
    filters = resource(
        Kind.BGP_FILTER, "pods", exportV4=[{"action": "Reject", "cidr": "10.1.0.0/16", "matchOperator": "In"}]
    )
    nodes = with_pods(N1, "10.1.0.0/24"), with_pods(N2, "10.2.0.0/24")

    plans = as_document(Planner({"fabric": True}, {}).plans(changes(*nodes, ROUTER, filters)))

    heard = [[route["prefix"] for route in as_list(as_list(each["peers"])[0]["routes"])] for each in plans]
    assert heard == [[], ["10.2.0.0/24"]]


def test_what_is_wrong_with_resources_is_told() -> None:
    bad = resource(Kind.BGP_PEER, "bad", peerIP="router")

    problems = Planner({"fabric": True}, {}).problems(changes(N1, MESH, ROUTER, bad))

    assert any(each.startswith("BGPPeer bad: spec.peerIP") for each in problems)
    assert "BGPPeer router: there is no BGPFilter pods" in problems


def test_without_the_flag_resources_are_nothing() -> None:
    planner = Planner(FLAGS, {})

    assert planner.problems(changes(N1, resource(Kind.BGP_PEER, "bad", peerIP="router"))) == ()
    assert [peer.name for peer in planner.plans(changes(N1, MESH))[0].peers] == ["10.0.0.1"]


def as_list(value: object) -> list[dict[str, Any]]:
    assert isinstance(value, list)
    return value

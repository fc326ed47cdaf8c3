"""The rules for Subnets, Namespaces and this node."""

from typing import Any

import pytest

from speaker.model.objects import View
from speaker.model.policy import PodCidrSource
from speaker.model.publication import ExclusionReason as Why
from tests.builders import (
    OTHER_NODE,
    block,
    namespace,
    namespace_ref,
    node,
    node_ref,
    pod,
    pod_ref,
    prefix,
    subnet,
    subnet_ref,
)
from tests.routing.deciding import decide, excluded, notes, published

CIDR = "10.16.0.0/16"


@pytest.mark.parametrize(
    ("says", "expected"),
    [("true", {CIDR}), ("cluster", {CIDR}), ("local", set()), ("false", set()), (None, set())],
)
def test_the_cidr_of_a_subnet_under_cluster_policy(says: str | None, expected: set[str]) -> None:
    assert published(decide(subnet_ref(), subnet(bgp=says))) == expected


def test_a_local_subnet_has_nothing_of_its_own_to_explain() -> None:
    assert decide(subnet_ref(), subnet(bgp="local")) is None


def test_every_cidr_of_a_dual_stack_subnet() -> None:
    both = subnet(cidrs=[CIDR, "fd00:16::/64"], bgp="true")

    assert published(decide(subnet_ref(), both)) == {CIDR, "fd00:16::/64"}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({"ready": False}, {CIDR: Why.SUBNET_NOT_READY}, id="not ready"),
        pytest.param({"vpc": "tenant"}, {CIDR: Why.CUSTOM_VPC}, id="custom VPC"),
        pytest.param({"cidrs": []}, {None: Why.NO_ADDRESS}, id="no CIDR"),
        pytest.param({"vpc": ""}, {}, id="no VPC named"),
    ],
)
def test_a_subnet_is_excluded(fields: dict[str, Any], expected: dict[str | None, Why]) -> None:
    assert excluded(decide(subnet_ref(), subnet(bgp="true", **fields))) == expected


def test_an_invalid_value_on_a_subnet_and_on_a_namespace_is_noted() -> None:
    views = (subnet(bgp="maybe"), namespace(bgp="maybe"))

    assert notes(decide(subnet_ref(), *views)) == [Why.INVALID_ANNOTATION]
    assert notes(decide(namespace_ref(), *views)) == [Why.INVALID_ANNOTATION]


POD = pod(bgp="true")
HOST = "10.16.0.2/32"


@pytest.mark.parametrize(
    ("here", "flags", "expected"),
    [
        pytest.param(node(labels={"a": "true"}), {"node_label": ("a", "true")}, None, id="chosen"),
        pytest.param(node(), {"node_label": ("a", "true")}, Why.NODE_NOT_SELECTED, id="no label"),
        pytest.param(
            node(labels={"a": "false"}),
            {"node_label": ("a", "true")},
            Why.NODE_NOT_SELECTED,
            id="other value",
        ),
        pytest.param(node(), {}, None, id="no label asked for"),
        pytest.param(node(unschedulable=True), {"drain_on_cordon": True}, Why.NODE_DRAINING, id="cordoned"),
        pytest.param(node(unschedulable=True), {}, None, id="cordoned without the flag"),
    ],
)
def test_the_gate_of_this_node(here: View, flags: dict[str, Any], expected: Why | None) -> None:
    outcome = decide(pod_ref(), POD, here, **flags)

    assert excluded(outcome) == ({HOST: expected} if expected else {})
    assert published(outcome) == (set() if expected else {HOST})


def test_an_unknown_node_closes_nothing() -> None:
    assert published(decide(pod_ref(), POD, node_label_of_other(), node_label=("a", "true"))) == {HOST}


def node_label_of_other() -> View:
    return node(OTHER_NODE, labels={"a": "false"}, unschedulable=True)


@pytest.mark.parametrize(
    ("source", "views", "expected"),
    [
        pytest.param(PodCidrSource.AUTO, [], {"10.244.0.0/24"}, id="auto: the Node's"),
        pytest.param(PodCidrSource.AUTO, [block()], {"10.244.1.0/26"}, id="auto: Calico's before"),
        pytest.param(
            PodCidrSource.AUTO, [block(node=OTHER_NODE)], set(), id="auto: Calico's elsewhere, none here"
        ),
        pytest.param(PodCidrSource.AUTO, [subnet()], set(), id="auto: Kube-OVN allocates, not the Node"),
        pytest.param(PodCidrSource.NODE, [block()], {"10.244.0.0/24"}, id="node"),
        pytest.param(PodCidrSource.CALICO, [], set(), id="calico without blocks"),
        pytest.param(
            PodCidrSource.CALICO,
            [block(), block("10.244.2.0/26")],
            {"10.244.1.0/26", "10.244.2.0/26"},
            id="calico: every block of the node",
        ),
        pytest.param(PodCidrSource.KUBE_OVN, [], set(), id="kube-ovn"),
    ],
)
def test_pod_cidrs_come_from_one_source(source: PodCidrSource, views: list[View], expected: set[str]) -> None:
    here = node(pod_cidrs=["10.244.0.0/24"])

    outcome = decide(node_ref(), here, *views, announce_pod_cidr=True, pod_cidr_source=source)

    assert published(outcome) == expected
    assert excluded(outcome) == ({} if expected else {None: Why.NO_ADDRESS})


def test_pod_cidrs_need_the_flag() -> None:
    assert decide(node_ref(), node(pod_cidrs=["10.244.0.0/24"])) is None


def test_the_annotation_false_on_the_node_keeps_its_pod_cidrs_back() -> None:
    here = node(pod_cidrs=["10.244.0.0/24"], bgp="false")

    assert decide(node_ref(), here, announce_pod_cidr=True) is None


def test_the_pod_cidrs_of_other_nodes_are_theirs() -> None:
    other = node(OTHER_NODE, pod_cidrs=["10.244.9.0/24"])

    assert decide(node_ref(OTHER_NODE), other, announce_pod_cidr=True) is None


def test_the_guard_speaks_in_the_outcome() -> None:
    outcome = decide(
        subnet_ref(),
        subnet(cidrs=[CIDR, "172.16.0.0/12"], bgp="true"),
        allowed_prefixes=(prefix("10.0.0.0/8"),),
    )

    assert published(outcome) == {CIDR}
    assert excluded(outcome) == {"172.16.0.0/12": Why.PREFIX_NOT_ALLOWED}

"""The rules for Pods."""

from typing import Any

import pytest

from speaker.model.objects import View
from speaker.model.publication import ExclusionReason as Why
from tests.builders import (
    OTHER_NODE,
    ip_object,
    namespace,
    network,
    ovn_pod,
    pod,
    pod_ref,
    prefix,
    subnet,
)
from tests.routing.deciding import decide, excluded, notes, published

POD = pod_ref()
HOST = "10.16.0.2/32"


@pytest.mark.parametrize(
    ("own", "subnet_says", "namespace_says", "expected"),
    [
        pytest.param(None, None, None, False, id="nobody asks"),
        pytest.param("true", None, None, True, id="the Pod asks"),
        pytest.param(None, "local", None, True, id="the Subnet asks"),
        pytest.param(None, None, "true", True, id="the Namespace asks"),
        pytest.param("false", "local", "true", False, id="the Pod forbids what its parents ask"),
        pytest.param(None, "false", "true", False, id="the Subnet stands before the Namespace"),
        pytest.param("true", "false", "false", True, id="the Pod stands before both"),
        pytest.param("nonsense", "local", None, True, id="a value without meaning counts as not asking"),
    ],
)
def test_precedence(
    own: str | None, subnet_says: str | None, namespace_says: str | None, *, expected: bool
) -> None:
    outcome = decide(POD, ovn_pod(bgp=own), subnet(bgp=subnet_says), namespace(bgp=namespace_says))

    assert published(outcome) == ({HOST} if expected else set())


@pytest.mark.parametrize(
    ("says", "node", "expected"),
    [
        pytest.param("true", OTHER_NODE, {HOST}, id="Cluster: every speaker"),
        pytest.param("local", OTHER_NODE, set(), id="Local: not another node's"),
        pytest.param("local", "node-1", {HOST}, id="Local: the Pod's node"),
        pytest.param("local", "", set(), id="Local: not yet scheduled"),
    ],
)
def test_locality(says: str, node: str, expected: set[str]) -> None:
    outcome = decide(POD, pod(ips=["10.16.0.2"], bgp=says, node=node))

    assert published(outcome) == expected
    assert excluded(outcome) == ({} if expected else {HOST: Why.NOT_ON_THIS_NODE})


def test_a_cluster_subnet_publishes_its_cidr_and_no_host_routes() -> None:
    assert decide(POD, ovn_pod(), subnet(bgp="true")) is None


def test_a_cluster_subnet_with_announce_subnet_pods() -> None:
    assert published(decide(POD, ovn_pod(), subnet(bgp="true"), announce_subnet_pods=True)) == {HOST}


def test_an_annotated_pod_under_a_cluster_subnet_has_its_host_route() -> None:
    assert published(decide(POD, ovn_pod(bgp="true"), subnet(bgp="true"))) == {HOST}


def test_the_namespace_does_not_bring_the_host_routes_that_the_cluster_subnet_covers() -> None:
    assert decide(POD, ovn_pod(), subnet(bgp="true"), namespace(bgp="true")) is None


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({"host_network": True}, Why.HOST_NETWORK, id="host network"),
        pytest.param({"phase": "Succeeded"}, Why.POD_FINISHED, id="Succeeded"),
        pytest.param({"phase": "Failed"}, Why.POD_FINISHED, id="Failed"),
        pytest.param({"ips": ()}, Why.NO_ADDRESS, id="no address yet"),
    ],
)
def test_the_whole_pod_is_excluded(fields: dict[str, Any], expected: Why) -> None:
    outcome = decide(POD, pod(bgp="true", **fields))

    assert excluded(outcome) == {None: expected}
    assert published(outcome) == set()


@pytest.mark.parametrize("phase", ["Pending", "Running", "Unknown", ""])
def test_a_pod_counts_from_its_address_on(phase: str) -> None:
    assert published(decide(POD, pod(bgp="true", phase=phase))) == {HOST}


def test_dual_stack() -> None:
    assert published(decide(POD, pod(ips=["10.16.0.2", "fd00::2"], bgp="true"))) == {HOST, "fd00::2/128"}


def test_each_network_follows_its_own_subnet() -> None:
    """A Pod with two networks: one Subnet asks Local, the other not at all."""
    both = network("ovn", "10.16.0.2", "ovn-default") | network("net1.default.ovn", "172.17.0.2", "attached")
    views: list[View] = [
        pod(ips=["10.16.0.2"], annotations=both),
        subnet(),
        subnet("attached", ["172.17.0.0/16"], bgp="local"),
        ip_object(ips=["172.17.0.2"], subnet="attached", name="web.default.net1"),
    ]

    assert published(decide(POD, *views)) == {"172.17.0.2/32"}


def test_the_pods_own_annotation_is_for_all_its_networks() -> None:
    both = network("ovn", "10.16.0.2", "ovn-default") | network("net1.default.ovn", "172.17.0.2", "attached")
    views: list[View] = [
        pod(ips=["10.16.0.2"], annotations=both, bgp="true"),
        subnet(),
        subnet("attached", ["172.17.0.0/16"]),
        ip_object(ips=["172.17.0.2"], subnet="attached", name="web.default.net1"),
    ]

    assert published(decide(POD, *views)) == {HOST, "172.17.0.2/32"}


def test_annotated_networks_stand_in_place_of_status_pod_ips() -> None:
    """Kube-OVN as a secondary network: the primary address is another CNI's."""
    attached = network("net1.default.ovn", "172.17.0.2", "attached")
    views: list[View] = [
        pod(ips=["10.244.0.9"], annotations=attached, bgp="true"),
        subnet("attached", ["172.17.0.0/16"]),
        ip_object(ips=["172.17.0.2"], subnet="attached"),
    ]

    assert published(decide(POD, *views)) == {"172.17.0.2/32"}


def test_an_address_that_nothing_confirms() -> None:
    lying = pod(ips=["10.16.0.2"], annotations=network("ovn", "10.16.0.77"), bgp="true")

    assert excluded(decide(POD, lying, subnet())) == {"10.16.0.77/32": Why.ADDRESS_NOT_CONFIRMED}


def test_the_ip_object_confirms() -> None:
    waiting = pod(ips=(), annotations=network("ovn", "10.16.0.2"), bgp="true", phase="Pending")

    assert published(decide(POD, waiting, subnet(), ip_object())) == {HOST}


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(ip_object(pod_name="other"), id="of another Pod"),
        pytest.param(ip_object(namespace="other"), id="of another namespace"),
        pytest.param(ip_object(subnet="other"), id="of another Subnet"),
        pytest.param(ip_object(ips=["10.16.0.3"]), id="of another address"),
    ],
)
def test_an_ip_object_that_does_not_confirm(record: View) -> None:
    waiting = pod(ips=(), annotations=network("ovn", "10.16.0.2"), bgp="true")

    assert excluded(decide(POD, waiting, subnet(), record)) == {HOST: Why.ADDRESS_NOT_CONFIRMED}


def test_trust_pod_annotations_waives_the_confirmation() -> None:
    waiting = pod(ips=(), annotations=network("ovn", "10.16.0.2"), bgp="true")

    assert published(decide(POD, waiting, subnet(), trust_pod_annotations=True)) == {HOST}


def test_trust_pod_annotations_does_not_waive_the_subnet() -> None:
    outside = pod(ips=(), annotations=network("ovn", "192.0.2.77"), bgp="true")

    outcome = decide(POD, outside, subnet(), trust_pod_annotations=True)

    assert excluded(outcome) == {"192.0.2.77/32": Why.ADDRESS_NOT_CONFIRMED}


def test_a_subnet_that_does_not_exist() -> None:
    assert excluded(decide(POD, ovn_pod(bgp="true"))) == {HOST: Why.SUBNET_UNKNOWN}


def test_an_address_whose_subnet_is_not_named() -> None:
    outcome = decide(POD, ovn_pod(bgp="true", subnet=""), subnet())

    assert excluded(outcome) == {HOST: Why.SUBNET_UNKNOWN}


def test_a_custom_vpc() -> None:
    outcome = decide(POD, ovn_pod(bgp="true"), subnet(vpc="tenant"))

    assert excluded(outcome) == {HOST: Why.CUSTOM_VPC}


def test_a_custom_vpc_whose_cidr_the_operator_names() -> None:
    outcome = decide(
        POD, ovn_pod(bgp="true"), subnet(vpc="tenant"), allowed_prefixes=(prefix("10.16.0.0/16"),)
    )

    assert published(outcome) == {HOST}


def test_a_custom_vpc_is_not_opened_by_a_wider_allowed_prefix() -> None:
    outcome = decide(POD, ovn_pod(bgp="true"), subnet(vpc="tenant"), allowed_prefixes=(prefix("10.0.0.0/8"),))

    assert excluded(outcome) == {HOST: Why.CUSTOM_VPC}


def test_a_subnet_that_is_not_ready_does_not_concern_its_pods() -> None:
    assert published(decide(POD, ovn_pod(bgp="true"), subnet(ready=False))) == {HOST}


def test_pod_ips_with_the_subnet_named_take_its_default() -> None:
    written = network("ovn", "", "ovn-default")

    assert published(decide(POD, pod(annotations=written), subnet(bgp="local"))) == {HOST}


def test_pod_ips_without_a_named_subnet_take_no_subnets_default() -> None:
    assert decide(POD, pod(), subnet(bgp="local")) is None


def test_an_invalid_value_is_noted_although_nobody_asks() -> None:
    outcome = decide(POD, pod(bgp="maybe"))

    assert (published(outcome), excluded(outcome), notes(outcome)) == (set(), {}, [Why.INVALID_ANNOTATION])


def test_an_address_list_that_cannot_be_read_is_noted() -> None:
    broken = pod(annotations={"ovn.kubernetes.io/ip_address": "10.16.0.2,nonsense"}, bgp="true")

    outcome = decide(POD, broken)

    assert (published(outcome), notes(outcome)) == ({HOST}, [Why.INVALID_ANNOTATION])


def test_one_address_on_two_networks_is_decided_once() -> None:
    both = network("ovn", "10.16.0.2") | network("net1.default.ovn", "10.16.0.2", "gone")

    outcome = decide(POD, pod(annotations=both, bgp="true"), subnet())

    assert (published(outcome), excluded(outcome)) == ({HOST}, {})

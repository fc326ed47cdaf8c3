"""Days in the life of a cluster, walked in every way that leads through the same states."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from speaker.model.objects import Change
from speaker.model.prefix import Family
from speaker.routing.locality import EXCLUDE_LABEL
from tests.builders import (
    endpoint,
    ip_object,
    load_balancer,
    namespace,
    network,
    node,
    ovn_pod,
    pod,
    pod_ref,
    service,
    service_ref,
    slice_,
    subnet,
)
from tests.scenarios.states import DELIVERIES, EMPTY, EXPANSIONS, Sequence, expecting, walk

BOTH_NODES = EMPTY.then("two nodes", node("node-1"), node("node-2"))
CIDR = "10.16.0.0/16"
HOST = "10.16.0.2/32"
VIP = "203.0.113.10/32"
CLUSTER_IP = "10.96.0.10/32"


def pod_under_local() -> Sequence:
    """Kube-OVN's first scenario: a Pod on the worker under a Local Subnet comes and goes."""
    local = expecting(BOTH_NODES.then("local Subnet", subnet(bgp="local")), {})
    running = expecting(local.then("Pod on node-2", ovn_pod(node="node-2")), {HOST: "2"})
    deleted = expecting(running.then("deleted", without=(pod_ref(),)), {})
    return (local, running, deleted)


def local_to_cluster() -> Sequence:
    """Kube-OVN's third scenario, with --announce-subnet-pods: Pod and CIDR from both, and back."""
    local = expecting(BOTH_NODES.then("local", subnet(bgp="local"), ovn_pod(node="node-2")), {HOST: "2"})
    cluster = expecting(local.then("cluster", subnet(bgp="cluster")), {HOST: "12", CIDR: "12"})
    again = expecting(cluster.then("local again", subnet(bgp="local")), {HOST: "2"})
    return (local, cluster, again)


def cluster_subnet_without_host_routes() -> Sequence:
    local = expecting(BOTH_NODES.then("local", subnet(bgp="local"), ovn_pod()), {HOST: "1"})
    cluster = expecting(local.then("cluster", subnet(bgp="cluster")), {CIDR: "12"})
    own = expecting(cluster.then("the Pod asks itself", ovn_pod(bgp="local")), {CIDR: "12", HOST: "1"})
    not_ready = expecting(own.then("not ready", subnet(bgp="cluster", ready=False)), {HOST: "1"})
    off = expecting(not_ready.then("off", subnet(bgp="false")), {HOST: "1"})
    return (local, cluster, own, not_ready, off)


def cluster_ip_service() -> Sequence:
    """Kube-OVN's fourth scenario: a ClusterIP, its annotation and its endpoints."""
    plain = expecting(BOTH_NODES.then("Service", service(), slice_("shop", endpoint("node-1"))), {})
    asked = expecting(plain.then("asked", service(bgp="true")), {CLUSTER_IP: "12"})
    idle = expecting(asked.then("no endpoint", slice_("shop")), {})
    back = expecting(idle.then("endpoint elsewhere", slice_("shop", endpoint("node-2"))), {CLUSTER_IP: "12"})
    removed = expecting(back.then("annotation removed", service()), {})
    return (plain, asked, idle, back, removed)


def load_balancer_under_local_traffic() -> Sequence:
    """externalTrafficPolicy Local: the VIP follows the endpoints, also while the last one drains."""
    shop = load_balancer(bgp="true", external_traffic_policy="Local")
    both = slice_("shop", endpoint("node-1"), endpoint("node-2"))
    draining = endpoint("node-1", ready=False, terminating=True)
    start = expecting(BOTH_NODES.then("both", shop, both), {VIP: "12"})
    one_drains = expecting(start.then("one drains", slice_("shop", draining, endpoint("node-2"))), {VIP: "2"})
    last_drains = expecting(one_drains.then("the last drains", slice_("shop", draining)), {VIP: "1"})
    none = expecting(last_drains.then("none", slice_("shop")), {})
    excluded = expecting(
        none.then("node-1 excluded", both, node("node-1", labels={EXCLUDE_LABEL: ""})), {VIP: "2"}
    )
    return (start, one_drains, last_drains, none, excluded)


def shared_address() -> Sequence:
    """Two Services on one VIP: it stays where any of them wants it, until both let go."""
    shop, blog = load_balancer("shop", bgp="local"), load_balancer("blog", bgp="local")
    one = expecting(BOTH_NODES.then("one", shop, slice_("shop", endpoint("node-1"))), {VIP: "1"})
    two = expecting(one.then("two", blog, slice_("blog", endpoint("node-2"))), {VIP: "12"})
    first_gone = expecting(two.then("first gone", without=(service_ref("shop"),)), {VIP: "2"})
    second_off = expecting(first_gone.then("second off", load_balancer("blog", bgp="no")), {})
    return (one, two, first_gone, second_off)


def dual_stack() -> Sequence:
    cidrs = [CIDR, "fd00:16::/64"]
    ips = "10.16.0.2,fd00:16::2"
    pods = expecting(
        BOTH_NODES.then("Pod", subnet(cidrs=cidrs, bgp="local"), ovn_pod(ips=ips)),
        {HOST: "1", "fd00:16::2/128": "1"},
    )
    shop = service(cluster_ips=["10.96.0.10", "fd00:96::10"], bgp="true")
    four = expecting(
        pods.then("IPv4 endpoints", shop, slice_("shop", endpoint("node-1"))),
        {HOST: "1", "fd00:16::2/128": "1", CLUSTER_IP: "12"},
    )
    six = expecting(
        four.then("IPv6 endpoints too", slice_("shop", endpoint("node-2"), family=Family.IPV6)),
        {HOST: "1", "fd00:16::2/128": "1", CLUSTER_IP: "12", "fd00:96::10/128": "12"},
    )
    cluster = expecting(
        six.then("cluster", subnet(cidrs=cidrs, bgp="cluster")),
        {CIDR: "12", "fd00:16::/64": "12", CLUSTER_IP: "12", "fd00:96::10/128": "12"},
    )
    return (pods, four, six, cluster)


def namespace_defaults() -> Sequence:
    crowd = BOTH_NODES.then(
        "Pods",
        pod("a", ["10.0.0.1"]),
        pod("b", ["10.0.0.2"], node="node-2"),
        pod("c", ["10.0.0.3"], bgp="no"),
    )
    quiet = expecting(crowd, {})
    local = expecting(quiet.then("local", namespace(bgp="local")), {"10.0.0.1/32": "1", "10.0.0.2/32": "2"})
    cluster = expecting(
        local.then("cluster", namespace(bgp="cluster")), {"10.0.0.1/32": "12", "10.0.0.2/32": "12"}
    )
    wrong = expecting(cluster.then("nonsense", namespace(bgp="sometimes")), {})
    return (quiet, local, cluster, wrong)


def node_label_and_drain() -> Sequence:
    chosen = {"bgp": "true"}
    both = expecting(
        EMPTY.then("chosen", node("node-1", labels=chosen), node("node-2", labels=chosen), pod(bgp="true")),
        {HOST: "12"},
    )
    unlabelled = expecting(both.then("label off", node("node-1")), {HOST: "2"})
    cordoned = expecting(
        unlabelled.then(
            "cordoned", node("node-1", labels=chosen), node("node-2", labels=chosen, unschedulable=True)
        ),
        {HOST: "1"},
    )
    return (both, unlabelled, cordoned)


def an_address_is_confirmed_late() -> Sequence:
    pending = pod(ips=(), annotations=network(ips="10.16.0.2"), phase="Pending", bgp="true")
    waiting = expecting(BOTH_NODES.then("not confirmed", pending), {})
    known = expecting(waiting.then("Subnet known", subnet()), {})
    confirmed = expecting(known.then("IP object", ip_object()), {HOST: "12"})
    finished = expecting(
        confirmed.then("finished", ovn_pod(bgp="true", phase="Succeeded"), subnet(), ip_object()), {}
    )
    return (waiting, known, confirmed, finished)


def a_pod_takes_over_an_address() -> Sequence:
    """StatefulSet: the new Pod has the old one's address on another node before the old one is gone."""
    old = expecting(BOTH_NODES.then("old", pod("old", bgp="local")), {HOST: "1"})
    both = expecting(old.then("both", pod("new", bgp="local", node="node-2")), {HOST: "12"})
    new = expecting(both.then("new", without=(pod_ref("old"),)), {HOST: "2"})
    return (old, both, new)


SCENARIOS: tuple[tuple[Callable[[], Sequence], dict[str, Any]], ...] = (
    (pod_under_local, {}),
    (local_to_cluster, {"announce_subnet_pods": True}),
    (cluster_subnet_without_host_routes, {}),
    (cluster_ip_service, {"announce_cluster_ip": True}),
    (load_balancer_under_local_traffic, {}),
    (shared_address, {}),
    (dual_stack, {"announce_cluster_ip": True}),
    (namespace_defaults, {}),
    (node_label_and_drain, {"node_label": ("bgp", "true"), "drain_on_cordon": True}),
    (an_address_is_confirmed_late, {}),
    (a_pod_takes_over_an_address, {}),
)


@pytest.mark.parametrize("deliver", DELIVERIES, ids=lambda each: each.__name__)
@pytest.mark.parametrize("expand", EXPANSIONS, ids=lambda each: each.__name__)
@pytest.mark.parametrize(
    ("scenario", "flags"), [pytest.param(*each, id=each[0].__name__) for each in SCENARIOS]
)
def test_scenario(
    scenario: Callable[[], Sequence],
    flags: dict[str, Any],
    expand: Callable[[Sequence], Sequence],
    deliver: Callable[[list[Change]], Iterator[list[Change]]],
) -> None:
    """Whatever the way, the router's table is that of the state."""
    walk(expand(scenario()), deliver, **flags)

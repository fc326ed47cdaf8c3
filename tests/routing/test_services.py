"""The rules for Services."""

from typing import Any

import pytest

from speaker.model.objects import Endpoint, ServiceView, View
from speaker.model.prefix import Family
from speaker.model.publication import ExclusionReason as Why
from speaker.routing.locality import EXCLUDE_LABEL
from tests.builders import (
    NODE,
    OTHER_NODE,
    endpoint,
    load_balancer,
    namespace,
    node,
    service,
    service_ref,
    slice_,
)
from tests.routing.deciding import decide, excluded, notes, published

SHOP = service_ref()
CLUSTER_IP = "10.96.0.10/32"
VIP = "203.0.113.10/32"
EXTERNAL = "198.51.100.7/32"
HERE = slice_("shop", endpoint(NODE))
ELSEWHERE = slice_("shop", endpoint(OTHER_NODE))


@pytest.mark.parametrize("kind", ["ClusterIP", "NodePort", "LoadBalancer"])
def test_cluster_ips_of_every_type_with_the_flag(kind: str) -> None:
    shop = service(type=kind, bgp="true")

    assert published(decide(SHOP, shop, ELSEWHERE, announce_cluster_ip=True)) == {CLUSTER_IP}


def test_cluster_ips_without_the_flag() -> None:
    outcome = decide(SHOP, service(bgp="true"), HERE)

    assert excluded(outcome) == {CLUSTER_IP: Why.ADDRESS_TYPE_NOT_ANNOUNCED}


def test_a_load_balancer_does_not_ask_for_cluster_ips_that_are_off() -> None:
    outcome = decide(SHOP, load_balancer(bgp="true"), HERE)

    assert (published(outcome), excluded(outcome)) == ({VIP}, {})


def test_a_load_balancer_that_names_its_cluster_ips_hears_that_they_are_off() -> None:
    outcome = decide(SHOP, load_balancer(bgp="true", annotations={"bgp-addresses": "cluster"}), HERE)

    assert excluded(outcome) == {CLUSTER_IP: Why.ADDRESS_TYPE_NOT_ANNOUNCED}


def test_load_balancer_addresses_can_be_turned_off() -> None:
    outcome = decide(SHOP, load_balancer(bgp="true"), HERE, announce_lb_ip=False)

    assert excluded(outcome) == {VIP: Why.ADDRESS_TYPE_NOT_ANNOUNCED}


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("", {}), ("VIP", {}), ("Proxy", {VIP: Why.PROXY_IP_MODE})],
)
def test_the_ip_mode(mode: str, expected: dict[str, Why]) -> None:
    shop = load_balancer(ingress=[("203.0.113.10", mode)], bgp="true")

    assert excluded(decide(SHOP, shop, HERE)) == expected


def test_ingress_addresses_left_over_on_another_type_do_not_count() -> None:
    shop = service(ingress=["203.0.113.10"], bgp="true")

    assert published(decide(SHOP, shop, HERE, announce_cluster_ip=True)) == {CLUSTER_IP}


@pytest.mark.parametrize(
    ("addresses", "flag", "expected"),
    [
        pytest.param(None, True, {VIP}, id="never without being named"),
        pytest.param("external", True, {EXTERNAL}, id="named and announced"),
        pytest.param("loadbalancer,external", True, {VIP, EXTERNAL}, id="both named"),
        pytest.param("external", False, set(), id="named, but the flag is off"),
    ],
)
def test_external_ips(addresses: str | None, flag: bool, expected: set[str]) -> None:
    written = {} if addresses is None else {"bgp-addresses": addresses}
    shop = load_balancer(external_ips=["198.51.100.7"], bgp="true", annotations=written)

    outcome = decide(SHOP, shop, HERE, announce_external_ip=flag)

    assert published(outcome) == expected
    assert excluded(outcome) == ({} if expected else {EXTERNAL: Why.ADDRESS_TYPE_NOT_ANNOUNCED})


def test_a_namespace_cannot_name_external_ips_for_its_services() -> None:
    shop = service(external_ips=["198.51.100.7"])
    asking = namespace(bgp="true", annotations={"bgp-addresses": "external"})

    outcome = decide(SHOP, shop, asking, HERE, announce_external_ip=True, announce_cluster_ip=True)

    assert published(outcome) == {CLUSTER_IP}


@pytest.mark.parametrize(
    ("shop", "expected"),
    [
        pytest.param(service(type="ExternalName", cluster_ips=(), bgp="true"), Why.EXTERNAL_NAME, id="name"),
        pytest.param(service(headless=True, cluster_ips=(), bgp="true"), Why.HEADLESS, id="headless"),
        pytest.param(load_balancer(ingress=(), bgp="true"), Why.NO_ADDRESS, id="not allocated yet"),
    ],
)
def test_the_whole_service_is_excluded(shop: ServiceView, expected: Why) -> None:
    assert excluded(decide(SHOP, shop, HERE)) == {None: expected}


@pytest.mark.parametrize(
    ("own", "parent", "expected"),
    [(None, "true", {VIP}), ("false", "true", set()), (None, None, set()), ("yes", "no", {VIP})],
)
def test_precedence(own: str | None, parent: str | None, expected: set[str]) -> None:
    outcome = decide(SHOP, load_balancer(bgp=own), namespace(bgp=parent), HERE)

    assert published(outcome) == expected


READY_HERE = (endpoint(NODE),)
READY_ELSEWHERE = (endpoint(OTHER_NODE),)
NOT_READY = (endpoint(NODE, ready=False, serving=False),)
DRAINING_HERE = (endpoint(NODE, ready=False, terminating=True),)
DRAINING_ELSEWHERE = (endpoint(OTHER_NODE, ready=False, terminating=True),)
DEAD = (endpoint(NODE, ready=False, serving=False, terminating=True),)


@pytest.mark.parametrize(
    ("endpoints", "cluster", "local"),
    [
        pytest.param(READY_HERE, None, None, id="ready here"),
        pytest.param(READY_ELSEWHERE, None, Why.NO_LOCAL_ENDPOINT, id="ready elsewhere"),
        pytest.param(NOT_READY, Why.NO_USABLE_ENDPOINT, Why.NO_USABLE_ENDPOINT, id="not ready"),
        pytest.param((), Why.NO_USABLE_ENDPOINT, Why.NO_USABLE_ENDPOINT, id="none"),
        pytest.param(DRAINING_HERE, None, None, id="serving while terminating, and no other"),
        pytest.param(
            DRAINING_HERE + READY_ELSEWHERE, None, Why.NO_LOCAL_ENDPOINT, id="terminating beside a ready one"
        ),
        pytest.param(DRAINING_ELSEWHERE, None, Why.NO_LOCAL_ENDPOINT, id="terminating elsewhere"),
        pytest.param(DEAD, Why.NO_USABLE_ENDPOINT, Why.NO_USABLE_ENDPOINT, id="terminating, not serving"),
    ],
)
def test_endpoints(endpoints: tuple[Endpoint, ...], cluster: Why | None, local: Why | None) -> None:
    """Ready ones; only if there is none at all, those that serve while terminating."""
    backing = slice_("shop", *endpoints)

    of_cluster = decide(SHOP, load_balancer(bgp="true"), backing)
    of_local = decide(SHOP, load_balancer(bgp="local"), backing)

    assert excluded(of_cluster) == ({VIP: cluster} if cluster else {})
    assert excluded(of_local) == ({VIP: local} if local else {})


@pytest.mark.parametrize(
    ("fields", "cluster_ip", "vip"),
    [
        pytest.param({}, True, True, id="both Cluster"),
        pytest.param({"external_traffic_policy": "Local"}, True, False, id="external Local"),
        pytest.param({"internal_traffic_policy": "Local"}, False, True, id="internal Local"),
    ],
)
def test_the_traffic_policy_forces_local(fields: dict[str, Any], cluster_ip: bool, vip: bool) -> None:
    """Each for its own type of address, whatever the annotation says."""
    outcome = decide(SHOP, load_balancer(bgp="cluster", **fields), ELSEWHERE, announce_cluster_ip=True)

    assert published(outcome) == ({CLUSTER_IP} if cluster_ip else set()) | ({VIP} if vip else set())


def test_endpoints_count_by_family() -> None:
    shop = service(cluster_ips=["10.96.0.10", "fd00:96::10"], bgp="true")
    backing = slice_("shop", endpoint(), family=Family.IPV4)

    outcome = decide(SHOP, shop, backing, announce_cluster_ip=True)

    assert published(outcome) == {CLUSTER_IP}
    assert excluded(outcome) == {"fd00:96::10/128": Why.NO_USABLE_ENDPOINT}


def test_endpoints_of_several_slices_count_together() -> None:
    first = slice_("shop", endpoint(NODE, ready=False, terminating=True), name="shop-1")
    second = slice_("shop", endpoint(OTHER_NODE), name="shop-2")

    assert excluded(decide(SHOP, load_balancer(bgp="local"), first, second)) == {VIP: Why.NO_LOCAL_ENDPOINT}


@pytest.mark.parametrize(
    "backing",
    [
        pytest.param(slice_("shop", endpoint(), family=None), id="FQDN"),
        pytest.param(slice_("", endpoint()), id="of no Service"),
        pytest.param(slice_("shop", endpoint(), namespace="other"), id="of another namespace"),
    ],
)
def test_slices_that_count_for_nothing(backing: View) -> None:
    assert excluded(decide(SHOP, load_balancer(bgp="true"), backing)) == {VIP: Why.NO_USABLE_ENDPOINT}


@pytest.mark.parametrize(("says", "expected"), [("true", {VIP}), ("local", set())])
def test_announce_without_endpoints_opens_the_cluster_policy_only(says: str, expected: set[str]) -> None:
    outcome = decide(SHOP, load_balancer(bgp=says), announce_without_endpoints=True)

    assert published(outcome) == expected


def test_a_node_with_the_exclude_label_keeps_cluster_ips_only() -> None:
    """The label's presence counts, whatever its value."""
    shop = load_balancer(
        external_ips=["198.51.100.7"],
        bgp="true",
        annotations={"bgp-addresses": "cluster,loadbalancer,external"},
    )
    here = node(labels={EXCLUDE_LABEL: "false"})

    outcome = decide(SHOP, shop, HERE, here, announce_cluster_ip=True, announce_external_ip=True)

    assert published(outcome) == {CLUSTER_IP}
    assert excluded(outcome) == {VIP: Why.NODE_EXCLUDED, EXTERNAL: Why.NODE_EXCLUDED}


def test_one_address_of_two_types_is_published_when_either_may() -> None:
    shop = load_balancer(
        ingress=[("203.0.113.10", "Proxy")],
        external_ips=["203.0.113.10"],
        bgp="true",
        annotations={"bgp-addresses": "loadbalancer,external"},
    )

    outcome = decide(SHOP, shop, HERE, announce_external_ip=True)

    assert (published(outcome), excluded(outcome)) == ({VIP}, {})


def test_services_that_share_an_address_publish_it_when_any_wants_it_here() -> None:
    first = load_balancer("shop", bgp="local")
    second = load_balancer("blog", bgp="local")
    views = (first, second, slice_("shop", endpoint(OTHER_NODE)), slice_("blog", endpoint(NODE)))

    assert excluded(decide(SHOP, *views)) == {VIP: Why.NO_LOCAL_ENDPOINT}
    assert published(decide(service_ref("blog"), *views)) == {VIP}


def test_a_wrong_address_type_is_noted_and_the_default_holds() -> None:
    shop = load_balancer(bgp="true", annotations={"bgp-addresses": "everything"})

    outcome = decide(SHOP, shop, HERE)

    assert (published(outcome), notes(outcome)) == ({VIP}, [Why.INVALID_ANNOTATION])

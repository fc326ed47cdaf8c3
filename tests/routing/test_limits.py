"""Limits keep what the oldest objects ask for, whatever the order in which they came."""

from itertools import permutations

import pytest

from speaker.model.objects import View
from speaker.model.publication import ExclusionReason as Why
from speaker.routing.reconcile import Reconciler, reconcile
from tests.builders import changes, gone, host, pod, pod_ref, policy, subnet, subnet_ref
from tests.routing.deciding import excluded, published, texts

PODS = [pod(f"p{n}", [f"10.16.0.{n}"], bgp="true", created_at=n) for n in (1, 2, 3, 4)]


@pytest.mark.parametrize("order", list(permutations(PODS)))
def test_the_oldest_stay(order: tuple[View, ...]) -> None:
    result = reconcile(policy(max_advertised_prefixes=2), host(), order)

    assert texts(result.adj_ribs_out["tor-1"]) == {"10.16.0.1/32", "10.16.0.2/32"}
    assert excluded(result.outcomes[pod_ref("p3")]) == {"10.16.0.3/32": Why.PREFIX_LIMIT}


def test_what_is_sent_stays_when_a_younger_object_comes() -> None:
    reconciler = Reconciler(policy(max_advertised_prefixes=2), host())
    reconciler.apply(changes(*PODS[:2]))
    reconciler.recompute()
    reconciler.take_changes()

    reconciler.apply(changes(*PODS[2:]))
    reconciler.recompute()

    assert reconciler.take_changes() == {}


def test_what_goes_makes_room() -> None:
    reconciler = Reconciler(policy(max_advertised_prefixes=2), host())
    reconciler.apply(changes(*PODS))
    reconciler.recompute()

    reconciler.apply([gone(pod_ref("p1"))])
    reconciler.recompute()

    assert texts(reconciler.adj_rib_out("tor-1")) == {"10.16.0.2/32", "10.16.0.3/32"}
    assert published(reconciler.outcomes()[pod_ref("p3")]) == {"10.16.0.3/32"}


def test_the_limit_of_a_namespace_is_its_own() -> None:
    one = [pod(f"p{n}", [f"10.16.0.{n}"], namespace="one", bgp="true", created_at=n) for n in (1, 2)]
    two = [pod("p", ["10.16.1.1"], namespace="two", bgp="true", created_at=9)]

    result = reconcile(policy(max_prefixes_per_namespace=1), host(), [*one, *two, subnet(bgp="true")])

    assert texts(result.adj_ribs_out["tor-1"]) == {"10.16.0.1/32", "10.16.1.1/32", "10.16.0.0/16"}
    assert excluded(result.outcomes[pod_ref("p2", "one")]) == {"10.16.0.2/32": Why.PREFIX_LIMIT}


def test_cluster_scoped_objects_have_no_namespace_limit() -> None:
    result = reconcile(
        policy(max_prefixes_per_namespace=1),
        host(),
        [subnet(cidrs=["10.1.0.0/16", "10.2.0.0/16"], bgp="true")],
    )

    assert published(result.outcomes[subnet_ref()]) == {"10.1.0.0/16", "10.2.0.0/16"}


def test_what_the_namespace_limit_keeps_back_takes_no_place_of_the_total() -> None:
    crowd = [pod(f"p{n}", [f"10.16.0.{n}"], namespace="crowd", bgp="true", created_at=n) for n in (1, 2, 3)]
    late = pod("late", ["10.16.9.9"], bgp="true", created_at=99)

    result = reconcile(
        policy(max_prefixes_per_namespace=1, max_advertised_prefixes=2), host(), [*crowd, late]
    )

    assert texts(result.adj_ribs_out["tor-1"]) == {"10.16.0.1/32", "10.16.9.9/32"}


def test_an_address_beyond_one_namespaces_limit_goes_out_for_another() -> None:
    filler = pod("filler", ["10.16.0.1"], namespace="full", bgp="true", created_at=1)
    beyond = pod("shared", ["10.16.0.9"], namespace="full", bgp="true", created_at=2)
    other = pod("shared", ["10.16.0.9"], namespace="free", bgp="true", created_at=3)

    result = reconcile(policy(max_prefixes_per_namespace=1), host(), [filler, beyond, other])

    assert excluded(result.outcomes[pod_ref("shared", "full")]) == {"10.16.0.9/32": Why.PREFIX_LIMIT}
    assert published(result.outcomes[pod_ref("shared", "free")]) == {"10.16.0.9/32"}

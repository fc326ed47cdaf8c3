"""The reconciler as its user sees it: what a change brings, in which order, and at what cost."""

from typing import Any

import pytest

from speaker.model.objects import Change, View
from speaker.model.publication import ExclusionReason as Why
from speaker.model.route import Route
from speaker.routing.reconcile import Reconciler
from tests.builders import (
    OTHER_NODE,
    address,
    changes,
    endpoint,
    facts,
    gone,
    host,
    ip_object,
    load_balancer,
    namespace,
    network,
    node,
    ovn_pod,
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
from tests.routing.deciding import published, texts

HOST = prefix("10.16.0.2/32")
VIP = prefix("203.0.113.10/32")
CIDR = prefix("10.16.0.0/16")
TOR = peer_view(peer("tor-1"), session=facts(), source="192.0.2.1")


def loaded(*views: View, **flags: Any) -> Reconciler:
    """A reconciler that has told everything about `views`."""
    reconciler = Reconciler(policy(**flags), host(TOR))
    reconciler.apply(changes(*views))
    reconciler.recompute()
    reconciler.take_changes()
    reconciler.take_explanations()
    return reconciler


def after(reconciler: Reconciler, *happened: Change) -> dict[str, Route | None]:
    """What the peer is to hear differently after some changes."""
    reconciler.apply(happened)
    reconciler.recompute()
    return {str(key): route for key, route in reconciler.take_changes().get("tor-1", {}).items()}


def test_an_annotation_brings_a_route_and_its_removal_takes_it() -> None:
    reconciler = loaded(pod())

    assert after(reconciler, *changes(pod(bgp="true"))) == {str(HOST): Route(HOST, address("192.0.2.1"))}
    assert after(reconciler, *changes(pod())) == {str(HOST): None}


@pytest.mark.parametrize(
    ("views", "happened", "expected"),
    [
        pytest.param([pod(bgp="true")], [gone(pod_ref())], {str(HOST)}, id="the Pod is deleted"),
        pytest.param(
            [pod(bgp="true")], changes(pod(bgp="true", phase="Succeeded")), {str(HOST)}, id="it ends"
        ),
        pytest.param(
            [pod(bgp="local")], changes(pod(bgp="local", node=OTHER_NODE)), {str(HOST)}, id="it moves"
        ),
        pytest.param([pod()], changes(namespace(bgp="true")), {str(HOST)}, id="its Namespace asks"),
        pytest.param([ovn_pod(), subnet()], changes(subnet(bgp="local")), {str(HOST)}, id="its Subnet asks"),
        pytest.param([ovn_pod(bgp="true")], changes(subnet()), {str(HOST)}, id="its Subnet appears"),
        pytest.param(
            [pod(ips=(), annotations=network(ips="10.16.0.2"), bgp="true"), subnet()],
            changes(ip_object()),
            {str(HOST)},
            id="its address is confirmed",
        ),
        pytest.param(
            [load_balancer(bgp="true"), slice_("shop")],
            changes(slice_("shop", endpoint())),
            {str(VIP)},
            id="an endpoint becomes ready",
        ),
        pytest.param(
            [load_balancer(bgp="true"), slice_("shop", endpoint())],
            [gone(slice_("shop").meta.ref)],
            {str(VIP)},
            id="the slice goes",
        ),
        pytest.param(
            [load_balancer(bgp="true"), slice_("shop", endpoint())],
            changes(slice_("blog", endpoint(), name=slice_("shop").meta.ref.name)),
            {str(VIP)},
            id="the slice goes to another Service",
        ),
        pytest.param(
            [pod(bgp="true"), node()],
            changes(node(internal_ips=["192.0.2.77"])),
            set(),
            id="an InternalIP changes that no next hop uses",
        ),
        pytest.param(
            [pod(bgp="true")],
            changes(node(OTHER_NODE), node("node-3", labels={"a": "b"})),
            set(),
            id="other Nodes come",
        ),
    ],
)
def test_a_change_of_any_input_reaches_the_peers(
    views: list[View], happened: list[Change], expected: set[str]
) -> None:
    assert set(after(loaded(*views), *happened)) == expected


def test_the_label_of_this_node_reaches_everything() -> None:
    chosen = node(labels={"bgp": "true"})
    reconciler = loaded(chosen, pod(bgp="true"), subnet(bgp="true"), node_label=("bgp", "true"))

    assert after(reconciler, *changes(node())) == {str(HOST): None, str(CIDR): None}
    assert set(after(reconciler, *changes(chosen))) == {str(HOST), str(CIDR)}


def test_the_same_again_is_no_change() -> None:
    views: list[View] = [
        ovn_pod(bgp="true"),
        subnet(bgp="local"),
        load_balancer(bgp="true"),
        slice_("shop", endpoint()),
    ]

    assert after(loaded(*views), *changes(*views)) == {}


def test_what_goes_and_comes_back_before_it_is_taken_is_no_change() -> None:
    reconciler = loaded(pod(bgp="true"))
    reconciler.apply([gone(pod_ref())])
    reconciler.recompute()

    assert after(reconciler, *changes(pod(bgp="true"))) == {}
    assert not reconciler.has_changes


def test_a_next_hop_that_changes_twice_is_told_once_as_it_is() -> None:
    reconciler = loaded(pod(bgp="true"))
    for hop in ("192.0.2.2", "192.0.2.3"):
        reconciler.set_host(host(peer_view(peer("tor-1"), session=facts(), source=hop)))
        reconciler.recompute()

    assert after(reconciler) == {str(HOST): Route(HOST, address("192.0.2.3"))}


def test_a_subnet_from_local_to_cluster_has_its_cidr_out_before_host_routes_go() -> None:
    reconciler = loaded(ovn_pod(), subnet(bgp="local"))

    told = after(reconciler, *changes(subnet(bgp="cluster")))

    assert [(key, route is None) for key, route in told.items()] == [(str(CIDR), False), (str(HOST), True)]


def test_withdrawals_wait_for_the_end_of_the_recomputation() -> None:
    pods = [ovn_pod(f"p{n}", f"10.16.0.{n}") for n in range(1, 9)]
    reconciler = loaded(*pods, subnet(bgp="local"))
    reconciler.apply(changes(subnet(bgp="cluster")))

    told: list[tuple[str, bool]] = []
    done = False
    while not done:
        done = reconciler.recompute(1)
        told += [
            (str(key), route is None) for key, route in reconciler.take_changes().get("tor-1", {}).items()
        ]

    assert told[0] == (str(CIDR), False)
    assert len(told) == 9


def test_a_limited_take_gives_the_rest_later_withdrawals_last() -> None:
    pods = [ovn_pod(f"p{n}", f"10.16.0.{n}") for n in range(1, 9)]
    reconciler = loaded(*pods, subnet(bgp="local"))
    reconciler.apply(changes(subnet(bgp="cluster", cidrs=["10.16.0.0/16", "10.17.0.0/16"])))
    reconciler.recompute()

    batches = []
    while reconciler.has_changes:
        batches.append([route is None for route in reconciler.take_changes(3)["tor-1"].values()])

    assert [len(batch) for batch in batches] == [3, 3, 3, 1]
    assert [each for batch in batches for each in batch] == [False] * 2 + [True] * 8


def test_a_slice_of_work_reports_that_more_is_left() -> None:
    reconciler = Reconciler(policy(), host(TOR))
    reconciler.apply(changes(*(pod(f"p{n}", [f"10.16.0.{n}"], bgp="true") for n in range(1, 5))))

    assert not reconciler.recompute(2)
    assert not reconciler.is_complete
    assert reconciler.recompute()
    assert len(reconciler.adj_rib_out("tor-1")) == 4


def test_a_slice_ends_when_the_budget_says_so() -> None:
    reconciler = Reconciler(policy(), host(TOR))
    """It is asked after some dozens of steps."""
    reconciler.apply(changes(*(pod(f"web-{number}", bgp="true") for number in range(100))))
    answers = iter([True, False])

    assert not reconciler.recompute(lambda: next(answers))
    assert 0 < len(reconciler.outcomes()) < 100


def test_nothing_to_do_is_done() -> None:
    assert Reconciler(policy(), host(TOR)).recompute(0)


def test_a_peer_that_is_added_hears_everything() -> None:
    reconciler = loaded(pod(bgp="true"))
    second = peer_view(peer("tor-2", "192.0.2.253"), source="192.0.2.1")

    reconciler.set_host(host(TOR, second))
    reconciler.recompute()

    assert {name: texts(told) for name, told in reconciler.take_changes().items()} == {"tor-2": {str(HOST)}}


def test_a_peer_that_is_removed_and_added_again_hears_everything_again() -> None:
    reconciler = loaded(pod(bgp="true"))
    reconciler.set_host(host(peer_view(peer("other", "192.0.2.9"), source="192.0.2.1")))
    reconciler.set_host(host(TOR))
    reconciler.recompute()

    assert texts(reconciler.take_changes()["tor-1"]) == {str(HOST)}


def test_a_peer_that_is_removed_hears_nothing_more() -> None:
    reconciler = loaded(pod(bgp="true"))
    reconciler.set_host(host(peer_view(peer("other", "192.0.2.9"), source="192.0.2.1")))
    reconciler.recompute()

    assert set(reconciler.take_changes()) == {"other"}
    assert reconciler.adj_rib_out("tor-1") == {}


def test_a_new_peers_address_takes_its_host_route_back() -> None:
    reconciler = loaded(pod(ips=["192.0.2.99"], bgp="true"))
    reconciler.set_host(host(TOR, peer_view(peer("thief", "192.0.2.99"), source="192.0.2.1")))

    assert after(reconciler) == {"192.0.2.99/32": None}


def test_the_explanations_of_a_life() -> None:
    reconciler = loaded(pod(), node(labels={"bgp": "true"}), node_label=("bgp", "true"))

    reconciler.apply(changes(pod(bgp="true")))
    reconciler.recompute()
    (came,) = reconciler.take_explanations()
    reconciler.apply(changes(node()))
    reconciler.recompute()
    (stopped,) = reconciler.take_explanations()
    reconciler.apply([gone(pod_ref())])
    reconciler.recompute()
    (left,) = reconciler.take_explanations()

    assert [(str(each.prefix), each.why) for each in came.advertised] == [
        (str(HOST), "Pod annotated cluster")
    ]
    assert [each.exclusion and each.exclusion.reason for each in stopped.withdrawn] == [Why.NODE_NOT_SELECTED]
    assert [each.reason for each in stopped.reported] == [Why.NODE_NOT_SELECTED]
    assert (left.after, left.withdrawn, left.reported) == (None, (), ())
    assert reconciler.take_explanations() == []


def test_a_withdrawal_that_nobody_asks_for_any_more_says_so() -> None:
    reconciler = loaded(pod(bgp="true"))
    reconciler.apply([gone(pod_ref())])
    reconciler.recompute()

    (left,) = reconciler.take_explanations()

    assert [each.why for each in left.withdrawn] == ["nothing asks for it any more"]


def test_the_reason_of_the_whole_object_explains_each_prefix() -> None:
    reconciler = loaded(pod(bgp="true"))
    reconciler.apply(changes(pod(bgp="true", phase="Failed")))
    reconciler.recompute()

    (ended,) = reconciler.take_explanations()

    assert [each.exclusion and each.exclusion.reason for each in ended.withdrawn] == [Why.POD_FINISHED]


def test_who_asks_is_named() -> None:
    reconciler = loaded(
        ovn_pod(), subnet(bgp="local"), load_balancer(), slice_("shop", endpoint()), namespace()
    )
    reconciler.apply(changes(namespace(bgp="true")))
    reconciler.recompute()
    outcomes = reconciler.outcomes()

    assert [each.why for each in outcomes[pod_ref()].publications] == ["Subnet ovn-default annotated local"]
    assert [each.why for each in outcomes[service_ref()].publications] == [
        "Namespace default annotated cluster"
    ]


def test_exclusions_are_counted_by_reason() -> None:
    reconciler = loaded(
        pod("a", ["10.16.0.1"], bgp="local", node=OTHER_NODE),
        pod("b", ["10.16.0.3"], bgp="local", node=OTHER_NODE),
        pod("c", ["127.0.0.1"], bgp="true"),
        load_balancer(bgp="what"),
    )
    before = dict(reconciler.exclusion_counts())
    after(reconciler, gone(pod_ref("a")), gone(pod_ref("c")))

    assert before == {Why.NOT_ON_THIS_NODE: 2, Why.PREFIX_RESERVED: 1, Why.INVALID_ANNOTATION: 1}
    assert reconciler.exclusion_counts() == {Why.NOT_ON_THIS_NODE: 1, Why.INVALID_ANNOTATION: 1}


def test_what_becomes_of_each_object_can_be_read() -> None:
    reconciler = loaded(pod(bgp="true"), subnet(bgp="true"), ovn_pod("quiet", "10.16.0.5"))

    assert {of: published(outcome) for of, outcome in reconciler.outcomes().items()} == {
        pod_ref(): {str(HOST)},
        subnet_ref(): {str(CIDR)},
    }


def steps_of(reconciler: Reconciler, *happened: Change) -> int:
    """How many steps the recomputation of some changes takes."""
    steps = 0
    reconciler.apply(happened)
    while not reconciler.recompute(1):
        steps += 1
    return steps


def test_the_work_of_a_change_does_not_grow_with_what_is_loaded() -> None:
    def crowd(many: int) -> Reconciler:
        pods = [ovn_pod(f"p{n}", f"10.16.{n >> 8}.{n & 255}", namespace="crowd") for n in range(many)]
        return loaded(
            *pods, subnet(bgp="local"), load_balancer(bgp="true"), slice_("shop", endpoint()), node()
        )

    happened = (
        *changes(ovn_pod("new", "10.16.200.1", bgp="true")),
        *changes(slice_("shop")),
        *changes(namespace(bgp="true")),
        *changes(subnet(bgp="local", ready=False)),
        *changes(node(annotations={"bgp": "false"})),
    )

    assert steps_of(crowd(20), *happened) == steps_of(crowd(400), *happened)


def test_who_logs_nothing_is_told_what_is_excluded_only() -> None:
    reconciler = loaded()
    after(reconciler, *changes(pod(bgp="true"), pod("waiting", [], bgp="true")))

    told = reconciler.take_explanations(reports_only=True)

    assert [change.ref for change in told] == [pod_ref("waiting")]
    assert not reconciler.has_explanations

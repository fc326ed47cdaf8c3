"""What each peer hears: selection of peers, attributes, conflicts, and what is noted about them."""

import pytest

from speaker.model.objects import View
from speaker.model.prefix import Family
from speaker.model.publication import ExclusionReason as Why
from speaker.model.route import PathAttributes, Route
from speaker.routing.reconcile import Reconciler, Result, reconcile
from tests.builders import (
    address,
    changes,
    facts,
    host,
    namespace,
    peer,
    peer_view,
    pod,
    pod_ref,
    policy,
    prefix,
    service_ref,
    subnet,
    subnet_ref,
)
from tests.routing.deciding import excluded, notes, published, texts

ALL = frozenset({"communities", "med", "local-preference", "as-path-prepend", "peers"})
V4_ONLY = frozenset({Family.IPV4})
V6_ONLY = frozenset({Family.IPV6})
EBGP = peer_view(peer("ebgp", "192.0.2.254"), session=facts(), source="192.0.2.1")
IBGP = peer_view(peer("ibgp", "192.0.2.253", asn=65000), session=facts(), source="192.0.2.2")
HOST = prefix("10.16.0.2/32")


def permitted(**written: str) -> Result:
    """One Pod with these attribute keys, all permitted, before an eBGP and an iBGP peer."""
    keys = {f"bgp-{name.replace('_', '-')}": text for name, text in written.items()}
    return reconcile(policy(allow_attributes=ALL), host(EBGP, IBGP), [pod(bgp="true", annotations=keys)])


def test_each_peer_has_its_own_next_hop() -> None:
    ribs = permitted().adj_ribs_out

    assert ribs["ebgp"] == {HOST: Route(HOST, address("192.0.2.1"))}
    assert ribs["ibgp"] == {HOST: Route(HOST, address("192.0.2.2"))}


def test_communities_and_med_go_to_every_peer() -> None:
    ribs = permitted(communities="65000:1,65000:1:2", med="7").adj_ribs_out

    expected = PathAttributes(communities=(65000 << 16 | 1,), large_communities=((65000, 1, 2),), med=7)
    assert [rib[HOST].attributes for rib in ribs.values()] == [expected, expected]


def test_local_preference_goes_to_internal_peers_only() -> None:
    result = permitted(local_preference="200")

    assert result.adj_ribs_out["ebgp"][HOST].attributes.local_preference is None
    assert result.adj_ribs_out["ibgp"][HOST].attributes.local_preference == 200


def test_prepend_goes_to_external_peers_only() -> None:
    result = permitted(as_path_prepend="2")

    assert result.adj_ribs_out["ebgp"][HOST].attributes.as_path_prepend == 2
    assert result.adj_ribs_out["ibgp"][HOST].attributes.as_path_prepend == 0


@pytest.mark.parametrize(("key", "at"), [("local_preference", "ebgp"), ("as_path_prepend", "ibgp")])
def test_what_does_not_apply_is_noted_and_the_route_is_sent(key: str, at: str) -> None:
    outcome = permitted(**{key: "2"}).outcomes[pod_ref()]

    assert published(outcome) == {str(HOST)}
    assert [(each.reason, each.peer) for each in outcome.notes] == [(Why.ATTRIBUTE_NOT_APPLICABLE, at)]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("ebgp", {"ebgp"}),
        ("192.0.2.253", {"ibgp"}),
        ("ebgp,192.0.2.253", {"ebgp", "ibgp"}),
        ("ebgp,unknown", {"ebgp"}),
    ],
)
def test_bgp_peers_selects_by_name_or_address(names: str, expected: set[str]) -> None:
    ribs = permitted(peers=names).adj_ribs_out

    assert {name for name, rib in ribs.items() if rib} == expected


def test_bgp_peers_that_names_no_peer_of_ours() -> None:
    outcome = permitted(peers="unknown").outcomes[pod_ref()]

    assert excluded(outcome) == {str(HOST): Why.PEER_NOT_SELECTED}


def test_tenants_set_no_attributes_unless_permitted() -> None:
    keys = {"bgp-med": "1", "bgp-communities": "65000:1", "bgp-peers": "ebgp"}
    views = [pod(bgp="true", annotations=keys)]

    result = reconcile(policy(allow_attributes=frozenset({"med"})), host(EBGP, IBGP), views)

    assert result.adj_ribs_out["ibgp"][HOST].attributes == PathAttributes(med=1)
    assert notes(result.outcomes[pod_ref()]) == [Why.ATTRIBUTE_NOT_ALLOWED, Why.ATTRIBUTE_NOT_ALLOWED]


def test_only_allowed_communities() -> None:
    views = [pod(bgp="true", annotations={"bgp-communities": "65000:1,65000:2,1:2:3"})]
    flags = policy(allow_attributes=ALL, allowed_communities=("65000:1", "no-export"))

    result = reconcile(flags, host(EBGP), views)

    assert result.adj_ribs_out["ebgp"][HOST].attributes.communities == (65000 << 16 | 1,)
    assert "65000:2, 1:2:3" in result.outcomes[pod_ref()].notes[0].detail


def test_administrators_attributes_need_no_permission_and_are_inherited() -> None:
    """Each key by itself: the nearest object that writes it."""
    asking = namespace(bgp="true", annotations={"bgp-communities": "65000:9", "bgp-med": "9"})
    views: list[View] = [asking, pod(annotations={"bgp-med": "1"})]

    result = reconcile(policy(allow_attributes=ALL), host(EBGP), views)

    expected = PathAttributes(communities=(65000 << 16 | 9,), med=1)
    assert result.adj_ribs_out["ebgp"][HOST].attributes == expected


def test_what_a_tenant_may_not_set_leaves_the_parents() -> None:
    asking = namespace(bgp="true", annotations={"bgp-communities": "65000:9"})
    views: list[View] = [asking, pod(annotations={"bgp-communities": "65000:1"})]

    result = reconcile(policy(allow_attributes=ALL, allowed_communities=("65000:2",)), host(EBGP), views)

    assert result.adj_ribs_out["ebgp"][HOST].attributes.communities == (65000 << 16 | 9,)


def test_of_two_objects_the_older_sets_the_attributes() -> None:
    old = pod("old", bgp="true", annotations={"bgp-med": "1"}, created_at=1)
    new = pod("new", bgp="true", annotations={"bgp-med": "2"}, created_at=2)

    result = reconcile(policy(allow_attributes=ALL), host(EBGP), [new, old])

    assert result.adj_ribs_out["ebgp"][HOST].attributes.med == 1
    assert notes(result.outcomes[pod_ref("new")]) == [Why.ATTRIBUTE_CONFLICT]
    assert notes(result.outcomes[pod_ref("old")]) == []


def test_each_peer_hears_the_oldest_object_that_selects_it() -> None:
    old = pod("old", bgp="true", annotations={"bgp-peers": "ebgp", "bgp-med": "1"}, created_at=1)
    new = pod("new", bgp="true", annotations={"bgp-med": "2"}, created_at=2)

    ribs = reconcile(policy(allow_attributes=ALL), host(EBGP, IBGP), [old, new]).adj_ribs_out

    assert {name: rib[HOST].attributes.med for name, rib in ribs.items()} == {"ebgp": 1, "ibgp": 2}


def test_equal_attributes_are_no_conflict() -> None:
    views = [pod("old", bgp="true", created_at=1), pod("new", bgp="true", created_at=2)]

    result = reconcile(policy(), host(EBGP), views)

    assert [notes(each) for each in result.outcomes.values()] == [[], []]


def test_a_prefix_stays_until_both_let_go() -> None:
    first, second = pod("first", bgp="true"), pod("second", bgp="true")
    reconciler = Reconciler(policy(), host(EBGP))
    reconciler.apply(changes(first, second))
    reconciler.recompute()

    reconciler.apply(changes(pod("first")))
    reconciler.recompute()
    after_one = texts(reconciler.adj_rib_out("ebgp"))
    reconciler.apply(changes(pod("second")))
    reconciler.recompute()

    assert after_one == {str(HOST)}
    assert reconciler.adj_rib_out("ebgp") == {}


def test_a_family_that_no_peer_takes() -> None:
    only_v4 = host(peer_view(peer(families=V4_ONLY), source="192.0.2.1"))

    outcome = reconcile(policy(), only_v4, [pod(ips=["10.16.0.2", "fd00::2"], bgp="true")]).outcomes[
        pod_ref()
    ]

    assert published(outcome) == {str(HOST)}
    assert excluded(outcome) == {"fd00::2/128": Why.NO_PEER_FOR_FAMILY}


def test_a_peer_of_the_other_family_is_no_reason_for_a_note() -> None:
    both = host(
        peer_view(peer("v4", families=V4_ONLY), source="192.0.2.1"),
        peer_view(peer("v6", "2001:db8::fe", families=V6_ONLY), source="2001:db8::1"),
    )

    result = reconcile(policy(), both, [pod(ips=["10.16.0.2", "fd00::2"], bgp="true")])

    assert {name: texts(rib) for name, rib in result.adj_ribs_out.items()} == {
        "v4": {str(HOST)},
        "v6": {"fd00::2/128"},
    }
    assert notes(result.outcomes[pod_ref()]) == []


def test_what_the_session_negotiated_counts_over_what_was_offered() -> None:
    narrow = host(peer_view(peer("p"), session=facts(families=V6_ONLY), source="192.0.2.1"))

    outcome = reconcile(policy(), narrow, [pod(bgp="true")]).outcomes[pod_ref()]

    assert excluded(outcome) == {str(HOST): Why.NO_PEER_FOR_FAMILY}


def test_no_next_hop_at_any_peer() -> None:
    outcome = reconcile(policy(), host(peer_view(peer("p"))), [pod(bgp="true")]).outcomes[pod_ref()]

    assert excluded(outcome) == {str(HOST): Why.NO_NEXT_HOP_FOR_FAMILY}


def test_no_next_hop_at_one_of_two_peers_is_a_note() -> None:
    outcome = reconcile(
        policy(), host(EBGP, peer_view(peer("bare", "192.0.2.9"))), [pod(bgp="true")]
    ).outcomes[pod_ref()]

    assert published(outcome) == {str(HOST)}
    assert [(each.reason, each.peer) for each in outcome.notes] == [(Why.NO_NEXT_HOP_FOR_FAMILY, "bare")]


def test_many_peers_make_one_note() -> None:
    bare = [peer_view(peer(f"bare-{n:02}", f"192.0.2.{n}")) for n in range(10, 30)]

    outcome = reconcile(policy(), host(EBGP, *bare), [pod(bgp="true")]).outcomes[pod_ref()]

    assert len(outcome.notes) == 1
    assert outcome.notes[0].peer == ""
    assert outcome.notes[0].detail.endswith("bare-14 and 15 more")


def test_explain_names_every_peer() -> None:
    reconciler = Reconciler(policy(allow_attributes=ALL), host(EBGP, IBGP))
    reconciler.apply(changes(pod(bgp="true", annotations={"bgp-peers": "ebgp"})))
    reconciler.recompute()

    outcome = reconciler.explain(pod_ref())

    assert outcome is not None
    assert [(each.reason, each.peer) for each in outcome.notes] == [(Why.PEER_NOT_SELECTED, "ibgp")]


def test_explain_of_what_does_not_ask() -> None:
    assert Reconciler(policy(), host()).explain(service_ref()) is None


def test_a_peers_own_address_is_never_published() -> None:
    """It would draw the session's own packets to the Pod that claims it."""
    thief = pod(ips=["192.0.2.254"], bgp="true")

    outcome = reconcile(policy(), host(EBGP), [thief]).outcomes[pod_ref()]

    assert excluded(outcome) == {"192.0.2.254/32": Why.PREFIX_RESERVED}


def test_a_subnet_that_holds_a_peers_address_is_published() -> None:
    outcome = reconcile(policy(), host(EBGP), [subnet(cidrs=["192.0.2.0/24"], bgp="true")]).outcomes[
        subnet_ref()
    ]

    assert published(outcome) == {"192.0.2.0/24"}

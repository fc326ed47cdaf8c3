"""What a peer hears in the end: own routes through its rules, then learned ones."""

from speaker.model.fabric import (
    BgpFilter,
    FilterAction,
    FilterOperations,
    FilterRule,
    PrefixAdvertisement,
)
from speaker.model.route import PathAttributes, Route
from speaker.routing.outbound import Outbound
from tests.builders import address, host, prefix
from tests.routing.learning import learned, view

FIRST, SECOND = prefix("10.1.0.0/24"), prefix("10.2.0.0/24")
OWN = Route(FIRST, address("192.0.2.1"))
OTHER = Route(SECOND, address("192.0.2.1"))
REJECTING = BgpFilter(
    name="f", export_v4=(FilterRule(action=FilterAction.REJECT, cidr=prefix("10.2.0.0/16")),)
)
MARKING = BgpFilter(
    name="f",
    export_v4=(FilterRule(action=FilterAction.ACCEPT, operations=FilterOperations(add_communities=(5,))),),
)


def filtered(*rules: BgpFilter) -> Outbound:
    """The peer n1 with these rules for the filter that it names."""
    outbound = Outbound()
    outbound.set_host(host(view(1, filters=("f",))), {each.name: each for each in rules})
    return outbound


def test_own_routes_go_out_and_come_back() -> None:
    outbound = Outbound()

    assert outbound.own("n1", {FIRST: OWN}) == {FIRST: OWN}
    assert outbound.own("n1", {FIRST: None}) == {FIRST: None}
    assert outbound.desired("n1") == {}


def test_an_own_route_stands_for_a_learned_one_where_one_path_is_sent() -> None:
    outbound = Outbound()
    theirs = learned()

    assert outbound.learned("n1", {FIRST: theirs}) == {FIRST: theirs}
    assert outbound.own("n1", {FIRST: OWN}) == {FIRST: OWN}
    assert outbound.learned("n1", {FIRST: None}) == {FIRST: OWN}
    assert outbound.learned("n1", {FIRST: theirs}) == {FIRST: OWN}
    assert outbound.own("n1", {FIRST: None}) == {FIRST: theirs}


def test_an_own_route_stands_first_where_several_paths_are_sent() -> None:
    outbound = Outbound()
    theirs = (learned(path_id=2), learned(next_hop="192.0.2.12", path_id=3))
    outbound.own("n1", {FIRST: OWN})

    several = outbound.learned("n1", {FIRST: theirs})
    one = outbound.learned("n1", {FIRST: theirs[0]})

    ours = Route(FIRST, OWN.next_hop, path_id=1)
    assert several == {FIRST: (ours, *theirs)}
    assert one == {FIRST: (ours, theirs[0])}


def test_own_routes_pass_the_export_filters() -> None:
    outbound = filtered(REJECTING)

    assert outbound.own("n1", {FIRST: OWN, SECOND: OTHER}) == {FIRST: OWN, SECOND: None}


def test_a_filter_that_does_not_exist_accepts_nothing() -> None:
    assert filtered().own("n1", {FIRST: OWN}) == {FIRST: None}


def test_what_is_learned_has_passed_the_filters_already() -> None:
    theirs = learned("10.2.0.0/24")

    assert filtered(REJECTING).learned("n1", {SECOND: theirs}) == {SECOND: theirs}


def test_a_rejected_own_route_leaves_the_learned_one() -> None:
    outbound = filtered(REJECTING)
    theirs = learned("10.2.0.0/24")
    outbound.learned("n1", {SECOND: theirs})

    assert outbound.own("n1", {SECOND: OTHER}) == {SECOND: theirs}


def test_rules_that_change_are_applied_to_what_is_there() -> None:
    outbound = filtered(REJECTING)
    outbound.own("n1", {FIRST: OWN, SECOND: OTHER})
    outbound.take()

    outbound.set_host(host(view(1, filters=("f",))), {"f": MARKING})
    first, second = outbound.take(1), outbound.take(1)

    marked = PathAttributes(communities=(5,))
    assert first == {"n1": {FIRST: Route(FIRST, OWN.next_hop, marked)}}
    assert second == {"n1": {SECOND: Route(SECOND, OTHER.next_hop, marked)}}
    assert not outbound.has_changes


def test_rules_that_stay_change_nothing() -> None:
    outbound = filtered(REJECTING)
    outbound.own("n1", {FIRST: OWN})
    outbound.take()

    outbound.set_host(host(view(1, filters=("f",))), {"f": REJECTING})

    assert outbound.take() == {}


def test_prefix_advertisements_are_for_own_routes_inside() -> None:
    outbound = Outbound()
    entry = PrefixAdvertisement(cidr=prefix("10.1.0.0/16"), attributes=PathAttributes(communities=(7,)))
    outbound.set_host(host(view(1)), {}, (entry,))

    told = outbound.own("n1", {FIRST: OWN, SECOND: OTHER})

    assert told == {FIRST: Route(FIRST, OWN.next_hop, PathAttributes(communities=(7,))), SECOND: OTHER}
    assert outbound.learned("n1", {FIRST: learned()})[FIRST] == told[FIRST]


def test_a_peer_that_is_gone_is_forgotten() -> None:
    outbound = filtered(MARKING)
    outbound.own("n1", {FIRST: OWN})

    outbound.set_host(host(view(2)), {})

    assert outbound.take() == {}
    assert outbound.desired("n1") == {}

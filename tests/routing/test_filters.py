"""BGPFilter rules: what matches, what decides, what changes."""

from dataclasses import replace
from typing import Any

import pytest

from speaker.model.fabric import (
    BgpFilter,
    FilterAction,
    FilterOperations,
    FilterRule,
    MatchOperator,
    PeerType,
    PrefixAdvertisement,
)
from speaker.model.route import Learned, PathAttributes, PathSegment, Route, SegmentType
from speaker.routing.filters import (
    Passage,
    Passed,
    export_route,
    import_route,
    is_inside,
    permits_transit,
    with_advertisements,
)
from tests.builders import address, prefix
from tests.routing.learning import learned, sequence

IBGP, EBGP = Passage(is_ibgp=True), Passage(is_ibgp=False)
OWN = Route(prefix("10.1.0.0/24"), address("192.0.2.1"))


def accept(**fields: Any) -> FilterRule:
    if "cidr" in fields:
        fields["cidr"] = prefix(fields["cidr"])
    return FilterRule(action=FilterAction.ACCEPT, **fields)


def reject(**fields: Any) -> FilterRule:
    if "cidr" in fields:
        fields["cidr"] = prefix(fields["cidr"])
    return FilterRule(action=FilterAction.REJECT, **fields)


def importing(*rules: FilterRule) -> BgpFilter:
    return BgpFilter(name="f", import_v4=rules, import_v6=rules)


def exporting(*rules: FilterRule) -> BgpFilter:
    return BgpFilter(name="f", export_v4=rules, export_v6=rules)


def takes(rule: FilterRule, route: Route, passage: Passage = EBGP) -> bool:
    """Whether the rule matches: it rejects."""
    return import_route([importing(rule)], route, passage) is None


@pytest.mark.parametrize(
    ("fields", "matching", "other"),
    [
        ({}, ["10.0.0.0/8", "fd00::/64"], []),
        ({"cidr": "10.1.0.0/16"}, ["10.1.0.0/16", "10.1.2.0/24"], ["10.0.0.0/8", "10.2.0.0/16"]),
        ({"cidr": "fd00::/48"}, ["fd00::/64"], ["fd01::/64", "10.0.0.0/8"]),
        ({"cidr": "10.1.0.0/16", "prefix_length_min": 24}, ["10.1.2.0/24"], ["10.1.0.0/16"]),
        ({"cidr": "10.1.0.0/16", "prefix_length_max": 23}, ["10.1.0.0/16"], ["10.1.2.0/24"]),
        ({"prefix_length_min": 24, "prefix_length_max": 26}, ["10.1.2.0/25"], ["10.1.0.0/16", "10.0.0.1/32"]),
        (
            {"cidr": "10.1.0.0/16", "match_operator": MatchOperator.NOT_IN},
            ["10.0.0.0/8", "10.2.0.0/16"],
            ["10.1.0.0/16", "10.1.2.0/24"],
        ),
        (
            {"cidr": "10.1.0.0/16", "match_operator": MatchOperator.NOT_IN, "prefix_length_min": 24},
            ["10.1.0.0/16", "10.2.0.0/24"],
            ["10.1.2.0/24"],
        ),
        ({"cidr": "10.1.0.0/16", "match_operator": MatchOperator.EQUAL}, ["10.1.0.0/16"], ["10.1.2.0/24"]),
        (
            {"cidr": "10.1.0.0/16", "match_operator": MatchOperator.NOT_EQUAL},
            ["10.1.2.0/24"],
            ["10.1.0.0/16"],
        ),
    ],
)
def test_conditions_on_the_prefix(fields: dict[str, Any], matching: list[str], other: list[str]) -> None:
    rule = reject(**fields)

    assert [text for text in (*matching, *other) if takes(rule, learned(text))] == matching


@pytest.mark.parametrize(
    ("fields", "attributes", "matches"),
    [
        ({"communities": (1, 2)}, {"communities": (1, 2, 3)}, True),
        ({"communities": (1, 2)}, {"communities": (1,)}, False),
        ({"large_communities": ((1, 2, 3),)}, {"large_communities": ((1, 2, 3),)}, True),
        ({"large_communities": ((1, 2, 3),)}, {}, False),
        ({"as_path_prefix": (1, 2)}, {"path": (1, 2, 3)}, True),
        ({"as_path_prefix": (1, 2)}, {"path": (1,)}, False),
        ({"as_path_prefix": (1, 2)}, {"path": (2, 1)}, False),
        ({"communities": (1,), "as_path_prefix": (1,)}, {"communities": (1,)}, False),
    ],
)
def test_conditions_on_attributes(fields: dict[str, Any], attributes: dict[str, Any], matches: bool) -> None:
    assert takes(reject(**fields), learned(**attributes)) is matches


def test_an_as_path_prefix_goes_over_segments_and_ends_at_a_set() -> None:
    path = (*sequence(1), *sequence(2), PathSegment(SegmentType.AS_SET, (3,)))
    route = Route(OWN.prefix, OWN.next_hop, PathAttributes(learned=Learned(as_path=path)))

    assert takes(reject(as_path_prefix=(1, 2)), route)
    assert not takes(reject(as_path_prefix=(1, 2, 3)), route)


def test_the_peer_type() -> None:
    rule = reject(peer_type=PeerType.IBGP)

    assert takes(rule, learned(), IBGP)
    assert not takes(rule, learned(), EBGP)


def test_remote_peers_means_learned_routes() -> None:
    rules = [exporting(reject(remote_peers=True))]

    assert export_route(rules, learned(), EBGP).route is None
    assert export_route(rules, OWN, Passage(is_ibgp=False, learned=False)).route == OWN


def test_the_first_matching_rule_decides() -> None:
    first = importing(accept(cidr="10.1.0.0/16"), reject())

    assert import_route([first], learned("10.1.2.0/24"), EBGP) == learned("10.1.2.0/24")
    assert import_route([first], learned("10.2.0.0/24"), EBGP) is None


def test_what_no_rule_matches_is_accepted() -> None:
    assert import_route([importing(reject(cidr="10.9.0.0/16"))], learned(), EBGP) == learned()
    assert import_route([], learned(), EBGP) == learned()


def test_a_later_filter_may_still_reject() -> None:
    accepts = importing(accept(operations=FilterOperations(set_med=1)))

    assert import_route([accepts, importing(reject())], learned(), EBGP) is None


def test_filters_without_a_matching_rule_pass_the_route_on() -> None:
    silent = importing(accept(cidr="10.9.0.0/16", operations=FilterOperations(set_med=1)))
    speaking = importing(accept(operations=FilterOperations(set_med=2)))

    found = import_route([silent, speaking], learned(), EBGP)

    assert found is not None
    assert found.attributes.med == 2


def test_operations() -> None:
    operations = FilterOperations(
        add_communities=(1,), add_large_communities=((1, 1, 1),), set_local_preference=300, set_med=7
    )

    found = import_route(
        [importing(accept(operations=operations))], learned(communities=(1, 2), path=(5,)), EBGP
    )

    assert found == learned(
        communities=(1, 2), large_communities=((1, 1, 1),), local_preference=300, med=7, path=(5,)
    )


def test_routes_that_shared_their_attributes_share_what_operations_make_of_them() -> None:
    """A full table has them once, not once for each prefix."""
    rules = [importing(accept(operations=FilterOperations(set_med=1, add_communities=(7,))))]
    one = learned("10.1.0.0/24", communities=(5,))
    other = one._replace(prefix=prefix("10.2.0.0/24"), path_id=3)

    first, second = (import_route(rules, each, EBGP) for each in (one, other))

    assert first is not None
    assert second == first._replace(prefix=other.prefix, path_id=3)
    assert second.attributes is first.attributes


def test_a_med_that_is_set_to_what_was_received_is_ours() -> None:
    """Else it would be left out toward another AS, as a received one is."""
    received = learned(med=7)
    attributes = replace(received.attributes, learned=Learned(med=7))
    filters = [exporting(accept(operations=FilterOperations(set_med=7)))]

    found = export_route(filters, received._replace(attributes=attributes), EBGP).route

    assert found is not None
    assert found.attributes.med == 7
    assert found.attributes.learned == Learned()


def test_prepending_is_for_external_peers() -> None:
    """The first stands outermost; our own AS number comes before it when the route is sent."""
    filters = [exporting(accept(operations=FilterOperations(prepend_as_path=(7, 8))))]

    assert export_route(filters, learned(path=(9,)), EBGP).route == learned(path=(7, 8, 9))
    assert export_route(filters, learned(path=(9,)), IBGP).route == learned(path=(9,))


def test_prepending_an_own_route() -> None:
    filters = [exporting(accept(operations=FilterOperations(prepend_as_path=(7,))))]

    found = export_route(filters, OWN, Passage(is_ibgp=False, learned=False)).route

    assert found is not None
    assert found.attributes.learned == Learned(as_path=sequence(7))


def test_a_full_segment_gets_another_before_it() -> None:
    full = tuple(range(1, 256))
    filters = [exporting(accept(operations=FilterOperations(prepend_as_path=(7,))))]

    found = export_route(filters, learned(path=full), EBGP).route

    assert found is not None
    assert found.attributes.learned == Learned(as_path=(*sequence(7), *sequence(*full)))


def test_a_rule_for_remote_peers_permits_transit() -> None:
    permitting = exporting(accept(cidr="10.1.0.0/16", remote_peers=True))

    assert permits_transit([permitting])
    assert export_route([permitting], learned("10.1.2.0/24"), EBGP).permitted
    assert not export_route([permitting], learned("10.2.0.0/24"), EBGP).permitted


def test_no_other_rule_permits_transit() -> None:
    assert not permits_transit([exporting(accept(), reject(remote_peers=True))])
    assert export_route([exporting(accept())], learned(), EBGP) == Passed(learned())


def test_directions_and_families_have_rules_of_their_own() -> None:
    only_v6 = BgpFilter(name="f", import_v6=(reject(),))

    assert import_route([only_v6], learned(), EBGP) == learned()
    assert import_route([only_v6], learned("fd00::/64", "2001:db8::1"), EBGP) is None
    assert export_route([importing(reject())], learned(), EBGP).route == learned()


def test_prefix_advertisements_add_communities() -> None:
    wide = PrefixAdvertisement(cidr=prefix("10.0.0.0/8"), attributes=PathAttributes(communities=(5,)))
    narrow = PrefixAdvertisement(
        cidr=prefix("10.1.0.0/16"), attributes=PathAttributes(large_communities=((1, 2, 3),))
    )
    elsewhere = PrefixAdvertisement(cidr=prefix("10.2.0.0/16"), attributes=PathAttributes(communities=(6,)))

    found = with_advertisements(OWN, [wide, narrow, elsewhere])

    assert found.attributes == PathAttributes(communities=(5,), large_communities=((1, 2, 3),))
    assert with_advertisements(OWN, [elsewhere]) is OWN


def test_inside_means_equal_or_a_part() -> None:
    assert is_inside(prefix("10.0.0.0/8"), prefix("10.0.0.0/8"))
    assert is_inside(prefix("10.1.0.0/16"), prefix("0.0.0.0/0"))
    assert not is_inside(prefix("0.0.0.0/0"), prefix("10.0.0.0/8"))
    assert not is_inside(prefix("::/0"), prefix("0.0.0.0/0"))

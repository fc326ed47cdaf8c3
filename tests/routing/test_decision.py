"""The decision process, rule by rule (RFC 4271 §9.1.2.2, RFC 4456 §9, RFC 9494 §4.3, RFC 8326 §4)."""

from ipaddress import IPv4Address
from typing import Any

import pytest

from speaker.model.route import Learned, Origin, PathAttributes, PathSegment, Route, SegmentType
from speaker.routing.decision import (
    GRACEFUL_SHUTDOWN,
    LLGR_STALE,
    MULTIPATH_MOST,
    RULE_SENTENCES,
    Contender,
    Rule,
    as_path_length,
    decide,
)
from tests.builders import address, prefix
from tests.routing.learning import sequence

PREFIX = prefix("10.1.0.0/24")


def contender(
    number: int = 1,
    *,
    path: tuple[PathSegment, ...] = (),
    origin: Origin = Origin.IGP,
    clusters: int = 0,
    originator: str | None = None,
    next_hop: str | None = None,
    router_id: str | None = None,
    is_ibgp: bool = True,
    distance: int = 0,
    path_id: int = 0,
    at: str | None = None,
    **attributes: Any,
) -> Contender:
    """A path from 192.0.2.<number>, which is its next hop and router ID as well."""
    own = f"192.0.2.{number}"
    more = Learned(
        as_path=path,
        origin=origin,
        originator_id=None if originator is None else IPv4Address(originator),
        cluster_list=(IPv4Address("10.0.0.1"),) * clusters,
    )
    return Contender(
        route=Route(PREFIX, address(next_hop or own), PathAttributes(learned=more, **attributes), path_id),
        is_ibgp=is_ibgp,
        router_id=IPv4Address(router_id or own),
        peer=f"n{number}",
        address=address(at or own),
        distance=distance,
    )


def rules(*contenders: Contender) -> list[Rule]:
    """What decided about each, in the order given."""
    found = decide(contenders)
    by_index = dict(zip(found.order, found.rules, strict=True))
    return [by_index[index] for index in range(len(contenders))]


@pytest.mark.parametrize(
    ("better", "worse", "rule"),
    [
        ({}, {"communities": (LLGR_STALE,), "local_preference": 900}, Rule.LONG_LIVED_STALE),
        ({"local_preference": 101}, {"local_preference": 99}, Rule.LOCAL_PREFERENCE),
        ({}, {"local_preference": 99}, Rule.LOCAL_PREFERENCE),
        ({"local_preference": 1}, {"communities": (GRACEFUL_SHUTDOWN,)}, Rule.LOCAL_PREFERENCE),
        ({"path": sequence(1)}, {"path": sequence(1, 2)}, Rule.AS_PATH_LENGTH),
        ({"origin": Origin.IGP}, {"origin": Origin.EGP}, Rule.ORIGIN),
        ({"origin": Origin.EGP}, {"origin": Origin.INCOMPLETE}, Rule.ORIGIN),
        ({"path": sequence(1), "med": 3}, {"path": sequence(1), "med": 4}, Rule.MULTI_EXIT_DISC),
        ({"path": sequence(1)}, {"path": sequence(1), "med": 1}, Rule.MULTI_EXIT_DISC),
        ({"is_ibgp": False}, {"is_ibgp": True}, Rule.EXTERNAL),
        ({"distance": 0}, {"distance": 1}, Rule.INTERIOR_COST),
        ({"distance": 1}, {"distance": 2}, Rule.INTERIOR_COST),
    ],
)
def test_each_rule_decides(better: dict[str, Any], worse: dict[str, Any], rule: Rule) -> None:
    """Although what comes after it speaks for the other."""
    good, bad = contender(2, clusters=1, **better), contender(1, **worse)

    assert rules(good, bad) == [Rule.BEST, rule]
    assert rules(bad, good) == [rule, Rule.BEST]


@pytest.mark.parametrize(
    ("better", "worse", "rule"),
    [
        ({"clusters": 1}, {"clusters": 2, "originator": "10.0.0.1"}, Rule.CLUSTER_LIST_LENGTH),
        ({"originator": "10.0.0.1"}, {"originator": "10.0.0.2"}, Rule.ROUTER_ID),
        ({"router_id": "10.0.0.1"}, {"originator": "10.0.0.2"}, Rule.ROUTER_ID),
        ({"originator": "10.0.0.1", "at": "192.0.2.7"}, {"originator": "10.0.0.1"}, Rule.PEER_ADDRESS),
    ],
)
def test_paths_over_one_next_hop_have_an_order(
    better: dict[str, Any], worse: dict[str, Any], rule: Rule
) -> None:
    """They are as good as each other, but packets go one way."""
    good, bad = contender(3, next_hop="192.0.2.9", **better), contender(8, next_hop="192.0.2.9", **worse)

    assert rules(good, bad) == [Rule.BEST, rule]
    assert rules(bad, good) == [rule, Rule.BEST]


def test_of_two_paths_of_one_peer_the_lower_path_identifier_comes_first() -> None:
    assert rules(contender(next_hop="192.0.2.9", path_id=2), contender(next_hop="192.0.2.9", path_id=1)) == [
        Rule.PATH_ID,
        Rule.BEST,
    ]


def test_equal_paths_are_used_together() -> None:
    found = decide([contender(2), contender(1)])

    assert found.rules == (Rule.BEST, Rule.MULTIPATH)
    assert found.order == (1, 0)
    assert found.next_hops == (address("192.0.2.1"), address("192.0.2.2"))


def test_next_hops_do_not_change_when_the_paths_change_places() -> None:
    one = decide([contender(1), contender(2)])
    other = decide([contender(1, router_id="192.0.2.99"), contender(2)])

    assert one.order != other.order
    assert one.next_hops == other.next_hops


def test_so_many_next_hops_and_no_more() -> None:
    found = decide([contender(number) for number in range(1, MULTIPATH_MOST + 3)])

    assert len(found.next_hops) == MULTIPATH_MOST
    assert found.rules[-2:] == (Rule.MULTIPATH_LIMIT, Rule.MULTIPATH_LIMIT)


def test_med_of_different_ases_is_not_compared() -> None:
    assert rules(contender(1, path=sequence(1), med=9), contender(2, path=sequence(2), med=1)) == [
        Rule.BEST,
        Rule.MULTIPATH,
    ]


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)])
def test_med_does_not_depend_on_the_order(order: tuple[int, ...]) -> None:
    """The example that has no answer where paths are compared two by two: MED is settled first."""
    paths = [
        contender(1, path=sequence(1), med=2, distance=0),
        contender(2, path=sequence(2), med=0, distance=1),
        contender(3, path=sequence(1), med=1, distance=2),
    ]

    found = decide([paths[index] for index in order])

    assert [order[index] for index in found.order] == [1, 2, 0]
    assert found.rules == (Rule.BEST, Rule.INTERIOR_COST, Rule.MULTI_EXIT_DISC)


def test_a_path_that_begins_with_a_set_has_no_neighbouring_as() -> None:
    hidden = (PathSegment(SegmentType.AS_SET, (1, 2)),)

    assert rules(contender(1, path=hidden, med=9), contender(2, path=sequence(1), med=1)) == [
        Rule.BEST,
        Rule.MULTIPATH,
    ]


def test_the_length_of_a_path() -> None:
    path = (
        PathSegment(SegmentType.AS_CONFED_SEQUENCE, (1, 2, 3)),
        PathSegment(SegmentType.AS_SEQUENCE, (4, 5)),
        PathSegment(SegmentType.AS_SET, (6, 7, 8)),
        PathSegment(SegmentType.AS_CONFED_SET, (9,)),
    )

    assert as_path_length(path) == 3


def test_every_rule_has_a_sentence() -> None:
    assert set(RULE_SENTENCES) == set(Rule)

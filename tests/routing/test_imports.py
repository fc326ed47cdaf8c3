"""Which received routes may be used: prefixes, loops, next hops (RFC 4271 §9.1.1, RFC 4456 §8)."""

from typing import Any

import pytest

from speaker.model.policy import PeerView
from speaker.model.prefix import Family
from speaker.model.route import Route
from speaker.routing.decision import Rule
from speaker.routing.imports import ImportPolicy, PrefixSet
from tests.builders import prefix
from tests.routing.learning import (
    CLUSTER_ID,
    OWN_ASN,
    external,
    forwarding,
    hear,
    learned,
    rib,
    rules,
    view,
)

POD_CIDR = "10.1.0.0/24"
N1, N2 = "192.0.2.11", "192.0.2.12"


@pytest.mark.parametrize(
    ("destination", "rule"),
    [
        ("10.1.0.0/24", Rule.BEST),
        ("10.0.0.0/8", Rule.BEST),
        ("10.16.1.0/25", Rule.OWN_PREFIX),
        ("10.16.1.0/24", Rule.OWN_PREFIX),
        ("10.16.0.0/16", Rule.BEST),
        ("172.16.0.0/16", Rule.PREFIX_NOT_ALLOWED),
        ("0.0.0.0/0", Rule.PREFIX_NOT_ALLOWED),
        ("8.0.0.0/6", Rule.PREFIX_NOT_ALLOWED),
        ("127.0.0.0/8", Rule.PREFIX_RESERVED),
        ("169.254.1.0/24", Rule.PREFIX_RESERVED),
        ("224.0.0.0/24", Rule.PREFIX_RESERVED),
        ("fd00:1::/64", Rule.BEST),
        ("fe80::/64", Rule.PREFIX_RESERVED),
        ("2001:db8::/32", Rule.PREFIX_NOT_ALLOWED),
    ],
)
def test_which_prefixes_are_learned(destination: str, rule: Rule) -> None:
    loc_rib = rib(view(1), own=["10.16.1.0/24"])

    hear(loc_rib, 1, learned(destination))

    assert rules(loc_rib, destination) == {"n1": rule}


@pytest.mark.parametrize("destination", ["0.0.0.0/0", "172.16.0.0/16", "::/0", "127.0.0.1/32"])
def test_a_range_of_everything_allows_the_default_route_but_nothing_reserved(destination: str) -> None:
    loc_rib = rib(view(1))
    loc_rib.set_import(ImportPolicy(ranges=(prefix("0.0.0.0/0"), prefix("::/0"))))

    hear(loc_rib, 1, learned(destination))

    expected = Rule.PREFIX_RESERVED if destination == "127.0.0.1/32" else Rule.BEST
    assert rules(loc_rib, destination) == {"n1": expected}


@pytest.mark.parametrize(
    ("of", "route", "rule"),
    [
        (view(1, imports=False), learned(), Rule.NOT_IMPORTED),
        (external(1), learned(path=(64999, OWN_ASN)), Rule.AS_LOOP),
        (external(1, allowed_local_asns=1), learned(path=(64999, OWN_ASN)), Rule.BEST),
        (external(1, allowed_local_asns=1), learned(path=(OWN_ASN, 64999, OWN_ASN)), Rule.AS_LOOP),
        (view(1), learned(originator="192.0.2.1"), Rule.REFLECTION_LOOP),
        (view(1, cluster_id=CLUSTER_ID), learned(clusters=[str(CLUSTER_ID)]), Rule.REFLECTION_LOOP),
        (view(1), learned(clusters=[str(CLUSTER_ID)]), Rule.BEST),
        (view(1, filters=("absent",)), learned(), Rule.FILTER_UNKNOWN),
        (view(1), learned(next_hop="192.0.2.1"), Rule.OWN_NEXT_HOP),
        (view(1), learned(next_hop="192.0.2.99"), Rule.NEXT_HOP_UNREACHABLE),
    ],
)
def test_which_paths_are_eligible(of: PeerView, route: Route, rule: Rule) -> None:
    loc_rib = rib(of)

    hear(loc_rib, 1, route)

    assert rules(loc_rib) == {"n1": rule}
    assert loc_rib.counts[Family.IPV4] == (rule is Rule.BEST)


def test_local_preference_of_an_external_peer_counts_for_nothing() -> None:
    loc_rib = rib(external(1), external(2))

    hear(loc_rib, 1, learned(path=(64999,), local_preference=900))
    hear(loc_rib, 2, learned(next_hop=N2, path=(64999,)))

    assert forwarding(loc_rib) == {POD_CIDR: (N1, N2)}


@pytest.mark.parametrize(
    ("asked", "inside"),
    [
        ("10.0.0.0/8", False),
        ("10.1.0.0/16", True),
        ("10.1.255.255/32", True),
        ("10.2.0.0/16", False),
        ("64.0.0.0/3", True),
        ("70.0.0.0/8", True),
        ("96.0.0.0/8", False),
        ("fd00::1/128", True),
    ],
)
def test_a_set_of_prefixes(asked: str, inside: bool) -> None:
    members: Any = [prefix(text) for text in ("10.1.0.0/16", "64.0.0.0/3", "fd00::/16")]

    assert (prefix(asked) in PrefixSet(members)) is inside

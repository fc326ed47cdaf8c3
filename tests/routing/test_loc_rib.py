"""Learned routes: what is imported, what is chosen, and how that is told to the kernel."""

from typing import Any

import pytest

from speaker.model.fabric import BgpFilter, FilterAction, FilterOperations, FilterRule
from speaker.model.fib import UNREACHABLE
from speaker.model.policy import PeerView
from speaker.model.prefix import Family
from speaker.model.route import PrefixPath, Route
from speaker.routing.decision import Rule
from speaker.routing.imports import ImportPolicy, PrefixSet
from speaker.routing.loc_rib import LocRib
from tests.builders import address, host, prefix
from tests.routing.learning import (
    BY_DEFAULT,
    CLUSTER_ID,
    OWN_ASN,
    external,
    forwarding,
    hear,
    learned,
    lose,
    rib,
    view,
    without_session,
)

POD_CIDR = "10.1.0.0/24"
N1, N2, N3 = "192.0.2.11", "192.0.2.12", "192.0.2.13"


def rules(loc_rib: LocRib, destination: str = POD_CIDR) -> dict[str, Rule]:
    """What decided about the path of each peer."""
    return {each.peer: each.rule for each in loc_rib.paths(prefix(destination))}


def test_a_learned_route_goes_to_the_kernel_and_leaves_it() -> None:
    loc_rib = rib(view(1))

    hear(loc_rib, 1, learned())
    came = forwarding(loc_rib)
    lose(loc_rib, 1, POD_CIDR)

    assert came == {POD_CIDR: (N1,)}
    assert forwarding(loc_rib) == {POD_CIDR: None}
    assert loc_rib.prefixes == ()


def test_what_comes_and_goes_in_between_is_no_change() -> None:
    loc_rib = rib(view(1))

    hear(loc_rib, 1, learned())
    lose(loc_rib, 1, POD_CIDR)

    assert forwarding(loc_rib) == {}
    assert not loc_rib.has_changes


def test_equal_paths_share_the_traffic() -> None:
    loc_rib = rib(view(1), view(2))

    hear(loc_rib, 2, learned(next_hop=N2))
    hear(loc_rib, 1, learned(next_hop=N1))

    assert forwarding(loc_rib) == {POD_CIDR: (N1, N2)}
    assert rules(loc_rib) == {"n1": Rule.BEST, "n2": Rule.MULTIPATH}


def test_a_better_path_takes_over() -> None:
    loc_rib = rib(view(1), view(2))

    hear(loc_rib, 1, learned())
    hear(loc_rib, 2, learned(next_hop=N2, local_preference=200))

    assert forwarding(loc_rib) == {POD_CIDR: (N2,)}
    assert rules(loc_rib) == {"n2": Rule.BEST, "n1": Rule.LOCAL_PREFERENCE}


def test_a_route_replaces_the_earlier_one_of_its_peer() -> None:
    loc_rib = rib(view(1))

    hear(loc_rib, 1, learned())
    hear(loc_rib, 1, learned(next_hop=N3))

    assert forwarding(loc_rib) == {POD_CIDR: (N3,)}
    assert loc_rib.next_hops == {address(N3)}


def test_several_paths_of_one_peer() -> None:
    loc_rib = rib(view(1))

    hear(loc_rib, 1, learned(path_id=1), learned(next_hop=N2, path_id=2))
    both = forwarding(loc_rib)
    loc_rib.received("n1", (), [PrefixPath(prefix(POD_CIDR), 1)])
    loc_rib.recompute()

    assert both == {POD_CIDR: (N1, N2)}
    assert forwarding(loc_rib) == {POD_CIDR: (N2,)}


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


def filtering(*rules_: FilterRule) -> dict[str, BgpFilter]:
    return {"f": BgpFilter(name="f", import_v4=rules_)}


def test_an_import_filter_changes_what_is_chosen() -> None:
    rule = FilterRule(action=FilterAction.ACCEPT, operations=FilterOperations(set_local_preference=200))
    loc_rib = rib(external(1), external(2, filters=("f",)), filters=filtering(rule))

    hear(loc_rib, 1, learned(path=(64999,)))
    hear(loc_rib, 2, learned(next_hop=N2, path=(64999,)))

    assert rules(loc_rib) == {"n2": Rule.BEST, "n1": Rule.LOCAL_PREFERENCE}


def test_a_filter_that_changes_is_applied_to_what_is_there() -> None:
    loc_rib = rib(view(1, filters=("f",)), filters=filtering())
    hear(loc_rib, 1, learned())
    before = forwarding(loc_rib)

    loc_rib.set_import(
        ImportPolicy(
            ranges=(prefix("10.0.0.0/8"),), filters=filtering(FilterRule(action=FilterAction.REJECT))
        )
    )
    loc_rib.recompute()

    assert before == {POD_CIDR: (N1,)}
    assert forwarding(loc_rib) == {POD_CIDR: None}
    assert rules(loc_rib) == {"n1": Rule.FILTER_REJECTED}


def test_a_range_that_changes_reaches_what_is_inside_and_nothing_else() -> None:
    loc_rib = rib(view(1))
    loc_rib.set_import(ImportPolicy(ranges=(prefix("10.1.0.0/16"),)))
    hear(loc_rib, 1, learned(), learned("10.2.0.0/24"))
    before = forwarding(loc_rib)

    loc_rib.set_import(ImportPolicy(ranges=(prefix("10.2.0.0/16"),)))
    loc_rib.recompute()

    assert before == {POD_CIDR: (N1,)}
    assert forwarding(loc_rib) == {"10.2.0.0/24": (N1,), POD_CIDR: None}


def test_ranges_that_change_twice_before_all_is_decided() -> None:
    loc_rib = rib(view(1))
    hear(loc_rib, 1, learned(), learned("10.2.0.0/24"))
    forwarding(loc_rib)

    loc_rib.set_import(ImportPolicy(ranges=(prefix("10.2.0.0/16"),)))
    loc_rib.set_import(ImportPolicy(ranges=(prefix("10.2.0.0/16"), prefix("10.3.0.0/16"))))
    loc_rib.recompute()

    assert forwarding(loc_rib) == {POD_CIDR: None}


def test_a_prefix_that_is_allowed_again_follows_its_next_hop_again() -> None:
    loc_rib = rib(view(1))
    allowed = ImportPolicy(ranges=(prefix("10.0.0.0/8"),))
    hear(loc_rib, 1, learned())
    loc_rib.set_import(ImportPolicy())
    loc_rib.recompute()
    unused = loc_rib.next_hops
    loc_rib.forget_unused_next_hops()

    loc_rib.set_import(allowed)
    loc_rib.recompute()
    loc_rib.set_resolutions({address(N1): BY_DEFAULT})
    loc_rib.recompute()

    assert unused == frozenset()
    assert loc_rib.next_hops == {address(N1)}
    assert rules(loc_rib) == {"n1": Rule.BEST}


def test_a_next_hop_that_goes_away_takes_its_paths_along() -> None:
    loc_rib = rib(view(1), view(2))
    hear(loc_rib, 1, learned(), learned("10.2.0.0/24"))
    hear(loc_rib, 2, learned(next_hop=N2))
    forwarding(loc_rib)

    loc_rib.set_resolutions({address(N1): UNREACHABLE})
    loc_rib.recompute()

    assert forwarding(loc_rib) == {POD_CIDR: (N2,), "10.2.0.0/24": None}


def test_a_nearer_next_hop_is_better() -> None:
    loc_rib = rib(view(1), view(2))
    hear(loc_rib, 1, learned())
    hear(loc_rib, 2, learned(next_hop=N2))

    loc_rib.set_resolutions({address(N1): BY_DEFAULT})
    loc_rib.recompute()

    assert forwarding(loc_rib) == {POD_CIDR: (N2,)}
    assert rules(loc_rib) == {"n2": Rule.BEST, "n1": Rule.INTERIOR_COST}


def test_a_next_hop_that_comes_back_at_once_keeps_its_resolution() -> None:
    loc_rib = rib(view(1))
    hear(loc_rib, 1, learned())
    lose(loc_rib, 1, POD_CIDR)

    hear(loc_rib, 1, learned())

    assert forwarding(loc_rib) == {POD_CIDR: (N1,)}


def test_only_prefixes_over_a_changed_next_hop_are_decided_again() -> None:
    loc_rib = rib(view(1), view(2))
    hear(loc_rib, 1, learned())
    hear(loc_rib, 2, *(learned(f"10.2.{number}.0/24", N2) for number in range(50)))

    loc_rib.set_resolutions({address(N1): UNREACHABLE})

    assert loc_rib.recompute(1)


def test_routes_stay_while_their_peer_restarts() -> None:
    loc_rib = rib(view(1))
    hear(loc_rib, 1, learned())
    forwarding(loc_rib)

    loc_rib.set_host(host(without_session(view(1))))
    loc_rib.recompute()

    assert forwarding(loc_rib) == {}
    assert rules(loc_rib) == {"n1": Rule.BEST}


def test_a_peer_that_is_gone_loses_its_routes() -> None:
    loc_rib = rib(view(1), view(2))
    hear(loc_rib, 1, learned(), learned("10.2.0.0/24"))
    hear(loc_rib, 2, learned(next_hop=N2))
    forwarding(loc_rib)

    loc_rib.set_host(host(view(2)))
    loc_rib.recompute()

    assert forwarding(loc_rib) == {POD_CIDR: (N2,), "10.2.0.0/24": None}


def test_what_a_removed_peer_still_says_is_ignored() -> None:
    loc_rib = rib(view(2))

    hear(loc_rib, 1, learned())

    assert loc_rib.prefixes == ()


def test_imports_that_are_turned_off_at_run_time() -> None:
    loc_rib = rib(view(1))
    hear(loc_rib, 1, learned())
    forwarding(loc_rib)

    loc_rib.set_host(host(view(1, imports=False)))
    loc_rib.recompute()

    assert forwarding(loc_rib) == {POD_CIDR: None}


def test_a_next_hop_that_becomes_our_own_address() -> None:
    loc_rib = rib(view(1))
    hear(loc_rib, 1, learned())
    forwarding(loc_rib)

    loc_rib.set_host(host(view(1), node_ips=[N1]))
    loc_rib.recompute()

    assert forwarding(loc_rib) == {POD_CIDR: None}
    assert rules(loc_rib) == {"n1": Rule.OWN_NEXT_HOP}


def test_removals_wait_until_all_is_decided() -> None:
    loc_rib = rib(view(1))
    hear(loc_rib, 1, learned())
    forwarding(loc_rib)
    loc_rib.received("n1", [learned("10.2.0.0/24")], [PrefixPath(prefix(POD_CIDR))])

    loc_rib.recompute(1)
    early = forwarding(loc_rib)
    loc_rib.recompute()

    assert early == {}
    assert list(forwarding(loc_rib).items()) == [("10.2.0.0/24", (N1,)), (POD_CIDR, None)]


def test_changes_are_taken_in_portions() -> None:
    loc_rib = rib(view(1))
    hear(loc_rib, 1, *(learned(f"10.2.{number}.0/24") for number in range(5)))

    portions = [len(loc_rib.take_fib(2)) for _ in range(3)]

    assert portions == [2, 2, 1]
    assert not loc_rib.has_changes


def test_what_would_be_lost_without_some_peers() -> None:
    loc_rib = rib(view(1), view(2), view(3))
    hear(loc_rib, 1, learned(), learned("10.2.0.0/24"), learned("172.16.0.0/24"))
    hear(loc_rib, 2, learned(next_hop=N2), learned("10.3.0.0/24", N2))

    def lost(*names: str) -> list[str]:
        return [str(each) for each in loc_rib.lost_without(frozenset(names))]

    assert lost("n1") == ["10.2.0.0/24"]
    assert lost("n1", "n2") == [POD_CIDR, "10.2.0.0/24", "10.3.0.0/24"]
    assert lost("n3", "unknown") == []


def test_a_path_that_is_not_eligible_saves_nothing() -> None:
    loc_rib = rib(view(1), view(2))
    hear(loc_rib, 1, learned())
    hear(loc_rib, 2, learned(next_hop="192.0.2.99"))

    assert loc_rib.lost_without(frozenset({"n1"})) == (prefix(POD_CIDR),)


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

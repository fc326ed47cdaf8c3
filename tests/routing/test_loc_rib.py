"""Learned routes: what is imported, what is chosen, and how that is told to the kernel."""

from ipaddress import IPv4Address

from speaker.model.fabric import BgpFilter, FilterAction, FilterOperations, FilterRule
from speaker.model.fib import UNREACHABLE
from speaker.model.route import PrefixPath
from speaker.routing.decision import Rule
from speaker.routing.imports import ImportPolicy
from tests.builders import address, host, prefix
from tests.routing.learning import (
    BY_DEFAULT,
    external,
    forwarding,
    hear,
    learned,
    lose,
    rib,
    rules,
    view,
    without_session,
)

POD_CIDR = "10.1.0.0/24"
N1, N2, N3 = "192.0.2.11", "192.0.2.12", "192.0.2.13"


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


def test_a_next_hop_that_nobody_has_looked_up_takes_nothing_away() -> None:
    """Until the kernel has said whether it is reachable, packets go on as before."""
    unknown = "192.0.2.77"
    loc_rib = rib(view(1))
    hear(loc_rib, 1, learned())
    forwarding(loc_rib)

    hear(loc_rib, 1, learned(next_hop=unknown))
    meanwhile = forwarding(loc_rib)
    asked = loc_rib.next_hops
    loc_rib.set_resolutions({address(unknown): BY_DEFAULT})
    loc_rib.recompute()

    assert meanwhile == {}
    assert asked == {address(unknown)}
    assert forwarding(loc_rib) == {POD_CIDR: (unknown,)}


def test_a_next_hop_that_proves_unreachable_takes_its_route_away() -> None:
    unknown = "192.0.2.77"
    loc_rib = rib(view(1))
    hear(loc_rib, 1, learned())
    hear(loc_rib, 1, learned(next_hop=unknown))
    forwarding(loc_rib)

    loc_rib.set_resolutions({address(unknown): UNREACHABLE})
    loc_rib.recompute()

    assert forwarding(loc_rib) == {POD_CIDR: None}


def test_the_routes_of_a_peer_that_is_gone_go_whatever_is_unknown() -> None:
    unknown = "192.0.2.77"
    loc_rib = rib(view(1), view(2))
    hear(loc_rib, 1, learned())
    forwarding(loc_rib)
    hear(loc_rib, 2, learned(next_hop=unknown))

    loc_rib.set_host(host(view(2)))
    loc_rib.recompute()

    assert forwarding(loc_rib) == {POD_CIDR: None}


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


def test_what_holds_a_prefix_is_found_once_it_was_taken() -> None:
    loc_rib = rib(view(1))
    hear(loc_rib, 1, learned("10.2.0.0/16"), learned("10.3.4.0/24"), learned("fd00:1::/64"))
    texts = ("10.2.0.0/16", "10.2.9.0/24", "10.3.0.0/16", "fd00:1::7/128", "fd00:2::/64")

    def reached() -> list[str]:
        return [text for text in texts if loc_rib.reaches(prefix(text))]

    assert reached() == []
    forwarding(loc_rib)
    assert reached() == ["10.2.0.0/16", "10.2.9.0/24", "fd00:1::7/128"]
    lose(loc_rib, 1, "10.2.0.0/16", "fd00:1::/64")
    forwarding(loc_rib)
    assert reached() == []


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


def test_what_another_cluster_id_would_make_a_loop_of() -> None:
    """RFC 4456 §8: a path that was reflected under what is to become our CLUSTER_ID."""
    loc_rib = rib(view(1), view(2))
    hear(loc_rib, 1, learned(clusters=["10.0.0.9"]), learned("10.2.0.0/24", clusters=["10.0.0.9"]))
    hear(loc_rib, 2, learned(next_hop=N2), learned("10.3.0.0/24", N2))

    assert loc_rib.lost_under(IPv4Address("10.0.0.9")) == (prefix("10.2.0.0/24"),)
    assert loc_rib.lost_under(IPv4Address("10.0.0.8")) == ()

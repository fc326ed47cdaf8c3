"""What goes on to other peers: reflection (RFC 4456), several paths (RFC 7911), and no transit."""

from ipaddress import IPv4Address
from typing import Any

import pytest

from speaker.model.fabric import BgpFilter, FilterAction, FilterOperations, FilterRule
from speaker.model.peer import NextHopMode, Role
from speaker.model.policy import PeerView
from speaker.model.route import Paths, PrefixPath, Route
from speaker.routing.decision import LLGR_STALE
from speaker.routing.imports import ImportPolicy
from tests.builders import host, prefix
from tests.routing.learning import (
    CLUSTER_ID,
    client,
    external,
    hear,
    learned,
    lose,
    non_client,
    rib,
    told,
    view,
    without_session,
)

POD_CIDR = "10.1.0.0/24"
N1, N2 = "192.0.2.11", "192.0.2.12"
CLUSTER = str(CLUSTER_ID)
EXPORT_ALL = BgpFilter(
    name="transit",
    export_v4=(FilterRule(action=FilterAction.ACCEPT, remote_peers=True),),
    export_v6=(FilterRule(action=FilterAction.ACCEPT, remote_peers=True),),
)


def reflected(next_hop: str = N1, originator: str = N1, **fields: Any) -> Route:
    """A route that has passed us."""
    return learned(next_hop=next_hop, originator=originator, clusters=[CLUSTER], **fields)


def hearers(*views: PeerView, route: Route | None = None) -> set[str]:
    """Who hears what n1 advertises."""
    loc_rib = rib(*views)
    hear(loc_rib, 1, route or learned())
    return set(told(loc_rib))


def test_a_clients_route_goes_to_all_others() -> None:
    assert hearers(client(1), client(2), non_client(3)) == {"n2", "n3"}


def test_a_non_clients_route_goes_to_clients_only() -> None:
    assert hearers(non_client(1), client(2), non_client(3)) == {"n2"}


def test_without_a_cluster_id_nothing_is_reflected() -> None:
    assert hearers(view(1, client=True), view(2, client=True), view(3)) == set()


def test_what_reflection_adds() -> None:
    loc_rib = rib(client(1), client(2))

    hear(loc_rib, 1, learned(local_preference=50, med=7, communities=(1,), path=(9,)))

    expected = reflected(local_preference=50, med=7, communities=(1,), path=(9,))
    assert told(loc_rib) == {"n2": {POD_CIDR: expected}}


def test_an_originator_that_is_there_stays() -> None:
    loc_rib = rib(client(1), client(2))

    hear(loc_rib, 1, learned(originator="10.0.0.9", clusters=["10.0.0.8"]))

    expected = learned(originator="10.0.0.9", clusters=[CLUSTER, "10.0.0.8"])
    assert told(loc_rib) == {"n2": {POD_CIDR: expected}}


def test_a_route_does_not_go_back_to_its_originator() -> None:
    loc_rib = rib(non_client(1), client(2), client(3))

    hear(loc_rib, 1, learned(next_hop=N2, originator=N2))

    assert set(told(loc_rib)) == {"n3"}


def test_what_is_not_imported_is_not_reflected() -> None:
    assert hearers(client(1), client(2), route=learned("172.16.0.0/16")) == set()
    assert hearers(client(1, imports=False), client(2)) == set()
    assert hearers(client(1), client(2), route=learned(next_hop="192.0.2.99")) == set()


def test_external_internal_peers_are_reflected_to_as_nodes_are() -> None:
    assert hearers(client(1, node="node-1"), client(2, node="node-2"), client(3)) == {"n2", "n3"}


def test_the_best_path_alone_is_reflected_and_not_to_its_sender() -> None:
    loc_rib = rib(client(1), client(2), client(3))

    hear(loc_rib, 1, learned())
    hear(loc_rib, 2, learned(next_hop=N2))

    assert told(loc_rib) == {"n2": {POD_CIDR: reflected()}, "n3": {POD_CIDR: reflected()}}


def test_another_path_becomes_the_best() -> None:
    loc_rib = rib(client(1), client(2), client(3))
    hear(loc_rib, 1, learned())
    hear(loc_rib, 2, learned(next_hop=N2))
    told(loc_rib)

    lose(loc_rib, 1, POD_CIDR)

    theirs = reflected(N2, N2)
    assert told(loc_rib) == {"n1": {POD_CIDR: theirs}, "n2": {POD_CIDR: None}, "n3": {POD_CIDR: theirs}}


def test_the_same_path_from_another_peer_changes_only_who_does_not_hear_it() -> None:
    loc_rib = rib(client(1), client(2), client(3))
    theirs = learned(next_hop="192.0.2.19", originator="10.0.0.9")
    hear(loc_rib, 1, theirs)
    hear(loc_rib, 2, theirs)
    told(loc_rib)

    lose(loc_rib, 1, POD_CIDR)

    passed_on = learned(next_hop="192.0.2.19", originator="10.0.0.9", clusters=[CLUSTER])
    assert told(loc_rib) == {"n1": {POD_CIDR: passed_on}, "n2": {POD_CIDR: None}}


def test_a_peer_that_turns_out_to_be_the_originator() -> None:
    """Its BGP Identifier is known only once its session is established."""
    loc_rib = rib(client(1), without_session(client(2)))
    hear(loc_rib, 1, learned(originator=N2))
    before = told(loc_rib)

    loc_rib.set_host(host(client(1), client(2)))
    loc_rib.recompute()

    assert set(before) == {"n2"}
    assert told(loc_rib) == {"n2": {POD_CIDR: None}}


def next_hops(paths: Paths | None) -> dict[int, str]:
    """Several paths as their Path Identifiers and next hops."""
    several = () if paths is None else (paths,) if isinstance(paths, Route) else paths
    return {path.path_id: str(path.next_hop) for path in several}


def test_with_add_path_all_eligible_paths_go_out() -> None:
    loc_rib = rib(client(1, add_path=True), client(2, add_path=True), client(3, add_path=True))

    hear(loc_rib, 1, learned())
    hear(loc_rib, 2, learned(next_hop=N2, local_preference=50))

    found = told(loc_rib)
    assert list(next_hops(found["n3"][POD_CIDR]).values()) == [N1, N2]
    assert list(next_hops(found["n1"][POD_CIDR]).values()) == [N2]
    assert list(next_hops(found["n2"][POD_CIDR]).values()) == [N1]


def test_path_identifiers_stay_as_long_as_the_paths_do() -> None:
    loc_rib = rib(client(1), client(2), client(3), client(4, add_path=True))
    hear(loc_rib, 1, learned())
    hear(loc_rib, 2, learned(next_hop=N2))
    before = next_hops(told(loc_rib)["n4"][POD_CIDR])

    lose(loc_rib, 1, POD_CIDR)
    hear(loc_rib, 3, learned(next_hop="192.0.2.13", local_preference=900))
    hear(loc_rib, 2, learned(next_hop=N2, med=1))

    after = next_hops(told(loc_rib)["n4"][POD_CIDR])
    assert {number for number, hop in before.items() if hop == N2} == {
        number for number, hop in after.items() if hop == N2
    }
    assert min({*before, *after}) > 1, "1 stands for an own route"
    assert len(after) == 2


def test_two_paths_of_one_peer_have_identifiers_of_their_own() -> None:
    loc_rib = rib(client(1), client(2, add_path=True))

    hear(loc_rib, 1, learned(path_id=7), learned(next_hop=N2, path_id=8))

    assert len(next_hops(told(loc_rib)["n2"][POD_CIDR])) == 2


def test_a_peer_that_joins_hears_everything() -> None:
    loc_rib = rib(client(1), client(2))
    hear(loc_rib, 1, learned())
    told(loc_rib)

    loc_rib.set_host(host(client(1), client(2), client(3)))
    loc_rib.recompute()

    assert told(loc_rib) == {"n3": {POD_CIDR: reflected()}}


def test_a_peer_that_was_removed_in_between_hears_everything_again() -> None:
    loc_rib = rib(client(1), client(2))
    hear(loc_rib, 1, learned())
    told(loc_rib)

    loc_rib.set_host(host(client(1)))
    loc_rib.recompute()
    loc_rib.set_host(host(client(1), client(2)))
    loc_rib.recompute()

    assert told(loc_rib) == {"n2": {POD_CIDR: reflected()}}


def test_sessions_that_end_change_nothing() -> None:
    """The sender may be restarting, and the hearer's table is ready for its next session."""
    loc_rib = rib(client(1, add_path=True), client(2, add_path=True))
    hear(loc_rib, 1, learned())
    told(loc_rib)

    loc_rib.set_host(host(without_session(client(1)), without_session(client(2))))
    loc_rib.recompute()

    assert told(loc_rib) == {}


def test_a_peer_that_becomes_a_client() -> None:
    loc_rib = rib(non_client(1), non_client(2))
    hear(loc_rib, 1, learned())

    loc_rib.set_host(host(non_client(1), client(2)))
    loc_rib.recompute()
    became = told(loc_rib)
    loc_rib.set_host(host(non_client(1), non_client(2)))
    loc_rib.recompute()

    assert became == {"n2": {POD_CIDR: reflected()}}
    assert told(loc_rib) == {"n2": {POD_CIDR: None}}


def test_an_own_cluster_id_that_changes_is_told() -> None:
    loc_rib = rib(client(1), client(2))
    hear(loc_rib, 1, learned())
    told(loc_rib)
    other = IPv4Address("10.0.0.77")

    loc_rib.set_host(host(view(1, client=True, cluster_id=other), view(2, client=True, cluster_id=other)))
    loc_rib.recompute()

    assert told(loc_rib) == {"n2": {POD_CIDR: learned(originator=N1, clusters=[str(other)])}}


def test_withdrawals_wait_until_all_is_decided() -> None:
    loc_rib = rib(client(1), client(2))
    hear(loc_rib, 1, learned())
    told(loc_rib)
    loc_rib.received("n1", [learned("10.2.0.0/24")], [PrefixPath(prefix(POD_CIDR))])

    loc_rib.recompute(1)
    early = told(loc_rib)
    loc_rib.recompute()

    assert early == {}
    assert list(told(loc_rib)["n2"]) == ["10.2.0.0/24", POD_CIDR]


@pytest.mark.parametrize(
    ("mode", "expected"),
    [(NextHopMode.AUTO, N1), (NextHopMode.KEEP, N1), (NextHopMode.SELF, "192.0.2.1")],
)
def test_the_next_hop_inside_the_as(mode: NextHopMode, expected: str) -> None:
    loc_rib = rib(client(1), client(2, next_hop_mode=mode))

    hear(loc_rib, 1, learned())

    assert told(loc_rib) == {"n2": {POD_CIDR: reflected(expected)}}


# -- transit -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sender", "hearer"),
    [(external(1), view(2)), (external(1), external(2)), (view(1), external(2)), (external(1), client(2))],
)
def test_there_is_no_transit_unless_a_filter_accepts_it(sender: PeerView, hearer: PeerView) -> None:
    assert hearers(sender, hearer) == set()


def permitted(sender: PeerView, hearer: PeerView, route: Route) -> Paths | None:
    """What n2 hears where its filter accepts routes of remote peers."""
    loc_rib = rib(sender, hearer, filters={"transit": EXPORT_ALL})
    hear(loc_rib, 1, route)
    return told(loc_rib).get("n2", {}).get(str(route.prefix))


def test_transit_to_an_external_peer() -> None:
    """RFC 4271 §5.1.3 to §5.1.5: our next hop, no MED of another AS, no LOCAL_PREF."""
    to = external(2, asn=64998, filters=("transit",))

    found = permitted(view(1), to, learned(local_preference=50, med=7, path=(9,), communities=(1,)))

    assert found == learned(next_hop="192.0.2.1", path=(9,), communities=(1,))


def test_transit_to_an_external_peer_with_the_next_hop_kept() -> None:
    to = external(2, filters=("transit",), next_hop_mode=NextHopMode.KEEP)

    assert permitted(view(1), to, learned()) == learned()


def test_transit_from_an_external_to_an_internal_peer() -> None:
    route = learned(path=(64999,), med=7)

    assert permitted(external(1), view(2, filters=("transit",)), route) == route


def test_internal_routes_go_to_no_internal_peer_whatever_a_filter_says() -> None:
    """RFC 4271 §9.2: only a route reflector does that."""
    assert permitted(view(1), view(2, filters=("transit",)), learned()) is None


def test_an_export_filter_applies_to_reflection_too() -> None:
    rules = (
        FilterRule(action=FilterAction.REJECT, cidr=prefix("10.2.0.0/16")),
        FilterRule(action=FilterAction.ACCEPT, operations=FilterOperations(add_communities=(5,))),
    )
    loc_rib = rib(client(1), client(2, filters=("f",)), filters={"f": BgpFilter(name="f", export_v4=rules)})

    hear(loc_rib, 1, learned(), learned("10.2.0.0/24"))

    assert told(loc_rib) == {"n2": {POD_CIDR: reflected(communities=(5,))}}


def test_a_filter_that_changes_is_told() -> None:
    loc_rib = rib(client(1), client(2, filters=("f",)), filters={"f": BgpFilter(name="f")})
    hear(loc_rib, 1, learned())
    told(loc_rib)
    rejecting = BgpFilter(name="f", export_v4=(FilterRule(action=FilterAction.REJECT),))

    loc_rib.set_import(ImportPolicy(ranges=(prefix("10.0.0.0/8"),), filters={"f": rejecting}))
    loc_rib.recompute()

    assert told(loc_rib) == {"n2": {POD_CIDR: None}}


@pytest.mark.parametrize(
    ("community", "inside", "outside"),
    [
        (0xFFFFFF01, True, False),
        (0xFFFFFF02, False, False),
        (0xFFFFFF03, True, False),
        (LLGR_STALE, False, False),
    ],
)
def test_well_known_communities_hold_routes_back(community: int, inside: bool, outside: bool) -> None:
    route = learned(communities=(community,))

    reached = hearers(client(1), client(2), route=route)

    assert (reached == {"n2"}) is inside
    assert (permitted(view(1), external(2, filters=("transit",)), route) is not None) is outside


@pytest.mark.parametrize(
    ("role", "hears"),
    [(Role.CUSTOMER, False), (Role.PEER, False), (Role.ROUTE_SERVER_CLIENT, False), (Role.PROVIDER, True)],
)
def test_only_to_customer(role: Role, hears: bool) -> None:
    """RFC 9234 §5: a route that is marked goes down, never up or across."""
    route = learned(only_to_customer=64999)

    found = permitted(external(1), external(2, filters=("transit",), role=role), route)

    assert (found is not None) is hears


def test_where_we_have_no_next_hop_nothing_goes_on() -> None:
    assert permitted(view(1), external(2, filters=("transit",)), learned("fd00:1::/64")) is None

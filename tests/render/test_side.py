"""A router's side as values: who is a neighbour, in which group, and what cannot be written."""

from collections.abc import Iterable, Mapping
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from speaker.errors import UsageError
from speaker.fabric.render.formats import FORMATS
from speaker.fabric.render.gathering import router_side
from speaker.fabric.render.names import password_variable, plain
from speaker.fabric.render.side import Asked, Group, RouterSide
from speaker.model.fabric import BgpConfiguration, BgpPeer, FabricNode, SecretKeyRef, SourceAddress
from speaker.model.prefix import Family
from tests.fabric.clusters import bgp_peer, by_name, cluster, fabric_node, plan

ROUTER = "10.9.0.1"
POD_RANGE = ip_network("10.128.0.0/16")
SETTINGS = BgpConfiguration()


def router(
    nodes: Mapping[str, FabricNode],
    *peers: BgpPeer,
    address: str = ROUTER,
    ranges: Iterable[str] = (),
    pods: Iterable[str] = ("10.128.0.0/16",),
    accepted: Iterable[str] = (),
    configuration: BgpConfiguration = SETTINGS,
    **fields: Any,
) -> RouterSide:
    asked = Asked(
        addresses=(ip_address(address),),
        ranges=tuple(map(ip_network, ranges)),
        accepted=tuple(map(ip_network, accepted)),
        **fields,
    )
    return router_side(plan(nodes, configuration, *peers), map(ip_network, pods), asked)


def peer(name: str = "tor", **fields: Any) -> BgpPeer:
    return bgp_peer(name, **{"peer_ip": ROUTER, "as_number": 65000} | fields)


def members(group: Group) -> dict[str, str]:
    return {member.node: str(member.address) for member in group.members}


# -- neighbours ----------------------------------------------------------------------------------------


def test_every_node_of_a_bgp_peer_is_a_neighbour_with_the_address_that_it_calls_from() -> None:
    side = router(cluster(2), peer())

    (group,) = side.groups
    assert members(group) == {"node1": "10.0.0.1", "node2": "10.0.0.2"}
    assert (side.as_number, group.terms.node_as, group.terms.is_internal) == (65000, 64512, False)


def test_nodes_that_run_no_speaker_are_no_neighbours() -> None:
    (group,) = router(by_name(fabric_node(1), fabric_node(2, is_speaker=False)), peer()).groups

    assert list(members(group)) == ["node1"]


def test_nodes_with_other_as_numbers_are_other_groups() -> None:
    side = router(by_name(fabric_node(1, as_number=65001), fabric_node(2, as_number=65002)), peer())

    assert [group.name for group in side.groups] == ["tor-as65001-ipv4", "tor-as65002-ipv4"]
    assert side.has_many_as_numbers


def test_the_as_number_of_a_node_is_the_one_that_it_opens_with() -> None:
    (group,) = router(cluster(1), peer(local_as_number=65111)).groups

    assert group.terms.node_as == 65111


def test_without_an_as_number_the_router_is_in_that_of_the_nodes() -> None:
    side = router(cluster(1), peer(as_number=None))

    assert side.as_number == 64512
    assert side.groups[0].terms.is_internal


def test_of_two_bgp_peers_for_one_node_the_older_counts() -> None:
    older, younger = peer("old", as_number=65000), peer("new", as_number=65001, created_at=1.0)
    side = router(cluster(1), older, younger)

    assert [group.peer for group in side.groups] == ["old"]


def test_a_router_with_two_as_numbers_is_asked_about() -> None:
    one, other = peer("one", node="node1"), peer("other", node="node2", as_number=65009)
    with pytest.raises(UsageError, match=r"different AS numbers \(65000, 65009\): choose one with --as"):
        router(cluster(2), one, other)

    side = router(cluster(2), one, other, as_number=65009)
    assert [members(group) for group in side.groups] == [{"node2": "10.0.0.2"}]


def test_the_name_of_a_group_does_not_change_when_a_node_joins() -> None:
    before, after = router(cluster(1), peer()), router(cluster(2), peer())

    assert [group.name for group in before.groups] == [group.name for group in after.groups]


@pytest.mark.parametrize("form", FORMATS)
def test_a_node_that_joins_adds_lines_and_changes_none(form: str) -> None:
    before, after = (FORMATS[form](router(cluster(count), peer(num_allowed_local_as_numbers=1)))
                     for count in (2, 3))  # fmt: skip

    lines = iter(after.splitlines())
    assert all(line in lines for line in before.splitlines())


def test_a_node_that_waits_is_called_where_it_listens() -> None:
    (group,) = router(cluster(1), peer(passive=True), configuration=BgpConfiguration(listen_port=1790)).groups

    assert group.terms.dialled_port == 1790


def test_ttl_security_leaves_no_room_for_a_number_of_hops() -> None:
    (group,) = router(cluster(1), peer(ttl_security=2)).groups

    assert (group.terms.ttl_security_hops, group.terms.multihop_ttl) == (2, None)


def test_multihop_means_nothing_inside_an_as() -> None:
    (group,) = router(cluster(1), peer(as_number=64512, ebgp_multihop=5)).groups

    assert group.terms.multihop_ttl is None


def test_a_session_carries_what_the_speaker_offers_on_it() -> None:
    """With one router of IPv4 it carries both families; with another of IPv6 each its own."""
    alone = router(cluster(1), peer())
    beside = router(cluster(1), peer(), bgp_peer("six", peer_ip="fd00::99", as_number=65000))

    assert alone.groups[0].terms.families == (Family.IPV4, Family.IPV6)
    assert beside.groups[0].terms.families == (Family.IPV4,)


# -- what is not known here ----------------------------------------------------------------------------


def test_a_node_whose_kernel_chooses_the_address_is_noted() -> None:
    side = router(cluster(1), peer(source_address=SourceAddress.NONE))

    assert members(side.groups[0]) == {"node1": "10.0.0.1"}
    assert side.notes[0].startswith("node1: their kernel chooses the address that they call from")


def test_nodes_without_an_address_of_the_family_are_noted() -> None:
    side = router(by_name(fabric_node(1), fabric_node(2, addresses=["fd00::2"])), peer())

    assert list(members(side.groups[0])) == ["node1"]
    assert side.notes[0].startswith("node2: the address that they call from is not known here")


def test_a_link_local_router_cannot_be_written() -> None:
    with pytest.raises(UsageError, match="node1: the address that they call from is not known here"):
        router(cluster(1), peer(peer_ip="fe80::1%eth0"), address="fe80::1%eth0")


def test_nodes_of_one_as_behind_another_are_noted() -> None:
    assert "numAllowedLocalASNumbers in BGPPeer tor" in router(cluster(2), peer()).notes[0]
    assert router(cluster(2), peer(num_allowed_local_as_numbers=1)).notes == ()


def test_a_router_that_no_bgp_peer_leads_to_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(UsageError, match=r"no BGPPeer leads from a Node to 10\.9\.0\.2; .* 10\.9\.0\.1"):
        router(cluster(1), peer(), address="10.9.0.2")
    with pytest.raises(UsageError, match="none leads to any router"):
        router(cluster(1))


# -- ranges --------------------------------------------------------------------------------------------


def test_a_range_stands_for_the_nodes_in_it() -> None:
    (group,) = router(cluster(3), peer(), ranges=["10.0.0.0/31"]).groups

    assert list(members(group)) == ["node2", "node3"]
    assert group.ranges == (ip_network("10.0.0.0/31"),)


def test_a_range_without_a_node_yet_belongs_to_the_only_group() -> None:
    (group,) = router(cluster(1), peer(), ranges=["10.7.0.0/24"]).groups

    assert group.ranges == (ip_network("10.7.0.0/24"),)


def test_a_range_over_nodes_of_which_not_the_same_holds_is_refused() -> None:
    nodes = by_name(fabric_node(1, as_number=65001), fabric_node(2, as_number=65002))
    with pytest.raises(UsageError, match=r"not the same holds .*tor-as65001-ipv4, tor-as65002-ipv4"):
        router(nodes, peer(), ranges=["10.0.0.0/24"])


def test_a_range_cannot_call_nodes_that_wait() -> None:
    with pytest.raises(UsageError, match=r"the Nodes wait for the router \(passive in BGPPeer tor\)"):
        router(cluster(1), peer(passive=True), ranges=["10.0.0.0/24"])


def test_a_range_of_a_family_without_sessions_is_refused() -> None:
    with pytest.raises(UsageError, match="no BGPPeer makes sessions over ipv6 with this router"):
        router(cluster(1), peer(), ranges=["fd00::/64"])


# -- what is accepted ----------------------------------------------------------------------------------


def test_accepted_are_the_pod_ranges_and_what_is_named_none_inside_another() -> None:
    side = router(
        cluster(1), peer(), pods=["10.128.1.0/24", "fd00:1::/64", "10.128.2.0/24"], accepted=["10.128.0.0/16"]
    )

    assert [str(each) for each in side.accepted] == ["10.128.0.0/16", "fd00:1::/64"]


def test_without_anything_to_accept_nothing_is_written() -> None:
    with pytest.raises(UsageError, match="name with --accept what Nodes may send"):
        router(cluster(1), peer(), pods=[])


# -- names ---------------------------------------------------------------------------------------------


def test_no_name_breaks_out_of_a_line() -> None:
    evil = 'x"; } protocol bgp evil { */ \n neighbor ${HOME}'
    for form in FORMATS.values():
        text = form(router(by_name(fabric_node(1, name=evil)), peer(evil)))
        assert "evil {" not in text
        assert "${HOME}" not in text
        assert "\n neighbor $" not in text


def test_names_that_become_the_same_are_told_apart() -> None:
    assert plain("node-1.example.org") == "node-1.example.org"
    assert len({plain(text) for text in ("a b", "a-b", "a\nb", "x" * 90, "x" * 91)}) == 5
    assert all(len(plain("n" * length)) <= 56 for length in (56, 57, 253))


def test_a_password_has_a_name_of_its_own() -> None:
    refs = [SecretKeyRef(name=name, key=key) for name, key in
            (("a", "b-c"), ("a-b", "c"), ("a.b", "c"), ("a", "B"), ("a", "b"), ("s" * 253, "k"))]  # fmt: skip
    names = [password_variable(ref) for ref in refs]

    assert names[1] == "BGP_PASSWORD_A_B_C"
    assert len(set(names)) == len(names)
    assert all(name.replace("_", "").isalnum() and len(name) <= 56 for name in names)

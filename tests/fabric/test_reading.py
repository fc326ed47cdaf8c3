"""The custom resources, read: what they mean, and what is told of what is wrong with them."""

from collections.abc import Callable
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotations.problems import bounded
from speaker.fabric.fields import MOST_PROBLEMS, FieldProblem
from speaker.fabric.reading import ResourceError, read_configuration, read_filter, read_peer
from speaker.fabric.selector import parse
from speaker.model.fabric import (
    AddPaths,
    BgpConfiguration,
    BgpFilter,
    BgpPeer,
    FilterAction,
    FilterOperations,
    FilterRule,
    MatchOperator,
    PeerType,
    PrefixAdvertisement,
    ReversePeering,
    SecretKeyRef,
    SourceAddress,
)
from speaker.model.objects import Kind, Meta, ObjectRef, ResourceView
from speaker.model.peer import BfdTimers, NextHopMode
from speaker.model.prefix import Family
from speaker.model.route import PathAttributes

TO_ROUTER = {"peerIP": "192.0.2.1", "asNumber": 65001}


def view(kind: Kind, spec: Any, name: str = "x") -> ResourceView:
    meta = Meta(ref=ObjectRef(kind, "", name), uid="u", created_at=7.0, annotations={})
    return ResourceView(meta=meta, generation=1, spec=spec)


def configuration(spec: Any, name: str = "default") -> BgpConfiguration:
    return read_configuration(view(Kind.BGP_CONFIGURATION, spec, name))


def peer(spec: Any) -> BgpPeer:
    return read_peer(view(Kind.BGP_PEER, spec))


def filters(spec: Any) -> BgpFilter:
    return read_filter(view(Kind.BGP_FILTER, spec))


def problems(read: Callable[[Any], object], spec: Any) -> tuple[FieldProblem, ...]:
    with pytest.raises(ResourceError) as caught:
        read(spec)
    assert str(caught.value).count("\n") == len(caught.value.problems) - 1
    return caught.value.problems


def only_problem(read: Callable[[Any], object], spec: Any) -> FieldProblem:
    (problem,) = problems(read, spec)
    return problem


def test_an_empty_configuration_is_all_defaults() -> None:
    assert configuration({}) == BgpConfiguration()


def test_every_field_of_a_configuration() -> None:
    found = configuration(
        {
            "asNumber": "1.10",
            "nodeToNodeMeshEnabled": True,
            "nodeMeshMaxRestartTime": "2m30s",
            "nodeMeshPassword": {"secretKeyRef": {"name": "mesh", "key": "password"}},
            "listenPort": 1790,
            "communities": [{"name": "blue", "value": "65000:7"}, {"name": "big", "value": "65000:1:2"}],
            "prefixAdvertisements": [
                {"cidr": "10.0.0.0/8", "communities": ["blue", "big", "no-export"]},
                {"cidr": "fd00::/8", "communities": ["65000:9"]},
            ],
            "routeReflectorSelector": "route-reflector=='true'",
            "importPrefixes": ["0.0.0.0/0", "fd00::/8"],
            "switchDeadline": "5m",
            "holdTime": "9s",
            "bfd": {"minTx": 300, "minRx": "250ms", "multiplier": 4, "multihop": True},
        }
    )
    assert found == BgpConfiguration(
        as_number=(1 << 16) + 10,
        node_to_node_mesh_enabled=True,
        node_mesh_max_restart_time_seconds=150,
        node_mesh_password=SecretKeyRef(name="mesh", key="password"),
        listen_port=1790,
        prefix_advertisements=(
            PrefixAdvertisement(
                cidr=ip_network("10.0.0.0/8"),
                attributes=PathAttributes(
                    communities=(65000 << 16 | 7, 0xFFFFFF01), large_communities=((65000, 1, 2),)
                ),
            ),
            PrefixAdvertisement(
                cidr=ip_network("fd00::/8"), attributes=PathAttributes(communities=(65000 << 16 | 9,))
            ),
        ),
        route_reflector_selector=parse("route-reflector == 'true'"),
        import_prefixes=(ip_network("0.0.0.0/0"), ip_network("fd00::/8")),
        switch_deadline_seconds=300,
        hold_time_seconds=9,
        bfd=BfdTimers(transmit_milliseconds=300, receive_milliseconds=250, multiplier=4, multihop=True),
    )


def test_every_field_of_a_peer() -> None:
    found = peer(
        {
            "nodeSelector": "rack in {'r1'}",
            "peerIP": "[2001:db8::1]:1790",
            "asNumber": "65001",
            "localASNumber": 65002,
            "sourceAddress": "None",
            "password": {"secretKeyRef": {"name": "router", "key": "md5"}},
            "ttlSecurity": 1,
            "passive": True,
            "holdTime": "30s",
            "keepaliveTime": "10s",
            "connectRetry": "1.5s",
            "maxRestartTime": "0s",
            "bfd": {},
            "addPaths": "Receive",
            "nextHopMode": "Self",
            "numAllowedLocalASNumbers": 2,
            "removePrivateASNumbers": True,
            "maxPrefixes": 1000,
            "filters": ["only-pods", "only-pods", "b"],
            "families": ["IPv4", "IPv6"],
            "extendedNextHop": True,
        }
    )
    assert found == BgpPeer(
        name="x",
        uid="u",
        created_at=7.0,
        node_selector=parse("rack in {'r1'}"),
        peer_ip=ip_address("2001:db8::1"),
        peer_port=1790,
        as_number=65001,
        local_as_number=65002,
        source_address=SourceAddress.NONE,
        password=SecretKeyRef(name="router", key="md5"),
        ttl_security=1,
        passive=True,
        hold_time_seconds=30,
        keepalive_time_seconds=10,
        connect_retry_seconds=1.5,
        max_restart_time_seconds=0,
        bfd=BfdTimers(),
        add_paths=AddPaths.RECEIVE,
        next_hop_mode=NextHopMode.SELF,
        num_allowed_local_as_numbers=2,
        remove_private_as_numbers=True,
        max_prefixes=1000,
        filters=("only-pods", "b"),
        families=frozenset(Family),
        extended_next_hop=True,
    )


def test_a_peer_between_nodes() -> None:
    found = peer({"node": "n1", "peerSelector": "has(rr)", "reversePeering": "Manual", "ebgpMultihop": 3})
    assert (found.node, found.peer_selector, found.reverse_peering, found.ebgp_multihop) == (
        "n1",
        parse("has(rr)"),
        ReversePeering.MANUAL,
        3,
    )
    assert found.peer_ip is None
    assert found.as_number is None


@pytest.mark.parametrize(
    ("text", "address", "port"),
    [
        ("192.0.2.1", "192.0.2.1", None),
        ("192.0.2.1:1790", "192.0.2.1", 1790),
        ("2001:db8::1", "2001:db8::1", None),
        ("[2001:db8::1]", "2001:db8::1", None),
        ("[2001:db8::1]:1790", "2001:db8::1", 1790),
        ("fe80::1%eth0", "fe80::1%eth0", None),
        ("[fe80::1%eth0]:179", "fe80::1%eth0", 179),
        ("::ffff:192.0.2.1", "192.0.2.1", None),
    ],
)
def test_peer_ip(text: str, address: str, port: int | None) -> None:
    found = peer({**TO_ROUTER, "peerIP": text})
    assert (found.peer_ip, found.peer_port) == (ip_address(address), port)


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("router-1", "must be an address such as"),
        ("192.0.2.1:", "port from 1 to 65535"),
        ("192.0.2.1:0", "port from 1 to 65535"),
        ("192.0.2.1:70000", "port from 1 to 65535"),
        ("[192.0.2.1]:179", "must be an address such as"),
        ("[2001:db8::1]179", "must be an address such as"),
        ("[2001:db8::1]:", "port from 1 to 65535"),
        ("[2001:db8::1", "must be an address such as"),
        ("fe80::1", "must carry its interface"),
        ("0.0.0.0", "address of one host"),
        ("224.0.0.1", "address of one host"),
        (["192.0.2.1"], "must be a text"),
        (7, "must be a text"),
    ],
)
def test_what_is_no_peer_ip(value: object, sentence: str) -> None:
    problem = only_problem(peer, {**TO_ROUTER, "peerIP": value})
    assert problem.field == "spec.peerIP"
    assert sentence in problem.sentence


@pytest.mark.parametrize(
    ("value", "number"),
    [(1, 1), (4294967295, 4294967295), ("64512", 64512), ("0.7", 7), ("65535.65535", 4294967295)],
)
def test_as_number(value: object, number: int) -> None:
    assert configuration({"asNumber": value}).as_number == number


@pytest.mark.parametrize(
    "value", [0, -1, 4294967296, "000", "0.0", "1.65536", "1.2.3", "AS1", True, 1.0, "٣", "9" * 5000]
)
def test_what_is_no_as_number(value: object) -> None:
    problem = only_problem(configuration, {"asNumber": value})
    assert problem.field == "spec.asNumber"
    assert problem.sentence.startswith("must be an AS number from 1")


@pytest.mark.parametrize(
    ("spec", "field", "sentence"),
    [
        ({**TO_ROUTER, "node": "a", "nodeSelector": "all()"}, "nodeSelector", "excludes node"),
        ({**TO_ROUTER, "peerSelector": "all()"}, "peerSelector", "excludes peerIP"),
        ({"node": "a"}, "peerIP", "is missing"),
        ({"peerIP": "192.0.2.1"}, "asNumber", "is missing"),
        ({"peerSelector": "all()", "asNumber": 1}, "asNumber", "belongs to peerIP"),
        ({**TO_ROUTER, "reversePeering": "Manual"}, "reversePeering", "belongs to peerSelector"),
        ({**TO_ROUTER, "keepaliveTime": "90s"}, "keepaliveTime", "less than holdTime (90s)"),
        ({**TO_ROUTER, "holdTime": "9s", "keepaliveTime": "9s"}, "keepaliveTime", "less than holdTime (9s)"),
        ({**TO_ROUTER, "holdTime": "2s"}, "holdTime", "must be 0 or from 3s"),
        ({**TO_ROUTER, "holdTime": "3500ms"}, "holdTime", "in whole seconds"),
        ({**TO_ROUTER, "holdTime": 90}, "holdTime", "must be a text with a unit"),
        ({**TO_ROUTER, "maxRestartTime": "4096s"}, "maxRestartTime", "must be 0 or from 1s"),
        ({**TO_ROUTER, "ttlSecurity": 1, "ebgpMultihop": 2}, "ttlSecurity", "excludes ebgpMultihop"),
        ({**TO_ROUTER, "ttlSecurity": 255}, "ttlSecurity", "from 1 to 254"),
        ({**TO_ROUTER, "extendedNextHop": True}, "extendedNextHop", "is for IPv6 sessions"),
        ({**TO_ROUTER, "nextHopMode": "self"}, "nextHopMode", "must be Auto, Self or Keep"),
        ({**TO_ROUTER, "families": ["ipv4"]}, "families[0]", "must be IPv4 or IPv6"),
        ({**TO_ROUTER, "families": "IPv4"}, "families", "must be a list"),
        ({**TO_ROUTER, "filters": ["A b"]}, "filters[0]", "must be the name of an object"),
        ({**TO_ROUTER, "node": "N1"}, "node", "must be the name of an object"),
        ({**TO_ROUTER, "nodeSelector": "rack = 1"}, "nodeSelector", "character 6 must be =="),
        ({**TO_ROUTER, "passive": "yes"}, "passive", "must be true or false"),
        ({**TO_ROUTER, "bfd": True}, "bfd", "must be a mapping"),
        ({**TO_ROUTER, "bfd": {"minTx": "1ms"}}, "bfd.minTx", "from 10ms to"),
        ({**TO_ROUTER, "bfd": {"minRx": "10500us"}}, "bfd.minRx", "whole milliseconds"),
        ({**TO_ROUTER, "password": {}}, "password.secretKeyRef", "is missing"),
        ({**TO_ROUTER, "password": {"secretKeyRef": {"name": "a"}}}, "password.secretKeyRef.key", "missing"),
        ({**TO_ROUTER, "ebgpMultiHop": 2}, "ebgpMultiHop", "did you mean ebgpMultihop?"),
        ({**TO_ROUTER, "keepalive": "3s"}, "keepalive", "did you mean keepaliveTime?"),
        ({**TO_ROUTER, "zzz": 1}, "zzz", "there are peerIP, node"),
    ],
)
def test_what_is_wrong_with_a_peer(spec: Any, field: str, sentence: str) -> None:
    problem = only_problem(peer, spec)
    assert problem.field == f"spec.{field}"
    assert sentence in problem.sentence


@pytest.mark.parametrize(
    ("spec", "field", "sentence"),
    [
        ({"listenPort": 0}, "listenPort", "from 1 to 65535"),
        ({"nodeToNodeMeshEnabled": "true"}, "nodeToNodeMeshEnabled", "must be true or false"),
        ({"importPrefixes": ["10.0.0.1/8"]}, "importPrefixes[0]", "write 10.0.0.0/8"),
        ({"importPrefixes": ["10.0.0.1"]}, "importPrefixes[0]", "with its length"),
        ({"switchDeadline": "2h"}, "switchDeadline", "must be 0 or from 1s"),
        ({"communities": [{"name": "a"}]}, "communities[0].value", "is missing"),
        ({"communities": [{"name": "no-export", "value": "1:2"}]}, "communities[0].name", "well-known"),
        ({"communities": [{"name": "a", "value": "1:2"}] * 2}, "communities[1].name", "is there twice"),
        ({"communities": ["1:2"]}, "communities[0]", "must be a mapping"),
        (
            {"prefixAdvertisements": [{"cidr": "10.0.0.0/8", "communities": ["red"]}]},
            "prefixAdvertisements[0].communities[0]",
            "a name in communities",
        ),
        (
            {"prefixAdvertisements": [{"communities": ["1:2"]}]},
            "prefixAdvertisements[0].cidr",
            "is missing",
        ),
        ({"serviceClusterIPs": []}, "serviceClusterIPs", "there is no such field"),
    ],
)
def test_what_is_wrong_with_a_configuration(spec: Any, field: str, sentence: str) -> None:
    problem = only_problem(configuration, spec)
    assert problem.field == f"spec.{field}"
    assert sentence in problem.sentence


def test_a_configuration_of_another_name_does_not_count() -> None:
    with pytest.raises(ResourceError, match=r"metadata\.name='other': must be default"):
        configuration({}, "other")


def test_a_filter() -> None:
    found = filters(
        {
            "exportV4": [
                {
                    "action": "Accept",
                    "cidr": "10.0.0.0/8",
                    "matchOperator": "NotIn",
                    "prefixLength": {"min": 16, "max": 24},
                    "source": "RemotePeers",
                    "peerType": "eBGP",
                    "communities": {"values": ["65000:1", "65000:1:2"]},
                    "asPathPrefix": [65001, "1.1"],
                    "operations": [
                        {"addCommunity": {"value": "no-export"}},
                        {"prependASPath": {"prefix": [65000, 65001]}},
                        {"prependASPath": {"prefix": [65002]}},
                        {"setLocalPreference": {"value": 200}},
                        {"setMED": {"value": 0}},
                    ],
                }
            ],
            "importV6": [{"action": "Reject"}],
        }
    )
    assert found == BgpFilter(
        name="x",
        export_v4=(
            FilterRule(
                action=FilterAction.ACCEPT,
                cidr=ip_network("10.0.0.0/8"),
                match_operator=MatchOperator.NOT_IN,
                prefix_length_min=16,
                prefix_length_max=24,
                remote_peers=True,
                peer_type=PeerType.EBGP,
                communities=(65000 << 16 | 1,),
                large_communities=((65000, 1, 2),),
                as_path_prefix=(65001, 65537),
                operations=FilterOperations(
                    add_communities=(0xFFFFFF01,),
                    prepend_as_path=(65002, 65000, 65001),
                    set_local_preference=200,
                    set_med=0,
                ),
            ),
        ),
        import_v6=(FilterRule(action=FilterAction.REJECT),),
    )


@pytest.mark.parametrize(
    ("rule", "field", "sentence"),
    [
        ({}, ".action", "is missing"),
        ({"action": "Drop"}, ".action", "must be Accept or Reject"),
        ({"action": "Accept", "cidr": "fd00::/8"}, ".cidr", "must be IPv4 here"),
        ({"action": "Accept", "matchOperator": "In"}, ".matchOperator", "needs cidr"),
        ({"action": "Accept", "prefixLength": {"min": 8}}, ".prefixLength", "needs cidr"),
        (
            {"action": "Accept", "cidr": "10.0.0.0/8", "prefixLength": {"min": 33}},
            ".prefixLength.min",
            "from 0 to 32",
        ),
        (
            {"action": "Accept", "cidr": "10.0.0.0/8", "prefixLength": {"min": 9, "max": 8}},
            ".prefixLength.max",
            "less than min (9)",
        ),
        ({"action": "Accept", "source": "All"}, ".source", "must be RemotePeers"),
        ({"action": "Accept", "communities": {"values": []}}, ".communities.values", "is missing"),
        (
            {"action": "Accept", "communities": {"values": ["rt:1:2"]}},
            ".communities.values[0]",
            "standard or a large",
        ),
        ({"action": "Reject", "operations": [{"setMED": {"value": 1}}]}, ".operations", "action Accept"),
        ({"action": "Accept", "operations": [{}]}, ".operations[0].addCommunity", "is missing"),
        (
            {
                "action": "Accept",
                "operations": [{"setMED": {"value": 1}, "addCommunity": {"value": "1:2"}}],
            },
            ".operations[0].setMED",
            "excludes addCommunity",
        ),
        (
            {"action": "Accept", "operations": [{"prependASPath": {"prefix": [1]}}]},
            ".operations[0].prependASPath",
            "belongs to export rules",
        ),
        ({"action": "Accept", "interface": "eth0"}, ".interface", "there is no such field"),
    ],
)
def test_what_is_wrong_with_a_rule(rule: Any, field: str, sentence: str) -> None:
    problem = only_problem(filters, {"importV4": [rule]})
    assert problem.field == f"spec.importV4[0]{field}"
    assert sentence in problem.sentence


def test_every_problem_is_told_with_its_field_and_value() -> None:
    found = problems(peer, {"peerIP": "x", "asNumber": 0, "holdTime": "soon", "Passive": True})
    assert [str(each).partition(":")[0] for each in found] == [
        "spec.peerIP='x'",
        "spec.asNumber=0",
        "spec.holdTime='soon'",
        "spec.Passive",
    ]


@pytest.mark.parametrize("value", ["hunter2", {"value": "hunter2"}, {"secretKeyRef": "hunter2"}, ["hunter2"]])
def test_a_password_in_the_wrong_place_is_not_shown(value: object) -> None:
    assert "hunter2" not in str(problems(peer, {**TO_ROUTER, "password": value}))


def test_a_number_without_end_is_told_without_it() -> None:
    assert only_problem(configuration, {"asNumber": 10**6000}).value == "(a number without end)"


def test_the_number_of_problems_is_bounded() -> None:
    assert len(problems(filters, {"importV4": [{}] * 128})) == MOST_PROBLEMS
    (problem,) = problems(filters, {"importV4": [{"action": "Accept"}] * 129})
    assert problem.sentence == "must have at most 128 items, and has 129"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("peerIP", "asNumber", "password", "secretKeyRef", "bfd", "minTx", "exportV4", "min"),
                    *("operations", "prefixLength", "communities", "values", "prefixAdvertisements"),
                ]
            )
            | st.text(max_size=5),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.text(max_size=5) | st.sampled_from(["peerIP", "exportV4", "bfd"]), JSON))
def test_anything_is_read_or_told(spec: dict[str, Any]) -> None:
    for read in (configuration, peer, filters):
        try:
            read(spec)
        except ResourceError as error:
            told = str(error)
        else:
            told = "read"
        assert all(bounded(line, len(line)) == line for line in told.split("\n"))

"""From settings to peers: which families a session offers, and what every peer is told."""

from collections.abc import Callable

import pytest

from speaker.model.prefix import Family
from speaker.settings import Settings

Build = Callable[..., Settings]
V4, V6 = Family.IPV4, Family.IPV6
BOTH = {V4, V6}


@pytest.mark.parametrize(
    ("flags", "families"),
    [
        pytest.param({"neighbor-address": "10.0.0.1"}, [BOTH], id="IPv4 peers alone carry both"),
        pytest.param(
            {"neighbor-address": None, "neighbor-ipv6-address": "fd00::1"},
            [BOTH],
            id="IPv6 peers alone carry both",
        ),
        pytest.param({"neighbor-ipv6-address": "fd00::1"}, [{V4}, {V6}], id="peers of both carry their own"),
        pytest.param(
            {"neighbor-ipv6-address": "fd00::1", "extended-nexthop": True},
            [BOTH, BOTH],
            id="extended next hop",
        ),
        pytest.param({"neighbor-ipv6-address": "fd00::1", "families": "ipv4"}, [{V4}, {V4}], id="told"),
        pytest.param(
            {"neighbor-ipv6-address": "fd00::1", "families": "ipv4,ipv6"}, [BOTH, BOTH], id="told both"
        ),
    ],
)
def test_families(build: Build, flags: dict[str, object], families: list[set[Family]]) -> None:
    assert [set(peer.families) for peer in build(**flags).peers()] == families


def test_the_extended_next_hop_is_offered_on_ipv6_sessions_that_carry_ipv4(build: Build) -> None:
    peers = build(neighbor_ipv6_address="fd00::1", extended_nexthop=True).peers()
    assert [peer.extended_next_hop for peer in peers] == [False, True]


def test_every_peer_is_told_the_same(build: Build) -> None:
    settings = build(
        neighbor_address="10.0.0.1,10.0.0.2",
        neighbor_port="1790",
        holdtime="9s",
        keepalive="2s",
        ebgp_multihop="3",
        passivemode=True,
    )
    for peer in settings.peers():
        assert peer.name == str(peer.address)
        assert (peer.asn, peer.local_asn) == (65001, 65000)
        assert (peer.port, peer.hold_time_seconds, peer.keepalive_seconds) == (1790, 9, 2)
        assert peer.multihop_ttl == 3
        assert peer.passive
        assert not peer.is_ibgp


def test_a_link_local_peer_keeps_its_interface(build: Build) -> None:
    (peer,) = build(neighbor_address=None, neighbor_ipv6_address="fe80::1%eth0").peers()
    assert peer.name == "fe80::1%eth0"


def test_equal_as_numbers_make_ibgp(build: Build) -> None:
    assert build(cluster_as="65001").peers()[0].is_ibgp

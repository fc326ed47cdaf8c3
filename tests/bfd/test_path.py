"""Which way BFD takes to a peer, and what the kernel lets through to its sockets."""

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

import pytest

from speaker.bfd import filter as kernel_filter
from speaker.bfd.path import Hops, path_to, port_of, receiving_socket, udp_socket
from speaker.model.peer import BfdTimers
from speaker.model.prefix import Address
from tests.bfd.builders import peer


@pytest.mark.parametrize(
    ("overrides", "hops"),
    [
        pytest.param({}, Hops.ONE, id="eBGP"),
        pytest.param({"multihop_ttl": 2}, Hops.MANY, id="eBGP multihop"),
        pytest.param({"multihop_ttl": 2, "ttl_security_hops": 1}, Hops.ONE, id="TTL security of one hop"),
        pytest.param({"ttl_security_hops": 3}, Hops.MANY, id="TTL security of more hops"),
        pytest.param({"asn": 65000}, Hops.EITHER, id="iBGP"),
        pytest.param({"asn": 65000, "ttl_security_hops": 1}, Hops.ONE, id="iBGP with TTL security"),
        pytest.param({"asn": 65000, "bfd": BfdTimers(multihop=False)}, Hops.ONE, id="configured: one"),
        pytest.param({"bfd": BfdTimers(multihop=True)}, Hops.MANY, id="configured: many"),
        pytest.param({"address": ip_address("fe80::1%1"), "asn": 65000}, Hops.ONE, id="link-local"),
    ],
)
def test_the_session_decides_between_single_hop_and_multihop(overrides: dict[str, Any], hops: Hops) -> None:
    values = {"address": ip_address("192.0.2.1")} | overrides
    assert path_to(peer(**values)).hops is hops


def test_what_does_not_concern_the_way_does_not_change_the_path() -> None:
    assert path_to(peer("192.0.2.1")) == path_to(peer("192.0.2.1", description="x", bfd=BfdTimers()))


def test_the_ports_are_those_of_the_rfcs() -> None:
    """RFC 5881 §4, RFC 5883 §5."""
    assert (port_of(multihop=False), port_of(multihop=True)) == (3784, 4784)


LOOPBACKS: list[Address] = [IPv4Address("127.0.0.1"), IPv6Address("::1")]


def reaches(address: Address, sources: list[Address]) -> bool:
    """Whether a packet from `address` to itself passes a filter that admits `sources`."""
    with receiving_socket(address, 0, udp_socket) as receiving, udp_socket(receiving.family) as sending:
        kernel_filter.admit(receiving, sources)
        sending.sendto(b"x", receiving.getsockname())
        try:
            arrived = receiving.recv(10) == b"x"
        except BlockingIOError:
            arrived = False
        assert kernel_filter.dropped(receiving) == (not arrived)
        return arrived


@pytest.mark.parametrize("own", LOOPBACKS, ids=str)
def test_the_kernel_lets_peers_through_and_drops_strangers(own: Address) -> None:
    kind = type(own)
    others: list[Address] = [kind(int(own) + step) for step in (-1, 1, 2, 1 << 24)]
    assert reaches(own, [*others, own])
    assert reaches(own, [own, *others])
    assert not reaches(own, others)
    assert not reaches(own, [])


@pytest.mark.parametrize("own", LOOPBACKS, ids=str)
def test_more_peers_than_a_filter_can_name_admit_everyone(own: Address) -> None:
    kind = type(own)
    assert not reaches(own, [kind(number + 2**30) for number in range(200)])
    assert reaches(own, [kind(number + 2**30) for number in range(4000)])


def test_more_peers_than_a_filter_can_name_undo_the_filter_of_before() -> None:
    with receiving_socket(LOOPBACKS[0], 0, udp_socket) as receiving, udp_socket(receiving.family) as sending:
        kernel_filter.admit(receiving, [])
        kernel_filter.admit(receiving, [IPv4Address(number + 2**30) for number in range(4000)])
        sending.sendto(b"x", receiving.getsockname())
        assert receiving.recv(10) == b"x"


def test_a_socket_that_is_no_longer_open_has_dropped_nothing() -> None:
    sock = udp_socket(socket.AF_INET)
    sock.close()
    assert kernel_filter.dropped(sock) == 0

"""Prefixes: the lean ones are those of the standard library in all that anybody asks of them."""

import copy
import pickle
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speaker.model.prefix import Prefix, host_prefix, ipv4_prefix, ipv6_prefix, sort_key


@st.composite
def networks4(draw: st.DrawFn) -> IPv4Network:
    length = draw(st.integers(0, 32))
    return IPv4Network((draw(st.integers(0, 2**32 - 1)), length), strict=False)


@st.composite
def networks6(draw: st.DrawFn) -> IPv6Network:
    length = draw(st.integers(0, 128))
    return IPv6Network((draw(st.integers(0, 2**128 - 1)), length), strict=False)


networks = st.one_of(networks4(), networks6())


def lean(plain: Prefix) -> Prefix:
    if isinstance(plain, IPv4Network):
        return ipv4_prefix(plain.network_address, plain.prefixlen)
    return ipv6_prefix(plain.network_address, plain.prefixlen)


@given(networks)
def test_a_lean_prefix_is_the_plain_one(plain: Prefix) -> None:
    made = lean(plain)

    assert made == plain
    assert plain == made
    assert hash(made) == hash(plain)
    assert {plain: 1}[made] == {made: 1}[plain] == 1
    assert (str(made), repr(made), f"{made}") == (str(plain), repr(plain), f"{plain}")
    assert (made.version, made.prefixlen, made.max_prefixlen) == (
        plain.version,
        plain.prefixlen,
        plain.max_prefixlen,
    )
    assert (made.netmask, made.hostmask) == (plain.netmask, plain.hostmask)
    assert (made.network_address, made.broadcast_address) == (plain.network_address, plain.broadcast_address)
    assert made.num_addresses == plain.num_addresses
    assert (made.is_private, made.is_multicast, made.is_loopback) == (
        plain.is_private,
        plain.is_multicast,
        plain.is_loopback,
    )
    assert sort_key(made) == sort_key(plain)
    assert made.supernet() == plain.supernet()


@given(st.one_of(st.tuples(networks4(), networks4()), st.tuples(networks6(), networks6())))
def test_it_compares_with_others_as_the_plain_one(pair: Any) -> None:
    one, other = pair
    assert (lean(one) == lean(other)) is (one == other)
    assert (lean(one) < other) is (one < other)
    assert lean(one).subnet_of(other) is one.subnet_of(other)
    assert lean(one).overlaps(lean(other)) is one.overlaps(other)
    assert (other.network_address in lean(one)) is (other.network_address in one)


@given(networks4(), networks6())
def test_prefixes_of_two_families_are_never_equal(one: IPv4Network, other: IPv6Network) -> None:
    same = IPv6Network((int(one.network_address), one.prefixlen), strict=False)
    assert lean(one) != lean(other)
    assert lean(one) != lean(same)


@given(networks)
def test_it_is_copied_and_pickled_whole(plain: Prefix) -> None:
    made = lean(plain)

    assert copy.copy(made) == copy.deepcopy(made) == pickle.loads(pickle.dumps(made)) == plain


@pytest.mark.parametrize(
    "text", ["10.0.0.1/32", "10.0.0.0/31", "10.0.0.0/29", "fd00::1/128", "fd00::/127", "fd00::/125"]
)
def test_its_hosts_are_those_of_the_plain_one(text: str) -> None:
    plain = ip_network(text)

    assert list(lean(plain).hosts()) == list(plain.hosts())


@pytest.mark.parametrize("text", ["10.0.0.1", "2001:db8::1"])
def test_a_host_prefix_holds_one_address(text: str) -> None:
    plain: Prefix = ip_network(text)

    assert host_prefix(plain.network_address) == plain


def test_a_scope_is_no_part_of_a_prefix() -> None:
    assert str(host_prefix(IPv6Address("fe80::1%eth0"))) == "fe80::1/128"


@pytest.mark.parametrize("text", ["10.0.0.1", "fd00::1"])
def test_it_takes_less_room(text: str) -> None:
    made = host_prefix(ip_address(text))

    hash(made)

    assert not vars(made)

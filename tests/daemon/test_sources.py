"""Which source address a session is pinned to."""

from dataclasses import replace
from ipaddress import ip_address

from speaker.daemon.sources import pin_sources
from speaker.kernel import HostFacts
from speaker.model.peer import SessionState
from speaker.model.prefix import Address
from tests.bgp.builders import peer

TOR = peer(name="tor", address=ip_address("172.30.1.1"))
TOR6 = peer(name="tor6", address=ip_address("fd00:30:1::1"))


def addresses(*texts: str) -> list[Address]:
    return [ip_address(text) for text in texts]


def host(*here: str, chosen: str | None = None) -> HostFacts:
    """A host that has these addresses, and whose kernel would choose one toward the router."""
    sources = {} if chosen is None else {"tor": ip_address(chosen)}
    return HostFacts(addresses=frozenset(addresses(*here)), sources=sources)


def test_without_a_list_the_kernel_chooses() -> None:
    pinned = pin_sources([TOR, TOR6], [], host("172.30.1.2", chosen="172.30.1.2"))

    assert pinned.peers == pinned.usable == (TOR, TOR6)


def test_a_list_of_one_family_leaves_the_other_alone() -> None:
    pinned = pin_sources([TOR6], addresses("172.30.1.2"), host())

    assert pinned.usable == (TOR6,)


def test_the_kernels_choice_counts_if_it_is_allowed() -> None:
    facts = host("172.30.1.2", "172.30.1.3", chosen="172.30.1.3")
    pinned = pin_sources([TOR], addresses("172.30.1.2", "172.30.1.3"), facts)

    assert [each.source for each in pinned.usable] == addresses("172.30.1.3")


def test_another_choice_of_the_kernel_gives_way_to_an_allowed_address_of_this_host() -> None:
    """The list is the same on every node; each has only some of its addresses."""
    facts = host("172.30.1.2", "172.30.1.3", chosen="172.30.1.2")
    pinned = pin_sources([TOR], addresses("172.30.2.3", "172.30.1.3"), facts)

    assert [each.source for each in pinned.usable] == addresses("172.30.1.3")


def test_a_source_in_use_stays_while_it_is_there() -> None:
    allowed = addresses("172.30.1.2", "172.30.1.3")
    first = pin_sources([TOR], allowed, host("172.30.1.2", "172.30.1.3", chosen="172.30.1.2"))
    then = pin_sources(first.peers, allowed, host("172.30.1.2", "172.30.1.3", chosen="172.30.1.3"))

    assert then == first


def test_a_source_that_is_gone_is_replaced() -> None:
    allowed = addresses("172.30.1.2", "172.30.1.3")
    first = pin_sources([TOR], allowed, host("172.30.1.2", "172.30.1.3", chosen="172.30.1.2"))
    then = pin_sources(first.peers, allowed, host("172.30.1.3", chosen="172.30.1.3"))

    assert [each.source for each in then.usable] == addresses("172.30.1.3")


def test_a_host_without_an_allowed_address_has_no_session_and_says_why() -> None:
    pinned = pin_sources([TOR], addresses("172.30.9.9"), host("172.30.1.2", chosen="172.30.1.2"))

    assert pinned.usable == ()
    assert pinned.idle["tor"].state is SessionState.IDLE
    assert pinned.idle["tor"].last_error == (
        "this host has none of the allowed source addresses (172.30.9.9)"
    )


def test_loopback_addresses_are_everywhere() -> None:
    near = replace(TOR, address=ip_address("127.0.0.1"))
    pinned = pin_sources([near], addresses("127.0.0.12"), host("127.0.0.1", chosen="127.0.0.1"))

    assert [each.source for each in pinned.usable] == addresses("127.0.0.12")


def test_nothing_is_refused_before_the_kernel_has_answered() -> None:
    pinned = pin_sources([TOR], addresses("172.30.1.2"), None)

    assert pinned.idle["tor"].last_error == "the addresses of this host are not known yet"

"""What each session carries of the advertised addresses, and by which next hop."""

from dataclasses import replace
from ipaddress import IPv4Address, ip_address, ip_network

import pytest

from speaker.daemon.vip_routes import Offer, advertised
from speaker.model.peer import Peer, SessionFacts, SessionState, SessionStatus
from speaker.model.prefix import Family
from speaker.model.route import NO_ATTRIBUTES, PathAttributes

V4, V6 = Family.IPV4, Family.IPV6
VIP, VIP6 = ip_network("192.0.2.10"), ip_network("2001:db8::10")

PEER = Peer(
    name="tor",
    address=ip_address("198.51.100.1"),
    asn=65030,
    local_asn=65000,
    router_id=IPv4Address("198.51.100.2"),
    families=frozenset(Family),
)


def facts(local: str, *families: Family, extended: bool = False) -> SessionFacts:
    return SessionFacts(
        local_address=ip_address(local), families=frozenset(families), extended_next_hop=extended
    )


def offer(local: str = "198.51.100.9", attributes: PathAttributes = NO_ATTRIBUTES) -> Offer:
    return Offer((VIP, VIP6), attributes, ip_address(local))


@pytest.mark.parametrize(
    ("local_ip", "session", "hops"),
    [
        pytest.param(
            "198.51.100.9",
            facts("198.51.100.2", V4, V6),
            ["198.51.100.2", None],
            id="the session's address; an IPv4 localIP is no next hop of IPv6",
        ),
        pytest.param(
            "2001:db8:1::9",
            facts("198.51.100.2", V4, V6),
            ["198.51.100.2", "2001:db8:1::9"],
            id="localIP, where it is of the family",
        ),
        pytest.param(
            "198.51.100.9",
            facts("2001:db8:1::2", V4, V6),
            ["198.51.100.9", "2001:db8:1::2"],
            id="IPv4 over IPv6 without RFC 8950",
        ),
        pytest.param(
            "2001:db8:1::9",
            facts("2001:db8:1::2", V4, V6, extended=True),
            ["2001:db8:1::2", "2001:db8:1::2"],
            id="IPv4 over IPv6 with RFC 8950",
        ),
        pytest.param(
            "2001:db8:1::9", facts("2001:db8:1::2", V6), [None, "2001:db8:1::2"], id="one family only"
        ),
        pytest.param(
            "2001:db8:1::9", facts("fe80::2%eth0", V6), [None, "2001:db8:1::9"], id="never link-local alone"
        ),
    ],
)
def test_next_hops(local_ip: str, session: SessionFacts, hops: list[str | None]) -> None:
    routes = offer(local_ip).routes(PEER, session)
    found = [None if route is None else str(route.next_hop) for route in routes.values()]
    assert (list(routes), found) == ([VIP, VIP6], hops)


def test_the_local_preference_stays_inside_the_as() -> None:
    session = facts("198.51.100.2", V4)
    made = offer(attributes=PathAttributes(local_preference=50, med=7))
    heard = [made.routes(peer, session)[VIP] for peer in (PEER, replace(PEER, asn=65000))]
    assert [each and (each.attributes.local_preference, each.attributes.med) for each in heard] == [
        (None, 7),
        (50, 7),
    ]


def test_a_withdrawal_is_nothing_of_it() -> None:
    assert offer().withdrawal() == {VIP: None, VIP6: None}
    assert advertised(offer().withdrawal()) == 0
    assert advertised(offer().routes(PEER, facts("198.51.100.2", V4, V6))) == 1


def status(peer: Peer, session: SessionFacts | None) -> SessionStatus:
    return SessionStatus(peer=peer, state=SessionState.IDLE, facts=session)


@pytest.mark.parametrize(
    ("families", "session", "words"),
    [
        ({V4}, None, "no session carries ipv6"),
        ({V4, V6}, None, None),
        ({V4, V6}, facts("198.51.100.2", V4), "no session carries ipv6"),
        ({V4, V6}, facts("198.51.100.2", V4, V6), "no session has an ipv6 address to be its next hop"),
    ],
)
def test_what_no_session_can_carry_is_found(
    families: set[Family], session: SessionFacts | None, words: str | None
) -> None:
    found = offer().unheard([status(replace(PEER, families=frozenset(families)), session)])
    assert [prefix for prefix, _ in found] == ([] if words is None else [VIP6])
    assert all(reason.startswith(str(words)) for _, reason in found)


def test_one_session_that_can_carry_it_is_enough() -> None:
    sessions = [status(PEER, facts("198.51.100.2", V4)), status(PEER, facts("2001:db8:1::2", V6))]
    assert offer().unheard(sessions) == ()

"""The capabilities in our OPEN, octet by octet, and what both OPENs together allow."""

import struct
from ipaddress import IPv4Address, ip_address
from itertools import product
from typing import Any

import pytest

from speaker.bgp.codec_open import ROLE_VALUES, pack_open, unpack_open
from speaker.bgp.messages import (
    MAX_EXTENDED_MESSAGE,
    MAX_MESSAGE,
    LongLived,
    Notification,
    OpenMessage,
    PeerGracefulRestart,
    ProtocolError,
)
from speaker.bgp.negotiation import Negotiated, check_open, negotiate
from speaker.model.peer import GracefulRestart, Peer, Role, SessionFacts
from speaker.model.prefix import Family
from tests.bgp.builders import peer

HOME = ip_address("192.0.2.9")
BOTH = frozenset(Family)
V4, V6 = frozenset({Family.IPV4}), frozenset({Family.IPV6})
# RFC 9234 §4.2, Table 2.
MATCHING = {
    (Role.PROVIDER, Role.CUSTOMER),
    (Role.CUSTOMER, Role.PROVIDER),
    (Role.ROUTE_SERVER, Role.ROUTE_SERVER_CLIENT),
    (Role.ROUTE_SERVER_CLIENT, Role.ROUTE_SERVER),
    (Role.PEER, Role.PEER),
}


def offered(**settings: Any) -> dict[int, bytes]:
    """The capabilities of our OPEN by their codes; multiprotocol, which stands once a family, is left out."""
    body = pack_open(peer(**settings), restarting=False, forwarding_preserved=True)[19:]
    found: dict[int, bytes] = {}
    parameters = body[10:]
    while parameters:
        kind, length = struct.unpack_from("!BB", parameters)
        assert kind == 2, "capabilities are all that we offer"
        value, parameters = parameters[2 : 2 + length], parameters[2 + length :]
        while value:
            code, octets = struct.unpack_from("!BB", value)
            assert code == 1 or code not in found
            found[code] = value[2 : 2 + octets]
            value = value[2 + octets :]
    del found[1]
    return found


def message(**fields: Any) -> OpenMessage:
    """An OPEN of the peer that `peer()` expects, with nothing optional in it."""
    values: dict[str, Any] = {"asn": 65030, "hold_time_seconds": 90, "router_id": IPv4Address("10.0.0.2")}
    return OpenMessage(**(values | {"families": BOTH} | fields))


def agreed(ours: dict[str, Any], theirs: dict[str, Any]) -> Negotiated:
    return negotiate(peer(**ours), message(**theirs), HOME)


def refusal(configured: Peer, received: OpenMessage) -> Notification | None:
    try:
        check_open(configured, received)
    except ProtocolError as error:
        return error.notification
    return None


# -- what we offer -------------------------------------------------------------------------------------


def test_without_options_we_offer_these_and_no_others() -> None:
    bare = offered(graceful_restart=None, extended_messages=False)

    assert {2: b"", 65: struct.pack("!L", 65000), 70: b""} == bare


def test_extended_messages_are_offered_unless_turned_off() -> None:
    """RFC 8654 §3: code 6, no value."""
    assert offered()[6] == b""
    assert 6 not in offered(extended_messages=False)


def test_enhanced_route_refresh_is_always_offered() -> None:
    """RFC 7313 §3.1: code 70, no value."""
    assert offered()[70] == b""


@pytest.mark.parametrize(
    ("send", "receive", "direction"), [(False, True, "01"), (True, False, "02"), (True, True, "03")]
)
def test_add_path_names_each_family_and_the_directions(send: bool, receive: bool, direction: str) -> None:
    """RFC 7911 §4: 1 is able to receive, 2 is able to send, 3 is both."""
    value = offered(add_path_send=send, add_path_receive=receive)[69]

    assert bytes.fromhex(f"000101{direction}000201{direction}") == value


def test_add_path_is_not_offered_without_a_direction() -> None:
    assert 69 not in offered()


@pytest.mark.parametrize(("notification", "flags"), [(False, "005a"), (True, "405a")])
def test_the_n_bit_follows_the_setting(notification: bool, flags: str) -> None:
    """RFC 8538 §2: the second of the four restart flags."""
    restart = GracefulRestart(restart_time_seconds=90, notification=notification)

    assert bytes.fromhex(f"{flags}0001018000020180") == offered(graceful_restart=restart)[64]


def test_long_lived_graceful_restart_has_a_time_of_three_octets_for_each_family() -> None:
    """RFC 9494 §3.1: AFI, SAFI, flags with F as the highest bit, 24 bits of seconds."""
    restart = GracefulRestart(long_lived_seconds=0xFFFFFF)

    assert bytes.fromhex("00010180ffffff00020180ffffff") == offered(graceful_restart=restart)[71]
    assert 71 not in offered()


@pytest.mark.parametrize(("role", "value"), list(ROLE_VALUES.items()))
def test_the_role_is_one_octet(role: Role, value: int) -> None:
    """RFC 9234 §4.1."""
    assert bytes([value]) == offered(role=role)[9]


def test_roles_have_the_values_of_the_rfc() -> None:
    """RFC 9234 §4.1, Table 1."""
    ordered = sorted(ROLE_VALUES, key=lambda role: ROLE_VALUES[role])

    assert list(range(5)) == [ROLE_VALUES[role] for role in ordered]
    assert ["provider", "route-server", "route-server-client", "customer", "peer"] == ordered


def test_no_role_is_offered_unless_configured_nor_inside_the_as() -> None:
    """RFC 9234 §4: "on an external BGP (eBGP) session"."""
    assert 9 not in offered()
    assert 9 not in offered(role=Role.PEER, asn=65000)


def test_everything_that_we_offer_is_understood_by_ourselves() -> None:
    restart = GracefulRestart(restart_time_seconds=77, notification=True, long_lived_seconds=3600)
    ours = peer(
        graceful_restart=restart,
        add_path_send=True,
        add_path_receive=True,
        role=Role.PEER,
        extended_next_hop=True,
    )

    read = unpack_open(pack_open(ours, restarting=True, forwarding_preserved=True)[19:])

    assert read == OpenMessage(
        asn=65000,
        hold_time_seconds=90,
        router_id=ours.router_id,
        families=BOTH,
        four_octet_as=True,
        extended_next_hop=True,
        route_refresh=True,
        enhanced_route_refresh=True,
        extended_messages=True,
        add_path_send=BOTH,
        add_path_receive=BOTH,
        roles=frozenset({4}),
        graceful_restart=PeerGracefulRestart(
            restart_time_seconds=77, restarting=True, families=BOTH, notification=True, preserved=BOTH
        ),
        long_lived=tuple(LongLived(family, True, 3600) for family in Family),
    )


# -- what both together allow --------------------------------------------------------------------------


def test_a_peer_without_capabilities_gets_what_rfc_4271_has() -> None:
    ours = {
        "add_path_send": True,
        "add_path_receive": True,
        "extended_next_hop": True,
        "graceful_restart": GracefulRestart(notification=True, long_lived_seconds=60),
    }

    negotiated = agreed(ours, {"families": None})

    plain = SessionFacts(local_address=HOME, families=V4, peer_router_id=IPv4Address("10.0.0.2"))
    assert plain == negotiated.facts
    assert not negotiated.peer_refreshes
    assert not negotiated.peer_restarts
    assert MAX_MESSAGE == negotiated.packing.max_message
    assert not negotiated.packing.attributes.four_octet_as


@pytest.mark.parametrize(("ours", "theirs"), list(product([True, False], repeat=2)))
def test_long_messages_are_sent_if_both_offer_them_and_taken_if_we_do(ours: bool, theirs: bool) -> None:
    """RFC 8654 §4: who has offered them has to take them, whether or not the peer has."""
    negotiated = agreed({"extended_messages": ours}, {"extended_messages": theirs})

    assert (ours and theirs) is negotiated.facts.extended_messages
    assert (MAX_EXTENDED_MESSAGE if ours and theirs else MAX_MESSAGE) == negotiated.packing.max_message
    assert (MAX_EXTENDED_MESSAGE if ours else MAX_MESSAGE) == negotiated.max_received


@pytest.mark.parametrize("theirs", [True, False])
def test_refreshes_are_marked_if_the_peer_knows_marks(theirs: bool) -> None:
    assert theirs is agreed({}, {"enhanced_route_refresh": theirs}).facts.enhanced_route_refresh


@pytest.mark.parametrize(
    ("ours", "theirs", "sends", "receives"),
    [
        pytest.param({"add_path_send": True}, {"add_path_receive": BOTH}, BOTH, frozenset(), id="we send"),
        pytest.param({"add_path_receive": True}, {"add_path_send": BOTH}, frozenset(), BOTH, id="we receive"),
        pytest.param(
            {"add_path_send": True, "add_path_receive": True},
            {"add_path_send": V6, "add_path_receive": V4},
            V4,
            V6,
            id="each direction in another family",
        ),
        pytest.param(
            {"add_path_send": True}, {"add_path_send": BOTH}, frozenset(), frozenset(), id="both only send"
        ),
        pytest.param(
            {"add_path_receive": True},
            {"add_path_receive": BOTH},
            frozenset(),
            frozenset(),
            id="both only receive",
        ),
        pytest.param(
            {}, {"add_path_send": BOTH, "add_path_receive": BOTH}, frozenset(), frozenset(), id="not wanted"
        ),
        pytest.param(
            {"add_path_send": True, "families": V4},
            {"add_path_receive": BOTH},
            V4,
            frozenset(),
            id="in the families of the session alone",
        ),
    ],
)
def test_add_path_needs_one_side_to_send_and_the_other_to_receive(
    ours: dict[str, Any], theirs: dict[str, Any], sends: frozenset[Family], receives: frozenset[Family]
) -> None:
    """RFC 7911 §4: for each family and direction by itself."""
    negotiated = agreed(ours, theirs)

    assert (sends, receives) == (negotiated.facts.add_path_send, negotiated.facts.add_path_receive)
    assert sends == negotiated.packing.add_path


@pytest.mark.parametrize(
    ("value", "sends", "receives"), [(0, False, False), (1, False, True), (2, True, False), (4, False, False)]
)
def test_a_direction_that_is_none_says_nothing(value: int, sends: bool, receives: bool) -> None:
    """RFC 7911 §4: any other value than 1 to 3 "SHOULD be treated as not understood"."""
    capability = bytes((2, 6, 69, 4, 0, 1, 1, value))
    body = bytes.fromhex("04fe06005a0a000002") + bytes([len(capability)]) + capability

    read = unpack_open(body)

    assert (sends, receives) == (bool(read.add_path_send), bool(read.add_path_receive))


@pytest.mark.parametrize(("ours", "theirs"), list(product([True, False], repeat=2)))
def test_notifications_keep_routes_if_both_say_so(ours: bool, theirs: bool) -> None:
    """RFC 8538 §4."""
    restart = PeerGracefulRestart(
        restart_time_seconds=30, restarting=False, families=BOTH, notification=theirs
    )

    negotiated = agreed(
        {"graceful_restart": GracefulRestart(notification=ours)}, {"graceful_restart": restart}
    )

    assert (ours and theirs) is negotiated.facts.notification_restart


def test_graceful_restart_needs_both_sides() -> None:
    restart = PeerGracefulRestart(restart_time_seconds=30, restarting=False, families=BOTH)

    assert agreed({}, {"graceful_restart": restart}).peer_restart == restart
    assert agreed({}, {}).peer_restart is None
    assert agreed({"graceful_restart": None}, {"graceful_restart": restart}).peer_restart is None


def test_a_helper_that_names_no_families_does_not_restart_itself() -> None:
    """RFC 4724 §3: "Receiving Speaker only"."""
    helper = PeerGracefulRestart(restart_time_seconds=0, restarting=False, families=frozenset())

    negotiated = agreed({}, {"graceful_restart": helper})

    assert negotiated.facts.peer_graceful_restart
    assert not negotiated.peer_restarts


@pytest.mark.parametrize(("ours", "kept"), [(0, False), (600, True)])
def test_long_lived_times_count_if_we_offer_the_capability_too(ours: int, kept: bool) -> None:
    entries = (LongLived(Family.IPV4, True, 60),)
    restart = PeerGracefulRestart(restart_time_seconds=30, restarting=False, families=BOTH)

    negotiated = agreed(
        {"graceful_restart": GracefulRestart(long_lived_seconds=ours)},
        {"graceful_restart": restart, "long_lived": entries},
    )

    assert kept is negotiated.facts.long_lived
    assert (entries if kept else ()) == negotiated.peer_long_lived


def test_long_lived_graceful_restart_means_nothing_without_graceful_restart() -> None:
    """RFC 9494 §3.1: it is ignored without the capability of RFC 4724."""
    negotiated = agreed(
        {"graceful_restart": GracefulRestart(long_lived_seconds=600)},
        {"long_lived": (LongLived(Family.IPV4, True, 60),)},
    )

    assert not negotiated.facts.long_lived
    assert not negotiated.peer_long_lived


# -- roles ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ours", "theirs"), list(product(Role, repeat=2)))
def test_roles_have_to_fit(ours: Role, theirs: Role) -> None:
    """RFC 9234 §4.2: else "Role Mismatch", code 2, subcode 11."""
    received = message(roles=frozenset({ROLE_VALUES[theirs]}))

    answer = refusal(peer(role=ours), received)

    assert answer == (None if (ours, theirs) in MATCHING else Notification(2, 11))


def test_a_role_without_a_meaning_does_not_fit() -> None:
    assert Notification(2, 11) == refusal(peer(role=Role.PEER), message(roles=frozenset({77})))


def test_several_roles_do_not_fit_even_if_one_does() -> None:
    """RFC 9234 §4.2: several are a mismatch unless "all of them have the same value"."""
    assert Notification(2, 11) == refusal(peer(role=Role.PROVIDER), message(roles=frozenset({3, 4})))


@pytest.mark.parametrize(("strict", "answer"), [(False, None), (True, Notification(2, 11))])
def test_a_peer_without_a_role_is_refused_in_strict_mode_only(
    strict: bool, answer: Notification | None
) -> None:
    """RFC 9234 §4.2."""
    assert answer == refusal(peer(role=Role.PEER, role_strict=strict), message())


@pytest.mark.parametrize("ours", [None, Role.PEER])
def test_inside_the_as_and_without_a_role_of_ours_any_role_will_do(ours: Role | None) -> None:
    received = message(asn=65000 if ours else 65030, roles=frozenset({0, 1}))

    assert refusal(peer(role=ours, asn=65000 if ours else 65030, role_strict=True), received) is None


@pytest.mark.parametrize(
    ("capabilities", "roles"),
    [
        pytest.param("090100", {0}, id="one"),
        pytest.param("090104090104", {4}, id="the same twice"),
        pytest.param("090103090104", {3, 4}, id="two"),
        pytest.param("09020000", set(), id="two octets"),
        pytest.param("0900", set(), id="none"),
    ],
)
def test_roles_as_they_are_read(capabilities: str, roles: set[int]) -> None:
    """RFC 9234 §4.1: the length of the capability is 1."""
    value = bytes.fromhex(capabilities)
    parameter = bytes((2, len(value))) + value
    body = bytes.fromhex("04fe06005a0a000002") + bytes([len(parameter)]) + parameter

    assert roles == unpack_open(body).roles

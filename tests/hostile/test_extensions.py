"""The later standards under a hostile peer: ADD-PATH, extended messages, enhanced refresh, roles."""

import struct

import pytest

from speaker.model.peer import Role, SessionState
from tests.fuzz import wire
from tests.hostile.scene import advertisement, attributes, scene
from tests.hostile.stranger import Told

THEIR_AS = 65030
USUAL = wire.multiprotocol(1) + wire.multiprotocol(2) + wire.four_octet_as(THEIR_AS) + wire.capability(2)
EXTENDED, ENHANCED_REFRESH = wire.capability(6), wire.capability(70)
ADD_PATH = wire.capability(69, bytes.fromhex("00010103 00020103"))
BEGIN, END = 1, 2


def opened_with(*capabilities: bytes) -> bytes:
    return wire.open_message(THEIR_AS, capabilities=USUAL + b"".join(capabilities))


# -- extended messages (RFC 8654) --------------------------------------------------------------------


async def test_an_update_of_65535_octets_is_taken_where_it_was_agreed_on() -> None:
    async with scene(extended_messages=True) as played:
        await played.establish(opened_with(EXTENDED))
        packed = b"".join(b"\x20" + (0x0B000000 + index).to_bytes(4, "big") for index in range(9000))
        room = 65535 - len(wire.update_message(attributes(played.bad.peer), packed)) - 4
        whole = wire.update_message(attributes(played.bad.peer) + wire.attribute(99, bytes(room)), packed)
        assert len(whole) == 65535
        await played.bad.send(whole)
        await played.bad.send(wire.update_message(b"", b"", packed[5:]))

        await played.until_received("11.0.0.0/32")
        await played.good_has_not_noticed()


@pytest.mark.parametrize(
    ("header", "length"),
    [
        pytest.param(wire.OPEN, 4097, id="OPEN"),
        pytest.param(wire.KEEPALIVE, 20, id="KEEPALIVE"),
        pytest.param(wire.KEEPALIVE, 65535, id="long KEEPALIVE"),
    ],
)
async def test_open_and_keepalive_stay_short(header: int, length: int) -> None:
    """RFC 8654 §4."""
    async with scene(extended_messages=True) as played:
        await played.establish(opened_with(EXTENDED))
        await played.bad.send(wire.frame(header, length=length))

        assert Told(1, 2, length.to_bytes(2, "big")) == await played.bad.last_words()
        await played.good_has_not_noticed()


async def test_a_long_open_is_refused_although_we_offer_long_messages() -> None:
    async with scene(extended_messages=True) as played:
        told = await played.answer(SessionState.OPEN_SENT, wire.frame(wire.OPEN, length=4097))

        assert told == Told(1, 2, b"\x10\x01")
        await played.good_has_not_noticed()


async def test_a_long_notification_ends_the_session_unanswered() -> None:
    async with scene(extended_messages=True) as played:
        await played.establish(opened_with(EXTENDED))
        await played.bad.send(wire.notification(6, 2, b"\xff" * 65000))

        assert None is await played.bad.last_words()
        assert all(len(event.reason) <= 400 for event in played.speaker.events)
        await played.good_has_not_noticed()


# -- enhanced route refresh (RFC 7313) ---------------------------------------------------------------


@pytest.mark.parametrize("length", [22, 24, 100])
@pytest.mark.parametrize("subtype", [BEGIN, END])
async def test_a_mark_of_another_length_ends_the_session(subtype: int, length: int) -> None:
    """RFC 7313 §5: "Invalid Message Length", and "the complete ROUTE-REFRESH message" as its data."""
    async with scene() as played:
        await played.establish(opened_with(ENHANCED_REFRESH))
        body = struct.pack("!HBB", 1, subtype, 1)
        message = wire.frame(wire.ROUTE_REFRESH, (body + bytes(100))[: length - 19])
        await played.bad.send(message)

        told = await played.bad.last_words()
        # A message shorter than its fields does not even tell its subtype: a header error (RFC 4271 §6.1).
        assert told in (Told(7, 1, message), Told(1, 2, length.to_bytes(2, "big")))
        assert length < 23 or told == Told(7, 1, message)
        await played.good_has_not_noticed()


async def test_marks_in_any_order_and_number_lose_no_route_that_is_advertised_again() -> None:
    """Ends without a beginning, beginnings without an end, subtypes and families that nobody knows."""
    async with scene() as played:
        await played.establish(opened_with(ENHANCED_REFRESH))
        await played.bad.send(advertisement(played.bad.peer, "10.1.0.0/16"))
        await played.until_received("10.1.0.0/16")
        await played.bad.send(
            *[wire.route_refresh(1, subtype=END)] * 100,
            *[wire.route_refresh(1, subtype=BEGIN)] * 100,
            *[wire.route_refresh(1, subtype=255), wire.route_refresh(25, 70), wire.route_refresh(0, 0)] * 100,
            advertisement(played.bad.peer, "10.1.0.0/16", "10.2.0.0/16"),
            wire.route_refresh(1, subtype=END),
        )

        await played.until_received("10.1.0.0/16", "10.2.0.0/16")
        assert played.speaker.peers.sessions()["bad"].flaps == 0
        await played.good_has_not_noticed()


# -- ADD-PATH (RFC 7911) -----------------------------------------------------------------------------


async def test_paths_count_against_the_limit_each() -> None:
    """One prefix with a thousand identifiers is a thousand routes to keep."""
    async with scene(max_prefixes=500, add_path_receive=True) as played:
        await played.establish(opened_with(ADD_PATH))
        several = b"".join(wire.nlri("10.1.0.0/16", path_id=index) for index in range(501))
        await played.bad.send(wire.update_message(attributes(played.bad.peer), several[: 400 * 7]))
        await played.bad.send(wire.update_message(attributes(played.bad.peer), several[400 * 7 :]))

        told = await played.bad.last_words()
        assert told is not None
        assert (told.code, told.subcode) == (6, 1)
        await played.good_has_not_noticed()


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(b"\0\0\0", id="three octets of an identifier"),
        pytest.param(b"\0\0\0\1", id="an identifier alone"),
        pytest.param(b"\0\0\0\1\x18\x0a", id="a prefix cut short"),
        pytest.param(b"\0\0\0\1\x21\x0a\0\0\0\0", id="33 bits"),
    ],
)
async def test_a_path_that_cannot_be_read_ends_the_session(broken: bytes) -> None:
    async with scene(add_path_receive=True) as played:
        await played.establish(opened_with(ADD_PATH))
        await played.bad.send(wire.update_message(attributes(played.bad.peer), broken))

        assert Told(3, 10) == await played.bad.last_words()
        await played.good_has_not_noticed()


# -- roles (RFC 9234) --------------------------------------------------------------------------------

ROLE_MISMATCH = Told(2, 11)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        pytest.param(Role.CUSTOMER, (3,), id="two customers"),
        pytest.param(Role.PROVIDER, (0,), id="two providers"),
        pytest.param(Role.PEER, (3,), id="peer and customer"),
        pytest.param(Role.PEER, (250,), id="a role that nobody has defined"),
        pytest.param(Role.CUSTOMER, (0, 3), id="two roles at once"),
    ],
)
async def test_roles_that_do_not_fit_are_refused(ours: Role, theirs: tuple[int, ...]) -> None:
    async with scene(role=ours) as played:
        roles = (wire.capability(9, bytes((role,))) for role in theirs)

        assert ROLE_MISMATCH == await played.answer(SessionState.OPEN_SENT, opened_with(*roles))
        await played.good_has_not_noticed()


async def test_a_peer_without_a_role_is_refused_where_one_is_demanded() -> None:
    async with scene(role=Role.CUSTOMER, role_strict=True) as played:
        assert ROLE_MISMATCH == await played.answer(SessionState.OPEN_SENT, opened_with())
        await played.good_has_not_noticed()


async def test_a_leaked_route_of_a_customer_is_not_used() -> None:
    """RFC 9234 §5: a route with OTC from a customer is a leak."""
    async with scene(role=Role.PROVIDER) as played:
        await played.establish(opened_with(wire.capability(9, b"\3")))
        leak = attributes(played.bad.peer) + wire.attribute(wire.OTC, THEIR_AS.to_bytes(4, "big"))
        await played.bad.send(
            wire.update_message(leak, wire.nlri("10.1.0.0/16")),
            advertisement(played.bad.peer, "10.2.0.0/16"),
        )

        await played.until_received("10.2.0.0/16")
        await played.good_has_not_noticed()

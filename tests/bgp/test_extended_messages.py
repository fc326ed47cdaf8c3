"""Messages of more than 4096 octets (RFC 8654): sent if both offer it, taken if we do."""

import struct
from typing import Any

import pytest

from speaker.bgp import SessionEventKind
from speaker.bgp.codec_update import AttributeContext, pack_attributes
from speaker.bgp.long_updates import PREFIXES_EACH
from speaker.bgp.messages import (
    HEADER,
    KEEPALIVE,
    MARKER,
    MAX_EXTENDED_MESSAGE,
    MAX_MESSAGE,
    MessageType,
    Notification,
    pack_message,
)
from speaker.bgp.packing import PackingContext, Withdrawal, pack_withdrawals
from speaker.model.peer import SessionState
from speaker.model.route import PathAttributes
from tests.bgp.builders import host_routes, prefix, route, routes, until
from tests.bgp.meeting import Meeting, meeting

TABLE = host_routes(50_000)


def update_of(length: int) -> bytes:
    """A whole UPDATE of that many octets, header included, full of /32 from 10.0.0.0 on."""
    context = AttributeContext(local_asn=65030, ibgp=False, four_octet_as=True)
    room = length - HEADER.size - 4
    # Prefixes take five octets each; what they leave over goes into an attribute that nobody knows.
    for filler in range(5):
        attributes = pack_attributes(context, PathAttributes(), route("10.0.0.0/8").next_hop)
        attributes += bytes((0xC0, 99, filler)) + bytes(filler)
        count, rest = divmod(room - len(attributes), 5)
        if rest == 0:
            nlri = b"".join(struct.pack("!BL", 32, 0x0A000000 + number) for number in range(count))
            body = struct.pack("!HH", 0, len(attributes)) + attributes + nlri
            return pack_message(MessageType.UPDATE, body)
    raise AssertionError("five fillers have all remainders")


async def lengths_until(met: Meeting, number: int) -> list[int]:
    """The lengths of the UPDATEs that carry so many routes."""
    lengths, heard = [], 0
    while heard < number:
        kind, body = await met.router.receive()
        if kind is MessageType.UPDATE:
            lengths.append(HEADER.size + len(body))
            heard += len(met.router.decode(body).advertised)
    return lengths


async def test_a_large_table_goes_in_long_messages_when_both_offer_them() -> None:
    async with meeting(advertised=TABLE) as met:
        lengths = await lengths_until(met, len(TABLE))

        assert met.facts.extended_messages
        assert max(lengths) > MAX_MESSAGE
        assert len(lengths) < len(TABLE) * 5 / MAX_MESSAGE


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        pytest.param({}, {"extended_messages": False}, id="the peer does not offer it"),
        pytest.param({"extended_messages": False}, {"extended_messages": True}, id="we do not offer it"),
    ],
)
async def test_otherwise_no_message_is_longer_than_4096(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    async with meeting(ours, theirs, advertised=TABLE) as met:
        assert not met.facts.extended_messages
        assert max(await lengths_until(met, len(TABLE))) <= MAX_MESSAGE


@pytest.mark.parametrize("theirs", [True, False])
async def test_withdrawals_are_as_long_as_advertisements(theirs: bool) -> None:
    async with meeting({}, {"extended_messages": theirs}, advertised=TABLE) as met:
        await lengths_until(met, len(TABLE))
        await until(lambda: len(met.peers.advertised("tor")) == len(TABLE))
        met.advertise(dict.fromkeys(TABLE))

        lengths, gone = [], 0
        while gone < len(TABLE):
            kind, body = await met.router.receive()
            if kind is MessageType.UPDATE:
                lengths.append(HEADER.size + len(body))
                gone += len(met.router.decode(body).withdrawn)

        assert (max(lengths) > MAX_MESSAGE) is theirs


async def test_a_route_that_needs_a_long_message_goes_only_where_one_may_go() -> None:
    """1,100 communities are 4,400 octets."""
    wide = routes("10.1.0.0/16", communities=tuple(range(1100)))
    desired = {**wide, **routes("10.2.0.0/16")}
    async with meeting(advertised=desired) as met:
        await until(lambda: len(met.peers.advertised("tor")) == 2)
        assert set(desired) == {one.prefix for u in await met.first_advertisement() for one in u.advertised}
    async with meeting({}, {"extended_messages": False}, advertised=desired) as met:
        await met.first_advertisement()
        assert {prefix("10.2.0.0/16")} == set(met.peers.advertised("tor"))


@pytest.mark.parametrize("theirs", [True, False])
async def test_the_longest_update_is_taken_when_we_offered_it(theirs: bool) -> None:
    """RFC 8654 §4: whether or not the peer has offered it too."""
    longest = update_of(MAX_EXTENDED_MESSAGE)
    assert len(longest) == MAX_EXTENDED_MESSAGE
    async with meeting({}, {"extended_messages": theirs}, received_limit=100_000) as met:
        await met.router.send(longest)
        await until(lambda: len(met.received) > 13_000)

        assert met.speaker.state() is SessionState.ESTABLISHED


async def test_a_long_update_is_taken_in_piece_by_piece() -> None:
    """The event loop turns in between."""
    async with meeting({}, {}, received_limit=100_000) as met:
        await met.router.send(update_of(MAX_EXTENDED_MESSAGE))
        await until(lambda: len(met.received) > 13_000)

        taken = met.speaker.kinds(SessionEventKind.UPDATE_RECEIVED)
        assert max(len(event.advertised) for event in taken) == PREFIXES_EACH


async def test_a_long_update_is_a_bad_length_when_we_did_not_offer_it() -> None:
    """RFC 4271 §6.1: the length itself is the data."""
    async with meeting({"extended_messages": False}, {"extended_messages": True}) as met:
        await met.router.send(update_of(MAX_MESSAGE))
        await until(lambda: met.received)

        await met.router.send(update_of(MAX_MESSAGE + 1))

        assert Notification(1, 2, b"\x10\x01") == await met.router.expect_notification()


@pytest.mark.parametrize("kind", [MessageType.OPEN, MessageType.KEEPALIVE])
async def test_an_open_or_keepalive_is_never_long(kind: MessageType) -> None:
    """RFC 8654 §3: "except for the OPEN and KEEPALIVE messages"."""
    async with meeting() as met:
        await met.router.send(HEADER.pack(MARKER, MAX_MESSAGE + 1, kind) + bytes(100))

        assert Notification(1, 2, b"\x10\x01") == await met.router.expect_notification()


async def test_nothing_is_long_before_the_open_is_accepted() -> None:
    async with meeting(established=False) as met:
        await met.router.accept()
        await met.router.open_received()
        await met.router.send(HEADER.pack(MARKER, MAX_MESSAGE + 1, MessageType.UPDATE))

        assert Notification(1, 2, b"\x10\x01") == await met.router.expect_notification()


async def test_a_long_message_in_pieces_waits_for_its_end() -> None:
    longest = update_of(MAX_EXTENDED_MESSAGE)
    async with meeting({}, {}, received_limit=100_000) as met:
        await met.router.send(longest[:4000])
        await met.router.send(longest[4000:50_000])
        assert not met.received

        await met.router.send(longest[50_000:] + KEEPALIVE)

        await until(lambda: len(met.received) > 13_000)


def test_messages_are_filled_to_the_limit_of_the_session() -> None:
    context = PackingContext(
        attributes=AttributeContext(local_asn=65000, ibgp=False, four_octet_as=True),
        max_message=MAX_EXTENDED_MESSAGE,
    )

    packed = list(pack_withdrawals(context, (Withdrawal(each, multiprotocol=False) for each in TABLE)))

    assert MAX_EXTENDED_MESSAGE - 5 < len(packed[0]) <= MAX_EXTENDED_MESSAGE

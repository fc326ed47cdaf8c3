"""Every message type with every wrong header (RFC 4271 §6.1), in every state that has a connection."""

import pytest

from speaker.model.peer import SessionState
from tests.fuzz import wire
from tests.hostile.scene import advertisement, attributes, scene
from tests.hostile.stranger import Told

STATES = (SessionState.OPEN_SENT, SessionState.OPEN_CONFIRM, SessionState.ESTABLISHED)
TYPES = {
    "OPEN": wire.OPEN,
    "UPDATE": wire.UPDATE,
    "NOTIFICATION": wire.NOTIFICATION,
    "KEEPALIVE": wire.KEEPALIVE,
    "ROUTE-REFRESH": wire.ROUTE_REFRESH,
}
SHORTEST = {wire.OPEN: 29, wire.UPDATE: 23, wire.NOTIFICATION: 21, wire.KEEPALIVE: 19, wire.ROUTE_REFRESH: 23}
LONGEST = 4096


def told_length(length: int) -> Told:
    """ "The Data field MUST contain the erroneous Length field." (RFC 4271 §6.1)"""
    return Told(1, 2, length.to_bytes(2, "big"))


def headers() -> list[object]:
    """Every improper header with what must be said to it."""
    cases: list[object] = []
    for name, kind in TYPES.items():
        for at, marker in (("first", b"\0" + b"\xff" * 15), ("last", b"\xff" * 15 + b"\xfe")):
            wrong = wire.frame(kind, bytes(10), marker=marker)
            cases.append(pytest.param(wrong, Told(1, 1), id=f"{name}, {at} octet of the marker"))
        lengths = {0, 18, SHORTEST[kind] - 1, LONGEST + 1, 0xFFFF}
        # A longer ROUTE-REFRESH is an error of RFC 7313 where that is spoken.
        lengths |= {20} if kind == wire.KEEPALIVE else set()
        cases += [
            pytest.param(wire.frame(kind, length=length), told_length(length), id=f"{name} of {length}")
            for length in sorted(lengths)
        ]
    cases += [
        pytest.param(wire.frame(kind), Told(1, 3, bytes((kind,))), id=f"type {kind}")
        for kind in (0, 6, 128, 255)
    ]
    return cases


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize(("header", "told"), headers())
async def test_an_improper_header_is_told_and_harms_nobody_else(
    state: SessionState, header: bytes, told: Told
) -> None:
    async with scene() as played:
        assert told == await played.answer(state, header)
        await played.good_has_not_noticed()


async def test_what_stood_before_an_improper_header_counts() -> None:
    async with scene() as played:
        await played.establish()
        await played.bad.send(advertisement(played.bad.peer, "10.1.0.0/16"), wire.frame(9))

        assert Told(1, 3, b"\x09") == await played.bad.last_words()
        received = [event for event in played.speaker.events if event.advertised and event.peer == "bad"]
        assert len(received) == 1
        await played.good_has_not_noticed()


async def test_an_update_of_exactly_4096_octets_is_taken() -> None:
    async with scene() as played:
        await played.establish()
        peer = played.bad.peer
        room = LONGEST - len(advertisement(peer, "10.1.0.0/16")) - 4
        filling = wire.attribute(99, bytes(room))
        whole = wire.update_message(attributes(peer) + filling, wire.nlri("10.1.0.0/16"))
        assert len(whole) == LONGEST
        await played.bad.send(whole)

        await played.until_received("10.1.0.0/16")
        await played.good_has_not_noticed()

"""OPENs with one thing wrong (RFC 4271 §6.2, RFC 5492, RFC 6286, RFC 7607), and some that only look so."""

import struct

import pytest

from speaker.bgp import SessionEventKind
from speaker.model.peer import SessionState
from tests.fuzz import wire
from tests.hostile.scene import scene
from tests.hostile.stranger import Told

THEIR_AS, OUR_AS = 65030, 65000
USUAL = wire.multiprotocol(1) + wire.multiprotocol(2) + wire.four_octet_as(THEIR_AS)
VERSION = Told(2, 1, b"\x00\x04")
"""RFC 4271 §6.2: "which indicates the largest, locally-supported version number"."""

BAD_AS, BAD_IDENTIFIER, UNSUPPORTED_PARAMETER, BAD_HOLD_TIME = Told(2, 2), Told(2, 3), Told(2, 4), Told(2, 6)
MALFORMED = Told(2, 0)
"""RFC 4271 §6.2: a recognized parameter that is malformed has "the Error Subcode [...] set to 0"."""


def cut(parameters: bytes, told: int) -> bytes:
    """An OPEN whose optional parameters say that they have another length."""
    return wire.open_message(THEIR_AS, parameters=parameters, parameters_length=told)


REFUSED = [
    *(
        pytest.param(wire.open_message(THEIR_AS, version=v), VERSION, id=f"version {v}")
        for v in (0, 3, 5, 255)
    ),
    pytest.param(wire.open_message(65099), BAD_AS, id="another AS"),
    pytest.param(wire.open_message(OUR_AS), BAD_AS, id="our own AS"),
    pytest.param(wire.open_message(0), BAD_AS, id="AS 0"),
    pytest.param(wire.open_message(23456, capabilities=wire.multiprotocol(1)), BAD_AS, id="AS_TRANS alone"),
    pytest.param(
        wire.open_message(THEIR_AS, capabilities=wire.multiprotocol(1) + wire.four_octet_as(65099)),
        BAD_AS,
        id="another AS in the capability",
    ),
    pytest.param(
        wire.open_message(THEIR_AS, capabilities=wire.multiprotocol(1) + wire.four_octet_as(0)),
        BAD_AS,
        id="AS 0 in the capability",
    ),
    pytest.param(wire.open_message(THEIR_AS, router_id=bytes(4)), BAD_IDENTIFIER, id="identifier 0"),
    pytest.param(wire.open_message(THEIR_AS, hold_time=1), BAD_HOLD_TIME, id="hold time 1"),
    pytest.param(wire.open_message(THEIR_AS, hold_time=2), BAD_HOLD_TIME, id="hold time 2"),
    pytest.param(
        wire.open_message(THEIR_AS, parameters=wire.parameter(1, b"\0password")),
        UNSUPPORTED_PARAMETER,
        id="authentication, which is deprecated",
    ),
    pytest.param(
        wire.open_message(THEIR_AS, parameters=wire.parameter(3, b"x")),
        UNSUPPORTED_PARAMETER,
        id="parameter 3",
    ),
    pytest.param(
        wire.open_message(THEIR_AS, parameters=wire.parameter(2, USUAL) + wire.parameter(254, b"")),
        UNSUPPORTED_PARAMETER,
        id="parameter 254 after the capabilities",
    ),
    pytest.param(cut(wire.parameter(2, USUAL), 255), MALFORMED, id="parameters longer than the message"),
    pytest.param(cut(wire.parameter(2, USUAL), 3), MALFORMED, id="parameters shorter than the message"),
    pytest.param(cut(wire.parameter(2, USUAL), 0), MALFORMED, id="parameters that are said not to be there"),
    pytest.param(cut(b"\x02", 1), MALFORMED, id="a parameter without a length"),
    pytest.param(
        cut(wire.parameter(2, USUAL, length=200), 2 + len(USUAL)), MALFORMED, id="a parameter too long"
    ),
    pytest.param(
        wire.open_message(THEIR_AS, capabilities=USUAL + b"\x02"),
        MALFORMED,
        id="a capability without a length",
    ),
    pytest.param(
        wire.open_message(THEIR_AS, capabilities=USUAL + wire.capability(65, b"\0\0", length=4)),
        MALFORMED,
        id="a capability too long",
    ),
    pytest.param(
        wire.open_message(THEIR_AS, capabilities=wire.multiprotocol(1) + wire.capability(65, b"\0")),
        MALFORMED,
        id="an AS number of one octet",
    ),
    pytest.param(
        wire.open_message(THEIR_AS, capabilities=wire.capability(1, b"\0\1")), MALFORMED, id="half a family"
    ),
    pytest.param(
        wire.open_message(THEIR_AS, capabilities=USUAL + wire.capability(64, b"")),
        MALFORMED,
        id="a graceful restart without its time",
    ),
    pytest.param(cut(b"\xff\xff\xff", 255), MALFORMED, id="a long OPEN (RFC 9072) that ends at its length"),
]


@pytest.mark.parametrize(("message", "told"), REFUSED)
async def test_an_open_that_is_wrong_is_refused_as_the_rfc_says(message: bytes, told: Told) -> None:
    async with scene() as played:
        assert told == await played.answer(SessionState.OPEN_SENT, message)
        await played.good_has_not_noticed()


async def test_our_own_identifier_inside_the_as_is_refused() -> None:
    """RFC 6286 §2.2."""
    async with scene(asn=OUR_AS) as played:
        mine = played.bad.peer.router_id.packed

        assert BAD_IDENTIFIER == await played.answer(SessionState.OPEN_SENT, played.bad.open(router_id=mine))
        await played.good_has_not_noticed()


ACCEPTED = [
    pytest.param(wire.open_message(THEIR_AS, hold_time=0), id="hold time 0"),
    pytest.param(wire.open_message(THEIR_AS, hold_time=3), id="hold time 3"),
    pytest.param(wire.open_message(THEIR_AS, hold_time=65535), id="hold time 65535"),
    pytest.param(wire.open_message(THEIR_AS, router_id=b"\xff" * 4), id="identifier 255.255.255.255"),
    pytest.param(wire.open_message(THEIR_AS, router_id=b"\x0a\0\0\1"), id="our identifier in another AS"),
    pytest.param(wire.open_message(THEIR_AS, capabilities=b""), id="no optional parameter"),
    pytest.param(
        wire.open_message(THEIR_AS, parameters=wire.parameter(2, b"") * 3 + wire.parameter(2, USUAL)),
        id="capabilities without a capability",
    ),
    pytest.param(
        wire.open_message(THEIR_AS, parameters=wire.parameter(2, USUAL) * 3), id="everything three times"
    ),
    pytest.param(
        wire.open_message(
            THEIR_AS,
            capabilities=USUAL + b"".join(wire.capability(code, b"x") for code in range(130, 200)),
        ),
        id="unknown capabilities",
    ),
    pytest.param(
        wire.open_message(
            THEIR_AS, capabilities=USUAL + wire.multiprotocol(25, 70) + wire.multiprotocol(77, 7)
        ),
        id="families of others",
    ),
    pytest.param(
        wire.open_message(
            THEIR_AS,
            parameters=struct.pack("!BHBH", 255, 3 + len(USUAL), 2, len(USUAL)) + USUAL,
            parameters_length=255,
        ),
        id="a long OPEN (RFC 9072) that need not be long",
    ),
]


@pytest.mark.parametrize("message", ACCEPTED)
async def test_an_open_that_only_looks_odd_is_accepted(message: bytes) -> None:
    async with scene() as played:
        await played.establish(message)

        await played.good_has_not_noticed()


async def test_the_longest_open_there_is_is_accepted() -> None:
    """RFC 9072 §2: 4096 octets (RFC 8654 §4 keeps OPEN at that), full of unknown capabilities."""
    filling = b"".join(wire.capability(200, bytes(253)) for _ in range(15))
    capabilities = USUAL + filling
    room = 4096 - 29 - 3 - 3 - len(capabilities)
    capabilities += wire.capability(201, bytes(room - 2))
    parameters = struct.pack("!BHBH", 255, 3 + len(capabilities), 2, len(capabilities)) + capabilities
    message = wire.open_message(THEIR_AS, parameters=parameters, parameters_length=255)
    assert len(message) == 4096
    async with scene() as played:
        await played.establish(message)

        await played.good_has_not_noticed()


async def test_a_refused_open_is_reported_once_however_often_it_comes() -> None:
    """A peer must not fill the log."""
    async with scene() as played:
        for _ in range(3):
            assert await played.answer(SessionState.OPEN_SENT, wire.open_message(65099)) == BAD_AS

        assert len(played.events(SessionEventKind.ERROR)) == 1
        await played.good_has_not_noticed()

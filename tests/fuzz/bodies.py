"""Fuzz target: bodies of OPEN and UPDATE straight into the decoders, many thousands a second.

The property: a value, or a `ProtocolError` with a NOTIFICATION that the RFCs define for that message. What a
session makes of it is for the targets of `sessions`, which are slower.
"""

from functools import cache

from speaker.bgp.codec_open import unpack_open
from speaker.bgp.codec_update import UpdateDecoder
from speaker.bgp.messages import ProtocolError, UpdateMessage
from tests.fuzz import wire
from tests.fuzz.engine import SETTINGS
from tests.fuzz.verdict import LEGAL, LONGEST_NOTIFICATION, Finding

_SHORTEST = {wire.OPEN: 10, wire.UPDATE: 4}
_MOST_PREFIXES_AN_OCTET = 1


def bodies_target(data: bytes) -> None:
    """An octet that says whose session and which message, then the body.

    Raises:
        Finding: the answer to it is none that a speaker may give.
    """
    kind = wire.UPDATE if data[:1] and data[0] & 1 else wire.OPEN
    body = data[1:]
    if len(body) < _SHORTEST[kind]:
        return  # the header check refuses it
    try:
        if kind == wire.OPEN:
            unpack_open(body)
        else:
            _check_update(_decoder(data[0] // 2 % len(SETTINGS)).unpack_update(body), body)
    except ProtocolError as error:
        told = error.notification
        if told.subcode not in LEGAL.get(told.code, ()) or len(told.data) + 21 > LONGEST_NOTIFICATION:
            raise Finding(f"would send NOTIFICATION {told}, {len(told.data)} octets of data") from error
        if told.code not in (1, kind + 1):
            raise Finding(f"would send NOTIFICATION {told} to a message of type {kind}") from error


@cache
def _decoder(setting: int) -> UpdateDecoder:
    chosen = SETTINGS[setting]
    return UpdateDecoder(chosen.peer, chosen.open_message[wire.HEADER.size :])


def _check_update(update: UpdateMessage, body: bytes) -> None:
    if len(update.advertised) + len(update.withdrawn) > len(body) * _MOST_PREFIXES_AN_OCTET:
        raise Finding("more prefixes than octets")
    if update.end_of_rib is not None and (update.advertised or update.withdrawn):
        raise Finding("an End-of-RIB with routes")

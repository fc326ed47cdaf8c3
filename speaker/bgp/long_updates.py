"""A long UPDATE as several short ones that say the same, so that none of them holds the event loop for long.

An UPDATE of 65,535 octets (RFC 8654) names thirteen thousand prefixes, which share their attributes but are
decoded one by one. Cuts between prefixes, and leaves whatever is not as it should be to the codec, in one
piece. Knows where prefixes stand; must not know what attributes mean.
"""

import struct
from collections.abc import Sequence
from itertools import pairwise

from speaker.bgp.codec_nlri import MP_REACH_NLRI, MP_UNREACH_NLRI, place_of_nlri
from speaker.bgp.screening import Attribute, split
from speaker.model.prefix import Family

LONG = 4096
"""From how many octets on an UPDATE is cut: without RFC 8654 there are none."""

PREFIXES_EACH = 250
"""How many prefixes a piece names: about a millisecond."""

_PROPER, _PROPER_BITS, _EXTENDED = 0x80, 0xC0, 0x10
_BITS = {Family.IPV4: 32, Family.IPV6: 128}


class _UncutError(Exception):
    """The UPDATE is not as it should be."""


def pieces(body: bytes, paths: frozenset[Family], prefixes_each: int = PREFIXES_EACH) -> Sequence[bytes]:
    """The bodies of UPDATEs that, one after the other, say what `body` says: withdrawn routes first.

    Args:
        body: without the header.
        paths: the families whose prefixes come with a Path Identifier (RFC 7911 §3).
        prefixes_each: how many prefixes each names at most.

    Returns:
        `body` alone where it cannot be cut.
    """
    try:
        return _cut(body, paths, prefixes_each) or (body,)
    except (_UncutError, struct.error):
        return (body,)


def _cut(body: bytes, paths: frozenset[Family], most: int) -> list[bytes]:
    (withdrawn_octets,) = struct.unpack_from("!H", body)
    (attribute_octets,) = struct.unpack_from("!H", body, 2 + withdrawn_octets)
    start = 4 + withdrawn_octets
    packed, announced = body[start : start + attribute_octets], body[start + attribute_octets :]
    attributes = list(split(packed))
    if sum(len(each.whole) for each in attributes) != len(packed) or len(packed) != attribute_octets:
        raise _UncutError
    rest = b"".join(each.whole for each in attributes if each.kind not in (MP_REACH_NLRI, MP_UNREACH_NLRI))
    withdrawn = _parts(body[2 : 2 + withdrawn_octets], Family.IPV4, paths, most)
    found = [struct.pack("!H", len(part)) + part + b"\0\0" for part in withdrawn]
    found += [_body(each) for each in _multiprotocol(attributes, MP_UNREACH_NLRI, paths, most)]
    found += [_body(rest) + part for part in _parts(announced, Family.IPV4, paths, most)]
    found += [_body(rest + each) for each in _multiprotocol(attributes, MP_REACH_NLRI, paths, most)]
    return found


def _body(attributes: bytes) -> bytes:
    return struct.pack("!HH", 0, len(attributes)) + attributes


def _multiprotocol(
    attributes: list[Attribute], kind: int, paths: frozenset[Family], most: int
) -> list[bytes]:
    """MP_REACH_NLRI or MP_UNREACH_NLRI (RFC 4760 §3, §4) as several attributes."""
    of_kind = [each for each in attributes if each.kind == kind]
    if not of_kind:
        return []
    place = place_of_nlri(of_kind[0])
    if place is None or len(of_kind) > 1 or of_kind[0].flags & _PROPER_BITS != _PROPER:
        raise _UncutError
    family, start = place
    value = of_kind[0].value
    before, nlri = value[:start], value[start:]
    if not nlri:
        raise _UncutError
    flags = of_kind[0].flags | _EXTENDED
    parts = [before + part for part in _parts(nlri, family, paths, most)]
    return [struct.pack("!BBH", flags, kind, len(part)) + part for part in parts]


def _parts(field: bytes, family: Family, paths: frozenset[Family], most: int) -> list[bytes]:
    """A field of prefixes in parts."""
    octets_before = 4 if family in paths else 0
    cuts, position, number = [0], 0, 0
    while position < len(field):
        position += octets_before
        if position >= len(field) or field[position] > _BITS[family]:
            raise _UncutError
        position += 1 + ((field[position] + 7) >> 3)
        number += 1
        if number % most == 0 or position >= len(field):
            cuts.append(position)
    if position != len(field):
        raise _UncutError
    return [field[start:end] for start, end in pairwise(cuts)]

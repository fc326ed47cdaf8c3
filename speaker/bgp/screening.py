"""Path attributes before the codec sees them: what is malformed, and what that means (RFC 7606).

Only attributes that the speaker uses, and that are as they must be, go on to the codec: what it would say
of the others must not end a session, since optional transitive attributes come from far away. Those are
passed along unread. Knows each attribute's flags and length. Must not know what the values mean.

Supported standards: RFC 4271 §5 and §6.3, RFC 6793 §6, RFC 7606 §3, §4 and §7, RFC 8092 §5, RFC 9234 §5.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from speaker.bgp.messages import ErrorCode, Notification, ProtocolError

_OPTIONAL, _TRANSITIVE, _PARTIAL, _EXTENDED = 0x80, 0x40, 0x20, 0x10
# "The lower-order four bits of the Attribute Flags octet are unused. They MUST be zero when sent" (§4.3)
_USED_FLAGS = 0xF0
_AS_PATH, _ATOMIC_AGGREGATE, _AGGREGATOR, _AS4_PATH, _AS4_AGGREGATOR = 2, 6, 7, 17, 18
_MULTIPROTOCOL = frozenset({14, 15})
_SEGMENT_TYPES = frozenset({1, 2, 3, 4})  # RFC 4271 §4.3, RFC 5065 §3


@dataclass(frozen=True, slots=True)
class Screened:
    """The attributes of one UPDATE.

    Attributes:
        packed: those that are well-formed and used, ready for the codec, without `multiprotocol`.
        multiprotocol: MP_REACH_NLRI and MP_UNREACH_NLRI.
        passed_along: those that go with the route unread, ready to be sent, ascending by type.
        withdraw: the routes must be treated as withdrawn (RFC 7606 §2).
        only_unreachable: there is nothing but MP_UNREACH_NLRI, so this may be an End-of-RIB.
    """

    packed: bytes
    multiprotocol: bytes
    passed_along: tuple[bytes, ...]
    withdraw: bool
    only_unreachable: bool


class Attribute(NamedTuple):
    """A path attribute as it came: `whole` with its flags, type and length."""

    flags: int
    kind: int
    value: bytes
    whole: bytes


class _Rule(NamedTuple):
    """How an attribute must be: its flags, its value; `inside_only` has no business on an eBGP session."""

    flags: int
    is_proper: Callable[[bytes], bool]
    inside_only: bool = False


def _of(octets: int) -> Callable[[bytes], bool]:
    return lambda value: len(value) == octets


def _multiple_of(octets: int) -> Callable[[bytes], bool]:
    return lambda value: bool(value) and len(value) % octets == 0


def _anything(_value: bytes) -> bool:
    return True


_RULES: Mapping[int, _Rule] = {
    1: _Rule(_TRANSITIVE, lambda value: len(value) == 1 and value[0] <= 2),  # ORIGIN, RFC 7606 §7.1
    _AS_PATH: _Rule(_TRANSITIVE, _anything),  # §7.2, by `_segments_fit`
    3: _Rule(_TRANSITIVE, _of(4)),  # NEXT_HOP, §7.3
    4: _Rule(_OPTIONAL, _of(4)),  # MULTI_EXIT_DISC, §7.4
    5: _Rule(_TRANSITIVE, _of(4), inside_only=True),  # LOCAL_PREF, §7.5
    8: _Rule(_OPTIONAL | _TRANSITIVE, _multiple_of(4)),  # COMMUNITIES, §7.8
    9: _Rule(_OPTIONAL, _of(4), inside_only=True),  # ORIGINATOR_ID, §7.9
    10: _Rule(_OPTIONAL, _multiple_of(4), inside_only=True),  # CLUSTER_LIST, §7.10
    14: _Rule(_OPTIONAL, _anything),  # MP_REACH_NLRI, §7.11 by the codec
    15: _Rule(_OPTIONAL, _anything),  # MP_UNREACH_NLRI, §7.12 by the codec
    16: _Rule(_OPTIONAL | _TRANSITIVE, _multiple_of(8)),  # EXTENDED_COMMUNITIES, §7.14
    32: _Rule(_OPTIONAL | _TRANSITIVE, _multiple_of(12)),  # LARGE_COMMUNITY, RFC 8092 §5
    35: _Rule(_OPTIONAL | _TRANSITIVE, _of(4)),  # ONLY_TO_CUSTOMER, RFC 9234 §5
}

# What is known and goes along with the route, by its flags and lengths; a malformed one is discarded
# (RFC 7606 §7.6 and §7.7, RFC 6793 §6).
_GOES_ALONG: Mapping[int, tuple[int, int]] = {
    _ATOMIC_AGGREGATE: (_TRANSITIVE, 0),
    _AGGREGATOR: (_OPTIONAL | _TRANSITIVE, 8),
}

# With AS numbers of two octets the codec joins these with those beside them (RFC 6793 §4.2.3).
_OLD_RULES: Mapping[int, _Rule] = {
    _AGGREGATOR: _Rule(_OPTIONAL | _TRANSITIVE, _of(6)),
    _AS4_PATH: _Rule(_OPTIONAL | _TRANSITIVE, _anything),
    _AS4_AGGREGATOR: _Rule(_OPTIONAL | _TRANSITIVE, _of(8)),
}


def screen(packed: bytes, *, ibgp: bool, four_octet_as: bool) -> Screened:
    """Sorts the path attributes of an UPDATE.

    Args:
        packed: the attributes as they came.
        ibgp: whether the peer is inside our AS.
        four_octet_as: whether AS_PATH has AS numbers of four octets (RFC 6793).

    Raises:
        ProtocolError: MP_REACH_NLRI or MP_UNREACH_NLRI came twice, or a well-known attribute is unknown.
    """
    kept: list[bytes] = []
    multiprotocol: list[bytes] = []
    along: dict[int, bytes] = {}
    seen: set[int] = set()
    withdraw = False
    octets = 0
    for attribute in split(packed):
        octets += len(attribute.whole)
        if attribute.kind in seen:
            _check_repeated(attribute)
            continue
        seen.add(attribute.kind)
        rule = _rule(attribute, ibgp=ibgp, four_octet_as=four_octet_as)
        if rule is None:
            whole = _passed_along(attribute, four_octet_as=four_octet_as)
            if whole:
                along[attribute.kind] = whole
            continue
        proper = _is_proper(attribute, rule, four_octet_as=four_octet_as)
        if attribute.kind in _MULTIPROTOCOL:
            # Where only its flags are wrong, the prefixes that it names are those to withdraw.
            multiprotocol.append(attribute.whole)
        elif proper:
            kept.append(attribute.whole)
        withdraw = withdraw or not (proper or attribute.kind in _OLD_RULES)
    return Screened(
        packed=b"".join(kept),
        multiprotocol=b"".join(multiprotocol),
        passed_along=tuple(along[kind] for kind in sorted(along)),
        # RFC 7606 §4: lengths that do not fit leave octets over.
        withdraw=withdraw or octets != len(packed),
        only_unreachable=octets == len(packed) and seen <= {15},
    )


def split(packed: bytes) -> Iterator[Attribute]:
    """Each whole attribute; stops before what does not fit."""
    position = 0
    while position + 3 <= len(packed):
        flags, kind = packed[position], packed[position + 1]
        start = position + (4 if flags & _EXTENDED else 3)
        end = start + int.from_bytes(packed[position + 2 : start])
        if start > len(packed) or end > len(packed):
            return
        yield Attribute(flags, kind, packed[start:end], packed[position:end])
        position = end


def _check_repeated(attribute: Attribute) -> None:
    """RFC 7606 §3 (g): of others "all the occurrences [...] other than the first one SHALL be discarded"."""
    if attribute.kind in _MULTIPROTOCOL:
        notification = Notification(ErrorCode.UPDATE_MESSAGE, 1)
        raise ProtocolError(notification, "peer sent the prefixes of another family twice in an UPDATE")


def _rule(attribute: Attribute, *, ibgp: bool, four_octet_as: bool) -> _Rule | None:
    """How the attribute must be; None when it is not used."""
    rule = _RULES.get(attribute.kind)
    if rule is not None:
        return None if rule.inside_only and not ibgp else rule
    if not four_octet_as and attribute.kind in _OLD_RULES:
        return _OLD_RULES[attribute.kind]
    if not attribute.flags & _OPTIONAL and attribute.kind not in _GOES_ALONG:
        # "then the Error Subcode MUST be set to Unrecognized Well-known Attribute. The Data field MUST
        # contain the unrecognized attribute (type, length, and value)." (RFC 4271 §6.3)
        notification = Notification(ErrorCode.UPDATE_MESSAGE, 2, attribute.whole[:4000])
        raise ProtocolError(
            notification, f"peer sent a well-known attribute of unknown type {attribute.kind}"
        )
    return None


def _passed_along(attribute: Attribute, *, four_octet_as: bool) -> bytes:
    """An attribute without a rule as it is to be sent; empty when it goes no further."""
    flags = attribute.flags & _USED_FLAGS
    transitivity = flags & (_OPTIONAL | _TRANSITIVE)
    if attribute.kind in _GOES_ALONG:
        proper = (transitivity, len(attribute.value)) == _GOES_ALONG[attribute.kind]
        return bytes((flags,)) + attribute.whole[1:] if proper else b""
    # RFC 6793 §6: AS4_PATH and AS4_AGGREGATOR between speakers that know four octets are discarded.
    if attribute.kind in _RULES or (four_octet_as and attribute.kind in _OLD_RULES):
        return b""
    if transitivity != _OPTIONAL | _TRANSITIVE:
        # "Unrecognized non-transitive optional attributes MUST be quietly ignored" (RFC 4271 §5)
        return b""
    # "[...] and the Partial bit in the Attribute Flags octet MUST be set to 1" (RFC 4271 §5)
    return bytes((flags | _PARTIAL,)) + attribute.whole[1:]


def _is_proper(attribute: Attribute, rule: _Rule, *, four_octet_as: bool) -> bool:
    # RFC 7606 §3 (c) names these two bits; the others say nothing of the attribute itself.
    if attribute.flags & (_OPTIONAL | _TRANSITIVE) != rule.flags:
        return False
    if attribute.kind in (_AS_PATH, _AS4_PATH):
        return _segments_fit(attribute.value, 4 if four_octet_as or attribute.kind == _AS4_PATH else 2)
    return rule.is_proper(attribute.value)


def _segments_fit(value: bytes, octets: int) -> bool:
    """RFC 7606 §7.2: known segment types, no segment empty, and none longer or shorter than there is."""
    position = 0
    while position + 2 <= len(value):
        kind, count = value[position], value[position + 1]
        if kind not in _SEGMENT_TYPES or not count:
            return False
        position += 2 + count * octets
    return position == len(value)

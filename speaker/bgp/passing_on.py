"""What routes of other speakers carry: from the codec's objects to `Learned`, and out again.

Knows what changes on the way to another peer and what does not. Must not know sessions or prefixes.

Supported standards: RFC 4271 §5 (unrecognized attributes), §5.1.2 (AS_PATH), RFC 4456 §8 (ORIGINATOR_ID and
CLUSTER_LIST), RFC 5065 §5.3 (no confederation segments outside), RFC 6793 §4.2 (AGGREGATOR), RFC 6996 §4
(private AS numbers).
"""

# ruff: noqa: ANN401 -- exabgp ships no types; its objects go no further than the codec.

import struct
from collections.abc import Iterator
from ipaddress import IPv4Address
from typing import Any

from speaker.bgp import exabgp_classes as exabgp
from speaker.model.route import Learned, Origin, PathSegment, SegmentType

_CODE = exabgp.Attribute.CODE
_OPTIONAL, _TRANSITIVE, _EXTENDED = 0x80, 0x40, 0x10
_LONGEST_SEGMENT = 255
_AS_TRANS = 23456
_CONFEDERATION = frozenset({SegmentType.AS_CONFED_SEQUENCE, SegmentType.AS_CONFED_SET})
_PRIVATE_ASNS = (range(64512, 65535), range(4200000000, 4294967295))  # RFC 6996 §5
_SEGMENT_CLASSES = {
    SegmentType.AS_SET: exabgp.SET,
    SegmentType.AS_SEQUENCE: exabgp.SEQUENCE,
    SegmentType.AS_CONFED_SEQUENCE: exabgp.CONFED_SEQUENCE,
    SegmentType.AS_CONFED_SET: exabgp.CONFED_SET,
}


# -- received --------------------------------------------------------------------------------------------


def learned_from(attributes: Any, passed_along: tuple[bytes, ...]) -> Learned:
    """What the codec has read, AS4_PATH merged already.

    Args:
        attributes: exabgp's, with ORIGIN.
        passed_along: what the codec was not given, ready to be sent, ascending by type.
    """
    path, med = attributes.get(_CODE.AS_PATH), attributes.get(_CODE.MED)
    originator, clusters = attributes.get(_CODE.ORIGINATOR_ID), attributes.get(_CODE.CLUSTER_LIST)
    aggregator = attributes.get(_CODE.AGGREGATOR, attributes.get(_CODE.AS4_AGGREGATOR))
    if aggregator is not None:
        whole = _aggregator(int(aggregator.asn), aggregator.speaker.ton())
        passed_along = tuple(sorted((*passed_along, whole), key=kind_of))
    return Learned(
        as_path=() if path is None else tuple(map(_segment, path.aspath)),
        origin=Origin(attributes[_CODE.ORIGIN].origin),
        originator_id=None if originator is None else IPv4Address(originator.ton()),
        cluster_list=() if clusters is None else tuple(IPv4Address(c.ton()) for c in clusters.clusters),
        unrecognized=passed_along,
        med=None if med is None else int(med.med),
    )


def _segment(segment: Any) -> PathSegment:
    return PathSegment(SegmentType(segment.ID), tuple(map(int, segment)))


def _aggregator(asn: int, speaker: bytes) -> bytes:
    """AGGREGATOR with an AS number of four octets (RFC 6793 §3)."""
    return attribute(_OPTIONAL | _TRANSITIVE, _CODE.AGGREGATOR, struct.pack("!L", asn) + speaker)


def occurrences(asn: int, attributes: Any) -> int:
    """How often an AS number stands in the AS_PATH that the codec has read."""
    path = attributes.get(_CODE.AS_PATH)
    return 0 if path is None else sum(segment.count(asn) for segment in path.aspath)


# -- sent ------------------------------------------------------------------------------------------------


def path_to_send(
    learned: Learned | None, prepended: tuple[int, ...], *, outside: bool, without_private: bool
) -> Any:
    """AS_PATH as a peer is to hear it, for exabgp to pack.

    Args:
        learned: None for a route of our own.
        prepended: what comes before the path, outermost first.
        outside: the peer is outside of our AS.
        without_private: leave private AS numbers out, but for those that are prepended.
    """
    path = () if learned is None else learned.as_path
    if outside:
        path = tuple(_told_outside(path, without_private=without_private))
    path = _prepend(prepended, path)
    return exabgp.ASPath([_SEGMENT_CLASSES[kind](map(exabgp.ASN, asns)) for kind, asns in path])


def _told_outside(path: tuple[PathSegment, ...], *, without_private: bool) -> Iterator[PathSegment]:
    for segment in path:
        if segment.kind in _CONFEDERATION:
            continue
        asns = segment.asns
        if without_private:
            asns = tuple(asn for asn in asns if not any(asn in private for private in _PRIVATE_ASNS))
        if asns:
            yield PathSegment(segment.kind, asns)


def _prepend(asns: tuple[int, ...], path: tuple[PathSegment, ...]) -> tuple[PathSegment, ...]:
    """RFC 4271 §5.1.2: into the first segment if it is a sequence with room, else in one of their own."""
    if not asns:
        return path
    if path and path[0].kind is SegmentType.AS_SEQUENCE and len(asns) + len(path[0].asns) <= _LONGEST_SEGMENT:
        asns, path = asns + path[0].asns, path[1:]
    return (PathSegment(SegmentType.AS_SEQUENCE, asns), *path)


def attributes_to_send(learned: Learned, *, outside: bool, four_octet_as: bool) -> Iterator[bytes]:
    """All else that goes with the route: what reflectors keep (RFC 4456 §8), and what is unrecognized."""
    if not outside:
        if learned.originator_id is not None:
            yield attribute(_OPTIONAL, _CODE.ORIGINATOR_ID, learned.originator_id.packed)
        if learned.cluster_list:
            clusters = b"".join(each.packed for each in learned.cluster_list)
            yield attribute(_OPTIONAL, _CODE.CLUSTER_LIST, clusters)
    for whole in learned.unrecognized:
        if kind_of(whole) == _CODE.AGGREGATOR and not four_octet_as:
            yield from _old_aggregator(whole)
        else:
            yield whole


def _old_aggregator(whole: bytes) -> Iterator[bytes]:
    """AGGREGATOR for a peer that knows AS numbers of two octets only (RFC 6793 §4.2.2)."""
    asn, speaker = int.from_bytes(whole[-8:-4]), whole[-4:]
    mapped = asn > 0xFFFF
    old = struct.pack("!H", _AS_TRANS if mapped else asn) + speaker
    yield attribute(_OPTIONAL | _TRANSITIVE, _CODE.AGGREGATOR, old)
    if mapped:
        yield attribute(_OPTIONAL | _TRANSITIVE, _CODE.AS4_AGGREGATOR, whole[-8:])


def attribute(flags: int, kind: int, value: bytes) -> bytes:
    """A path attribute (RFC 4271 §4.3)."""
    if len(value) > 0xFF:
        return struct.pack("!BBH", flags | _EXTENDED, kind, len(value)) + value
    return struct.pack("!BBB", flags, kind, len(value)) + value


def kind_of(whole: bytes) -> int:
    """The type code of a whole attribute."""
    return whole[1]


def packed_length(learned: Learned) -> int:
    """How many octets its attributes take at most."""
    segments = sum(2 + 4 * len(segment.asns) for segment in learned.as_path)
    # Twice, since AS4_PATH may repeat the path; two headers of four octets with it, and two of reflectors.
    return 2 * segments + 4 * len(learned.cluster_list) + sum(map(len, learned.unrecognized)) + 32

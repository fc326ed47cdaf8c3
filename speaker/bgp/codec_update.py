"""UPDATE messages through exabgp's codec: path attributes out, whole messages in.

Prefixes outside of MP_REACH_NLRI and MP_UNREACH_NLRI are read by hand, since most of them stand there and
one codec object for each costs more than all the rest. Writing them is `packing`'s.

Supported standards: RFC 4271 §4.3, RFC 1997 (communities), RFC 4724 §2 (End-of-RIB), RFC 4760
(multiprotocol), RFC 6793 (4-octet AS numbers), RFC 7606 (treat-as-withdraw and attribute discard, as the
codec reports them), RFC 8092 (large communities), RFC 8950 (IPv4 over IPv6 next hops).
"""

# ruff: noqa: ANN401 -- exabgp ships no types; its objects go no further than the codec.

import struct
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any

from speaker.bgp import exabgp_classes as exabgp
from speaker.bgp.codec_open import exabgp_open
from speaker.bgp.messages import FAMILY_OF_AFI_SAFI, ErrorCode, Notification, ProtocolError, UpdateMessage
from speaker.model.peer import Peer
from speaker.model.prefix import Address, Family, Prefix
from speaker.model.route import PathAttributes, Route

_CODE = exabgp.Attribute.CODE


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeContext:
    """What the path attributes of a session depend on; sessions with equal contexts share encodings."""

    local_asn: int
    ibgp: bool
    four_octet_as: bool


@dataclass(frozen=True, slots=True)
class _Wire:
    """The one thing that exabgp's attributes ask of a negotiation when they are packed."""

    asn4: bool


@lru_cache(maxsize=4096)
def pack_attributes(context: AttributeContext, attributes: PathAttributes, next_hop: Address | None) -> bytes:
    """The path attributes of a route but MP_REACH_NLRI, in ascending order of type.

    Cached over all sessions: peers that hear the same attributes share the work.

    Args:
        context: the session's kind.
        attributes: what the publication asks for.
        next_hop: for NEXT_HOP (RFC 4271 §5.1.3); None when MP_REACH_NLRI carries it.
    """
    # RFC 4271 §5.1.2: the local AS stands in AS_PATH toward external peers only.
    sequence = [exabgp.ASN(context.local_asn)] * (0 if context.ibgp else 1 + attributes.as_path_prepend)
    path = exabgp.ASPath([exabgp.SEQUENCE(sequence)] if sequence else [])
    wanted = [exabgp.Origin(exabgp.Origin.IGP), path]
    if next_hop is not None:
        wanted.append(exabgp.NextHop(str(next_hop)))
    if attributes.med is not None:
        wanted.append(exabgp.MED(attributes.med))
    if context.ibgp:
        # "It SHALL NOT be included in UPDATE messages to external peers" (RFC 4271 §5.1.5)
        preference = attributes.local_preference
        wanted.append(exabgp.LocalPreference(100 if preference is None else preference))
    if attributes.communities:
        standard = [exabgp.Community(struct.pack("!L", value)) for value in attributes.communities]
        wanted.append(exabgp.Communities(standard))
    if attributes.large_communities:
        large = [exabgp.LargeCommunity(struct.pack("!LLL", *v)) for v in attributes.large_communities]
        wanted.append(exabgp.LargeCommunities(large))
    wire = _Wire(context.four_octet_as)
    return b"".join(attribute.pack(wire) for attribute in wanted)


class UpdateDecoder:
    """Decodes the UPDATEs of one session, whose OPENs decide what the bytes mean.

    Args:
        peer: the configured peer.
        received_open: the body of its OPEN, which `unpack_open` has accepted.
    """

    def __init__(self, peer: Peer, received_open: bytes) -> None:
        self._local_asn = peer.local_asn
        self._ibgp = peer.is_ibgp
        self._negotiated = exabgp.Negotiated({"capability": {"aigp": None}})
        self._negotiated.sent(exabgp_open(peer))
        self._negotiated.received(exabgp.Open.unpack_message(received_open))
        if not self._negotiated.families:
            # A peer without the multiprotocol capability speaks IPv4 unicast (RFC 4760 §8).
            self._negotiated.families = [exabgp.AFI_SAFI[Family.IPV4]]

    def unpack_update(self, body: bytes) -> UpdateMessage:
        """The UPDATE in `body` (without the header).

        Raises:
            ProtocolError: with code 3, where RFC 7606 asks for a session reset.
        """
        with exabgp.decoding("an UPDATE", ErrorCode.UPDATE_MESSAGE):
            withdrawn, packed, announced = exabgp.Update.split(body)
            attributes = exabgp.Attributes.unpack(packed, exabgp.Direction.IN, self._negotiated)
            reach = attributes.pop(_CODE.MP_REACH_NLRI, None)
            unreach = attributes.pop(_CODE.MP_UNREACH_NLRI, None)
            gone = (*_ipv4_prefixes(withdrawn), *_mp_prefixes(unreach))
            if not (gone or announced or attributes or reach):
                return UpdateMessage(end_of_rib=_end_of_rib(unreach))
            offers = (
                (_ipv4_prefixes(announced), _address(attributes.get(_CODE.NEXT_HOP))),
                (_mp_prefixes(reach), _mp_next_hop(reach)),
            )
            return self._update(attributes, offers, gone)

    def _update(
        self,
        attributes: Any,
        offers: tuple[tuple[tuple[Prefix, ...], Address | None], ...],
        gone: tuple[Prefix, ...],
    ) -> UpdateMessage:
        values = self._path_attributes(attributes)
        routes: list[Route] = []
        for prefixes, next_hop in offers:
            if values is None or next_hop is None:
                # RFC 7606 §2: "treat-as-withdraw"; §3 (d) names a missing NEXT_HOP.
                gone += prefixes
            else:
                routes += [Route(prefix, next_hop, values) for prefix in prefixes]
        return UpdateMessage(advertised=tuple(routes), withdrawn=gone)

    def _path_attributes(self, attributes: Any) -> PathAttributes | None:
        """The attributes as our values; None when the routes must not be used.

        RFC 7606 §3 (d): a well-known mandatory attribute that is missing is treat-as-withdraw.
        RFC 4271 §9.1.2: "If the AS_PATH attribute of a BGP route contains an AS loop, the BGP route
        should be excluded from the Phase 2 decision function."
        """
        if _CODE.INTERNAL_TREAT_AS_WITHDRAW in attributes:
            return None
        # The codec drops an empty AS_PATH, which is right inside the AS and wrong outside of it.
        path = attributes.get(_CODE.AS_PATH)
        if _CODE.ORIGIN not in attributes or (path is None and not self._ibgp):
            return None
        # RFC 7606 §7.1: an undefined ORIGIN is malformed; the codec lets it pass.
        if int(attributes[_CODE.ORIGIN].origin) > exabgp.Origin.INCOMPLETE:
            return None
        if path is not None and any(self._local_asn in segment for segment in path.aspath):
            return None
        med, preference = attributes.get(_CODE.MED), attributes.get(_CODE.LOCAL_PREF)
        communities = attributes.get(_CODE.COMMUNITY, ())
        large = attributes.get(_CODE.LARGE_COMMUNITY, ())
        return PathAttributes(
            communities=tuple(sorted({int.from_bytes(c.community) for c in communities})),
            large_communities=tuple(sorted({struct.unpack("!LLL", c.large_community) for c in large})),
            med=None if med is None else int(med.med),
            local_preference=None if preference is None else int(preference.localpref),
        )


def _ipv4_prefixes(data: bytes) -> tuple[Prefix, ...]:
    """The prefixes of the withdrawn routes or NLRI field (RFC 4271 §4.3)."""
    prefixes: list[Prefix] = []
    position, end = 0, len(data)
    while position < end:
        length = data[position]
        start, position = position + 1, position + 1 + ((length + 7) >> 3)
        if length > 32 or position > end:
            # RFC 7606 §5.3: NLRI that cannot be parsed resets the session.
            raise ProtocolError(Notification(ErrorCode.UPDATE_MESSAGE, 10), "peer sent a malformed prefix")
        prefixes.append(_ipv4_prefix(data[start:position], length))
    return tuple(prefixes)


def _ipv4_prefix(octets: bytes, length: int) -> IPv4Network:
    # Bits past the length are "irrelevant" (RFC 4271 §4.3), hence not strict.
    if length == 32:
        return IPv4Network(int.from_bytes(octets))
    return IPv4Network((int.from_bytes(octets.ljust(4, b"\0")), length), strict=False)


def _mp_prefixes(attribute: Any) -> tuple[Prefix, ...]:
    """The prefixes of MP_REACH_NLRI or MP_UNREACH_NLRI, each once.

    exabgp repeats a prefix whose next hop is a global and a link-local address (RFC 2545 §3).
    """
    if attribute is None:
        return ()
    return tuple(dict.fromkeys(_mp_prefix(nlri) for nlri in attribute.nlris if nlri is not None))


def _mp_prefix(nlri: Any) -> Prefix:
    octets, length = nlri.cidr.ton(), nlri.cidr.mask
    network = IPv4Network if len(octets) == 4 else IPv6Network
    return network((int.from_bytes(octets), length), strict=False)


def _mp_next_hop(reach: Any) -> Address | None:
    """The next hop of MP_REACH_NLRI; of a global and a link-local one the global, which comes first."""
    return _address(reach.nlris[0].nexthop) if reach is not None and reach.nlris else None


def _address(next_hop: Any) -> Address | None:
    packed = b"" if next_hop is None else next_hop.ton()
    if len(packed) == 4:
        return IPv4Address(packed)
    return IPv6Address(packed) if len(packed) == 16 else None


def _end_of_rib(unreach: Any) -> Family | None:
    """The family whose End-of-RIB an UPDATE without routes is (RFC 4724 §2)."""
    if unreach is None:
        return Family.IPV4
    return FAMILY_OF_AFI_SAFI.get((int(unreach.afi), int(unreach.safi)))

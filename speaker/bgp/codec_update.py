"""UPDATE messages through exabgp's codec: path attributes out, whole messages in.

Prefixes are read by hand (`codec_nlri`), and written so (`packing`).

Supported standards: RFC 4271 §4.3 and §5.1, RFC 1997 (communities), RFC 4360 (extended communities), RFC 4456
§8 (loops through route reflectors), RFC 4724 §2 (End-of-RIB), RFC 4760 (multiprotocol), RFC 6793 (4-octet AS
numbers), RFC 7606 (with `screening`), RFC 7911 (paths), RFC 8092 (large communities), RFC 8950 (IPv4 over
IPv6 next hops), RFC 9234 §5 (OTC).
"""

# ruff: noqa: ANN401 -- exabgp ships no types; its objects go no further than the codec.

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any, NamedTuple

from speaker.bgp import exabgp_classes as exabgp
from speaker.bgp.codec_nlri import MP_REACH_NLRI, MP_UNREACH_NLRI, Named, read_multiprotocol, read_nlri
from speaker.bgp.codec_open import exabgp_open, unpack_open
from speaker.bgp.messages import (
    FAMILY_OF_AFI_SAFI,
    ErrorCode,
    OpenMessage,
    UpdateMessage,
)
from speaker.bgp.passing_on import (
    attribute,
    attributes_to_send,
    kind_of,
    learned_from,
    occurrences,
    path_to_send,
)
from speaker.bgp.screening import Screened, screen
from speaker.model.peer import Peer, Role
from speaker.model.prefix import Address, Family, Prefix
from speaker.model.route import Origin, PathAttributes, PrefixPath, Route

_CODE = exabgp.Attribute.CODE
_ONLY_TO_CUSTOMER = 35

# Of each session so many attributes are remembered, none of them longer than that.
_MOST_REMEMBERED, _LONGEST_REMEMBERED = 256, 512


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeContext:
    """What the path attributes of a session depend on; sessions with equal contexts share encodings.

    Attributes:
        only_to_customer: routes without OTC get one with our AS number (RFC 9234 §5).
        remove_private_asns: private AS numbers of others are left out of AS_PATH toward an external peer.
    """

    local_asn: int
    ibgp: bool
    four_octet_as: bool
    only_to_customer: bool = False
    remove_private_asns: bool = False


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
    wire = _Wire(context.four_octet_as)
    wanted = [*_base_attributes(context, attributes, next_hop), *_communities(attributes)]
    packed: list[bytes] = [each.pack(wire) for each in wanted]
    learned = attributes.learned
    if learned is not None:
        packed += attributes_to_send(learned, outside=not context.ibgp, four_octet_as=context.four_octet_as)
    marker = attributes.only_to_customer
    if marker is None and context.only_to_customer:
        marker = context.local_asn
    if marker is not None:
        # Optional, transitive, four octets (RFC 9234 §5).
        packed.append(attribute(0xC0, _ONLY_TO_CUSTOMER, struct.pack("!L", marker)))
    # "The sender of an UPDATE message SHOULD order path attributes [...] in ascending order" (RFC 4271 §5)
    packed.sort(key=kind_of)
    return b"".join(packed)


def _base_attributes(
    context: AttributeContext, attributes: PathAttributes, next_hop: Address | None
) -> Iterator[Any]:
    """ORIGIN to LOCAL_PREF."""
    learned = attributes.learned
    yield exabgp.Origin(Origin.IGP if learned is None else learned.origin)
    # RFC 4271 §5.1.2: the local AS is prepended toward external peers only.
    prepended = (context.local_asn,) * (0 if context.ibgp else 1 + attributes.as_path_prepend)
    yield path_to_send(
        learned, prepended, outside=not context.ibgp, without_private=context.remove_private_asns
    )
    if next_hop is not None:
        yield exabgp.NextHop(str(next_hop))
    # "MUST NOT be propagated to other neighboring ASes" (RFC 4271 §5.1.4), when it came from one.
    foreign = learned is not None and not context.ibgp and attributes.med == learned.med
    if attributes.med is not None and not foreign:
        yield exabgp.MED(attributes.med)
    if context.ibgp:
        # "It SHALL NOT be included in UPDATE messages to external peers" (RFC 4271 §5.1.5)
        preference = attributes.local_preference
        yield exabgp.LocalPreference(100 if preference is None else preference)


def _communities(attributes: PathAttributes) -> Iterator[Any]:
    if attributes.communities:
        yield exabgp.Communities(
            [exabgp.Community(struct.pack("!L", value)) for value in attributes.communities]
        )
    if attributes.extended_communities:
        yield exabgp.ExtendedCommunities(
            [exabgp.ExtendedCommunity(value.to_bytes(8)) for value in attributes.extended_communities]
        )
    if attributes.large_communities:
        yield exabgp.LargeCommunities(
            [exabgp.LargeCommunity(struct.pack("!LLL", *value)) for value in attributes.large_communities]
        )


class _ReceivedPaths:
    """In place of exabgp's table of what ADD-PATH was negotiated for."""

    def __init__(self, families: frozenset[Family]) -> None:
        self._pairs = {exabgp.AFI_SAFI[family] for family in families}

    def receive(self, afi: Any, safi: Any) -> bool:
        """Whether NLRI of this family come with a Path Identifier."""
        return (afi, safi) in self._pairs


@dataclass(frozen=True, slots=True)
class _Values:
    """What the attributes of an UPDATE say; without `attributes` its routes must not be used."""

    attributes: PathAttributes | None
    next_hop: Address | None


class _Multiprotocol(NamedTuple):
    """MP_REACH_NLRI or MP_UNREACH_NLRI: what the codec makes of it (None: it is not there), its prefixes."""

    attribute: Any
    named: list[Named]


_ABSENT = _Multiprotocol(None, [])


class UpdateDecoder:
    """Decodes the UPDATEs of one session, whose OPENs decide what the bytes mean.

    Args:
        peer: the configured peer.
        received_open: the body of its OPEN, which `unpack_open` has accepted.

    Attributes:
        paths: the families whose prefixes come with a Path Identifier.
    """

    def __init__(self, peer: Peer, received_open: bytes) -> None:
        self._peer = peer
        # RFC 9234 §4: roles are of external sessions.
        self._role = None if peer.is_ibgp else peer.role
        self._negotiated = exabgp.Negotiated({"capability": {"aigp": None}})
        self._negotiated.sent(exabgp_open(peer))
        self._negotiated.received(exabgp.Open.unpack_message(received_open))
        if not self._negotiated.families:
            # A peer without the multiprotocol capability speaks IPv4 unicast (RFC 4760 §8).
            self._negotiated.families = [exabgp.AFI_SAFI[Family.IPV4]]
        self.paths = add_path_receive(peer, unpack_open(received_open))
        self._negotiated.addpath = _ReceivedPaths(self.paths)
        self._ipv4_paths = Family.IPV4 in self.paths
        self._recent: dict[tuple[bytes, tuple[bytes, ...]], _Values] = {}

    def unpack_update(self, body: bytes, peer: Peer | None = None) -> UpdateMessage:
        """The UPDATE in `body` (without the header).

        Args:
            body: what follows the header.
            peer: the configuration now, where some of it (our CLUSTER_ID) may have changed meanwhile.

        Raises:
            ProtocolError: with code 3, where RFC 7606 asks for a session reset.
        """
        if peer is not None and peer is not self._peer:
            self._peer = peer
            self._recent.clear()
        with exabgp.decoding("an UPDATE", ErrorCode.UPDATE_MESSAGE):
            withdrawn, packed, announced = exabgp.Update.split(body)
            screened = screen(packed, ibgp=self._peer.is_ibgp, four_octet_as=bool(self._negotiated.asn4))
            reach, unreach = self._multiprotocol(screened.multiprotocol)
            gone = [*self._ipv4_nlri(withdrawn), *unreach.named]
            if screened.only_unreachable and not (gone or announced):
                return UpdateMessage(end_of_rib=_end_of_rib(unreach.attribute))
            is_silent = not announced and reach.attribute is None
            values = _Values(None, None) if is_silent else self._values(screened)
            offers = (
                (self._ipv4_nlri(announced), values.next_hop),
                (reach.named, _mp_next_hop(reach.attribute)),
            )
            return self._update(None if screened.withdraw else values.attributes, offers, gone)

    def _ipv4_nlri(self, field: bytes) -> list[Named]:
        """The withdrawn routes, or the NLRI field."""
        return read_nlri(field, Family.IPV4, with_paths=self._ipv4_paths) if field else []

    def _multiprotocol(self, packed: bytes) -> tuple[_Multiprotocol, _Multiprotocol]:
        """MP_REACH_NLRI and MP_UNREACH_NLRI."""
        if not packed:
            return _ABSENT, _ABSENT
        shortened, found = read_multiprotocol(packed, self.paths)
        attributes = exabgp.Attributes.unpack(shortened, exabgp.Direction.IN, self._negotiated)
        reach, unreach = attributes.get(MP_REACH_NLRI), attributes.get(MP_UNREACH_NLRI)
        return (
            _Multiprotocol(reach, _named(reach, found.get(MP_REACH_NLRI))),
            _Multiprotocol(unreach, _named(unreach, found.get(MP_UNREACH_NLRI))),
        )

    def _values(self, screened: Screened) -> _Values:
        """What the attributes say; the same ones again, which is the most frequent case, cost nothing."""
        key = (screened.packed, screened.passed_along)
        known = self._recent.get(key)
        if known is not None:
            return known
        attributes = exabgp.Attributes.unpack(screened.packed, exabgp.Direction.IN, self._negotiated)
        values = _Values(
            self._path_attributes(attributes, screened.passed_along), _address(attributes.get(_CODE.NEXT_HOP))
        )
        if len(screened.packed) + sum(map(len, screened.passed_along)) <= _LONGEST_REMEMBERED:
            if len(self._recent) >= _MOST_REMEMBERED:
                self._recent.clear()
            self._recent[key] = values
        return values

    def _update(
        self,
        values: PathAttributes | None,
        offers: tuple[tuple[list[Named], Address | None], ...],
        gone: list[Named],
    ) -> UpdateMessage:
        routes: list[Route] = []
        for named, next_hop in offers:
            if values is None or next_hop is None:
                # RFC 7606 §2: "treat-as-withdraw"; §3 (d) names a missing NEXT_HOP.
                gone += named
            else:
                routes += [Route(prefix, next_hop, values, path_id) for prefix, path_id in named]
        return UpdateMessage(
            advertised=tuple(routes),
            withdrawn=tuple([PrefixPath(prefix, path_id) for prefix, path_id in gone]),
        )

    def _path_attributes(self, attributes: Any, passed_along: tuple[bytes, ...]) -> PathAttributes | None:
        """The attributes as our values; None when the routes must not be used.

        RFC 7606 §3 (d): a well-known mandatory attribute that is missing is treat-as-withdraw.
        """
        if _CODE.INTERNAL_TREAT_AS_WITHDRAW in attributes:
            return None
        # The codec drops an empty AS_PATH, which is right inside the AS and wrong outside of it.
        if _CODE.ORIGIN not in attributes or (_CODE.AS_PATH not in attributes and not self._peer.is_ibgp):
            return None
        if self._loops(attributes):
            return None
        marker = attributes.get(_ONLY_TO_CUSTOMER)
        only_to_customer = None if marker is None else int.from_bytes(marker.data)
        if self._leaks(only_to_customer):
            return None
        learned, preference = learned_from(attributes, passed_along), attributes.get(_CODE.LOCAL_PREF)
        communities = attributes.get(_CODE.COMMUNITY, ())
        large = attributes.get(_CODE.LARGE_COMMUNITY, ())
        extended = attributes.get(_CODE.EXTENDED_COMMUNITY, ())
        return PathAttributes(
            communities=tuple(sorted({int.from_bytes(c.community) for c in communities})),
            large_communities=tuple(sorted({struct.unpack("!LLL", c.large_community) for c in large})),
            extended_communities=tuple(sorted({int.from_bytes(c.community) for c in extended})),
            med=learned.med,
            local_preference=None if preference is None else int(preference.localpref),
            only_to_customer=self._marked(only_to_customer),
            learned=learned,
        )

    def _loops(self, attributes: Any) -> bool:
        """Whether the route has been here before.

        RFC 4271 §9.1.2: "If the AS_PATH attribute of a BGP route contains an AS loop, the BGP route
        should be excluded from the Phase 2 decision function." RFC 4456 §8: the same for our own
        identifier as ORIGINATOR_ID, or our CLUSTER_ID, which is that identifier unless configured (§7), in
        CLUSTER_LIST.

        Where routes are learned, the AS_PATH is left to the import policy: what it refuses is kept, so that
        it can be told why, and a change of `allowed_local_asns` finds it.
        """
        peer = self._peer
        if not peer.imports and occurrences(peer.local_asn, attributes) > peer.allowed_local_asns:
            return True
        originator, clusters = attributes.get(_CODE.ORIGINATOR_ID), attributes.get(_CODE.CLUSTER_LIST)
        if originator is not None and originator.ton() == peer.router_id.packed:
            return True
        ours = (peer.cluster_id or peer.router_id).packed
        return clusters is not None and any(each.ton() == ours for each in clusters.clusters)

    def _leaks(self, only_to_customer: int | None) -> bool:
        """Whether the route was not for us: RFC 9234 §5, the first two rules for what is received."""
        if only_to_customer is None:
            return False
        if self._role in (Role.PROVIDER, Role.ROUTE_SERVER):
            return True
        return self._role is Role.PEER and only_to_customer != self._peer.asn

    def _marked(self, only_to_customer: int | None) -> int | None:
        """RFC 9234 §5, the third rule: from a provider, a peer or a route server every route has OTC."""
        if only_to_customer is None and self._role in _BELOW_OR_BESIDE:
            return self._peer.asn
        return only_to_customer


_BELOW_OR_BESIDE = (Role.CUSTOMER, Role.PEER, Role.ROUTE_SERVER_CLIENT)


def add_path_receive(peer: Peer, message: OpenMessage) -> frozenset[Family]:
    """The families in which the peer will send several paths to one prefix (RFC 7911 §4)."""
    return peer.families & message.add_path_send if peer.add_path_receive else frozenset()


def _named(attribute: Any, read: list[Named] | None) -> list[Named]:
    """The prefixes of MP_REACH_NLRI or MP_UNREACH_NLRI, each path once: as they were read, or by the codec.

    exabgp repeats a prefix whose next hop is a global and a link-local address (RFC 2545 §3).
    """
    if attribute is None:
        return []
    if read is not None:
        return read
    return list(dict.fromkeys(_named_by_codec(nlri) for nlri in attribute.nlris if nlri is not None))


def _named_by_codec(nlri: Any) -> Named:
    octets, length = nlri.cidr.ton(), nlri.cidr.mask
    network = IPv4Network if len(octets) == 4 else IPv6Network
    prefix: Prefix = network((int.from_bytes(octets), length), strict=False)
    return prefix, int.from_bytes(nlri.path_info.path_info or b"")


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

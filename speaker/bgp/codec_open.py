"""OPEN messages through exabgp's codec: a configured peer in, bytes out; bytes in, an `OpenMessage` out.

Must not decide whether an OPEN is acceptable: `negotiation` does.

Supported standards: RFC 4271 §4.2, RFC 2918 (route refresh capability), RFC 4724 (graceful restart
capability), RFC 4760 (multiprotocol capability), RFC 5492 (capabilities), RFC 6793 (4-octet AS numbers),
RFC 8950 (extended next hop capability), RFC 9072 (long OPEN).
"""

# ruff: noqa: ANN401 -- exabgp ships no types; its objects go no further than the codec.

import struct
from ipaddress import IPv4Address
from typing import Any

from speaker.bgp import exabgp_classes as exabgp
from speaker.bgp.messages import (
    FAMILY_OF_AFI_SAFI,
    ErrorCode,
    Notification,
    OpenMessage,
    PeerGracefulRestart,
    ProtocolError,
)
from speaker.model.peer import Peer
from speaker.model.prefix import Family

_CODE = exabgp.Capability.CODE
_IPV4_OVER_IPV6 = (exabgp.AFI.ipv4, exabgp.SAFI.unicast, exabgp.AFI.ipv6)
BGP_VERSION = 4


def pack_open(peer: Peer, *, restarting: bool, forwarding_preserved: bool) -> bytes:
    """Our OPEN to `peer`, ready for the wire.

    Args:
        peer: the configured peer.
        restarting: the R bit of RFC 4724 §3.
        forwarding_preserved: the F bit, for each family.
    """
    return bytes(
        exabgp_open(peer, restarting=restarting, forwarding_preserved=forwarding_preserved).message()
    )


def exabgp_open(peer: Peer, *, restarting: bool = False, forwarding_preserved: bool = True) -> Any:
    """Our OPEN as exabgp's object."""
    return exabgp.Open(
        exabgp.Version(BGP_VERSION),
        exabgp.ASN(peer.local_asn),
        exabgp.HoldTime(peer.hold_time_seconds),
        exabgp.RouterID(str(peer.router_id)),
        _capabilities(peer, restarting=restarting, forwarding_preserved=forwarding_preserved),
    )


def _capabilities(peer: Peer, *, restarting: bool, forwarding_preserved: bool) -> Any:
    families = [exabgp.AFI_SAFI[family] for family in sorted(peer.families)]
    multiprotocol = exabgp.MultiProtocol()
    multiprotocol.extend(families)
    capabilities = exabgp.Capabilities()
    capabilities[_CODE.MULTIPROTOCOL] = multiprotocol
    capabilities[_CODE.FOUR_BYTES_ASN] = exabgp.ASN4(peer.local_asn)
    capabilities[_CODE.ROUTE_REFRESH] = exabgp.RouteRefresh()
    if peer.extended_next_hop:
        capabilities[_CODE.NEXTHOP] = exabgp.ExtendedNextHop([_IPV4_OVER_IPV6])
    if peer.graceful_restart is not None:
        # exabgp's own `Capabilities.new` would set the F bit always.
        forwarding = exabgp.Graceful.FORWARDING_STATE if forwarding_preserved else 0
        capabilities[_CODE.GRACEFUL_RESTART] = exabgp.Graceful().set(
            exabgp.Graceful.RESTART_STATE if restarting else 0,
            peer.graceful_restart.restart_time_seconds,
            [(afi, safi, forwarding) for afi, safi in families],
        )
    return capabilities


def unpack_open(body: bytes) -> OpenMessage:
    """The OPEN in `body` (without the header).

    Raises:
        ProtocolError: with code 2 and the subcode of RFC 4271 §6.2.
    """
    if body[0] != BGP_VERSION:
        # "The Data field is a 2-octet unsigned integer, which indicates the largest, locally-supported
        # version number less than the version the remote BGP peer bid" (RFC 4271 §6.2)
        notification = Notification(ErrorCode.OPEN_MESSAGE, 1, struct.pack("!H", BGP_VERSION))
        raise ProtocolError(notification, f"peer speaks BGP version {body[0]}, not 4")
    with exabgp.decoding("an OPEN", ErrorCode.OPEN_MESSAGE):
        return _open_message(exabgp.Open.unpack_message(body))


def _open_message(decoded: Any) -> OpenMessage:
    capabilities = decoded.capabilities
    four_octet = capabilities.get(_CODE.FOUR_BYTES_ASN)
    multiprotocol = capabilities.get(_CODE.MULTIPROTOCOL)
    return OpenMessage(
        # RFC 6793 §4.1: the capability carries the AS number, the field AS_TRANS if it does not fit.
        asn=int(decoded.asn if four_octet is None else four_octet),
        hold_time_seconds=int(decoded.hold_time),
        router_id=IPv4Address(str(decoded.router_id)),
        families=None if multiprotocol is None else _families(multiprotocol),
        four_octet_as=four_octet is not None,
        extended_next_hop=_IPV4_OVER_IPV6 in capabilities.get(_CODE.NEXTHOP, ()),
        route_refresh=_CODE.ROUTE_REFRESH in capabilities,
        graceful_restart=_graceful_restart(capabilities.get(_CODE.GRACEFUL_RESTART)),
    )


def _families(pairs: Any) -> frozenset[Family]:
    known = (FAMILY_OF_AFI_SAFI.get((int(afi), int(safi))) for afi, safi in pairs)
    return frozenset(family for family in known if family is not None)


def _graceful_restart(capability: Any) -> PeerGracefulRestart | None:
    if capability is None:
        return None
    return PeerGracefulRestart(
        restart_time_seconds=int(capability.restart_time),
        restarting=bool(capability.restart_flag & exabgp.Graceful.RESTART_STATE),
        families=_families(capability.families()),
    )

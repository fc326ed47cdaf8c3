"""OPEN messages through exabgp's codec: a configured peer in, bytes out; bytes in, an `OpenMessage` out.

Must not decide whether an OPEN is acceptable: `negotiation` does.

Supported standards: RFC 4271 §4.2, RFC 2918 (route refresh capability), RFC 4724 (graceful restart
capability), RFC 4760 (multiprotocol capability), RFC 5492 (capabilities), RFC 6793 (4-octet AS numbers),
RFC 7313 (enhanced route refresh capability), RFC 7911 (ADD-PATH capability), RFC 8538 (N bit), RFC 8654
(extended message capability), RFC 8950 (extended next hop capability), RFC 9072 (long OPEN), RFC 9234 (role
capability), RFC 9494 (long-lived graceful restart capability).
"""

# ruff: noqa: ANN401 -- exabgp ships no types; its objects go no further than the codec.

import struct
from ipaddress import IPv4Address
from typing import Any

from speaker.bgp import exabgp_classes as exabgp
from speaker.bgp.exabgp_capabilities import LONG_LIVED, ROLE, LongLivedCapability, RoleCapability
from speaker.bgp.messages import (
    FAMILY_OF_AFI_SAFI,
    ErrorCode,
    LongLived,
    Notification,
    OpenMessage,
    PeerGracefulRestart,
    ProtocolError,
)
from speaker.model.peer import GracefulRestart, Peer, Role
from speaker.model.prefix import Family

_CODE = exabgp.Capability.CODE
_IPV4_OVER_IPV6 = (exabgp.AFI.ipv4, exabgp.SAFI.unicast, exabgp.AFI.ipv6)
BGP_VERSION = 4
# How long an OPEN is up to its optional parameters, which end with their length.
_FIXED_LENGTH = 10
_CAPABILITIES = 2
_EXTENDED = 255
# RFC 8538 §2: the second most significant bit of the restart flags.
_NOTIFICATION_STATE = 0x04
# RFC 7911 §4.
_RECEIVE, _SEND = 1, 2

ROLE_VALUES = {
    Role.PROVIDER: 0,
    Role.ROUTE_SERVER: 1,
    Role.ROUTE_SERVER_CLIENT: 2,
    Role.CUSTOMER: 3,
    Role.PEER: 4,
}
"""RFC 9234 §4.1, Table 1."""


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
    capabilities[_CODE.ENHANCED_ROUTE_REFRESH] = exabgp.EnhancedRouteRefresh()
    if peer.extended_next_hop:
        capabilities[_CODE.NEXTHOP] = exabgp.ExtendedNextHop([_IPV4_OVER_IPV6])
    if peer.extended_messages:
        capabilities[_CODE.EXTENDED_MESSAGE] = exabgp.ExtendedMessage()
    directions = (_SEND if peer.add_path_send else 0) | (_RECEIVE if peer.add_path_receive else 0)
    if directions:
        capabilities[_CODE.ADD_PATH] = exabgp.AddPath(families, directions)
    if peer.role is not None and not peer.is_ibgp:
        capabilities[ROLE] = RoleCapability(ROLE_VALUES[peer.role])
    if peer.graceful_restart is not None:
        restart = _restart_capability(peer.graceful_restart, families, restarting, forwarding_preserved)
        capabilities[_CODE.GRACEFUL_RESTART] = restart
        if peer.graceful_restart.long_lived_seconds:
            capabilities[LONG_LIVED] = LongLivedCapability(
                LongLived(family, forwarding_preserved, peer.graceful_restart.long_lived_seconds)
                for family in sorted(peer.families)
            )
    return capabilities


def _restart_capability(
    restart: GracefulRestart,
    families: list[Any],
    restarting: bool,  # noqa: FBT001 -- both as in `pack_open`
    forwarding_preserved: bool,  # noqa: FBT001
) -> Any:
    # exabgp's own `Capabilities.new` would set the F bit always.
    forwarding = exabgp.Graceful.FORWARDING_STATE if forwarding_preserved else 0
    flags = exabgp.Graceful.RESTART_STATE if restarting else 0
    if restart.notification:
        flags |= _NOTIFICATION_STATE
    return exabgp.Graceful().set(
        flags, restart.restart_time_seconds, [(afi, safi, forwarding) for afi, safi in families]
    )


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
    _check_parameters(body)
    with exabgp.decoding("an OPEN", ErrorCode.OPEN_MESSAGE):
        return _open_message(exabgp.Open.unpack_message(body))


def _check_parameters(body: bytes) -> None:
    """Refuses optional parameters whose lengths do not fit, or that are no capabilities (RFC 4271 §6.2)."""
    length, rest = body[_FIXED_LENGTH - 1], body[_FIXED_LENGTH:]
    octets = 1
    if length == _EXTENDED and rest[:1] == bytes([_EXTENDED]):
        # RFC 9072 §2: the lengths have two octets.
        length, rest, octets = int.from_bytes(rest[1:3]), rest[3:], 2
    if length != len(rest):
        raise _malformed_parameters()
    while rest:
        kind, length = rest[0], int.from_bytes(rest[1 : 1 + octets])
        if len(rest) < 1 + octets + length:
            raise _malformed_parameters()
        if kind != _CAPABILITIES:
            notification = Notification(ErrorCode.OPEN_MESSAGE, 4)
            raise ProtocolError(notification, f"peer sent an OPEN with the unknown optional parameter {kind}")
        rest = rest[1 + octets + length :]


def _malformed_parameters() -> ProtocolError:
    # "If one of the Optional Parameters in the OPEN message is recognized, but is malformed, then the Error
    # Subcode MUST be set to 0 (Unspecific)." (RFC 4271 §6.2)
    notification = Notification(ErrorCode.OPEN_MESSAGE, 0)
    return ProtocolError(notification, "peer sent an OPEN whose optional parameters do not fit their lengths")


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
        enhanced_route_refresh=_CODE.ENHANCED_ROUTE_REFRESH in capabilities,
        extended_messages=_CODE.EXTENDED_MESSAGE in capabilities,
        add_path_send=_add_path(capabilities, _SEND),
        add_path_receive=_add_path(capabilities, _RECEIVE),
        roles=frozenset(capabilities[ROLE].values) if ROLE in capabilities else frozenset(),
        graceful_restart=_graceful_restart(capabilities.get(_CODE.GRACEFUL_RESTART)),
        long_lived=capabilities[LONG_LIVED].entries if LONG_LIVED in capabilities else (),
    )


def _families(pairs: Any) -> frozenset[Family]:
    known = (FAMILY_OF_AFI_SAFI.get((int(afi), int(safi))) for afi, safi in pairs)
    return frozenset(family for family in known if family is not None)


def _add_path(capabilities: Any, direction: int) -> frozenset[Family]:
    """The families with `direction` in their Send/Receive field; other values than 1 to 3 say nothing.

    "If any other value is received, then the capability SHOULD be treated as not understood"
    (RFC 7911 §4).
    """
    entries = capabilities.get(_CODE.ADD_PATH, {})
    return _families(pair for pair, value in entries.items() if value <= 3 and value & direction)


def _graceful_restart(capability: Any) -> PeerGracefulRestart | None:
    if capability is None:
        return None
    return PeerGracefulRestart(
        restart_time_seconds=int(capability.restart_time),
        restarting=bool(capability.restart_flag & exabgp.Graceful.RESTART_STATE),
        notification=bool(capability.restart_flag & _NOTIFICATION_STATE),
        families=_families(capability.families()),
        preserved=_families(
            pair for pair, flags in capability.items() if flags & exabgp.Graceful.FORWARDING_STATE
        ),
    )

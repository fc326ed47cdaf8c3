"""Whether a peer's OPEN is acceptable, and what both OPENs together mean (RFC 4271 §4.2, §6.2).

Pure: configured peer and received OPEN in, facts or a `ProtocolError` out.
"""

from dataclasses import dataclass
from ipaddress import IPv6Address

from speaker.bgp.codec_open import ROLE_VALUES
from speaker.bgp.codec_update import AttributeContext, add_path_receive
from speaker.bgp.messages import (
    MAX_EXTENDED_MESSAGE,
    MAX_MESSAGE,
    ErrorCode,
    LongLived,
    Notification,
    OpenMessage,
    PeerGracefulRestart,
    ProtocolError,
)
from speaker.bgp.packing import PackingContext
from speaker.model.peer import Peer, Role, SessionFacts
from speaker.model.prefix import Address, Family
from speaker.model.route import Route

MINIMUM_HOLD_TIME = 3

# RFC 9234 §4.2, Table 2: which role of the peer fits ours.
_OPPOSITE = {
    Role.PROVIDER: Role.CUSTOMER,
    Role.CUSTOMER: Role.PROVIDER,
    Role.ROUTE_SERVER: Role.ROUTE_SERVER_CLIENT,
    Role.ROUTE_SERVER_CLIENT: Role.ROUTE_SERVER,
    Role.PEER: Role.PEER,
}
_ROLES = {value: role for role, value in ROLE_VALUES.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Negotiated:
    """What a session may do, beside the facts that the rest of the speaker sees.

    Attributes:
        packing: what our UPDATEs look like.
        max_received: the longest message that the peer may send, in octets.
        peer_refreshes: whether the peer can be asked for all its routes again (RFC 2918).
        peer_restart: how the peer restarts gracefully (RFC 4724), when both offer that.
        peer_long_lived: for how long its routes may be kept (RFC 9494), when both offer that.
        refuses_marked: routes with OTC must not go to the peer (RFC 9234 §5).
    """

    facts: SessionFacts
    packing: PackingContext
    max_received: int = MAX_MESSAGE
    peer_refreshes: bool = False
    peer_restart: PeerGracefulRestart | None = None
    peer_long_lived: tuple[LongLived, ...] = ()
    refuses_marked: bool = False

    @property
    def peer_restarts(self) -> bool:
        """Whether a new connection of the peer means that it has restarted: its capability names families."""
        return self.peer_restart is not None and bool(self.peer_restart.families)

    def can_carry(self, route: Route) -> bool:
        """Whether the peer understands the route's family and its next hop, and may hear it."""
        if self.refuses_marked and route.attributes.only_to_customer is not None:
            return False
        family = Family.IPV4 if route.prefix.version == 4 else Family.IPV6
        if family not in self.facts.families:
            return False
        if route.next_hop.version == route.prefix.version:
            return True
        # RFC 8950 is IPv4 over IPv6 only.
        return self.facts.extended_next_hop and family is Family.IPV4


def check_open(peer: Peer, message: OpenMessage) -> None:
    """Refuses an OPEN that does not fit the configured peer.

    Raises:
        ProtocolError: code 2 with the subcode of RFC 4271 §6.2.
    """
    if message.asn != peer.asn or message.asn == 0:
        # RFC 7607: AS 0 is never acceptable; no peer is configured with it.
        raise _refusal(2, f"peer opened with AS {message.asn}, expected {peer.asn}")
    if int(message.router_id) == 0:
        raise _refusal(3, "peer opened with router ID 0.0.0.0")
    if peer.is_ibgp and message.router_id == peer.router_id:
        # RFC 6286 §2.2: the identifier is unique within an AS.
        raise _refusal(3, f"peer opened with our own router ID {peer.router_id}")
    if message.hold_time_seconds in (1, 2):
        # "An implementation MUST reject Hold Time values of one or two seconds." (RFC 4271 §6.2)
        raise _refusal(6, f"peer offered a hold time of {message.hold_time_seconds} s, less than 3")
    if not _families(peer, message):
        offered = ", ".join(sorted(message.families or ())) or "none of them"
        ours = ", ".join(sorted(peer.families))
        raise _refusal(7, f"no address family in common: we offer {ours}, peer offers {offered}")
    _check_role(peer, message)


def _check_role(peer: Peer, message: OpenMessage) -> None:
    """RFC 9234 §4.2: a wrong role, several roles, or in strict mode none, is a Role Mismatch (11)."""
    if peer.role is None or peer.is_ibgp:
        return
    wanted = _OPPOSITE[peer.role]
    if not message.roles:
        if peer.role_strict:
            raise _refusal(11, f"peer opened without a role, expected {wanted}")
    elif message.roles != {ROLE_VALUES[wanted]}:
        told = ", ".join(sorted(_ROLES.get(value, str(value)) for value in message.roles))
        raise _refusal(11, f"peer opened with the role {told}, expected {wanted} since ours is {peer.role}")


def _refusal(subcode: int, reason: str) -> ProtocolError:
    return ProtocolError(Notification(ErrorCode.OPEN_MESSAGE, subcode), reason)


def _families(peer: Peer, message: OpenMessage) -> frozenset[Family]:
    # Without the capability of RFC 4760 a peer speaks IPv4 unicast, as RFC 4271 alone defines it.
    return peer.families & (frozenset({Family.IPV4}) if message.families is None else message.families)


def negotiate(
    peer: Peer, message: OpenMessage, local_address: Address, capabilities: tuple[str, ...] = ()
) -> Negotiated:
    """What our OPEN and the peer's, already checked, agree on.

    Args:
        peer: the configured peer.
        message: its OPEN.
        local_address: our end of the connection.
        capabilities: what the peer offers, in words.
    """
    families = _families(peer, message)
    add_path_send = families & message.add_path_receive if peer.add_path_send else frozenset()
    ours, theirs = peer.graceful_restart, message.graceful_restart
    restart = theirs if ours is not None else None
    # RFC 9494 §3.1: it means nothing without the capability of RFC 4724 beside it.
    long_lived = (
        ours is not None and ours.long_lived_seconds > 0 and theirs is not None and bool(message.long_lived)
    )
    extended_messages = peer.extended_messages and message.extended_messages
    facts = SessionFacts(
        local_address=local_address,
        families=families,
        extended_next_hop=peer.extended_next_hop and message.extended_next_hop,
        peer_graceful_restart=restart is not None,
        # "the smaller of its configured Hold Time and the Hold Time received" (RFC 4271 §4.2)
        hold_time_seconds=min(peer.hold_time_seconds, message.hold_time_seconds),
        peer_router_id=message.router_id,
        peer_capabilities=capabilities,
        extended_messages=extended_messages,
        enhanced_route_refresh=message.enhanced_route_refresh,
        add_path_send=add_path_send,
        add_path_receive=families & add_path_receive(peer, message),
        notification_restart=ours is not None
        and ours.notification
        and theirs is not None
        and theirs.notification,
        long_lived=long_lived,
    )
    return Negotiated(
        facts=facts,
        packing=PackingContext(
            attributes=_attribute_context(peer, message),
            max_message=MAX_EXTENDED_MESSAGE if extended_messages else MAX_MESSAGE,
            add_path=add_path_send,
            link_local=local_address
            if isinstance(local_address, IPv6Address) and local_address.is_link_local
            else None,
        ),
        # RFC 8654 §4: who offers them must take them, whatever the peer offers.
        max_received=MAX_EXTENDED_MESSAGE if peer.extended_messages else MAX_MESSAGE,
        peer_refreshes=message.route_refresh,
        peer_restart=restart,
        peer_long_lived=message.long_lived if long_lived else (),
        # RFC 9234 §5: "it MUST NOT be propagated to Providers, Peers, or RSes".
        refuses_marked=peer.role in (Role.CUSTOMER, Role.PEER, Role.ROUTE_SERVER_CLIENT) and not peer.is_ibgp,
    )


def _attribute_context(peer: Peer, message: OpenMessage) -> AttributeContext:
    return AttributeContext(
        local_asn=peer.local_asn,
        ibgp=peer.is_ibgp,
        four_octet_as=message.four_octet_as,
        # RFC 9234 §5: "to a Customer, a Peer, or an RS-Client".
        only_to_customer=peer.role in (Role.PROVIDER, Role.PEER, Role.ROUTE_SERVER) and not peer.is_ibgp,
    )

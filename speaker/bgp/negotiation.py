"""Whether a peer's OPEN is acceptable, and what both OPENs together mean (RFC 4271 §4.2, §6.2).

Pure: configured peer and received OPEN in, facts or a `ProtocolError` out.
"""

from dataclasses import dataclass

from speaker.bgp.codec_update import AttributeContext
from speaker.bgp.messages import ErrorCode, Notification, OpenMessage, ProtocolError
from speaker.model.peer import Peer, SessionFacts
from speaker.model.prefix import Address, Family
from speaker.model.route import Route

MINIMUM_HOLD_TIME = 3


@dataclass(frozen=True, slots=True)
class Negotiated:
    """What a session may do, beside the facts that the rest of the speaker sees.

    Attributes:
        peer_restarts: the peer may restart gracefully (its capability names families), so that a new
            connection of its means that it has.
    """

    facts: SessionFacts
    context: AttributeContext
    peer_restarts: bool

    def can_carry(self, route: Route) -> bool:
        """Whether the peer understands the route's family and its next hop."""
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


def _refusal(subcode: int, reason: str) -> ProtocolError:
    return ProtocolError(Notification(ErrorCode.OPEN_MESSAGE, subcode), reason)


def _families(peer: Peer, message: OpenMessage) -> frozenset[Family]:
    # Without the capability of RFC 4760 a peer speaks IPv4 unicast, as RFC 4271 alone defines it.
    return peer.families & (frozenset({Family.IPV4}) if message.families is None else message.families)


def negotiate(peer: Peer, message: OpenMessage, local_address: Address) -> Negotiated:
    """What our OPEN and the peer's, already checked, agree on."""
    facts = SessionFacts(
        local_address=local_address,
        families=_families(peer, message),
        extended_next_hop=peer.extended_next_hop and message.extended_next_hop,
        peer_graceful_restart=peer.graceful_restart is not None and message.graceful_restart is not None,
        # "the smaller of its configured Hold Time and the Hold Time received" (RFC 4271 §4.2)
        hold_time_seconds=min(peer.hold_time_seconds, message.hold_time_seconds),
        peer_router_id=message.router_id,
    )
    context = AttributeContext(
        local_asn=peer.local_asn, ibgp=peer.is_ibgp, four_octet_as=message.four_octet_as
    )
    restart = message.graceful_restart
    peer_restarts = peer.graceful_restart is not None and restart is not None and bool(restart.families)
    return Negotiated(facts, context, peer_restarts)

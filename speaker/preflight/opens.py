"""What our OPEN and the peer's answer mean for the session to come.

Pure: what was heard goes in, findings come out. Knows flags by name, since advice names them. Must not know
sockets.

Supported standards: RFC 4271 §6.2, RFC 4724, RFC 6286, RFC 6793, RFC 8538, RFC 8950, RFC 9003, RFC 9234.
"""

from collections.abc import Callable

from speaker.bgp.messages import Cease, ErrorCode, Notification, OpenMessage, ProtocolError
from speaker.bgp.negotiation import check_open
from speaker.bgp.reasons import notification_received
from speaker.model.peer import Peer
from speaker.model.prefix import Family
from speaker.preflight.exchange import Opening, Trouble
from speaker.preflight.findings import Check, Findings, Result

LARGEST_TWO_OCTET_ASN = 65535
ASK_THE_OPERATOR = "ask the router's operator, whose decision this is"

_OPEN_SUBCODES = {
    2: (Check.AS, "the router expects another AS of us: compare --cluster-as with its remote AS"),
    3: (Check.ROUTER_ID, "give this node a --router-id that no other router has"),
    6: (Check.HOLD_TIME, "change --holdtime to what the router accepts"),
    7: (Check.FAMILIES, "compare --families with the families that the router has activated for this node"),
    11: (Check.OPEN, "configure the opposite role at the router (RFC 9234 §4.2)"),
}
_CEASE_ADVICE = {
    Cease.MAXIMUM_PREFIXES: "a prefix limit ended the last session; it may have to be cleared there",
    Cease.ADMINISTRATIVE_SHUTDOWN: ASK_THE_OPERATOR,
    Cease.PEER_DECONFIGURED: "configure this node as a neighbor at the router",
    Cease.CONNECTION_REJECTED: (
        "configure this node's address as a neighbor at the router; if it is, the router waits"
        " after an error or holds another connection: try again in a minute"
    ),
    Cease.COLLISION_RESOLUTION: (
        "the router has another connection with this node; if no speaker runs here, try again"
    ),
}


def judge(findings: Findings, peer: Peer, opening: Opening) -> None:
    """Add what follows from the answer to our OPEN."""
    if opening.notification is not None:
        _judge_notification(findings, peer, opening.notification)
    elif opening.trouble is not None:
        findings.failed(Check.OPEN, opening.sentence, _trouble_advice(peer, opening))
    else:
        findings.passed(Check.OPEN, "the peer accepts our OPEN")
    if opening.message is not None:
        judge_open(findings, peer, opening.message)


def _trouble_advice(peer: Peer, opening: Opening) -> str:
    if opening.trouble is Trouble.NO_BGP:
        return f"something else than a BGP router listens on port {peer.port}"
    if opening.trouble is Trouble.MALFORMED:
        return "the router breaks the protocol: update it, or see its log"
    if opening.body:
        return "the router does not accept our OPEN and does not say why; its log does"
    if opening.trouble is Trouble.CLOSED:
        return (
            "the router does not know this node: compare its neighbors with the source address above, and"
            " whether the neighbor is shut down or in another VRF; after an error it may refuse for a minute"
        )
    return (
        "the router took the connection and says nothing: it may wait after an error, be overloaded, or send"
        " with another TTL than TTL security permits"
    )


def _judge_notification(findings: Findings, peer: Peer, notification: Notification) -> None:
    said = notification_received(notification)
    inner = notification.inner
    if inner.code == ErrorCode.OPEN_MESSAGE:
        check, advice = _OPEN_SUBCODES.get(inner.subcode, (Check.OPEN, "the router's log says more"))
        if check is Check.AS:
            said = f"we open with AS {peer.local_asn}; {said}"
        findings.failed(check, said, advice)
    elif inner.code == ErrorCode.CEASE:
        advice = next((text for cease, text in _CEASE_ADVICE.items() if cease == inner.subcode), "")
        findings.failed(Check.OPEN, said, advice or ASK_THE_OPERATOR)
    else:
        findings.failed(Check.OPEN, said, "the router's log says more")


def judge_open(findings: Findings, peer: Peer, message: OpenMessage) -> None:
    """Add what follows from the peer's OPEN, whatever the peer thought of ours."""
    before = len(findings.found)
    for look in _LOOKS:
        look(findings, peer, message)
    try:
        check_open(peer, message)
    except ProtocolError as error:
        # What a look of its own has not told already.
        if not any(finding.result is Result.FAIL for finding in findings.found[before:]):
            findings.failed(Check.OPEN, str(error), "configure both sides to agree")


def _as(findings: Findings, peer: Peer, message: OpenMessage) -> None:
    kind = "iBGP" if peer.is_ibgp else "eBGP"
    if message.asn == peer.asn:
        findings.passed(Check.AS, f"{kind}: we are AS {peer.local_asn}, the peer is AS {peer.asn}")
    elif message.asn == 0:
        findings.failed(Check.AS, "peer opened with AS 0, which is nobody's (RFC 7607)")
    else:
        inside = "; that is our own AS: an iBGP session" if message.asn == peer.local_asn else ""
        findings.failed(
            Check.AS,
            f"peer says it is AS {message.asn}, and AS {peer.asn} is configured{inside}",
            f"--neighbor-as={message.asn}, if this is the router that is meant",
        )


def _router_id(findings: Findings, peer: Peer, message: OpenMessage) -> None:
    both = f"ours is {peer.router_id}, the peer's {message.router_id}"
    if int(message.router_id) == 0:
        findings.failed(Check.ROUTER_ID, "peer has the router ID 0.0.0.0", "configure one at the router")
    elif message.router_id != peer.router_id:
        findings.passed(Check.ROUTER_ID, both)
    elif peer.is_ibgp:
        # RFC 6286 §2.2: "the BGP Identifier [...] unique within an AS".
        findings.failed(Check.ROUTER_ID, f"{both}: the same inside one AS", "give this node a --router-id")
    else:
        findings.warned(
            Check.ROUTER_ID,
            f"{both}: the same in two ASes, which some routers refuse",
            "give this node a --router-id",
        )


def _hold_time(findings: Findings, peer: Peer, message: OpenMessage) -> None:
    ours, theirs = peer.hold_time_seconds, message.hold_time_seconds
    negotiated = min(ours, theirs)
    offers = f"we offer {ours} s, the peer {theirs} s"
    if theirs in (1, 2):
        findings.failed(
            Check.HOLD_TIME, f"peer offers {theirs} s, less than 3", "configure 0 or 3 s or more there"
        )
    elif negotiated == 0:
        findings.warned(
            Check.HOLD_TIME,
            f"none: {offers}; the loss of the peer is not noticed by BGP",
            "use a hold time on both sides, or BFD",
        )
    elif peer.keepalive_seconds is not None and peer.keepalive_seconds >= negotiated:
        findings.warned(
            Check.HOLD_TIME,
            f"{negotiated} s ({offers}), not more than --keepalive={peer.keepalive_seconds}s",
            f"--keepalive={max(negotiated // 3, 1)}s",
        )
    else:
        differ = "" if ours == theirs else f" ({offers}; the smaller counts)"
        findings.passed(Check.HOLD_TIME, f"{negotiated} s{differ}")


def _families(findings: Findings, peer: Peer, message: OpenMessage) -> None:
    theirs = frozenset({Family.IPV4}) if message.families is None else message.families
    common, lacking = peer.families & theirs, peer.families - theirs
    offered = _listed(theirs) or "neither IPv4 nor IPv6 unicast"
    if not common:
        findings.failed(
            Check.FAMILIES,
            f"none in common: we offer {_listed(peer.families)}, the peer {offered}",
            "activate a family for this node at the router, or change --families",
        )
    elif lacking:
        findings.warned(
            Check.FAMILIES,
            f"{_listed(common)}; the peer does not offer {_listed(lacking)}, whose routes it will not hear",
            f"activate {_listed(lacking)} for this node at the router, or --families={','.join(common)}",
        )
    else:
        findings.passed(Check.FAMILIES, _listed(common))


def _listed(families: frozenset[Family]) -> str:
    return ", ".join(sorted(families))


def _extended_next_hop(findings: Findings, peer: Peer, message: OpenMessage) -> None:
    if not peer.extended_next_hop:
        findings.skipped(Check.EXTENDED_NEXT_HOP, "not asked for")
    elif message.extended_next_hop:
        findings.passed(Check.EXTENDED_NEXT_HOP, "IPv4 over IPv6 next hops")
    else:
        findings.warned(
            Check.EXTENDED_NEXT_HOP,
            "the peer takes no IPv6 next hops for IPv4: those routes need an IPv4 next hop",
            "configure extended next hops (RFC 8950) at the router, or an IPv4 address for --node-ips",
        )


def _graceful_restart(findings: Findings, peer: Peer, message: OpenMessage) -> None:
    ours, theirs = peer.graceful_restart, message.graceful_restart
    if theirs is None:
        if ours is None:
            findings.skipped(Check.GRACEFUL_RESTART, "not asked for, and the peer does not offer to help")
        else:
            findings.warned(
                Check.GRACEFUL_RESTART,
                "the peer does not help: an upgrade of the speaker withdraws its routes for a moment",
                "configure graceful restart (at least as a helper, RFC 4724) at the router",
            )
        return
    also = [
        *(["its R bit is set: it has just restarted"] if theirs.restarting else []),
        *(["keeps them after NOTIFICATIONs too (RFC 8538)"] if theirs.notification else []),
    ]
    if theirs.families:
        also.append(
            f"restarts itself within {theirs.restart_time_seconds} s, keeping {_listed(theirs.families)}"
        )
    remarks = "".join(f"; {each}" for each in also)
    if ours is None:
        findings.skipped(Check.GRACEFUL_RESTART, f"not asked for; the peer would help{remarks}")
        return
    findings.passed(
        Check.GRACEFUL_RESTART,
        f"the peer helps: it keeps our routes for our {ours.restart_time_seconds} s{remarks}",
    )


def _four_octet_as(findings: Findings, peer: Peer, message: OpenMessage) -> None:
    if message.four_octet_as:
        findings.passed(Check.FOUR_OCTET_AS, "both sides")
    elif max(peer.asn, peer.local_asn) > LARGEST_TWO_OCTET_ASN:
        findings.failed(
            Check.FOUR_OCTET_AS,
            f"the peer knows AS numbers up to {LARGEST_TWO_OCTET_ASN} only, and one of ours is larger",
            "turn on 4-octet AS numbers (RFC 6793) at the router",
        )
    else:
        findings.warned(Check.FOUR_OCTET_AS, "the peer knows AS numbers of two octets only")


def _route_refresh(findings: Findings, peer: Peer, message: OpenMessage) -> None:
    del peer
    if message.route_refresh:
        enhanced = ", enhanced (RFC 7313)" if message.enhanced_route_refresh else ""
        findings.passed(Check.ROUTE_REFRESH, f"both sides{enhanced}")
    else:
        findings.warned(
            Check.ROUTE_REFRESH, "the peer cannot ask for routes again after a change of its filters"
        )


_LOOKS: tuple[Callable[[Findings, Peer, OpenMessage], None], ...] = (
    _as,
    _router_id,
    _hold_time,
    _families,
    _extended_next_hop,
    _graceful_restart,
    _four_octet_as,
    _route_refresh,
)

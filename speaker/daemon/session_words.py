"""Sessions in words: for the log, for a person who looks on, and for the control socket.

Knows the words; decides nothing, and knows no cluster.
"""

import logging
import time
from collections.abc import Iterator, Mapping

from speaker.bfd import BfdStatus
from speaker.bgp import SessionEvent, SessionEventKind
from speaker.log import escaped
from speaker.model.peer import SessionFacts, SessionStatus
from speaker.model.prefix import Prefix, sort_key
from speaker.model.route import Paths, each_path

Json = dict[str, object]

_log = logging.getLogger(__name__)


def log_session(event: SessionEvent) -> None:
    """Log every change of a session's state, and why an attempt failed."""
    fields: dict[str, object] = {"peer": event.peer}
    if event.old is not None and event.new is not None:
        fields |= {"old": event.old.value, "new": event.new.value}
    if event.reason:
        fields["reason"] = event.reason
    match event.kind:
        case SessionEventKind.STATE_CHANGED:
            _log.info("session state changed", extra=fields)
        case SessionEventKind.ESTABLISHED if event.facts is not None:
            facts = event.facts
            fields |= {
                "local_address": str(facts.local_address),
                "families": ",".join(sorted(facts.families)),
                "hold_time_seconds": facts.hold_time_seconds,
                "peer_graceful_restart": facts.peer_graceful_restart,
            }
            _log.info("session established", extra=fields)
        case SessionEventKind.CLOSED:
            _log.warning("session closed", extra=fields)
        case SessionEventKind.ERROR:
            _log.warning("session failed", extra=fields)
        case _:
            _log.debug("session event", extra=fields)


def state_line(now: float, what: str, old: str, new: str, reason: str = "") -> str:
    """One change of state: `2026-01-31T12:00:00Z 192.0.2.1 Idle -> Connect: reason`.

    Args:
        now: seconds since the epoch.
        what: a peer's name, or a prefix.
        old: the state before.
        new: the state now.
        reason: why, or "".
    """
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
    return escaped(f"{moment} {what} {old} -> {new}{f': {reason}' if reason else ''}")


def session_answer(status: SessionStatus, bfd: BfdStatus | None = None) -> Json:
    """A session as `speaker status` shows it, with its description and BFD if it has those."""
    answer: Json = {
        "peer": status.peer.name,
        "asn": status.peer.asn,
        "state": status.state.value,
        "advertised": sum(count for _, count in status.advertised),
        "pending": status.pending,
        "received": sum(count for _, count in status.received),
        "flaps": status.flaps,
        "established_at": status.established_at,
        "last_error": status.last_error,
    }
    if status.peer.description:
        answer["description"] = status.peer.description
    if status.peer.name != str(status.peer.address):
        answer["address"] = str(status.peer.address)
    if bfd is not None:
        answer |= {"bfd": str(bfd.state), "bfd_session": _bfd_answer(bfd)}
    if status.facts is not None:
        answer["facts"] = _facts_answer(status.facts)
    return answer


def _bfd_answer(bfd: BfdStatus) -> Json:
    return {
        "detection_milliseconds": bfd.detection_milliseconds,
        "diagnostic": bfd.diagnostic,
        "flaps": bfd.flaps,
    }


def _facts_answer(facts: SessionFacts) -> Json:
    return {
        "local_address": str(facts.local_address),
        "peer_router_id": str(facts.peer_router_id),
        "hold_time_seconds": facts.hold_time_seconds,
        "families": sorted(facts.families),
        "peer_capabilities": list(facts.peer_capabilities),
        "peer_graceful_restart": facts.peer_graceful_restart,
        "notification_restart": facts.notification_restart,
        "long_lived": facts.long_lived,
        "extended_next_hop": facts.extended_next_hop,
        "extended_messages": facts.extended_messages,
        "enhanced_route_refresh": facts.enhanced_route_refresh,
        "add_path_send": sorted(facts.add_path_send),
        "add_path_receive": sorted(facts.add_path_receive),
    }


def route_answers(peer: str, desired: Mapping[Prefix, Paths], sent: Mapping[Prefix, Paths]) -> Iterator[Json]:
    """The routes to a peer as `speaker routes` shows them, and whether its transport took them."""
    for prefix in sorted(desired, key=sort_key):
        paths, there = each_path(desired[prefix]), each_path(sent.get(prefix))
        for number, route in enumerate(paths):
            # A session without ADD-PATH carries the first alone, and without its Path Identifier.
            taken = route in there or (not number and route._replace(path_id=0) in there)
            yield {
                "peer": peer,
                "prefix": str(prefix),
                "next_hop": str(route.next_hop),
                "sent": taken,
            }

"""The sessions of the speaker that runs on this node, as it tells them itself.

For an established session this is all that preflight does: a second TCP connection from the same address
makes BIRD and FRR end an established session with graceful restart. Knows the answer to `status`, whose
fields may be absent. Must not open a connection to a peer.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from speaker import control
from speaker.errors import SpeakerError
from speaker.model.peer import Peer, SessionState
from speaker.preflight.findings import Check, Findings, PeerReport

ASK_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Running:
    """The running speaker's sessions; none when no speaker answers."""

    sessions: tuple[Mapping[str, object], ...] = ()

    def session(self, peer: Peer) -> Mapping[str, object] | None:
        """The session with a peer, by its address, else by its name."""
        for session in self.sessions:
            told = session.get("address")
            if told == str(peer.address) or (told is None and session.get("peer") == peer.name):
                return session
            if session.get("peer") == str(peer.address):
                return session
        return None


async def ask_running(path: str | None) -> Running:
    """Ask the speaker at a control socket; no path, or no answer, is no speaker.

    One that hangs has its connections still, which the kernel tells.
    """
    if not path:
        return Running()
    try:
        answer = await asyncio.to_thread(
            control.ask, path, {"command": "status"}, timeout_seconds=ASK_SECONDS
        )
    except SpeakerError:
        return Running()
    sessions = answer.get("sessions") if isinstance(answer, Mapping) else None
    listed = sessions if isinstance(sessions, list) else []
    return Running(tuple(each for each in listed if isinstance(each, Mapping)))


def is_established(session: Mapping[str, object] | None) -> bool:
    """Whether it must be left alone."""
    return session is not None and session.get("state") == SessionState.ESTABLISHED.value


def live_report(peer: Peer, session: Mapping[str, object], now: float | None = None) -> PeerReport:
    """What the running speaker knows of an established session."""
    facts = session.get("facts")
    told = facts if isinstance(facts, Mapping) else {}
    findings = Findings()
    findings.passed(Check.SESSION, f"Established{_uptime(session, now)}, told by the running speaker")
    for check, text in _looks(peer, told):
        findings.passed(check, text)
    _asn(findings, peer, session)
    _families(findings, peer, told)
    _graceful_restart(findings, peer, told)
    return PeerReport(
        peer=peer, findings=findings.in_order(), capabilities=_texts(told, "peer_capabilities"), live=True
    )


def _uptime(session: Mapping[str, object], now: float | None) -> str:
    since = session.get("established_at")
    if not isinstance(since, int | float):
        return ""
    seconds = max(0, int((time.time() if now is None else now) - since))
    hours, minutes = seconds // 3600, seconds % 3600 // 60
    text = f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds % 60} s"
    return f" for {text}"


def _looks(peer: Peer, facts: Mapping[str, object]) -> list[tuple[Check, str]]:
    looks: list[tuple[Check, str]] = []
    if facts.get("local_address"):
        looks.append((Check.SOURCE, f"{facts['local_address']}"))
    if facts.get("peer_router_id"):
        looks.append((Check.ROUTER_ID, f"ours is {peer.router_id}, the peer's {facts['peer_router_id']}"))
    if facts.get("hold_time_seconds") is not None:
        looks.append((Check.HOLD_TIME, f"{facts['hold_time_seconds']} s negotiated"))
    if peer.extended_next_hop and facts.get("extended_next_hop"):
        looks.append((Check.EXTENDED_NEXT_HOP, "IPv4 over IPv6 next hops"))
    return looks


def _asn(findings: Findings, peer: Peer, session: Mapping[str, object]) -> None:
    asn = session.get("asn")
    if asn is None:
        return
    if asn == peer.asn:
        findings.passed(Check.AS, f"the peer is AS {peer.asn}")
    else:
        findings.failed(
            Check.AS,
            f"the running session's peer is AS {asn}, and AS {peer.asn} is configured for preflight",
            f"--neighbor-as={asn}",
        )


def _families(findings: Findings, peer: Peer, facts: Mapping[str, object]) -> None:
    families = _texts(facts, "families")
    lacking = sorted(set(peer.families) - set(families))
    if not families:
        return
    if lacking:
        findings.warned(Check.FAMILIES, f"{', '.join(families)}; {', '.join(lacking)} is not carried")
    else:
        findings.passed(Check.FAMILIES, ", ".join(families))


def _graceful_restart(findings: Findings, peer: Peer, facts: Mapping[str, object]) -> None:
    helps = facts.get("peer_graceful_restart")
    if helps is None:
        return
    if helps:
        findings.passed(Check.GRACEFUL_RESTART, "the peer helps: it keeps our routes over a restart")
    elif peer.graceful_restart is None:
        findings.skipped(Check.GRACEFUL_RESTART, "not asked for")
    else:
        findings.warned(
            Check.GRACEFUL_RESTART,
            "the peer does not help: an upgrade of the speaker withdraws its routes for a moment",
            "configure graceful restart (at least as a helper, RFC 4724) at the router",
        )


def _texts(facts: Mapping[str, object], key: str) -> tuple[str, ...]:
    value = facts.get(key)
    return tuple(map(str, value)) if isinstance(value, Sequence) and not isinstance(value, str) else ()

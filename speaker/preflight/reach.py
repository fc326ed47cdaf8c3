"""Whether a peer's TCP answers, and if not, whether the TTL or the password is the reason.

A SYN that a router does not like is dropped without a word, so the only way to tell reasons apart is to
leave one thing out and to try again. What no trial can tell (a wrong password is silence, whatever the
router expects) is said to be unknown. Must not know BGP messages.

Supported standards: RFC 2385 (TCP MD5), RFC 5082 (TTL security).
"""

from dataclasses import dataclass

from speaker.bgp.sockopts import MAXIMUM_TTL
from speaker.model.peer import Peer
from speaker.preflight.dialing import Answer, Attempt, Dialer
from speaker.preflight.findings import Check, Findings

TRIAL_SECONDS = 3.0
"""The longest wait for a trial; the attempt as configured gets all of the time."""

HOP_SECONDS = 1.0
MOST_HOPS = 12
_TTL_OF_NEAR = MAXIMUM_TTL - 1


@dataclass(frozen=True, slots=True)
class _Trial:
    """The configured attempt with something left out."""

    any_ttl: bool
    no_password: bool


class Reach:
    """Connects to a peer and finds out what hinders that.

    Args:
        dialer: connects.
        findings: where the findings go.
        seconds: how long to wait for an answer.
    """

    def __init__(self, dialer: Dialer, findings: Findings, seconds: float) -> None:
        self._dialer = dialer
        self._peer = dialer.peer
        self._findings = findings
        self._seconds = seconds

    async def connect(self) -> Attempt:
        """The connection, made as configured or, if only so, with something left out.

        A connection that needed that is good for hearing what else is wrong; what is wrong with it is
        among the findings as a failure.
        """
        first = await self._dialer.dial(self._seconds)
        if first.is_answered:
            self._answered(first)
            self._tell_ttl(first)
            self._tell_password(first)
            return first
        if first.answer is Answer.LOCAL:
            self._findings.failed(Check.TCP, first.words, _local_advice(first.words))
            return first
        if first.answer is Answer.UNREACHABLE and not first.ttl_exceeded:
            self._findings.failed(
                Check.TCP, first.words, "mend the way to the peer, or the firewall that says so"
            )
            return first
        for trial in self._trials(first):
            attempt = await self._try(trial)
            if attempt.is_answered:
                return await self._explain(trial, first, attempt)
        await self._silence(first)
        return first

    def _trials(self, first: Attempt) -> list[_Trial]:
        """What may be left out, the least first; the TTL alone when the network says that it ran out."""
        limited = self._peer.sending_ttl < MAXIMUM_TTL or self._peer.ttl_security_hops is not None
        signed = self._peer.password is not None
        trials = [_Trial(any_ttl=True, no_password=False)] if limited else []
        if signed and not first.ttl_exceeded:
            trials.append(_Trial(any_ttl=False, no_password=True))
        if signed and limited:
            trials.append(_Trial(any_ttl=True, no_password=True))
        return trials

    async def _try(self, trial: _Trial) -> Attempt:
        return await self._dialer.dial(
            min(self._seconds, TRIAL_SECONDS),
            ttl=MAXIMUM_TTL if trial.any_ttl else None,
            with_password=not trial.no_password,
            check_ttl=not trial.any_ttl,
        )

    async def _explain(self, trial: _Trial, first: Attempt, attempt: Attempt) -> Attempt:
        """Tell what had to be left out; the connection to go on with."""
        self._answered(attempt)
        if trial.any_ttl:
            attempt = await self._explain_ttl(trial, first, attempt)
        else:
            self._tell_ttl(attempt)
        if not trial.no_password:
            self._tell_password(attempt)
        elif attempt.answer is Answer.REFUSED:
            self._findings.skipped(
                Check.MD5, "unknown: nothing listens there, and unsigned is how it says so"
            )
        else:
            self._findings.failed(
                Check.MD5,
                "the peer answers without a password and is silent with ours: it expects none of this node",
                "configure the password at the router for this node, or take it away here",
            )
        return attempt

    def _answered(self, attempt: Attempt) -> None:
        port = self._peer.port
        if attempt.answer is Answer.CONNECTED:
            self._findings.passed(Check.TCP, f"connected to port {port}")
        else:
            self._findings.failed(
                Check.TCP,
                f"connection to port {port} refused: the host is there, and no BGP daemon listens",
                "start the daemon, have it listen on this address, or let it know this node;"
                " if the router is to connect here, use --passivemode",
            )

    def _tell_ttl(self, attempt: Attempt) -> None:
        peer = self._peer
        if attempt.answer is Answer.REFUSED and peer.ttl_security_hops is not None:
            self._findings.skipped(Check.TTL, "unknown: there is no connection to look at")
        elif peer.ttl_security_hops is not None:
            lowest = MAXIMUM_TTL + 1 - peer.ttl_security_hops
            self._findings.passed(
                Check.TTL,
                f"the peer's packets arrive with a TTL of {lowest} or more, as TTL security asks; whether it"
                " asks for that of ours cannot be seen from here",
            )
        elif peer.is_ibgp:
            self._findings.passed(Check.TTL, f"iBGP: sent with TTL {peer.sending_ttl}")
        elif peer.multihop_ttl == 1:
            self._findings.passed(Check.TTL, "the peer is on this link: TTL 1 reaches it")
        else:
            self._findings.passed(Check.TTL, f"TTL {peer.multihop_ttl} reaches the peer")

    def _tell_password(self, attempt: Attempt) -> None:
        if attempt.answer is not Answer.CONNECTED:
            self._findings.skipped(Check.MD5, "unknown: there is no connection to look at")
        elif self._peer.password is not None:
            self._findings.passed(Check.MD5, "both sides sign with the same password")
        else:
            self._findings.passed(Check.MD5, "no password on either side")

    async def _explain_ttl(self, trial: _Trial, first: Attempt, attempt: Attempt) -> Attempt:
        """Tell why only TTL 255 without a check of ours was answered; the connection to go on with.

        A router keeps the newest connection of a peer, so the last one that was made is the one that counts.
        """
        if self._peer.ttl_security_hops is not None:
            tell_low_ttl(self._findings, self._peer)
            return attempt
        if not first.ttl_exceeded:
            near = await self._probe(_TTL_OF_NEAR, trial)
            near.close()
            if not near.is_answered:
                tell_ttl_check(self._findings, self._peer)
                return attempt
        attempt.close()
        sent = self._peer.sending_ttl
        for ttl in range(sent + 1, MOST_HOPS + 1):
            probe = await self._probe(ttl, trial)
            if probe.is_answered:
                self._findings.failed(
                    Check.TTL,
                    f"the peer is {ttl} hops away, and TTL {sent} does not reach it",
                    f"--ebgp-multihop={ttl}, there too",
                )
                return probe
        self._findings.failed(
            Check.TTL,
            f"only a TTL of more than {MOST_HOPS} is answered: the peer is far, or asks for TTL security",
            "--ebgp-multihop with the distance, or --ttl-security as the router has it",
        )
        return await self._try(trial)

    async def _probe(self, ttl: int, trial: _Trial) -> Attempt:
        return await self._dialer.dial(
            min(self._seconds, HOP_SECONDS), ttl=ttl, with_password=not trial.no_password, check_ttl=False
        )

    async def _silence(self, first: Attempt) -> None:
        if first.ttl_exceeded:
            self._findings.failed(
                Check.TCP,
                f"{first.words}; and with TTL 255 there is no answer either",
                "the peer is further away than --ebgp-multihop permits, and something else hinders it too",
            )
            return
        password = "another password" if self._peer.password else "a password (TCP MD5)"
        if await self._dialer.is_alive():
            self._findings.failed(
                Check.TCP,
                f"no answer on port {self._peer.port}, though the host is there: it expects {password}, or a"
                " firewall drops what we send; TCP does not tell these apart",
                "compare the password on both sides, then the firewall",
            )
        else:
            self._findings.failed(
                Check.TCP,
                "no answer from the host at all: it is down, the way to it is broken, or a firewall drops"
                f" all; a router that expects {password} and sends no ICMP looks the same",
                "see whether the router is up and its address is right",
            )


def tell_ttl_check(findings: Findings, peer: Peer) -> None:
    """Tell that the peer drops our packets for their TTL, in place of what was told of the TTL before."""
    findings.forget(Check.TTL)
    findings.failed(
        Check.TTL,
        f"the peer hears TTL {MAXIMUM_TTL} and not the TTL {peer.sending_ttl} that we send with: it uses TTL"
        " security",
        "--ttl-security=1, or take it away at the router",
    )


def tell_low_ttl(findings: Findings, peer: Peer) -> None:
    """Tell that TTL security drops what the peer sends, in place of what was told of the TTL before."""
    hops = peer.ttl_security_hops or 0
    findings.forget(Check.TTL)
    findings.failed(
        Check.TTL,
        f"the peer's packets arrive with a TTL below {MAXIMUM_TTL + 1 - hops}: it does not use TTL security,"
        f" or is more than {hops} {'hop' if hops == 1 else 'hops'} away",
        "configure TTL security at the router for this node, or correct the hops here",
    )


def _local_advice(words: str) -> str:
    if "not permitted" in words or "denied" in words:
        return "a firewall on this host refuses, or the process lacks a capability"
    if "protocol not available" in words:
        return "this kernel has no TCP MD5 signatures (CONFIG_TCP_MD5SIG)"
    return "mend this host's address or route toward the peer"

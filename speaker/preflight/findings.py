"""What preflight found: values, and how they are written for machines.

Knows the names of checks and results, which are stable: `-o json` writes them. Must not know how
anything is found out.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self

from speaker.model.peer import Peer

Json = dict[str, object]


class Check(StrEnum):
    """What is looked at, in the order in which it is shown."""

    SESSION = "session"
    SOURCE = "source"
    TCP = "tcp"
    TTL = "ttl"
    MD5 = "md5"
    OPEN = "open"
    AS = "as"
    ROUTER_ID = "router-id"
    HOLD_TIME = "hold-time"
    FAMILIES = "families"
    EXTENDED_NEXT_HOP = "extended-next-hop"
    GRACEFUL_RESTART = "graceful-restart"
    FOUR_OCTET_AS = "4-octet-as"
    ROUTE_REFRESH = "route-refresh"
    TEST_PREFIX = "test-prefix"


_ORDER = {check: number for number, check in enumerate(Check)}


class Result(StrEnum):
    """How a check ended: only `FAIL` keeps a session from working as configured."""

    PASS = "pass"  # noqa: S105 -- a result, no secret
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check of one peer.

    Attributes:
        detail: what was seen, a few words.
        advice: what to do, where something should be done; else "".
    """

    check: Check
    result: Result
    detail: str
    advice: str = ""


@dataclass(slots=True)
class Findings:
    """The findings of one peer, as they come."""

    found: list[Finding] = field(default_factory=list)

    def passed(self, check: Check, detail: str) -> Self:
        """It is as it should be."""
        return self._add(Finding(check, Result.PASS, detail))

    def warned(self, check: Check, detail: str, advice: str = "") -> Self:
        """It works, and costs something."""
        return self._add(Finding(check, Result.WARN, detail, advice))

    def failed(self, check: Check, detail: str, advice: str = "") -> Self:
        """It does not work."""
        return self._add(Finding(check, Result.FAIL, detail, advice))

    def skipped(self, check: Check, detail: str) -> Self:
        """It was not looked at, or there is nothing to look at."""
        return self._add(Finding(check, Result.SKIP, detail))

    def in_order(self) -> tuple[Finding, ...]:
        """All of them in the order of the checks."""
        return tuple(sorted(self.found, key=lambda finding: _ORDER[finding.check]))

    def _add(self, finding: Finding) -> Self:
        self.found.append(finding)
        return self

    @property
    def has_failed(self) -> bool:
        """Whether anything has failed so far."""
        return any(finding.result is Result.FAIL for finding in self.found)

    def forget(self, check: Check) -> None:
        """Take a finding back, since more is known now."""
        self.found = [finding for finding in self.found if finding.check is not check]


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerReport:
    """Everything found about one peer.

    Attributes:
        capabilities: what the peer offers, as `speaker.bgp.capabilities.describe` puts it.
        live: it was reported from the running speaker's session, and nothing was sent to the peer.
    """

    peer: Peer
    findings: tuple[Finding, ...]
    capabilities: tuple[str, ...] = ()
    live: bool = False

    @property
    def result(self) -> Result:
        """The worst result of its checks."""
        results = {finding.result for finding in self.findings}
        return next(
            (each for each in (Result.FAIL, Result.WARN, Result.PASS) if each in results), Result.SKIP
        )


def has_failed(reports: Iterable[PeerReport]) -> bool:
    """Whether any check of any peer failed."""
    return any(report.result is Result.FAIL for report in reports)


def as_document(reports: Iterable[PeerReport]) -> Json:
    """The reports as `speaker preflight -o json` writes them."""
    listed = list(reports)
    return {"failed": has_failed(listed), "peers": [_peer(report) for report in listed]}


def _peer(report: PeerReport) -> Json:
    return {
        "peer": report.peer.name,
        "address": str(report.peer.address),
        "asn": report.peer.asn,
        "result": report.result.value,
        "live": report.live,
        "capabilities": list(report.capabilities),
        "checks": rows(report),
    }


def rows(report: PeerReport) -> list[Json]:
    """The checks of one peer, a mapping each."""
    return [
        {
            "check": finding.check.value,
            "result": finding.result.value,
            "detail": finding.detail,
            "advice": finding.advice,
        }
        for finding in report.findings
    ]

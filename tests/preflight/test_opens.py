"""What both OPENs mean for the session to come."""

from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

import pytest

from speaker.bgp.messages import (
    Notification,
    OpenMessage,
    PeerGracefulRestart,
    shutdown_communication,
)
from speaker.model.peer import Peer, Role
from speaker.model.prefix import Family
from speaker.preflight.exchange import Opening, Trouble
from speaker.preflight.findings import Check, Finding, Findings, Result
from speaker.preflight.opens import judge
from tests.bgp.builders import peer as bgp_peer

BOTH = frozenset(Family)
RESTART = PeerGracefulRestart(restart_time_seconds=120, restarting=False, families=BOTH)


def message(**overrides: Any) -> OpenMessage:
    values: dict[str, Any] = {
        "asn": 65030,
        "hold_time_seconds": 90,
        "router_id": IPv4Address("10.0.0.9"),
        "families": BOTH,
        "four_octet_as": True,
        "route_refresh": True,
        "graceful_restart": RESTART,
    }
    return OpenMessage(**(values | overrides))


def judged(opening: Opening, peer: Peer | None = None) -> dict[Check, Finding]:
    findings = Findings()
    judge(findings, peer or bgp_peer(), opening)
    return {finding.check: finding for finding in findings.found}


def looked(peer: Peer | None = None, **overrides: Any) -> dict[Check, Finding]:
    return judged(Opening(message=message(**overrides), body=b"x", accepted=True), peer)


def test_two_that_agree() -> None:
    found = looked()
    assert {finding.result for check, finding in found.items()} == {Result.PASS, Result.SKIP}
    assert found[Check.EXTENDED_NEXT_HOP].result is Result.SKIP


@pytest.mark.parametrize(
    ("ours", "theirs", "check", "result", "words"),
    [
        ({}, {"asn": 65031}, Check.AS, Result.FAIL, "peer says it is AS 65031, and AS 65030 is configured"),
        ({}, {"asn": 65000}, Check.AS, Result.FAIL, "our own AS: an iBGP session"),
        ({}, {"asn": 0}, Check.AS, Result.FAIL, "AS 0"),
        ({"asn": 65000}, {"asn": 65000}, Check.AS, Result.PASS, "iBGP"),
        ({}, {"router_id": IPv4Address(0)}, Check.ROUTER_ID, Result.FAIL, "0.0.0.0"),
        (
            {"asn": 65000},
            {"asn": 65000, "router_id": IPv4Address("10.0.0.1")},
            Check.ROUTER_ID,
            Result.FAIL,
            "the same inside one AS",
        ),
        ({}, {"router_id": IPv4Address("10.0.0.1")}, Check.ROUTER_ID, Result.WARN, "the same in two ASes"),
        (
            {},
            {"hold_time_seconds": 9},
            Check.HOLD_TIME,
            Result.PASS,
            "9 s (we offer 90 s, the peer 9 s; the smaller counts)",
        ),
        ({}, {"hold_time_seconds": 2}, Check.HOLD_TIME, Result.FAIL, "peer offers 2 s, less than 3"),
        ({}, {"hold_time_seconds": 0}, Check.HOLD_TIME, Result.WARN, "not noticed by BGP"),
        (
            {"keepalive_seconds": 30},
            {"hold_time_seconds": 9},
            Check.HOLD_TIME,
            Result.WARN,
            "not more than --keepalive=30s",
        ),
        ({}, {"families": frozenset()}, Check.FAMILIES, Result.FAIL, "none in common"),
        (
            {},
            {"families": frozenset({Family.IPV4})},
            Check.FAMILIES,
            Result.WARN,
            "the peer does not offer ipv6",
        ),
        ({"families": frozenset({Family.IPV4})}, {"families": None}, Check.FAMILIES, Result.PASS, "ipv4"),
        (
            {"extended_next_hop": True},
            {},
            Check.EXTENDED_NEXT_HOP,
            Result.WARN,
            "takes no IPv6 next hops for IPv4",
        ),
        (
            {"extended_next_hop": True},
            {"extended_next_hop": True},
            Check.EXTENDED_NEXT_HOP,
            Result.PASS,
            "IPv4 over IPv6",
        ),
        ({}, {"graceful_restart": None}, Check.GRACEFUL_RESTART, Result.WARN, "the peer does not help"),
        (
            {},
            {},
            Check.GRACEFUL_RESTART,
            Result.PASS,
            "keeps our routes for our 90 s; restarts itself within 120 s, keeping ipv4, ipv6",
        ),
        (
            {},
            {
                "graceful_restart": PeerGracefulRestart(
                    restart_time_seconds=0, restarting=True, notification=True, families=frozenset()
                )
            },
            Check.GRACEFUL_RESTART,
            Result.PASS,
            "its R bit is set",
        ),
        ({"graceful_restart": None}, {}, Check.GRACEFUL_RESTART, Result.SKIP, "the peer would help"),
        (
            {"graceful_restart": None},
            {"graceful_restart": None},
            Check.GRACEFUL_RESTART,
            Result.SKIP,
            "not asked for",
        ),
        ({}, {"four_octet_as": False}, Check.FOUR_OCTET_AS, Result.WARN, "two octets only"),
        (
            {"local_asn": 4200000000},
            {"four_octet_as": False},
            Check.FOUR_OCTET_AS,
            Result.FAIL,
            "one of ours is larger",
        ),
        ({}, {"route_refresh": False}, Check.ROUTE_REFRESH, Result.WARN, "cannot ask for routes again"),
        (
            {"role": Role.CUSTOMER},
            {"roles": frozenset({3})},
            Check.OPEN,
            Result.FAIL,
            "peer opened with the role customer",
        ),
    ],
)
def test_each_look(
    ours: dict[str, Any], theirs: dict[str, Any], check: Check, result: Result, words: str
) -> None:
    finding = looked(replace(bgp_peer(), **ours), **theirs)[check]
    assert (finding.result, words in finding.detail) == (result, True), finding


@pytest.mark.parametrize(
    ("notification", "check", "words"),
    [
        (Notification(2, 2), Check.AS, "we open with AS 65000; peer sent NOTIFICATION 2/2"),
        (Notification(2, 3), Check.ROUTER_ID, "Bad BGP Identifier"),
        (Notification(2, 6), Check.HOLD_TIME, "Unacceptable Hold Time"),
        (Notification(2, 7), Check.FAMILIES, "Unsupported Capability"),
        (Notification(2, 4), Check.OPEN, "2/4"),
        (Notification(6, 2, shutdown_communication("under repair")), Check.OPEN, '"under repair"'),
        (Notification(6, 5), Check.OPEN, "Connection Rejected"),
        (Notification(6, 99), Check.OPEN, "6/99"),
        (Notification(9, 9), Check.OPEN, "unknown code"),
    ],
)
def test_a_notification_is_explained_without_an_open_of_the_peer(
    notification: Notification, check: Check, words: str
) -> None:
    (finding,) = judged(Opening(notification=notification)).values()
    assert (finding.check, finding.result, words in finding.detail) == (check, Result.FAIL, True), finding
    assert finding.advice


@pytest.mark.parametrize("trouble", list(Trouble))
@pytest.mark.parametrize("body", [b"", b"x"])
def test_every_trouble_has_advice(trouble: Trouble, body: bytes) -> None:
    (finding,) = judged(Opening(body=body, trouble=trouble, sentence="it is so")).values()
    assert (finding.check, finding.result, finding.detail) == (Check.OPEN, Result.FAIL, "it is so")
    assert finding.advice

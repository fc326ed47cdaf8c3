"""Running preflight in a test, and reading its reports."""

import asyncio
import struct
from collections.abc import Awaitable, Callable
from typing import Any

from speaker.model.peer import Peer
from speaker.preflight import Check, Options, PeerReport, Result, preflight
from tests.bgp.raw_peer import RawPeer
from tests.interop.rack import Rack

PATIENT: dict[str, Any] = {"timeout_seconds": 10.0, "retry_seconds": 0.1, "settle_seconds": 0.5}
"""For a peer that answers: only a test that waits in vain for an answer waits as long."""

BRIEF: dict[str, Any] = {**PATIENT, "timeout_seconds": 1.0}
"""For a peer that does not answer."""


async def look(rack: Rack, *peers: Peer, node: str = "node1", **options: Any) -> list[PeerReport]:
    """Preflight on a node of the rack; toward tor1 over IPv4 if no peers are named."""
    chosen = Options(open_socket=rack.topology[node].namespace.socket, **(PATIENT | options))
    return list(await preflight(peers or (rack.peer(node),), chosen))


async def look_at(rack: Rack, peer: Peer, **options: Any) -> PeerReport:
    """The report about one peer."""
    (report,) = await look(rack, peer, **options)
    return report


async def meet(
    peer: Peer, raw: RawPeer, script: Callable[[RawPeer], Awaitable[None]], **options: Any
) -> PeerReport:
    """The report about a raw peer that follows a script once preflight has connected to it."""
    looking = asyncio.create_task(preflight([peer], Options(**(PATIENT | options))))
    try:
        await raw.accept()
        await script(raw)
        (report,) = await looking
    finally:
        looking.cancel()
        await asyncio.wait((looking,))
    return report


def results(report: PeerReport) -> dict[Check, Result]:
    """The result of each check."""
    return {finding.check: finding.result for finding in report.findings}


def failures(report: PeerReport) -> set[Check]:
    """The checks that failed."""
    return {finding.check for finding in report.findings if finding.result is Result.FAIL}


def said(report: PeerReport, check: Check) -> str:
    """The detail and the advice of a check, which must be there."""
    return " | ".join(
        f"{finding.detail}; {finding.advice}" for finding in report.findings if finding.check is check
    )


def open_message(*, asn: int, hold: int = 90, router_id: str = "10.0.0.9", parameters: bytes = b"") -> bytes:
    """An OPEN by hand, for what our own packer would refuse to write."""
    octets = bytes(int(part) for part in router_id.split("."))
    body = struct.pack("!BHH4sB", 4, asn, hold, octets, len(parameters)) + parameters
    return b"\xff" * 16 + struct.pack("!HB", 19 + len(body), 1) + body

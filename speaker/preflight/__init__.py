"""Checks, before any route depends on it, that this node and its peers can have a session.

From the inside out:

    findings                    values, and how machines read them
    dialing, connections        one attempt to connect; the connections that there are
    source, reach, listening    from where, whether TCP answers and why not, who connects to us
    exchange, opens             both OPENs, and what they mean
    trial_route                 a test prefix
    live                        what the running speaker tells of its sessions
    checking                    all of it, for every peer
"""

from speaker.preflight.checking import Options, preflight
from speaker.preflight.findings import (
    Check,
    Finding,
    PeerReport,
    Result,
    as_document,
    has_failed,
    rows,
)

__all__ = [
    "Check",
    "Finding",
    "Options",
    "PeerReport",
    "Result",
    "as_document",
    "has_failed",
    "preflight",
    "rows",
]

"""What all sessions share, and what holds for a peer that says nothing of its own.

Must not know sessions.
"""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from speaker.bgp.events import SessionEvent
from speaker.model.peer import GracefulRestart, Peer

NODE_RETRY_SECONDS = 5.0
"""The longest attempt to connect, and pause after it, toward another Node of the cluster.

Both ends change together, though never in the same moment, and a Node is worth a few packets.
"""

IMPORT_LIMIT = 100_000
"""How many prefixes are kept of a peer whose routes are used and that has no limit of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What all sessions share.

    Attributes:
        spawn: runs a coroutine whose exceptions end the process.
        open_socket: makes a TCP socket of a family, perhaps in another network namespace.
        on_event: the daemon's ear.
        started_at: when the process started, on the event loop's clock; None never sets the R bit.
        forwarding_preserved: the F bit of RFC 4724 §3.
        received_limit: how many received prefixes are kept of a peer without a limit of its own whose routes
            are not used.
        import_limit: the same, of one whose routes are used.
        holds_end_of_rib: whether End-of-RIB waits on all sessions, while UPDATEs flow.
        holds_new_sessions: each new session waits for `routes_complete` before it sends anything.
    """

    spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]
    open_socket: Callable[[socket.AddressFamily], socket.socket]
    on_event: Callable[[SessionEvent], None]
    started_at: float | None
    forwarding_preserved: bool
    received_limit: int
    holds_new_sessions: bool
    import_limit: int = IMPORT_LIMIT
    holds_end_of_rib: Callable[[], bool] = lambda: False

    def limit_of(self, peer: Peer) -> int:
        """How many prefixes of the peer are kept."""
        if peer.max_prefixes is not None:
            return peer.max_prefixes
        return self.import_limit if peer.imports else self.received_limit


def retry_seconds(peer: Peer) -> float:
    """How long an attempt to connect to the peer, or the pause after it, may take."""
    return min(NODE_RETRY_SECONDS, peer.connect_retry_seconds) if peer.node else peer.connect_retry_seconds


def deferral_seconds(peer: Peer) -> float:
    """How long the peer's End-of-RIB may take after a restart of it."""
    return (peer.graceful_restart or GracefulRestart()).deferral_time_seconds

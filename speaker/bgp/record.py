"""What is known of a session beside its work, and what of it is told: states, errors, flaps.

Knows when something is worth an event. Must not know connections, messages or routes.
"""

import asyncio
import time
from collections.abc import Callable

from speaker.bgp.events import SessionEvent, SessionEventKind
from speaker.bgp.messages import UpdateMessage
from speaker.model.peer import SessionFacts, SessionState


class Record:
    """One session's record; it outlives connections.

    Args:
        name: `Peer.name`.
        on_event: the daemon's ear.
    """

    def __init__(self, name: str, on_event: Callable[[SessionEvent], None]) -> None:
        self._name = name
        self._on_event = on_event
        self.state = SessionState.IDLE
        self.facts: SessionFacts | None = None
        self.established_at: float | None = None
        self.last_error = ""
        self.flaps = 0
        self.had_session = False
        self._established_on_loop = 0.0

    @property
    def age_seconds(self) -> float:
        """How long the session has been established; counts only while it is."""
        return asyncio.get_running_loop().time() - self._established_on_loop

    def moved(self, new: SessionState, reason: str) -> None:
        """The session is in another state; the same state again says nothing new."""
        if new is not self.state:
            old, self.state = self.state, new
            self._emit(SessionEventKind.STATE_CHANGED, old, reason)

    def failed(self, reason: str) -> None:
        """An attempt failed; the same failure again says nothing new, a peer must not fill the log."""
        if reason and reason != self.last_error:
            self.last_error = reason
            self._emit(SessionEventKind.ERROR, None, reason)

    def established(self, facts: SessionFacts) -> None:
        """The session is established."""
        self.facts = facts
        self.established_at = time.time()
        self.had_session = True
        self.last_error = ""
        self._established_on_loop = asyncio.get_running_loop().time()
        old = self.state
        self.moved(SessionState.ESTABLISHED, "")
        self._emit(SessionEventKind.ESTABLISHED, old, "")

    def closed(self, new: SessionState, reason: str) -> None:
        """The established session has ended."""
        self.facts = None
        self.established_at = None
        self.last_error = reason
        self.flaps += 1
        self.moved(new, reason)
        self._emit(SessionEventKind.CLOSED, SessionState.ESTABLISHED, reason)

    def update_received(self, update: UpdateMessage) -> None:
        """Routes came or went, or the peer has said all of a family."""
        if update.advertised or update.withdrawn or update.end_of_rib is not None:
            self._on_event(
                SessionEvent(
                    peer=self._name,
                    kind=SessionEventKind.UPDATE_RECEIVED,
                    new=self.state,
                    advertised=update.advertised,
                    withdrawn=update.withdrawn,
                    end_of_rib=update.end_of_rib,
                )
            )

    def _emit(self, kind: SessionEventKind, old: SessionState | None, reason: str) -> None:
        facts = self.facts if kind is SessionEventKind.ESTABLISHED else None
        self._on_event(
            SessionEvent(peer=self._name, kind=kind, old=old, new=self.state, reason=reason, facts=facts)
        )

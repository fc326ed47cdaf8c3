"""What the engine tells the daemon: the only values that leave `speaker.bgp` unasked."""

from dataclasses import dataclass
from enum import StrEnum

from speaker.model.peer import SessionFacts, SessionState
from speaker.model.prefix import Family
from speaker.model.route import PrefixPath, Route


class SessionEventKind(StrEnum):
    """The kinds of event; the names are what logs show."""

    STATE_CHANGED = "state-changed"
    ESTABLISHED = "established"
    CLOSED = "closed"
    UPDATE_RECEIVED = "update-received"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEvent:
    """Something happened on a session; delivered on the event loop, in order.

    Attributes:
        peer: `Peer.name`.
        kind: ERROR is an attempt that failed before the session was established; CLOSED is the end of an
            established one.
        old: the state before, for STATE_CHANGED, ESTABLISHED and CLOSED.
        new: the state now.
        reason: one sentence for people, bounded and free of control characters, or "".
        facts: what was negotiated, with ESTABLISHED.
        advertised: with UPDATE_RECEIVED, the routes of it that are kept.
        withdrawn: with UPDATE_RECEIVED, the paths that are gone; it counts before `advertised`. All that was
            kept is told so once when it goes, whatever the cause: the peer's word; the end of a session
            without graceful restart, just before CLOSED; the end of the restart time; a peer that is
            removed. A speaker that stops for a restart of its own is the exception.
        end_of_rib: with UPDATE_RECEIVED, the family of which the peer has said all (RFC 4724 §2); what was
            stale of it has been told as withdrawn before.
    """

    peer: str
    kind: SessionEventKind
    old: SessionState | None = None
    new: SessionState | None = None
    reason: str = ""
    facts: SessionFacts | None = None
    advertised: tuple[Route, ...] = ()
    withdrawn: tuple[PrefixPath, ...] = ()
    end_of_rib: Family | None = None

"""What the engine tells the daemon: the only values that leave `speaker.bgp` unasked."""

from dataclasses import dataclass
from enum import StrEnum

from speaker.model.peer import SessionFacts, SessionState
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
        advertised: with UPDATE_RECEIVED, the routes it carries.
        withdrawn: with UPDATE_RECEIVED, the paths it takes back.
    """

    peer: str
    kind: SessionEventKind
    old: SessionState | None = None
    new: SessionState | None = None
    reason: str = ""
    facts: SessionFacts | None = None
    advertised: tuple[Route, ...] = ()
    withdrawn: tuple[PrefixPath, ...] = ()

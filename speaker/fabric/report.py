"""What each speaker reports of itself, and what the resources' status says of all of them together.

Knows the documents of BGPNodeStatus and of the conditions; must not know who reads or writes them. What
is read was written by other speakers, perhaps of another version: what is not understood is passed over.
Every text and list is bounded; a report holds no secret. Times are seconds since the epoch.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from ipaddress import IPv4Address, ip_address, ip_network
from typing import TypeVar

from annotations.problems import bounded
from speaker.model.peer import SessionState
from speaker.model.prefix import Address, Prefix

MOST_SESSIONS = 1000
MOST_SESSION_OCTETS = 200 * 1024
"""What the sessions of one report may take; a speaker reads no status beyond 256 KiB."""

MOST_UNREACHABLE = 50
MOST_PREFIXES = 5
MOST_DEMOTIONS = 50
LONGEST_TEXT = 200
LONGEST_NAME = 253

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Held:
    """What a peer waits for that is to be given up, or to lose a setting.

    Attributes:
        ready: the reporting end could do without it.
        reason: what it waits for, a sentence.
        since: seconds since the epoch.
    """

    ready: bool
    reason: str
    since: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionReport:
    """One session of a speaker.

    Attributes:
        peer: the peer's name; of another Node, the Node's.
        node: the Node that the peer is, or "".
        state: the state of the session, by its RFC 4271 name.
        since: when it was established; None when it is not.
        origin: "mesh", "reflectors" or "BGPPeer <name>".
        received: how many routes the peer has sent.
        advertised: how many it was sent.
        end_of_rib: it has told all it knows.
        last_error: why it last ended or could not start.
        retiring: set when no design wants it any more.
    """

    peer: str
    address: Address | None = None
    node: str = ""
    as_number: int = 0
    state: SessionState = SessionState.IDLE
    since: float | None = None
    origin: str = ""
    received: int = 0
    advertised: int = 0
    end_of_rib: bool = False
    last_error: str = ""
    retiring: Held | None = None


@dataclass(frozen=True, slots=True)
class Unreachable:
    """Another Node whose Pod CIDRs have no route in the reporting Node's tables."""

    node: str
    prefixes: tuple[Prefix, ...] = ()


@dataclass(frozen=True, slots=True)
class Demotion:
    """A peer that keeps a setting which it is to lose."""

    peer: str
    held: Held


@dataclass(frozen=True, kw_only=True)
class NodeReport:
    """What one speaker says of itself.

    Attributes:
        node: the Node's name.
        fingerprint: of the design that it works towards.
        cluster_id: set when it reflects.
        settled: all sessions of its design are established and have told all they know.
        sessions: those that retire first, then those that are not established.
        session_count: how many there are, whether listed or not.
        unreachable: the Nodes that it has no route to, some of them.
        unreachable_count: how many there are.
        learned: how many prefixes it has learned.
        installed: how many of them are in the kernel.
        conflicts: how many are not, since another program has a route there.
    """

    node: str
    fingerprint: str = ""
    as_number: int = 0
    router_id: IPv4Address | None = None
    cluster_id: IPv4Address | None = None
    settled: bool = False
    sessions: tuple[SessionReport, ...] = ()
    session_count: int = 0
    unreachable: tuple[Unreachable, ...] = ()
    unreachable_count: int = 0
    learned: int = 0
    installed: int = 0
    conflicts: int = 0
    demotions: tuple[Demotion, ...] = ()

    def session(self, peer: str) -> SessionReport | None:
        """The session with a peer of that name; None when it is not listed."""
        return self._by_peer.get(peer)

    @property
    def lists_all_sessions(self) -> bool:
        """Whether a session that is not listed does not exist."""
        return self.session_count <= len(self.sessions)

    @cached_property
    def _by_peer(self) -> Mapping[str, SessionReport]:
        return {each.peer: each for each in self.sessions}


# -- writing -------------------------------------------------------------------------------------------


def to_status(report: NodeReport) -> dict[str, object]:
    """`status` of a BGPNodeStatus. Every key is there, so that a merge patch leaves nothing behind."""
    return {
        "fingerprint": bounded(report.fingerprint),
        "asNumber": report.as_number or None,
        "routerID": None if report.router_id is None else str(report.router_id),
        "clusterID": None if report.cluster_id is None else str(report.cluster_id),
        "settled": report.settled,
        "sessions": list(_session_documents(report.sessions)),
        "sessionCount": max(report.session_count, len(report.sessions)),
        "unreachable": [_unreachable_document(each) for each in report.unreachable[:MOST_UNREACHABLE]],
        "unreachableCount": max(report.unreachable_count, len(report.unreachable)),
        "routes": {
            "learned": report.learned,
            "installed": report.installed,
            "conflicts": report.conflicts,
        },
        "demotions": [
            {"peer": bounded(each.peer, LONGEST_NAME), **_held_document(each.held)}
            for each in report.demotions[:MOST_DEMOTIONS]
        ],
    }


def time_text(seconds: float) -> str:
    """A moment as Kubernetes writes it (RFC 3339), in whole seconds."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _importance(session: SessionReport) -> tuple[int, str]:
    if session.retiring is not None:
        return 0, session.peer
    return (2 if session.state is SessionState.ESTABLISHED else 1), session.peer


def _session_documents(sessions: Iterable[SessionReport]) -> Iterator[dict[str, object]]:
    """As many as there is room for, those first that matter most to others."""
    room = MOST_SESSION_OCTETS
    for session in sorted(sessions, key=_importance)[:MOST_SESSIONS]:
        document = _session_document(session)
        room -= len(json.dumps(document))
        if room < 0:
            return
        yield document


def _session_document(session: SessionReport) -> dict[str, object]:
    """Only what says something: a thousand of them are to fit."""
    document: dict[str, object] = {
        "peer": bounded(session.peer, LONGEST_NAME),
        "address": None if session.address is None else str(session.address),
        "node": bounded(session.node, LONGEST_NAME),
        "asNumber": session.as_number,
        "state": str(session.state),
        "since": None if session.since is None else time_text(session.since),
        "origin": bounded(session.origin, LONGEST_NAME + 8),
        "received": session.received,
        "advertised": session.advertised,
        "endOfRib": session.end_of_rib,
        "lastError": bounded(session.last_error, LONGEST_TEXT),
        "retiring": None if session.retiring is None else _held_document(session.retiring),
    }
    return {key: value for key, value in document.items() if value not in (None, "")}


def _held_document(held: Held) -> dict[str, object]:
    return {
        "ready": held.ready,
        "reason": bounded(held.reason, LONGEST_TEXT),
        "since": time_text(held.since),
    }


def _unreachable_document(unreachable: Unreachable) -> dict[str, object]:
    return {
        "node": bounded(unreachable.node, LONGEST_NAME),
        "prefixes": [str(each) for each in unreachable.prefixes[:MOST_PREFIXES]],
    }


# -- reading -------------------------------------------------------------------------------------------


def from_status(node: str, status: Mapping[str, object]) -> NodeReport:
    """The report in the `status` of a BGPNodeStatus; what is not understood counts as not there."""
    read = _Reader(status)
    routes = _Reader(_mapping(status.get("routes")))
    sessions = tuple(_each(status.get("sessions"), MOST_SESSIONS, _session))
    unreachable = tuple(_each(status.get("unreachable"), MOST_UNREACHABLE, _unreachable))
    return NodeReport(
        node=node,
        fingerprint=read.text("fingerprint"),
        as_number=read.number("asNumber"),
        router_id=_dotted(read.text("routerID")),
        cluster_id=_dotted(read.text("clusterID")),
        settled=read.flag("settled"),
        sessions=sessions,
        # A list that may be incomplete must not look complete: what is missing decides about sessions.
        session_count=read.number("sessionCount", default=len(sessions) + 1),
        unreachable=unreachable,
        unreachable_count=max(read.number("unreachableCount"), len(unreachable)),
        learned=routes.number("learned"),
        installed=routes.number("installed"),
        conflicts=routes.number("conflicts"),
        demotions=tuple(_each(status.get("demotions"), MOST_DEMOTIONS, _demotion)),
    )


class _Reader:
    """A mapping of JSON values, of which any may be anything."""

    def __init__(self, content: Mapping[str, object]) -> None:
        self._content = content

    def text(self, key: str, limit: int = LONGEST_NAME + 8) -> str:
        value = self._content.get(key)
        return bounded(value, limit) if isinstance(value, str) else ""

    def number(self, key: str, default: int = 0) -> int:
        value = self._content.get(key)
        whole = isinstance(value, int) and not isinstance(value, bool)
        return value if whole and 0 <= value < 1 << 53 else default  # type: ignore[operator, return-value]

    def flag(self, key: str) -> bool:
        return self._content.get(key) is True


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _each(value: object, most: int, read: Callable[[Mapping[str, object]], _T | None]) -> Iterable[_T]:
    entries = value if isinstance(value, Sequence) and not isinstance(value, str) else ()
    for entry in entries[:most]:
        found = read(_mapping(entry))
        if found is not None:
            yield found


def _session(content: Mapping[str, object]) -> SessionReport | None:
    read = _Reader(content)
    peer = read.text("peer")
    if not peer:
        return None
    state = read.text("state")
    retiring = content.get("retiring")
    return SessionReport(
        peer=peer,
        address=_address(read.text("address")),
        node=read.text("node"),
        as_number=read.number("asNumber"),
        state=SessionState(state) if state in set(SessionState) else SessionState.IDLE,
        since=_time(read.text("since")),
        origin=read.text("origin"),
        received=read.number("received"),
        advertised=read.number("advertised"),
        end_of_rib=read.flag("endOfRib"),
        last_error=read.text("lastError"),
        retiring=_held(_mapping(retiring)) if isinstance(retiring, Mapping) else None,
    )


def _held(content: Mapping[str, object]) -> Held:
    read = _Reader(content)
    return Held(read.flag("ready"), read.text("reason"), _time(read.text("since")) or 0.0)


def _demotion(content: Mapping[str, object]) -> Demotion | None:
    peer = _Reader(content).text("peer")
    return Demotion(peer, _held(content)) if peer else None


def _unreachable(content: Mapping[str, object]) -> Unreachable | None:
    node = _Reader(content).text("node")
    prefixes = tuple(_each_text(content.get("prefixes")))
    return Unreachable(node, prefixes) if node else None


def _each_text(value: object) -> Iterable[Prefix]:
    for text in value[:MOST_PREFIXES] if isinstance(value, list) else ():
        try:
            # A number would be read as an address.
            yield ip_network(str(text))
        except ValueError:
            continue


def _dotted(text: str) -> IPv4Address | None:
    address = _address(text)
    return address if isinstance(address, IPv4Address) else None


def _address(text: str) -> Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def _time(text: str) -> float | None:
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None

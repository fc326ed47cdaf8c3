"""From the design that runs to the one that is wanted: make before break.

Knows what is wanted, what runs, what sessions carry and what other Nodes report; must not know how any of
it came about. Pure: the time is given. Nothing of before a restart of the speaker is needed: what does
not run is not retired.

A session that no design wants any more is retired. It goes on with its old settings until

  (a) every session of the new design is established, and its End-of-RIB has come (RFC 4724 §3),
  (b) no prefix would be lost without all that are being retired,
  (c) where this Node reflects on it, every client is done: it has settled and, where it retires its
      session with us, is ready; what one client gives up is what the others were told, and
  (d) where it leads to another Node, that one is ready too, or has dropped it already,

or until the deadline has passed since it began to retire. What would take something away from a running
session waits likewise: reflection from a client, and from this Node what was reflected to it under the
CLUSTER_ID that it is to have itself.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address

from speaker.fabric.design import Design
from speaker.fabric.report import NodeReport
from speaker.model.peer import Peer
from speaker.model.prefix import Family, Prefix

QUIET_SECONDS = 10.0
"""After this long a peer that sends no End-of-RIB is taken to have told all it knows."""

NAMED = 3
"""How many names or prefixes a reason holds."""

LostWithout = Callable[[frozenset[str]], tuple[Prefix, ...]]
"""The prefixes that have a path now and would have none without these peers."""

LostUnder = Callable[[IPv4Address], tuple[Prefix, ...]]
"""The prefixes that have a path now and would have none under this CLUSTER_ID: all would be loops."""


def nothing_lost(_: IPv4Address) -> tuple[Prefix, ...]:
    """No prefix was reflected to this Node."""
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """An established session.

    Attributes:
        established_at: since when, in monotonic seconds.
        awaited: the negotiated families whose End-of-RIB has not come yet.
        sends_end_of_rib: False for a peer without the graceful restart capability: such a peer need not
            send any, and is taken to have told all after `QUIET_SECONDS`.
    """

    established_at: float
    awaited: frozenset[Family] = frozenset()
    sends_end_of_rib: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """All that decides at one moment.

    Attributes:
        own: this Node's name.
        wanted: the design to arrive at.
        running: the peers that run now, by name; those of the fabric alone.
        sessions: the established sessions, by the peer's name.
        lost_without: asked only when something is to be given up.
        lost_under: asked only when this Node is to reflect under another CLUSTER_ID.
        reports: what other Nodes report; needed only while the step before had `wants_reports`.
        nodes: the names of the Nodes that exist.
        now: monotonic seconds.
        deadline_seconds: how long anything may be held back.
    """

    own: str
    wanted: Design
    running: Mapping[str, Peer]
    sessions: Mapping[str, Session]
    lost_without: LostWithout
    lost_under: LostUnder = nothing_lost
    reports: Mapping[str, NodeReport] = field(default_factory=dict)
    nodes: Collection[str] = ()
    now: float
    deadline_seconds: float


@dataclass(frozen=True, slots=True)
class Retirement:
    """What is held back of one peer.

    Attributes:
        since: when it began, in monotonic seconds.
        ready: this end could do without; what it waits for is the other end.
        reason: what it waits for, a sentence.
    """

    since: float
    ready: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What should run now.

    Attributes:
        peers: the peers, by name; give them to the sessions before the next step is asked for.
        retiring: the peers that are no longer wanted and go on.
        demotions: the wanted peers that keep a setting which they are to lose.
        dropped: the peers that were retired and have just been given up, each with a sentence why.
        settled: all that is wanted is established and has told all it knows.
        wants_reports: other Nodes' reports are needed to go on.
        look_again_seconds: in how long time alone changes something; None if it never does.
    """

    peers: tuple[Peer, ...]
    retiring: Mapping[str, Retirement] = field(default_factory=dict)
    demotions: Mapping[str, Retirement] = field(default_factory=dict)
    dropped: Mapping[str, str] = field(default_factory=dict)
    settled: bool = False
    wants_reports: bool = False
    look_again_seconds: float | None = None


class Transition:
    """Keeps since when each peer is held back, and nothing else: all the rest is given at each step."""

    def __init__(self) -> None:
        # By the name and whether it is wanted: what loses a setting first and is then not wanted at all has
        # its whole time to retire.
        self._since: dict[tuple[str, bool], float] = {}
        # When a peer was told of another AS number: the session of before says nothing about the new one.
        self._reset_at: dict[str, float] = {}

    def step(self, scene: Scene) -> Step:
        """What should run now; to be asked whenever anything of the scene has changed."""
        moment = _Moment(scene, self._since, self._reset_at)
        step = moment.step()
        held = step.retiring.keys() | step.demotions.keys()
        self._since = {moment.key(name): moment.since(name) for name in held}
        running = {peer.name: peer for peer in step.peers}
        self._reset_at = {name: at for name, at in self._reset_at.items() if name in running}
        for name in moment.reset:
            self._reset_at[name] = scene.now
        return step


class _Moment:
    """One step while it is decided."""

    def __init__(
        self, scene: Scene, since: Mapping[tuple[str, bool], float], reset_at: Mapping[str, float]
    ) -> None:
        self._scene = scene
        self._known_since = since
        self._reset_at = reset_at
        self._wanted = {peer.name: peer for peer in scene.wanted.peers}
        self._unsettled = self._first_unsettled()
        self._clients = self._clients_reason()
        self.reset: list[str] = []
        self._dropped: dict[str, str] = {}

    def key(self, name: str) -> tuple[str, bool]:
        """What tells one reason to hold a peer back from the other: it retires, or it loses a setting."""
        return name, name in self._wanted

    def since(self, name: str) -> float:
        """When a peer began to be held back."""
        return self._known_since.get(self.key(name), self._scene.now)

    def step(self) -> Step:
        scene = self._scene
        peers: dict[str, Peer] = dict(self._wanted)
        for name in scene.wanted.withheld:
            if name in scene.running:
                peers[name] = scene.running[name]
        leaving = self._leaving()
        lost = self._lost(leaving)
        retiring = {name: held for name in leaving if (held := self._retirement(name, lost)) is not None}
        peers.update((name, scene.running[name]) for name in retiring)
        demotions = self._demotions(peers, frozenset(leaving))
        return Step(
            peers=tuple(peers[name] for name in sorted(peers)),
            retiring=retiring,
            demotions=demotions,
            dropped=self._dropped,
            settled=not self._unsettled,
            wants_reports=any(scene.running[name].node for name in retiring.keys() | demotions.keys()),
            look_again_seconds=self._look_again(retiring.keys() | demotions.keys()),
        )

    # -- what is wanted --------------------------------------------------------------------------------

    def _first_unsettled(self) -> str:
        """What the new design still waits for, a sentence; "" when it is complete."""
        waiting = [name for name in self._wanted if not self._is_complete(name)]
        if waiting:
            return f"waits for the session with {_named(sorted(waiting))}"
        for name, why in self._scene.wanted.withheld.items():
            if name not in self._scene.running:
                return f"waits for the session with {name}: {why}"
        return ""

    def _is_complete(self, name: str) -> bool:
        session = self._scene.sessions.get(name)
        # New here, or another AS number a moment ago: what is established is another session.
        if session is None or name not in self._scene.running:
            return False
        if session.established_at <= self._reset_at.get(name, -1.0):
            return False
        quiet = not session.sends_end_of_rib and self._quiet_in(session) <= 0
        return not session.awaited or quiet

    def _quiet_in(self, session: Session) -> float:
        return session.established_at + QUIET_SECONDS - self._scene.now

    # -- what is to go ---------------------------------------------------------------------------------

    def _leaving(self) -> list[str]:
        """The peers to retire; those that nothing can wait for are given up at once."""
        wanted_addresses = {peer.address for peer in self._wanted.values()}
        leaving = []
        for name, peer in self._scene.running.items():
            if name in self._wanted or name in self._scene.wanted.withheld:
                continue
            if peer.node and peer.node not in self._scene.nodes:
                self._dropped[name] = "its Node is gone"
            elif peer.address in wanted_addresses:
                self._dropped[name] = "its address is that of another peer now"
            else:
                leaving.append(name)
        return leaving

    def _lost(self, leaving: Iterable[str]) -> tuple[Prefix, ...]:
        """What would be lost with all of them; asked only when it decides."""
        names = frozenset(leaving)
        return self._scene.lost_without(names) if names and not self._unsettled else ()

    def _retirement(self, name: str, lost: tuple[Prefix, ...]) -> Retirement | None:
        """What a peer that is not wanted waits for; None when it is given up."""
        peer = self._scene.running[name]
        reason = self._unsettled or _lost_sentence(lost)
        if not reason and peer.cluster_id is not None:
            reason = self._clients
        ready = not reason
        if ready and peer.node:
            reason = self._other_end(name)
        if not reason:
            self._dropped[name] = "the new design carries all, at both ends"
            return None
        if self._is_overdue(name):
            self._dropped[name] = f"the deadline passed: {reason}"
            return None
        return Retirement(self.since(name), ready, reason)

    def _other_end(self, name: str) -> str:
        """What the other Node is not done with, a sentence; "" when it can do without the session too."""
        report = self._scene.reports.get(name)
        if report is None:
            return f"{name} has not reported"
        if report.fingerprint != self._scene.wanted.fingerprint:
            return f"{name} sees other resources or Nodes, so far"
        session = report.session(self._scene.own)
        if session is None:
            return "" if report.lists_all_sessions else f"{name} does not say whether it is ready"
        if session.retiring is None:
            return f"{name} still wants the session"
        return "" if session.retiring.ready else f"{name} is not ready"

    def _is_overdue(self, name: str) -> bool:
        return self._scene.now - self.since(name) >= self._scene.deadline_seconds

    # -- what is to change -----------------------------------------------------------------------------

    def _demotions(self, peers: dict[str, Peer], leaving: frozenset[str]) -> Mapping[str, Retirement]:
        """Keeps in `peers` the settings that must not go yet; returns for which, and why.

        Other changes happen at once.
        """
        demotions: dict[str, Retirement] = {}
        changing = False
        for name in sorted(self._wanted.keys() & self._scene.running.keys()):
            old, new = self._scene.running[name], self._wanted[name]
            if _is_reset(old, new):
                reason = self._reset_reason(name, leaving, changing=changing)
                kept = old
            else:
                reason = self._clients if _is_less(old, new) else ""
                reason = reason or self._loop_reason(old, new)
                reason = reason or self._import_reason(name, old, new, leaving)
                kept = _kept(old, new)
            if reason and not self._is_overdue(name):
                peers[name] = kept
                demotions[name] = Retirement(self.since(name), not self._unsettled, reason)
            elif _is_reset(old, new) or _is_renumbered(old, new):
                self.reset.append(name)
                changing = True
        return demotions

    def _clients_reason(self) -> str:
        """Which client still lives on what is reflected to it, a sentence; "" when none does."""
        scene = self._scene
        for name in sorted(scene.running):
            if scene.running[name].client and scene.running[name].node in scene.nodes:
                report = scene.reports.get(name)
                if report is None or report.fingerprint != scene.wanted.fingerprint or not report.settled:
                    return f"{name}, a client, has not settled in the new design"
                session = report.session(scene.own)
                if session is not None and session.retiring is not None and not session.retiring.ready:
                    return f"{name}, a client, is not ready"
        return ""

    def _reset_reason(self, name: str, leaving: frozenset[str], *, changing: bool) -> str:
        """What a session to a router waits for that must end to begin with another AS number.

        One after the other: each begins anew before the next one ends.
        """
        if name not in self._scene.sessions and not self._scene.lost_without(frozenset({name})):
            return ""
        others = [each for each in self._wanted if each != name and not self._is_complete(each)]
        if others:
            return f"waits for the session with {_named(sorted(others))}"
        if changing:
            return "waits for its turn: another session begins anew"
        return _lost_sentence(self._scene.lost_without(leaving | {name}))

    def _loop_reason(self, old: Peer, new: Peer) -> str:
        """What a session waits for that is to have a CLUSTER_ID under which others reflect to this Node.

        RFC 4456 §8: what they have reflected is a loop from then on, and has to come by another way first.
        """
        if new.cluster_id is None or new.cluster_id == old.cluster_id:
            return ""
        return _lost_sentence(self._scene.lost_under(new.cluster_id))

    def _import_reason(self, name: str, old: Peer, new: Peer, leaving: frozenset[str]) -> str:
        """What keeps the routes of a peer that is not to be learned from any more."""
        if not old.imports or new.imports:
            return ""
        return self._unsettled or _lost_sentence(self._scene.lost_without(leaving | {name}))

    # -- time ------------------------------------------------------------------------------------------

    def _look_again(self, held: Collection[str]) -> float | None:
        """When the next deadline passes, or a silent peer is taken to have told all."""
        scene = self._scene
        moments = [self.since(name) + scene.deadline_seconds - scene.now for name in held]
        moments += [
            remaining
            for name, session in scene.sessions.items()
            if name in self._wanted and session.awaited and not session.sends_end_of_rib
            if (remaining := self._quiet_in(session)) > 0
        ]
        return max(min(moments), 0.0) if moments else None


def _is_renumbered(old: Peer, new: Peer) -> bool:
    return (old.asn, old.local_asn, old.address) != (new.asn, new.local_asn, new.address)


def _is_reset(old: Peer, new: Peer) -> bool:
    """Whether a session must end, and its routes with it; between Nodes the routes are kept meanwhile."""
    return not (old.node and new.node) and _is_renumbered(old, new)


def _is_less(old: Peer, new: Peer) -> bool:
    """Whether less is reflected than before, or under another CLUSTER_ID."""
    return (old.client and not new.client) or (
        old.cluster_id is not None and new.cluster_id != old.cluster_id
    )


def _kept(old: Peer, new: Peer) -> Peer:
    """The new settings without what would take something away, as another CLUSTER_ID may."""
    if (old.client, old.cluster_id, old.imports) == (new.client, new.cluster_id, new.imports):
        return new
    return replace(
        new,
        client=old.client or new.client,
        cluster_id=old.cluster_id,
        imports=old.imports or new.imports,
    )


def _lost_sentence(lost: tuple[Prefix, ...]) -> str:
    if not lost:
        return ""
    have = "has" if len(lost) == 1 else "have"
    return f"{_named([str(prefix) for prefix in lost])} {have} no other path yet"


def _named(names: Collection[str]) -> str:
    first = list(names)[:NAMED]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(first) + more

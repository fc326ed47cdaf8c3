"""One speaker whose design changes, with everything about it that a test can set."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, ip_network

from speaker.fabric.design import Design
from speaker.fabric.report import Held, NodeReport, SessionReport
from speaker.fabric.transition import Scene, Session, Step, Transition
from speaker.model.fabric import BgpConfiguration
from speaker.model.peer import Peer, SessionState
from speaker.model.prefix import Family, Prefix
from tests.fabric.clusters import (
    CLIENTS,
    REFLECTING,
    bgp_peer,
    cluster,
    part,
)

DEADLINE = 120.0
OFF = BgpConfiguration()
TOR = bgp_peer("tor", peer_ip="192.0.2.1", as_number=64999)
OTHER_TOR = bgp_peer("other", peer_ip="192.0.2.2", as_number=64999)
ROUTE = ip_network("10.244.3.0/24")


@dataclass
class Speaker:
    """One speaker, with everything about it that a test can set; it applies each step at once."""

    own: str = "node3"
    wanted: Design = field(default_factory=Design)
    nodes: set[str] = field(default_factory=set)
    now: float = 1000.0
    running: dict[str, Peer] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    reports: dict[str, NodeReport] = field(default_factory=dict)
    # The prefixes by the peers that have a path to each.
    paths: dict[Prefix, set[str]] = field(default_factory=dict)
    # The prefixes that have come by reflectors alone, with the CLUSTER_IDs of these.
    reflected: dict[Prefix, set[IPv4Address]] = field(default_factory=dict)
    transition: Transition = field(default_factory=Transition)

    def lost_without(self, peers: frozenset[str]) -> tuple[Prefix, ...]:
        return tuple(prefix for prefix, have in self.paths.items() if have and not have - peers)

    def lost_under(self, cluster_id: IPv4Address) -> tuple[Prefix, ...]:
        return tuple(prefix for prefix, clusters in self.reflected.items() if cluster_id in clusters)

    def step(self, after: float = 0.0) -> Step:
        self.now += after
        found = self.transition.step(
            Scene(
                own=self.own,
                wanted=self.wanted,
                running=dict(self.running),
                sessions=dict(self.sessions),
                lost_without=self.lost_without,
                lost_under=self.lost_under,
                reports=dict(self.reports),
                nodes=self.nodes,
                now=self.now,
                deadline_seconds=DEADLINE,
            )
        )
        assert found.retiring.keys() | found.demotions.keys() <= {peer.name for peer in found.peers}
        self.running = {peer.name: peer for peer in found.peers}
        self.sessions = {name: each for name, each in self.sessions.items() if name in self.running}
        return found

    def establish(self, *names: str, awaited: Iterable[Family] = ()) -> None:
        """The sessions are up; all of them unless named."""
        for name in names or self.running:
            self.sessions[name] = Session(established_at=self.now, awaited=frozenset(awaited))

    def all_others_agree(self, *, ready: bool = True) -> None:
        """Every other Node reports the same design, and of us that it can do without, or cannot."""
        held = SessionReport(
            peer=self.own, state=SessionState.ESTABLISHED, retiring=Held(ready=ready, reason="")
        )
        for name in self.nodes - {self.own}:
            self.report(name, held)

    def report(self, name: str, *sessions: SessionReport, settled: bool = True) -> None:
        self.reports[name] = NodeReport(
            node=name,
            fingerprint=self.wanted.fingerprint,
            settled=settled,
            sessions=sessions,
            session_count=len(sessions),
        )


def in_mesh(count: int = 4, own: str = "node3", *, reflectors: int = 0) -> Speaker:
    """A speaker of a mesh with all sessions up."""
    nodes = cluster(count, reflectors=reflectors)
    speaker = Speaker(own=own, wanted=part(own, nodes), nodes=set(nodes))
    speaker.step()
    speaker.establish()
    return speaker


def towards_reflectors(count: int = 4, own: str = "node3") -> Speaker:
    """A client that has just been told to use the reflectors node1 and node2 in place of the mesh."""
    speaker = in_mesh(count, own, reflectors=2)
    speaker.wanted = part(own, cluster(count, reflectors=2), REFLECTING, CLIENTS)
    return speaker


def retiring(own: str, *, ready: bool) -> SessionReport:
    return SessionReport(peer=own, state=SessionState.ESTABLISHED, retiring=Held(ready=ready, reason="waits"))

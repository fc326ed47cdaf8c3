"""The parts of a speaker in a fabric; the kernel and the API server are stand-ins that keep what they get."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from ipaddress import IPv4Address, ip_address, ip_network
from typing import Any

from speaker.bgp import SessionEvent, SessionEventKind
from speaker.clock import Clock, SystemClock
from speaker.daemon.fabric import Fabric
from speaker.daemon.learning import Learning
from speaker.kernel import FibStatus
from speaker.model.fib import Hop, Resolution
from speaker.model.objects import Change, Kind, Meta, NodeView, ObjectRef, ResourceView
from speaker.model.peer import Peer, SessionFacts
from speaker.model.policy import HostView, PeerView, PublicationPolicy
from speaker.model.prefix import Address, Family, Prefix
from speaker.model.route import Learned, PathAttributes, Paths, Route

FAMILIES = frozenset(Family)
LABEL = ("ovn.kubernetes.io/bgp", "true")


class Table:
    """In place of the kernel: every next hop is a neighbour, as soon as it is asked for unless `is_slow`."""

    def __init__(
        self, *, on_resolved: Callable[[Mapping[Address, Resolution]], None], **options: object
    ) -> None:
        self._on_resolved = on_resolved
        self.options = options
        self.is_slow = False
        self.resolutions: dict[Address, Resolution] = {}
        self.routes: dict[Prefix, tuple[Address, ...]] = {}
        self.blackholes: frozenset[Prefix] = frozenset()
        self.released = False
        self.flushed = False

    def track(self, next_hops: Collection[Address]) -> None:
        if not self.is_slow:
            self.resolutions = dict.fromkeys(next_hops, Resolution(hops=(Hop(1),), on_link=True))
            self._on_resolved(self.resolutions)

    def set_routes(self, changes: Mapping[Prefix, tuple[Address, ...] | None]) -> None:
        for prefix, next_hops in changes.items():
            if next_hops is None:
                del self.routes[prefix]
            else:
                self.routes[prefix] = next_hops

    def set_blackholes(self, prefixes: Collection[Prefix]) -> None:
        self.blackholes = frozenset(prefixes)

    def release(self) -> None:
        self.released = True

    async def flush(self) -> None:
        self.flushed = True

    def status(self) -> FibStatus:
        return FibStatus(wanted=len(self.routes), installed=len(self.routes))


class Parts:
    """A `Learning` and a `Fabric` on top of it, for node1."""

    def __init__(self, *, installs: bool = True, table: int = 254, clock: Clock | None = None) -> None:
        self.told: dict[str, dict[Prefix, Paths | None]] = {}
        self.changes = 0
        self.table = Table(on_resolved=lambda _: None)
        self.learning = Learning(
            self._update,
            installs=installs,
            table=table,
            metric=50,
            on_change=self._changed,
            clock=clock or SystemClock(),
            make_fib=self._make_table,
        )
        self.fabric = Fabric(
            PublicationPolicy(node_name="node1", node_label=LABEL),
            (),
            self.learning,
            clock=SystemClock(),
            on_change=self._changed,
        )

    def _make_table(self, **options: Any) -> Any:
        self.table = Table(**options)
        return self.table

    def _update(self, peer: str, changes: Mapping[Prefix, Paths | None]) -> None:
        self.told.setdefault(peer, {}).update(changes)

    def _changed(self) -> None:
        self.changes += 1

    def host(self, peers: Sequence[Peer], established: Mapping[str, SessionFacts]) -> None:
        views = {peer.name: PeerView(peer=peer, facts=established.get(peer.name)) for peer in peers}
        self.learning.set_host(HostView(peers=views))

    async def follow(self, *established: str) -> tuple[Peer, ...]:
        """Run what the design asks for, with these sessions established and all told."""
        peers = self.fabric.decide()
        self.host(peers, {peer.name: facts_of(peer) for peer in peers if peer.name in established})
        for peer in peers:
            if peer.name in established and not self.learning.has_told_all(peer.name):
                self.event(established_event(peer))
                self.end_of_rib(peer.name)
        await self.learning.settle()
        return self.fabric.decide()

    def event(self, event: SessionEvent) -> None:
        self.fabric.session_event(event)
        self.learning.session_event(event)

    def end_of_rib(self, peer: str) -> None:
        for family in sorted(FAMILIES):
            self.event(SessionEvent(peer=peer, kind=SessionEventKind.UPDATE_RECEIVED, end_of_rib=family))

    def teach(self, peer: str, *routes: Route) -> None:
        self.event(SessionEvent(peer=peer, kind=SessionEventKind.UPDATE_RECEIVED, advertised=routes))


def facts_of(peer: Peer, **fields: Any) -> SessionFacts:
    facts = SessionFacts(
        local_address=IPv4Address("10.0.0.1"),
        families=FAMILIES,
        peer_graceful_restart=True,
        peer_router_id=IPv4Address(int(peer.address) & 0xFFFFFFFF),
    )
    return replace(facts, **fields)


def established_event(peer: Peer) -> SessionEvent:
    return SessionEvent(peer=peer.name, kind=SessionEventKind.ESTABLISHED, facts=facts_of(peer))


def closed_event(peer: str) -> SessionEvent:
    return SessionEvent(peer=peer, kind=SessionEventKind.CLOSED)


def learned(prefix: str, next_hop: str) -> Route:
    return Route(ip_network(prefix), ip_address(next_hop), PathAttributes(learned=Learned()))


def node(number: int, *, speaks: bool = True) -> Change:
    """`node<number>`, at 10.0.0.<number>, with Pods in 10.244.<number>.0/24."""
    name = f"node{number}"
    ref = ObjectRef(Kind.NODE, "", name)
    view = NodeView(
        meta=Meta(ref=ref, uid=f"uid-{name}", annotations={}),
        labels=dict((LABEL,)) if speaks else {},
        internal_ips=(IPv4Address(f"10.0.0.{number}"),),
        pod_cidrs=(ip_network(f"10.244.{number}.0/24"),),
    )
    return Change(ref, view)


def resource(kind: Kind, name: str, spec: Mapping[str, object], *, generation: int = 1) -> Change:
    ref = ObjectRef(kind, "", name)
    meta = Meta(ref=ref, uid=f"uid-{name}", annotations={})
    return Change(ref, ResourceView(meta=meta, generation=generation, spec=spec))


def mesh(**spec: object) -> Change:
    return resource(Kind.BGP_CONFIGURATION, "default", {"nodeToNodeMeshEnabled": True, **spec})


def report(name: str, status: Mapping[str, object]) -> Change:
    ref = ObjectRef(Kind.BGP_NODE_STATUS, "", name)
    return Change(ref, ResourceView(meta=Meta(ref=ref, annotations={}), status=status))


def gone(change: Change) -> Change:
    return Change(change.ref, None)


class Api:
    """In place of the API server: what is written, and whether reports are watched."""

    def __init__(self) -> None:
        self.statuses: dict[tuple[Kind, str], Mapping[str, object]] = {}
        self.withdrawn: list[tuple[Kind, str]] = []
        self.warnings: list[tuple[ObjectRef, str, str]] = []
        self.watched = 0

    def write(self, kind: Kind, name: str, status: Mapping[str, object], *, create: bool = False) -> None:
        assert create is (kind is Kind.BGP_NODE_STATUS)
        self.statuses[kind, name] = status

    def withdraw(self, kind: Kind, name: str) -> None:
        self.withdrawn.append((kind, name))

    def warn(self, ref: ObjectRef, reason: str, message: str) -> None:
        self.warnings.append((ref, reason, message))

    @asynccontextmanager
    async def watching(self, kind: Kind) -> AsyncIterator[asyncio.Event]:
        assert kind is Kind.BGP_NODE_STATUS
        self.watched += 1
        synced = asyncio.Event()
        synced.set()
        try:
            yield synced
        finally:
            self.watched -= 1

"""What this speaker reports of itself to the others, as its BGPNodeStatus.

Puts the report together from what runs; writes it when it may have changed, and at most once a second.
Knows no condition of a resource: those are the leader's (`oversight`).
"""

import asyncio
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Protocol

from speaker.clock import Clock
from speaker.daemon.fabric import Fabric
from speaker.daemon.learning import Learning
from speaker.fabric.report import (
    MOST_UNREACHABLE,
    Demotion,
    Held,
    NodeReport,
    SessionReport,
    Unreachable,
    to_status,
)
from speaker.fabric.sessions import router_id_of
from speaker.fabric.transition import Retirement
from speaker.model.objects import Kind
from speaker.model.peer import SessionStatus
from speaker.model.prefix import Prefix

PAUSE_SECONDS = 1.0
"""Between two reports: many sessions come and go together."""


class Statuses(Protocol):
    """Where the statuses of our own resources are written."""

    def write(self, kind: Kind, name: str, status: Mapping[str, object], *, create: bool = False) -> None:
        """Have this written in the place of what is there."""

    def withdraw(self, kind: Kind, name: str) -> None:
        """Write it no more."""


class FabricReport:
    """This speaker's own report.

    Args:
        own: this node's name.
        fabric: what is wanted and what is held back.
        learning: what has been told and learned.
        sessions: every session by the peer's name.
        statuses: where the report is written.
        clock: dates what is held back.
    """

    def __init__(
        self,
        own: str,
        fabric: Fabric,
        learning: Learning,
        sessions: Callable[[], Mapping[str, SessionStatus]],
        statuses: Statuses,
        clock: Clock,
    ) -> None:
        self._own = own
        self._fabric = fabric
        self._learning = learning
        self._sessions = sessions
        self._statuses = statuses
        self._clock = clock
        self._changed = asyncio.Event()

    def mark(self) -> None:
        """What is reported may have changed."""
        self._changed.set()

    async def run(self) -> None:
        """Report until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            self._write()
            await asyncio.sleep(PAUSE_SECONDS)
            # What follows from a change by itself, such as routes in the kernel, is there by now.
            self._write()

    def _write(self) -> None:
        status = to_status(self.report())
        self._statuses.write(Kind.BGP_NODE_STATUS, self._own, status, create=True)

    def report(self) -> NodeReport:
        """As it stands now."""
        fabric, step = self._fabric, self._fabric.step
        sessions = tuple(self._session(name, status) for name, status in self._sessions().items())
        unreachable = self._unreachable()
        own = fabric.own_node
        fib = self._learning.fib_status
        return NodeReport(
            node=self._own,
            fingerprint=fabric.design.fingerprint,
            as_number=0 if own is None else own.as_number or fabric.resources.configuration.as_number,
            router_id=None if own is None else router_id_of(own),
            cluster_id=own.cluster_id if own is not None and fabric.design.reflects else None,
            settled=step.settled,
            sessions=sessions,
            session_count=len(sessions),
            unreachable=tuple(
                Unreachable(name, cidrs) for name, cidrs in islice(unreachable.items(), MOST_UNREACHABLE)
            ),
            unreachable_count=len(unreachable),
            learned=self._learning.learned,
            installed=fib.installed,
            conflicts=len(fib.conflicts),
            demotions=tuple(Demotion(peer, self._held(held)) for peer, held in step.demotions.items()),
        )

    def _session(self, name: str, status: SessionStatus) -> SessionReport:
        retirement = self._fabric.step.retiring.get(name)
        return SessionReport(
            peer=name,
            address=status.peer.address,
            node=status.peer.node,
            as_number=status.peer.asn,
            state=status.state,
            since=status.established_at,
            origin=self._fabric.design.origins.get(name, ""),
            received=sum(count for _, count in status.received),
            advertised=sum(count for _, count in status.advertised),
            end_of_rib=self._learning.has_told_all(name),
            last_error=status.last_error,
            retiring=None if retirement is None else self._held(retirement),
        )

    def _held(self, retirement: Retirement) -> Held:
        since = self._clock.time() - (self._clock.monotonic() - retirement.since)
        return Held(retirement.ready, retirement.reason, since)

    def _unreachable(self) -> Mapping[str, tuple[Prefix, ...]]:
        """The other nodes that run speakers, with their Pod CIDRs that no route leads to."""
        if not self._fabric.design.peers:
            return {}
        found = {}
        for name, node in self._fabric.nodes.nodes.items():
            if name == self._own or not node.is_speaker:
                continue
            missing = tuple(cidr for cidr in node.pod_cidrs if not self._learning.reaches(cidr))
            if missing:
                found[name] = missing
        return found

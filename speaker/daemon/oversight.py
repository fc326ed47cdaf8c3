"""What the holder of the Lease does for all: the status of the resources, and Events on them.

Every speaker sees the same resources; one of them says what is wrong with each, and counts the sessions
that all report. Knows reports and resources; must not know sessions.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from speaker.clock import Clock
from speaker.daemon.fabric import Fabric, Watching
from speaker.daemon.fabric_report import Statuses
from speaker.fabric.conditions import (
    Condition,
    accepted,
    conflict,
    established,
    resource_status,
    session_counts,
)
from speaker.fabric.report import NodeReport
from speaker.model.objects import Kind, ObjectRef

PAUSE_SECONDS = 1.0
"""Between two looks: a hundred nodes report together."""


class Events(Protocol):
    """Where Kubernetes Events are written."""

    def warn(self, ref: ObjectRef, reason: str, message: str) -> None:
        """Write a Warning on an object; the same one is not written again and again."""


class Oversight:
    """The status of every BGPConfiguration, BGPPeer and BGPFilter, as long as the Lease is ours.

    Args:
        fabric: the resources as they stand, and what the nodes report.
        watching: watches what the nodes report.
        statuses: where the statuses are written.
        events: where Events are written.
        clock: dates conditions.
    """

    def __init__(
        self, fabric: Fabric, watching: Watching, statuses: Statuses, events: Events, clock: Clock
    ) -> None:
        self._fabric = fabric
        self._watching = watching
        self._statuses = statuses
        self._events = events
        self._clock = clock
        self._leads = asyncio.Event()
        self._changed = asyncio.Event()

    def leads(self, held: bool) -> None:  # noqa: FBT001 # a fact, not a switch
        """The Lease came to us, or went."""
        if held:
            self._leads.set()
        else:
            self._leads.clear()
        self._changed.set()

    def mark(self) -> None:
        """A resource, a node or a report has changed."""
        self._changed.set()

    async def run(self) -> None:
        """Look after the resources whenever that is ours to do, until cancelled."""
        while True:
            await self._leads.wait()
            async with self._watching(Kind.BGP_NODE_STATUS) as synced:
                await synced.wait()
                while self._leads.is_set():
                    self._changed.clear()
                    self._write()
                    await asyncio.sleep(PAUSE_SECONDS)
                    await self._changed.wait()
            for ref in self._fabric.resources.views:
                self._statuses.withdraw(ref.kind, ref.name)

    def _write(self) -> None:
        reports = tuple(self._fabric.reports.values())
        for ref, view in self._fabric.resources.views.items():
            conditions = tuple(self._conditions(ref))
            status = resource_status(
                conditions, generation=view.generation, before=view.status, now=self._clock.time()
            )
            if ref.kind is Kind.BGP_PEER:
                status |= session_counts(*established(ref.name, reports))
            self._statuses.write(ref.kind, ref.name, status)
            self._warn(ref, conditions)
        configuration = next(
            (ref for ref in self._fabric.resources.views if ref.kind is Kind.BGP_CONFIGURATION), None
        )
        if configuration is not None:
            for sentence in (*self._fabric.design.warnings, *_stuck(self._fabric.reports)):
                self._events.warn(configuration, "Fabric", sentence)

    def _conditions(self, ref: ObjectRef) -> Iterator[Condition]:
        resources = self._fabric.resources
        missing = resources.missing_filters.get(ref.name, ()) if ref.kind is Kind.BGP_PEER else ()
        notes = [f"the BGPFilter {name} is not there" for name in missing]
        yield accepted(resources.problems.get(ref, ()), notes)
        if ref.kind is Kind.BGP_PEER:
            yield conflict(self._fabric.design.conflicts.get(ref.name, ""))

    def _warn(self, ref: ObjectRef, conditions: Iterable[Condition]) -> None:
        for each in conditions:
            bad = not each.holds if each.type == "Accepted" else each.holds
            if bad:
                self._events.warn(ref, each.reason, each.message)


def _stuck(reports: Mapping[str, NodeReport]) -> Iterator[str]:
    """What several nodes wait for is the same thing most of the time: it is told once."""
    for name in sorted(reports):
        report = reports[name]
        if report.unreachable_count and report.settled:
            nodes = ", ".join(each.node for each in report.unreachable[:3])
            yield f"Node {name} has no route to the Pods of {report.unreachable_count} Nodes ({nodes})"

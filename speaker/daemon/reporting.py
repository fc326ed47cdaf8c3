"""Says what happened: log lines, Events and counters for sessions, routes and outcomes.

Knows the words; decides nothing. Lines about routes wait in a queue and are written in slices, so
that ten thousand of them delay neither a route nor a KEEPALIVE.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Iterable, Mapping
from functools import partial
from itertools import islice
from typing import Protocol

from speaker.bgp import SessionEvent
from speaker.cluster import SourceHealth
from speaker.daemon.session_words import log_session
from speaker.metrics import Metrics
from speaker.model.objects import ObjectRef
from speaker.model.prefix import Prefix
from speaker.model.publication import REASON_SENTENCES, Exclusion
from speaker.model.route import Route
from speaker.routing.outcome import OutcomeChange

LINES_PER_SLICE = 100

RouteChanges = Mapping[str, Mapping[Prefix, Route | None]]

_log = logging.getLogger(__name__)


class Line(Protocol):
    """Something to write later."""

    def __call__(self) -> None:
        """Write it."""


class Events(Protocol):
    """Where Kubernetes Events are written."""

    def exclusion(self, exclusion: Exclusion, sentence: str) -> None:
        """Tell an exclusion on the object that it is about, if that helps its owner."""


class Reporter:
    """Tells people what the speaker does.

    Args:
        metrics: where changes are counted.
        events: where Kubernetes Events are written.
    """

    def __init__(self, metrics: Metrics, events: Events) -> None:
        self._metrics = metrics
        self._events = events
        self._lines: deque[Line] = deque()
        self._waiting = asyncio.Event()
        self._sources: dict[str, tuple[bool, str]] = {}
        self._causes: dict[Prefix, tuple[str, str]] = {}

    async def run(self) -> None:
        """Write what waits, in slices, until cancelled."""
        while True:
            await self._waiting.wait()
            self._waiting.clear()
            while self._lines:
                self._write_slice()
                await asyncio.sleep(0)

    def flush(self) -> None:
        """Write all that waits at once: the process is about to end."""
        while self._lines:
            self._write_slice()

    def _write_slice(self) -> None:
        for _ in islice(range(LINES_PER_SLICE), len(self._lines)):
            self._lines.popleft()()

    def _later(self, line: Line) -> None:
        self._lines.append(line)
        self._waiting.set()

    # -- routes and outcomes ---------------------------------------------------------------------------

    @property
    def tells_routes(self) -> bool:
        """Whether it says what is advertised and withdrawn, and so wants to know who asked."""
        return _log.isEnabledFor(logging.INFO)

    def outcomes_changed(self, outcomes: Iterable[OutcomeChange]) -> None:
        """Say what is excluded, and remember for the routes that follow who asked and why."""
        tells_routes = self.tells_routes
        for outcome in outcomes:
            if tells_routes:
                self._remember(outcome)
            for exclusion in outcome.reported:
                self._later(partial(self._say_excluded, outcome.ref, exclusion))

    def _remember(self, outcome: OutcomeChange) -> None:
        """Keep who asked and why, for the lines of the routes that follow."""
        for withdrawal in outcome.withdrawn:
            self._causes.setdefault(withdrawal.prefix, (str(outcome.ref), withdrawal.why))
        for publication in outcome.advertised:
            self._causes[publication.prefix] = (str(outcome.ref), publication.why)

    def settled(self) -> None:
        """Every route that follows from the outcomes has been told."""
        self._causes.clear()

    def routes_changed(self, changes: RouteChanges) -> None:
        """Say every advertise and withdraw, with the object that asked and the reason."""
        for peer, routes in changes.items():
            withdrawn = sum(route is None for route in routes.values())
            self._metrics.count_changes(peer, advertised=len(routes) - withdrawn, withdrawn=withdrawn)
            if not self.tells_routes:
                continue
            for prefix, route in routes.items():
                self._later(partial(_say_route, peer, prefix, route, self._causes.get(prefix)))

    def _say_excluded(self, ref: ObjectRef, exclusion: Exclusion) -> None:
        sentence = REASON_SENTENCES[exclusion.reason]
        fields = {"object": str(ref), "reason": exclusion.reason.value, "because": sentence}
        if exclusion.prefix is not None:
            fields["prefix"] = str(exclusion.prefix)
        if exclusion.peer:
            fields["peer"] = exclusion.peer
        if exclusion.detail:
            fields["detail"] = exclusion.detail
        _log.info("excluded", extra=fields)
        self._events.exclusion(exclusion, sentence)

    # -- sessions and sources --------------------------------------------------------------------------

    def session_event(self, event: SessionEvent) -> None:
        """Say every change of a session's state, and why an attempt failed."""
        log_session(event)

    def source_changed(self, health: SourceHealth) -> None:
        """Say when a source comes into sync, fails or recovers; the same trouble once."""
        known = self._sources.get(health.name)
        now = (health.synced, health.error)
        if known == now:
            return
        self._sources[health.name] = now
        if health.error:
            _log.warning("source failed", extra={"source": health.name, "reason": health.error})
        elif known is None or not known[0] or known[1]:
            _log.info("source is in sync", extra={"source": health.name})


def _say_route(peer: str, prefix: Prefix, route: Route | None, cause: tuple[str, str] | None) -> None:
    fields = {"peer": peer, "prefix": str(prefix)}
    if cause is not None:
        fields |= {"object": cause[0], "reason": cause[1]}
    if route is None:
        _log.info("withdraw", extra={"reason": "no next hop or peer for it any more"} | fields)
    else:
        fields["next_hop"] = str(route.next_hop)
        _log.info("advertise", extra={"reason": "its next hop or attributes changed"} | fields)

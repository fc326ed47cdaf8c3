"""Learned routes and blackholes in the kernel, kept as they should be, and next hops resolved by it.

Reads the tables, compares, writes the difference, and begins again when anything changed. Knows
prefixes, next hops and the kernel; must not know sessions, peers or why a route was chosen.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType

from speaker.errors import HostError
from speaker.kernel.events import Events
from speaker.kernel.intent import Intent
from speaker.kernel.netlink import SocketFactory, open_socket
from speaker.kernel.owned import Owned
from speaker.kernel.pace import Pace
from speaker.kernel.reading import Reader
from speaker.kernel.reconcile import FibStatus, Reconciler
from speaker.kernel.resolution import SEARCHED, RoutingTable
from speaker.kernel.routes import KernelRoute, Place
from speaker.kernel.writer import Writer
from speaker.model.fib import Resolution
from speaker.model.prefix import Address, Prefix

_LOG = logging.getLogger(__name__)

PROTOCOL = 203
"""What `ip route show proto 203` shows is ours."""
SETTLE_SECONDS = 0.02
"""From the first event of a burst to the reading."""
PAUSE_SECONDS = 0.2
"""The shortest time between two readings while events keep coming."""
PAUSE_FACTOR = 4
"""A pause lasts as many times as long as the reading before it: a fifth of a core at most."""
MAX_PAUSE_SECONDS = 1.0
"""But no longer than this."""
RETRY_SECONDS = 5.0
"""How long to wait after the kernel did not answer."""
DENIED_SECONDS = 30.0
"""How long to wait after the kernel did not let us write."""
REREAD_SECONDS = 60.0
"""The tables are read this often though nothing was told."""
_RESOLUTIONS_AT_ONCE = 250
_READINGS_OF_A_FLUSH = 5


class Fib:
    """Our routes in the kernel, and what its other routes say of next hops.

    Args:
        table: where our routes are (RTA_TABLE).
        metric: their metric (RTA_PRIORITY); of two routes to a prefix the kernel takes the lower.
        protocol: what marks them as ours (rtm_protocol).
        on_resolved: called with next hops of `track` whose resolution is known for the first time, or
            has changed; some hundreds at a time.
        on_problem: called with a sentence for a person, once for each new problem.
        socket_factory: where netlink sockets come from; a test names a namespace by it.
    """

    def __init__(
        self,
        *,
        table: int = 254,
        metric: int = 1024,
        protocol: int = PROTOCOL,
        on_resolved: Callable[[Mapping[Address, Resolution]], None],
        on_problem: Callable[[str], None],
        socket_factory: SocketFactory | None = None,
    ) -> None:
        self._place = Place(table, metric, protocol)
        self._on_resolved = on_resolved
        self._on_problem = on_problem
        self._factory = socket_factory or open_socket
        self._tables = frozenset({table, *SEARCHED})
        self._reader = Reader(self._factory, self._tables)
        self._intent = Intent()
        self._reconciler = Reconciler(self._place, self._intent)
        self._routing_table: RoutingTable | None = None
        self._tracked: frozenset[Address] = frozenset()
        self._resolutions: dict[Address, Resolution] = {}
        self._told: dict[Address, Resolution] = {}
        self._all_unresolved = True
        self._problems: dict[str, str] = {}
        self._failure: str | None = None
        self._events: Events | None = None
        self._woken = asyncio.Event()
        self._working = asyncio.Lock()
        # Moments of the event loop's clock.
        self._read_at = 0.0
        self._not_before = 0.0
        self._write_at = 0.0

    @property
    def resolutions(self) -> Mapping[Address, Resolution]:
        """What is known of tracked next hops; one that is not in it has not been looked up yet."""
        return MappingProxyType(self._told)

    def track(self, next_hops: Collection[Address]) -> None:
        """Resolve these next hops, and tell of their changes; no others."""
        self._tracked = frozenset(next_hops)
        for gone in self._told.keys() - self._tracked:
            del self._told[gone]
        self._woken.set()

    def set_routes(self, changes: Mapping[Prefix, tuple[Address, ...] | None]) -> None:
        """Route prefixes over BGP next hops, with ECMP over several; None takes a prefix out."""
        self._intent.set_routes(changes)
        self._woken.set()

    def set_blackholes(self, prefixes: Collection[Prefix]) -> None:
        """Drop packets to these prefixes that no better route takes, and to no others."""
        self._intent.set_blackholes(prefixes)
        self._woken.set()

    def release(self) -> None:
        """All that is wanted is known: routes of ours from an earlier run that nobody wants go now."""
        self._reconciler.release()
        self._woken.set()

    def status(self) -> FibStatus:
        """How far the kernel has what is wanted."""
        status = self._reconciler.status()
        problems = tuple(self._current_problems().values())
        return FibStatus(
            wanted=status.wanted,
            installed=status.installed,
            conflicts=status.conflicts,
            refused=status.refused,
            problems=problems,
        )

    async def run(self) -> None:
        """Keep the routes until cancelled; they stay in the kernel then.

        Raises:
            HostError: netlink is not there when the work begins, or the events end. What fails later
                is a problem that is told, and tried again.
        """
        loop = asyncio.get_running_loop()
        with Writer(self._factory) as writer:
            events = Events(self._factory, self._tables, self._expect)
            try:
                events.own_port = writer.port
                self._events = events
                loop.add_reader(events.monitor, events.drain)
                self._expect()
                while events.failure is None:
                    self._woken.clear()
                    async with self._working:
                        await self._work(writer)
                    await self._rest()
                raise events.failure
            finally:
                self._events = None
                loop.remove_reader(events.monitor)
                events.close()

    async def flush(self) -> None:
        """Want nothing any more, and take all of ours out of the kernel, whether `run` runs or not.

        Raises:
            HostError: the kernel does not answer: routes may be left.
        """
        self._intent.clear()
        self._reconciler.release()
        async with self._working:
            with Writer(self._factory) as writer:
                for _ in range(_READINGS_OF_A_FLUSH):
                    with contextlib.suppress(InterruptedError):
                        await self._read()
                        break
                await self._reconciler.bring_about(writer, self._is_uncertain)
        self._tell_problems()

    def _expect(self) -> None:
        """Something changed: read soon, and no sooner than the last reading permits."""
        soon = max(asyncio.get_running_loop().time() + SETTLE_SECONDS, self._not_before)
        self._read_at = min(self._read_at, soon)
        self._woken.set()

    async def _work(self, writer: Writer) -> None:
        """Do all that can be done now."""
        clock = asyncio.get_running_loop().time
        if clock() >= self._read_at:
            await self._refresh()
        await self._resolve()
        if clock() >= self._write_at:
            await self._write(writer)
        self._tell_problems()

    async def _rest(self) -> None:
        """Wait until there is something to do."""
        due = self._read_at
        if self._routing_table is not None and self._intent.has_changed:
            due = min(due, self._write_at)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(due):
                await self._woken.wait()

    async def _refresh(self) -> None:
        """Read the tables; what is told meanwhile asks for another reading."""
        clock = asyncio.get_running_loop().time
        started = clock()
        try:
            await self._read()
        except InterruptedError:
            self._postpone(PAUSE_SECONDS)
            self._read_at = self._not_before
        except HostError as error:
            self._fail(error)
        else:
            self._failure = None
            pause = max(PAUSE_SECONDS, PAUSE_FACTOR * (clock() - started))
            self._postpone(min(pause, MAX_PAUSE_SECONDS))

    async def _read(self) -> None:
        events = self._events
        if events is not None:
            events.drain()
            events.forget()
        self._read_at = asyncio.get_running_loop().time() + REREAD_SECONDS
        place, owned = self._place, Owned(self._place)
        try:
            table = RoutingTable(await self._reader.links())

            def take(route: KernelRoute) -> None:
                if route.protocol != place.protocol:
                    table.add(route)
                owned.take(route)

            await self._reader.routes(take)
        except (InterruptedError, HostError):
            if events is not None:
                events.distrust()
            raise
        self._routing_table = table
        self._all_unresolved = True
        await self._reconciler.take_reading(owned)

    def _postpone(self, seconds: float) -> None:
        """No reading for so long."""
        self._not_before = asyncio.get_running_loop().time() + seconds
        self._read_at = max(self._read_at, self._not_before)

    def _fail(self, error: HostError) -> None:
        """The kernel did not answer: what was known stands, and is read again before long."""
        self._failure = str(error)
        self._postpone(RETRY_SECONDS)
        self._read_at = self._write_at = self._not_before

    async def _resolve(self) -> None:
        """Look up what has not been looked up since the last reading, and tell what changed."""
        table = self._routing_table
        if table is None:
            return
        needed = self._tracked | self._intent.next_hops
        asked = needed if self._all_unresolved else needed - self._resolutions.keys()
        self._all_unresolved = False
        changed: dict[Address, Resolution] = {}
        pace = Pace()
        for next_hop in asked:
            await pace.step()
            found = table.resolve(next_hop)
            if found != self._resolutions.get(next_hop):
                self._resolutions[next_hop] = changed[next_hop] = found
        if changed:
            self._intent.set_resolutions(changed)
        if len(self._resolutions) > len(needed):
            gone = self._resolutions.keys() - needed
            for next_hop in gone:
                del self._resolutions[next_hop]
            self._intent.forget(gone)
        await self._tell_resolutions()

    async def _tell_resolutions(self) -> None:
        untold: dict[Address, Resolution] = {}
        pace = Pace()
        for next_hop in self._tracked:
            await pace.step()
            found = self._resolutions.get(next_hop)
            # An unchanged resolution is the same object.
            if found is not None and found is not self._told.get(next_hop):
                untold[next_hop] = found
        names = list(untold)
        for start in range(0, len(names), _RESOLUTIONS_AT_ONCE):
            portion = {
                next_hop: untold[next_hop]
                for next_hop in names[start : start + _RESOLUTIONS_AT_ONCE]
                if next_hop in self._tracked
            }
            self._told.update(portion)
            self._on_resolved(MappingProxyType(portion))
            await asyncio.sleep(0)

    async def _write(self, writer: Writer) -> None:
        try:
            await self._reconciler.bring_about(writer, self._is_uncertain)
        except HostError as error:
            self._fail(error)
            return
        if self._reconciler.is_denied:
            self._write_at = asyncio.get_running_loop().time() + DENIED_SECONDS
        if self._reconciler.is_surprised:
            self._expect()

    def _is_uncertain(self, prefix: Prefix) -> bool:
        events = self._events
        if events is None:
            return False
        # The kernel tells before it answers: whoever was there before us is in the queue.
        events.drain()
        return events.concern(prefix)

    def _current_problems(self) -> dict[str, str]:
        found = self._reconciler.problems()
        if self._failure is not None:
            found["failure"] = self._failure
        return found

    def _tell_problems(self) -> None:
        found = self._current_problems()
        for key in found.keys() - self._problems.keys():
            _LOG.warning("kernel routes have a problem", extra={"problem": found[key]})
            self._on_problem(found[key])
        self._problems = found

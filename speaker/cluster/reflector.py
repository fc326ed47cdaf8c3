"""One resource, listed once and watched for ever.

The list is a WatchList where the server has it, else pages of a list. A lost stream is resumed from
the last resourceVersion; only 410 lists again, and then only the differences are delivered. Nothing
is ever reported gone because of an error.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import msgspec

from speaker.cluster import wire
from speaker.cluster.backoff import Backoff, Pacing
from speaker.cluster.config import SourceHealth
from speaker.cluster.inventory import Inventory
from speaker.cluster.network import network_errors, unreachable
from speaker.cluster.presence import Presence
from speaker.cluster.problems import Forbidden, Gone, NotFound, RequestProblem, ServerBehind, Unprocessable
from speaker.cluster.sources import Source
from speaker.cluster.translate import Translator
from speaker.cluster.transport import Transport
from speaker.model.objects import Change

PAGE = "500"
SLICE = 100
"""How many objects are decoded before the event loop turns: well under 10 ms."""

WATCH_SECONDS = (240.0, 360.0)
"""How long a watch is asked to last; drawn, so that a thousand speakers do not come back at once."""

INITIAL_EVENTS_END = "k8s.io/initial-events-end"
SERVER_BEHIND_SECONDS = 1.0
SERVER_BEHIND_TIMES = 5
"""After so many answers the server will not catch up: it was restored to an older state."""

SECOND_LOOK_SECONDS = (2.0, 4.0)
LONGEST_RETRY_AFTER_SECONDS = 60.0

_page = msgspec.json.Decoder(wire.Page)
_event = msgspec.json.Decoder(wire.WatchEvent)
_object = msgspec.json.Decoder(wire.Object)
_status = msgspec.json.Decoder(wire.Status)

_log = logging.getLogger(__name__)


class Reflector:
    """Keeps one source delivered.

    Args:
        source: what to watch.
        transport: where.
        translator: makes the views.
        deliver: told each batch of changes, on the event loop.
        on_health: told when the health changes.
        presence: says whether an optional resource is there.
        pacing: time and chance.
    """

    def __init__(
        self,
        source: Source,
        transport: Transport,
        translator: Translator,
        *,
        deliver: Callable[[Sequence[Change]], None],
        on_health: Callable[[SourceHealth], None],
        presence: Presence,
        pacing: Pacing,
    ) -> None:
        self.health = SourceHealth(name=source.title)
        self.synced = asyncio.Event()
        self.inventory = Inventory(source, translator)
        self._source = source
        self._transport = transport
        self._deliver = deliver
        self._on_health = on_health
        self._presence = presence
        self._pacing = pacing
        self._backoff = Backoff(pacing.uniform)
        self._resource_version = ""
        self._watch_list = True
        self._behind = 0
        self._opened_at: float | None = None
        self._watching = f"watch {source.title}"

    async def run(self) -> None:
        """List, watch, recover, until cancelled.

        Run again after that, it reads everything anew and delivers what differs from what it knew.
        """
        self._resource_version = ""
        self.synced.clear()
        while True:
            await self._pacing.sleep(await self._attempt())

    async def _attempt(self) -> float:
        """One life of the source, to the end of a stream or an error; returns the pause after it."""
        at_least = 0.0
        self._opened_at = None
        try:
            await self._follow()
        except RequestProblem as error:
            if isinstance(error, Gone) and self._resource_version:
                _log.debug("watch is too old", extra={"source": self._source.name})
            else:
                self._note(str(error))
            at_least = self._learn(error)
        except network_errors() as error:
            self._note(unreachable(self._transport.server, error))
        except (msgspec.MsgspecError, RecursionError) as error:
            self._note(f"the API server {self._transport.server} sends what cannot be read: {error}")
        if self._opened_at is not None:
            self._backoff.lived(self._pacing.clock.monotonic() - self._opened_at)
        return max(self._backoff.next_seconds(), at_least)

    def _learn(self, error: RequestProblem) -> float:
        """What a refusal means for the next attempt; returns the least pause before it, in seconds."""
        match error:
            case Gone():
                self._resource_version = ""
            case Unprocessable() if self._resource_version:
                # Not a resourceVersion that this server has given.
                self._resource_version = ""
            case ServerBehind():
                self._behind += 1
                if self._behind >= SERVER_BEHIND_TIMES:
                    self._resource_version = ""
                return SERVER_BEHIND_SECONDS
            case _:
                pass
        if error.retry_after_seconds is None:
            return 0.0
        # Whoever was turned away together must not come back together.
        return min(error.retry_after_seconds, LONGEST_RETRY_AFTER_SECONDS) + self._pacing.uniform(0.0, 1.0)

    async def _follow(self) -> None:
        """From where the source stands to the end of a stream."""
        try:
            if not self._resource_version and self._watch_list and await self._watch_from_nothing():
                return
            if not self._resource_version:
                await self._list()
            await self._stream({"resourceVersion": self._resource_version})
        except (NotFound, Forbidden):
            # Whoever may not list what does not exist hears of the role first: discovery knows better.
            if not self._source.optional or not await self._is_absent():
                raise
            self._absent()
            await self._presence.wait_present(self._source)

    # -- a whole reading -------------------------------------------------------------------------------

    async def _list(self) -> None:
        self.inventory.begin()
        query = {**self._source.selector, "limit": PAGE}
        while True:
            body = await self._transport.get(f"list {self._source.title}", self._source.path, query)
            page = _page.decode(body)
            items = page.items or []
            for start in range(0, len(items), SLICE):
                self._take_items(items[start : start + SLICE])
                await asyncio.sleep(0)
            if not page.metadata.continue_:
                self._complete(page.metadata.resourceVersion)
                return
            query["continue"] = page.metadata.continue_

    def _take_items(self, items: Iterable[msgspec.Raw]) -> None:
        with self._delivering() as changes:
            for raw in items:
                taken = self.inventory.stored(raw)
                if taken.change is not None:
                    changes.append(taken.change)
        self._now()

    async def _watch_from_nothing(self) -> bool:
        """A WatchList and the watch that it becomes; False when it must be a list instead."""
        self.inventory.begin()
        query = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
        try:
            await self._stream(query)
        except Unprocessable:
            # Before Kubernetes 1.32, or with the feature gate off.
            self._watch_list = False
        finally:
            if self._opened_at is not None and self.inventory.is_reading:
                # It broke off: pages make progress where one long answer does not come through.
                self._watch_list = False
        return not self.inventory.is_reading

    def _complete(self, resource_version: str) -> None:
        """Everything has been read: what was not seen is gone."""
        gone = self.inventory.end()
        if gone:
            self._deliver(gone)
        self._resource_version = resource_version
        self._behind = 0
        self._now(synced=True, error="")
        self.synced.set()

    # -- watching --------------------------------------------------------------------------------------

    async def _stream(self, query: dict[str, str]) -> None:
        seconds = str(int(self._pacing.uniform(*WATCH_SECONDS)))
        query |= {"watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": seconds}
        query |= self._source.selector
        try:
            async with self._transport.stream(self._watching, self._source.path, query) as batches:
                await self._drink(batches)
        except TimeoutError:
            if self._opened_at is None:
                raise
            # Silence for longer than bookmarks take: half-open, or a server that sends none.
            _log.debug("watch was silent", extra={"source": self._source.name})

    async def _drink(self, batches: AsyncIterator[list[bytes]]) -> None:
        """Take what a stream gives, to its end; raises TimeoutError when initial events do not go on."""
        self._opened_at = self._pacing.clock.monotonic()
        if not self.inventory.is_reading:
            self._behind = 0
            self._now(error="")
        async with asyncio.timeout(None) as limit:
            self._limit(limit)
            async for lines in batches:
                for start in range(0, len(lines), SLICE):
                    self._take_events(lines[start : start + SLICE])
                    await asyncio.sleep(0)
                self._limit(limit)

    def _limit(self, limit: asyncio.Timeout) -> None:
        patience = self._pacing.patience.initial_seconds if self.inventory.is_reading else None
        limit.reschedule(None if patience is None else asyncio.get_running_loop().time() + patience)

    def _take_events(self, lines: Iterable[bytes]) -> None:
        with self._delivering() as changes:
            for line in lines:
                if line.strip():
                    self._take_event(_event.decode(line), changes)
        self._now()

    def _take_event(self, event: wire.WatchEvent, changes: list[Change]) -> None:
        match event.type:
            case "ADDED" | "MODIFIED":
                version, change = self.inventory.stored(event.object)
            case "DELETED":
                version, change = self.inventory.removed(event.object)
            case "BOOKMARK":
                metadata = _object.decode(event.object).metadata
                version, change = metadata.resourceVersion, None
                if self.inventory.is_reading and INITIAL_EVENTS_END in (metadata.annotations or {}):
                    self._flush(changes)
                    self._complete(version)
            case "ERROR":
                status = _status.decode(event.object)
                raise self._transport.refusal(status.code, self._watching, status.message or "")
            case _:
                return  # A type that a later server may send: nothing we know how to use.
        if change is not None:
            changes.append(change)
        if version and not self.inventory.is_reading:
            self._resource_version = version

    @contextmanager
    def _delivering(self) -> Iterator[list[Change]]:
        """Collects changes and delivers them, also when what follows them cannot be read."""
        changes: list[Change] = []
        try:
            yield changes
        finally:
            self._flush(changes)

    def _flush(self, changes: list[Change]) -> None:
        if changes:
            self._deliver(tuple(changes))
            changes.clear()

    # -- an optional resource --------------------------------------------------------------------------

    async def _is_absent(self) -> bool:
        """Whether discovery confirms that the resource is not served.

        Where objects of it are known, twice: one API server of several may be behind the others.
        """
        if not await self._presence.is_absent(self._source):
            return False
        if not len(self.inventory):
            return True
        await self._pacing.sleep(self._pacing.uniform(*SECOND_LOOK_SECONDS))
        return await self._presence.is_absent(self._source)

    def _absent(self) -> None:
        self.inventory.begin()
        self._complete("")

    # -- health ----------------------------------------------------------------------------------------

    def _note(self, error: str) -> None:
        self._tell(replace(self.health, error=error))

    def _now(self, *, synced: bool = False, error: str | None = None) -> None:
        """The server has answered."""
        self._tell(
            replace(
                self.health,
                synced=self.health.synced or synced,
                last_contact=self._pacing.clock.time(),
                error=self.health.error if error is None else error,
            )
        )

    def _tell(self, health: SourceHealth) -> None:
        before, self.health = self.health, health
        if (before.synced, before.error) != (health.synced, health.error):
            self._on_health(health)

"""One resource, listed once and watched for ever.

The list is a WatchList where the server has it, else pages of a list. A lost stream is resumed from
the last resourceVersion; only 410 lists again, and then only the differences are delivered. Nothing
is ever reported gone because of an error.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from speaker.clock import Clock
from speaker.cluster import wire
from speaker.cluster.backoff import Backoff
from speaker.cluster.config import SourceHealth
from speaker.cluster.problems import Gone, NotFound, RequestProblem, Unauthorized, Unprocessable, problem
from speaker.cluster.sources import Source
from speaker.cluster.translate import Translator
from speaker.cluster.transport import Transport
from speaker.errors import ClusterError
from speaker.model.objects import Change, ObjectRef

if TYPE_CHECKING:
    from speaker.cluster.presence import Presence

PAGE = "500"
WATCH_SECONDS = (240.0, 360.0)
"""How long a watch is asked to last; drawn, so that a thousand speakers do not come back at once."""

INITIAL_EVENTS_END = "k8s.io/initial-events-end"
GATEWAY_TIMEOUT_SECONDS = 1.0

_page = msgspec.json.Decoder(wire.Page)
_event = msgspec.json.Decoder(wire.WatchEvent)
_bare = msgspec.json.Decoder(wire.Bare)
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
        clock: measures how long a stream lived.
        uniform: draws pauses.
    """

    def __init__(
        self,
        source: Source,
        transport: Transport,
        translator: Translator,
        *,
        deliver: Callable[[list[Change]], None],
        on_health: Callable[[SourceHealth], None],
        presence: "Presence",
        clock: Clock,
        uniform: Callable[[float, float], float],
    ) -> None:
        self.health = SourceHealth(name=source.name)
        self.synced = asyncio.Event()
        self._source = source
        self._transport = transport
        self._translator = translator
        self._deliver = deliver
        self._on_health = on_health
        self._presence = presence
        self._clock = clock
        self._uniform = uniform
        self._backoff = Backoff(uniform)
        self._known: dict[ObjectRef, tuple[str, str]] = {}
        self._resource_version = ""
        self._watch_list = True
        self._token_was_read = False

    def uid(self, ref: ObjectRef) -> str:
        """The uid of an object that is known, or ""."""
        return self._known.get(ref, ("", ""))[0]

    async def run(self) -> None:
        """List, watch, recover, for ever."""
        # Looked up here, not at import: aiohttp comes with the kubernetes package, which is slow to import.
        from aiohttp import ClientError  # noqa: PLC0415

        while True:
            started = self._clock.monotonic()
            pause: float | None = None
            try:
                await self._follow()
            except Gone as error:
                self._resource_version = ""
                self._note(str(error))
            except Unauthorized as error:
                pause = await self._unauthorized(error)
            except NotFound as error:
                pause = await self._not_found(error)
            except RequestProblem as error:
                self._note(str(error))
                pause = error.retry_after_seconds
                if error.status == 504:
                    pause = GATEWAY_TIMEOUT_SECONDS
            except (OSError, ClientError, TimeoutError) as error:
                self._note(f"the API server {self._transport.server} cannot be reached: {_words(error)}")
            except msgspec.MsgspecError as error:
                self._note(f"the API server's answer cannot be read: {error}")
            self._backoff.lived(self._clock.monotonic() - started)
            await asyncio.sleep(self._backoff.next_seconds() if pause is None else pause)

    async def _follow(self) -> None:
        """One life of the source: from where it stands to the end of a stream."""
        if not self._resource_version and self._watch_list:
            try:
                await self._stream(initial=True)
            except Unprocessable:
                # Before Kubernetes 1.32, or with the feature gate off.
                self._watch_list = False
            else:
                return
        if not self._resource_version:
            await self._list()
        await self._stream(initial=False)

    # -- listing ---------------------------------------------------------------------------------------

    async def _list(self) -> None:
        seen: set[ObjectRef] = set()
        token: str | None = ""
        page = None
        while token is not None:
            query = {**self._source.selector, "limit": PAGE} | ({"continue": token} if token else {})
            body = await self._transport.get(f"list {self._source.name}", self._source.path, query)
            page = _page.decode(body)
            changes = [change for raw in page.items or () for change in self._stored(raw, seen)]
            if changes:
                self._deliver(changes)
            token = page.metadata.continue_ or None
            await asyncio.sleep(0)
        if page is not None:
            self._listed(seen, page.metadata.resourceVersion)

    def _listed(self, seen: set[ObjectRef], resource_version: str) -> None:
        """Everything has been read once: what was not seen is gone."""
        gone = [ref for ref in self._known if ref not in seen]
        for ref in gone:
            del self._known[ref]
        if gone:
            self._deliver([Change(ref, None) for ref in gone])
        self._resource_version = resource_version
        self._token_was_read = False
        self._now(synced=True, error="")
        self.synced.set()

    # -- watching --------------------------------------------------------------------------------------

    async def _stream(self, *, initial: bool) -> None:
        query = {
            **self._source.selector,
            "watch": "true",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(int(self._uniform(*WATCH_SECONDS))),
        }
        if initial:
            query |= {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
        else:
            query["resourceVersion"] = self._resource_version
        seen: set[ObjectRef] | None = set() if initial else None
        what = f"watch {self._source.name}"
        async with self._transport.stream(what, self._source.path, query) as batches:
            if not initial:
                self._now(error="")
            async for lines in batches:
                seen = self._events(lines, seen)
        if seen is not None:
            # The stream ended before the initial events did; a plain list makes certain progress.
            self._watch_list = False

    def _events(self, lines: list[bytes], seen: set[ObjectRef] | None) -> set[ObjectRef] | None:
        """Take one batch of lines; returns the set of what was seen until the initial events end."""
        changes: list[Change] = []
        for line in lines:
            if not line.strip():
                continue
            event = _event.decode(line)
            match event.type:
                case "ADDED" | "MODIFIED":
                    changes += self._stored(event.object, seen)
                case "DELETED":
                    changes += self._removed(event.object, seen)
                case "BOOKMARK":
                    metadata = _bare.decode(event.object).metadata
                    if seen is not None and INITIAL_EVENTS_END in (metadata.annotations or {}):
                        self._deliver(changes)
                        changes = []
                        self._listed(seen, metadata.resourceVersion)
                        seen = None
                    elif seen is None:
                        self._resource_version = metadata.resourceVersion
                case "ERROR":
                    status = _status.decode(event.object)
                    raise problem(status.code, f"watch {self._source.name}", status.message or "")
                case _:
                    pass  # A type that a later server may send: nothing we know how to use.
        if changes:
            self._deliver(changes)
        self._now()
        return seen

    def _stored(self, raw: msgspec.Raw, seen: set[ObjectRef] | None) -> list[Change]:
        """The change that an object's JSON makes; none when it is known already."""
        metadata = _bare.decode(raw).metadata
        ref = ObjectRef(self._source.kind, metadata.namespace, metadata.name)
        if seen is not None:
            seen.add(ref)
        else:
            self._resource_version = metadata.resourceVersion or self._resource_version
        version = (metadata.uid, metadata.resourceVersion)
        if self._known.get(ref) == version:
            return []
        self._known[ref] = version
        try:
            view = self._source.decode(self._translator, raw)
        except msgspec.MsgspecError as error:
            _log.warning("object cannot be read", extra={"object": str(ref), "reason": str(error)})
            view = None
        return [Change(ref, view)]

    def _removed(self, raw: msgspec.Raw, seen: set[ObjectRef] | None) -> list[Change]:
        metadata = _bare.decode(raw).metadata
        ref = ObjectRef(self._source.kind, metadata.namespace, metadata.name)
        if seen is not None:
            seen.discard(ref)
        else:
            self._resource_version = metadata.resourceVersion or self._resource_version
        return [Change(ref, None)] if self._known.pop(ref, None) is not None else []

    # -- trouble ---------------------------------------------------------------------------------------

    async def _unauthorized(self, error: Unauthorized) -> float | None:
        """Read the token again once, at once; after that, back off."""
        self._note(f"{error}; the token is read again")
        if self._token_was_read:
            return None
        self._token_was_read = True
        try:
            await self._transport.read_token_again()
        except ClusterError as unusable:
            self._note(str(unusable))
            return None
        return 0.0

    async def _not_found(self, error: NotFound) -> float | None:
        """A resource that is not served: normal for an optional one, once discovery confirms it."""
        if not self._source.optional or not await self._presence.is_absent(self._source):
            self._note(str(error))
            return None
        self._resource_version = ""
        self._listed(set(), "")
        self._resource_version = ""
        await self._presence.wait_present(self._source)
        return 0.0

    def _note(self, error: str) -> None:
        self._now(error=error, contact=False)

    def _now(self, *, synced: bool = False, error: str | None = None, contact: bool = True) -> None:
        before = self.health
        self.health = SourceHealth(
            name=before.name,
            synced=before.synced or synced,
            last_contact=self._clock.time() if contact else before.last_contact,
            error=before.error if error is None else error,
        )
        if (before.synced, before.error) != (self.health.synced, self.health.error):
            self._on_health(self.health)


def _words(error: BaseException) -> str:
    return str(error) or type(error).__name__

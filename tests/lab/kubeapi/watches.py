"""One watch: events from the history on, bookmarks, initial events, and the faults of a bad network."""

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any

from aiohttp import web

from tests.lab.kubeapi.api import Api
from tests.lab.kubeapi.errors import ApiError, number
from tests.lab.kubeapi.faults import Faults, Tap
from tests.lab.kubeapi.resources import Object, Resource
from tests.lab.kubeapi.selectors import Match
from tests.lab.kubeapi.store import Entry
from tests.lab.kubeapi.tables import table

TURN_SECONDS = 0.5


class Watch:
    """A watch of one resource for one client."""

    def __init__(
        self,
        api: Api,
        faults: Faults,
        request: web.Request,
        resource: Resource,
        namespace: str,
        matches: Match,
    ) -> None:
        self._api = api
        self._faults = faults
        self._request = request
        self._resource = resource
        self._namespace = namespace
        self._matches = matches
        query = request.query
        self._bookmarks = query.get("allowWatchBookmarks") in {"true", "1"}
        self._initial = query.get("sendInitialEvents") in {"true", "1"}
        self._seconds = min(
            number("timeoutSeconds", query.get("timeoutSeconds", "")) or 1800, faults.longest_watch_seconds
        )
        self._as_table = "as=Table" in request.headers.get("Accept", "")
        self._rv = number("resourceVersion", query.get("resourceVersion", ""))
        self._tap = Tap("")

    async def serve(self) -> web.StreamResponse:
        """Stream until the time is over, the client goes, or a fault ends it."""
        if self._initial and not self._faults.watch_list:
            raise ApiError(
                422, "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled"
            )
        store = self._api.store
        if self._rv > store.rv:
            raise ApiError(504, f"Too large resource version: {self._rv}, current: {store.rv}")
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.enable_chunked_encoding()
        await response.prepare(self._request)
        number, self._tap = self._faults.open(self._request.path_qs)
        try:
            await self._stream(response)
        except ApiError as error:
            await self._send(response, [{"type": "ERROR", "object": error.status()}])
        except ConnectionResetError:
            pass
        finally:
            self._faults.closed(number)
        return response

    async def _stream(self, response: web.StreamResponse) -> None:
        store = self._api.store
        ends = time.monotonic() + self._seconds
        if self._initial or not self._rv:
            seen = store.rv
            await self._send(response, list(self._present()))
            if self._initial and self._bookmarks:
                await self._send(response, [self._bookmark(seen, {"k8s.io/initial-events-end": "true"})])
        else:
            seen = self._rv
        told = time.monotonic()
        while time.monotonic() < ends:
            if self._tap.news.is_set() and await self._harm(response):
                return
            entries = store.since(seen)
            if entries and not self._faults.silent:
                seen = entries[-1].rv
                events = [event for entry in entries if (event := self._event(entry)) is not None]
                if events:
                    await self._send(response, events)
            if self._bookmarks and time.monotonic() - told >= self._faults.bookmark_seconds:
                told = time.monotonic()
                if not self._faults.silent:
                    await self._send(response, [self._bookmark(seen)])
            if not entries or self._faults.silent:
                left = max(ends - time.monotonic(), 0.0)
                await self._wait(min(TURN_SECONDS, self._faults.bookmark_seconds, left))

    async def _wait(self, seconds: float) -> None:
        changed = asyncio.ensure_future(self._api.store.wait_changed(seconds))
        harmed = asyncio.ensure_future(self._tap.news.wait())
        try:
            await asyncio.wait((changed, harmed), return_when=asyncio.FIRST_COMPLETED)
        finally:
            changed.cancel()
            harmed.cancel()

    async def _harm(self, response: web.StreamResponse) -> bool:
        """Do what a fault wants; returns whether that is the end."""
        tap = self._tap
        tap.news.clear()
        data, tap.lines = b"".join(tap.lines), []
        if data:
            await response.write(data)
        if tap.end == "reset" and self._request.transport is not None:
            self._request.transport.abort()
        return tap.end is not None

    def _present(self) -> Iterator[Object]:
        for item in self._api.store.all(self._resource.storage_key, self._namespace):
            if self._matches(item):
                yield {"type": "ADDED", "object": self._api.shown(self._resource, item)}

    def _event(self, entry: Entry) -> Object | None:
        """What the client is told of a change: a change into the selection is ADDED, out of it DELETED."""
        if entry.key != self._resource.storage_key:
            return None
        before = entry.old if entry.old is not None and self._selects(entry.old) else None
        after = entry.new if entry.new is not None and self._selects(entry.new) else None
        if after is not None:
            kind, item = ("MODIFIED" if before is not None else "ADDED"), after
        elif before is not None:
            kind = "DELETED"
            item = before | {"metadata": before["metadata"] | {"resourceVersion": str(entry.rv)}}
        else:
            return None
        return {"type": kind, "object": self._api.shown(self._resource, item)}

    def _selects(self, item: Object) -> bool:
        if self._namespace and item["metadata"].get("namespace") != self._namespace:
            return False
        return self._matches(item)

    def _bookmark(self, rv: int, annotations: dict[str, str] | None = None) -> Object:
        metadata: dict[str, Any] = {"resourceVersion": str(rv), "creationTimestamp": None}
        if annotations:
            metadata["annotations"] = annotations
        known = {"kind": self._resource.kind, "apiVersion": self._resource.api_version}
        return {"type": "BOOKMARK", "object": known | {"metadata": metadata}}

    async def _send(self, response: web.StreamResponse, events: list[Object]) -> None:
        body = b"".join(json.dumps(self._shown(event)).encode() + b"\n" for event in events)
        size = self._faults.chunk_bytes
        if not size:
            await response.write(body)
            return
        for start in range(0, len(body), size):
            if self._tap.end == "reset":
                return
            await response.write(body[start : start + size])
            await asyncio.sleep(self._faults.chunk_delay_seconds)

    def _shown(self, event: Object) -> Object:
        if not self._as_table or event["type"] == "ERROR":
            return event
        item = event["object"]
        rows = [] if event["type"] == "BOOKMARK" else [item]
        metadata = {"resourceVersion": item["metadata"]["resourceVersion"]}
        whole = self._request.query.get("includeObject") == "Object"
        return event | {"object": table(self._resource, rows, metadata, whole=whole)}

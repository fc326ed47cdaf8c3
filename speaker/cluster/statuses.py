"""The statuses of our own resources, written without anybody waiting for it.

Holds one wanted status an object: the last one wins, so nothing piles up while the API server is
away. Writes an object at most once a second, and what it has written already only now and then, in
case that somebody has deleted it. Knows nothing of what a status means.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from speaker.cluster.backoff import Backoff, Pacing
from speaker.cluster.inventory import Known
from speaker.cluster.network import network_errors, unreachable
from speaker.cluster.sources import API_VERSIONS, source
from speaker.cluster.transport import Answer, Transport
from speaker.model.objects import Kind, ObjectRef

EACH_SECONDS = 1.0
"""Between two writes of one object; also how long a new status may wait for its first attempt."""

AGAIN_SECONDS = (600.0, 900.0)
"""An object that somebody has deleted is there again after this time. The server stores no equal status."""

REFUSED_SECONDS = (60.0, 120.0)
"""A missing role, or a schema that is older than the status, takes a person to mend."""

_log = logging.getLogger(__name__)

JsonObject = Mapping[str, object]


@dataclass(slots=True)
class _Wanted:
    """What an object's status is to be.

    Attributes:
        status: to be written.
        create: create the object when it is not there.
        written: what was written last; None when that is not known.
        due: when it may be written next, on the monotonic clock.
        refreshed: when it is written even if nothing has changed.
        error: why it could not be written, or "".
    """

    status: JsonObject
    create: bool
    written: JsonObject | None = None
    due: float = 0.0
    refreshed: float = 0.0
    error: str = ""

    @property
    def next_at(self) -> float:
        """When there is something to write, and it may be written."""
        return self.due if self.status != self.written else max(self.due, self.refreshed)

    def is_due(self, now: float) -> bool:
        """Whether it is to be written now."""
        return now >= self.next_at


class StatusWriter:
    """Keeps the statuses that are wanted written.

    Args:
        pacing: time and chance.
        known: what is remembered of an object; None when it is not known.
    """

    def __init__(self, pacing: Pacing, known: Callable[[ObjectRef], Known | None]) -> None:
        self._pacing = pacing
        self._known = known
        self._wanted: dict[ObjectRef, _Wanted] = {}
        self._news = asyncio.Event()
        self._backoff = Backoff(pacing.uniform)
        self._not_before = 0.0

    def write(self, kind: Kind, name: str, status: JsonObject, *, create: bool = False) -> None:
        """Have the whole `status` of an object replaced by this one; returns at once.

        Args:
            kind: one of our own, which have no namespace.
            name: the object's.
            status: builtin JSON values. A None in an object leaves its key out.
            create: create the object when it is not there. A BGPNodeStatus is then owned by its Node.
                Without, an object that is not there has no status, and this one is forgotten.
        """
        ref = ObjectRef(kind, "", name)
        plain = _without_none(status)
        wanted = self._wanted.setdefault(ref, _Wanted(plain, create))
        wanted.status, wanted.create = plain, create
        self._news.set()

    def withdraw(self, kind: Kind, name: str) -> None:
        """Write this object's status no more; what stands there stays."""
        self._wanted.pop(ObjectRef(kind, "", name), None)

    def forget(self) -> None:
        """Others may have written: write everything again that is wanted."""
        for wanted in self._wanted.values():
            wanted.written = None
        self._news.set()

    @property
    def errors(self) -> Mapping[ObjectRef, str]:
        """Why a status could not be written; nothing of those that were."""
        return {ref: wanted.error for ref, wanted in self._wanted.items() if wanted.error}

    async def run(self, transport: Transport) -> None:
        """Write until cancelled."""
        while True:
            self._news.clear()
            now = self._pacing.clock.monotonic()
            due = [ref for ref, wanted in self._wanted.items() if wanted.is_due(now)]
            for ref in due if now >= self._not_before else ():
                if ref in self._wanted and not await self._attempt(transport, ref):
                    break
            await self._pause()

    async def _pause(self) -> None:
        """Return when something is due, or at news."""
        waiting: set[asyncio.Future[object]] = {asyncio.ensure_future(self._news.wait())}
        if self._wanted:
            soonest = min(wanted.next_at for wanted in self._wanted.values())
            seconds = max(soonest, self._not_before) - self._pacing.clock.monotonic()
            waiting.add(asyncio.ensure_future(self._pacing.sleep(max(seconds, 0.0))))
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waiting:
                each.cancel()

    async def _attempt(self, transport: Transport, ref: ObjectRef) -> bool:
        """Write one; returns whether it is worth going on with the others now."""
        wanted = self._wanted[ref]
        status = wanted.status
        wanted.due = self._pacing.clock.monotonic() + EACH_SECONDS
        try:
            answer = await self._send(transport, ref, status, create=wanted.create)
        except network_errors() as error:
            return self._failed(ref, wanted, unreachable(transport.server, error))
        if answer.status in (200, 201):
            self._succeeded(ref, wanted, status)
            return True
        if answer.status == 404 and not wanted.create:
            self._wanted.pop(ref, None)
            return True
        reason = str(transport.refused(f"write the status of {source(ref.kind).name}", answer))
        if answer.status in (401, 409, 429) or answer.status >= 500:
            return self._failed(ref, wanted, reason)
        wanted.due += self._pacing.uniform(*REFUSED_SECONDS)
        self._complain(ref, wanted, reason)
        return True

    async def _send(
        self, transport: Transport, ref: ObjectRef, status: JsonObject, *, create: bool
    ) -> Answer:
        """Replace the status, of an object that is made for it if need be."""
        path = source(ref.kind).path
        # RFC 6902 §4.1: adding a member that is there replaces it, whatever others have put into it. A
        # merge patch would leave their keys, and a PUT would need the resourceVersion.
        patch = [{"op": "add", "path": "/status", "value": status}]
        content_type = "application/json-patch+json"
        at = f"{path}/{ref.name}/status"
        answer = await transport.request("PATCH", at, body=patch, content_type=content_type)
        if answer.status != 404 or not create:
            return answer
        answer = await transport.request("POST", path, body=self._document(ref))
        # 409: somebody else was faster.
        if answer.status not in (201, 409):
            return answer
        return await transport.request("PATCH", at, body=patch, content_type=content_type)

    def _document(self, ref: ObjectRef) -> dict[str, object]:
        """The object to create: what a Node's speaker says goes with the Node."""
        metadata: dict[str, object] = {"name": ref.name}
        node = self._known(ObjectRef(Kind.NODE, "", ref.name))
        if ref.kind is Kind.BGP_NODE_STATUS and node is not None and node.uid:
            owner = {"apiVersion": "v1", "kind": Kind.NODE.value, "name": ref.name, "uid": node.uid}
            metadata["ownerReferences"] = [owner]
        return {"apiVersion": API_VERSIONS[ref.kind], "kind": ref.kind.value, "metadata": metadata}

    # -- what came of it -------------------------------------------------------------------------------

    def _succeeded(self, ref: ObjectRef, wanted: _Wanted, status: JsonObject) -> None:
        if wanted.error:
            _log.info("status is written again", extra={"object": str(ref)})
        now = self._pacing.clock.monotonic()
        wanted.written, wanted.error = status, ""
        wanted.refreshed = now + self._pacing.uniform(*AGAIN_SECONDS)
        self._backoff = Backoff(self._pacing.uniform)
        self._not_before = 0.0

    def _failed(self, ref: ObjectRef, wanted: _Wanted, reason: str) -> bool:
        """The server is away or overloaded: none of the others would fare better now."""
        self._not_before = self._pacing.clock.monotonic() + self._backoff.next_seconds()
        self._complain(ref, wanted, reason)
        return False

    def _complain(self, ref: ObjectRef, wanted: _Wanted, reason: str) -> None:
        if wanted.error != reason:
            _log.warning("status cannot be written", extra={"object": str(ref), "reason": reason})
        wanted.error = reason


def _without_none(value: JsonObject) -> JsonObject:
    return {key: _plain(each) for key, each in value.items() if each is not None}


def _plain(value: object) -> object:
    match value:
        case Mapping():
            return _without_none(value)
        case list() | tuple():
            return [_plain(each) for each in value]
    return value

"""Kubernetes Events: what a person should mend, written on the object that needs it.

Every speaker of a cluster sees the same mistake. The Event's name follows from the object and the
message, so all of them write the same Event and the API server keeps one; no lease is needed.
"""

import asyncio
import hashlib
import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from speaker import __version__
from speaker.clock import Clock
from speaker.cluster.sources import API_VERSIONS
from speaker.model.objects import ObjectRef
from speaker.model.publication import Exclusion, ExclusionReason

if TYPE_CHECKING:
    from speaker.cluster.transport import Transport

TOLD = frozenset(
    {
        ExclusionReason.INVALID_ANNOTATION,
        ExclusionReason.ATTRIBUTE_NOT_ALLOWED,
        ExclusionReason.ATTRIBUTE_CONFLICT,
        ExclusionReason.ATTRIBUTE_NOT_APPLICABLE,
        ExclusionReason.ADDRESS_NOT_CONFIRMED,
        ExclusionReason.ADDRESS_TYPE_NOT_ANNOUNCED,
        ExclusionReason.CUSTOM_VPC,
        ExclusionReason.HOST_NETWORK,
        ExclusionReason.PREFIX_LIMIT,
        ExclusionReason.PREFIX_NOT_ALLOWED,
        ExclusionReason.PREFIX_RESERVED,
        ExclusionReason.SUBNET_UNKNOWN,
    }
)
"""The reasons that the object's owner can mend. The others are how a healthy cluster looks."""

LONGEST_QUEUE = 1000
REMEMBERED = 4096
PAUSE_SECONDS = 0.05
"""Between two Events: a mistake in ten thousand objects must not become a load on the API server."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Event:
    ref: ObjectRef
    reason: str
    message: str


class EventWriter:
    """Writes each Event once.

    Args:
        node_name: `source.host` of the Events.
        clock: dates them.
        uid: the uid of a known object, or "".
    """

    def __init__(self, node_name: str, clock: Clock, uid: Callable[[ObjectRef], str]) -> None:
        self._node_name = node_name
        self._clock = clock
        self._uid = uid
        self._told: OrderedDict[_Event, None] = OrderedDict()
        self._queue: asyncio.Queue[_Event] = asyncio.Queue(LONGEST_QUEUE)
        self.dropped = 0

    def exclusion(self, exclusion: Exclusion, sentence: str) -> None:
        """Tell an exclusion, if its reason is one that the object's owner can mend."""
        if exclusion.reason not in TOLD:
            return
        what = f"{exclusion.prefix} is not advertised: " if exclusion.prefix is not None else ""
        detail = f" ({exclusion.detail})" if exclusion.detail else ""
        self.warn(exclusion.source, exclusion.reason.value, f"{what}{sentence}{detail}")

    def warn(self, ref: ObjectRef, reason: str, message: str) -> None:
        """Write a Warning on an object; the same one is written once."""
        event = _Event(ref, reason, message[:1000])
        if event in self._told:
            self._told.move_to_end(event)
            return
        try:
            self._queue.put_nowait(event)
        except asyncio.QueueFull:
            self.dropped += 1
            return
        self._told[event] = None
        if len(self._told) > REMEMBERED:
            self._told.popitem(last=False)

    async def run(self, transport: "Transport") -> None:
        """Write what waits, one at a time, until cancelled; an Event that fails is given up."""
        # aiohttp comes with the kubernetes package, which is slow to import.
        from aiohttp import ClientError  # noqa: PLC0415

        while True:
            event = await self._queue.get()
            namespace = event.ref.namespace or "default"
            try:
                answer = await transport.request(
                    "POST",
                    f"/api/v1/namespaces/{namespace}/events",
                    body=self._document(event, namespace),
                    content_type="application/json",
                )
            except (OSError, ClientError, TimeoutError) as error:
                _log.debug("event is not written", extra={"reason": str(error)})
            else:
                # 409: another speaker has written the same one.
                if answer.status not in (200, 201, 409):
                    _log.debug("event is not written", extra={"status": answer.status})
            await asyncio.sleep(PAUSE_SECONDS)

    def _document(self, event: _Event, namespace: str) -> dict[str, object]:
        uid = self._uid(event.ref)
        text = "\0".join((str(event.ref), uid, event.reason, event.message))
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        now = datetime.fromtimestamp(self._clock.time(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return {
            "apiVersion": "v1",
            "kind": "Event",
            # An object's name has at most 253 characters, and so has the Event's.
            "metadata": {"name": f"{event.ref.name[:230]}.{digest}", "namespace": namespace},
            "involvedObject": {
                "apiVersion": API_VERSIONS[event.ref.kind],
                "kind": event.ref.kind.value,
                "namespace": event.ref.namespace,
                "name": event.ref.name,
                "uid": uid,
            },
            "type": "Warning",
            "reason": event.reason,
            "message": event.message,
            "source": {"component": f"kube-route-speaker/{__version__}", "host": self._node_name},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }

"""Kubernetes Events: what a person should mend, written on the object that needs it.

Every speaker sees the same mistake. A Pod's is told by the speaker of its node, everything by the
holder of a Lease. The Event's name follows from the object and the message, so those two write the
same one; where Leases may not be used every speaker tells, and the API server keeps one.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable

from speaker.cluster.backoff import Pacing
from speaker.cluster.event_documents import Event, again, created, name_of
from speaker.cluster.inventory import Known
from speaker.cluster.lease import Lease
from speaker.cluster.network import network_errors, words
from speaker.cluster.transport import Transport
from speaker.model.objects import Kind, ObjectRef
from speaker.model.publication import Exclusion, ExclusionReason

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
LONGEST_MESSAGE = 1000
PAUSE_SECONDS = 0.1
"""Between two Events: a mistake in ten thousand objects must not become a load on the API server."""

AGAIN_SECONDS = 300.0
"""The same mistake made again within this time adds nothing for people."""

ATTEMPTS = 3
RETRY_SECONDS = (1.0, 5.0)

_log = logging.getLogger(__name__)


class EventWriter:
    """Writes each Event once, and counts it up when the mistake is made again later.

    Args:
        node_name: `source.host` of the Events.
        pacing: time and chance.
        known: what is remembered of an object; None when it is not known.
    """

    def __init__(self, node_name: str, pacing: Pacing, known: Callable[[ObjectRef], Known | None]) -> None:
        self._node_name = node_name
        self._pacing = pacing
        self._known = known
        self._told: OrderedDict[Event, tuple[float, int]] = OrderedDict()
        self._queue: asyncio.Queue[Event] = asyncio.Queue(LONGEST_QUEUE)
        self._flooded = False

    def exclusion(self, exclusion: Exclusion, sentence: str) -> None:
        """Tell an exclusion, if its reason is one that the object's owner can mend."""
        if exclusion.reason not in TOLD:
            return
        what = f"{exclusion.prefix} is not advertised: " if exclusion.prefix is not None else ""
        detail = f" ({exclusion.detail})" if exclusion.detail else ""
        self.warn(exclusion.source, exclusion.reason.value, f"{what}{sentence}{detail}")

    def warn(self, ref: ObjectRef, reason: str, message: str) -> None:
        """Write a Warning on an object; the same one within `AGAIN_SECONDS` is written once.

        Args:
            ref: the object.
            reason: a word in CamelCase, as the API wants it.
            message: a sentence for people.
        """
        event = Event(ref, reason, message[:LONGEST_MESSAGE])
        now = self._pacing.clock.monotonic()
        told_at, count = self._told.get(event, (None, 0))
        if told_at is not None and now - told_at < AGAIN_SECONDS:
            return
        try:
            self._queue.put_nowait(event)
        except asyncio.QueueFull:
            if not self._flooded:
                _log.warning("events are dropped", extra={"reason": f"{LONGEST_QUEUE} wait to be written"})
            self._flooded = True
            return
        self._flooded = False
        self._told[event] = (now, count + 1)
        self._told.move_to_end(event)
        if len(self._told) > REMEMBERED:
            self._told.popitem(last=False)

    async def run(self, transport: Transport, lease: Lease | None) -> None:
        """Write what waits, one at a time, until cancelled.

        Args:
            transport: where.
            lease: chooses who tells; None lets everyone.
        """
        while True:
            event = await self._queue.get()
            if lease is not None:
                await lease.decided.wait()
            if self._is_ours(event, None if lease is None else lease.held):
                await self._write(transport, event)
                await self._pacing.sleep(PAUSE_SECONDS)
            else:
                # Not told by us: should the Lease come to us, the next time it is.
                self._told.pop(event, None)

    def _is_ours(self, event: Event, held: bool | None) -> bool:  # noqa: FBT001 # a fact, not a switch
        if held is not False:
            return True
        known = self._known(event.ref)
        return event.ref.kind is Kind.POD and known is not None and known.node_name == self._node_name

    async def _write(self, transport: Transport, event: Event) -> None:
        """Try a few times: the API server may be on its way up."""
        for _ in range(ATTEMPTS):
            try:
                status = await self._send(transport, event)
            except network_errors() as error:
                reason = words(error)
            else:
                if status < 400 or status == 409:
                    return
                reason = f"the API server answered {status}"
                if status not in (401, 429) and status < 500:
                    break
            await self._pacing.sleep(self._pacing.uniform(*RETRY_SECONDS))
        self._told.pop(event, None)
        _log.debug("event is not written", extra={"object": str(event.ref), "reason": reason})

    async def _send(self, transport: Transport, event: Event) -> int:
        """Create the Event or count it up; returns the status. 409: somebody has created the same."""
        _, count = self._told.get(event, (0.0, 1))
        known = self._known(event.ref)
        uid = known.uid if known is not None else ""
        now = self._pacing.clock.time()
        path = f"/api/v1/namespaces/{event.namespace}/events"
        if count > 1:
            answer = await transport.request(
                "PATCH",
                f"{path}/{name_of(event, uid)}",
                body=again(count, now),
                content_type="application/merge-patch+json",
            )
            # Events live for an hour: one that is gone is written anew.
            if answer.status != 404:
                return answer.status
        document = created(event, uid, self._node_name, count, now)
        return (await transport.request("POST", path, body=document)).status

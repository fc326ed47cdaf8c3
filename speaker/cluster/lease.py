"""Who of all speakers tells what every one of them sees: the holder of one Lease.

A holder renews; the others look now and then and take over when the Lease has not changed for its
duration by their own clock (the clocks of nodes differ). Losing the Lease is harmless here: the worst
is one Event written twice under one name. So no work waits for a renewal.
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from speaker.cluster import wire
from speaker.cluster.backoff import Pacing
from speaker.cluster.network import network_errors, words
from speaker.cluster.transport import Answer, Transport

NAME = "kube-route-speaker-events"
DURATION_SECONDS = 60.0
RENEW_SECONDS = (15.0, 20.0)
LOOK_SECONDS = (20.0, 40.0)
"""How often the others look: two hundred nodes ask seven times a second in all."""

FORBIDDEN_SECONDS = (300.0, 600.0)

_lease = msgspec.json.Decoder(wire.Lease)
_log = logging.getLogger(__name__)


class Lease:
    """Our part in the election.

    Args:
        transport: where the Lease is.
        namespace: its namespace, the speaker's own.
        identity: our name in it.
        pacing: time and chance.
        on_held: told whenever `held` becomes, or no longer is, True.

    Attributes:
        decided: set once it is known whether we hold it.
        held: whether we do; None when Leases cannot be used, so that nobody is chosen.
    """

    def __init__(
        self,
        transport: Transport,
        namespace: str,
        identity: str,
        pacing: Pacing,
        on_held: Callable[[bool], None] = lambda _: None,
    ) -> None:
        self.decided = asyncio.Event()
        self.held: bool | None = None
        self._transport = transport
        self._path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._namespace = namespace
        self._identity = identity
        self._pacing = pacing
        self._on_held = on_held
        self._observed = ""
        self._observed_at = 0.0

    async def run(self) -> None:
        """Take part until cancelled."""
        while True:
            try:
                held = await self._attempt()
            except msgspec.MsgspecError as error:
                _log.debug("lease cannot be read", extra={"reason": str(error)})
                held = False
            except network_errors() as error:
                _log.debug("lease is not reached", extra={"reason": words(error)})
                held = False
            if held is not self.held or not self.decided.is_set():
                _log.debug("lease decided", extra={"held": held})
            before, self.held = self.held, held
            self.decided.set()
            if (before is True) is not (held is True):
                self._on_held(held is True)
            among = RENEW_SECONDS if held else LOOK_SECONDS if held is not None else FORBIDDEN_SECONDS
            await self._pacing.sleep(self._pacing.uniform(*among))

    async def _attempt(self) -> bool | None:
        """One look, and a renewal or a take-over if it is due; returns what `held` is to be."""
        answer = await self._transport.request("GET", f"{self._path}/{NAME}")
        if answer.status == 404:
            created = await self._transport.request("POST", self._path, body=self._document(None))
            return _taken(created)
        if answer.status != 200:
            return None if answer.status in (401, 403) else False
        lease = _lease.decode(answer.body)
        if not self._is_ours_to_take(lease):
            return False
        renewed = await self._transport.request("PUT", f"{self._path}/{NAME}", body=self._document(lease))
        return _taken(renewed)

    def _is_ours_to_take(self, lease: wire.Lease) -> bool:
        holder = lease.spec.holderIdentity if lease.spec else None
        if not holder or holder == self._identity:
            return True
        now = self._pacing.clock.monotonic()
        if lease.metadata.resourceVersion != self._observed:
            self._observed, self._observed_at = lease.metadata.resourceVersion, now
        return now - self._observed_at > DURATION_SECONDS

    def _document(self, current: wire.Lease | None) -> dict[str, object]:
        """The Lease with us as the holder; the resourceVersion lets only one of two take-overs succeed."""
        now = datetime.fromtimestamp(self._pacing.clock.time(), UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec = current.spec if current and current.spec else wire.LeaseSpec()
        transitions, acquired = spec.leaseTransitions or 0, spec.acquireTime
        if spec.holderIdentity != self._identity:
            transitions, acquired = transitions + (current is not None), now
        metadata = {"name": NAME, "namespace": self._namespace}
        if current is not None:
            metadata["resourceVersion"] = current.metadata.resourceVersion
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": metadata,
            "spec": {
                "holderIdentity": self._identity,
                "leaseDurationSeconds": int(DURATION_SECONDS),
                "acquireTime": acquired,
                "renewTime": now,
                "leaseTransitions": transitions,
            },
        }


def _taken(answer: Answer) -> bool | None:
    if answer.status in (401, 403):
        return None
    return answer.status in (200, 201)

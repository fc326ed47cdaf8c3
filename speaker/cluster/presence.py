"""Whether an optional resource is served: asked of discovery, and waited for by watching its CRD."""

import logging

import msgspec

from speaker.cluster import wire
from speaker.cluster.backoff import Backoff, Pacing
from speaker.cluster.network import network_errors, words
from speaker.cluster.problems import NotFound, RequestProblem
from speaker.cluster.sources import Source
from speaker.cluster.transport import Transport

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
LOOK_AGAIN_SECONDS = (15.0, 30.0)
"""How often discovery is asked where CRDs cannot be watched."""

WATCH_SECONDS = (240.0, 360.0)
SILENCE_SECONDS = 400.0
"""A CRD that does not come makes no event: such a watch ends by itself before this."""

_log = logging.getLogger(__name__)
_resources = msgspec.json.Decoder(wire.Resources)


class Presence:
    """Answers for all optional sources of one API server.

    Args:
        transport: where to ask.
        pacing: time and chance.
    """

    def __init__(self, transport: Transport, pacing: Pacing) -> None:
        self._transport = transport
        self._pacing = pacing

    async def is_absent(self, source: Source) -> bool:
        """Whether discovery confirms that the resource is not served. False when it cannot tell.

        Raises:
            one of `network_errors`, or `msgspec.MsgspecError`: there is no answer that can be read.
        """
        try:
            body = await self._transport.get(f"discover {source.api}", source.api)
        except NotFound:
            return True
        except RequestProblem:
            return False
        return all(each.name != source.resource for each in _resources.decode(body).resources or ())

    async def wait_present(self, source: Source) -> None:
        """Return when the resource may have come; the caller looks."""
        backoff = Backoff(self._pacing.uniform)
        while True:
            started = self._pacing.clock.monotonic()
            try:
                await self._wait_news(source)
                # News is not enough: a CRD is served a moment after it exists, or in another version.
                pause = backoff.next_seconds()
            except (RequestProblem, *network_errors()) as error:
                _log.debug("CRD cannot be watched", extra={"crd": source.name, "reason": _why(error)})
                pause = self._pacing.uniform(*LOOK_AGAIN_SECONDS)
            backoff.lived(self._pacing.clock.monotonic() - started)
            await self._pacing.sleep(pause)
            try:
                if not await self.is_absent(source):
                    return
            except (msgspec.MsgspecError, *network_errors()) as error:
                _log.debug("discovery failed", extra={"crd": source.name, "reason": _why(error)})

    async def _wait_news(self, source: Source) -> None:
        """Return at the first news of the CRD, or when the watch ends by itself."""
        query = {
            "watch": "true",
            "fieldSelector": f"metadata.name={source.name}",
            "timeoutSeconds": str(int(self._pacing.uniform(*WATCH_SECONDS))),
        }
        what = f"watch the CRD {source.name}"
        async with self._transport.stream(what, CRDS, query, SILENCE_SECONDS) as batches:
            async for lines in batches:
                if any(line.strip() for line in lines):
                    return


def _why(error: Exception) -> str:
    return words(error) if isinstance(error, network_errors()) else str(error)

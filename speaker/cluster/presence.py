"""Whether an optional resource is served: asked of discovery, and waited for by watching its CRD."""

import asyncio
import logging
from collections.abc import Callable

import msgspec

from speaker.cluster.problems import NotFound, RequestProblem
from speaker.cluster.sources import Source
from speaker.cluster.transport import Transport

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
LOOK_AGAIN_SECONDS = (15.0, 30.0)
"""How often discovery is asked where watching CRDs is not permitted."""

SETTLE_SECONDS = (0.1, 0.5)
"""A CRD is served a moment after it exists."""

WATCH_SECONDS = (240.0, 360.0)

_log = logging.getLogger(__name__)


class _Resource(msgspec.Struct):
    name: str = ""


class _Resources(msgspec.Struct):
    resources: list[_Resource] = []


_resources = msgspec.json.Decoder(_Resources)


class Presence:
    """Answers for all optional sources of one API server.

    Args:
        transport: where to ask.
        uniform: draws pauses.
    """

    def __init__(self, transport: Transport, uniform: Callable[[float, float], float]) -> None:
        self._transport = transport
        self._uniform = uniform

    async def is_absent(self, source: Source) -> bool:
        """Whether discovery confirms that the resource is not served. False when it cannot tell."""
        try:
            body = await self._transport.get(f"discover {source.api}", source.api)
        except NotFound:
            return True
        except RequestProblem:
            return False
        return all(each.name != source.resource for each in _resources.decode(body).resources)

    async def wait_present(self, source: Source) -> None:
        """Return when the resource may have come; the caller looks."""
        # aiohttp comes with the kubernetes package, which is slow to import.
        from aiohttp import ClientError  # noqa: PLC0415

        while True:
            try:
                await self._wait_crd(source)
                await asyncio.sleep(self._uniform(*SETTLE_SECONDS))
            except (RequestProblem, OSError, ClientError, TimeoutError) as error:
                _log.debug("cannot watch for a CRD", extra={"crd": source.name, "reason": str(error)})
                await asyncio.sleep(self._uniform(*LOOK_AGAIN_SECONDS))
            try:
                if not await self.is_absent(source):
                    return
            except (OSError, ClientError, TimeoutError):
                continue

    async def _wait_crd(self, source: Source) -> None:
        """Return at the first news of the CRD, or when the watch ends by itself."""
        query = {
            "watch": "true",
            "fieldSelector": f"metadata.name={source.name}",
            "timeoutSeconds": str(int(self._uniform(*WATCH_SECONDS))),
        }
        async with self._transport.stream(f"watch the CRD {source.name}", CRDS, query) as batches:
            async for lines in batches:
                if any(line.strip() for line in lines):
                    return

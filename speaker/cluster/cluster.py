"""All sources of one API server together: what the daemon holds."""

import asyncio
import json
import logging
import random
from collections.abc import Callable, Sequence

from speaker.clock import Clock, SystemClock
from speaker.cluster.config import ClusterConfig, SourceHealth
from speaker.cluster.events import EventWriter
from speaker.cluster.presence import Presence
from speaker.cluster.problems import NotFound, RequestProblem
from speaker.cluster.reflector import Reflector
from speaker.cluster.sources import source, sources
from speaker.cluster.translate import Translator
from speaker.cluster.transport import Transport
from speaker.errors import ClusterError
from speaker.model.objects import Change, Kind, ObjectRef, View

_log = logging.getLogger(__name__)

OnChanges = Callable[[Sequence[Change]], None]


def _say(sentence: str) -> None:
    _log.warning("value cannot be read", extra={"reason": sentence})


class Cluster:
    """The cluster as a stream of changes.

    Args:
        config: how to reach it.
        on_changes: told each batch, on the event loop; also before the cluster is in sync.
        on_health: told when a source comes into sync, fails or recovers.
        clock: measures and dates.
        uniform: draws pauses.
    """

    def __init__(
        self,
        config: ClusterConfig,
        *,
        on_changes: OnChanges,
        on_health: Callable[[SourceHealth], None],
        clock: Clock | None = None,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._config = config
        self._on_changes = on_changes
        self._on_health = on_health
        self._clock = clock or SystemClock()
        self._uniform = uniform
        self._translator = Translator(config.annotation_prefix, _say)
        self._reflectors: tuple[Reflector, ...] = ()
        self._transport: Transport | None = None
        self._connected = asyncio.Event()
        self.events = EventWriter(config.node_name, self._clock, self._uid)

    async def run(self) -> None:
        """Watch until cancelled; raises ClusterError when the configuration cannot be used."""
        transport = await Transport.connect(self._config)
        presence = Presence(transport, self._uniform)
        self._reflectors = tuple(
            Reflector(
                each,
                transport,
                self._translator,
                deliver=self._on_changes,
                on_health=self._on_health,
                presence=presence,
                clock=self._clock,
                uniform=self._uniform,
            )
            for each in sources(self._config)
        )
        self._transport = transport
        self._connected.set()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.events.run(transport))
                for reflector in self._reflectors:
                    tasks.create_task(reflector.run())
        finally:
            await transport.close()

    @property
    def in_sync(self) -> bool:
        """Whether every source has been read whole once."""
        return bool(self._reflectors) and all(each.synced.is_set() for each in self._reflectors)

    async def wait_in_sync(self) -> None:
        """Return when every source has been read whole once."""
        await self._connected.wait()
        for reflector in self._reflectors:
            await reflector.synced.wait()

    def health(self) -> tuple[SourceHealth, ...]:
        """How each source fares."""
        return tuple(each.health for each in self._reflectors)

    def _uid(self, ref: ObjectRef) -> str:
        return next((uid for each in self._reflectors if (uid := each.uid(ref))), "")

    async def get_fresh(self, kind: Kind, namespace: str, name: str, timeout_seconds: float) -> View | None:
        """One object as it is now, from the server and no cache; None when there is none.

        Raises:
            ClusterError: the server cannot be asked.
            TimeoutError: it does not answer in time.
        """
        what = source(kind)
        place = f"{what.api}/namespaces/{namespace}/{what.resource}" if namespace else what.path
        body = await self._get(f"get {what.name}", f"{place}/{name}", timeout_seconds)
        return None if body is None else what.decode(self._translator, body)

    async def get_daemonset_deleting(self, namespace: str, name: str, timeout_seconds: float) -> bool:
        """Whether a DaemonSet is gone or being deleted; raises as `get_fresh`."""
        path = f"/apis/apps/v1/namespaces/{namespace}/daemonsets/{name}"
        body = await self._get("get daemonsets", path, timeout_seconds)
        return body is None or bool(json.loads(body)["metadata"].get("deletionTimestamp"))

    async def _get(self, what: str, path: str, timeout_seconds: float) -> bytes | None:
        # aiohttp comes with the kubernetes package, which is slow to import.
        from aiohttp import ClientError  # noqa: PLC0415

        if self._transport is None:
            raise ClusterError("the API server has not been reached yet")
        try:
            async with asyncio.timeout(timeout_seconds):
                return await self._transport.get(what, path)
        except NotFound:
            return None
        except (RequestProblem, OSError, ClientError) as error:
            raise ClusterError(str(error)) from None


async def list_once(config: ClusterConfig, patience_seconds: float = 30.0) -> list[Change]:
    """Everything that the sources hold now, all Nodes included; for `speaker plan`.

    Raises:
        ClusterError: a source cannot be read in time; the text says which and why.
    """
    changes: list[Change] = []
    cluster = Cluster(config, on_changes=changes.extend, on_health=lambda _: None)
    running = asyncio.create_task(cluster.run())
    waiting = asyncio.create_task(cluster.wait_in_sync())
    try:
        await asyncio.wait((running, waiting), timeout=patience_seconds, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
        if not waiting.done():
            raise ClusterError(_missing(cluster.health()))
    finally:
        for task in (running, waiting):
            task.cancel()
        await asyncio.gather(running, waiting, return_exceptions=True)
    return changes


def _missing(health: Sequence[SourceHealth]) -> str:
    missing = [f"{each.name}: {each.error or 'no answer'}" for each in health if not each.synced]
    return "the cluster cannot be read: " + "; ".join(missing)

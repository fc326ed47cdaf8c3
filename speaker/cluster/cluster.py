"""All sources of one API server together: what the daemon holds."""

import asyncio
import json
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

import msgspec

from speaker.cluster.backoff import Pacing
from speaker.cluster.config import ClusterConfig, SourceHealth
from speaker.cluster.credentials import own_namespace
from speaker.cluster.events import EventWriter
from speaker.cluster.inventory import Known
from speaker.cluster.lease import Lease
from speaker.cluster.network import network_errors, unreachable
from speaker.cluster.passing import Deliver, MakeReflector, OnHealth, PassingWatches
from speaker.cluster.presence import Presence
from speaker.cluster.problems import Forbidden, NotFound, RequestProblem
from speaker.cluster.reflector import Reflector
from speaker.cluster.sources import Source, source, sources
from speaker.cluster.statuses import StatusWriter
from speaker.cluster.translate import Translator
from speaker.cluster.transport import Transport
from speaker.errors import ClusterError
from speaker.model.objects import Kind, ObjectRef, View

REMEMBERED_SENTENCES = 1000

_log = logging.getLogger(__name__)


class Cluster:
    """The cluster as a stream of changes.

    Args:
        config: how to reach it.
        on_changes: told each batch, on the event loop; also before the cluster is in sync.
        on_health: told when a source comes into sync, fails or recovers.
        on_leader: told when this speaker becomes, or is no longer, the one that speaks for all.
        pacing: time and chance; the host's when None.

    Attributes:
        events: writes Kubernetes Events while `run` runs.
        statuses: writes the statuses of our own resources while `run` runs.
    """

    def __init__(
        self,
        config: ClusterConfig,
        *,
        on_changes: Deliver,
        on_health: OnHealth,
        on_leader: Callable[[bool], None] = lambda _: None,
        pacing: Pacing | None = None,
    ) -> None:
        self._config = config
        self._on_changes = on_changes
        self._on_health = on_health
        self._on_leader = on_leader
        self._pacing = pacing or Pacing()
        self._said: OrderedDict[str, None] = OrderedDict()
        self._translator = Translator(config.annotation_prefix, self._say)
        self._namespace = own_namespace(config)
        self._reflectors: dict[Kind, Reflector] = {}
        self._passing: PassingWatches | None = None
        self._secrets: frozenset[str] = frozenset()
        self._transport: Transport | None = None
        self._connected = asyncio.Event()
        self._lease: Lease | None = None
        self.events = EventWriter(config.node_name, self._pacing, self._known)
        self.statuses = StatusWriter(self._pacing, self._known)

    async def run(self) -> None:
        """Watch until cancelled; raises ClusterError when the configuration cannot be used."""
        transport = await Transport.connect(self._config, self._pacing)
        presence = Presence(transport, self._pacing)
        make = partial(self._reflector, transport, presence)
        self._reflectors = {
            each.kind: make(each, self._on_changes, self._on_health) for each in sources(self._config)
        }
        self._transport = transport
        if self._namespace and self._config.node_name:
            identity = self._config.node_name
            self._lease = Lease(transport, self._namespace, identity, self._pacing, self._held)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.events.run(transport, self._lease), name="events")
                tasks.create_task(self.statuses.run(transport), name="statuses")
                if self._lease is not None:
                    tasks.create_task(self._lease.run(), name="lease")
                for kind, reflector in self._reflectors.items():
                    tasks.create_task(reflector.run(), name=f"watch {kind}")
                await self._watch_in_passing(tasks, make)
        finally:
            await transport.close()

    async def _watch_in_passing(self, tasks: asyncio.TaskGroup, make: MakeReflector) -> None:
        """Let watches come and go until cancelled."""
        self._passing = PassingWatches(tasks, self._namespace, make, self._on_changes, self._on_health)
        self._passing.set_secrets(self._secrets)
        self._connected.set()
        try:
            await asyncio.Event().wait()
        finally:
            self._passing.stop()

    def _reflector(
        self,
        transport: Transport,
        presence: Presence,
        watched: Source,
        deliver: Deliver,
        on_health: OnHealth,
    ) -> Reflector:
        return Reflector(
            watched,
            transport,
            self._translator,
            deliver=deliver,
            on_health=on_health,
            presence=presence,
            pacing=self._pacing,
        )

    def _held(self, held: bool) -> None:  # noqa: FBT001 # a fact, not a switch
        # What others have written meanwhile is not known: it is all to be written again.
        self.statuses.forget()
        self._on_leader(held)

    def _say(self, sentence: str) -> None:
        """Say once what cannot be read: an object comes by again at every change."""
        if sentence in self._said:
            return
        self._said[sentence] = None
        if len(self._said) > REMEMBERED_SENTENCES:
            self._said.popitem(last=False)
        _log.warning("value cannot be read", extra={"reason": sentence})

    def _known(self, ref: ObjectRef) -> Known | None:
        reflector = self._reflectors.get(ref.kind)
        if reflector is None and self._passing is not None:
            reflector = self._passing.reflector(ref.kind)
        return None if reflector is None else reflector.inventory.known(ref)

    # -- what is wanted besides ------------------------------------------------------------------------

    def set_secrets(self, names: frozenset[str]) -> None:
        """Watch exactly these Secrets of the speaker's own namespace from now on.

        Each is told as a Change: with a SecretView, or with None when it is not there or may not be
        read, which `health` explains. One that was read and cannot be read any more stays as it was.
        """
        self._secrets = names
        if self._passing is not None:
            self._passing.set_secrets(names)

    @asynccontextmanager
    async def watching(self, kind: Kind) -> AsyncIterator[asyncio.Event]:
        """Watch a further kind inside the context; gives what is set once it has been read whole.

        Outside of it nothing of that kind is told, not even that objects are gone: forget what is
        known of them then. The next time only what differs from the last time is told.
        """
        while self._passing is None:
            await self._connected.wait()
        async with self._passing.watching(kind) as synced:
            yield synced

    @property
    def is_leader(self) -> bool:
        """Whether this speaker is the one that speaks for all: it holds the Lease."""
        return self._lease is not None and self._lease.held is True

    # -- how it fares ----------------------------------------------------------------------------------

    @property
    def in_sync(self) -> bool:
        """Whether every source has been read whole once."""
        return bool(self._reflectors) and all(each.synced.is_set() for each in self._reflectors.values())

    async def wait_in_sync(self) -> None:
        """Return when every source has been read whole once."""
        await self._connected.wait()
        for reflector in self._reflectors.values():
            await reflector.synced.wait()

    def health(self) -> tuple[SourceHealth, ...]:
        """How each source fares, and what is watched besides."""
        passing = () if self._passing is None else self._passing.health()
        return (*(each.health for each in self._reflectors.values()), *passing)

    # -- one fresh look --------------------------------------------------------------------------------

    async def get_fresh(self, kind: Kind, namespace: str, name: str, timeout_seconds: float) -> View | None:
        """One object as it is now, from the server and no cache; None when there is none.

        Raises:
            ClusterError: the server cannot be asked, or does not answer in time.
        """
        what = source(kind)
        place = f"{what.api}/namespaces/{namespace}/{what.resource}" if namespace else what.path
        try:
            body = await self._get(f"get {what.name}", f"{place}/{name}", timeout_seconds)
            return what.decode(self._translator, body)[1]
        except NotFound:
            return None
        except (RequestProblem, msgspec.MsgspecError) as error:
            raise ClusterError(str(error)) from None

    async def get_daemonset_deleting(self, namespace: str, name: str, timeout_seconds: float) -> bool | None:
        """Whether a DaemonSet is gone or being deleted; None where its role may not look.

        Raises:
            ClusterError: the server cannot be asked, or does not answer in time.
        """
        path = f"/apis/apps/v1/namespaces/{namespace}/daemonsets/{name}"
        try:
            body = await self._get("get daemonsets", path, timeout_seconds)
            return bool(json.loads(body)["metadata"].get("deletionTimestamp"))
        except NotFound:
            return True
        except Forbidden:
            return None
        except (RequestProblem, ValueError, LookupError, AttributeError, TypeError) as error:
            raise ClusterError(str(error)) from None

    async def _get(self, what: str, path: str, timeout_seconds: float) -> bytes:
        """Raises RequestProblem when refused, ClusterError when there is no answer in time."""
        if self._transport is None:
            raise ClusterError("the API server has not been reached yet")
        try:
            async with asyncio.timeout(timeout_seconds):
                return await self._transport.get(what, path)
        except TimeoutError:
            raise ClusterError(
                f"the API server {self._transport.server} did not answer in {timeout_seconds:g} s"
            ) from None
        except network_errors() as error:
            raise ClusterError(unreachable(self._transport.server, error)) from None

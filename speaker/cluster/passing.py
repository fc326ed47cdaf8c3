"""What is watched for a while only: Secrets that peers name, and kinds that somebody wants to see now.

Starts and ends reflectors; nothing waits for them to be in sync. Knows nothing of what is done with a
password, and never holds one: views pass through.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Protocol

from speaker.cluster.config import SourceHealth
from speaker.cluster.reflector import Reflector
from speaker.cluster.sources import Source, secret_source, source
from speaker.model.objects import Change, Kind, ObjectRef

MOST_SECRETS = 256
"""Each is a connection to the API server."""

NO_NAMESPACE = SourceHealth(
    name="secrets", synced=True, error="Secrets cannot be read: the speaker's own namespace is not known"
)

Deliver = Callable[[Sequence[Change]], None]
OnHealth = Callable[[SourceHealth], None]

_log = logging.getLogger(__name__)


class MakeReflector(Protocol):
    """Makes a reflector that tells these two, and is not running yet."""

    def __call__(self, watched: Source, deliver: Deliver, on_health: OnHealth) -> Reflector:
        """A reflector of `watched`."""


class SecretWatch:
    """One Secret. That it is not there, or not for us, is told like a change: with the view None.

    Args:
        namespace: the speaker's own.
        name: the Secret's.
        make: makes the reflector.
        deliver: told what changes.
        on_health: told how it fares.
    """

    def __init__(
        self, namespace: str, name: str, make: MakeReflector, deliver: Deliver, on_health: OnHealth
    ) -> None:
        self.ref = ObjectRef(Kind.SECRET, namespace, name)
        self._deliver = deliver
        self._on_health = on_health
        self._is_there: bool | None = None
        self._told: SourceHealth | None = None
        self._reflector = make(secret_source(namespace, name), self._changed, self._health_changed)

    async def run(self) -> None:
        """Watch it until cancelled."""
        await self._reflector.run()

    @property
    def is_there(self) -> bool:
        """Whether its view has been told, and not that it is gone."""
        return self._is_there is True

    @property
    def health(self) -> SourceHealth:
        """How it fares; a Secret that is not there is an error, though one that nothing waits for."""
        health = self._reflector.health
        missing = f"there is no Secret {self.ref.name} in the namespace {self.ref.namespace}"
        error = health.error or (missing if health.synced and not self.is_there else "")
        return replace(health, synced=True, error=error)

    def _changed(self, changes: Sequence[Change]) -> None:
        self._is_there = changes[-1].view is not None
        self._deliver(changes)
        self._tell()

    def _health_changed(self, health: SourceHealth) -> None:
        if self._is_there is None and (health.synced or health.error):
            self._is_there = False
            self._deliver((Change(self.ref, None),))
        self._tell()

    def _tell(self) -> None:
        health = self.health
        if self._told is None or self._told.error != health.error:
            self._told = health
            self._on_health(health)


@dataclass(slots=True)
class _Wanted:
    """A kind that is watched as long as somebody wants it."""

    reflector: Reflector
    users: int = 0
    task: asyncio.Task[None] | None = None

    async def run(self, before: asyncio.Task[None] | None) -> None:
        """Watch until cancelled, but not before an earlier run has really ended."""
        if before is not None:
            await asyncio.wait((before,))
        await self.reflector.run()


class PassingWatches:
    """All that is watched for a while.

    Args:
        tasks: in which the watches run.
        namespace: the speaker's own; "" has no Secrets.
        make: makes reflectors.
        deliver: told what changes.
        on_health: told how each fares.
    """

    def __init__(
        self,
        tasks: asyncio.TaskGroup,
        namespace: str,
        make: MakeReflector,
        deliver: Deliver,
        on_health: OnHealth,
    ) -> None:
        self._tasks: asyncio.TaskGroup | None = tasks
        self._namespace = namespace
        self._make = make
        self._deliver = deliver
        self._on_health = on_health
        self._without_namespace: tuple[SourceHealth, ...] = ()
        self._secrets: dict[str, tuple[SecretWatch, asyncio.Task[None]]] = {}
        self._kinds: dict[Kind, _Wanted] = {}

    def stop(self) -> None:
        """Begin nothing more: the tasks are about to end."""
        self._tasks = None

    def health(self) -> tuple[SourceHealth, ...]:
        """How each that is watched now fares."""
        kinds = (each.reflector.health for each in self._kinds.values() if each.users)
        secrets = (watch.health for watch, _ in self._secrets.values())
        return (*(replace(each, synced=True) for each in kinds), *secrets, *self._without_namespace)

    def reflector(self, kind: Kind) -> Reflector | None:
        """That of a kind that is, or was, watched."""
        wanted = self._kinds.get(kind)
        return None if wanted is None else wanted.reflector

    # -- Secrets ---------------------------------------------------------------------------------------

    def set_secrets(self, names: frozenset[str]) -> None:
        """Watch these Secrets and no others; what is known of one that is no longer wanted is told gone."""
        if len(names) > MOST_SECRETS:
            _log.warning("secrets are left out", extra={"wanted": len(names), "most": MOST_SECRETS})
        kept = sorted(names)[:MOST_SECRETS] if self._namespace else []
        self._without_namespace = (NO_NAMESPACE,) if names and not self._namespace else ()
        for name in self._secrets.keys() - set(kept):
            self._drop(name)
        for name in kept:
            if name not in self._secrets and self._tasks is not None:
                watch = SecretWatch(self._namespace, name, self._make, self._deliver, self._on_health)
                self._secrets[name] = watch, self._tasks.create_task(watch.run(), name=f"watch {name}")

    def _drop(self, name: str) -> None:
        watch, running = self._secrets.pop(name)
        running.cancel()
        if watch.is_there:
            # Later: whoever changes what is wanted is often being told of a change right now.
            asyncio.get_running_loop().call_soon(self._deliver, (Change(watch.ref, None),))

    # -- kinds -----------------------------------------------------------------------------------------

    @asynccontextmanager
    async def watching(self, kind: Kind) -> AsyncIterator[asyncio.Event]:
        """Watch a kind inside the context; gives what is set once it has been read whole.

        After the last context nothing more is told, not even that objects are gone; the next one
        begins with what has changed in between.
        """
        wanted = self._kinds.get(kind)
        if wanted is None:
            reflector = self._make(source(kind), self._deliver, self._on_health)
            wanted = self._kinds[kind] = _Wanted(reflector)
        wanted.users += 1
        if wanted.users == 1:
            wanted.reflector.synced.clear()
            self._run(wanted)
        try:
            yield wanted.reflector.synced
        finally:
            wanted.users -= 1
            if not wanted.users and wanted.task is not None:
                wanted.task.cancel()

    def _run(self, wanted: _Wanted) -> None:
        if self._tasks is not None:
            wanted.task = self._tasks.create_task(wanted.run(wanted.task), name="watch for a while")

"""The speaker without API server and kernel, so that many fit into a process.

All else is the program itself: its loop, sessions, decisions and reports. What the cluster says is given
to it as changes; its routes are counted; its report is made and written nowhere.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import replace
from typing import Any, Self

from speaker.bgp import SessionEvent, SessionEventKind
from speaker.cluster import Cluster, ClusterConfig
from speaker.daemon.speaker import Speaker
from speaker.model.fabric import GROUP
from speaker.model.objects import Change
from speaker.model.prefix import Address
from speaker.settings import settings_from
from tests.lab.scale.counted_kernel import CountedFib, CountedKernel

FLAGS = {"fabric": "true", "graceful-restart": "true", "metrics-port": "0", "annotation-prefix": GROUP}

_LEFT_OUT = frozenset({"cluster", "kernel", "kernel routes", "health", "control"})
"""What talks to an API server, to the kernel and to people."""


class FedSpeaker(Speaker):
    """The speaker of one Node.

    Args:
        name: the Node.
        address: the Node's address, where it listens.
        on_routes: called after its routes have changed.

    Attributes:
        updates: how many UPDATEs with routes it has received.
    """

    def __init__(self, name: str, address: Address, on_routes: Callable[[Self], None]) -> None:
        settings = settings_from(FLAGS | {"node-name": name}, {"POD_IPS": str(address)})
        super().__init__(replace(settings, listen_addresses=(address,)))
        if self._member is None:
            raise TypeError("a speaker of a fabric learns")
        self.updates = 0
        self._address = address
        self._fed = FedCluster()
        self._cluster = self._fed
        self._kernel = CountedKernel(address, self._host_changed)
        learning = self._member.learning
        self._counted = CountedFib(learning._resolved, lambda: on_routes(self))
        learning._fib = self._counted

    async def run(self) -> None:
        """Run until cancelled; nothing happens before `tell`."""
        self._set_peers()
        async with asyncio.TaskGroup() as tasks:
            for name, part in self._parts():
                tasks.create_task(part, name=name)

    def _parts(self) -> Iterator[tuple[str, Coroutine[Any, Any, None]]]:
        for name, part in super()._parts():
            if name in _LEFT_OUT:
                part.close()
            else:
                yield name, part

    def tell(self, changes: Sequence[Change]) -> None:
        """Take over what the cluster says; from the first time on it is in sync."""
        self._cluster_changed(changes)
        self._fed.synced.set()

    def _session_event(self, event: SessionEvent) -> None:
        super()._session_event(event)
        if event.kind is SessionEventKind.UPDATE_RECEIVED and (event.advertised or event.withdrawn):
            self.updates += 1

    @property
    def learned(self) -> int:
        """How many prefixes the kernel would have."""
        return len(self._counted.routes)

    @property
    def sessions(self) -> int:
        """How many sessions are established."""
        return len(self._established)


class FedCluster(Cluster):
    """A cluster that is in sync once it is said to be.

    Attributes:
        synced: whether it is.
    """

    def __init__(self) -> None:
        super().__init__(ClusterConfig(kubeconfig=""), on_changes=_nothing, on_health=_nothing)
        self.synced = asyncio.Event()

    async def wait_in_sync(self) -> None:
        """Return once it is."""
        await self.synced.wait()


def _nothing(_: object) -> None:
    raise AssertionError("nothing is watched here")

"""The composition root: builds the parts, connects them, and keeps them running.

The flow is one line: changes (cluster, kernel, sessions) mark the reconciler dirty; the loop
recomputes in slices and hands each peer its changes. Nothing is handed over, and no End-of-RIB is
sent, before every source has listed once: unknown is not empty.
"""

import asyncio
import contextlib
import signal
from collections.abc import Sequence
from functools import partial

from speaker.bgp import PeerSet, SessionEvent, SessionEventKind
from speaker.clock import Clock, SystemClock
from speaker.cluster import Cluster, SourceHealth
from speaker.control import ControlServer
from speaker.daemon.answers import Answers
from speaker.daemon.host import host_view
from speaker.daemon.reporting import Reporter
from speaker.daemon.stopping import Stop, decide_stop
from speaker.health import HealthServer
from speaker.kernel import HostFacts, Kernel
from speaker.metrics import Metrics
from speaker.model.objects import Change
from speaker.model.peer import SessionState
from speaker.routing.reconcile import Reconciler
from speaker.settings import Settings

OBJECTS_PER_SLICE = 200
"""How many objects one slice recomputes before the event loop turns: well under 10 ms."""


class Speaker:
    """One speaker of one node.

    Args:
        settings: the checked command line.
        clock: injected in tests.
    """

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        self._settings = settings
        self._clock = clock or SystemClock()
        self._peers = settings.peers()
        self._policy = settings.publication_policy()
        self._dirty = asyncio.Event()
        self._stop_asked = asyncio.Event()
        self._in_sync = False
        self._metrics = Metrics(node=settings.node_name)
        self._kernel = Kernel(on_change=self._host_changed)
        self._cluster = Cluster(
            settings.cluster_config(), on_changes=self._cluster_changed, on_health=self._source_changed
        )
        self._sessions = PeerSet(
            on_event=self._session_event,
            listen_port=settings.listen_port,
            started_at=self._clock.monotonic(),
        )
        self._reporter = Reporter(settings.node_name, self._metrics, self._cluster.events)
        self._host = host_view(settings, self._peers, None, {})
        self._reconciler = Reconciler(self._policy, self._host)

    async def run(self) -> None:
        """Run until asked to stop; raises SpeakerError when the speaker cannot do its work."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop_asked.set)
        self._sessions.set_peers(self._peers)
        self._kernel.set_peers({peer.name: peer.address for peer in self._peers})
        async with asyncio.TaskGroup() as tasks:
            running = [
                tasks.create_task(part, name=name)
                for name, part in (
                    ("kernel", self._kernel.run()),
                    ("cluster", self._cluster.run()),
                    ("sessions", self._sessions.run()),
                    ("reconcile", self._reconcile()),
                    *self._servers(),
                )
            ]
            await self._stop_asked.wait()
            await self._stop()
            for task in running:
                task.cancel()

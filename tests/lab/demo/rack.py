"""A rack: BIRD or FRR on top, three nodes below, each in a network namespace of its own."""

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Self

from speaker.model.prefix import Family
from tests.lab.cluster import ROUTER_ASN, Cluster, Table
from tests.lab.demo.objects import NODES, populate
from tests.lab.kubeapi.server import KubeApi
from tests.lab.net import namespace
from tests.lab.routers.drivers import DRIVERS, missing
from tests.lab.speakers import Speaker


def missing_for_rack() -> list[str]:
    """Why there can be no real router here, as sentences; empty when there can."""
    found = namespace.available()
    why = [] if found is None else [found]
    routers = [missing(name) for name in ("bird", "frr")]
    if all(routers):
        why.append(f"no router is installed: {' or '.join(filter(None, routers))}")
    return why


class RackStage:
    """The stage with a real router."""

    def __init__(self, folder: Path) -> None:
        self._driver = DRIVERS["frr" if missing("bird") else "bird"]
        self._cluster = Cluster(folder, nodes=len(NODES))
        self._stack = AsyncExitStack()

    @property
    def api(self) -> KubeApi:
        """The cluster's API server."""
        return self._cluster.api

    @property
    def router(self) -> str:
        """What a person calls the router."""
        return f"{self._driver.name.upper()}, AS {ROUTER_ASN}, in a network namespace"

    @property
    def speakers(self) -> list[Speaker]:
        """One for each node."""
        return list(self._cluster.speakers.values())

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._cluster)
            populate(self._cluster.api)
            await self._cluster.add_router(self._driver)
            for name in NODES:
                speaker = await self._cluster.speaker(name, "--graceful-restart")
                await speaker.start()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def table(self) -> Table:
        """What the router has learned, by the names of nodes."""
        return await self._cluster.table()

    async def established(self) -> int:
        """How many nodes the router has both sessions with."""
        names = self._cluster.topology.names()
        sessions = await self._cluster.routers[0].sessions()
        up = [names.get(peer) for peer, info in sessions.items() if info.established]
        return sum(up.count(name) == len(Family) for name in NODES)

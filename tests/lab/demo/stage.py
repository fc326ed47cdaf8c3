"""What a stage of the demo offers, whichever it is: a cluster, a router, a speaker on each node."""

from typing import Protocol, Self

from tests.lab.cluster import Table
from tests.lab.kubeapi.server import KubeApi
from tests.lab.speakers import Speaker


class Stage(Protocol):
    """One API server, one router and a speaker on each node."""

    @property
    def api(self) -> KubeApi:
        """The cluster."""

    @property
    def router(self) -> str:
        """What a person calls the router."""

    @property
    def speakers(self) -> list[Speaker]:
        """One for each node."""

    async def table(self) -> Table:
        """What the router has learned, by the names of nodes."""

    async def established(self) -> int:
        """How many nodes the router has all its sessions with."""

    async def __aenter__(self) -> Self:
        """Start everything."""

    async def __aexit__(self, *_: object) -> None:
        """End everything."""

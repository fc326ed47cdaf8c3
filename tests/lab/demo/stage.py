"""What a stage of the demo offers, whichever it is: a cluster, a router, a speaker on each node."""

import shutil
import socket
from pathlib import Path
from typing import Protocol, Self

from tests.lab.kubeapi.server import KubeApi
from tests.lab.speakers import Speaker

Table = dict[str, set[str]]
"""Prefix to the names of the nodes that are its next hops."""

NODE_ASN = 65000
ROUTER_ASN = 65030


def make_api(
    folder: Path, *, sockets: tuple[socket.socket, ...] = (), names: tuple[str, ...] = ()
) -> KubeApi:
    """The cluster's API server, with TLS where there is an openssl to make certificates."""
    if shutil.which("openssl") is None:
        return KubeApi(sockets=sockets, anonymous_admin=True)
    return KubeApi(folder, tls=True, sockets=sockets, names=names)


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

"""BFD beside the sessions of a speaker on a node, as the daemon has it, with the sockets of that node."""

import asyncio
import socket
from collections.abc import Sequence

from speaker.bfd import BfdStatus
from speaker.daemon.peering import Peering
from speaker.model.peer import Peer
from tests.bgp.builders import Speaker
from tests.lab.net.namespace import Namespace


class Fate:
    """BFD toward the peers of a speaker, until `end`."""

    def __init__(self, speaker: Speaker, peers: Sequence[Peer], namespace: Namespace) -> None:
        self._peering = Peering(speaker.peers, lambda family: namespace.socket(family, socket.SOCK_DGRAM))
        self._peering.set_peers(peers)
        self._task = asyncio.create_task(self._peering.run())

    def status(self, name: str = "tor1") -> BfdStatus:
        """The session with a peer as it stands."""
        return self._peering.bfd_statuses()[name]

    async def end(self) -> None:
        """Fall silent: no peer is told AdminDown."""
        self._task.cancel()
        await asyncio.wait((self._task,))

"""BFD beside the sessions of a speaker on a node: what BFD finds dead ends at once, as the daemon has it.

The daemon's own `speaker.daemon.peering` makes its sockets in the namespace of its process; here they are
those of a node.
"""

import asyncio
import socket
from collections.abc import Sequence

from speaker.bfd import BfdEvent, BfdEventKind, BfdSessions, BfdStatus
from speaker.model.peer import Peer
from tests.bgp.builders import Speaker
from tests.lab.net.namespace import Namespace


class Fate:
    """BFD toward the peers of a speaker, until `end`."""

    def __init__(self, speaker: Speaker, peers: Sequence[Peer], namespace: Namespace) -> None:
        self.events: list[BfdEvent] = []
        self._speaker = speaker
        self._sessions = BfdSessions(
            on_event=self._event, open_socket=lambda family: namespace.socket(family, socket.SOCK_DGRAM)
        )
        self._sessions.set_peers(peers)
        self._task = asyncio.create_task(self._sessions.run())

    def status(self, name: str = "tor1") -> BfdStatus:
        """The session with a peer as it stands."""
        return self._sessions.statuses()[name]

    async def end(self) -> None:
        """Fall silent: no peer is told AdminDown."""
        self._task.cancel()
        await asyncio.wait((self._task,))

    def _event(self, event: BfdEvent) -> None:
        self.events.append(event)
        if event.kind is BfdEventKind.DOWN:
            self._speaker.peers.bfd_down(event.peer, f"BFD: {event.reason}")

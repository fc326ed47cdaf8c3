"""Waiting for peers that connect to us: those that are configured passive.

Knows which addresses are awaited; everyone else is closed at once and counted. A listening socket sees
the TTL that a peer's SYN came with. Must not know BGP messages.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Sequence

from speaker.bgp.listener import Listener
from speaker.bgp.sockopts import prepare
from speaker.errors import HostError
from speaker.model.peer import Peer
from speaker.model.prefix import Address
from speaker.preflight.dialing import OpenSocket

# linux/in.h, linux/in6.h
_IP_RECVTTL, _IP_PKTOPTIONS = 12, 9
_IPV6_RECVHOPLIMIT, _IPV6_2292PKTOPTIONS, _IPV6_HOPLIMIT = 51, 6, 52
_CMSG = struct.Struct("@Nii")
_ROOM = 256


class Reception:
    """Takes the connections of awaited peers.

    Args:
        port: where to listen.
        addresses: on which addresses; none means all.
        peers: who is awaited.
        open_socket: makes sockets.
    """

    def __init__(
        self, port: int, addresses: Sequence[Address], peers: Sequence[Peer], open_socket: OpenSocket
    ) -> None:
        self._peers = {peer.address: peer for peer in peers}
        self._arrived: dict[Address, asyncio.Queue[socket.socket]] = {
            address: asyncio.Queue(maxsize=1) for address in self._peers
        }
        self._open_socket = open_socket
        self._listener = Listener(
            port=port,
            addresses=addresses,
            open_socket=self._listening_socket,
            on_connection=self._on_connection,
        )
        self._task: asyncio.Task[None] | None = None

    @property
    def strangers(self) -> int:
        """How many connections came that nobody waits for."""
        return self._listener.refused

    def open(self) -> None:
        """Listen; raises HostError when the port cannot be had."""
        self._listener.open()
        try:
            for peer in self._peers.values():
                if peer.password is not None:
                    self._listener.set_password(peer.address, peer.password)
        except HostError:
            self._listener.close()
            raise
        self._task = asyncio.create_task(self._listener.run())

    async def close(self) -> None:
        """Stop listening, and close every connection that nobody has taken."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
        for queue in self._arrived.values():
            while not queue.empty():
                queue.get_nowait().close()

    async def connection(self, peer: Peer, seconds: float) -> socket.socket | None:
        """The peer's next connection, which is the caller's to close; None when none comes in time."""
        try:
            async with asyncio.timeout(seconds):
                return await self._arrived[peer.address].get()
        except TimeoutError:
            return None

    def _listening_socket(self, family: int) -> socket.socket:
        sock = self._open_socket(family, socket.SOCK_STREAM, 0)
        with contextlib.suppress(OSError):
            if family == socket.AF_INET:
                sock.setsockopt(socket.IPPROTO_IP, _IP_RECVTTL, 1)
            else:
                sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVHOPLIMIT, 1)
        return sock

    def _on_connection(self, sock: socket.socket, address: Address) -> bool:
        arrived = self._arrived.get(address)
        if arrived is None or arrived.full():
            return False
        try:
            prepare(sock, self._peers[address])
        except OSError:
            return False
        arrived.put_nowait(sock)
        return True


def ttl_of(sock: socket.socket) -> int | None:
    """The TTL with which the SYN of an accepted connection arrived; None when the kernel does not tell."""
    try:
        if sock.family == socket.AF_INET:
            control = sock.getsockopt(socket.IPPROTO_IP, _IP_PKTOPTIONS, _ROOM)
            wanted = (socket.IPPROTO_IP, socket.IP_TTL)
        else:
            control = sock.getsockopt(socket.IPPROTO_IPV6, _IPV6_2292PKTOPTIONS, _ROOM)
            wanted = (socket.IPPROTO_IPV6, _IPV6_HOPLIMIT)
    except OSError:
        return None
    while len(control) >= _CMSG.size:
        length, level, kind = _CMSG.unpack_from(control)
        if (level, kind) == wanted and length >= _CMSG.size + 4:
            return int.from_bytes(control[_CMSG.size : _CMSG.size + 4], "little")
        if length < _CMSG.size:
            break
        control = control[(length + 7) & ~7 :]
    return None

"""One receiving socket, shared by all sessions of a family and port, on the event loop.

Knows how much may be read at a turn, and with which TTL a packet came. Must not know packets.
"""

import asyncio
import socket
import sys
from collections.abc import Callable, Collection

from speaker.bfd import filter as kernel_filter
from speaker.model.prefix import Address

_MOST_AT_A_TURN = 64
"""Packets read before the others on the event loop get their turn."""

_LARGEST = 256
"""More than the Length field of a control packet can say."""

# A cmsghdr and an int, with room to spare.
_ANCILLARY = 64

_TTL_KINDS = frozenset({(socket.IPPROTO_IP, socket.IP_TTL), (socket.IPPROTO_IPV6, socket.IPV6_HOPLIMIT)})

Source = tuple[str, int]
"""The address as the kernel prints it, and the scope of a link-local one or 0."""

Deliver = Callable[[bytes, Source, int], None]


def source_key(address: tuple[object, ...]) -> Source:
    """Who sent a packet, from what `recvmsg` or `getpeername` gives."""
    return (str(address[0]), int(str(address[3])) if len(address) == 4 else 0)


class Receiver:
    """Reads a bound socket.

    Args:
        sock: what `receiving_socket` made; it belongs to the receiver from now on.
        deliver: takes each packet, its source and its TTL (0 when the kernel does not tell).
    """

    def __init__(self, sock: socket.socket, deliver: Deliver) -> None:
        self._sock = sock
        self._deliver = deliver
        self.is_behind = False
        """Whether packets may wait that have not been read."""
        asyncio.get_running_loop().add_reader(sock, self._read)

    def admit(self, sources: Collection[Address]) -> None:
        """Has the kernel drop what comes from elsewhere."""
        kernel_filter.admit(self._sock, sources)

    @property
    def dropped(self) -> int:
        """How many packets the kernel has dropped here."""
        return kernel_filter.dropped(self._sock)

    def close(self) -> None:
        """Stops reading."""
        asyncio.get_running_loop().remove_reader(self._sock)
        self._sock.close()

    def _read(self) -> None:
        self.is_behind = True
        for _ in range(_MOST_AT_A_TURN):
            try:
                data, ancillary, _, address = self._sock.recvmsg(_LARGEST, _ANCILLARY)
            except OSError:
                # Nothing more to read, or an error of the network that the next packet will not have.
                self.is_behind = False
                return
            self._deliver(data, source_key(address), _ttl(ancillary))


def _ttl(ancillary: list[tuple[int, int, bytes]]) -> int:
    for level, kind, value in ancillary:
        if (level, kind) in _TTL_KINDS:
            return int.from_bytes(value[:4], sys.byteorder)
    return 0

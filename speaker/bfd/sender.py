"""The socket that one session sends with: it never blocks, and no error of it ends anything.

Knows when a socket must be made anew. Must not know packets or states.
"""

import socket

from speaker.bfd.path import Hops, OpenSocket, Path, sending_socket
from speaker.sockets import describe

_RENEW_SECONDS = 5.0
"""An idle way is looked for anew this often, so that changed addresses and routes count."""


class Sender:
    """Sends to one peer.

    Args:
        path: the way to the peer.
        open_socket: makes a UDP socket of a family.
    """

    def __init__(self, path: Path, open_socket: OpenSocket) -> None:
        self._path = path
        self._open_socket = open_socket
        self._sock: socket.socket | None = None
        self._opened_at = float("-inf")
        self._port: int | None = None
        # Where the peer is to decide, begin as with a router on the link, which is the common case.
        self.multihop = path.hops is Hops.MANY
        self.sent = 0
        self.errors = 0
        self.last_error = ""

    def send(self, octets: bytes) -> None:
        """Sends a packet, or counts why not."""
        try:
            self._give(octets)
            self.last_error = ""
        except ConnectionRefusedError as error:
            # What an earlier packet met (nobody listens there) is told now, and this one was not sent.
            self.last_error = describe(error)
            self._send_again(octets)
        except OSError as error:
            self._failed(error)

    def _send_again(self, octets: bytes) -> None:
        try:
            self._give(octets)
        except OSError as error:
            self._failed(error)

    def _give(self, octets: bytes) -> None:
        if self._sock is None:
            self._sock = sending_socket(
                self._path, multihop=self.multihop, port=self._port, open_socket=self._open_socket
            )
            self._port = int(self._sock.getsockname()[1])
        self._sock.send(octets)
        self.sent += 1

    def _failed(self, error: OSError) -> None:
        """No way to the peer now: the next packet tries again, with a socket that knows new addresses."""
        self.errors += 1
        self.last_error = describe(error)
        if not isinstance(error, BlockingIOError):
            self.close()

    def renew(self, now: float) -> None:
        """Makes the socket anew, if it is old: a connected one keeps the source that it began with."""
        if now - self._opened_at > _RENEW_SECONDS:
            self._opened_at = now
            self.close()

    def aim(self, *, multihop: bool) -> None:
        """Sends to the other port from now on."""
        self.multihop = multihop
        self.close()

    def close(self) -> None:
        """Lets go of the socket; the next packet makes another, with the same source port if it can."""
        if self._sock is not None:
            self._sock.close()
            self._sock = None

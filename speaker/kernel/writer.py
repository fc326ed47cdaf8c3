"""Changes of routes, many in one system call, and the kernel's answer to each.

Knows nothing of why a route changes.
"""

import errno
import os
import struct
from collections.abc import Sequence
from typing import NamedTuple, Self

from pyroute2.netlink import NLMSG_ERROR

from speaker.errors import HostError
from speaker.kernel.netlink import HEADER, SocketFactory, attributes, frames, unavailable
from speaker.kernel.routes import numbered

BATCH = 64
"""As many changes in one call: a millisecond or two of the kernel's time."""

_SOL_NETLINK = 270
_NETLINK_CAP_ACK, _NETLINK_EXT_ACK = 10, 11
_ACK_TLVS = 0x200
_ACK_MESSAGE = 1
_READ_BYTES = 65536
_ERROR = struct.Struct("=i")


class Refusal(NamedTuple):
    """Why the kernel did not do it: the number of the error, and its own words."""

    number: int
    reason: str


class Writer:
    """A socket that changes routes.

    Raises:
        HostError: netlink is not there.
    """

    def __init__(self, factory: SocketFactory) -> None:
        try:
            self._socket = factory()
        except OSError as error:
            raise unavailable(error) from error
        try:
            self._socket.setblocking(False)
            self._socket.bind((0, 0))
            # Answers without the question, and with a sentence where the kernel has one (4.12 and later).
            for option in (_NETLINK_CAP_ACK, _NETLINK_EXT_ACK):
                self._socket.setsockopt(_SOL_NETLINK, option, 1)
        except OSError as error:
            self._socket.close()
            raise unavailable(error) from error
        self._sequence = 0
        self.port = int(self._socket.getsockname()[0])
        """What the kernel marks with the events that these changes cause."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the socket."""
        self._socket.close()

    def carry_out(self, changes: Sequence[bytes]) -> list[Refusal | None]:
        """What became of each change, in their order: None is done. At most `BATCH` at a time.

        Raises:
            HostError: the kernel takes no message, or gives no answer: anything may have happened.
        """
        first = self._sequence + 1
        self._sequence += len(changes)
        self._send(b"".join(numbered(change, number) for number, change in enumerate(changes, start=first)))
        answers: dict[int, Refusal | None] = {}
        # The kernel has done all of it when `sendto` returns, and the answers are in the queue.
        while len(answers) < len(changes):
            for message_type, flags, sequence, _, payload in frames(self._receive()):
                if message_type == NLMSG_ERROR and sequence >= first:
                    answers[sequence] = _refusal(flags, payload)
        return [answers[number] for number in range(first, first + len(changes))]

    def _send(self, request: bytes) -> None:
        try:
            self._socket.sendto(request, (0, 0))
        except OSError as error:
            raise _unwritable(error) from error

    def _receive(self) -> memoryview:
        try:
            return memoryview(self._socket.recv(_READ_BYTES))
        except OSError as error:
            raise _unwritable(error) from error


def _refusal(flags: int, payload: memoryview) -> Refusal | None:
    number = -_ERROR.unpack_from(payload)[0]
    if number == 0:
        return None
    if flags & _ACK_TLVS:
        told = dict(attributes(payload[_ERROR.size + HEADER.size :])).get(_ACK_MESSAGE)
        if told is not None:
            return Refusal(number, bytes(told).rstrip(b"\0").decode("ascii", "replace"))
    return Refusal(number, os.strerror(number) if number in errno.errorcode else f"error {number}")


def _unwritable(error: OSError) -> HostError:
    return HostError(f"cannot write routes over netlink: {error.strerror or error}")

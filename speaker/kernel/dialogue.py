"""Questions and whole tables over one netlink socket of their own, so that no stale answer is ever met.

The kernel answers within `send`: what it has to say is in the socket's queue when the call returns, so that
every question takes microseconds and none waits. Knows nothing of what the messages mean.
"""

import errno
import os
import struct
from collections.abc import Iterator
from typing import Self

from pyroute2.netlink import NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR

from speaker.kernel.netlink import HEADER, SocketFactory, messages, unavailable

_SOL_NETLINK = 270
_NETLINK_GET_STRICT_CHK = 12
_READ_BYTES = 65536


class Dialogue:
    """One socket, for one reading.

    Args:
        factory: where the socket comes from.
    """

    def __init__(self, factory: SocketFactory) -> None:
        try:
            self._socket = factory()
        except OSError as error:
            raise unavailable(error) from error
        self._socket.setblocking(False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def be_strict(self) -> None:
        """Leave out what was not asked for, such as cached exceptions, of which a busy host has thousands.

        Kernels before 4.20 do not know the option and send them, marked as what they are.

        Raises:
            HostError: the kernel refuses.
        """
        try:
            self._socket.setsockopt(_SOL_NETLINK, _NETLINK_GET_STRICT_CHK, 1)
        except OSError as error:
            if error.errno != errno.ENOPROTOOPT:
                raise unavailable(error) from error

    def portions(self, question: int, answer: int, header: bytes) -> Iterator[list[memoryview]]:
        """The payloads of a table, some hundreds at a time.

        Args:
            question: the type of the request.
            answer: the type of what is wanted of the answers.
            header: what follows the netlink header in the request.

        Raises:
            HostError: the kernel refuses.
            InterruptedError: the table changed under the reading; read again.
        """
        length = HEADER.size + len(header)
        self.send(HEADER.pack(length, question, NLM_F_REQUEST | NLM_F_DUMP, 1, 0) + header)
        while True:
            portion: list[memoryview] = []
            for message_type, flags, payload in messages(self.receive()):
                if flags & NLM_F_DUMP_INTR:
                    raise InterruptedError(errno.EINTR, "the table changed while it was read")
                if message_type == NLMSG_DONE:
                    yield portion
                    return
                if message_type == NLMSG_ERROR:
                    number = -struct.unpack_from("=i", payload)[0]
                    raise unavailable(OSError(number, os.strerror(number)))
                if message_type == answer:
                    portion.append(payload)
            yield portion

    def send(self, request: bytes) -> None:
        """Put a question; raises HostError."""
        try:
            self._socket.sendto(request, (0, 0))
        except OSError as error:
            raise unavailable(error) from error

    def receive(self) -> memoryview:
        """The next datagram of the answer; raises HostError."""
        try:
            return memoryview(self._socket.recv(_READ_BYTES))
        except OSError as error:
            raise unavailable(error) from error

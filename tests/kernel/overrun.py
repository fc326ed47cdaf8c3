"""A netlink socket that cannot hold what the kernel has to say."""

import errno
import socket
from typing import Any


class Overrun(socket.socket):
    """Counts how often the kernel had to drop events, in a buffer that is much too small."""

    overruns = 0

    def setsockopt(self, level: int, option: int, value: Any, *rest: Any) -> None:
        if (level, option) == (socket.SOL_SOCKET, socket.SO_RCVBUF):
            value = 4096
        super().setsockopt(level, option, value, *rest)

    def recv_into(self, *arguments: Any) -> int:
        try:
            return super().recv_into(*arguments)
        except OSError as error:
            Overrun.overruns += error.errno == errno.ENOBUFS
            raise

"""Anonymous network namespaces: a file descriptor is all there is of one, and it vanishes with it.

Knows how to make one, and how to do things inside: run a function, open a socket, start a process,
configure links with ip(8). Needs no name, no mount and no root beyond CAP_SYS_ADMIN and
CAP_NET_ADMIN in the user namespace it runs in. Knows nothing of topologies and routers.
"""

import ctypes
import fcntl
import json
import os
import shutil
import socket
import struct
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Self, TypeVar

from pyroute2 import AsyncIPRoute

T = TypeVar("T")

_CLONE_NEWNET = 0x40000000
_IFF_UP = 1
_SIOCSIFFLAGS = 0x8914
_LIBC = ctypes.CDLL(None, use_errno=True)
_TOOLS = ("ip", "nsenter", "setpriv")
_RUN_SECONDS = 30.0

# Before any link exists, so that they all inherit: without the first ones an IPv6 address is tentative,
# and silent, for the first seconds of its life. Replies may take another way than requests came.
_SYSCTLS = {
    "net.ipv6.conf.all.accept_dad": 0,
    "net.ipv6.conf.default.accept_dad": 0,
    "net.ipv6.conf.default.dad_transmits": 0,
    "net.ipv6.conf.default.router_solicitations": 0,
    "net.ipv6.conf.default.accept_ra": 0,
    # A link that went down and came back has its IPv6 addresses still, as it has its IPv4 ones.
    "net.ipv6.conf.all.keep_addr_on_down": 1,
    "net.ipv6.conf.default.keep_addr_on_down": 1,
    "net.ipv4.conf.all.rp_filter": 0,
    "net.ipv4.conf.default.rp_filter": 0,
}


class Namespace:
    """A network namespace with its lo up. It lives until `close` and the end of its last process."""

    def __init__(self, name: str, sysctls: Mapping[str, int] | None = None) -> None:
        self.name = name
        self.fd = _in_thread(_unshare)
        try:
            self.sysctl(_SYSCTLS | dict(sysctls or {}))
            self.call(_set_lo_up)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Namespace {self.name}>"

    @property
    def path(self) -> str:
        """A path that names the namespace to any process of this machine, as long as it is open here."""
        return f"/proc/{os.getpid()}/fd/{self.fd}"

    def close(self) -> None:
        """Let go of it; closing twice is harmless."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def call(self, work: Callable[[], T]) -> T:
        """What `work` returns when a thread inside the namespace runs it; its errors are raised here."""
        fd = self.fd

        def enter() -> T:
            _checked(_LIBC.setns(fd, _CLONE_NEWNET))
            return work()

        return _in_thread(enter)

    def socket(
        self, family: int = socket.AF_INET, kind: int = socket.SOCK_STREAM, proto: int = 0
    ) -> socket.socket:
        """A fresh socket that belongs to the namespace for life, whichever thread uses it."""
        return self.call(lambda: socket.socket(family, kind, proto))

    def netlink(self) -> AsyncIPRoute:
        """pyroute2's asynchronous IPRoute in here: `async with ns.netlink() as ipr`."""
        # A socket of ours spares the fork that `netns=` costs; pyroute2 insists on SOCK_DGRAM.
        return AsyncIPRoute(
            use_socket=self.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, socket.NETLINK_ROUTE)
        )

    def sysctl(self, values: Mapping[str, int]) -> None:
        """Set sysctls (`net.ipv4.ip_forward`) of the namespace."""

        # /proc/sys/net shows the namespace of the thread that opens it.
        def write() -> None:
            for key, value in values.items():
                with open(f"/proc/sys/{key.replace('.', '/')}", "w", encoding="ascii") as file:  # noqa: PTH123 - a pseudo file
                    file.write(str(value))

        self.call(write)

    def inside(self, argv: Sequence[str]) -> list[str]:
        """The command line that runs `argv` in here; the pid is `argv`'s own, since nsenter only execs."""
        return ["nsenter", f"--net={self.path}", "--", *argv]

    def run(self, *argv: str, text: str | None = None, check: bool = True) -> str:
        """What a short command prints on stdout; it must succeed if `check`.

        Raises:
            OSError: it failed; the message has its stderr.
        """
        done = subprocess.run(
            self.inside(argv), check=False, capture_output=True, text=True, input=text, timeout=_RUN_SECONDS
        )
        if check and done.returncode != 0:
            raise OSError(f"{' '.join(argv)} in {self.name} failed: {done.stderr.strip()}")
        return done.stdout

    def ip(self, *lines: str) -> None:
        """Carry out lines of ip(8), without the leading `ip`, in one process."""
        self.run("ip", "-batch", "-", text="\n".join(lines))

    def ip_json(self, *arguments: str) -> list[dict[str, Any]]:
        """What `ip -json` answers."""
        answer: list[dict[str, Any]] = json.loads(self.run("ip", "-json", *arguments) or "[]")
        return answer


@cache
def available() -> str | None:
    """Why there can be no namespaces here, as a sentence, or None when there can."""
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if missing:
        return f"network namespaces need {', '.join(missing)} (apt-get install iproute2 util-linux)"
    try:
        with Namespace("probe"):
            return None
    except OSError as error:
        return f"network namespaces need root, or `sh tests/lab/enter.sh COMMAND`: {error.strerror or error}"


def _unshare() -> int:
    _checked(_LIBC.unshare(_CLONE_NEWNET))
    # /proc/self would be the main thread's.
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def _set_lo_up() -> None:
    # A process of ip(8) for this alone would be most of what a namespace costs.
    request = struct.pack("16sH22x", b"lo", _IFF_UP)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, _SIOCSIFFLAGS, request)


def _checked(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _in_thread(work: Callable[[], T]) -> T:
    """A namespace belongs to a thread: a throw-away one leaves the caller where it is."""
    outcome: list[T] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            outcome.append(work())
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that asked
            failure.append(error)

    thread = threading.Thread(target=run, name="namespace")
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return outcome[0]

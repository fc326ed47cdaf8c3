"""A network namespace of a test's own, without a name, that vanishes with the test."""

import ctypes
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator

import pytest

CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)


def checked(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


class Namespace:
    """An anonymous network namespace; it is this object's file descriptor that keeps it."""

    def __init__(self) -> None:
        self.fd = -1
        self._in_thread(self._make)

    @staticmethod
    def _in_thread(work: Callable[[], None]) -> None:
        """A namespace belongs to a thread: a throw-away one leaves the test's own where it is."""
        failures: list[OSError] = []

        def run() -> None:
            try:
                work()
            except OSError as error:
                failures.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        if failures:
            raise failures[0]

    def _make(self) -> None:
        checked(LIBC.unshare(CLONE_NEWNET))
        self.fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    def netlink_socket(self) -> socket.socket:
        made: list[socket.socket] = []

        def make() -> None:
            checked(LIBC.setns(self.fd, CLONE_NEWNET))
            made.append(socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE))

        self._in_thread(make)
        return made[0]

    def run(self, *command: str, lines: str | None = None) -> str:
        inside = ["nsenter", f"--net=/proc/{os.getpid()}/fd/{self.fd}", "--", *command]
        done = subprocess.run(inside, check=False, capture_output=True, text=True, input=lines, timeout=30)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def ip(self, lines: str) -> None:
        """Carry out lines of ip(8), in one process."""
        self.run("ip", "-batch", "-", lines=lines)

    def close(self) -> None:
        os.close(self.fd)


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    """A namespace with lo up, and a link `up0` that has 10.0.0.1/24 and fd00::1/64."""
    missing = [tool for tool in ("ip", "nsenter") if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    try:
        made = Namespace()
    except PermissionError:
        pytest.skip("no right to make network namespaces")
    made.ip(
        """
        link set lo up
        link add up0 type veth peer name far0
        link set up0 up
        link set far0 up
        addr add 10.0.0.1/24 dev up0
        addr add fd00::1/64 dev up0 nodad
        """
    )
    yield made
    made.close()

"""An event loop without a network: it runs until nothing is left to do, and its clock moves by command.

Knows fake sockets and how asyncio asks a loop for bytes. Must not know BGP.
"""

import asyncio
import contextlib
import selectors
import socket
from collections import deque
from collections.abc import Callable
from typing import Any, cast

from speaker.model.prefix import Address


class EndlessError(AssertionError):
    """The loop had something to do for longer than any answer to its input can take."""


class _IdleSelector(selectors.SelectSelector):
    """Says that no descriptor is ready, and tells when nothing else is either."""

    def __init__(self) -> None:
        super().__init__()
        self.on_idle: Callable[[], None] = lambda: None
        self.turns_left = 0

    def select(self, timeout: float | None = None) -> list[Any]:
        self.turns_left -= 1
        if self.turns_left < 0:
            raise EndlessError("the event loop does not come to rest")
        if timeout is None or timeout > 0:
            self.on_idle()
        return []


class IdleLoop(asyncio.SelectorEventLoop):
    """Runs what is ready; sleeping tasks wait for `advance`."""

    def __init__(self) -> None:
        self._selector_of_mine = _IdleSelector()
        super().__init__(self._selector_of_mine)
        self._now = 1_000_000.0
        self._selector_of_mine.on_idle = self.stop
        self.failures: list[str] = []
        self.set_exception_handler(self._failed)

    def _failed(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.failures.append(f"{context.get('message')}: {context.get('exception')!r}")

    def time(self) -> float:
        return self._now

    def settle(self, turns: int = 2000) -> None:
        """Runs until every task waits for something from outside.

        Raises:
            EndlessError: that took more than `turns` turns of the loop.
        """
        self._selector_of_mine.turns_left = turns
        self.run_forever()

    def advance(self, seconds: float) -> None:
        """Moves the clock and lets what became due happen."""
        self._now += seconds
        self.settle()

    async def sock_recv(self, sock: socket.socket, n: int) -> bytes:
        return await cast("FakeSocket", sock).received(n)

    async def sock_sendall(self, sock: socket.socket, data: Any) -> None:
        cast("FakeSocket", sock).take(bytes(data))

    async def sock_accept(self, sock: socket.socket) -> tuple[socket.socket, Any]:
        return await cast("FakeListener", sock).accepted()


class FakeSocket:
    """A TCP connection: what the peer has sent goes out of it, what the engine writes stays in it.

    It refuses what a program must not do to a socket: to use it once closed, to write after a shutdown.
    """

    family = socket.AF_INET

    def __init__(self, local: Address, remote: Address) -> None:
        self.sent = bytearray()
        self.closed = False
        self.shut = False
        self._names = (str(local), 179), (str(remote), 1790)
        self._waiting = bytearray()
        self._ended = False
        self._reset = False
        self._reader: asyncio.Future[None] | None = None

    # -- the peer's side ---------------------------------------------------------------------------

    def feed(self, data: bytes) -> None:
        """The peer sends."""
        self._waiting += data
        self._tell()

    def end(self, *, reset: bool = False) -> None:
        """The peer says that it sends no more, or resets the connection."""
        self._ended = True
        self._reset = reset
        self._tell()

    def _tell(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    # -- the engine's side -------------------------------------------------------------------------

    async def received(self, limit: int) -> bytes:
        self._refuse_closed()
        while not self._waiting and not self._ended:
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
            self._refuse_closed()
        if self._reset:
            raise ConnectionResetError(104, "connection reset by peer")
        data = bytes(self._waiting[:limit])
        del self._waiting[:limit]
        return data

    def take(self, data: bytes) -> None:
        self._refuse_closed()
        if self.shut:
            raise BrokenPipeError(32, "written after a shutdown")
        if self._reset:
            raise ConnectionResetError(104, "connection reset by peer")
        self.sent += data

    def shutdown(self, how: int) -> None:
        self._refuse_closed()
        assert how == socket.SHUT_WR, how
        self.shut = True

    def close(self) -> None:
        self.closed = True

    def fileno(self) -> int:
        return -1

    def setblocking(self, flag: bool) -> None:
        assert not flag

    def setsockopt(self, *_option: Any) -> None:
        self._refuse_closed()

    def getsockname(self) -> tuple[str, int]:
        self._refuse_closed()
        return self._names[0]

    def getpeername(self) -> tuple[str, int]:
        self._refuse_closed()
        return self._names[1]

    def _refuse_closed(self) -> None:
        assert not self.closed, "a closed socket was used"


class FakeListener:
    """A listening socket; the connections that it gives are made by the test."""

    def __init__(self, family: socket.AddressFamily) -> None:
        self.family = family
        self.listening = False
        self.closed = False
        self._queue: deque[tuple[FakeSocket, Address]] = deque()
        self._accepter: asyncio.Future[None] | None = None

    def arrive(self, connection: FakeSocket, remote: Address) -> None:
        """A peer has connected."""
        self._queue.append((connection, remote))
        if self._accepter is not None and not self._accepter.done():
            self._accepter.set_result(None)

    async def accepted(self) -> tuple[socket.socket, tuple[str, int]]:
        assert self.listening
        while not self._queue:
            self._accepter = asyncio.get_running_loop().create_future()
            await self._accepter
        connection, remote = self._queue.popleft()
        return cast("socket.socket", connection), (str(remote), 1790)

    def setblocking(self, flag: bool) -> None:
        assert not flag

    def setsockopt(self, *_option: Any) -> None:
        assert not self.closed

    def bind(self, _address: Any) -> None:
        assert not self.listening

    def listen(self, _backlog: int) -> None:
        self.listening = True

    def fileno(self) -> int:
        return -1

    def close(self) -> None:
        self.closed = True


def close_loop(loop: IdleLoop) -> None:
    """Ends every task of a loop, and the loop."""
    for task in asyncio.all_tasks(loop):
        task.cancel()
    with contextlib.suppress(EndlessError):
        loop.settle()
    loop.close()

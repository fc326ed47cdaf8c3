"""The port where peers find us, which may change while sessions run.

Knows when sockets open and close, and what signs connections. Must not know sessions: those that are
established have sockets of their own.
"""

import asyncio
import socket
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from speaker.bgp.listener import Listener
from speaker.errors import HostError
from speaker.model.peer import Password
from speaker.model.prefix import Address, Prefix

Spawn = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]


class Listening:
    """At most one listener at a time.

    Args:
        port: None listens nowhere.
        addresses: where to listen; none means every address of both families.
        open_socket: makes a TCP socket of a family.
        on_connection: takes a connection and its remote address; False when it is not wanted.
        keys: the TCP MD5 keys (RFC 2385) that there are now.
    """

    def __init__(
        self,
        port: int | None,
        addresses: tuple[Address, ...],
        *,
        open_socket: Callable[[socket.AddressFamily], socket.socket],
        on_connection: Callable[[socket.socket, Address], bool],
        keys: Callable[[], Iterable[tuple[Address | Prefix, Password | None]]],
    ) -> None:
        self._where = (port, addresses)
        self._open_socket = open_socket
        self._on_connection = on_connection
        self._keys = keys
        self._listener = self._made()
        self._wanted = False
        self._spawn: Spawn | None = None
        self._task: asyncio.Task[None] | None = None
        self._refused_before = 0

    @property
    def refused(self) -> int:
        """How many connections were closed at once."""
        return self._refused_before + (0 if self._listener is None else self._listener.refused)

    def change(self, port: int | None, addresses: tuple[Address, ...]) -> None:
        """Listens elsewhere from now on.

        Raises:
            HostError: the port cannot be had; the old one stays.
        """
        if (port, addresses) == self._where:
            return
        before, self._where = self._where, (port, addresses)
        opened = self._made()
        same_port = port == before[0]
        if same_port:
            # The same port on other addresses: while the old sockets have it, there may be no new ones.
            self._retire()
        try:
            if opened is not None and self._wanted:
                self._open(opened)
        except HostError:
            self._where = before
            if same_port:
                self._listener = self._made()
                self.open()
            raise
        self._retire()
        self._listener = opened
        self._accept()

    def _made(self) -> Listener | None:
        port, addresses = self._where
        if port is None:
            return None
        return Listener(
            port=port,
            addresses=addresses,
            open_socket=self._open_socket,
            on_connection=self._on_connection,
        )

    def open(self) -> None:
        """Binds the sockets, here and wherever it changes to; a second call does nothing.

        Raises:
            HostError: an address or the port cannot be had, or the kernel has no TCP MD5.
        """
        self._wanted = True
        if self._listener is not None:
            self._open(self._listener)
        self._accept()

    def _open(self, listener: Listener) -> None:
        listener.open()
        try:
            for where, password in self._keys():
                listener.set_password(where, password)
        except HostError:
            listener.close()
            raise

    def begin(self, spawn: Spawn) -> None:
        """Accepts connections, as soon as the sockets are open; `spawn` runs what that needs."""
        self._spawn = spawn
        self._accept()

    def _accept(self) -> None:
        if self._spawn is not None and self._listener is not None and self._wanted and self._task is None:
            self._task = self._spawn(self._listener.run())

    def set_password(self, where: Address | Prefix, password: Password | None) -> None:
        """Asks connections from an address or a prefix for a signature, before they come; None for none.

        Raises:
            HostError: the kernel has no TCP MD5.
        """
        if self._listener is not None:
            self._listener.set_password(where, password)

    def _retire(self) -> None:
        """Closes the sockets at once, so that the port is free."""
        if self._listener is not None:
            self._refused_before += self._listener.refused
            self._listener.retire()
            self._listener = None
        self.stop()

    def stop(self) -> None:
        """Accepts nothing more."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def close(self) -> None:
        """The end: a task that was cancelled before its first turn has closed nothing."""
        self._spawn = self._task = None
        if self._listener is not None:
            self._listener.close()

"""The listening sockets: configured peers are let in, strangers are closed at once and counted.

Must not log: what a stranger can cause, at any rate, is a number.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv6Address

from speaker.bgp.sockopts import MAXIMUM_TTL, set_md5, set_ttl
from speaker.errors import HostError
from speaker.model.peer import Password
from speaker.model.prefix import Address, Prefix
from speaker.sockets import address_of, describe, socket_address, socket_family

_BACKLOG = 128
_ANY = (IPv4Address(0), IPv6Address(0))
_PAUSE_SECONDS = 0.1


class Listener:
    """Accepts connections on one port.

    Args:
        port: the TCP port.
        addresses: where to listen; none means every address of both families.
        open_socket: makes a TCP socket of a family.
        on_connection: takes a connection and its remote address; False when it is not wanted.
    """

    def __init__(
        self,
        *,
        port: int,
        addresses: Sequence[Address],
        open_socket: Callable[[socket.AddressFamily], socket.socket],
        on_connection: Callable[[socket.socket, Address], bool],
    ) -> None:
        self._port = port
        self._addresses = tuple(addresses)
        self._open_socket = open_socket
        self._on_connection = on_connection
        self._sockets: list[socket.socket] = []
        self.refused = 0

    def open(self) -> None:
        """Binds the sockets; a second call does nothing.

        Raises:
            HostError: an address or the port cannot be had.
        """
        if self._sockets:
            return
        try:
            for address in self._addresses or _ANY:
                self._listen(address)
        except HostError:
            self.close()
            raise

    def _listen(self, address: Address) -> None:
        try:
            sock = self._open_socket(socket_family(address))
        except OSError as error:
            if not self._addresses and address.version == 6:
                return  # a host without IPv6 listens on IPv4 alone
            raise HostError(f"cannot listen on {address}: {describe(error)}") from error
        self._sockets.append(sock)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if address.version == 6:
                # Each family has a socket of its own, so that MD5 keys need no mapped addresses.
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            # A peer with TTL security must accept our half of the handshake (RFC 5082 §3).
            set_ttl(sock, MAXIMUM_TTL)
            sock.bind(socket_address(address, self._port))
            sock.listen(_BACKLOG)
        except OSError as error:
            hint = " (it needs CAP_NET_BIND_SERVICE)" if isinstance(error, PermissionError) else ""
            raise HostError(
                f"cannot listen on {address} port {self._port}: {describe(error)}{hint}"
            ) from error

    def set_password(self, where: Address | Prefix, password: Password | None) -> None:
        """Asks connections from an address or a prefix for a signature, before they come; None for none.

        Raises:
            HostError: the kernel has no TCP MD5.
        """
        for sock in self._sockets:
            if sock.family == socket_family(where):
                try:
                    set_md5(sock, where, password)
                except OSError as error:
                    raise HostError(f"cannot set the TCP MD5 key of {where}: {describe(error)}") from error

    async def run(self) -> None:
        """Accepts until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                for sock in self._sockets:
                    tasks.create_task(self._accept(sock))
        finally:
            self.close()

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, name = await loop.sock_accept(listening)
            except OSError:
                # Out of descriptors, or the peer was gone again: nothing that ends the listening.
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            sock.setblocking(False)
            if not self._on_connection(sock, address_of(name)):
                self.refused += 1
                sock.close()
            # sock_accept does not yield while connections wait.
            await asyncio.sleep(0)

    def retire(self) -> None:
        """Stops listening while `run` waits for connections: the port is free when this returns.

        A closed socket that the event loop still watches would stand in the way of the next one, which
        may get its number.
        """
        loop = asyncio.get_running_loop()
        for sock in self._sockets:
            loop.remove_reader(sock)
        self.close()

    def close(self) -> None:
        """Stops listening."""
        for sock in self._sockets:
            with contextlib.suppress(OSError):
                sock.close()
        self._sockets.clear()

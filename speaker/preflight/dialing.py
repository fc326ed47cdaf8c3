"""One attempt to connect to a peer over TCP, and what became of it.

Knows how the kernel tells why a connection could not be: the socket's error, and the ICMP message behind it
(`IP_RECVERR`). Must not know what the answer means for BGP.
"""

import asyncio
import contextlib
import errno
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address

from speaker.bgp.sockopts import MAXIMUM_TTL, prepare, set_md5, set_ttl
from speaker.model.peer import Password, Peer
from speaker.model.prefix import Address
from speaker.sockets import describe, socket_address, socket_family

OpenSocket = Callable[[int, int, int], socket.socket]
"""Makes a socket of a family, kind and protocol, perhaps in another network namespace."""

# linux/in.h, linux/in6.h, linux/errqueue.h
_RECVERR = {socket.AF_INET: (socket.IPPROTO_IP, 11), socket.AF_INET6: (socket.IPPROTO_IPV6, 25)}
_LOWEST_TTL = {socket.AF_INET: (socket.IPPROTO_IP, 21), socket.AF_INET6: (socket.IPPROTO_IPV6, 73)}
_EXTENDED_ERROR = struct.Struct("=IBBBxII")
_ORIGINS = {2: 4, 3: 6}
_ALIVE_SECONDS = 1.0

# RFC 792, RFC 1812 §5.2.7.1, RFC 4443 §3: type and code, by IP version.
_ICMP = {
    (4, 3, 0): "network unreachable",
    (4, 3, 1): "host unreachable",
    (4, 3, 2): "protocol unreachable",
    (4, 3, 3): "port unreachable",
    (4, 3, 9): "network administratively prohibited",
    (4, 3, 10): "host administratively prohibited",
    (4, 3, 13): "communication administratively prohibited",
    (4, 11, 0): "TTL exceeded",
    (6, 1, 0): "no route to destination",
    (6, 1, 1): "communication administratively prohibited",
    (6, 1, 3): "address unreachable",
    (6, 1, 4): "port unreachable",
    (6, 1, 5): "source address failed ingress/egress policy",
    (6, 1, 6): "reject route to destination",
    (6, 3, 0): "hop limit exceeded",
}
_TIME_EXCEEDED = {(4, 11), (6, 3)}


class Answer(StrEnum):
    """What a SYN was answered with."""

    CONNECTED = "connected"
    REFUSED = "refused"
    """By a RST: the host is there, and nothing listens."""
    SILENT = "silent"
    UNREACHABLE = "unreachable"
    """By ICMP, or by nobody answering for the address on the link."""
    LOCAL = "local"
    """This host would not even try."""


@dataclass(frozen=True, slots=True)
class Icmp:
    """An ICMP error about our SYN; `sender` is who sent it."""

    version: int
    kind: int
    code: int
    sender: Address | None

    def __str__(self) -> str:
        words = _ICMP.get((self.version, self.kind, self.code), f"ICMP type {self.kind} code {self.code}")
        return f"{words}, says {self.sender}" if self.sender else words


@dataclass(frozen=True, slots=True)
class Attempt:
    """What became of one attempt; `sock` is open when it is `CONNECTED`, and the caller's to close."""

    answer: Answer
    words: str
    sock: socket.socket | None = None
    ttl_exceeded: bool = False

    @property
    def is_answered(self) -> bool:
        """Whether the peer's TCP has heard us."""
        return self.answer in (Answer.CONNECTED, Answer.REFUSED)

    def close(self) -> None:
        """Let go of the connection, if there is one."""
        if self.sock is not None:
            self.sock.close()


class Dialer:
    """Connects to one peer, as it is configured or with something left out.

    Args:
        peer: the peer; its `source`, if any, is bound.
        open_socket: makes sockets.
    """

    def __init__(self, peer: Peer, open_socket: OpenSocket) -> None:
        self.peer = peer
        self._open_socket = open_socket

    async def dial(
        self,
        seconds: float,
        *,
        ttl: int | None = None,
        with_password: bool = True,
        check_ttl: bool = True,
    ) -> Attempt:
        """One attempt.

        Args:
            seconds: how long to wait for an answer.
            ttl: the TTL to send with; None is as configured.
            with_password: sign, if there is a password.
            check_ttl: drop what arrives from further than TTL security permits.
        """
        peer = self.peer if check_ttl else replace(self.peer, ttl_security_hops=None)
        try:
            sock = self._open_socket(socket_family(peer.address), socket.SOCK_STREAM, 0)
        except OSError as error:
            return Attempt(Answer.LOCAL, describe(error))
        try:
            _set_options(sock, peer, self.peer.password if with_password else None)
            set_ttl(sock, self.peer.sending_ttl if ttl is None else ttl)
            if peer.source is not None:
                sock.bind(socket_address(peer.source, 0))
            async with asyncio.timeout(seconds):
                await asyncio.get_running_loop().sock_connect(sock, socket_address(peer.address, peer.port))
        except TimeoutError:
            # A subclass of OSError, and the kernel's own ETIMEDOUT means the same.
            sock.close()
            return Attempt(Answer.SILENT, "no answer")
        except OSError as error:
            icmp = _icmp_of(sock)
            sock.close()
            return _failed(error, icmp, self.peer)
        except BaseException:
            sock.close()
            raise
        return Attempt(Answer.CONNECTED, "connected", sock)

    async def is_alive(self) -> bool:
        """Whether the peer's host answers anything: an empty UDP datagram to a port where nobody listens."""
        sock = self._open_socket(socket_family(self.peer.address), socket.SOCK_DGRAM, 0)
        with sock:
            sock.setblocking(False)
            try:
                bind_to_interface(sock, self.peer)
                if self.peer.source is not None:
                    sock.bind(socket_address(self.peer.source, 0))
                sock.connect(socket_address(self.peer.address, self.peer.port))
                sock.send(b"")
                async with asyncio.timeout(_ALIVE_SECONDS):
                    await asyncio.get_running_loop().sock_recv(sock, 1)
            except ConnectionRefusedError:
                return True
            except OSError:
                return False
            return True


def lift_ttl_limits(sock: socket.socket) -> None:
    """Send with the largest TTL, and take what arrives with any; raises OSError."""
    set_ttl(sock, MAXIMUM_TTL)
    sock.setsockopt(*_LOWEST_TTL[socket.AddressFamily(sock.family)], 0)


def bind_to_interface(sock: socket.socket, peer: Peer) -> None:
    """Send over the peer's interface only; raises OSError."""
    if peer.interface is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, peer.interface.encode())


def _set_options(sock: socket.socket, peer: Peer, password: Password | None) -> None:
    sock.setblocking(False)
    prepare(sock, peer)
    bind_to_interface(sock, peer)
    with contextlib.suppress(OSError):
        sock.setsockopt(*_RECVERR[socket.AddressFamily(sock.family)], 1)
    if password is not None:
        set_md5(sock, peer.address, password)


def _icmp_of(sock: socket.socket) -> Icmp | None:
    """The ICMP error behind a socket's error, if there is one and the kernel keeps it."""
    try:
        _, control, _, _ = sock.recvmsg(1, 512, socket.MSG_ERRQUEUE)
    except OSError:
        return None
    for level, kind, data in control:
        if (level, kind) in _RECVERR.values() and len(data) >= _EXTENDED_ERROR.size:
            _, origin, icmp_kind, code, _, _ = _EXTENDED_ERROR.unpack_from(data)
            if origin in _ORIGINS:
                return Icmp(_ORIGINS[origin], icmp_kind, code, _sender(data[_EXTENDED_ERROR.size :]))
    return None


def _sender(sockaddr: bytes) -> Address | None:
    """The address in a struct sockaddr_in or sockaddr_in6."""
    family = int.from_bytes(sockaddr[:2], "little") if len(sockaddr) >= 2 else 0
    if family == socket.AF_INET and len(sockaddr) >= 8:
        return IPv4Address(sockaddr[4:8])
    if family == socket.AF_INET6 and len(sockaddr) >= 24:
        return IPv6Address(sockaddr[8:24])
    return None


def _failed(error: OSError, icmp: Icmp | None, peer: Peer) -> Attempt:
    if icmp is not None:
        exceeded = (icmp.version, icmp.kind) in _TIME_EXCEEDED
        return Attempt(Answer.UNREACHABLE, str(icmp), ttl_exceeded=exceeded)
    if isinstance(error, ConnectionRefusedError | ConnectionResetError):
        return Attempt(Answer.REFUSED, "connection refused")
    if error.errno in (errno.EHOSTUNREACH, errno.ETIMEDOUT):
        return Attempt(Answer.UNREACHABLE, f"{peer.address} cannot be reached: {describe(error)}")
    return Attempt(Answer.LOCAL, describe(error))

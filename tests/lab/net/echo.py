"""ICMP echo: whether an address answers a host, over how many hops, and which ones (RFC 792, RFC 4443).

The time to live of an answer tells how many routers it passed; a request with too small a one is
answered by the router where it ends. Knows packets and sockets of a host's namespace; knows nothing of
what the network should be.
"""

import asyncio
import itertools
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, IPv6Address

from speaker.model.prefix import Address
from speaker.sockets import socket_address
from tests.lab.net.host import Host

TTL = 64
"""What Linux sends with: an answer that has it passed no router."""

_ECHO = struct.Struct("!BBHHH")
_IPV6_HEADER_BYTES = 40
_RECEIVE_BYTES = 2048
_ANSWER_SECONDS = 0.5
_TRIES = 4
_MAX_HOPS = 16


class Outcome(Enum):
    """What became of an echo request."""

    REPLIED = "replied"
    EXPIRED = "expired"
    """A router on the way found its time to live used up."""
    UNREACHABLE = "unreachable"
    """A router on the way knows no further."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: who sent it, and the time to live that it had left."""

    outcome: Outcome
    source: Address
    ttl: int

    @property
    def hops(self) -> int | None:
        """How many routers a reply has passed; None for what is none."""
        return TTL - self.ttl if self.outcome is Outcome.REPLIED else None


_V4_TYPES = {0: Outcome.REPLIED, 11: Outcome.EXPIRED, 3: Outcome.UNREACHABLE}
_V6_TYPES = {129: Outcome.REPLIED, 3: Outcome.EXPIRED, 1: Outcome.UNREACHABLE}
_identifiers = itertools.count(os.getpid())


async def ping(
    host: Host,
    destination: Address,
    *,
    ttl: int = TTL,
    tries: int = _TRIES,
    within: float = _ANSWER_SECONDS,
) -> Answer | None:
    """What answers an echo request from the host; None when nothing does, however often it is asked.

    The first packets over a new way may be lost while neighbours are looked for: it is sent `tries`
    times, `within` seconds apart, until there is an answer.
    """
    with _asking(host, destination, ttl) as (sock, identifier):
        for sequence in range(1, tries + 1):
            try:
                sock.sendto(_request(destination, identifier, sequence), socket_address(destination, 0))
            except OSError:
                # The host itself has no route; it may yet get one.
                await asyncio.sleep(within)
                continue
            answer = await _answer(sock, identifier, within)
            if answer is not None:
                return answer
    return None


async def path(host: Host, destination: Address) -> tuple[Address | None, ...]:
    """Who answers at each hop from the host to the destination, which is the last one.

    None is a hop that stays silent. It ends where a router knows no further, and after 16 hops.
    """
    hops: list[Address | None] = []
    for ttl in range(1, _MAX_HOPS + 1):
        answer = await ping(host, destination, ttl=ttl)
        hops.append(None if answer is None else answer.source)
        if answer is not None and answer.outcome is not Outcome.EXPIRED:
            break
    return tuple(hops)


@contextmanager
def _asking(host: Host, destination: Address, ttl: int) -> Iterator[tuple[socket.socket, int]]:
    """A raw socket that hears all of the host's ICMP, and the identifier that tells ours from it."""
    if isinstance(destination, IPv4Address):
        sock = host.namespace.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
    else:
        sock = host.namespace.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, ttl)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
    with sock:
        sock.setblocking(False)
        yield sock, next(_identifiers) & 0xFFFF


def _request(destination: Address, identifier: int, sequence: int) -> bytes:
    if isinstance(destination, IPv6Address):
        # The kernel fills in the checksum, which covers a header that it makes.
        return _ECHO.pack(128, 0, 0, identifier, sequence)
    words = (8 << 8) + identifier + sequence
    return _ECHO.pack(8, 0, ~((words & 0xFFFF) + (words >> 16)) & 0xFFFF, identifier, sequence)


async def _answer(sock: socket.socket, identifier: int, within: float) -> Answer | None:
    readable = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(sock, readable.set)
    try:
        async with asyncio.timeout(within):
            while True:
                await readable.wait()
                readable.clear()
                answer = _read(sock, identifier)
                if answer is not None:
                    return answer
    except TimeoutError:
        return None
    finally:
        loop.remove_reader(sock)


def _read(sock: socket.socket, identifier: int) -> Answer | None:
    """The first answer to us among what has come; a raw socket hears everybody's."""
    while True:
        try:
            data, ancillary, _, source = sock.recvmsg(_RECEIVE_BYTES, socket.CMSG_SPACE(4))
        except BlockingIOError:
            return None
        if sock.family == socket.AF_INET:
            answer = _read_v4(data, identifier)
        else:
            hop_limit = next(struct.unpack("i", value)[0] for _, _, value in ancillary)
            answer = _read_v6(data, IPv6Address(source[0]), hop_limit, identifier)
        if answer is not None:
            return answer


def _read_v4(data: bytes, identifier: int) -> Answer | None:
    header = _v4_header_bytes(data)
    outcome = _V4_TYPES.get(data[header])
    message = data[header:]
    if outcome not in {Outcome.REPLIED, None}:
        # An error has the header that it is about, and the first bytes after it.
        message = message[_ECHO.size :]
        message = message[_v4_header_bytes(message) :]
    if outcome is None or not _is_ours(message, identifier):
        return None
    return Answer(outcome, IPv4Address(data[12:16]), data[8])


def _read_v6(data: bytes, source: IPv6Address, hop_limit: int, identifier: int) -> Answer | None:
    outcome = _V6_TYPES.get(data[0])
    message = data if outcome is Outcome.REPLIED else data[_ECHO.size + _IPV6_HEADER_BYTES :]
    if outcome is None or not _is_ours(message, identifier):
        return None
    return Answer(outcome, source, hop_limit)


def _v4_header_bytes(packet: bytes) -> int:
    return (packet[0] & 0x0F) * 4


def _is_ours(message: bytes, identifier: int) -> bool:
    return len(message) >= _ECHO.size and _ECHO.unpack_from(message)[3] == identifier

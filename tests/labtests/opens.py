"""What a router says first: its OPEN, read from the wire without any BGP implementation."""

import asyncio
import socket
import struct
from collections.abc import Iterator

from speaker.model.prefix import Address
from tests.lab.net.namespace import Namespace

_READ_SECONDS = 10.0
_HEADER = struct.Struct("!16sHB")
_OPEN = 1
_FIXED = 10
"""Octets from the version to the length of the optional parameters (RFC 4271 section 4.2)."""

_CAPABILITIES = 2

EXTENDED_NEXT_HOP, EXTENDED_MESSAGES, ROLE = 5, 6, 9
GRACEFUL_RESTART, ADD_PATH, ENHANCED_REFRESH, LONG_LIVED = 64, 69, 70, 71

Capabilities = dict[int, bytes]
"""Values by code; those that came several times, one after the other."""


async def offered(namespace: Namespace, router: Address, port: int = 179) -> Capabilities:
    """The capabilities in the OPEN that a router sends whoever connects from the namespace.

    Raises:
        ConnectionError: it closed the connection before that.
    """
    family = socket.AF_INET if router.version == 4 else socket.AF_INET6
    sock = namespace.socket(family)
    sock.setblocking(False)
    async with asyncio.timeout(_READ_SECONDS):
        await asyncio.get_running_loop().sock_connect(sock, (str(router), port))
        reader, writer = await asyncio.open_connection(sock=sock)
        try:
            _, length, kind = _HEADER.unpack(await reader.readexactly(_HEADER.size))
            body = await reader.readexactly(length - _HEADER.size)
        except asyncio.IncompleteReadError:
            raise ConnectionError("the router closed the connection before its OPEN") from None
        finally:
            writer.close()
            await writer.wait_closed()
    if kind != _OPEN:
        raise ConnectionError(f"the router sent a message of type {kind} before its OPEN")
    found: Capabilities = {}
    for parameter, content in _pairs(body[_FIXED:]):
        if parameter == _CAPABILITIES:
            for code, value in _pairs(content):
                found[code] = found.get(code, b"") + value
    return found


def _pairs(octets: bytes) -> Iterator[tuple[int, bytes]]:
    """A type, a length and a value, again and again."""
    while octets:
        kind, length = octets[:2]
        yield kind, octets[2 : 2 + length]
        octets = octets[2 + length :]

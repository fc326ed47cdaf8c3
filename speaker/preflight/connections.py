"""The TCP connections of this host that are established, asked of the kernel over sock_diag(7).

Knows struct inet_diag_req_v2 and struct inet_diag_msg (linux/inet_diag.h). Must not know BGP.
"""

import contextlib
import socket
import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from speaker.model.prefix import Address
from speaker.preflight.dialing import OpenSocket

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLM_F_REQUEST_DUMP = 0x301
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_ESTABLISHED = 1
_HEADER = struct.Struct("=IHHII")
_REQUEST = struct.Struct("=BBBxI48x")
# Family, state, two octets that do not matter, then the ports and addresses of inet_diag_sockid.
_ANSWER = struct.Struct("!BBBBHH16s16s")
_TIMEOUT_SECONDS = 2.0
_READ_SIZE = 65536


@dataclass(frozen=True, slots=True)
class Connected:
    """One established TCP connection."""

    local: Address
    local_port: int
    remote: Address
    remote_port: int


def established(open_socket: OpenSocket) -> tuple[Connected, ...]:
    """The established TCP connections of both families; none where the kernel does not tell."""
    found: list[Connected] = []
    for family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(OSError, struct.error):
            found += _dump(family, open_socket)
    return tuple(found)


def _dump(family: int, open_socket: OpenSocket) -> list[Connected]:
    request = _REQUEST.pack(family, socket.IPPROTO_TCP, 0, 1 << _ESTABLISHED)
    header = _HEADER.pack(_HEADER.size + len(request), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST_DUMP, 1, 0)
    found: list[Connected] = []
    with open_socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _NETLINK_SOCK_DIAG) as sock:
        sock.settimeout(_TIMEOUT_SECONDS)
        sock.sendto(header + request, (0, 0))
        while True:
            data = sock.recv(_READ_SIZE)
            while data:
                length, kind, *_ = _HEADER.unpack_from(data)
                if kind in (_NLMSG_ERROR, _NLMSG_DONE):
                    return found
                found.append(_connected(family, data[_HEADER.size : length]))
                # NLMSG_ALIGN: each message begins at a multiple of four octets.
                data = data[(length + 3) & ~3 :]


def _connected(family: int, message: bytes) -> Connected:
    _, _, _, _, local_port, remote_port, local, remote = _ANSWER.unpack_from(message)
    return Connected(_address(family, local), local_port, _address(family, remote), remote_port)


def _address(family: int, octets: bytes) -> Address:
    if family == socket.AF_INET:
        return IPv4Address(octets[:4])
    address = IPv6Address(octets)
    return address.ipv4_mapped or address

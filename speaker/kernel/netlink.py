"""Netlink sockets, and the framing of what comes out of them (netlink(7)).

The sockets are plain ones: they can belong to any network namespace, survive an overrun and never
fork. Knows nothing of what the messages mean.
"""

import errno
import socket
import struct
from collections.abc import Callable, Iterator

from speaker.errors import HostError

SocketFactory = Callable[[], socket.socket]
"""Gives a fresh, unbound NETLINK_ROUTE socket of the network namespace to look at."""

HEADER = struct.Struct("=IHHII")
"""nlmsghdr: length, type, flags, sequence, port."""
ATTRIBUTE = struct.Struct("=HH")
"""rtattr: length, type."""

_ATTRIBUTE_TYPE = 0x3FFF

_SOL_NETLINK = 270
_NETLINK_ADD_MEMBERSHIP = 1
# LINK, IPV4_IFADDR, IPV4_ROUTE, IPV4_RULE, IPV6_IFADDR, IPV6_ROUTE, IPV6_RULE, NEXTHOP. Links are
# among them because one that goes down takes its IPv4 routes along without a single RTM_DELROUTE.
_GROUPS = (1, 5, 7, 8, 9, 11, 19, 32)
_RECEIVE_BUFFER_BYTES = 1 << 20


def open_socket() -> socket.socket:
    """A NETLINK_ROUTE socket of this process's network namespace."""
    return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)


def open_monitor(factory: SocketFactory) -> socket.socket:
    """A non-blocking socket that becomes readable when links, addresses, routes or rules change.

    Raises:
        HostError: netlink is not there.
    """
    try:
        monitor = factory()
    except OSError as error:
        raise unavailable(error) from error
    try:
        # More room is fewer overruns; an overrun costs one more reading and loses nothing, so the
        # privileged option (SO_RCVBUFFORCE) is not worth a capability.
        monitor.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
        # Without an identity of its own a socket hears nothing: the kernel's is the same, zero.
        monitor.bind((0, 0))
        for group in _GROUPS:
            _join(monitor, group)
        monitor.setblocking(False)
    except OSError as error:
        monitor.close()
        raise unavailable(error) from error
    return monitor


def _join(monitor: socket.socket, group: int) -> None:
    try:
        monitor.setsockopt(_SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP, group)
    except OSError as error:
        # Kernels before 5.3 have no next hop objects, and so no group for them.
        if error.errno != errno.EINVAL:
            raise


def unavailable(error: OSError) -> HostError:
    """The sentence for a person whose sandbox has no netlink."""
    return HostError(f"cannot read this host's addresses and routes over netlink: {error.strerror or error}")


def frames(datagram: memoryview) -> Iterator[tuple[int, int, int, int, memoryview]]:
    """(type, flags, sequence, port, payload) of each message in one datagram; a damaged one ends it."""
    offset = 0
    while offset + HEADER.size <= len(datagram):
        length, message_type, flags, sequence, port = HEADER.unpack_from(datagram, offset)
        if length < HEADER.size or offset + length > len(datagram):
            return
        yield message_type, flags, sequence, port, datagram[offset + HEADER.size : offset + length]
        offset += (length + 3) & ~3


def messages(datagram: memoryview) -> Iterator[tuple[int, int, memoryview]]:
    """(type, flags, payload) of each message in one datagram; a damaged one ends it."""
    for message_type, flags, _, _, payload in frames(datagram):
        yield message_type, flags, payload


def attributes(payload: memoryview) -> Iterator[tuple[int, memoryview]]:
    """(type, value) of each attribute (rtattr) in a row of them; a damaged one ends it.

    The type is without the bits that tell nested and big-endian ones.
    """
    offset = 0
    while offset + ATTRIBUTE.size <= len(payload):
        length, kind = ATTRIBUTE.unpack_from(payload, offset)
        if length < ATTRIBUTE.size or offset + length > len(payload):
            return
        yield kind & _ATTRIBUTE_TYPE, payload[offset + ATTRIBUTE.size : offset + length]
        offset += (length + 3) & ~3

"""The way to a peer: its address, from where, over what, and whether routers may stand between.

Knows what RFC 5881 §4 and RFC 5883 §5 ask of sockets, and which of the two a BGP session calls for.
Must not know packets or states.
"""

import contextlib
import errno
import random
import socket
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from speaker.model.peer import Peer
from speaker.model.prefix import Address
from speaker.sockets import socket_address, socket_family

SINGLE_HOP_PORT = 3784
MULTIHOP_PORT = 4784

SINGLE_HOP_TTL = 255
"""What is sent with this TTL and arrives with it has met no router (RFC 5881 §5)."""

# "The source port MUST be in the range 49152 through 65535." (RFC 5881 §4)
_SOURCE_PORTS = (49152, 65535)
_ATTEMPTS = 20

# RFC 5881 has no word on it; every router sends as if it were routing (RFC 4271 Appendix E).
_INTERNETWORK_CONTROL = 0xC0

# linux/in.h; Python knows it from 3.14 on.
_IP_RECVTTL = 12

# Room for a second of everyone's packets, should the event loop stand still for as long.
_RECEIVE_BUFFER = 1 << 20

OpenSocket = Callable[[socket.AddressFamily], socket.socket]


def udp_socket(family: socket.AddressFamily) -> socket.socket:
    """A UDP socket in the network namespace of the process."""
    return socket.socket(family, socket.SOCK_DGRAM)


class Hops(Enum):
    """How far away a peer's BFD is."""

    ONE = "single hop"
    MANY = "multihop"
    EITHER = "as the peer has it"


@dataclass(frozen=True, slots=True)
class Path:
    """Where a session's packets go; two that are equal are one session.

    Attributes:
        address: the peer's.
        source: ours; None lets the kernel choose.
        interface: the only one to send over; None is any.
        hops: which of RFC 5881 and RFC 5883 is spoken.
    """

    address: Address
    source: Address | None
    interface: str | None
    hops: Hops

    @property
    def family(self) -> socket.AddressFamily:
        """AF_INET or AF_INET6."""
        return socket_family(self.address)


def path_to(peer: Peer) -> Path:
    """The way BFD takes to a configured peer."""
    return Path(peer.address, peer.source, peer.interface, _hops_to(peer))


def _hops_to(peer: Peer) -> Hops:
    """Single hop where BGP reaches no further, multihop where it is meant to.

    Within an AS routers do not agree: BIRD speaks multihop unless the session is `direct`, FRR unless the
    peer is on a connected network. There the peer's packets decide.
    """
    if peer.bfd is not None and peer.bfd.multihop is not None:
        return Hops.MANY if peer.bfd.multihop else Hops.ONE
    if peer.address.is_link_local:
        return Hops.ONE
    if peer.ttl_security_hops is not None:
        return Hops.ONE if peer.ttl_security_hops == 1 else Hops.MANY
    if peer.is_ibgp:
        return Hops.EITHER
    return Hops.MANY if peer.multihop_ttl > 1 else Hops.ONE


def port_of(*, multihop: bool) -> int:
    """The UDP port that control packets go to."""
    return MULTIHOP_PORT if multihop else SINGLE_HOP_PORT


def sending_socket(path: Path, *, multihop: bool, port: int | None, open_socket: OpenSocket) -> socket.socket:
    """A connected socket that never blocks, with `port` as its source port if that can be had.

    Raises:
        OSError: there is no way to the peer now, the source is not ours, or all ports are taken.
    """
    sock = open_socket(path.family)
    try:
        sock.setblocking(False)
        if path.interface is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, path.interface.encode() + b"\0")
        # Multihop peers may demand the full TTL too: FRR takes a packet by how many hops it has come.
        if path.family == socket.AF_INET:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, SINGLE_HOP_TTL)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, _INTERNETWORK_CONTROL)
        else:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, SINGLE_HOP_TTL)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, _INTERNETWORK_CONTROL)
        _bind(sock, path, port)
        sock.connect(socket_address(path.address, port_of(multihop=multihop)))
    except OSError:
        sock.close()
        raise
    return sock


def _bind(sock: socket.socket, path: Path, port: int | None) -> None:
    """Takes a source port of the range; the kernel sees to it that no other socket here has it."""
    for attempt in range(_ATTEMPTS):
        # Where the ports begin is no secret: what is told by them is told by every packet.
        chosen = port if port is not None and attempt == 0 else random.randint(*_SOURCE_PORTS)  # noqa: S311
        try:
            sock.bind(_source(path, chosen))
        except OSError as error:
            if attempt + 1 < _ATTEMPTS and error.errno == errno.EADDRINUSE:
                continue
            raise
        return


def _source(path: Path, port: int) -> tuple[str, int] | tuple[str, int, int, int]:
    if path.source is not None:
        return socket_address(path.source, port)
    return ("0.0.0.0", port) if path.family == socket.AF_INET else ("::", port)  # noqa: S104


def receiving_socket(address: Address, port: int, open_socket: OpenSocket) -> socket.socket:
    """A socket bound to `address` that tells the TTL of what it receives.

    Raises:
        OSError: the port or the address cannot be had.
    """
    sock = open_socket(socket_family(address))
    try:
        sock.setblocking(False)
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        if address.version == 4:
            sock.setsockopt(socket.IPPROTO_IP, _IP_RECVTTL, 1)
        else:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
        # Without SO_REUSEADDR: it would let another BFD daemon take our packets, or us take its.
        sock.bind(socket_address(address, port))
    except OSError:
        sock.close()
        raise
    return sock

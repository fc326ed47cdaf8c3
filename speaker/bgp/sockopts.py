"""Socket options that BGP needs: TCP MD5, TTL and its security, and what is unacknowledged.

Knows Linux numbers that Python does not export. Must not know sessions.

Supported standards: RFC 2385 (TCP MD5), RFC 5082 (GTSM).
"""

import contextlib
import fcntl
import socket
import struct
from ipaddress import IPv4Network, IPv6Address, IPv6Network

from speaker.model.peer import Password, Peer
from speaker.model.prefix import Address, Prefix
from speaker.sockets import socket_address

# linux/tcp.h, linux/in.h, linux/in6.h, asm-generic/ioctls.h
_TCP_MD5SIG = 14
_TCP_MD5SIG_EXT = 32
_TCP_MD5SIG_FLAG_PREFIX = 1
_TCP_MD5SIG_MAXKEYLEN = 80
_IP_MINTTL = 21
_IPV6_MINHOPCOUNT = 73
_SIOCOUTQ = 0x5411

# RFC 4271 Appendix E: "BGP [...] set IP precedence [...] Internetwork Control".
_INTERNETWORK_CONTROL = 0xC0
MAXIMUM_TTL = 255


def prepare(sock: socket.socket, peer: Peer) -> None:
    """Options of a connection to `peer`, dialled or accepted.

    Raises:
        OSError: the kernel refuses one of them.
    """
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    _set(sock, (socket.IP_TOS, _INTERNETWORK_CONTROL), (socket.IPV6_TCLASS, _INTERNETWORK_CONTROL))
    set_ttl(sock, peer.sending_ttl)
    if peer.interface is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, peer.interface.encode() + b"\0")
    if peer.ttl_security_hops is not None:
        # RFC 5082 §3: what comes from within n hops arrives with a TTL of at least 256 - n.
        lowest = 256 - peer.ttl_security_hops
        _set(sock, (_IP_MINTTL, lowest), (_IPV6_MINHOPCOUNT, lowest))


def set_ttl(sock: socket.socket, ttl: int) -> None:
    """The TTL or hop limit of what is sent."""
    _set(sock, (socket.IP_TTL, ttl), (socket.IPV6_UNICAST_HOPS, ttl))


def _set(sock: socket.socket, ipv4: tuple[int, int], ipv6: tuple[int, int]) -> None:
    if sock.family == socket.AF_INET:
        sock.setsockopt(socket.IPPROTO_IP, *ipv4)
    else:
        sock.setsockopt(socket.IPPROTO_IPV6, *ipv6)


def set_md5(sock: socket.socket, where: Address | Prefix, password: Password | None) -> None:
    """Signs what goes to and comes from an address or a prefix (RFC 2385); None takes the key away.

    On a listening socket the key must be there before the peer connects, and the accepted socket
    inherits it.

    Raises:
        OSError: the kernel has no TCP MD5, or the socket may not have a key.
    """
    key = b"" if password is None else password.reveal().encode()[:_TCP_MD5SIG_MAXKEYLEN]
    # struct tcp_md5sig: a sockaddr_storage, flags, prefix length, key length, interface, key.
    if isinstance(where, IPv4Network | IPv6Network):
        name, address = _TCP_MD5SIG_EXT, where.network_address
        flags, length = _TCP_MD5SIG_FLAG_PREFIX, where.prefixlen
    else:
        name, address, flags, length = _TCP_MD5SIG, where, 0, 0
    option = _sockaddr_storage(sock.family, address) + struct.pack(
        f"=BBHi{_TCP_MD5SIG_MAXKEYLEN}s", flags, length, len(key), 0, key
    )
    # Taking away a key that is not there is an error of the kernel's, and no fault of ours.
    with contextlib.suppress(FileNotFoundError) if password is None else contextlib.nullcontext():
        sock.setsockopt(socket.IPPROTO_TCP, name, option)


def _sockaddr_storage(family: int, address: Address) -> bytes:
    if family == socket.AF_INET:
        return struct.pack("=H2x4s120x", socket.AF_INET, address.packed)
    # An IPv6 socket that also serves IPv4 knows such a peer by its mapped address.
    packed = address.packed if address.version == 6 else b"\0" * 10 + b"\xff\xff" + address.packed
    scope = 0
    if isinstance(address, IPv6Address) and address.scope_id:
        scope = int(socket_address(address, 0)[-1])
    return struct.pack("=H2xI16sI100x", socket.AF_INET6, 0, packed, scope)


def unacknowledged(sock: socket.socket) -> int:
    """How many octets the peer's TCP has not acknowledged yet."""
    answer = fcntl.ioctl(sock.fileno(), _SIOCOUTQ, b"\0" * 4)
    return int(struct.unpack("=i", answer)[0])

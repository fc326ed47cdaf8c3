"""Addresses as sockets take and give them, and a socket's errors in words.

Knows scopes of link-local addresses. Must not know protocols.
"""

import errno
import os
import socket
from ipaddress import IPv4Address, IPv6Address, ip_address

from speaker.model.prefix import Address, Prefix


def socket_family(address: Address | Prefix) -> socket.AddressFamily:
    """AF_INET or AF_INET6."""
    return socket.AF_INET if address.version == 4 else socket.AF_INET6


def socket_address(address: Address, port: int) -> tuple[str, int] | tuple[str, int, int, int]:
    """What `bind` and `connect` take; a link-local address carries its interface as a scope."""
    if isinstance(address, IPv6Address) and address.scope_id:
        scope = address.scope_id
        index = int(scope) if scope.isdecimal() else socket.if_nametoindex(scope)
        return (str(IPv6Address(int(address))), port, 0, index)
    return (str(address), port)


def same_host(one: Address, other: Address) -> bool:
    """Whether two addresses are one, however the interface of a link-local one is written."""
    if int(one) != int(other) or one.version != other.version:
        return False
    try:
        return socket_address(one, 0) == socket_address(other, 0)
    except OSError:
        return False


def address_of(name: tuple[object, ...]) -> Address:
    """The address in what `getpeername` and `getsockname` give; IPv4-mapped ones are IPv4."""
    address = ip_address(str(name[0]))
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.is_link_local and address.scope_id is None and len(name) == 4 and name[3]:
        return IPv6Address(f"{address}%{_interface(int(str(name[3])))}")
    return address


def _interface(index: int) -> str:
    """The interface's name; its number when it is none of ours (in another network namespace) or gone."""
    try:
        return socket.if_indextoname(index)
    except OSError:
        return str(index)


def describe(error: OSError) -> str:
    """The system's words for an error, without its number."""
    if error.errno is None or error.errno not in errno.errorcode:
        return str(error) or type(error).__name__
    return os.strerror(error.errno).lower()

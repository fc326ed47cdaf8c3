"""IP prefixes and address families: the one place that orders and classifies them."""

from collections.abc import Iterator
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Address = IPv4Address | IPv6Address
Prefix = IPv4Network | IPv6Network


class Family(StrEnum):
    """An address family with SAFI unicast (RFC 4760): AFI 1 or 2, SAFI 1."""

    IPV4 = "ipv4"
    IPV6 = "ipv6"


def family_of(value: Address | Prefix) -> Family:
    """The family an address or a prefix belongs to."""
    return Family.IPV4 if value.version == 4 else Family.IPV6


class _Lean:
    """What the lean prefixes of both families have in common.

    A lean prefix is equal to one made the usual way, in a third of the memory. Tables look a prefix up a
    dozen times for each change, and `ipaddress` computes its hash in Python each time; it also gives every
    instance a dictionary, and each host prefix a function of its own. Made the usual way, as the base
    classes make supernets, it is one all the same.
    """

    __slots__ = ()

    _hash: int
    _prefixlen: int

    def __hash__(self) -> int:
        return self._hash

    def __reduce__(self) -> tuple[object, ...]:
        address: Address = self.network_address  # type: ignore[attr-defined]
        make = ipv4_prefix if isinstance(address, IPv4Address) else ipv6_prefix
        return make, (address, self._prefixlen)


class _Lean4(_Lean, IPv4Network):
    __slots__ = ("_hash", "_prefixlen", "netmask", "network_address")

    __hash__ = _Lean.__hash__

    def __init__(self, address: object, strict: bool = True) -> None:  # noqa: FBT001, FBT002 - the base's
        super().__init__(address, strict)
        self._hash = IPv4Network.__hash__(self)

    def __repr__(self) -> str:
        return f"IPv4Network({str(self)!r})"

    def hosts(self) -> Iterator[IPv4Address]:
        """As of the base class, which gives the shortest networks functions of their own."""
        return iter(super().hosts() if self._prefixlen < 31 else self)


class _Lean6(_Lean, IPv6Network):
    __slots__ = ("_hash", "_prefixlen", "netmask", "network_address")

    __hash__ = _Lean.__hash__

    def __init__(self, address: object, strict: bool = True) -> None:  # noqa: FBT001, FBT002 - the base's
        super().__init__(address, strict)
        self._hash = IPv6Network.__hash__(self)

    def __repr__(self) -> str:
        return f"IPv6Network({str(self)!r})"

    def hosts(self) -> Iterator[IPv6Address]:
        """As of the base class, which gives the shortest networks functions of their own."""
        return iter(super().hosts() if self._prefixlen < 127 else self)


_MASKS4 = tuple(IPv4Network((0, length)).netmask for length in range(33))
_MASK_BITS4 = tuple(int(mask) for mask in _MASKS4)
_MASKS6 = tuple(IPv6Network((0, length)).netmask for length in range(129))
_MASK_BITS6 = tuple(int(mask) for mask in _MASKS6)


def ipv4_prefix(address: IPv4Address, length: int) -> IPv4Network:
    """The prefix of this length; bits of the address past it must be zero, which is not checked."""
    made = _Lean4.__new__(_Lean4)
    made.network_address = address
    made.netmask = _MASKS4[length]
    made._prefixlen = length  # noqa: SLF001
    made._hash = int(address) ^ _MASK_BITS4[length]  # noqa: SLF001
    return made


def ipv6_prefix(address: IPv6Address, length: int) -> IPv6Network:
    """The same of IPv6; an address with a scope has none here."""
    made = _Lean6.__new__(_Lean6)
    number = int(address)
    made.network_address = address if address.scope_id is None else IPv6Address(number)
    made.netmask = _MASKS6[length]
    made._prefixlen = length  # noqa: SLF001
    made._hash = hash(number ^ _MASK_BITS6[length])  # noqa: SLF001
    return made


def host_prefix(address: Address) -> Prefix:
    """The /32 or /128 that holds only `address` (a scope such as `%eth0` is dropped)."""
    if isinstance(address, IPv4Address):
        return ipv4_prefix(address, 32)
    return ipv6_prefix(address, 128)


def sort_key(prefix: Prefix) -> tuple[int, int, int]:
    """A total order over both families: IPv4 first, then by network, then shorter first.

    `ipaddress` refuses to compare the two families, so every ordering goes through here.
    """
    return (prefix.version, int(prefix.network_address), prefix.prefixlen)

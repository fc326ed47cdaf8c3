"""IP prefixes and address families: the one place that orders and classifies them."""

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


def host_prefix(address: Address) -> Prefix:
    """The /32 or /128 that holds only `address` (a scope such as `%eth0` is dropped)."""
    if isinstance(address, IPv4Address):
        return IPv4Network(int(address))
    return IPv6Network(int(address))


def sort_key(prefix: Prefix) -> tuple[int, int, int]:
    """A total order over both families: IPv4 first, then by network, then shorter first.

    `ipaddress` refuses to compare the two families, so every ordering goes through here.
    """
    return (prefix.version, int(prefix.network_address), prefix.prefixlen)

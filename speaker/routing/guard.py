"""Which prefixes are never advertised, whoever asks.

Works on integers: a host route is checked in about a microsecond, since every one passes here.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_network

from speaker.model.prefix import Address, Prefix, host_prefix
from speaker.model.publication import ExclusionReason

_SHORTEST = {4: 8, 6: 16}
"""Shorter prefixes are more than a cluster owns, unless --allowed-prefix covers them."""

RESERVED = (
    ("0.0.0.0/8", "this network (RFC 1122 §3.2.1.3)"),
    ("127.0.0.0/8", "loopback"),
    ("169.254.0.0/16", "link-local (RFC 3927)"),
    ("224.0.0.0/4", "multicast"),
    ("255.255.255.255/32", "the limited broadcast address"),
    ("::/128", "the unspecified address"),
    ("::1/128", "loopback"),
    ("::ffff:0:0/96", "IPv4-mapped addresses (RFC 4291 §2.5.5.2)"),
    ("fe80::/10", "link-local (RFC 4291 §2.5.6)"),
    ("ff00::/8", "multicast"),
)
"""What is neither advertised nor learned, and what it is."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a prefix is refused, with the values that explain it."""

    reason: ExclusionReason
    detail: str = ""


@dataclass(frozen=True, slots=True)
class _Range:
    first: int
    last: int
    name: str


def _range(prefix: Prefix, name: str = "") -> _Range:
    first = int(prefix.network_address)
    return _Range(first, first + (1 << (prefix.max_prefixlen - prefix.prefixlen)) - 1, name)


def _ranges(prefixes: Iterable[tuple[Prefix, str]]) -> dict[int, tuple[_Range, ...]]:
    found: dict[int, list[_Range]] = {4: [], 6: []}
    for prefix, name in prefixes:
        found[prefix.version].append(_range(prefix, name))
    return {version: tuple(ranges) for version, ranges in found.items()}


_RESERVED_RANGES = _ranges((ip_network(text), name) for text, name in RESERVED)

_HARMLESS4 = frozenset(range(256)) - {
    octet for each in _RESERVED_RANGES[4] for octet in range(each.first >> 24, (each.last >> 24) + 1)
}
"""The first octets of IPv4 addresses of which none is reserved."""


class Guard:
    """The refusals that follow from the flags and the peers.

    Args:
        allowed: `--allowed-prefix`; empty allows all that is not reserved.
        peer_addresses: whose host routes would draw a session's own packets away.
    """

    def __init__(self, allowed: Iterable[Prefix], peer_addresses: Iterable[Address] = ()) -> None:
        self._allowed = _ranges((prefix, str(prefix)) for prefix in allowed)
        self._limited = any(self._allowed.values())
        self._harmless4 = frozenset() if self._limited else _HARMLESS4
        self.peer_hosts = frozenset(host_prefix(address) for address in peer_addresses)

    def refuse(self, prefix: Prefix) -> Refusal | None:
        """Why `prefix` is never advertised, or None."""
        first = int(prefix.network_address)
        if first >> 24 in self._harmless4 and prefix.version == 4 and prefix.prefixlen >= 8:
            # Nearly every prefix there is: all of its addresses have the same first octet.
            return self._peer_host(prefix) if prefix in self.peer_hosts else None
        last = first if prefix.prefixlen == prefix.max_prefixlen else _range(prefix).last
        allowed = any(each.first <= first and last <= each.last for each in self._allowed[prefix.version])
        return self._reserved(prefix, first, last, allowed=allowed) or (
            Refusal(ExclusionReason.PREFIX_NOT_ALLOWED) if self._limited and not allowed else None
        )

    def _reserved(self, prefix: Prefix, first: int, last: int, *, allowed: bool) -> Refusal | None:
        if prefix.prefixlen == 0:
            return Refusal(ExclusionReason.PREFIX_RESERVED, "the default route")
        for each in _RESERVED_RANGES[prefix.version]:
            if each.first <= first and last <= each.last:
                return Refusal(ExclusionReason.PREFIX_RESERVED, each.name)
        if prefix.prefixlen < _SHORTEST[prefix.version] and not allowed:
            return Refusal(ExclusionReason.PREFIX_RESERVED, f"shorter than /{_SHORTEST[prefix.version]}")
        return self._peer_host(prefix)

    def _peer_host(self, prefix: Prefix) -> Refusal | None:
        if prefix in self.peer_hosts:
            return Refusal(ExclusionReason.PREFIX_RESERVED, "a peer's own address")
        return None

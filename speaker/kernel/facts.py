"""What is known of this host's network, as one value that changes whole."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from speaker.model.prefix import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts:
    """This host as the kernel last described it.

    Attributes:
        addresses: the local addresses that can be used now (an IPv6 address whose duplicate
            detection has not ended, or failed, is not among them), without scope.
        sources: peer name to the source address that the kernel would choose toward it; a peer
            without a route is absent.
        boot_time_seconds: when this host booted, seconds since the epoch, as reckoned once at start.
    """

    addresses: frozenset[Address] = frozenset()
    sources: Mapping[str, Address] = field(default_factory=lambda: MappingProxyType({}))
    boot_time_seconds: float = 0.0


def uptime_seconds() -> float:
    """How long this host has run, suspended time included: what lived in its kernel is no older."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)

"""Capabilities that exabgp does not know, as classes of its kind, registered with its decoder.

Each has `extract` (the values to send) and `unpack_capability` (called once for each value received, with
the instance that earlier values have filled).

Supported standards: RFC 9234 §4.1 (role), RFC 9494 §3 (long-lived graceful restart).
"""

# ruff: noqa: ANN401 -- exabgp ships no types; its objects go no further than the codec.

import struct
from collections.abc import Iterable
from typing import Any

from speaker.bgp import exabgp_classes as exabgp
from speaker.bgp.messages import AFI_SAFI, FAMILY_OF_AFI_SAFI, LongLived

ROLE = 9
LONG_LIVED = 71
_LONG_LIVED_FORWARDING = 0x80


@exabgp.Capability.register(ROLE)
class RoleCapability(exabgp.Capability):  # type: ignore[misc]  # exabgp ships no types
    """The role of a speaker; `values` has each that was sent."""

    ID = ROLE

    def __init__(self, value: int | None = None) -> None:
        self.values: set[int] = set() if value is None else {value}

    def extract(self) -> list[bytes]:
        """One octet for each value."""
        return [bytes((value,)) for value in sorted(self.values)]

    @staticmethod
    def unpack_capability(instance: Any, data: bytes, _capability: int | None = None) -> Any:
        """Adds a value; a capability of another length than one octet says nothing (RFC 9234 §4.1)."""
        if len(data) == 1:
            instance.values.add(data[0])
        return instance


@exabgp.Capability.register(LONG_LIVED)
class LongLivedCapability(exabgp.Capability):  # type: ignore[misc]  # exabgp ships no types
    """The families whose routes may be kept for long."""

    ID = LONG_LIVED

    def __init__(self, entries: Iterable[LongLived] = ()) -> None:
        self.entries = tuple(entries)

    def extract(self) -> list[bytes]:
        """Seven octets for each family: AFI, SAFI, flags, and a time of three octets."""
        return [b"".join(_pack_long_lived(entry) for entry in self.entries)]

    @staticmethod
    def unpack_capability(instance: Any, data: bytes, _capability: int | None = None) -> Any:
        """Reads the families that are ours; what is too short for a family is left out."""
        found = []
        for position in range(0, len(data) - 6, 7):
            afi, safi, flags = struct.unpack_from("!HBB", data, position)
            family = FAMILY_OF_AFI_SAFI.get((afi, safi))
            if family is not None:
                seconds = int.from_bytes(data[position + 4 : position + 7])
                found.append(LongLived(family, bool(flags & _LONG_LIVED_FORWARDING), seconds))
        # RFC 9494 §3.1 speaks of one instance: of several the last holds, as in RFC 4724 §3.
        instance.entries = tuple(found)
        return instance


def _pack_long_lived(entry: LongLived) -> bytes:
    afi, safi = AFI_SAFI[entry.family]
    flags = _LONG_LIVED_FORWARDING if entry.preserved else 0
    return struct.pack("!HBB", afi, safi, flags) + entry.stale_seconds.to_bytes(3)

"""What the kernel has where our routes go, ours and others', and what is to be done about each prefix.

Ours is what bears our protocol number in our table. Pure: the writing is done elsewhere.
"""

from collections.abc import Mapping
from enum import Enum, auto
from types import MappingProxyType

from speaker.kernel.routes import Entry, KernelRoute, Place
from speaker.model.prefix import Prefix


class Act(Enum):
    """What is to be done about a prefix."""

    NOTHING = auto()
    ADD = auto()
    REPLACE = auto()
    REMOVE = auto()
    CONFLICT = auto()
    """Another program's route is where ours should be."""


class Owned:
    """The kernel's routes in our place, as they were read and as we have changed them since."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._ours: dict[Prefix, Entry | None] = {}
        self._doubled: set[Prefix] = set()
        self._others: dict[Prefix, int] = {}
        self._strays: set[tuple[Prefix, int]] = set()

    @property
    def ours(self) -> Mapping[Prefix, Entry | None]:
        """Our routes; None is one that somebody changed into what we never write."""
        return MappingProxyType(self._ours)

    @property
    def strays(self) -> frozenset[tuple[Prefix, int]]:
        """Our routes with another metric than ours, from an earlier configuration: prefix and metric."""
        return frozenset(self._strays)

    def take(self, route: KernelRoute) -> None:
        """Take in a route that was read; others' are remembered only where ours would stand."""
        place = self._place
        if route.table != place.table:
            return
        ours = route.protocol == place.protocol
        if route.metric != place.metric_of(route.prefix) or route.tos:
            if ours and not route.tos:
                self._strays.add((route.prefix, route.metric))
            return
        if not ours:
            self._others.setdefault(route.prefix, route.protocol)
        elif self._ours.setdefault(route.prefix, route.entry) is not route.entry:
            # A second one, which somebody appended; IPv4 allows it.
            self._doubled.add(route.prefix)
            self._ours[route.prefix] = None

    def other(self, prefix: Prefix) -> int | None:
        """The protocol number of the route that is in our place."""
        return self._others.get(prefix)

    @property
    def others(self) -> Mapping[Prefix, int]:
        """The protocol numbers of the routes that are where ours would be."""
        return MappingProxyType(self._others)

    def act(self, prefix: Prefix, entry: Entry | None, *, may_remove: bool) -> Act:
        """What is to be done so that `entry`, or nothing, is what we have there.

        Args:
            prefix: the destination.
            entry: what is wanted there.
            may_remove: whether what nobody wants goes.
        """
        present = prefix in self._ours
        if entry is None:
            return Act.REMOVE if present and may_remove else Act.NOTHING
        if prefix in self._doubled:
            # A replacement that equals the second one would be refused.
            return Act.REMOVE
        if present and self._ours[prefix] == entry:
            return Act.NOTHING
        if prefix not in self._others:
            return Act.REPLACE if present else Act.ADD
        # A replacement would hit the first of the two, which may be theirs.
        return Act.REMOVE if present else Act.CONFLICT

    def done(self, prefix: Prefix, entry: Entry | None) -> None:
        """Our route to `prefix` is this one now, or none."""
        self._doubled.discard(prefix)
        if entry is None:
            self._ours.pop(prefix, None)
        else:
            self._ours[prefix] = entry

    def stray_gone(self, stray: tuple[Prefix, int]) -> None:
        """A stray has been removed."""
        self._strays.discard(stray)


_NAMES = MappingProxyType(
    {
        0: "unspec",
        1: "redirect",
        2: "kernel",
        3: "boot",
        4: "static",
        9: "ra",
        11: "zebra",
        12: "bird",
        16: "dhcp",
        18: "keepalived",
        42: "babel",
        80: "calico",
        186: "bgp",
        187: "isis",
        188: "ospf",
        189: "rip",
        192: "eigrp",
    }
)
"""Names of protocols (RTPROT_*, Calico's default): an image has no file of them."""


def owner(protocol: int) -> str:
    """Whose routes bear this protocol number, as `ip route` prints it where it can."""
    name = _NAMES.get(protocol)
    return f"proto {protocol}" if name is None else f"proto {name}"

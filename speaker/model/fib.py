"""How this host reaches next hops, and what it should forward by (RFC 4271 §9.1.2.1, §9.1.3)."""

from dataclasses import dataclass

from speaker.model.prefix import Address


@dataclass(frozen=True, slots=True, order=True)
class Hop:
    """Where a packet goes first.

    Attributes:
        interface: the index of the network interface.
        gateway: the neighbour on that link; None when the destination itself is on it.
        onlink: no route says that the gateway is a neighbour: the kernel has to be told.
    """

    interface: int
    gateway: Address | None = None
    onlink: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """What the kernel's own routes (never those that were learned over BGP) say of a next hop.

    Attributes:
        hops: where packets toward it go first, several with ECMP; none when it is unreachable.
        on_link: it is a neighbour: no router stands between.
        by_default: only a default route leads there.
    """

    hops: tuple[Hop, ...] = ()
    on_link: bool = False
    by_default: bool = False

    @property
    def is_reachable(self) -> bool:
        """Whether a route over it may be chosen."""
        return bool(self.hops)


UNREACHABLE = Resolution()

"""What a router is told, as values: the same for every daemon, which each driver renders in its own words."""

from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

from speaker.model.prefix import Address, Family, Prefix


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbor:
    """One configured peer (`where` is an address) or all that call from a range (`where` is a prefix)."""

    where: Address | Prefix
    asn: int
    password: str | None = field(default=None, repr=False)
    passive: bool = False
    ttl_security: bool = False
    multihop: bool = False
    rr_client: bool = False
    bfd: bool = False
    port: int | None = None
    """Where the peer listens, if not at the router's own port. FRR and BIRD know it of addresses only."""
    local_address: Address | None = None
    add_path_rx: bool = False
    extended_next_hop: bool = False
    """Take IPv4 prefixes with IPv6 next hops (RFC 8950)."""
    families: tuple[Family, ...] | None = None
    """What to offer it, if not all families of the router."""

    @property
    def is_range(self) -> bool:
        """Whether it accepts whoever calls from a prefix, and never calls itself."""
        return not hasattr(self.where, "packed")


def neighbor(where: str, asn: int, **options: Any) -> Neighbor:
    """A neighbor at an address, or a range of them if `where` has a slash."""
    place = ip_network(where) if "/" in where else ip_address(where)
    return Neighbor(where=place, asn=asn, **options)


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterConfig:
    """One router. Times are whole seconds, as RFC 4271 and RFC 4724 have them."""

    asn: int
    router_id: str
    neighbors: tuple[Neighbor, ...] = ()
    hold_seconds: int = 9
    keepalive_seconds: int = 3
    graceful_restart: bool = True
    """Help a restarting peer (RFC 4724), and advertise `restart_seconds` as one's own restart time."""
    restart_seconds: int = 30
    families: tuple[Family, ...] = (Family.IPV4, Family.IPV6)
    port: int = 179
    listen: tuple[Address, ...] = ()
    """Listen at these addresses only; at all if empty."""
    next_hop_self: bool = True
    originate: tuple[Prefix, ...] = ()
    """Prefixes the router itself announces to all its peers."""
    cluster_id: str | None = None
    max_paths: int = 16

    def families_of(self, each: Neighbor) -> tuple[Family, ...]:
        """The families offered to a neighbor."""
        return self.families if each.families is None else each.families

    @property
    def ranges(self) -> tuple[Neighbor, ...]:
        """The neighbors that are ranges."""
        return tuple(each for each in self.neighbors if each.is_range)

    @property
    def addresses(self) -> tuple[Neighbor, ...]:
        """The neighbors that are single addresses."""
        return tuple(each for each in self.neighbors if not each.is_range)


def tor_config(*, asn: int = 65030, node_asn: int = 65000, number: int = 1, **options: Any) -> RouterConfig:
    """A top-of-rack router of `tests.lab.net.topology`: it accepts every node below it, on both families."""
    return RouterConfig(
        asn=asn,
        router_id=f"192.168.50.{number}",
        neighbors=(
            neighbor(f"172.{29 + number}.0.0/16", node_asn, passive=True),
            neighbor(f"fd00:{29 + number}::/32", node_asn, passive=True),
        ),
        **options,
    )

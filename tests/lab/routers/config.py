"""What a router is told, as values: the same for every daemon, which each driver renders in its own words."""

from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

from speaker.model.peer import Role
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
    interface: str | None = None
    """The device a range of link-local addresses is on; a single one has it for its scope."""
    extended_messages: bool = False
    """Offer messages of up to 65535 octets (RFC 8654); FRR always does."""
    enhanced_refresh: bool = False
    """Offer RFC 7313; BIRD and FRR always do."""
    role: Role | None = None
    """The router's own role (RFC 9234)."""
    role_strict: bool = False
    """Refuse a peer that does not tell its role."""
    add_path_tx: bool = False
    """Send all paths to a prefix (RFC 7911)."""
    max_prefixes: int | None = None
    """End the session when the peer sends more prefixes of one family. FRR lets one more pass."""
    bfd_milliseconds: int = 100
    bfd_multiplier: int = 3
    bfd_graceful: bool = False
    """Take BFD's news for the beginning of a graceful restart. BIRD only."""

    @property
    def is_range(self) -> bool:
        """Whether it accepts whoever calls from a prefix, and never calls itself."""
        return not hasattr(self.where, "packed")

    @property
    def device(self) -> str | None:
        """The device that its link-local addresses are on; None for other addresses."""
        return self.interface or getattr(self.where, "scope_id", None)

    @property
    def unscoped(self) -> Address | Prefix:
        """`where` without a scope."""
        return unscoped(self.where) if isinstance(self.where, IPv6Address) else self.where


def unscoped(address: Address) -> Address:
    """The address without a scope, as it stands in packets."""
    return IPv6Address(int(address)) if isinstance(address, IPv6Address) else address


def neighbor(where: str, asn: int, **options: Any) -> Neighbor:
    """A neighbor at an address, or a range of them if `where` has a slash."""
    place = ip_network(where) if "/" in where else ip_address(where)
    return Neighbor(where=place, asn=asn, **options)


@dataclass(frozen=True, slots=True, kw_only=True)
class Originated:
    """A prefix the router itself announces to all its peers, with attributes.

    Communities are written as `Path` has them: `65000:100`, `65000:1:2`, and `rt:65000:100` or `soo:65000:1`.
    """

    prefix: Prefix
    communities: tuple[str, ...] = ()
    large_communities: tuple[str, ...] = ()
    ext_communities: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticRoute:
    """A prefix behind neighbours, as many of them as share its traffic."""

    prefix: Prefix
    gateways: tuple[Address, ...]


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
    originate: tuple[Prefix | Originated, ...] = ()
    """Prefixes the router itself announces to all its peers."""
    cluster_id: str | None = None
    max_paths: int = 16
    static_routes: tuple[StaticRoute, ...] = ()
    """What it forwards by beside BGP, and tells no peer."""
    restarts_gracefully: bool = False
    """Keep forwarding over its own restarts (RFC 4724), and ask for help; see `Router.crash`."""
    long_lived_seconds: int | None = None
    """The long-lived stale time it advertises (RFC 9494); None leaves what the daemon does by itself:
    BIRD helps and asks for no help, FRR asks for 0 seconds, the others have none of it."""
    notification_restart: bool | None = None
    """Offer the N bit (RFC 8538); None leaves what the daemon does by itself: FRR offers it."""
    hard_reset: bool = True
    """Say Hard Reset when a person resets a session with the N bit (RFC 8538). FRR only."""
    honour_graceful_shutdown: bool = False
    """Make what bears GRACEFUL_SHUTDOWN the last choice (RFC 8326); FRR always does, between ASes."""

    def families_of(self, each: Neighbor) -> tuple[Family, ...]:
        """The families offered to a neighbor."""
        return self.families if each.families is None else each.families

    @property
    def originated(self) -> tuple[Originated, ...]:
        """What it originates, all in one form."""
        return tuple(
            each if isinstance(each, Originated) else Originated(prefix=each) for each in self.originate
        )

    def named(self, address: Address) -> Address:
        """The address as the configuration has it: FRR tells link-local ones without their scope."""
        known = (each.where for each in self.addresses if isinstance(each.where, IPv6Address))
        return next((where for where in known if int(where) == int(address)), address)

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

"""One router's side of the sessions, as values for all formats.

Knows what a router has to be told of its neighbours; must not know where it comes from (`gathering`), nor
any format. Of graceful restart (RFC 4724) nothing is said: all routers help a Node that asks for it in its
OPEN, unless they were told not to.
"""

from dataclasses import dataclass
from ipaddress import IPv4Address

from speaker.model.fabric import SecretKeyRef
from speaker.model.peer import BfdTimers
from speaker.model.prefix import Address, Family, Prefix, family_of

STANDARD_PORT = 179
MAXIMUM_PATHS = 16
"""Over how many Nodes a router spreads the traffic to one prefix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the person asks for.

    Attributes:
        addresses: the router's, as `peerIP` of BGPPeers has them.
        as_number: the router's AS number; None takes the one that the BGPPeers give.
        ranges: Nodes with an address in one of these become neighbours by calling, unnamed.
        accepted: what the router takes from Nodes and passes on, beside the Pod ranges of the cluster.
        max_prefixes: how many prefixes of a family a Node may send; None leaves what the router does.
        sessions_only: leave out what a router has once, beside its BGP sessions.
    """

    addresses: tuple[Address, ...]
    as_number: int | None = None
    ranges: tuple[Prefix, ...] = ()
    accepted: tuple[Prefix, ...] = ()
    max_prefixes: int | None = None
    sessions_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What holds for every session of a group, seen from the router.

    Attributes:
        address: the router's own.
        port: where the router listens.
        node_as: the AS number that the Nodes open with.
        router_as: the AS number that they expect.
        families: what the sessions carry, IPv4 first.
        password: the Secret of the TCP MD5 key.
        dialled_port: where the Nodes listen, when they wait for the router; None when they call.
        hold_time_seconds: the hold time.
        keepalive_seconds: the time between KEEPALIVE messages; 0 for none.
        multihop_ttl: the TTL of packets to another AS; None reaches the same link only.
        ttl_security_hops: RFC 5082; None is off.
        bfd: the Nodes' timers.
        extended_next_hop: IPv4 with IPv6 next hops (RFC 8950).
        sends_paths: the router sends several paths to one prefix (RFC 7911).
        receives_paths: it is sent several.
        own_as_allowed: the Nodes take routes with their own AS number in AS_PATH.
    """

    address: Address
    port: int
    node_as: int
    router_as: int
    families: tuple[Family, ...]
    password: SecretKeyRef | None
    dialled_port: int | None
    hold_time_seconds: int
    keepalive_seconds: int
    multihop_ttl: int | None
    ttl_security_hops: int | None
    bfd: BfdTimers | None
    extended_next_hop: bool
    sends_paths: bool
    receives_paths: bool
    own_as_allowed: bool

    @property
    def is_internal(self) -> bool:
        """Whether the sessions are iBGP, so that the Nodes are clients of the router (RFC 4456)."""
        return self.node_as == self.router_as


@dataclass(frozen=True, slots=True)
class Member:
    """A Node with its address."""

    node: str
    address: Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Nodes of which all the same holds.

    Attributes:
        name: from the BGPPeer, the AS number of the Nodes and the family of their addresses.
        peer: the name of the BGPPeer.
        members: the Nodes that are named, by name.
        ranges: where the others call from.
    """

    name: str
    peer: str
    terms: Terms
    members: tuple[Member, ...] = ()
    ranges: tuple[Prefix, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterSide:
    """One router's side.

    Attributes:
        as_number: the router's.
        addresses: the router's, IPv4 first.
        groups: by name.
        accepted: what is taken from Nodes and passed on, in order; none lies inside another.
        notes: what has to be done by hand, a sentence each.
    """

    as_number: int
    addresses: tuple[Address, ...]
    groups: tuple[Group, ...]
    accepted: tuple[Prefix, ...]
    max_prefixes: int | None = None
    sessions_only: bool = False
    notes: tuple[str, ...] = ()

    @property
    def router_id(self) -> IPv4Address | None:
        """The first IPv4 address; None when it has none."""
        return next((each for each in self.addresses if isinstance(each, IPv4Address)), None)

    @property
    def families(self) -> tuple[Family, ...]:
        """Those that any session carries."""
        return tuple(each for each in Family if any(each in group.terms.families for group in self.groups))

    @property
    def passwords(self) -> tuple[SecretKeyRef, ...]:
        """The Secrets that are needed, in order."""
        found = {each.terms.password for each in self.groups if each.terms.password is not None}
        return tuple(sorted(found, key=lambda ref: (ref.name, ref.key)))

    @property
    def has_many_as_numbers(self) -> bool:
        """Whether paths to one prefix may differ in their AS numbers."""
        return len({group.terms.node_as for group in self.groups if not group.terms.is_internal}) > 1

    def accepted_of(self, family: Family) -> tuple[Prefix, ...]:
        """What is accepted of one family."""
        return tuple(each for each in self.accepted if family_of(each) is family)

    def next_hop(self, family: Family) -> Address | None:
        """The router's own address of a family; None when it is not known."""
        return next((each for each in self.addresses if family_of(each) is family), None)

"""BGP peers as they are configured, and the states of their sessions (RFC 4271 §8.2.2)."""

from dataclasses import dataclass, field, replace
from enum import StrEnum
from ipaddress import IPv4Address

from speaker.model.prefix import Address, Family, Prefix


class SessionState(StrEnum):
    """The states of the BGP finite state machine, by their RFC 4271 names."""

    IDLE = "Idle"
    CONNECT = "Connect"
    ACTIVE = "Active"
    OPEN_SENT = "OpenSent"
    OPEN_CONFIRM = "OpenConfirm"
    ESTABLISHED = "Established"


class Password:
    """A secret that never shows itself: only `reveal()` gives the text."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The secret, for the one place that hands it to the kernel."""
        return self._text

    def __repr__(self) -> str:
        return "Password(***)"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Password) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> str:
        msg = "a password is not serialised"
        raise TypeError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class GracefulRestart:
    """Graceful restart as the restarting speaker (RFC 4724).

    Attributes:
        restart_time_seconds: how long the peer keeps our routes while we are away, 1 to 4095.
        deferral_time_seconds: how long we wait for peers' End-of-RIB before choosing among
            imported routes, 1 to 64800. It never releases our own End-of-RIB early.
        notification: offer the N bit (RFC 8538): routes are also kept after a NOTIFICATION and after the
            hold timer, unless the session is ended by a Hard Reset.
        long_lived_seconds: how long the peer may keep our routes, as its last choice, after the restart
            time (RFC 9494), up to 16777215; 0 does not offer it.
    """

    restart_time_seconds: int = 90
    deferral_time_seconds: int = 360
    notification: bool = False
    long_lived_seconds: int = 0


class NextHopMode(StrEnum):
    """What NEXT_HOP of a learned route becomes when it is advertised on (RFC 4271 §5.1.3)."""

    AUTO = "Auto"
    """Our own address toward an external peer, unchanged toward an internal one."""

    SELF = "Self"
    """Our own address."""

    KEEP = "Keep"
    """Unchanged."""


class Role(StrEnum):
    """Our side of the business relation on an eBGP session (RFC 9234 §3.1)."""

    PROVIDER = "provider"
    ROUTE_SERVER = "route-server"
    ROUTE_SERVER_CLIENT = "route-server-client"
    CUSTOMER = "customer"
    PEER = "peer"


@dataclass(frozen=True, slots=True, kw_only=True)
class BfdTimers:
    """BFD beside a session (RFC 5880 §6.8.1).

    Attributes:
        transmit_milliseconds: the least time between packets that we want to send, 1 to 4294967.
        receive_milliseconds: the least time between packets that we can take, 1 to 4294967.
        multiplier: after how many missing packets the peer is down, 1 to 255.
        multihop: whether routers may stand between (RFC 5883), so that the peer is reached on another port
            and the TTL of its packets says nothing; None decides by the session (`speaker.bfd.path`).
    """

    transmit_milliseconds: int = 1000
    receive_milliseconds: int = 1000
    multiplier: int = 3
    multihop: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One configured BGP peer.

    Attributes:
        name: what logs, metrics and `bgp-peers` call it; the address unless configured otherwise.
        address: the peer's address; an IPv6 link-local address carries its scope.
        asn: the AS number the peer must open with, 1 to 4294967295.
        local_asn: the AS number we open with. Equal to `asn` means iBGP.
        router_id: our BGP Identifier (RFC 6286: any non-zero 32-bit value).
        families: the families to offer (RFC 4760 multiprotocol capability).
        port: the peer's TCP port.
        hold_time_seconds: proposed hold time, 0 or 3 to 65535.
        keepalive_seconds: KEEPALIVE interval; None is a third of the negotiated hold time.
        connect_retry_seconds: the longest pause between attempts to connect.
        passive: never dial, wait for the peer to connect.
        multihop_ttl: TTL of packets to an eBGP peer; 1 reaches only the same link.
        ttl_security_hops: RFC 5082: send TTL 255 and require at least 256 - hops; None is off.
        password: TCP MD5 key (RFC 2385).
        source: the local address to connect from; None lets the kernel choose.
        interface: the only network interface to connect over (SO_BINDTODEVICE); None is any.
        extended_next_hop: offer IPv4 over IPv6 next hops (RFC 8950).
        graceful_restart: None turns the capability off.
        description: for people; goes nowhere but into what is shown.
        extended_messages: offer messages of up to 65535 octets (RFC 8654).
        add_path_send: offer to send several paths to one prefix (RFC 7911).
        add_path_receive: offer to receive several paths to one prefix (RFC 7911).
        role: our role (RFC 9234); None offers none. eBGP only.
        role_strict: refuse a peer that does not tell its role.
        max_prefixes: how many prefixes the peer may send before its session is ended; None is any number.
        bfd: None does without BFD.
        node: the name of the cluster's Node that the peer is; "" for a router outside the cluster. A node
            hears only what its neighbour owns: its Pod CIDRs and what follows the Local policy.
        imports: whether what the peer advertises is used.
        client: the peer is our client (RFC 4456 §4): we reflect to it and for it.
        cluster_id: our CLUSTER_ID when we reflect (RFC 4456 §7); None when we do not.
        next_hop_mode: what becomes of the next hop of learned routes.
        allowed_local_asns: how often our own AS number may stand in a received AS_PATH.
        remove_private_asns: leave private AS numbers (RFC 6996) out of AS_PATH toward an external peer.
        filters: the names of the BGPFilters, in order.
    """

    name: str
    address: Address
    asn: int
    local_asn: int
    router_id: IPv4Address
    families: frozenset[Family]
    port: int = 179
    hold_time_seconds: int = 90
    keepalive_seconds: int | None = None
    connect_retry_seconds: float = 30.0
    passive: bool = False
    multihop_ttl: int = 1
    ttl_security_hops: int | None = None
    password: Password | None = field(default=None, repr=False)
    source: Address | None = None
    interface: str | None = None
    extended_next_hop: bool = False
    graceful_restart: GracefulRestart | None = None
    description: str = ""
    extended_messages: bool = True
    add_path_send: bool = False
    add_path_receive: bool = False
    role: Role | None = None
    role_strict: bool = False
    max_prefixes: int | None = None
    bfd: BfdTimers | None = None
    node: str = ""
    imports: bool = False
    client: bool = False
    cluster_id: IPv4Address | None = None
    next_hop_mode: NextHopMode = NextHopMode.AUTO
    allowed_local_asns: int = 0
    remove_private_asns: bool = False
    filters: tuple[str, ...] = ()

    @property
    def is_ibgp(self) -> bool:
        """Whether the peer is inside our AS (RFC 4271 §1.1, Internal BGP)."""
        return self.asn == self.local_asn

    @property
    def sending_ttl(self) -> int:
        """The TTL of what is sent: 255 with TTL security (RFC 5082), 64 inside the AS."""
        if self.ttl_security_hops is not None:
            return 255
        return 64 if self.is_ibgp else self.multihop_ttl


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerRange:
    """Peers that are not configured one by one: whoever connects from a prefix.

    Attributes:
        prefix: where they may connect from.
        limit: how many of them there may be at once.
        template: what holds for each of them; its name and address count for nothing.
    """

    prefix: Prefix
    limit: int
    template: Peer

    def peer(self, address: Address) -> Peer:
        """The peer at an address of the range: never dialled, since it may come and go."""
        return replace(self.template, name=str(address), address=address, passive=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFacts:
    """What an established session is known to have negotiated.

    Attributes:
        local_address: our end of the TCP connection.
        families: the families both sides offered.
        extended_next_hop: both sides offered IPv4 over IPv6 next hops (RFC 8950).
        peer_graceful_restart: the peer keeps our routes over a restart (it is an RFC 4724 helper).
        hold_time_seconds: the smaller of the two hold times.
        peer_router_id: the peer's BGP Identifier.
        peer_capabilities: what the peer offers, a few words each, in the order of the capability codes.
        extended_messages: both sides take messages of up to 65535 octets (RFC 8654).
        enhanced_route_refresh: both sides mark the begin and end of a refresh (RFC 7313).
        add_path_send: the families in which several paths to one prefix may be sent (RFC 7911).
        add_path_receive: the families in which they may be received.
        notification_restart: both sides keep routes after a NOTIFICATION (RFC 8538).
        long_lived: the peer keeps our routes as a last choice for the long-lived time (RFC 9494).
    """

    local_address: Address
    families: frozenset[Family]
    extended_next_hop: bool = False
    peer_graceful_restart: bool = False
    hold_time_seconds: int = 90
    peer_router_id: IPv4Address | None = None
    peer_capabilities: tuple[str, ...] = ()
    extended_messages: bool = False
    enhanced_route_refresh: bool = False
    add_path_send: frozenset[Family] = frozenset()
    add_path_receive: frozenset[Family] = frozenset()
    notification_restart: bool = False
    long_lived: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionStatus:
    """One line of `speaker status`: a session as it stands now.

    Attributes:
        peer: the configured peer.
        state: the state of its session.
        facts: what was negotiated; None unless established.
        established_at: seconds since the epoch; None unless established.
        last_error: why the session last ended or could not start, one sentence, or "".
        advertised: how many routes of each family the transport has taken.
        pending: how many changes wait to be written.
        received: how many routes of each family the peer has sent.
        flaps: how many times an established session ended.
    """

    peer: Peer
    state: SessionState
    facts: SessionFacts | None = None
    established_at: float | None = None
    last_error: str = ""
    advertised: tuple[tuple[Family, int], ...] = ()
    pending: int = 0
    received: tuple[tuple[Family, int], ...] = ()
    flaps: int = 0

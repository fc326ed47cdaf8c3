"""The checked command line, as values: what `speaker.daemon` is built from.

Knows every flag's meaning; does no I/O and reads no environment by itself. Only `speaker.cli`,
`speaker.plan` and `speaker.daemon` see it: every other part receives the few values that it needs.
"""

from dataclasses import dataclass, field, replace
from enum import StrEnum
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

from speaker.model.peer import BfdTimers, GracefulRestart, Password, Peer, PeerRange, Role
from speaker.model.policy import PodCidrSource, PublicationPolicy
from speaker.model.prefix import Address, Family, Prefix, family_of

if TYPE_CHECKING:
    from speaker.cluster import ClusterConfig


MOST_LEARNED = 10_000
"""How many prefixes a router may teach before its session is ended, unless a setting says otherwise."""


class ShutdownMode(StrEnum):
    """What SIGTERM does (`--shutdown`)."""

    AUTO = "auto"
    WITHDRAW = "withdraw"
    GRACEFUL_RESTART = "graceful-restart"


class PodScope(StrEnum):
    """Which Pods are watched (`--pod-scope`)."""

    CLUSTER = "cluster"
    NODE = "node"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that the flags and the environment say.

    Attributes:
        node_name: the node this speaker stands for, in lower case.
        publication: the publication flags.
        neighbors: the peers' addresses, IPv4 first, each once.
        node_ips: `--node-ips`, at most one of each family.
        pod_ips: POD_IPS, else POD_IP.
        allowed_sources: `--allowed-source-addresses` of both families.
        families: `--families`; empty leaves the choice to `peers`.
        keepalive_seconds: None is a third of the negotiated hold time.
        listen_port: None opens no listening socket.
        listen_addresses: none listens on every address.
        interface: the only one to connect over; None is any.
        neighbor_ranges: prefixes whose routers may connect.
        neighbor_range_limit: how many of each.
        max_prefixes: None sets no limit.
        bfd: None is off.
        ttl_security_hops: None is off.
        password_file: None when the password, if any, was given by itself.
        graceful_restart: None when it is off.
        fabric: read the custom resources and all Nodes.
        import_routes: learn from the peers in flags.
        import_prefixes: what may be learned beside the Pod ranges of the cluster.
        kernel_routes: put learned routes into the kernel.
        kernel_table: the number of its table.
        kernel_metric: their metric.
        drain_seconds: how long GRACEFUL_SHUTDOWN precedes a planned withdrawal; 0 is off.
        kubeconfig: a path; None takes the Pod's ServiceAccount.
        pod_namespace: POD_NAMESPACE, or "".
        daemonset_name: DAEMONSET_NAME, the DaemonSet this speaker belongs to, or "".
        metrics_address: None serves no HTTP at all.
        control_socket: a path; None opens no control socket.
        log_level: "debug", "info", "warning" or "error".
        log_format: "text" or "json".
        notices: sentences to log once as warnings: flags without effect and doubtful combinations.
    """

    node_name: str
    publication: PublicationPolicy
    neighbors: tuple[Address, ...]
    neighbor_asn: int
    local_asn: int
    router_id: IPv4Address
    node_ips: tuple[Address, ...] = ()
    pod_ips: tuple[Address, ...] = ()
    allowed_sources: tuple[Address, ...] = ()
    neighbor_port: int = 179
    families: frozenset[Family] = frozenset()
    extended_next_hop: bool = False
    hold_time_seconds: int = 90
    keepalive_seconds: int | None = None
    connect_retry_seconds: float = 30.0
    passive: bool = False
    listen_port: int | None = None
    listen_addresses: tuple[Address, ...] = ()
    interface: str | None = None
    neighbor_ranges: tuple[Prefix, ...] = ()
    neighbor_range_limit: int = 100
    extended_messages: bool = True
    add_path_send: bool = False
    add_path_receive: bool = False
    role: Role | None = None
    role_strict: bool = False
    max_prefixes: int | None = None
    bfd: BfdTimers | None = None
    multihop_ttl: int = 1
    ttl_security_hops: int | None = None
    password: Password | None = field(default=None, repr=False)
    password_file: str | None = None
    graceful_restart: GracefulRestart | None = None
    fabric: bool = False
    import_routes: bool = False
    import_prefixes: tuple[Prefix, ...] = ()
    kernel_routes: bool = True
    kernel_table: int = 254
    kernel_metric: int = 1024
    shutdown: ShutdownMode = ShutdownMode.AUTO
    drain_seconds: float = 0.0
    kubeconfig: str | None = None
    pod_scope: PodScope = PodScope.CLUSTER
    pod_namespace: str = ""
    daemonset_name: str = ""
    metrics_address: Address | None = None
    metrics_port: int = 10667
    control_socket: str | None = None
    log_level: str = "info"
    log_format: str = "text"
    notices: tuple[str, ...] = ()

    def peers(self) -> tuple[Peer, ...]:
        """The peers to have sessions with, in the order of the flags."""
        return tuple(self._peer(address) for address in self.neighbors)

    def ranges(self) -> tuple[PeerRange, ...]:
        """The prefixes to take sessions from, in the order of the flag."""
        return tuple(
            PeerRange(
                prefix=prefix,
                limit=self.neighbor_range_limit,
                template=self._peer(prefix.network_address),
            )
            for prefix in self.neighbor_ranges
        )

    @property
    def learns(self) -> bool:
        """Whether routes are learned at all: then the peers in flags teach too."""
        return self.fabric or self.import_routes

    def publication_policy(self) -> PublicationPolicy:
        """What `speaker.routing` needs to know of the flags."""
        return self.publication

    def cluster_config(self) -> "ClusterConfig":
        """What `speaker.cluster` needs to know of the flags."""
        # Importing the cluster costs several times what `speaker version` may take in all.
        from speaker.cluster import ClusterConfig  # noqa: PLC0415

        return ClusterConfig(
            kubeconfig=self.kubeconfig,
            namespace=self.pod_namespace,
            node_name=self.node_name,
            annotation_prefix=self.publication.annotation_prefix,
            pods_of_node_only=self.pod_scope is PodScope.NODE,
            fabric=self.fabric,
            all_nodes=self.import_routes,
            ipam_blocks=self.publication.announce_pod_cidr
            and self.publication.pod_cidr_source in {PodCidrSource.AUTO, PodCidrSource.CALICO},
        )

    def with_password(self, password: Password) -> "Settings":
        """The same settings with the password that was read from `password_file`."""
        return replace(self, password=password)

    def session_families(self, address: Address) -> frozenset[Family]:
        """The families that the session with `address` offers.

        Its own, and the other one when no peer has an address of that or `--extended-nexthop` is on.
        A dual-stack router with a session of each family would otherwise hear everything twice.
        """
        if self.families:
            return self.families
        if self.extended_next_hop:
            return frozenset(Family)
        configured = {family_of(each) for each in (*self.neighbors, *self.neighbor_ranges)}
        return frozenset({family_of(address)} | (set(Family) - configured))

    def _peer(self, address: Address) -> Peer:
        families = self.session_families(address)
        return Peer(
            name=str(address),
            address=address,
            asn=self.neighbor_asn,
            local_asn=self.local_asn,
            router_id=self.router_id,
            families=families,
            port=self.neighbor_port,
            hold_time_seconds=self.hold_time_seconds,
            keepalive_seconds=self.keepalive_seconds,
            connect_retry_seconds=self.connect_retry_seconds,
            passive=self.passive,
            multihop_ttl=self.multihop_ttl,
            ttl_security_hops=self.ttl_security_hops,
            password=self.password,
            # RFC 8950 is IPv4 over IPv6 only: on an IPv4 session there is nothing to extend.
            extended_next_hop=self.extended_next_hop
            and family_of(address) is Family.IPV6
            and Family.IPV4 in families,
            graceful_restart=self.graceful_restart,
            interface=self.interface,
            extended_messages=self.extended_messages,
            add_path_send=self.add_path_send,
            add_path_receive=self.add_path_receive,
            role=self.role,
            role_strict=self.role_strict,
            max_prefixes=self.max_prefixes or (MOST_LEARNED if self.learns else None),
            bfd=self.bfd,
            imports=self.learns,
        )

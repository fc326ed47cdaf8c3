"""The custom resources of `bgp.route-speaker.io` as checked values, and what Nodes say of themselves.

Field names follow the resources in snake case, which are Calico's wherever Calico has the field. Times
are seconds. Values here have been checked: what is wrong with a resource is told where it is read.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Address

from speaker.model.peer import BfdTimers, NextHopMode
from speaker.model.prefix import Address, Family, Prefix
from speaker.model.route import LargeCommunity, PathAttributes

GROUP = "bgp.route-speaker.io"
VERSION = "v1alpha1"


class Selector:
    """Chooses objects by their labels, in Calico's grammar; made by `speaker.fabric.selector.parse`."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether an object with these labels is chosen."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"Selector({self.text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Selector) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretKeyRef:
    """One key of a Secret in the speaker's own namespace (`password.secretKeyRef`)."""

    name: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefixAdvertisement:
    """Communities that every advertised route inside `cidr` carries; the other attributes stay empty."""

    cidr: Prefix
    attributes: PathAttributes


@dataclass(frozen=True, slots=True, kw_only=True)
class BgpConfiguration:
    """BGPConfiguration `default`.

    Attributes:
        as_number: the AS number of every Node that says nothing else.
        node_to_node_mesh_enabled: every Node peers with every other.
        node_mesh_max_restart_time_seconds: the restart time on sessions of the mesh.
        node_mesh_password: the TCP MD5 key of sessions of the mesh.
        listen_port: where speakers listen, and where they find each other.
        prefix_advertisements: communities by prefix.
        route_reflector_selector: which Nodes with a cluster ID reflect; None is none.
        import_prefixes: what may be learned beside the Pod ranges of the cluster.
        switch_deadline_seconds: how long sessions of an old design wait for the new one.
        hold_time_seconds: the hold time on sessions between Nodes.
        bfd: BFD on sessions between Nodes.
    """

    as_number: int = 64512
    node_to_node_mesh_enabled: bool = False
    node_mesh_max_restart_time_seconds: int = 120
    node_mesh_password: SecretKeyRef | None = None
    listen_port: int = 179
    prefix_advertisements: tuple[PrefixAdvertisement, ...] = ()
    route_reflector_selector: Selector | None = None
    import_prefixes: tuple[Prefix, ...] = ()
    switch_deadline_seconds: int = 120
    hold_time_seconds: int = 90
    bfd: BfdTimers | None = None


class ReversePeering(StrEnum):
    """Whether the Nodes in `peerSelector` get the other side of the session by themselves."""

    AUTO = "Auto"
    MANUAL = "Manual"


class AddPaths(StrEnum):
    """`addPaths` (RFC 7911)."""

    NONE = "None"
    SEND = "Send"
    RECEIVE = "Receive"
    BOTH = "Both"


class SourceAddress(StrEnum):
    """`sourceAddress`: the Node's own address, or what the kernel chooses."""

    USE_NODE_IP = "UseNodeIP"
    NONE = "None"


@dataclass(frozen=True, slots=True, kw_only=True)
class BgpPeer:
    """A BGPPeer: Nodes (`node`, `node_selector`; neither is every Node), and whom they peer with.

    Either `peer_ip` with `as_number`, or `peer_selector`, whose AS numbers are those of the Nodes.
    None of an optional attribute leaves the default, which for sessions between Nodes is that of the mesh.

    Attributes:
        peer_port: the port in `peerIP`; None is 179, or `listen_port` of the BGPConfiguration for a Node.
        local_as_number: the AS number to open with in place of the Node's own.
        ttl_security: the number of hops (RFC 5082).
        ebgp_multihop: the TTL of packets to an external peer.
        max_restart_time_seconds: the restart time that we advertise (RFC 4724); 0 turns it off.
        num_allowed_local_as_numbers: how often our AS number may stand in a received AS_PATH.
        families: what to offer; empty leaves the choice.
    """

    name: str
    uid: str = ""
    created_at: float = 0.0
    node: str = ""
    node_selector: Selector | None = None
    peer_ip: Address | None = None
    peer_port: int | None = None
    peer_selector: Selector | None = None
    reverse_peering: ReversePeering = ReversePeering.AUTO
    as_number: int | None = None
    local_as_number: int | None = None
    source_address: SourceAddress = SourceAddress.USE_NODE_IP
    password: SecretKeyRef | None = None
    ttl_security: int | None = None
    ebgp_multihop: int | None = None
    passive: bool = False
    hold_time_seconds: int | None = None
    keepalive_time_seconds: int | None = None
    connect_retry_seconds: float | None = None
    max_restart_time_seconds: int | None = None
    bfd: BfdTimers | None = None
    add_paths: AddPaths | None = None
    next_hop_mode: NextHopMode = NextHopMode.AUTO
    num_allowed_local_as_numbers: int = 0
    remove_private_as_numbers: bool = False
    max_prefixes: int | None = None
    filters: tuple[str, ...] = ()
    families: frozenset[Family] = frozenset()
    extended_next_hop: bool = False


class FilterAction(StrEnum):
    """`action` of a rule."""

    ACCEPT = "Accept"
    REJECT = "Reject"


class MatchOperator(StrEnum):
    """How `cidr` is compared with a prefix."""

    IN = "In"
    NOT_IN = "NotIn"
    EQUAL = "Equal"
    NOT_EQUAL = "NotEqual"


class PeerType(StrEnum):
    """`peerType` of a rule."""

    EBGP = "eBGP"
    IBGP = "iBGP"


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterOperations:
    """What an accepting rule changes on the route.

    Attributes:
        add_communities: RFC 1997 communities to add.
        add_large_communities: RFC 8092 communities to add.
        prepend_as_path: AS numbers to put before AS_PATH, the first outermost; eBGP export only.
        set_local_preference: LOCAL_PREF to set.
        set_med: MULTI_EXIT_DISC to set.
    """

    add_communities: tuple[int, ...] = ()
    add_large_communities: tuple[LargeCommunity, ...] = ()
    prepend_as_path: tuple[int, ...] = ()
    set_local_preference: int | None = None
    set_med: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterRule:
    """One rule: every condition that is given must hold; the first rule that matches decides.

    Attributes:
        remote_peers: `source: RemotePeers`: only routes that were learned from a peer. An accepting export
            rule with it also lets learned routes go to external peers, which they do not by default.
        as_path_prefix: the AS numbers that AS_PATH must begin with.
        communities: all of which the route must carry.
    """

    action: FilterAction
    cidr: Prefix | None = None
    match_operator: MatchOperator = MatchOperator.IN
    prefix_length_min: int | None = None
    prefix_length_max: int | None = None
    remote_peers: bool = False
    peer_type: PeerType | None = None
    communities: tuple[int, ...] = ()
    large_communities: tuple[LargeCommunity, ...] = ()
    as_path_prefix: tuple[int, ...] = ()
    operations: FilterOperations = FilterOperations()


@dataclass(frozen=True, slots=True, kw_only=True)
class BgpFilter:
    """A BGPFilter: rules for each direction and family, in order. What no rule matches is accepted."""

    name: str
    import_v4: tuple[FilterRule, ...] = ()
    import_v6: tuple[FilterRule, ...] = ()
    export_v4: tuple[FilterRule, ...] = ()
    export_v6: tuple[FilterRule, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FabricNode:
    """A Node as the fabric sees it.

    Attributes:
        addresses: where other Nodes reach its speaker: at most one of each family, IPv4 first.
        as_number: from its annotation; None is that of the BGPConfiguration.
        cluster_id: from its annotation: it is meant to be a route reflector (RFC 4456 §7).
        router_id: its BGP Identifier: from its annotation, else its IPv4 address; None when it has neither.
        pod_cidrs: what its Pods' addresses are in.
        is_speaker: whether it carries the label that chooses speakers.
        problems: annotations that were not understood, a sentence each.
    """

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    addresses: tuple[Address, ...] = ()
    as_number: int | None = None
    cluster_id: IPv4Address | None = None
    router_id: IPv4Address | None = None
    pod_cidrs: tuple[Prefix, ...] = ()
    is_speaker: bool = True
    problems: tuple[str, ...] = ()

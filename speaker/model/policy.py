"""What the flags say about publication, and what is known of this host: inputs of `speaker.routing`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from speaker.model.peer import Peer, SessionFacts
from speaker.model.prefix import Address, Prefix


class PodCidrSource(StrEnum):
    """Where a node's Pod CIDRs are read; AUTO takes the first that has any: calico, kube-ovn, node."""

    AUTO = "auto"
    NODE = "node"
    CALICO = "calico"
    KUBE_OVN = "kube-ovn"


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicationPolicy:
    """The publication flags, as `speaker.routing` sees them; each is named after its flag.

    Attributes:
        node_name: the node this speaker stands for.
        node_label: (key, value) of the label that chooses speakers; None does not ask for one.
        allow_attributes: attribute keys permitted on namespaced objects: "communities", "med",
            "local-preference", "as-path-prepend", "peers".
        allowed_communities: the communities (texts as in the annotation) that such objects may set;
            empty permits every one once "communities" is permitted.
        max_advertised_prefixes: 0 means no limit.
        max_prefixes_per_namespace: 0 means no limit.
    """

    node_name: str
    annotation_prefix: str = "ovn.kubernetes.io"
    node_label: tuple[str, str] | None = None
    announce_cluster_ip: bool = False
    announce_lb_ip: bool = True
    announce_external_ip: bool = False
    announce_pod_cidr: bool = False
    announce_subnet_pods: bool = False
    announce_without_endpoints: bool = False
    pod_cidr_source: PodCidrSource = PodCidrSource.AUTO
    allowed_prefixes: tuple[Prefix, ...] = ()
    allow_attributes: frozenset[str] = frozenset()
    allowed_communities: tuple[str, ...] = ()
    trust_pod_annotations: bool = False
    max_advertised_prefixes: int = 0
    max_prefixes_per_namespace: int = 0
    drain_on_cordon: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerView:
    """A peer with all that its next hops follow from.

    Attributes:
        peer: the configuration.
        facts: the established session; None when there is none.
        preferred_source: the kernel's source address toward the peer; None when it has no route.
    """

    peer: Peer
    facts: SessionFacts | None = None
    preferred_source: Address | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HostView:
    """This host's addresses.

    Attributes:
        node_ips: `--node-ips`, used in place of the Pod's own address.
        pod_ips: the speaker Pod's own addresses (POD_IPS); equal to the node's on the host network.
        allowed_sources: `--allowed-source-addresses` of both families.
        peers: the peers by name.
    """

    node_ips: tuple[Address, ...] = ()
    pod_ips: tuple[Address, ...] = ()
    allowed_sources: tuple[Address, ...] = ()
    peers: Mapping[str, PeerView] = field(default_factory=dict)

"""Kubernetes objects, narrowed to the fields a decision reads.

Field names follow the Kubernetes API in snake case. A view holds values that have been checked:
an address that does not parse is absent, never half-valid (the translator says so elsewhere).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from annotations.parse import PodNetwork
from annotations.problems import Problem
from speaker.model.peer import Password
from speaker.model.prefix import Address, Family, Prefix


class Kind(StrEnum):
    """The kinds of object that the speaker reads."""

    POD = "Pod"
    SERVICE = "Service"
    ENDPOINT_SLICE = "EndpointSlice"
    NAMESPACE = "Namespace"
    NODE = "Node"
    SUBNET = "Subnet"
    IP = "IP"
    IPAM_BLOCK = "IPAMBlock"
    BGP_CONFIGURATION = "BGPConfiguration"
    BGP_PEER = "BGPPeer"
    BGP_FILTER = "BGPFilter"
    BGP_NODE_STATUS = "BGPNodeStatus"
    SECRET = "Secret"  # noqa: S105 -- the name of a kind


class ObjectRef(NamedTuple):
    """The identity of a Kubernetes object; `namespace` is empty for cluster-scoped kinds.

    A tuple, since every table of objects is looked up by it: hashing one in Python costs more than the
    rest of a lookup.
    """

    kind: Kind
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Meta:
    """What all kinds have in common.

    Attributes:
        ref: the identity.
        uid: `metadata.uid`.
        created_at: `metadata.creationTimestamp` as seconds since the epoch; 0 when unknown.
        annotations: those that begin with the annotation prefix and `/bgp`; on a Node also those under
            `bgp.route-speaker.io` and `projectcalico.org`; nothing else.
    """

    ref: ObjectRef
    uid: str = ""
    created_at: float = 0.0
    annotations: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PodView:
    """A Pod (core/v1). `phase` is `status.phase`; `pod_ips` is `status.podIPs`.

    Attributes:
        networks: its Kube-OVN networks, by provider, as their annotations tell.
        unread: what in those annotations cannot be read.
    """

    meta: Meta
    networks: tuple[PodNetwork, ...] = ()
    unread: tuple[Problem, ...] = ()
    node_name: str = ""
    host_network: bool = False
    phase: str = ""
    pod_ips: tuple[Address, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SubnetView:
    """A Kube-OVN Subnet (kubeovn.io/v1).

    Attributes:
        ready: its status condition Ready.
        gateway_nodes: the Nodes in `spec.gatewayNode` of a centralized Subnet, in order; empty for a
            distributed one, where every Node is the gateway of its own Pods.
    """

    meta: Meta
    cidrs: tuple[Prefix, ...] = ()
    vpc: str = ""
    ready: bool = False
    gateway_nodes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class IngressAddress:
    """One `status.loadBalancer.ingress[]` with an address; `ip_mode` is "" when unset."""

    address: Address
    ip_mode: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceView:
    """A Service (core/v1). `headless` is `clusterIP: None`."""

    meta: Meta
    type: str = "ClusterIP"
    headless: bool = False
    cluster_ips: tuple[Address, ...] = ()
    ingress: tuple[IngressAddress, ...] = ()
    external_ips: tuple[Address, ...] = ()
    external_traffic_policy: str = "Cluster"
    internal_traffic_policy: str = "Cluster"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One endpoint of a slice; unset conditions follow the API: ready and serving True."""

    node_name: str = ""
    ready: bool = True
    serving: bool = True
    terminating: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointSliceView:
    """An EndpointSlice (discovery.k8s.io/v1).

    Attributes:
        service_name: the label `kubernetes.io/service-name`; "" when it belongs to none.
        family: from `addressType`; None for FQDN slices, which count for nothing.
    """

    meta: Meta
    service_name: str = ""
    family: Family | None = None
    endpoints: tuple[Endpoint, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NamespaceView:
    """A Namespace: only its annotations matter, as defaults for what lives in it."""

    meta: Meta


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeView:
    """A Node (core/v1).

    Attributes:
        labels: `metadata.labels`.
        internal_ips: its addresses of type InternalIP, in order.
        pod_cidrs: `spec.podCIDRs`.
        unschedulable: `spec.unschedulable` (the node is cordoned).
        deleting: it has a deletion timestamp.
        shutting_down: the kubelet says in the condition Ready that the node is shutting down.
    """

    meta: Meta
    labels: Mapping[str, str]
    internal_ips: tuple[Address, ...] = ()
    pod_cidrs: tuple[Prefix, ...] = ()
    unschedulable: bool = False
    deleting: bool = False
    shutting_down: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class IpView:
    """A Kube-OVN IP object (kubeovn.io/v1, `ips`): the CNI's own record of an allocation.

    `addresses` are `spec.v4IpAddress` and `spec.v6IpAddress`.
    """

    meta: Meta
    pod_namespace: str = ""
    pod_name: str = ""
    subnet: str = ""
    addresses: tuple[Address, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class IpamBlockView:
    """A Calico IPAMBlock (crd.projectcalico.org/v1). `node_name` is its `host:` affinity or ""."""

    meta: Meta
    cidr: Prefix
    node_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceView:
    """One of our own resources (bgp.route-speaker.io) as it stands in the API: nothing of it is checked.

    Attributes:
        generation: `metadata.generation`, which counts the changes of `spec`.
        spec: `spec` as JSON decodes it.
        status: `status` as JSON decodes it.
    """

    meta: Meta
    generation: int = 0
    spec: Mapping[str, object] = field(default_factory=dict)
    status: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretView:
    """A Secret of the speaker's own namespace; the values, decoded, never show themselves."""

    meta: Meta
    data: Mapping[str, Password] = field(default_factory=dict, repr=False)


View = (
    PodView
    | ServiceView
    | EndpointSliceView
    | NamespaceView
    | NodeView
    | SubnetView
    | IpView
    | IpamBlockView
    | ResourceView
    | SecretView
)


@dataclass(frozen=True, slots=True)
class Change:
    """One object as it now is; `view` None means it is gone."""

    ref: ObjectRef
    view: View | None

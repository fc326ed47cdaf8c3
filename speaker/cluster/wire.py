"""The API's JSON, narrowed to the fields that are read; everything else is skipped while decoding.

Field names are the API's own. `gc=False` holds because no value here can take part in a cycle; it
halves what the garbage collector costs while ten thousand Pods arrive.
"""

import msgspec


class Struct(msgspec.Struct, gc=False):
    """What all wire values are."""


class Metadata(Struct):
    """metav1.ObjectMeta."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resourceVersion: str = ""  # noqa: N815
    creationTimestamp: str | None = None  # noqa: N815
    deletionTimestamp: str | None = None  # noqa: N815
    generation: int = 0
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None


class Object(Struct):
    """Any object: its metadata."""

    metadata: Metadata


class Ip(Struct):
    """A `status.podIPs[]`."""

    ip: str = ""


class PodSpec(Struct):
    """corev1.PodSpec."""

    nodeName: str | None = None  # noqa: N815
    hostNetwork: bool | None = None  # noqa: N815


class PodStatus(Struct):
    """corev1.PodStatus."""

    phase: str | None = None
    podIP: str | None = None  # noqa: N815
    podIPs: list[Ip] | None = None  # noqa: N815


class Pod(Object):
    """corev1.Pod."""

    spec: PodSpec | None = None
    status: PodStatus | None = None


class Ingress(Struct):
    """corev1.LoadBalancerIngress."""

    ip: str | None = None
    ipMode: str | None = None  # noqa: N815


class LoadBalancer(Struct):
    """corev1.LoadBalancerStatus."""

    ingress: list[Ingress] | None = None


class ServiceStatus(Struct):
    """corev1.ServiceStatus."""

    loadBalancer: LoadBalancer | None = None  # noqa: N815


class ServiceSpec(Struct):
    """corev1.ServiceSpec."""

    type: str | None = None
    clusterIP: str | None = None  # noqa: N815
    clusterIPs: list[str] | None = None  # noqa: N815
    externalIPs: list[str] | None = None  # noqa: N815
    externalTrafficPolicy: str | None = None  # noqa: N815
    internalTrafficPolicy: str | None = None  # noqa: N815


class Service(Object):
    """corev1.Service."""

    spec: ServiceSpec | None = None
    status: ServiceStatus | None = None


class Conditions(Struct):
    """discoveryv1.EndpointConditions."""

    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class SliceEndpoint(Struct):
    """discoveryv1.Endpoint."""

    nodeName: str | None = None  # noqa: N815
    conditions: Conditions | None = None


class EndpointSlice(Object):
    """discoveryv1.EndpointSlice."""

    addressType: str = ""  # noqa: N815
    endpoints: list[SliceEndpoint] | None = None


class NodeAddress(Struct):
    """corev1.NodeAddress."""

    type: str = ""
    address: str = ""


class Condition(Struct):
    """metav1.Condition and its older twins."""

    type: str = ""
    status: str = ""
    message: str | None = None


class NodeStatus(Struct):
    """corev1.NodeStatus."""

    addresses: list[NodeAddress] | None = None
    conditions: list[Condition] | None = None


class NodeSpec(Struct):
    """corev1.NodeSpec."""

    podCIDR: str | None = None  # noqa: N815
    podCIDRs: list[str] | None = None  # noqa: N815
    unschedulable: bool | None = None


class Node(Object):
    """corev1.Node."""

    spec: NodeSpec | None = None
    status: NodeStatus | None = None


class SubnetSpec(Struct):
    """Kube-OVN's SubnetSpec."""

    cidrBlock: str | None = None  # noqa: N815
    vpc: str | None = None
    gatewayType: str | None = None  # noqa: N815
    gatewayNode: str | None = None  # noqa: N815


class SubnetStatus(Struct):
    """Kube-OVN's SubnetStatus."""

    conditions: list[Condition] | None = None


class Subnet(Object):
    """Kube-OVN's Subnet."""

    spec: SubnetSpec | None = None
    status: SubnetStatus | None = None


class IpSpec(Struct):
    """Kube-OVN's IPSpec."""

    podName: str | None = None  # noqa: N815
    namespace: str | None = None
    subnet: str | None = None
    ipAddress: str | None = None  # noqa: N815
    v4IpAddress: str | None = None  # noqa: N815
    v6IpAddress: str | None = None  # noqa: N815


class IpObject(Object):
    """Kube-OVN's IP."""

    spec: IpSpec | None = None


class BlockSpec(Struct):
    """Calico's IPAMBlockSpec."""

    cidr: str = ""
    affinity: str | None = None
    deleted: bool | None = None


class IpamBlock(Object):
    """Calico's IPAMBlock."""

    spec: BlockSpec | None = None


class Custom(Object):
    """One of our own resources; its parts stay raw until their size is known."""

    spec: msgspec.Raw = msgspec.Raw()
    status: msgspec.Raw = msgspec.Raw()


class Secret(Object):
    """corev1.Secret; `stringData` is met in manifests only."""

    data: dict[str, str] | None = None
    stringData: dict[str, str] | None = None  # noqa: N815

    def __repr__(self) -> str:
        return f"Secret({self.metadata.name!r})"


class LeaseSpec(Struct, omit_defaults=True):
    """coordinationv1.LeaseSpec."""

    holderIdentity: str | None = None  # noqa: N815
    leaseDurationSeconds: int | None = None  # noqa: N815
    acquireTime: str | None = None  # noqa: N815
    renewTime: str | None = None  # noqa: N815
    leaseTransitions: int | None = None  # noqa: N815


class Lease(Object):
    """coordinationv1.Lease."""

    spec: LeaseSpec | None = None


class Resource(Struct):
    """metav1.APIResource."""

    name: str = ""


class Resources(Struct):
    """metav1.APIResourceList: what discovery answers for one API version."""

    resources: list[Resource] | None = None


class ListMetadata(Struct, rename={"continue_": "continue"}):
    """metav1.ListMeta."""

    resourceVersion: str = ""  # noqa: N815
    continue_: str | None = None


class Page(Struct):
    """One page of a list; the items stay raw, so that one bad object costs only itself."""

    metadata: ListMetadata
    items: list[msgspec.Raw] | None = None


class WatchEvent(Struct):
    """metav1.WatchEvent."""

    type: str
    object: msgspec.Raw


class Status(Struct):
    """metav1.Status: what an ERROR event or a refused request carries."""

    code: int = 0
    message: str | None = None
    reason: str | None = None

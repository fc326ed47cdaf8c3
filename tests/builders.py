"""Values with sane defaults, so that a test names only what it is about.

Addresses are texts here and values in the result; `bgp="local"` is short for the annotation.
"""

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, ip_address, ip_network
from typing import Any

from annotations.parse import pod_networks
from speaker.model.objects import (
    Change,
    Endpoint,
    EndpointSliceView,
    IngressAddress,
    IpamBlockView,
    IpView,
    Kind,
    Meta,
    NamespaceView,
    NodeView,
    ObjectRef,
    PodView,
    ServiceView,
    SubnetView,
    View,
)
from speaker.model.peer import Peer, SessionFacts
from speaker.model.policy import HostView, PeerView, PublicationPolicy
from speaker.model.prefix import Address, Family, Prefix

PREFIX = "ovn.kubernetes.io"
NODE = "node-1"
OTHER_NODE = "node-2"
BOTH = frozenset({Family.IPV4, Family.IPV6})


def address(text: str) -> Address:
    return ip_address(text)


def prefix(text: str) -> Prefix:
    return ip_network(text)


def addresses(texts: Iterable[str]) -> tuple[Address, ...]:
    return tuple(ip_address(text) for text in texts)


def ref(kind: Kind, name: str, namespace: str = "") -> ObjectRef:
    return ObjectRef(kind, namespace, name)


def pod_ref(name: str = "web", namespace: str = "default") -> ObjectRef:
    return ObjectRef(Kind.POD, namespace, name)


def service_ref(name: str = "shop", namespace: str = "default") -> ObjectRef:
    return ObjectRef(Kind.SERVICE, namespace, name)


def subnet_ref(name: str = "ovn-default") -> ObjectRef:
    return ObjectRef(Kind.SUBNET, "", name)


def namespace_ref(name: str = "default") -> ObjectRef:
    return ObjectRef(Kind.NAMESPACE, "", name)


def node_ref(name: str = NODE) -> ObjectRef:
    return ObjectRef(Kind.NODE, "", name)


def meta(
    of: ObjectRef,
    *,
    bgp: str | None = None,
    annotations: Mapping[str, str] | None = None,
    created_at: float = 0.0,
) -> Meta:
    """`annotations` holds full keys, or bare ones such as `bgp-med`, which go under the prefix."""
    written = {key if "/" in key else f"{PREFIX}/{key}": text for key, text in (annotations or {}).items()}
    if bgp is not None:
        written[f"{PREFIX}/bgp"] = bgp
    return Meta(
        ref=of, uid=f"uid-of-{of.kind}-{of.namespace}-{of.name}", created_at=created_at, annotations=written
    )


def network(provider: str = "ovn", ips: str = "", subnet: str = "ovn-default") -> dict[str, str]:
    """What Kube-OVN's controller writes on a Pod for one network."""
    written = {f"{provider}.kubernetes.io/logical_switch": subnet} if subnet else {}
    if ips:
        written[f"{provider}.kubernetes.io/ip_address"] = ips
    return written


def pod(
    name: str = "web",
    ips: Iterable[str] = ("10.16.0.2",),
    *,
    namespace: str = "default",
    bgp: str | None = None,
    annotations: Mapping[str, str] | None = None,
    node: str = NODE,
    host_network: bool = False,
    phase: str = "Running",
    created_at: float = 0.0,
) -> PodView:
    """A running Pod of this node; `ips` are its status.podIPs."""
    own = meta(pod_ref(name, namespace), bgp=bgp, annotations=annotations, created_at=created_at)
    networks, unread = pod_networks(own.annotations)
    return PodView(
        meta=own,
        networks=networks,
        unread=unread,
        node_name=node,
        host_network=host_network,
        phase=phase,
        pod_ips=addresses(ips),
    )


def ovn_pod(
    name: str = "web", ips: str = "10.16.0.2", *, subnet: str = "ovn-default", **fields: Any
) -> PodView:
    """A Pod on one Kube-OVN network, whose status confirms the annotation."""
    return pod(
        name,
        ips.split(","),
        annotations=network("ovn", ips, subnet) | fields.pop("annotations", {}),
        **fields,
    )


def subnet(
    name: str = "ovn-default",
    cidrs: Iterable[str] = ("10.16.0.0/16",),
    *,
    bgp: str | None = None,
    annotations: Mapping[str, str] | None = None,
    vpc: str = "ovn-cluster",
    ready: bool = True,
    gateway_nodes: Iterable[str] = (),
    created_at: float = 0.0,
) -> SubnetView:
    return SubnetView(
        meta=meta(subnet_ref(name), bgp=bgp, annotations=annotations, created_at=created_at),
        cidrs=tuple(ip_network(text) for text in cidrs),
        vpc=vpc,
        ready=ready,
        gateway_nodes=tuple(gateway_nodes),
    )


def namespace(
    name: str = "default", *, bgp: str | None = None, annotations: Mapping[str, str] | None = None
) -> NamespaceView:
    return NamespaceView(meta=meta(namespace_ref(name), bgp=bgp, annotations=annotations))


def node(
    name: str = NODE,
    *,
    labels: Mapping[str, str] | None = None,
    internal_ips: Iterable[str] = ("192.0.2.1",),
    pod_cidrs: Iterable[str] = (),
    unschedulable: bool = False,
    bgp: str | None = None,
    annotations: Mapping[str, str] | None = None,
) -> NodeView:
    return NodeView(
        meta=meta(node_ref(name), bgp=bgp, annotations=annotations),
        labels=dict(labels or {}),
        internal_ips=addresses(internal_ips),
        pod_cidrs=tuple(ip_network(text) for text in pod_cidrs),
        unschedulable=unschedulable,
    )


def service(
    name: str = "shop",
    *,
    namespace: str = "default",
    type: str = "ClusterIP",  # noqa: A002 - the field's name
    cluster_ips: Iterable[str] = ("10.96.0.10",),
    ingress: Iterable[str | tuple[str, str]] = (),
    external_ips: Iterable[str] = (),
    external_traffic_policy: str = "Cluster",
    internal_traffic_policy: str = "Cluster",
    headless: bool = False,
    bgp: str | None = None,
    annotations: Mapping[str, str] | None = None,
    created_at: float = 0.0,
) -> ServiceView:
    """A Service; `ingress` holds addresses, or pairs of an address and its ipMode."""
    pairs = [(each, "") if isinstance(each, str) else each for each in ingress]
    return ServiceView(
        meta=meta(service_ref(name, namespace), bgp=bgp, annotations=annotations, created_at=created_at),
        type=type,
        headless=headless,
        cluster_ips=addresses(cluster_ips),
        ingress=tuple(IngressAddress(ip_address(text), mode) for text, mode in pairs),
        external_ips=addresses(external_ips),
        external_traffic_policy=external_traffic_policy,
        internal_traffic_policy=internal_traffic_policy,
    )


def load_balancer(name: str = "shop", ip: str = "203.0.113.10", **fields: Any) -> ServiceView:
    """A LoadBalancer Service with one VIP."""
    return service(name, type="LoadBalancer", ingress=fields.pop("ingress", (ip,)), **fields)


def endpoint(
    node: str = NODE, *, ready: bool = True, serving: bool = True, terminating: bool = False
) -> Endpoint:
    return Endpoint(node_name=node, ready=ready, serving=serving, terminating=terminating)


def slice_(
    service_name: str = "shop",
    *endpoints: Endpoint,
    namespace: str = "default",
    family: Family | None = Family.IPV4,
    name: str = "",
) -> EndpointSliceView:
    """An EndpointSlice of a Service; without endpoints it has none."""
    own_name = name or f"{service_name}-{family}"
    return EndpointSliceView(
        meta=meta(ObjectRef(Kind.ENDPOINT_SLICE, namespace, own_name)),
        service_name=service_name,
        family=family,
        endpoints=endpoints,
    )


def ip_object(
    pod_name: str = "web",
    ips: Iterable[str] = ("10.16.0.2",),
    *,
    namespace: str = "default",
    subnet: str = "ovn-default",
    name: str = "",
) -> IpView:
    own_name = name or f"{pod_name}.{namespace}"
    return IpView(
        meta=meta(ObjectRef(Kind.IP, "", own_name)),
        pod_namespace=namespace,
        pod_name=pod_name,
        subnet=subnet,
        addresses=addresses(ips),
    )


def block(cidr: str = "10.244.1.0/26", node: str = NODE) -> IpamBlockView:
    """A Calico IPAM block with affinity to a node."""
    name = cidr.replace(".", "-").replace(":", "-").replace("/", "-")
    return IpamBlockView(
        meta=meta(ObjectRef(Kind.IPAM_BLOCK, "", name)), cidr=ip_network(cidr), node_name=node
    )


def peer(
    name: str = "tor-1",
    address: str = "192.0.2.254",
    *,
    asn: int = 65001,
    local_asn: int = 65000,
    families: frozenset[Family] = BOTH,
    **fields: Any,
) -> Peer:
    """An eBGP peer of both families."""
    return Peer(
        name=name,
        address=ip_address(address),
        asn=asn,
        local_asn=local_asn,
        router_id=IPv4Address("192.0.2.1"),
        families=families,
        **fields,
    )


def facts(
    local_address: str = "192.0.2.1", *, families: frozenset[Family] = BOTH, extended_next_hop: bool = False
) -> SessionFacts:
    return SessionFacts(
        local_address=ip_address(local_address), families=families, extended_next_hop=extended_next_hop
    )


def peer_view(
    of: Peer | None = None, *, session: SessionFacts | None = None, source: str | None = None
) -> PeerView:
    """A peer with its session and the kernel's source toward it, if any."""
    return PeerView(
        peer=of or peer(), facts=session, preferred_source=None if source is None else ip_address(source)
    )


def host(
    *views: PeerView,
    node_ips: Iterable[str] = (),
    pod_ips: Iterable[str] = (),
    allowed_sources: Iterable[str] = (),
) -> HostView:
    """This host; without peers it has one, that takes both families and has a next hop for each."""
    used = views or (peer_view(session=facts(), source="192.0.2.1"),)
    return HostView(
        node_ips=addresses(node_ips)
        if views
        else addresses(node_ips) or addresses(("192.0.2.1", "2001:db8::1")),
        pod_ips=addresses(pod_ips),
        allowed_sources=addresses(allowed_sources),
        peers={view.peer.name: view for view in used},
    )


def policy(**fields: Any) -> PublicationPolicy:
    """The flags with their defaults, on `node-1`."""
    return PublicationPolicy(**{"node_name": NODE} | fields)


def changes(*views: View) -> list[Change]:
    """The views as changes that bring them."""
    return [Change(view.meta.ref, view) for view in views]


def gone(of: ObjectRef) -> Change:
    """The change that takes an object away."""
    return Change(of, None)

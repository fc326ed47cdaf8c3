"""From the API's narrowed JSON to views: the only place that knows both.

What does not parse is absent in the view and named in `Problems`; it never stops the rest.
"""

import ipaddress
import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import TypeVar

from annotations.keys import keys_under
from annotations.parse import pod_networks
from annotations.values import read_ip
from speaker.cluster import wire
from speaker.cluster.bounded import json_object, secret_values
from speaker.model.fabric import GROUP
from speaker.model.objects import (
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
    ResourceView,
    SecretView,
    ServiceView,
    SubnetView,
)
from speaker.model.prefix import Address, Family, Prefix

T = TypeVar("T")

Problems = Callable[[str], None]
"""Told one sentence for each value that could not be read."""

SERVICE_NAME = "kubernetes.io/service-name"
_NODE_PREFIXES = (f"{GROUP}/", "projectcalico.org/")
_MOST_SHARED = 1000
_LONGEST_VALUE = 4096
_CUT = "\N{HORIZONTAL ELLIPSIS}"
"""Ends a value that was cut, so that what is left of it cannot be taken for a valid one."""

_NO_ANNOTATIONS: Mapping[str, str] = {}
_FAMILIES = {"IPv4": Family.IPV4, "IPv6": Family.IPV6}


class Translator:
    """Makes views.

    Args:
        annotation_prefix: those of its annotations that begin with `bgp` are kept.
        problems: told what could not be read.
    """

    def __init__(self, annotation_prefix: str, problems: Problems) -> None:
        self._key_prefixes = (keys_under(annotation_prefix).policy,)
        self._node_prefixes = (*self._key_prefixes, *_NODE_PREFIXES)
        self._single: dict[tuple[str, str], Mapping[str, str]] = {}
        self._problems = problems

    def meta(self, kind: Kind, metadata: wire.Metadata) -> Meta:
        """The common part of an object of `kind`."""
        ref = ObjectRef(kind, sys.intern(metadata.namespace), metadata.name)
        return Meta(
            ref=ref,
            uid=metadata.uid,
            created_at=_seconds(metadata.creationTimestamp),
            annotations=self._kept(kind, metadata.annotations),
        )

    def _kept(self, kind: Kind, annotations: dict[str, str] | None) -> Mapping[str, str]:
        if annotations is None:
            return _NO_ANNOTATIONS
        prefixes = self._node_prefixes if kind is Kind.NODE else self._key_prefixes
        kept = {key: _bounded(value) for key, value in annotations.items() if key.startswith(prefixes)}
        return self._shared(kept) if kept else _NO_ANNOTATIONS

    def _shared(self, kept: dict[str, str]) -> Mapping[str, str]:
        """Equal annotations of many objects as one mapping: most say nothing but the policy."""
        if len(kept) > 1:
            return {sys.intern(key): value for key, value in kept.items()}
        item = next(iter(kept.items()))
        if len(self._single) >= _MOST_SHARED:
            self._single.clear()
        return self._single.setdefault(item, kept)

    def pod(self, pod: wire.Pod) -> PodView:
        """A Pod."""
        spec, status = pod.spec or wire.PodSpec(), pod.status or wire.PodStatus()
        texts = [each.ip for each in status.podIPs or ()] or ([status.podIP] if status.podIP else [])
        meta = self.meta(Kind.POD, pod.metadata)
        networks, unread = pod_networks(pod.metadata.annotations or _NO_ANNOTATIONS)
        return PodView(
            meta=meta,
            networks=networks,
            unread=unread,
            node_name=sys.intern(spec.nodeName or ""),
            host_network=bool(spec.hostNetwork),
            phase=sys.intern(status.phase or ""),
            pod_ips=self._addresses(meta.ref, "status.podIPs", texts),
        )

    def service(self, service: wire.Service) -> ServiceView:
        """A Service."""
        spec, status = service.spec or wire.ServiceSpec(), service.status or wire.ServiceStatus()
        meta = self.meta(Kind.SERVICE, service.metadata)
        headless = spec.clusterIP == "None"
        texts = spec.clusterIPs or ([spec.clusterIP] if spec.clusterIP else [])
        balancer = status.loadBalancer or wire.LoadBalancer()
        return ServiceView(
            meta=meta,
            type=spec.type or "ClusterIP",
            headless=headless,
            cluster_ips=() if headless else self._addresses(meta.ref, "spec.clusterIPs", texts),
            ingress=tuple(self._ingress(meta.ref, balancer.ingress or ())),
            external_ips=self._addresses(meta.ref, "spec.externalIPs", spec.externalIPs or ()),
            external_traffic_policy=spec.externalTrafficPolicy or "Cluster",
            internal_traffic_policy=spec.internalTrafficPolicy or "Cluster",
        )

    def _ingress(self, ref: ObjectRef, points: Iterable[wire.Ingress]) -> Iterable[IngressAddress]:
        for point in points:
            for address in self._addresses(
                ref, "status.loadBalancer.ingress", [point.ip] if point.ip else ()
            ):
                yield IngressAddress(address, point.ipMode or "")

    def endpoint_slice(self, sliced: wire.EndpointSlice) -> EndpointSliceView:
        """An EndpointSlice; unset conditions mean ready and serving, as the API defines."""
        return EndpointSliceView(
            meta=self.meta(Kind.ENDPOINT_SLICE, sliced.metadata),
            service_name=(sliced.metadata.labels or {}).get(SERVICE_NAME, ""),
            family=_FAMILIES.get(sliced.addressType),
            endpoints=tuple(_endpoint(each) for each in sliced.endpoints or ()),
        )

    def namespace(self, namespace: wire.Object) -> NamespaceView:
        """A Namespace."""
        return NamespaceView(meta=self.meta(Kind.NAMESPACE, namespace.metadata))

    def node(self, node: wire.Node) -> NodeView:
        """A Node."""
        spec, status = node.spec or wire.NodeSpec(), node.status or wire.NodeStatus()
        meta = self.meta(Kind.NODE, node.metadata)
        internal = [each.address for each in status.addresses or () if each.type == "InternalIP"]
        cidrs = spec.podCIDRs or ([spec.podCIDR] if spec.podCIDR else [])
        return NodeView(
            meta=meta,
            labels=node.metadata.labels or {},
            internal_ips=self._addresses(meta.ref, "status.addresses", internal),
            pod_cidrs=self._prefixes(meta.ref, "spec.podCIDRs", cidrs),
            unschedulable=bool(spec.unschedulable),
            deleting=node.metadata.deletionTimestamp is not None,
            shutting_down=any(map(_is_shutting_down, status.conditions or ())),
        )

    def subnet(self, subnet: wire.Subnet) -> SubnetView:
        """A Kube-OVN Subnet."""
        spec, status = subnet.spec or wire.SubnetSpec(), subnet.status or wire.SubnetStatus()
        meta = self.meta(Kind.SUBNET, subnet.metadata)
        return SubnetView(
            meta=meta,
            cidrs=self._prefixes(meta.ref, "spec.cidrBlock", _list(spec.cidrBlock)),
            vpc=spec.vpc or "",
            ready=any(each.type == "Ready" and each.status == "True" for each in status.conditions or ()),
            gateway_nodes=_gateway_nodes(spec),
        )

    def ip(self, ip: wire.IpObject) -> IpView:
        """A Kube-OVN IP; `spec.ipAddress` may list both families where the others are empty."""
        spec = ip.spec or wire.IpSpec()
        meta = self.meta(Kind.IP, ip.metadata)
        texts = [text for text in (spec.v4IpAddress, spec.v6IpAddress) if text] or _list(spec.ipAddress)
        return IpView(
            meta=meta,
            pod_namespace=spec.namespace or "",
            pod_name=spec.podName or "",
            subnet=spec.subnet or "",
            addresses=self._addresses(meta.ref, "spec.ipAddress", texts),
        )

    def ipam_block(self, block: wire.IpamBlock) -> IpamBlockView | None:
        """A Calico IPAM block; None when it has no CIDR that can be read, or is deleted."""
        spec = block.spec or wire.BlockSpec()
        meta = self.meta(Kind.IPAM_BLOCK, block.metadata)
        prefixes = self._prefixes(meta.ref, "spec.cidr", [spec.cidr])
        if not prefixes or spec.deleted:
            return None
        kind, _, name = (spec.affinity or "").partition(":")
        return IpamBlockView(meta=meta, cidr=prefixes[0], node_name=name if kind == "host" else "")

    def resource(self, kind: Kind, custom: wire.Custom) -> ResourceView | None:
        """One of our own resources; None when it is too large to be read."""
        meta = self.meta(kind, custom.metadata)
        try:
            return ResourceView(
                meta=meta,
                generation=custom.metadata.generation,
                spec=json_object(meta.ref, "spec", custom.spec),
                status=json_object(meta.ref, "status", custom.status),
            )
        except ValueError as error:
            self._problems(str(error))
            return None

    def secret(self, secret: wire.Secret) -> SecretView:
        """A Secret."""
        meta = self.meta(Kind.SECRET, secret.metadata)
        return SecretView(meta=meta, data=dict(secret_values(meta.ref, secret, self._problems)))

    def _addresses(self, ref: ObjectRef, field: str, texts: Iterable[str]) -> tuple[Address, ...]:
        return tuple(self._each(ref, field, texts, _address, "an IP address"))

    def _prefixes(self, ref: ObjectRef, field: str, texts: Iterable[str]) -> tuple[Prefix, ...]:
        def prefix(text: str) -> Prefix:
            return ipaddress.ip_network(text, strict=False)

        return tuple(self._each(ref, field, texts, prefix, "a CIDR"))

    def _each(
        self, ref: ObjectRef, field: str, texts: Iterable[str], read: Callable[[str], T], what: str
    ) -> Iterable[T]:
        for text in texts:
            try:
                yield read(text)
            except ValueError:
                self._problems(f"{ref}: {field} holds {text[:64]!r}, which is not {what}")


def _bounded(value: str) -> str:
    return value if len(value) <= _LONGEST_VALUE else value[:_LONGEST_VALUE] + _CUT


def _endpoint(endpoint: wire.SliceEndpoint) -> Endpoint:
    conditions = endpoint.conditions or wire.Conditions()
    ready = conditions.ready is not False
    return Endpoint(
        node_name=sys.intern(endpoint.nodeName or ""),
        ready=ready,
        # "nil should be interpreted as" the value of ready, says the API of serving.
        serving=ready if conditions.serving is None else conditions.serving,
        terminating=bool(conditions.terminating),
    )


def _is_shutting_down(condition: wire.Condition) -> bool:
    """What the kubelet writes during a graceful node shutdown."""
    return (
        condition.type == "Ready"
        and condition.status == "False"
        and "shutting down" in (condition.message or "")
    )


def _gateway_nodes(spec: wire.SubnetSpec) -> tuple[str, ...]:
    """The Nodes of `node-1,node-2:192.0.2.2`; what follows a colon is the address that traffic leaves by."""
    if spec.gatewayType != "centralized":
        return ()
    names = (each.partition(":")[0].strip() for each in _list(spec.gatewayNode))
    return tuple(dict.fromkeys(name for name in names if name))


def _list(text: str | None) -> list[str]:
    return [each.strip() for each in (text or "").split(",") if each.strip()]


def _seconds(timestamp: str | None) -> float:
    """An RFC 3339 time as seconds since the epoch; 0 when it is absent or unreadable."""
    if timestamp is None:
        return 0.0
    try:
        return datetime.fromisoformat(timestamp).timestamp()
    except ValueError:
        return 0.0


def _address(text: str) -> Address:
    found = read_ip(text)
    if found is None:
        raise ValueError(text)
    return found

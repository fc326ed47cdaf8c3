"""What is watched: each resource with its path, its selector and its decoder."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from speaker.cluster import wire
from speaker.cluster.config import ClusterConfig
from speaker.cluster.translate import Translator
from speaker.model.objects import Kind, View

KUBE_OVN = "kubeovn.io"
CALICO = "crd.projectcalico.org"

S = TypeVar("S", bound=wire.Object)

Decode = Callable[[Translator, bytes | msgspec.Raw], tuple[wire.Metadata, View | None]]
"""One object's JSON to its metadata and its view; None where it holds no usable value.

Raises `msgspec.MsgspecError` for JSON that is not of the kind.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One resource to list and watch.

    Attributes:
        name: the resource with its group, as `kubectl` names it.
        kind: what its objects are.
        api: the path of its API version, such as "/api/v1".
        decode: from JSON to a view.
        selector: query parameters of list and watch.
        optional: its CRD may be absent.
    """

    name: str
    kind: Kind
    api: str
    decode: Decode
    selector: Mapping[str, str] = field(default_factory=dict)
    optional: bool = False

    @property
    def resource(self) -> str:
        """The plural, without the group."""
        return self.name.partition(".")[0]

    @property
    def path(self) -> str:
        """The path of the collection."""
        return f"{self.api}/{self.resource}"


def _decoder(struct: type[S], translate: Callable[[Translator, S], View | None]) -> Decode:
    decoder = msgspec.json.Decoder(struct)

    def decode(translator: Translator, raw: bytes | msgspec.Raw) -> tuple[wire.Metadata, View | None]:
        value = decoder.decode(raw)
        return value.metadata, translate(translator, value)

    return decode


DECODERS = {
    Kind.POD: _decoder(wire.Pod, Translator.pod),
    Kind.SERVICE: _decoder(wire.Service, Translator.service),
    Kind.ENDPOINT_SLICE: _decoder(wire.EndpointSlice, Translator.endpoint_slice),
    Kind.NAMESPACE: _decoder(wire.Object, Translator.namespace),
    Kind.NODE: _decoder(wire.Node, Translator.node),
    Kind.SUBNET: _decoder(wire.Subnet, Translator.subnet),
    Kind.IP: _decoder(wire.IpObject, Translator.ip),
    Kind.IPAM_BLOCK: _decoder(wire.IpamBlock, Translator.ipam_block),
}

API_VERSIONS = {
    Kind.POD: "v1",
    Kind.SERVICE: "v1",
    Kind.ENDPOINT_SLICE: "discovery.k8s.io/v1",
    Kind.NAMESPACE: "v1",
    Kind.NODE: "v1",
    Kind.SUBNET: f"{KUBE_OVN}/v1",
    Kind.IP: f"{KUBE_OVN}/v1",
    Kind.IPAM_BLOCK: f"{CALICO}/v1",
}

_NAMES = {
    Kind.POD: "pods",
    Kind.SERVICE: "services",
    Kind.ENDPOINT_SLICE: "endpointslices.discovery.k8s.io",
    Kind.NAMESPACE: "namespaces",
    Kind.NODE: "nodes",
    Kind.SUBNET: f"subnets.{KUBE_OVN}",
    Kind.IP: f"ips.{KUBE_OVN}",
    Kind.IPAM_BLOCK: f"ipamblocks.{CALICO}",
}

WITHOUT_HEADLESS = {"labelSelector": "!service.kubernetes.io/headless"}
"""A headless Service has no address of its own; kube-proxy leaves its slices out in the same way."""

_OPTIONAL = frozenset({Kind.SUBNET, Kind.IP, Kind.IPAM_BLOCK})


def source(kind: Kind, selector: Mapping[str, str] | None = None) -> Source:
    """The source of one kind."""
    version = API_VERSIONS[kind]
    return Source(
        name=_NAMES[kind],
        kind=kind,
        api=f"/apis/{version}" if "/" in version else f"/api/{version}",
        decode=DECODERS[kind],
        selector=selector or {},
        optional=kind in _OPTIONAL,
    )


def sources(config: ClusterConfig) -> tuple[Source, ...]:
    """Everything that one speaker watches."""
    own_node = {"fieldSelector": f"metadata.name={config.node_name}"} if config.node_name else {}
    own_pods = {"fieldSelector": f"spec.nodeName={config.node_name}"} if config.pods_of_node_only else {}
    watched = [
        source(Kind.NODE, own_node),
        source(Kind.NAMESPACE),
        source(Kind.SUBNET),
        source(Kind.IP),
        source(Kind.POD, own_pods),
        source(Kind.SERVICE),
        source(Kind.ENDPOINT_SLICE, WITHOUT_HEADLESS),
    ]
    if config.ipam_blocks:
        watched.append(source(Kind.IPAM_BLOCK))
    return tuple(watched)

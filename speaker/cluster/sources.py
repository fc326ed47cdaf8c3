"""What is watched: each resource with its path, its selector and its decoder."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

import msgspec

from speaker.cluster import wire
from speaker.cluster.config import ClusterConfig
from speaker.cluster.translate import Translator
from speaker.model.fabric import GROUP, VERSION
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
        compared: a new version whose view is equal to the last one is no change. Costs a reference to
            each view, so it is for kinds that are few, or that somebody keeps whole anyway.
        keeps_last: what cannot be read leaves the last good view standing.
        only: the name of the one object that is wanted; "" is all of them.
    """

    name: str
    kind: Kind
    api: str
    decode: Decode
    selector: Mapping[str, str] = field(default_factory=dict)
    optional: bool = False
    compared: bool = False
    keeps_last: bool = False
    only: str = ""

    @property
    def title(self) -> str:
        """What health and sentences call it."""
        return f"{self.name}/{self.only}" if self.only else self.name

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


def _resource(kind: Kind) -> Decode:
    def translate(translator: Translator, custom: wire.Custom) -> View | None:
        return translator.resource(kind, custom)

    return _decoder(wire.Custom, translate)


OWN = frozenset({Kind.BGP_CONFIGURATION, Kind.BGP_PEER, Kind.BGP_FILTER, Kind.BGP_NODE_STATUS})
"""The kinds of our own API group."""

DECODERS = {
    Kind.POD: _decoder(wire.Pod, Translator.pod),
    Kind.SERVICE: _decoder(wire.Service, Translator.service),
    Kind.ENDPOINT_SLICE: _decoder(wire.EndpointSlice, Translator.endpoint_slice),
    Kind.NAMESPACE: _decoder(wire.Object, Translator.namespace),
    Kind.NODE: _decoder(wire.Node, Translator.node),
    Kind.SUBNET: _decoder(wire.Subnet, Translator.subnet),
    Kind.IP: _decoder(wire.IpObject, Translator.ip),
    Kind.IPAM_BLOCK: _decoder(wire.IpamBlock, Translator.ipam_block),
    Kind.SECRET: _decoder(wire.Secret, Translator.secret),
    **{kind: _resource(kind) for kind in OWN},
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
    Kind.SECRET: "v1",
    **dict.fromkeys(OWN, f"{GROUP}/{VERSION}"),
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
    Kind.SECRET: "secrets",
    Kind.BGP_CONFIGURATION: f"bgpconfigurations.{GROUP}",
    Kind.BGP_PEER: f"bgppeers.{GROUP}",
    Kind.BGP_FILTER: f"bgpfilters.{GROUP}",
    Kind.BGP_NODE_STATUS: f"bgpnodestatuses.{GROUP}",
}

WITHOUT_HEADLESS = {"labelSelector": "!service.kubernetes.io/headless"}
"""A headless Service has no address of its own; kube-proxy leaves its slices out in the same way."""

_OPTIONAL = frozenset({Kind.SUBNET, Kind.IP, Kind.IPAM_BLOCK}) | OWN
_COMPARED = frozenset({Kind.NODE, Kind.NAMESPACE, Kind.SUBNET, Kind.IPAM_BLOCK, Kind.SECRET}) | OWN
"""A Node's heartbeat and a Subnet's counters come by often, and change nothing that is read."""


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
        compared=kind in _COMPARED,
        keeps_last=kind in OWN or kind is Kind.SECRET,
    )


def secret_source(namespace: str, name: str) -> Source:
    """One Secret; by its name, so that a Role can permit this one and no other."""
    return replace(
        source(Kind.SECRET, {"fieldSelector": f"metadata.name={name}"}),
        api=f"/api/v1/namespaces/{namespace}",
        only=name,
    )


def sources(config: ClusterConfig) -> tuple[Source, ...]:
    """Everything that one speaker watches from its start on."""
    all_nodes = config.all_nodes or config.fabric or not config.node_name
    own_node = {} if all_nodes else {"fieldSelector": f"metadata.name={config.node_name}"}
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
    if config.ipam_blocks or config.all_nodes or config.fabric:
        watched.append(source(Kind.IPAM_BLOCK))
    if config.fabric:
        watched += map(source, (Kind.BGP_CONFIGURATION, Kind.BGP_PEER, Kind.BGP_FILTER))
    if config.only is None:
        return tuple(watched)
    known = {each.kind: each for each in watched}
    return tuple(known.get(kind) or source(kind) for kind in sorted(config.only))

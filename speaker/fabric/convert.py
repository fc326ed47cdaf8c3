"""Calico's resources as ours, with a note for each thing that is not kept.

Knows BGPConfiguration, BGPPeer, BGPFilter and Node as calicoctl prints them (projectcalico.org/v3), the
CustomResourceDefinitions behind them (crd.projectcalico.org/v1), and Kubernetes Nodes with Calico's
annotations. Reads no file and prints nothing. What it makes reads back without a problem, or it is refused.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from annotations.problems import bounded
from speaker.errors import UsageError
from speaker.fabric import nodes, selector
from speaker.fabric.convert_specs import Note, Spec, configuration_spec, filter_spec, peer_spec
from speaker.fabric.reading import DEFAULT_NAME, ResourceError, read_configuration, read_filter, read_peer
from speaker.model.fabric import GROUP, VERSION, Selector
from speaker.model.objects import Kind, Meta, NodeView, ObjectRef, ResourceView

Document = dict[str, object]

CALICO_VERSIONS = frozenset({"projectcalico.org/v3", "crd.projectcalico.org/v1"})
NODE_VERSIONS = frozenset({"v1", "projectcalico.org/v3"})

NO_CONFIGURATION = (
    "there is no BGPConfiguration default among these files: where a cluster has none, Calico runs the full"
    " mesh, and here there is none; then make one with nodeToNodeMeshEnabled: true"
)
REFLECTORS_WITHOUT_CONFIGURATION = (
    "Nodes reflect only when routeReflectorSelector of the BGPConfiguration chooses them too; give the"
    " BGPConfiguration together with the Nodes and the BGPPeers"
)


@dataclass(frozen=True, slots=True)
class Source:
    """One document of Calico's; `place` is what errors call it."""

    place: str
    content: Mapping[str, object]

    @property
    def kind(self) -> str:
        """Its kind."""
        return str(self.content.get("kind", ""))

    @property
    def name(self) -> str:
        """Its name."""
        return str(_mapping(self.content.get("metadata")).get("name", ""))

    @property
    def spec(self) -> Mapping[str, object]:
        """What it asks for."""
        return _mapping(self.content.get("spec"))

    def __str__(self) -> str:
        return f"{bounded(self.kind)} {bounded(self.name)}".strip()


@dataclass(frozen=True, slots=True)
class Converted:
    """What became of one document.

    Attributes:
        source: the document.
        document: ours; None when nothing is made of it.
        notes: what is not kept, and what to do about it, a sentence each.
    """

    source: Source
    document: Document | None
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Conversion:
    """What became of all documents, in their order; `notes` are about all of them together."""

    converted: tuple[Converted, ...]
    notes: tuple[str, ...]


def convert(sources: Sequence[Source]) -> Conversion:
    """Convert documents that belong to one cluster; raises UsageError for what is wrong in itself."""
    one_by_one = [_convert(source) for source in sources]
    selectors = _peer_selectors(one_by_one)
    converted = tuple(_with_labels(each, selectors) for each in one_by_one)
    reflectors = [each.source for each in converted if _is_reflector(each)]
    notes: list[str] = []
    configuration = next((each for each in converted if _is_configuration(each)), None)
    if configuration is None:
        if any(each.document is not None for each in converted):
            notes.append(NO_CONFIGURATION)
        if reflectors:
            notes.append(REFLECTORS_WITHOUT_CONFIGURATION)
    elif reflectors or any(_has_peer_selector(each) for each in converted):
        has_nodes = any(each.source.kind == Kind.NODE for each in converted)
        chosen = _reflector_selector(converted, reflectors, has_nodes=has_nodes)
        converted = tuple(
            _with_reflectors(each, chosen) if each is configuration else each for each in converted
        )
    return Conversion(converted, tuple(notes))


@dataclass(slots=True)
class _Notes:
    """Collects what is not kept of one document, none twice."""

    found: dict[str, None] = field(default_factory=dict)

    def __call__(self, sentence: str) -> None:
        self.found[sentence] = None


def _convert(source: Source) -> Converted:
    notes = _Notes()
    try:
        document = _document(source, notes)
    except ResourceError as error:
        raise UsageError("\n".join(f"{source.place}: {problem}" for problem in error.problems)) from None
    except ValueError as error:
        raise UsageError(f"{source.place}: {error}") from None
    return Converted(source, document, tuple(notes.found))


def _document(source: Source, note: Note) -> Document | None:
    version = source.content.get("apiVersion")
    if source.kind == Kind.NODE and version in NODE_VERSIONS:
        return _node(source, note)
    if version not in CALICO_VERSIONS or source.kind not in _RESOURCES:
        note("is passed over: only BGPConfiguration, BGPPeer, BGPFilter and Node of Calico are converted")
        return None
    _check_shape(source)
    kind = Kind(source.kind)
    if kind is Kind.BGP_CONFIGURATION and source.name != DEFAULT_NAME:
        note("is passed over: only the BGPConfiguration default counts, there is none for single Nodes")
        return None
    if kind is Kind.BGP_PEER and source.spec.get("localWorkloadSelector"):
        note("localWorkloadSelector: is passed over as a whole: there is no peering with Pods")
        return None
    make, read = _RESOURCES[kind]
    spec = make(source.spec, note)
    read(_view(kind, source.name, spec))
    return _ours(source, spec)


_RESOURCES: Mapping[str, tuple[Callable[[Spec, Note], Document], Callable[[ResourceView], object]]] = {
    Kind.BGP_CONFIGURATION: (configuration_spec, read_configuration),
    Kind.BGP_PEER: (peer_spec, read_peer),
    Kind.BGP_FILTER: (filter_spec, read_filter),
}


def _check_shape(source: Source) -> None:
    if not source.name:
        raise ValueError("metadata.name: is missing")
    if not isinstance(source.content.get("spec") or {}, dict):
        raise ValueError("spec: must be a mapping of fields")  # noqa: TRY004 -- the file is wrong


def _ours(source: Source, spec: Document) -> Document:
    metadata: Document = {"name": source.name}
    labels = _mapping(_mapping(source.content.get("metadata")).get("labels"))
    if labels:
        metadata["labels"] = dict(labels)
    return {"apiVersion": f"{GROUP}/{VERSION}", "kind": source.kind, "metadata": metadata, "spec": spec}


def _view(kind: Kind, name: str, spec: Spec) -> ResourceView:
    return ResourceView(meta=Meta(ref=ObjectRef(kind, "", name), annotations={}), spec=spec)


def _node(source: Source, note: Note) -> Document | None:
    """A Node with nothing but our annotations, to be applied over the one that is there."""
    _check_shape(source)
    is_calico = source.content.get("apiVersion") != "v1"
    found = _of_calico_node(source.spec, note) if is_calico else _of_kubernetes_node(source)
    if not found:
        note("has nothing about BGP: no annotation is needed")
        return None
    view = NodeView(meta=Meta(ref=ObjectRef(Kind.NODE, "", source.name), annotations=found), labels={})
    if problems := nodes.read_node(view).problems:
        raise ValueError("; ".join(problems))
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": source.name, "annotations": found}}


def _of_calico_node(spec: Spec, note: Note) -> dict[str, str]:
    """Our annotations of a Node as calicoctl prints it: `spec.bgp`."""
    bgp = _mapping(spec.get("bgp"))
    fields = {
        nodes.AS_NUMBER.own: bgp.get("asNumber"),
        nodes.CLUSTER_ID.own: bgp.get("routeReflectorClusterID"),
        nodes.IPV4_ADDRESS.own: _without_length(bgp.get("ipv4Address")),
        nodes.IPV6_ADDRESS.own: _without_length(bgp.get("ipv6Address")),
    }
    if bgp.get("ipv4IPIPTunnelAddr"):
        note("spec.bgp.ipv4IPIPTunnelAddr: routes here run without an overlay")
    return {key: str(value) for key, value in fields.items() if value}


def _of_kubernetes_node(source: Source) -> dict[str, str]:
    """Our annotations beside Calico's, so that they stay when Calico's go."""
    written = _mapping(_mapping(source.content.get("metadata")).get("annotations"))
    keys = (nodes.AS_NUMBER, nodes.CLUSTER_ID, nodes.IPV4_ADDRESS, nodes.IPV6_ADDRESS)
    found = {each.own: written.get(each.own) or written.get(each.calico or "") for each in keys}
    for each in (nodes.IPV4_ADDRESS, nodes.IPV6_ADDRESS):
        found[each.own] = _without_length(found[each.own])
    return {key: str(value) for key, value in found.items() if value}


def _without_length(value: object) -> object:
    """Calico writes a Node's address with the length of its prefix."""
    return value.partition("/")[0] if isinstance(value, str) else value


def _with_labels(converted: Converted, selectors: Iterable[selector.LabelSelector]) -> Converted:
    """A Node of Calico's with the labels that selectors look at: in etcd the Kubernetes Node lacks them."""
    document, source = converted.document, converted.source
    if source.kind != Kind.NODE or source.content.get("apiVersion") == "v1":
        return converted
    keys = {key for each in selectors for key in each.keys}
    labels = {key: value for key, value in sorted(_labels(source).items()) if key in keys}
    if not labels:
        return converted
    metadata = _mapping(document["metadata"]) if document else {"name": source.name}
    notes = tuple(each for each in converted.notes if "no annotation" not in each)
    labelled: Document = {"apiVersion": "v1", "kind": "Node", "metadata": {**metadata, "labels": labels}}
    return Converted(source, labelled, notes)


def _peer_selectors(converted: Iterable[Converted]) -> tuple[selector.LabelSelector, ...]:
    """The selectors of all BGPPeers, which were read before."""
    return tuple(
        selector.parse(str(text))
        for each in converted
        if each.document is not None and each.source.kind == Kind.BGP_PEER
        for name in ("nodeSelector", "peerSelector")
        if (text := _mapping(each.document["spec"]).get(name))
    )


def _has_peer_selector(converted: Converted) -> bool:
    document = converted.document
    is_peer = document is not None and converted.source.kind == Kind.BGP_PEER
    return is_peer and "peerSelector" in _mapping((document or {}).get("spec"))


def _is_configuration(converted: Converted) -> bool:
    return converted.document is not None and converted.source.kind == Kind.BGP_CONFIGURATION


def _is_reflector(converted: Converted) -> bool:
    if converted.document is None or converted.source.kind != Kind.NODE:
        return False
    metadata = _mapping(converted.document["metadata"])
    return nodes.CLUSTER_ID.own in _mapping(metadata.get("annotations"))


def _reflector_selector(
    converted: Sequence[Converted], reflectors: Sequence[Source], *, has_nodes: bool
) -> tuple[str, str] | None:
    """`routeReflectorSelector`, and the note about it; None when no Node is a reflector."""
    if not reflectors and has_nodes:
        return None
    others = [
        each.source for each in converted if each.source.kind == Kind.NODE and each.source not in reflectors
    ]
    for each in converted:
        if reflectors and _has_peer_selector(each):
            text = str(_mapping((each.document or {}).get("spec"))["peerSelector"])
            if _tells_apart(selector.parse(text), reflectors, others):
                return text, f"is the peerSelector of {each.source}: it chooses the Nodes with a cluster ID"
    return "all()", "lets the cluster ID alone decide, as in Calico; a narrower one guards against mistakes"


def _tells_apart(chosen: Selector, reflectors: Iterable[Source], others: Iterable[Source]) -> bool:
    return all(chosen.matches(_labels(each)) for each in reflectors) and not any(
        chosen.matches(_labels(each)) for each in others
    )


def _with_reflectors(converted: Converted, chosen: tuple[str, str] | None) -> Converted:
    if chosen is None or converted.document is None:
        return converted
    text, why = chosen
    spec = {**_mapping(converted.document["spec"]), "routeReflectorSelector": text}
    notes = (*converted.notes, f"routeReflectorSelector: {text} written down: it {why}")
    return Converted(converted.source, {**converted.document, "spec": spec}, notes)


def _labels(source: Source) -> dict[str, str]:
    labels = _mapping(_mapping(source.content.get("metadata")).get("labels"))
    return {key: value for key, value in labels.items() if isinstance(value, str)}


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}

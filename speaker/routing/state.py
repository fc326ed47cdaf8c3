"""The cluster as it now is, indexed by what a change can reach.

`Store.apply` takes one change and returns the objects whose outcome may differ after it: a Pod its
own, an EndpointSlice its Service's, a Subnet its Pods', this node's gate everybody's. Knows no rule;
EndpointSlices and the Nodes of others are kept only as far as a rule reads them.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Generic, TypeVar

from annotations.parse import NOTHING_ASKED, PublishRequest
from speaker.model.objects import (
    Change,
    EndpointSliceView,
    IpamBlockView,
    IpView,
    Kind,
    NamespaceView,
    NodeView,
    ObjectRef,
    PodView,
    ServiceView,
    SubnetView,
    View,
)
from speaker.model.policy import PublicationPolicy
from speaker.model.prefix import Family
from speaker.routing.locality import OPEN_GATE, EndpointSummary, NodeGate, node_gate, summarise
from speaker.routing.request import Asked, Request, inherit, read_request

_K = TypeVar("_K")
_V = TypeVar("_V", bound=View)

_MOST_INHERITED = 10_000
"""Tenants could write attributes without end; the memory of them is bounded."""

Reached = Iterable[ObjectRef]


class Index(Generic[_K]):
    """Objects by a key, several a key, in the order of their arrival."""

    def __init__(self) -> None:
        self._members: dict[_K, dict[ObjectRef, None]] = {}

    def __getitem__(self, key: _K) -> Iterable[ObjectRef]:
        return self._members.get(key, ())

    def __bool__(self) -> bool:
        return bool(self._members)

    def move(self, ref: ObjectRef, before: Iterable[_K], after: Iterable[_K]) -> None:
        """Take `ref` from the keys it had and put it under those it has."""
        for key in before:
            members = self._members.get(key)
            if members is not None:
                members.pop(ref, None)
                if not members:
                    del self._members[key]
        for key in after:
            self._members.setdefault(key, {})[ref] = None


class _Slice:
    """What is kept of an EndpointSlice."""

    __slots__ = ("family", "service", "summary")

    def __init__(self, service: ObjectRef, family: Family, summary: EndpointSummary) -> None:
        self.service = service
        self.family = family
        self.summary = summary

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Slice) and (self.service, self.family, self.summary) == (
            other.service,
            other.family,
            other.summary,
        )

    __hash__ = None  # type: ignore[assignment]


class Store:
    """Every view a decision may read.

    Args:
        policy: the flags; the store reads the node's name, label and the annotation prefix.
    """

    def __init__(self, policy: PublicationPolicy) -> None:
        self._policy = policy
        self.pods: dict[ObjectRef, PodView] = {}
        self.services: dict[ObjectRef, ServiceView] = {}
        self.subnets: dict[ObjectRef, SubnetView] = {}
        self.namespaces: dict[ObjectRef, NamespaceView] = {}
        self.ips: dict[ObjectRef, IpView] = {}
        self.blocks: dict[ObjectRef, IpamBlockView] = {}
        self.node: NodeView | None = None
        self.node_ref = ObjectRef(Kind.NODE, "", policy.node_name)
        self.gate: NodeGate = OPEN_GATE
        self._slices: dict[ObjectRef, _Slice] = {}
        self.subnets_by_name: dict[str, SubnetView] = {}
        self._parents: dict[ObjectRef, Request] = {}
        self._inherited: dict[tuple[PublishRequest | None, str, str], Asked | None] = {}
        self._pods_by_subnet: Index[str] = Index()
        self._by_namespace: Index[str] = Index()
        self._slices_by_service: Index[ObjectRef] = Index()
        self._ips_by_pod: Index[ObjectRef] = Index()
        self._blocks_by_node: Index[str] = Index()
        self._apply: dict[Kind, Callable[[ObjectRef, View | None], Reached]] = {
            Kind.POD: self._pod,
            Kind.SERVICE: self._service,
            Kind.ENDPOINT_SLICE: self._slice,
            Kind.NAMESPACE: self._namespace,
            Kind.NODE: self._node,
            Kind.SUBNET: self._subnet,
            Kind.IP: self._ip,
            Kind.IPAM_BLOCK: self._block,
        }

    def apply(self, change: Change) -> Reached:
        """Take over one change; returns the objects whose outcome it can reach.

        Kinds that publish nothing (those of `bgp.route-speaker.io`, Secrets) reach none.
        """
        apply = self._apply.get(change.ref.kind)
        return () if apply is None else apply(change.ref, change.view)

    def publishable(self) -> Iterator[ObjectRef]:
        """Every object that could have an outcome."""
        return chain((self.node_ref,), self.namespaces, self.subnets, self.services, self.pods)

    def parent_request(self, kind: Kind, name: str) -> Request:
        """What the Subnet or Namespace of that name asks; nothing when it is not there."""
        ref = ObjectRef(kind, "", name)
        return self._parents.get(ref) or Request(ref)

    def inherited(self, own: Request, subnet: str, namespace: str) -> Asked | None:
        """What is asked of a Pod on the network of a Subnet, or of none (""): by itself, else by its parents.

        The Pods of a Subnet and a Namespace nearly all ask alike, so the answer is kept until a parent
        asks otherwise.
        """
        key = (own.asks, subnet, namespace) if own.asks is not NOTHING_ASKED else (None, subnet, namespace)
        try:
            return self._inherited[key]
        except KeyError:
            line = (own, self.parent_request(Kind.SUBNET, subnet)) if subnet else (own,)
            asked = inherit((*line, self.parent_request(Kind.NAMESPACE, namespace)))
            if len(self._inherited) >= _MOST_INHERITED:
                self._inherited.clear()
            self._inherited[key] = asked
            return asked

    def endpoint_summaries(self, service: ObjectRef, family: Family) -> Iterator[EndpointSummary]:
        """The summaries of the Service's EndpointSlices of one family."""
        slices = (self._slices[ref] for ref in self._slices_by_service[service])
        return (each.summary for each in slices if each.family is family)

    def ips_of(self, pod: ObjectRef) -> Iterator[IpView]:
        """The IP objects that name the Pod."""
        return (self.ips[ref] for ref in self._ips_by_pod[pod])

    def gateway_subnets(self) -> Iterator[SubnetView]:
        """The Subnets that this node is a gateway of."""
        return (each for each in self.subnets.values() if self._is_gateway(each))

    def blocks_of(self, node_name: str) -> Iterator[IpamBlockView]:
        """The Calico IPAM blocks with affinity to the node."""
        return (self.blocks[ref] for ref in self._blocks_by_node[node_name])

    def _pod(self, ref: ObjectRef, view: View | None) -> Reached:
        after = view if isinstance(view, PodView) else None
        before = _put(self.pods, ref, after)
        if before == after:
            return ()
        self._pods_by_subnet.move(ref, _subnets_of(before), _subnets_of(after))
        self._by_namespace.move(ref, _here(before, ref), _here(after, ref))
        return (ref,)

    def _service(self, ref: ObjectRef, view: View | None) -> Reached:
        after = view if isinstance(view, ServiceView) else None
        before = _put(self.services, ref, after)
        if before == after:
            return ()
        self._by_namespace.move(ref, _here(before, ref), _here(after, ref))
        return (ref,)

    def _slice(self, ref: ObjectRef, view: View | None) -> Reached:
        after = self._summary(view) if isinstance(view, EndpointSliceView) else None
        before = self._slices.pop(ref, None)
        if after is not None:
            self._slices[ref] = after
        if before == after:
            return ()
        services_before = () if before is None else (before.service,)
        services_after = () if after is None else (after.service,)
        self._slices_by_service.move(ref, services_before, services_after)
        return dict.fromkeys(services_before + services_after)

    def _summary(self, view: EndpointSliceView) -> _Slice | None:
        if not view.service_name or view.family is None:
            return None
        service = ObjectRef(Kind.SERVICE, view.meta.ref.namespace, view.service_name)
        return _Slice(service, view.family, summarise(view.endpoints, self._policy.node_name))

    def _namespace(self, ref: ObjectRef, view: View | None) -> Reached:
        after = view if isinstance(view, NamespaceView) else None
        before = _put(self.namespaces, ref, after)
        if before == after:
            return ()
        asked_before = self._parents.get(ref)
        self._remember(ref, after)
        if asked_before == self._parents.get(ref):
            return (ref,)
        return chain((ref,), tuple(self._by_namespace[ref.name]))

    def _subnet(self, ref: ObjectRef, view: View | None) -> Reached:
        after = view if isinstance(view, SubnetView) else None
        had_subnets = bool(self.subnets)
        before = _put(self.subnets, ref, after)
        if before == after:
            return ()
        if after is None:
            del self.subnets_by_name[ref.name]
        else:
            self.subnets_by_name[ref.name] = after
        asked_before = self._parents.get(ref)
        self._remember(ref, after)
        reached: list[Reached] = [(ref,)]
        if had_subnets != bool(self.subnets) or self._is_gateway(before) or self._is_gateway(after):
            reached.append((self.node_ref,))
        if asked_before != self._parents.get(ref) or _addressing(before) != _addressing(after):
            reached.append(tuple(self._pods_by_subnet[ref.name]))
        return chain.from_iterable(reached)

    def _is_gateway(self, subnet: SubnetView | None) -> bool:
        return subnet is not None and self._policy.node_name in subnet.gateway_nodes

    def _remember(self, ref: ObjectRef, view: SubnetView | NamespaceView | None) -> None:
        """Keep what a parent asks, read once for all that inherit it."""
        self._inherited.clear()
        if view is None:
            self._parents.pop(ref, None)
        else:
            self._parents[ref] = read_request(view.meta, self._policy)

    def _node(self, ref: ObjectRef, view: View | None) -> Reached:
        if ref != self.node_ref:
            return ()
        after = view if isinstance(view, NodeView) else None
        before, self.node = self.node, after
        if before == after:
            return ()
        gate_before, self.gate = self.gate, node_gate(after, self._policy)
        return (ref,) if gate_before == self.gate else self.publishable()

    def _ip(self, ref: ObjectRef, view: View | None) -> Reached:
        after = view if isinstance(view, IpView) else None
        before = _put(self.ips, ref, after)
        if before == after:
            return ()
        pods_before, pods_after = _pod_of(before), _pod_of(after)
        self._ips_by_pod.move(ref, pods_before, pods_after)
        return dict.fromkeys(pods_before + pods_after)

    def _block(self, ref: ObjectRef, view: View | None) -> Reached:
        after = view if isinstance(view, IpamBlockView) else None
        had_blocks = bool(self.blocks)
        before = _put(self.blocks, ref, after)
        if before == after:
            return ()
        nodes_before = () if before is None else (before.node_name,)
        nodes_after = () if after is None else (after.node_name,)
        self._blocks_by_node.move(ref, nodes_before, nodes_after)
        own = self._policy.node_name in nodes_before + nodes_after
        return (self.node_ref,) if own or had_blocks != bool(self.blocks) else ()


def _put(views: dict[ObjectRef, _V], ref: ObjectRef, view: _V | None) -> _V | None:
    """Set or remove one view; returns what was there."""
    before = views.get(ref)
    if view is None:
        views.pop(ref, None)
    else:
        views[ref] = view
    return before


def _subnets_of(pod: PodView | None) -> set[str]:
    return set() if pod is None else {each.subnet for each in pod.networks if each.subnet}


def _here(view: PodView | ServiceView | None, ref: ObjectRef) -> tuple[str, ...]:
    return () if view is None else (ref.namespace,)


def _pod_of(view: IpView | None) -> tuple[ObjectRef, ...]:
    return () if view is None else (ObjectRef(Kind.POD, view.pod_namespace, view.pod_name),)


def _addressing(view: SubnetView | None) -> object:
    """What of a Subnet the rules for its Pods read; its readiness is not among it."""
    return None if view is None else (view.cidrs, view.vpc)

"""Which prefixes an object asks for, and which of them this node publishes: one function per kind.

The rules for Pods and Services stand in `pods` and `services`. What a Subnet under Local policy asks
concerns its Pods alone: its CIDR is no part of it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from operator import attrgetter

from annotations.values import PublishPolicy
from speaker.model.objects import Kind, ObjectRef, SubnetView
from speaker.model.policy import PodCidrSource, PublicationPolicy
from speaker.model.prefix import Prefix
from speaker.model.publication import Exclusion, ExclusionReason, Publication
from speaker.routing.outcome import Outcome
from speaker.routing.pods import select_pods
from speaker.routing.request import demand_of, inherit, node_owned, read_request
from speaker.routing.services import select_service
from speaker.routing.state import Store
from speaker.routing.vpc import in_foreign_vpc


def select(refs: Iterable[ObjectRef], store: Store, policy: PublicationPolicy) -> Iterator[Outcome | None]:
    """What becomes of each on this node as far as it alone decides; None when it does not ask."""
    closed = store.gate.closed
    for kind, alike in groupby(refs, key=attrgetter("kind")):
        outcomes = _each(kind, alike, store, policy)
        yield from outcomes if closed is None else (each and _shut(each, closed) for each in outcomes)


def _each(
    kind: Kind, refs: Iterable[ObjectRef], store: Store, policy: PublicationPolicy
) -> Iterator[Outcome | None]:
    if kind is Kind.POD:
        return select_pods(refs, store, policy)
    select_one = _BY_KIND[kind]
    return (select_one(ref, store, policy) for ref in refs)


def _shut(outcome: Outcome, reason: ExclusionReason) -> Outcome:
    """The outcome on a node that publishes nothing."""
    shut = tuple(
        Exclusion(source=each.source, reason=reason, prefix=each.prefix) for each in outcome.publications
    )
    return outcome._replace(publications=(), exclusions=shut + outcome.exclusions)


def select_namespace(ref: ObjectRef, store: Store, policy: PublicationPolicy) -> Outcome | None:
    """A Namespace has no prefix of its own: it can only be misunderstood."""
    del policy
    notes = store.parent_request(Kind.NAMESPACE, ref.name).notes
    return Outcome(notes=notes) if notes else None


def select_subnet(ref: ObjectRef, store: Store, policy: PublicationPolicy) -> Outcome | None:
    """The CIDRs of a Subnet under Cluster policy, from every speaker."""
    subnet = store.subnets.get(ref)
    if subnet is None:
        return None
    own = store.parent_request(Kind.SUBNET, ref.name)
    asked = inherit((own,))
    if asked is None or asked.policy is not PublishPolicy.CLUSTER:
        return Outcome(notes=own.notes) if own.notes else None
    if not subnet.cidrs:
        return Outcome((), (Exclusion(source=ref, reason=ExclusionReason.NO_ADDRESS),), own.notes)
    reasons = {cidr: _subnet_exclusion(subnet, cidr, policy) for cidr in subnet.cidrs}
    publications = tuple(
        Publication(
            prefix=cidr,
            source=ref,
            created_at=subnet.meta.created_at,
            demand=asked.demand,
            why=asked.why,
        )
        for cidr, reason in reasons.items()
        if reason is None
    )
    exclusions = tuple(
        Exclusion(source=ref, reason=reason, prefix=cidr, detail=subnet.vpc)
        for cidr, reason in reasons.items()
        if reason is not None
    )
    return Outcome(publications, exclusions, own.notes)


def _subnet_exclusion(subnet: SubnetView, cidr: Prefix, policy: PublicationPolicy) -> ExclusionReason | None:
    if in_foreign_vpc(subnet, cidr, policy.allowed_prefixes):
        return ExclusionReason.CUSTOM_VPC
    return None if subnet.ready else ExclusionReason.SUBNET_NOT_READY


def select_node(ref: ObjectRef, store: Store, policy: PublicationPolicy) -> Outcome | None:
    """The Pod CIDRs of this node, when `--announce-pod-cidr` asks and its annotation does not forbid."""
    node = store.node
    if node is None or ref != store.node_ref:
        return None
    own = read_request(node.meta, policy)
    if not policy.announce_pod_cidr or own.asks.policy is PublishPolicy.OFF:
        return Outcome(notes=own.notes) if own.notes else None
    cidrs, detail = _pod_cidrs(store, policy)
    if not cidrs:
        none = Exclusion(source=ref, reason=ExclusionReason.NO_ADDRESS, detail=detail)
        return Outcome((), (none,), own.notes)
    demand = node_owned(demand_of(own.asks))
    publications = tuple(
        Publication(
            prefix=cidr,
            source=ref,
            created_at=node.meta.created_at,
            demand=demand,
            why=f"--announce-pod-cidr, {detail}",
        )
        for cidr, reason in cidrs.items()
        if reason is None
    )
    exclusions = tuple(
        Exclusion(source=ref, reason=reason, prefix=cidr, detail=detail)
        for cidr, reason in cidrs.items()
        if reason is not None
    )
    return Outcome(publications, exclusions, own.notes)


_Cidrs = Mapping[Prefix, ExclusionReason | None]
"""Pod CIDRs, each with why it is not published, or None."""


def _pod_cidrs(store: Store, policy: PublicationPolicy) -> tuple[_Cidrs, str]:
    """This node's Pod CIDRs from exactly one source, and which.

    AUTO looks at the whole cluster, not at this node alone: where Calico or Kube-OVN allocates,
    `spec.podCIDRs` is a range that no Pod has, also on a node that has no block yet. Under Kube-OVN a
    Subnet spans the nodes: it belongs to those that it names as its gateway.
    """
    source = policy.pod_cidr_source
    if source is PodCidrSource.AUTO:
        if store.blocks:
            source = PodCidrSource.CALICO
        else:
            source = PodCidrSource.KUBE_OVN if store.subnets else PodCidrSource.NODE
    if source is PodCidrSource.CALICO:
        blocks = sorted(store.blocks_of(policy.node_name), key=lambda block: block.meta.ref)
        return dict.fromkeys(block.cidr for block in blocks), "Calico IPAM blocks"
    if source is PodCidrSource.KUBE_OVN:
        return _gateway_cidrs(store, policy), "Kube-OVN Subnets with this node as their gateway"
    return dict.fromkeys(store.node.pod_cidrs if store.node else ()), "spec.podCIDRs"


def _gateway_cidrs(store: Store, policy: PublicationPolicy) -> _Cidrs:
    found: dict[Prefix, ExclusionReason | None] = {}
    for subnet in sorted(store.gateway_subnets(), key=lambda each: each.meta.ref):
        for cidr in subnet.cidrs:
            reason = _subnet_exclusion(subnet, cidr, policy)
            # Two VPCs may use one CIDR; the one that may be published decides.
            if reason is None or cidr not in found:
                found[cidr] = reason
    return found


def _select_nothing(ref: ObjectRef, store: Store, policy: PublicationPolicy) -> None:
    """Kinds that only inform the decisions about others."""
    del ref, store, policy


_BY_KIND: dict[Kind, Callable[[ObjectRef, Store, PublicationPolicy], Outcome | None]] = {
    Kind.SERVICE: select_service,
    Kind.NAMESPACE: select_namespace,
    Kind.SUBNET: select_subnet,
    Kind.NODE: select_node,
    Kind.ENDPOINT_SLICE: _select_nothing,
    Kind.IP: _select_nothing,
    Kind.IPAM_BLOCK: _select_nothing,
}

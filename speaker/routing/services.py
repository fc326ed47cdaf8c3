"""Which addresses of a Service this node publishes.

Addresses have three types: cluster IPs, load balancer addresses and external IPs. `bgp-addresses`
says which are meant; without it cluster and load balancer addresses are, external IPs never (a
tenant could take any address). The traffic policy of the type forces Local over the annotation, since
a node without an endpoint would drop the traffic.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from annotations.values import AddressType, PublishPolicy
from speaker.model.objects import Kind, ObjectRef, ServiceView
from speaker.model.policy import PublicationPolicy
from speaker.model.prefix import Address, Family, Prefix, family_of, host_prefix
from speaker.model.publication import Exclusion, ExclusionReason, Publication
from speaker.routing.locality import Presence, presence, service_exclusion
from speaker.routing.outcome import Outcome
from speaker.routing.request import Asked, inherit, read_request
from speaker.routing.state import Store

LOCAL_TRAFFIC = "Local"


@dataclass(frozen=True, slots=True)
class _Wanted:
    """One address that is asked for, before this node's view of it."""

    address: Address
    type: AddressType
    reason: ExclusionReason | None = None


def select_service(ref: ObjectRef, store: Store, policy: PublicationPolicy) -> Outcome | None:
    """What the Service asks for and what this node makes of it; None when nobody asks for it."""
    service = store.services.get(ref)
    if service is None:
        return None
    own = read_request(service.meta, policy)
    asked = inherit((own, store.parent_request(Kind.NAMESPACE, ref.namespace)))
    if asked is None:
        return Outcome(notes=own.notes) if own.notes else None
    wanted = tuple(_wanted(service, own.asks.addresses, policy))
    whole = _whole_exclusion(service, wanted)
    if whole is not None:
        return Outcome((), (Exclusion(source=ref, reason=whole),), own.notes)
    endpoints = {family: presence(store.endpoint_summaries(ref, family)) for family in Family}
    return _decide(_Decision(service, asked, store, policy, endpoints), wanted, own.notes)


def _whole_exclusion(service: ServiceView, wanted: tuple[_Wanted, ...]) -> ExclusionReason | None:
    if service.type == "ExternalName":
        return ExclusionReason.EXTERNAL_NAME
    if service.headless:
        return ExclusionReason.HEADLESS
    return None if wanted else ExclusionReason.NO_ADDRESS


def _wanted(
    service: ServiceView, named: frozenset[AddressType] | None, policy: PublicationPolicy
) -> Iterator[_Wanted]:
    """The addresses that are asked for, with what the flags and the load balancer say of each.

    A LoadBalancer Service whose annotation names no type does not ask for its cluster IPs where they
    are not announced at all: nobody who publishes a VIP means them.
    """
    is_load_balancer = service.type == "LoadBalancer"
    off = ExclusionReason.ADDRESS_TYPE_NOT_ANNOUNCED
    if named is None:
        cluster = policy.announce_cluster_ip or not is_load_balancer
        named = frozenset({AddressType.LOADBALANCER} | ({AddressType.CLUSTER} if cluster else set()))
    if AddressType.LOADBALANCER in named and is_load_balancer:
        for each in service.ingress:
            reason = None if policy.announce_lb_ip else off
            if each.ip_mode not in ("", "VIP"):
                reason = ExclusionReason.PROXY_IP_MODE
            yield _Wanted(each.address, AddressType.LOADBALANCER, reason)
    if AddressType.EXTERNAL in named:
        reason = None if policy.announce_external_ip else off
        yield from (_Wanted(each, AddressType.EXTERNAL, reason) for each in service.external_ips)
    if AddressType.CLUSTER in named:
        reason = None if policy.announce_cluster_ip else off
        yield from (_Wanted(each, AddressType.CLUSTER, reason) for each in service.cluster_ips)


@dataclass(frozen=True, slots=True)
class _Decision:
    """All that this node's answer about one Service follows from."""

    service: ServiceView
    asked: Asked
    store: Store
    policy: PublicationPolicy
    endpoints: dict[Family, Presence]

    def exclusion(self, wanted: _Wanted) -> ExclusionReason | None:
        """Why this node does not publish the address, or None."""
        if wanted.reason is not None:
            return wanted.reason
        if wanted.type is not AddressType.CLUSTER and self.store.gate.no_external_addresses:
            return ExclusionReason.NODE_EXCLUDED
        return service_exclusion(
            self.endpoints[family_of(wanted.address)],
            local=self._is_local(wanted.type),
            without_endpoints=self.policy.announce_without_endpoints,
        )

    def _is_local(self, type_: AddressType) -> bool:
        traffic = (
            self.service.internal_traffic_policy
            if type_ is AddressType.CLUSTER
            else self.service.external_traffic_policy
        )
        return self.asked.policy is PublishPolicy.LOCAL or traffic == LOCAL_TRAFFIC

    def publication(self, prefix: Prefix) -> Publication:
        """The prefix as this node publishes it."""
        return Publication(
            prefix=prefix,
            source=self.service.meta.ref,
            created_at=self.service.meta.created_at,
            demand=self.asked.demand,
            why=self.asked.why,
        )


def _decide(decision: _Decision, wanted: tuple[_Wanted, ...], notes: tuple[Exclusion, ...]) -> Outcome:
    """Every address in one of published and excluded; one of several types needs one that may."""
    publications: dict[Prefix, Publication] = {}
    exclusions: dict[Prefix, Exclusion] = {}
    for each in wanted:
        prefix = host_prefix(each.address)
        reason = decision.exclusion(each)
        if reason is None:
            publications.setdefault(prefix, decision.publication(prefix))
            exclusions.pop(prefix, None)
        elif prefix not in publications:
            exclusion = Exclusion(
                source=decision.service.meta.ref, reason=reason, prefix=prefix, detail=str(each.type)
            )
            exclusions.setdefault(prefix, exclusion)
    return Outcome(tuple(publications.values()), tuple(exclusions.values()), notes)

"""Which addresses of a Pod this node publishes.

A Pod counts from having an address until it is Succeeded, Failed or deleted: Pending and
Terminating Pods are reachable. Its addresses are those of each Kube-OVN network in its annotations,
else `status.podIPs`. Tenants may write annotations, so an address from there must lie inside the
Subnet that it names and be confirmed by Kube-OVN's own IP object or by the kubelet's status.podIPs
(`--trust-pod-annotations` waives the confirmation, never the Subnet).

Each network has its own Subnet and so its own policy. Under a Cluster Subnet the CIDR carries the
traffic; the Pod's host routes follow the Subnet only with `--announce-subnet-pods`.
"""

from collections.abc import Iterable

from annotations.parse import PodNetwork, pod_networks
from annotations.values import PublishPolicy
from speaker.model.objects import Kind, ObjectRef, PodView, SubnetView
from speaker.model.policy import PublicationPolicy
from speaker.model.prefix import Address, Prefix, host_prefix
from speaker.model.publication import Exclusion, ExclusionReason, Publication
from speaker.routing.outcome import Outcome
from speaker.routing.request import Asked, Request, inherit, note, read_request
from speaker.routing.state import Store
from speaker.routing.vpc import in_foreign_vpc

FINISHED_PHASES = frozenset({"Succeeded", "Failed"})


def select_pod(ref: ObjectRef, store: Store, policy: PublicationPolicy) -> Outcome | None:
    """What the Pod asks for and what this node makes of it; None when nobody asks for it."""
    pod = store.pods.get(ref)
    if pod is None:
        return None
    return _Selection(pod, store, policy).outcome()


class _Selection:
    """One decision about one Pod; collects what is published and what is not."""

    def __init__(self, pod: PodView, store: Store, policy: PublicationPolicy) -> None:
        self._pod = pod
        self._ref = pod.meta.ref
        self._store = store
        self._policy = policy
        self._own = read_request(pod.meta, policy)
        self._namespace = store.parent_request(Kind.NAMESPACE, self._ref.namespace)
        self._publications: dict[Prefix, Publication] = {}
        self._exclusions: dict[Prefix | None, Exclusion] = {}

    def outcome(self) -> Outcome | None:
        networks, problems = pod_networks(self._pod.meta.annotations)
        written = tuple(each for each in networks if each.addresses)
        asked = [
            (each, self._asked(each.subnet)) for each in written or (_status_network(self._pod, networks),)
        ]
        wanted = [(network, request) for network, request in asked if request is not None]
        notes = self._own.notes
        if wanted:
            notes += tuple(
                note(self._ref, ExclusionReason.INVALID_ANNOTATION, each.sentence) for each in problems
            )
            self._decide(wanted, from_annotations=bool(written))
        elif not notes:
            return None
        return Outcome(tuple(self._publications.values()), tuple(self._exclusions.values()), notes)

    def _asked(self, subnet_name: str) -> Asked | None:
        """What is asked for one network: by the Pod, else its Subnet, else its Namespace."""
        line: list[Request] = [self._own]
        if subnet_name:
            line.append(self._store.parent_request(Kind.SUBNET, subnet_name))
        asked = inherit((*line, self._namespace))
        if asked is None or asked.by.kind is not Kind.SUBNET:
            return asked
        covered = asked.policy is PublishPolicy.CLUSTER and not self._policy.announce_subnet_pods
        return None if covered else asked

    def _decide(self, wanted: Iterable[tuple[PodNetwork, Asked]], *, from_annotations: bool) -> None:
        whole = self._whole_exclusion(wanted)
        if whole is not None:
            self._exclusions[None] = Exclusion(source=self._ref, reason=whole)
            return
        for network, asked in wanted:
            for address in network.addresses:
                self._decide_address(address, network, asked, from_annotations=from_annotations)

    def _whole_exclusion(self, wanted: Iterable[tuple[PodNetwork, Asked]]) -> ExclusionReason | None:
        if self._pod.host_network:
            return ExclusionReason.HOST_NETWORK
        if self._pod.phase in FINISHED_PHASES:
            return ExclusionReason.POD_FINISHED
        if not any(network.addresses for network, _ in wanted):
            return ExclusionReason.NO_ADDRESS
        return None

    def _decide_address(
        self, address: Address, network: PodNetwork, asked: Asked, *, from_annotations: bool
    ) -> None:
        prefix = host_prefix(address)
        refusal = self._address_exclusion(address, network, from_annotations=from_annotations)
        if refusal is None and asked.policy is PublishPolicy.LOCAL:
            refusal = self._locality()
        if refusal is None:
            self._exclusions.pop(prefix, None)
            self._publications[prefix] = Publication(
                prefix=prefix,
                source=self._ref,
                created_at=self._pod.meta.created_at,
                attributes=asked.demand.attributes,
                peers=asked.demand.peers,
                why=asked.why,
                node_owned=asked.policy is PublishPolicy.LOCAL,
            )
        elif prefix not in self._publications:
            reason, detail = refusal
            self._exclusions[prefix] = Exclusion(
                source=self._ref, reason=reason, prefix=prefix, detail=detail
            )

    def _locality(self) -> tuple[ExclusionReason, str] | None:
        if self._pod.node_name == self._policy.node_name:
            return None
        return ExclusionReason.NOT_ON_THIS_NODE, self._pod.node_name

    def _address_exclusion(
        self, address: Address, network: PodNetwork, *, from_annotations: bool
    ) -> tuple[ExclusionReason, str] | None:
        """Why the address is not this Pod's to publish, or None."""
        if not from_annotations and not network.subnet:
            return None
        subnet = self._store.subnet(network.subnet) if network.subnet else None
        if subnet is None:
            missing = network.subnet or f"no annotation {network.provider}.kubernetes.io/logical_switch"
            return ExclusionReason.SUBNET_UNKNOWN, missing
        cidr = _cidr_with(subnet, address)
        if cidr is None:
            return ExclusionReason.ADDRESS_NOT_CONFIRMED, f"not inside Subnet {network.subnet}"
        if in_foreign_vpc(subnet, cidr, self._policy.allowed_prefixes):
            return ExclusionReason.CUSTOM_VPC, f"Subnet {network.subnet} is in VPC {subnet.vpc}"
        if from_annotations and not self._confirmed(address, network):
            return ExclusionReason.ADDRESS_NOT_CONFIRMED, ""
        return None

    def _confirmed(self, address: Address, network: PodNetwork) -> bool:
        if self._policy.trust_pod_annotations or address in self._pod.pod_ips:
            return True
        return any(
            address in each.addresses and each.subnet in ("", network.subnet)
            for each in self._store.ips_of(self._ref)
        )


def _status_network(pod: PodView, networks: tuple[PodNetwork, ...]) -> PodNetwork:
    """`status.podIPs` as a network; its Subnet is the primary network's when an annotation names one."""
    primary = next((each for each in networks if each.provider == "ovn"), None)
    named = primary or (networks[0] if len(networks) == 1 else None)
    return PodNetwork("", named.subnet if named else "", pod.pod_ips)


def _cidr_with(subnet: SubnetView, address: Address) -> Prefix | None:
    """The Subnet's CIDR that holds the address (`in` is False across families)."""
    return next((cidr for cidr in subnet.cidrs if address in cidr), None)

"""Which addresses of a Pod this node publishes.

A Pod counts from having an address until it is Succeeded, Failed or deleted: Pending and
Terminating Pods are reachable. Its addresses are those of each Kube-OVN network in its annotations,
else `status.podIPs`. Tenants may write annotations, so an address from there must lie inside the
Subnet that it names and be confirmed by Kube-OVN's own IP object or by the kubelet's status.podIPs
(`--trust-pod-annotations` waives the confirmation, never the Subnet).

Each network has its own Subnet and so its own policy. Under a Cluster Subnet the CIDR carries the
traffic; the Pod's host routes follow the Subnet only with `--announce-subnet-pods`.
"""

from collections.abc import Iterable, Iterator

from annotations.parse import PodNetwork
from annotations.values import PublishPolicy
from speaker.model.objects import Kind, ObjectRef, PodView, SubnetView
from speaker.model.policy import PublicationPolicy
from speaker.model.prefix import Address, Prefix, host_prefix
from speaker.model.publication import Exclusion, ExclusionReason, Publication
from speaker.routing.outcome import Outcome
from speaker.routing.request import SILENT, Asked, Request, node_owned, note, read_request
from speaker.routing.state import Store
from speaker.routing.vpc import DEFAULT_VPCS, in_foreign_vpc

# Looking a member of an enumeration up takes as long as the rest of a comparison.
_CLUSTER, _LOCAL, _SUBNET = PublishPolicy.CLUSTER, PublishPolicy.LOCAL, Kind.SUBNET

FINISHED_PHASES = frozenset({"Succeeded", "Failed"})


def select_pods(
    refs: Iterable[ObjectRef], store: Store, policy: PublicationPolicy
) -> Iterator[Outcome | None]:
    """What each Pod asks for and what this node makes of it; None when nobody asks for it.

    Nearly all Pods have one address, on one network or none, which no rule keeps back. They are decided in
    this loop: where one annotation publishes fifty thousand Pods, it matters how long each takes, and calls
    are most of it. All others go to `decide_at_length`, which knows all the rules and the reasons.
    """
    pods = store.pods
    for ref in refs:
        pod = pods.get(ref)
        if pod is None:
            yield None
            continue
        own = read_request(pod.meta, policy) if pod.meta.annotations else SILENT
        address = _lone_address(pod, store)
        if address is None or own.notes:
            yield decide_at_length(pod, own, store, policy)
            continue
        asked = _asked(pod, pod.networks[0].subnet if pod.networks else "", own, store, policy)
        if asked is None:
            yield None
        elif asked.policy is _LOCAL and pod.node_name != policy.node_name:
            refusal = ExclusionReason.NOT_ON_THIS_NODE, pod.node_name
            yield Outcome((), (_exclusion(pod, host_prefix(address), refusal),))
        else:
            yield Outcome((_publication(pod, host_prefix(address), asked),))


def decide_at_length(pod: PodView, own: Request, store: Store, policy: PublicationPolicy) -> Outcome | None:
    """What `select_pods` says of a Pod, whatever it is like; `own` is its own request."""
    return _Selection(pod, store, policy).outcome(own)


def _lone_address(pod: PodView, store: Store) -> Address | None:
    """The address of a Pod with one address, on one network or none, which no rule here keeps back."""
    if len(pod.networks) > 1 or pod.unread or pod.host_network or pod.phase in FINISHED_PHASES:
        return None
    if not pod.networks:
        return pod.pod_ips[0] if len(pod.pod_ips) == 1 else None
    network = pod.networks[0]
    addresses = network.addresses or pod.pod_ips
    if len(addresses) != 1 or addresses[0] not in pod.pod_ips:
        return None
    address = addresses[0]
    subnet = store.subnets_by_name.get(network.subnet)
    if subnet is None or subnet.vpc not in DEFAULT_VPCS:
        return None
    for cidr in subnet.cidrs:
        if address in cidr:
            return address
    return None


def _asked(
    pod: PodView, subnet_name: str, own: Request, store: Store, policy: PublicationPolicy
) -> Asked | None:
    """What is asked for one network: by the Pod, else its Subnet, else its Namespace."""
    asked = store.inherited(own, subnet_name, pod.meta.ref.namespace)
    if asked is None or policy.announce_subnet_pods or asked.by is not _SUBNET:
        return asked
    # The Subnet's CIDR carries the traffic.
    return None if asked.policy is _CLUSTER else asked


_Refusal = tuple[ExclusionReason, str]
"""Why this node does not publish an address, with the values that explain it."""


def _exclusion(pod: PodView, prefix: Prefix, refusal: _Refusal) -> Exclusion:
    reason, detail = refusal
    return Exclusion(source=pod.meta.ref, reason=reason, prefix=prefix, detail=detail)


def _publication(pod: PodView, prefix: Prefix, asked: Asked) -> Publication:
    demand = node_owned(asked.demand) if asked.policy is _LOCAL else asked.demand
    return Publication(prefix, pod.meta.ref, pod.meta.created_at, demand, asked.why)


class _Selection:
    """The decision about one Pod.

    Args:
        pod: the Pod.
        store: the cluster.
        policy: the flags.
    """

    def __init__(self, pod: PodView, store: Store, policy: PublicationPolicy) -> None:
        self._pod = pod
        self._store = store
        self._policy = policy
        networks = tuple(each for each in pod.networks if each.addresses)
        self._from_annotations = bool(networks)
        self._networks = networks or (_status_network(pod),)

    def outcome(self, own: Request) -> Outcome | None:
        """What is published of the Pod's networks, what is not, and what is to be noted."""
        all_asked = (
            (network, _asked(self._pod, network.subnet, own, self._store, self._policy))
            for network in self._networks
        )
        wanted = tuple((network, asked) for network, asked in all_asked if asked is not None)
        if not wanted:
            return Outcome(notes=own.notes) if own.notes else None
        unread = tuple(
            note(self._pod.meta.ref, ExclusionReason.INVALID_ANNOTATION, each.sentence)
            for each in self._pod.unread
        )
        return self._decide(wanted, own.notes + unread)

    def _decide(self, wanted: tuple[tuple[PodNetwork, Asked], ...], notes: tuple[Exclusion, ...]) -> Outcome:
        """Every address in one of published and excluded; one of several networks needs one that may."""
        ref = self._pod.meta.ref
        whole = self._whole_exclusion(network for network, _ in wanted)
        if whole is not None:
            return Outcome((), (Exclusion(source=ref, reason=whole),), notes)
        publications: dict[Prefix, Publication] = {}
        exclusions: dict[Prefix, Exclusion] = {}
        for network, asked in wanted:
            for address in network.addresses:
                prefix = host_prefix(address)
                refusal = self._refusal(address, network, asked)
                if refusal is None:
                    exclusions.pop(prefix, None)
                    publications[prefix] = _publication(self._pod, prefix, asked)
                elif prefix not in publications:
                    exclusions[prefix] = _exclusion(self._pod, prefix, refusal)
        return Outcome(tuple(publications.values()), tuple(exclusions.values()), notes)

    def _whole_exclusion(self, networks: Iterable[PodNetwork]) -> ExclusionReason | None:
        if self._pod.host_network:
            return ExclusionReason.HOST_NETWORK
        if self._pod.phase in FINISHED_PHASES:
            return ExclusionReason.POD_FINISHED
        if not any(network.addresses for network in networks):
            return ExclusionReason.NO_ADDRESS
        return None

    def _refusal(self, address: Address, network: PodNetwork, asked: Asked) -> _Refusal | None:
        """Why this node does not publish the address, or None."""
        if network.subnet or self._from_annotations:
            refusal = self._address_refusal(address, network)
            if refusal is not None:
                return refusal
        if asked.policy is _LOCAL and self._pod.node_name != self._policy.node_name:
            return ExclusionReason.NOT_ON_THIS_NODE, self._pod.node_name
        return None

    def _address_refusal(self, address: Address, network: PodNetwork) -> _Refusal | None:
        """Why the address is not this Pod's to publish, or None."""
        subnet = self._store.subnets_by_name.get(network.subnet) if network.subnet else None
        if subnet is None:
            missing = network.subnet or f"no annotation {network.provider}.kubernetes.io/logical_switch"
            return ExclusionReason.SUBNET_UNKNOWN, missing
        cidr = _cidr_with(subnet, address)
        if cidr is None:
            return ExclusionReason.ADDRESS_NOT_CONFIRMED, f"not inside Subnet {network.subnet}"
        if in_foreign_vpc(subnet, cidr, self._policy.allowed_prefixes):
            return ExclusionReason.CUSTOM_VPC, f"Subnet {network.subnet} is in VPC {subnet.vpc}"
        if self._from_annotations and not self._confirmed(address, network):
            return ExclusionReason.ADDRESS_NOT_CONFIRMED, ""
        return None

    def _confirmed(self, address: Address, network: PodNetwork) -> bool:
        if self._policy.trust_pod_annotations or address in self._pod.pod_ips:
            return True
        return any(
            address in each.addresses and each.subnet in ("", network.subnet)
            for each in self._store.ips_of(self._pod.meta.ref)
        )


def _status_network(pod: PodView) -> PodNetwork:
    """`status.podIPs` as a network; its Subnet is the primary network's when an annotation names one."""
    networks = pod.networks
    primary = next((each for each in networks if each.provider == "ovn"), None)
    named = primary or (networks[0] if len(networks) == 1 else None)
    return PodNetwork("", named.subnet if named else "", pod.pod_ips)


def _cidr_with(subnet: SubnetView, address: Address) -> Prefix | None:
    """The Subnet's CIDR that holds the address (`in` is False across families)."""
    return next((cidr for cidr in subnet.cidrs if address in cidr), None)

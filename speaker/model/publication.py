"""What is published, and why something is not.

Every prefix of an object that asks for publication ends in exactly one of `Publication` (this node
advertises it) or `Exclusion` (it does not, and why).
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from speaker.model.objects import ObjectRef
from speaker.model.prefix import Prefix
from speaker.model.route import NO_ATTRIBUTES, PathAttributes


class ExclusionReason(StrEnum):
    """The closed list of reasons; its sentences for people are in `REASON_SENTENCES`."""

    HOST_NETWORK = "HostNetwork"
    NO_ADDRESS = "NoAddress"
    POD_FINISHED = "PodFinished"
    SUBNET_NOT_READY = "SubnetNotReady"
    SUBNET_UNKNOWN = "SubnetUnknown"
    CUSTOM_VPC = "CustomVpc"
    ADDRESS_NOT_CONFIRMED = "AddressNotConfirmed"
    ADDRESS_TYPE_NOT_ANNOUNCED = "AddressTypeNotAnnounced"
    HEADLESS = "Headless"
    EXTERNAL_NAME = "ExternalName"
    PROXY_IP_MODE = "ProxyIPMode"
    NO_USABLE_ENDPOINT = "NoUsableEndpoint"
    NO_LOCAL_ENDPOINT = "NoLocalEndpoint"
    NOT_ON_THIS_NODE = "NotOnThisNode"
    NODE_NOT_SELECTED = "NodeNotSelected"
    NODE_EXCLUDED = "NodeExcluded"
    NODE_DRAINING = "NodeDraining"
    NO_PEER_FOR_FAMILY = "NoPeerForFamily"
    NO_NEXT_HOP_FOR_FAMILY = "NoNextHopForFamily"
    PREFIX_NOT_ALLOWED = "PrefixNotAllowed"
    PREFIX_RESERVED = "PrefixReserved"
    PREFIX_LIMIT = "PrefixLimit"
    INVALID_ANNOTATION = "InvalidAnnotation"
    ATTRIBUTE_NOT_ALLOWED = "AttributeNotAllowed"
    ATTRIBUTE_CONFLICT = "AttributeConflict"
    ATTRIBUTE_NOT_APPLICABLE = "AttributeNotApplicable"
    PEER_NOT_SELECTED = "PeerNotSelected"
    NODE_PEERS_ONLY = "NodePeersOnly"


REASON_SENTENCES: dict[ExclusionReason, str] = {
    ExclusionReason.HOST_NETWORK: "the Pod uses its node's network, so its address is the node's own",
    ExclusionReason.NO_ADDRESS: "the object has no address yet",
    ExclusionReason.POD_FINISHED: "the Pod has finished, so nothing answers at its address",
    ExclusionReason.SUBNET_NOT_READY: "the Subnet's condition Ready is not True",
    ExclusionReason.SUBNET_UNKNOWN: "the Subnet that the Pod names does not exist",
    ExclusionReason.CUSTOM_VPC: "the Subnet is in a VPC of its own, whose addresses are not reachable here",
    ExclusionReason.ADDRESS_NOT_CONFIRMED: (
        "neither the IP object nor status.podIPs confirms the address in the Pod's annotation"
    ),
    ExclusionReason.ADDRESS_TYPE_NOT_ANNOUNCED: "addresses of this type are not announced with these flags",
    ExclusionReason.HEADLESS: "the Service is headless and has no address of its own",
    ExclusionReason.EXTERNAL_NAME: "an ExternalName Service has no address",
    ExclusionReason.PROXY_IP_MODE: "the load balancer's ipMode is Proxy, so nodes do not accept its address",
    ExclusionReason.NO_USABLE_ENDPOINT: "the Service has no usable endpoint of this family on any node",
    ExclusionReason.NO_LOCAL_ENDPOINT: "the Service has no usable endpoint of this family on this node",
    ExclusionReason.NOT_ON_THIS_NODE: "the policy is Local and the workload is on another node",
    ExclusionReason.NODE_NOT_SELECTED: "the node does not carry the label that chooses speakers",
    ExclusionReason.NODE_EXCLUDED: (
        "the node is labelled node.kubernetes.io/exclude-from-external-load-balancers"
    ),
    ExclusionReason.NODE_DRAINING: "the node is cordoned and --drain-on-cordon is on",
    ExclusionReason.NO_PEER_FOR_FAMILY: "no peer takes routes of this address family",
    ExclusionReason.NO_NEXT_HOP_FOR_FAMILY: "this node has no next hop of this address family for the peer",
    ExclusionReason.PREFIX_NOT_ALLOWED: "the prefix is not inside any --allowed-prefix",
    ExclusionReason.PREFIX_RESERVED: "the prefix is never advertised (default, loopback, link-local, ...)",
    ExclusionReason.PREFIX_LIMIT: "the limit of advertised prefixes is reached",
    ExclusionReason.INVALID_ANNOTATION: "the annotation's value cannot be understood",
    ExclusionReason.ATTRIBUTE_NOT_ALLOWED: "the attribute annotation is not permitted by --allow-attributes",
    ExclusionReason.ATTRIBUTE_CONFLICT: "an older object publishes the same prefix with other attributes",
    ExclusionReason.ATTRIBUTE_NOT_APPLICABLE: "the attribute does not apply to this kind of peer",
    ExclusionReason.PEER_NOT_SELECTED: "the annotation bgp-peers names other peers only",
    ExclusionReason.NODE_PEERS_ONLY: (
        "only other nodes are peers, and they hear nothing but what this node itself owns"
    ),
}


@dataclass(frozen=True, slots=True)
class Demand:
    """What travels with a prefix, and to whom.

    Attributes:
        attributes: what travels with the prefix.
        peers: names or addresses of the only peers that may hear it; empty means all.
        node_owned: whether this node alone owns the prefix: its Pod CIDRs, its Pods under the Local policy.
            Peers that are other nodes hear nothing else.
    """

    attributes: PathAttributes = NO_ATTRIBUTES
    peers: tuple[str, ...] = ()
    node_owned: bool = False


NO_DEMAND = Demand()
"""No attributes, and every peer."""


class Publication(NamedTuple):
    """This node should advertise `prefix` because `source` asks for it.

    A tuple, since one is made for each of a cluster's Pods. All that Pods have in common is in `demand`,
    which they share.

    Attributes:
        prefix: what to advertise.
        source: the object that asks.
        created_at: the source's creation time; of two that ask for one prefix the older decides.
        demand: what travels with the prefix, and to whom.
        why: the rule that chose it, a few words for logs ("Pod annotated cluster").
    """

    prefix: Prefix
    source: ObjectRef
    created_at: float = 0.0
    demand: Demand = NO_DEMAND
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exclusion:
    """This node does not advertise `prefix` of `source`, and why.

    Attributes:
        source: the object that asks.
        reason: one of the closed list.
        prefix: None when the reason concerns the whole object.
        peer: the peer that does not hear it; "" when it concerns all.
        detail: the values that a person needs to mend it, bounded and free of control characters.
    """

    source: ObjectRef
    reason: ExclusionReason
    prefix: Prefix | None = None
    peer: str = ""
    detail: str = ""

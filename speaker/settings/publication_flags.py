"""The flags that say what is published: rows of the flag table and nothing else."""

from speaker.model.policy import PodCidrSource
from speaker.model.prefix import Prefix
from speaker.settings.flag import Flag, Group
from speaker.texts.readers import (
    SWITCH,
    choice,
    community,
    dns_subdomain,
    integer,
    label,
    many,
    one,
    optional,
    prefix,
)

MOST_PREFIXES = 10**9

ATTRIBUTES = ("communities", "med", "local-preference", "as-path-prepend", "peers")
"""What --allow-attributes may name: the annotation keys bgp-… without their beginning."""

ANNOTATION_PREFIX: Flag[str] = Flag(
    name="annotation-prefix",
    group=Group.PUBLICATION,
    reader=one("DNS name", dns_subdomain),
    help="What stands before the slash of the annotation keys, as in ovn.kubernetes.io/bgp.",
    default="ovn.kubernetes.io",
)
NODE_LABEL: Flag[tuple[str, str] | None] = Flag(
    name="node-label",
    group=Group.PUBLICATION,
    reader=optional("key=value", label),
    help="The Node label that chooses the nodes which advertise; empty (--node-label=) chooses every node.",
    shown_default="<annotation prefix>/bgp=true",
)
ANNOUNCE_CLUSTER_IP: Flag[bool] = Flag(
    name="announce-cluster-ip",
    group=Group.PUBLICATION,
    reader=SWITCH,
    help="Publish the cluster IPs of annotated Services.",
    default="false",
    from_kube_ovn=True,
)
ANNOUNCE_LB_IP: Flag[bool] = Flag(
    name="announce-lb-ip",
    group=Group.PUBLICATION,
    reader=SWITCH,
    help="Publish the load balancer addresses of annotated Services.",
    default="true",
)
ANNOUNCE_EXTERNAL_IP: Flag[bool] = Flag(
    name="announce-external-ip",
    group=Group.PUBLICATION,
    reader=SWITCH,
    help="Publish spec.externalIPs of Services whose annotation bgp-addresses names external. Who may write"
    " Services may then attract traffic for any address that --allowed-prefix permits.",
    default="false",
)
ANNOUNCE_POD_CIDR: Flag[bool] = Flag(
    name="announce-pod-cidr",
    group=Group.PUBLICATION,
    reader=SWITCH,
    help="Publish this node's Pod CIDRs.",
    default="false",
)
POD_CIDR_SOURCE: Flag[str] = Flag(
    name="pod-cidr-source",
    group=Group.PUBLICATION,
    reader=one("source", choice(*PodCidrSource)),
    help="Where the node's Pod CIDRs are read; auto takes the first that has any: calico, kube-ovn, node.",
    default="auto",
)
ANNOUNCE_SUBNET_PODS: Flag[bool] = Flag(
    name="announce-subnet-pods",
    group=Group.PUBLICATION,
    reader=SWITCH,
    help="Publish a host route for every Pod of a Subnet with the Cluster policy, beside its CIDR,"
    " as Kube-OVN does since 1.15.",
    default="false",
)
ANNOUNCE_WITHOUT_ENDPOINTS: Flag[bool] = Flag(
    name="announce-without-endpoints",
    group=Group.PUBLICATION,
    reader=SWITCH,
    help="Publish Services under the Cluster policy that have no usable endpoint too.",
    default="false",
)
ALLOWED_PREFIX: Flag[tuple[Prefix, ...]] = Flag(
    name="allowed-prefix",
    group=Group.PUBLICATION,
    reader=many("prefix list", prefix),
    help="Advertise only prefixes inside these.",
    shown_default="every prefix but the reserved ones",
)
ALLOW_ATTRIBUTES: Flag[tuple[str, ...]] = Flag(
    name="allow-attributes",
    group=Group.PUBLICATION,
    reader=many("list of " + ", ".join(ATTRIBUTES), choice(*ATTRIBUTES)),
    help="The attribute annotations (bgp-communities, bgp-med, …) that count on objects in a namespace.",
    shown_default="none",
)
ALLOWED_COMMUNITY: Flag[tuple[str, ...]] = Flag(
    name="allowed-community",
    group=Group.PUBLICATION,
    reader=many("community list", community),
    help="The only communities that objects in a namespace may set.",
    shown_default="any, once --allow-attributes names communities",
)
TRUST_POD_ANNOTATIONS: Flag[bool] = Flag(
    name="trust-pod-annotations",
    group=Group.PUBLICATION,
    reader=SWITCH,
    help="Publish a Pod's address from its annotation although neither its IP object nor status.podIPs"
    " confirms it. Who may annotate Pods may then attract traffic for any address of the Subnet.",
    default="false",
)
MAX_ADVERTISED_PREFIXES: Flag[int] = Flag(
    name="max-advertised-prefixes",
    group=Group.PUBLICATION,
    reader=one("number", integer(0, MOST_PREFIXES)),
    help="Advertise at most this many prefixes; what is advertised already stays. 0 sets no limit.",
    default="0",
)
MAX_PREFIXES_PER_NAMESPACE: Flag[int] = Flag(
    name="max-prefixes-per-namespace",
    group=Group.PUBLICATION,
    reader=one("number", integer(0, MOST_PREFIXES)),
    help="Advertise at most this many prefixes for the objects of one namespace. 0 sets no limit.",
    default="0",
)
POD_SCOPE: Flag[str] = Flag(
    name="pod-scope",
    group=Group.PUBLICATION,
    reader=one("scope", choice("cluster", "node")),
    help="Which Pods to watch. node spares the API server and memory on large clusters, and is enough where"
    " every annotation says local: Pods of other nodes are then unknown here.",
    default="cluster",
)
NAT_GW_MODE: Flag[bool] = Flag(
    name="nat-gw-mode",
    group=Group.PUBLICATION,
    reader=SWITCH,
    help="Publish the EIPs of a Kube-OVN VPC NAT gateway.",
    default="false",
    from_kube_ovn=True,
    unsupported="this release does not publish EIPs; keep Kube-OVN's speaker in its NAT gateways",
)

PUBLICATION_FLAGS: tuple[Flag[object], ...] = (
    ANNOTATION_PREFIX,
    NODE_LABEL,
    ANNOUNCE_CLUSTER_IP,
    ANNOUNCE_LB_IP,
    ANNOUNCE_EXTERNAL_IP,
    ANNOUNCE_POD_CIDR,
    POD_CIDR_SOURCE,
    ANNOUNCE_SUBNET_PODS,
    ANNOUNCE_WITHOUT_ENDPOINTS,
    ALLOWED_PREFIX,
    ALLOW_ATTRIBUTES,
    ALLOWED_COMMUNITY,
    TRUST_POD_ANNOTATIONS,
    MAX_ADVERTISED_PREFIXES,
    MAX_PREFIXES_PER_NAMESPACE,
    POD_SCOPE,
    NAT_GW_MODE,
)

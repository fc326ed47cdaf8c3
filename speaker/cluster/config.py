"""What the cluster access is told, and what it tells about itself."""

from dataclasses import dataclass

from speaker.model.objects import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterConfig:
    """How to reach the API server and what to watch there.

    Attributes:
        kubeconfig: a path; None takes the Pod's ServiceAccount.
        node_name: the own Node, the only one that is watched but for what is said below.
        annotation_prefix: annotations under it are kept.
        pods_of_node_only: watch only the Pods of the own node.
        ipam_blocks: also watch Calico's IPAM blocks (`--announce-pod-cidr`).
        all_nodes: watch every Node, and IPAM blocks: what Pods' addresses are in (`--import-routes`).
        fabric: the same, and BGPConfigurations, BGPPeers and BGPFilters (`--fabric`).
        only: watch these kinds and no others, for who looks at a part; None is all of the above.
        service_account_dir: where the Pod's ServiceAccount is mounted.
        namespace: the speaker's own, where its Lease and its Secrets live; "" takes the ServiceAccount's.
    """

    kubeconfig: str | None = None
    node_name: str = ""
    annotation_prefix: str = "ovn.kubernetes.io"
    pods_of_node_only: bool = False
    ipam_blocks: bool = False
    all_nodes: bool = False
    fabric: bool = False
    only: frozenset[Kind] | None = None
    service_account_dir: str = "/var/run/secrets/kubernetes.io/serviceaccount"
    namespace: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceHealth:
    """How one watched resource fares.

    Attributes:
        name: the resource, such as "pods" or "subnets.kubeovn.io".
        synced: it has been read whole once (for a CRD: or is known to be absent). What is watched for a
            while only counts as synced from the start: nothing waits for it.
        last_contact: when the API server last answered, seconds since the epoch; None if never.
        error: what is wrong now, one sentence, or "".
    """

    name: str
    synced: bool = False
    last_contact: float | None = None
    error: str = ""

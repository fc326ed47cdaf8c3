"""Clusters of any size as values: Nodes, resources, and the changes that tell a speaker of them.

Knows which Node has which address and which Pod CIDRs. Must not know processes, sessions or times.
"""

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network

from speaker.model.fabric import GROUP
from speaker.model.objects import Change, Kind, Meta, NodeView, ObjectRef, ResourceView

PORT = 1790
LABEL = (f"{GROUP}/bgp", "true")
"""What chooses speakers."""

REFLECTORS = 2
CLUSTER_ID = IPv4Address("244.0.0.1")

_FIRST_ADDRESS = IPv4Address("10.128.0.0")
_FIRST_POD_CIDR = IPv4Address("10.0.0.0")
_POD_CIDR_LENGTH = 24
_MOST_NODES = 5_000

NODE_NETWORK = IPv4Network("10.128.0.0/16")
"""Where the Nodes have their addresses."""


class Design(StrEnum):
    """The designs that are measured, as rows are named."""

    MESH = "mesh"
    REFLECTORS = "reflectors"


@dataclass(frozen=True, slots=True)
class ClusterShape:
    """A cluster of one address family, each Node with one Pod CIDR.

    Attributes:
        design: who peers with whom.
        size: how many Nodes; of a cluster with reflectors how many clients, for the two reflectors come
            on top.
    """

    design: Design
    size: int

    @property
    def nodes(self) -> int:
        """How many Nodes there are, reflectors included: they are numbered from 1."""
        return self.size + (REFLECTORS if self.design is Design.REFLECTORS else 0)

    def is_reflector(self, number: int) -> bool:
        """Whether a Node reflects: the first two do."""
        return self.design is Design.REFLECTORS and number <= REFLECTORS

    def changes(self) -> list[Change]:
        """All that the cluster tells a speaker at its start."""
        nodes = [self.node(number) for number in range(1, self.nodes + 1)]
        return [*nodes, *self.resources()]

    def node(self, number: int, pod_cidrs: int = 1) -> Change:
        """A Node as it stands with so many Pod CIDRs."""
        labels, annotations = self.marks(number)
        ref = ObjectRef(Kind.NODE, "", name_of(number))
        view = NodeView(
            meta=Meta(ref=ref, uid=f"uid-{number}", annotations=annotations),
            labels=labels,
            internal_ips=(address_of(number),),
            pod_cidrs=tuple(pod_cidr(number, which) for which in range(pod_cidrs)),
        )
        return Change(ref, view)

    def marks(self, number: int) -> tuple[dict[str, str], dict[str, str]]:
        """The labels and annotations of a Node."""
        labels = dict([LABEL])
        if not self.is_reflector(number):
            return labels, {}
        return labels | {"rack-role": "reflector"}, {f"{GROUP}/route-reflector-cluster-id": str(CLUSTER_ID)}

    def specs(self) -> dict[tuple[Kind, str], dict[str, object]]:
        """The specifications of the custom resources by kind and name."""
        default: dict[str, object] = {"asNumber": 64512, "listenPort": PORT}
        found = {(Kind.BGP_CONFIGURATION, "default"): default}
        if self.design is Design.MESH:
            default["nodeToNodeMeshEnabled"] = True
        else:
            default["routeReflectorSelector"] = "rack-role == 'reflector'"
            found[Kind.BGP_PEER, "clients"] = {
                "nodeSelector": "!has(rack-role)",
                "peerSelector": "rack-role == 'reflector'",
            }
        return found

    def resources(self) -> list[Change]:
        """The custom resources."""
        return [
            Change(ref, ResourceView(meta=Meta(ref=ref, uid=name, annotations={}), generation=1, spec=spec))
            for (kind, name), spec in self.specs().items()
            for ref in (ObjectRef(kind, "", name),)
        ]


def name_of(number: int) -> str:
    """The name of a Node."""
    return f"node-{number:05}"


def number_of(name: str) -> int:
    """The number of a Node that has this name."""
    return int(name.rpartition("-")[2])


def address_of(number: int) -> IPv4Address:
    """The address of a Node."""
    if not 0 < number <= _MOST_NODES:
        raise ValueError(f"there are Nodes 1-{_MOST_NODES}, not {number}")
    return _FIRST_ADDRESS + number


def pod_cidr(number: int, which: int = 0) -> IPv4Network:
    """A Pod CIDR of a Node: its first, or a later one."""
    first = _FIRST_POD_CIDR + ((which * _MOST_NODES + number) << (32 - _POD_CIDR_LENGTH))
    return IPv4Network((first, _POD_CIDR_LENGTH))

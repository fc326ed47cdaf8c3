"""The tour: what is typed, and what the router's table must then hold."""

import json
from dataclasses import dataclass, field

from tests.lab.demo.objects import NODES, SAMPLE_IPS, SUBNET_CIDRS, VIPS

Expected = dict[str, tuple[str, ...]]
"""Prefix to the names of the nodes that are its next hops."""

KEY = "ovn.kubernetes.io/bgp"
ALL = NODES


def _hosts(addresses: tuple[str, ...], nodes: tuple[str, ...]) -> Expected:
    return {f"{address}/{128 if ':' in address else 32}": nodes for address in addresses}


def _off_node(index: int) -> tuple[str, ...]:
    """The arguments that mark the endpoint at `index` not ready, for both families."""
    patch = json.dumps([{"op": "replace", "path": f"/endpoints/{index}/conditions/ready", "value": False}])
    return ("--type=json", "-p", patch)


@dataclass(frozen=True, slots=True)
class Step:
    """One step: a sentence, the commands (each as kubectl's arguments), and the table after them."""

    says: str
    commands: tuple[tuple[str, ...], ...]
    expected: Expected = field(default_factory=dict)


_SAMPLE_ALL = _hosts(SAMPLE_IPS, ALL)
_SUBNET = dict.fromkeys(SUBNET_CIDRS, ALL)

TOUR = (
    Step(
        "Annotate a Pod: every node advertises its addresses.",
        (("annotate", "pod", "sample", f"{KEY}=true"),),
        _SAMPLE_ALL,
    ),
    Step(
        "Switch it to Local: only the node that runs the Pod stays a next hop.",
        (("annotate", "--overwrite", "pod", "sample", f"{KEY}=local"),),
        _hosts(SAMPLE_IPS, ("node1",)),
    ),
    Step(
        "And back to Cluster: all three again.",
        (("annotate", "--overwrite", "pod", "sample", f"{KEY}=cluster"),),
        _SAMPLE_ALL,
    ),
    Step(
        "Annotate a Subnet: its CIDRs from every node.",
        (("annotate", "subnet", "ovn-default", f"{KEY}=true"),),
        _SAMPLE_ALL | _SUBNET,
    ),
    Step(
        "Annotate a LoadBalancer Service with externalTrafficPolicy Local: the nodes that have endpoints.",
        (("annotate", "service", "web", f"{KEY}=true"),),
        _SAMPLE_ALL | _SUBNET | _hosts(VIPS, ("node1", "node2")),
    ),
    Step(
        "Take the endpoints off node2: its next hop goes.",
        (
            ("patch", "endpointslice", "web-ipv4", *_off_node(1)),
            ("patch", "endpointslice", "web-ipv6", *_off_node(1)),
        ),
        _SAMPLE_ALL | _SUBNET | _hosts(VIPS, ("node1",)),
    ),
    Step(
        "Remove the annotations: the table is empty.",
        (
            ("annotate", "pod", "sample", f"{KEY}-"),
            ("annotate", "subnet", "ovn-default", f"{KEY}-"),
            ("annotate", "service", "web", f"{KEY}-"),
        ),
    ),
)

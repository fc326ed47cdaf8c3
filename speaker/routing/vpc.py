"""Subnets of custom VPCs, whose addresses the underlay cannot tell apart.

Two VPCs may use the same CIDR, and a node forwards into the default VPC only, so a route to such a
Subnet would draw traffic to the wrong Pods or into nothing. They are excluded, unless the operator
names the very CIDR in `--allowed-prefix`: a wider allowed prefix (a company's 10.0.0.0/8) says nothing
about what overlaps inside it, so covering is not enough.
"""

from speaker.model.objects import SubnetView
from speaker.model.prefix import Prefix

DEFAULT_VPCS = frozenset({"", "ovn-cluster"})


def in_foreign_vpc(subnet: SubnetView, cidr: Prefix, allowed_prefixes: tuple[Prefix, ...]) -> bool:
    """Whether `cidr` of the Subnet is in a VPC of its own and not named by the operator."""
    return subnet.vpc not in DEFAULT_VPCS and cidr not in allowed_prefixes

"""The objects of the demo's cluster: three nodes, a Subnet, three Pods and a Service."""

from tests.lab.kubeapi.crds import IPS, SUBNETS
from tests.lab.kubeapi.server import KubeApi
from tests.lab.objects import endpoint_slice, pod, service, subnet

NODES = ("node1", "node2", "node3")
SAMPLE_IPS = ("10.16.0.5", "fd00:10:16::5")
SUBNET_CIDRS = ("10.16.0.0/16", "fd00:10:16::/64")
VIPS = ("192.0.2.10", "2001:db8::10")
WEB = {"node1": ("10.16.0.11", "fd00:10:16::11"), "node2": ("10.16.0.12", "fd00:10:16::12")}
"""Where the Service has endpoints: node to the Pod's addresses."""


def populate(api: KubeApi) -> None:
    """Create everything but the Nodes and the roles, which belong to the stage."""
    api.create(SUBNETS, IPS)
    api.create(subnet("ovn-default", *SUBNET_CIDRS), pod("sample", "node1", *SAMPLE_IPS))
    api.create(service("web", *VIPS, policy="Local"))
    for number, (node, addresses) in enumerate(WEB.items(), start=1):
        api.create(pod(f"web-{number}", node, *addresses))
    for number, family in enumerate(("IPv4", "IPv6")):
        api.create(
            endpoint_slice("web", family, {addresses[number]: node for node, addresses in WEB.items()})
        )

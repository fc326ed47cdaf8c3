"""The objects of the demo's cluster: three nodes, a Subnet, three Pods and a Service, as manifests."""

from typing import Any

from tests.lab.kubeapi.crds import IPS, SUBNETS
from tests.lab.kubeapi.server import KubeApi
from tests.lab.roles import role_manifests

Manifest = dict[str, Any]

NODES = ("node1", "node2", "node3")
WEB_NODES = NODES[:2]
"""Where the Service has endpoints."""
SAMPLE_IPS = ("10.16.0.5", "fd00:10:16::5")
SUBNET_CIDRS = ("10.16.0.0/16", "fd00:10:16::/64")
VIPS = ("192.0.2.10", "2001:db8::10")


def node(name: str, addresses: tuple[str, ...]) -> Manifest:
    """A Node that carries the label which chooses speakers."""
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"ovn.kubernetes.io/bgp": "true"}},
        "status": {"addresses": [{"type": "InternalIP", "address": address} for address in addresses]},
    }


def pod(name: str, node_name: str, addresses: tuple[str, ...]) -> Manifest:
    """A running Pod, with the addresses as Kube-OVN records them."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": "default",
            "annotations": {
                "ovn.kubernetes.io/ip_address": ",".join(addresses),
                "ovn.kubernetes.io/logical_switch": "ovn-default",
            },
        },
        "spec": {"nodeName": node_name, "containers": [{"name": "web", "image": "example.invalid/web"}]},
        "status": {
            "phase": "Running",
            "podIP": addresses[0],
            "podIPs": [{"ip": address} for address in addresses],
        },
    }


def subnet() -> Manifest:
    """The cluster's default Subnet, Ready."""
    return {
        "apiVersion": "kubeovn.io/v1",
        "kind": "Subnet",
        "metadata": {"name": "ovn-default"},
        "spec": {"cidrBlock": ",".join(SUBNET_CIDRS), "protocol": "Dual", "vpc": "ovn-cluster"},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    }


def service() -> Manifest:
    """A LoadBalancer Service whose traffic stays on the node that receives it."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "type": "LoadBalancer",
            "externalTrafficPolicy": "Local",
            "ipFamilyPolicy": "RequireDualStack",
            "ipFamilies": ["IPv4", "IPv6"],
            "selector": {"app": "web"},
            "ports": [{"name": "http", "port": 80, "targetPort": 8080}],
        },
        "status": {"loadBalancer": {"ingress": [{"ip": vip} for vip in VIPS]}},
    }


def endpoint_slice(family: str, nodes: tuple[str, ...]) -> Manifest:
    """The Service's endpoints of one family ("IPv4" or "IPv6"), one on each of `nodes`."""
    prefix = "10.16.0.1" if family == "IPv4" else "fd00:10:16::1"
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"web-{family.lower()}",
            "namespace": "default",
            "labels": {"kubernetes.io/service-name": "web"},
        },
        "addressType": family,
        "endpoints": [
            {
                "addresses": [f"{prefix}{NODES.index(name) + 1}"],
                "nodeName": name,
                "conditions": {"ready": True},
            }
            for name in nodes
        ],
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
    }


def populate(api: KubeApi) -> None:
    """Create everything but the Nodes, whose addresses depend on where they stand."""
    api.create(SUBNETS, IPS)
    api.create(*role_manifests(), subnet(), pod("sample", "node1", SAMPLE_IPS), service())
    for number, name in enumerate(WEB_NODES, start=1):
        api.create(pod(f"web-{number}", name, (f"10.16.0.1{number}", f"fd00:10:16::1{number}")))
    api.create(*(endpoint_slice(family, WEB_NODES) for family in ("IPv4", "IPv6")))

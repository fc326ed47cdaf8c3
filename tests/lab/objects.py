"""Manifests of what the lab's clusters hold, as a cluster's own controllers would have left them."""

from collections.abc import Mapping, Sequence
from typing import Any

Manifest = dict[str, Any]

BGP = "ovn.kubernetes.io/bgp"
"""The annotation that asks for publication."""

DEFAULT_SUBNET = "ovn-default"


def pod(
    name: str,
    node: str,
    *addresses: str,
    annotations: Mapping[str, str] | None = None,
    namespace: str = "default",
    subnet: str = DEFAULT_SUBNET,
) -> Manifest:
    """A running Pod, with its addresses as Kube-OVN records them, or without when there is no `subnet`."""
    recorded = {
        "ovn.kubernetes.io/ip_address": ",".join(addresses),
        "ovn.kubernetes.io/logical_switch": subnet,
    }
    if not subnet:
        recorded = {}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "annotations": recorded | dict(annotations or {}),
        },
        "spec": {"nodeName": node, "containers": [{"name": "web", "image": "example.invalid/web"}]},
        "status": {
            "phase": "Running",
            "podIP": addresses[0],
            "podIPs": [{"ip": address} for address in addresses],
        },
    }


def subnet(name: str = DEFAULT_SUBNET, *cidrs: str, annotations: Mapping[str, str] | None = None) -> Manifest:
    """A Subnet of the cluster's default VPC, Ready."""
    versions = {"IPv6" if ":" in cidr else "IPv4" for cidr in cidrs}
    protocol = "Dual" if len(versions) > 1 else versions.pop()
    return {
        "apiVersion": "kubeovn.io/v1",
        "kind": "Subnet",
        "metadata": {"name": name, "annotations": dict(annotations or {})},
        "spec": {"cidrBlock": ",".join(cidrs), "protocol": protocol, "vpc": "ovn-cluster"},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    }


def service(
    name: str,
    *vips: str,
    cluster_ips: Sequence[str] = (),
    policy: str = "Local",
    annotations: Mapping[str, str] | None = None,
) -> Manifest:
    """A Service: a LoadBalancer with these addresses, or a ClusterIP Service when there are none.

    `policy` is the externalTrafficPolicy of the former.
    """
    spec: Manifest = {
        "type": "LoadBalancer" if vips else "ClusterIP",
        "ipFamilyPolicy": "PreferDualStack",
        "ipFamilies": ["IPv4", "IPv6"],
        "selector": {"app": name},
        "ports": [{"name": "http", "port": 80, "targetPort": 8080}],
    }
    if vips:
        spec["externalTrafficPolicy"] = policy
    if cluster_ips:
        spec |= {"clusterIP": cluster_ips[0], "clusterIPs": list(cluster_ips)}
        spec["ipFamilies"] = ["IPv6" if ":" in address else "IPv4" for address in cluster_ips]
    manifest: Manifest = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default", "annotations": dict(annotations or {})},
        "spec": spec,
    }
    if vips:
        manifest["status"] = {"loadBalancer": {"ingress": [{"ip": vip} for vip in vips]}}
    return manifest


def endpoint_slice(service_name: str, family: str, endpoints: Mapping[str, str]) -> Manifest:
    """A Service's endpoints of one family ("IPv4" or "IPv6"), all ready: address to node."""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{service_name}-{family.lower()}",
            "namespace": "default",
            "labels": {"kubernetes.io/service-name": service_name},
        },
        "addressType": family,
        "endpoints": [
            {"addresses": [address], "nodeName": node, "conditions": {"ready": True}}
            for address, node in endpoints.items()
        ],
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
    }

"""The custom resources of others that the speaker reads, as minimal CRDs; and its own, from manifests/."""

from pathlib import Path
from typing import Any

import yaml

_TEXT = {"type": "string"}
_OPEN = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def _crd(
    group: str,
    kind: str,
    plural: str,
    spec: dict[str, Any],
    *,
    columns: tuple[tuple[str, str], ...] = (),
    status: dict[str, Any] | None = None,
    name: str = "v1",
) -> dict[str, Any]:
    properties = {"spec": spec} | ({"status": status} if status else {})
    version: dict[str, Any] = {
        "name": name,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": properties}},
        "additionalPrinterColumns": [
            {"name": column, "type": "string", "jsonPath": path} for column, path in columns
        ],
    }
    if status:
        version["subresources"] = {"status": {}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Cluster",
            "names": {"plural": plural, "singular": kind.lower(), "kind": kind},
            "versions": [version],
        },
    }


SUBNETS = _crd(
    "kubeovn.io",
    "Subnet",
    "subnets",
    {
        "type": "object",
        "properties": {
            "cidrBlock": _TEXT,
            "gateway": _TEXT,
            "protocol": {"type": "string", "enum": ["IPv4", "IPv6", "Dual"]},
            "vpc": _TEXT,
            "namespaces": {"type": "array", "items": _TEXT},
            "natOutgoing": {"type": "boolean"},
            "gatewayType": {"type": "string", "enum": ["distributed", "centralized"]},
            "gatewayNode": _TEXT,
            "excludeIps": {"type": "array", "items": _TEXT},
            "default": {"type": "boolean"},
        },
    },
    columns=(("CIDR", ".spec.cidrBlock"), ("Protocol", ".spec.protocol"), ("VPC", ".spec.vpc")),
    status=_OPEN,
)

IPS = _crd(
    "kubeovn.io",
    "IP",
    "ips",
    {
        "type": "object",
        "properties": {
            "podName": _TEXT,
            "namespace": _TEXT,
            "nodeName": _TEXT,
            "subnet": _TEXT,
            "ipAddress": _TEXT,
            "v4IpAddress": _TEXT,
            "v6IpAddress": _TEXT,
            "macAddress": _TEXT,
        },
    },
    columns=(("IP", ".spec.ipAddress"), ("Node", ".spec.nodeName"), ("Subnet", ".spec.subnet")),
)

IPAM_BLOCKS = _crd(
    "crd.projectcalico.org",
    "IPAMBlock",
    "ipamblocks",
    {
        "type": "object",
        "required": ["cidr"],
        "properties": {"cidr": _TEXT, "affinity": _TEXT, "deleted": {"type": "boolean"}},
    },
)

_MANIFESTS = Path(__file__).parents[3] / "manifests" / "crds"
_GROUP = "bgp.route-speaker.io"


def own_crds() -> list[dict[str, Any]]:
    """The CRDs of `bgp.route-speaker.io`, as users apply them."""
    texts = [path.read_text() for path in sorted(_MANIFESTS.glob("*.yaml"))]
    documents = [document for text in texts for document in yaml.safe_load_all(text)]
    return [each for each in documents if each and each["kind"] == "CustomResourceDefinition"]


OPEN_CRDS = tuple(
    _crd(_GROUP, kind, plural, _OPEN, status=_OPEN, name="v1alpha1")
    for kind, plural in (
        ("BGPConfiguration", "bgpconfigurations"),
        ("BGPPeer", "bgppeers"),
        ("BGPFilter", "bgpfilters"),
        ("BGPNodeStatus", "bgpnodestatuses"),
    )
)
"""The same kinds with schemas that take anything, for whoever is concerned with the carrying alone."""

"""The few custom resources that the speaker reads, as minimal CRDs of our own."""

from typing import Any

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
) -> dict[str, Any]:
    properties = {"spec": spec} | ({"status": status} if status else {})
    version: dict[str, Any] = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": properties}},
        "additionalPrinterColumns": [
            {"name": name, "type": "string", "jsonPath": path} for name, path in columns
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

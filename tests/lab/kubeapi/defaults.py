"""What the API server fills in when an object is created."""

import ipaddress
import secrets
import uuid
from datetime import UTC, datetime
from typing import Any

from tests.lab.kubeapi.errors import ApiError
from tests.lab.kubeapi.resources import Resource

SERVICE_CIDRS = (ipaddress.ip_network("10.96.0.0/16"), ipaddress.ip_network("fd00:10:96::/112"))


def now() -> str:
    """metav1.Time."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def created(resource: Resource, item: dict[str, Any], namespace: str, in_use: set[str]) -> dict[str, Any]:
    """The object as it is first stored; `in_use` are the ClusterIPs that are taken."""
    metadata = item["metadata"]
    if not metadata.get("name") and metadata.get("generateName"):
        metadata["name"] = metadata["generateName"] + secrets.token_hex(3)
    metadata |= {"uid": str(uuid.uuid4()), "creationTimestamp": now(), "generation": 1}
    if resource.namespaced:
        metadata["namespace"] = namespace
    match resource.kind:
        case "Pod":
            item.setdefault("status", {}).setdefault("phase", "Pending")
            item["spec"] = {"restartPolicy": "Always", "dnsPolicy": "ClusterFirst"} | item.get("spec", {})
        case "Namespace":
            item["status"] = {"phase": "Active"}
            item.setdefault("spec", {}).setdefault("finalizers", ["kubernetes"])
            metadata.setdefault("labels", {})["kubernetes.io/metadata.name"] = metadata["name"]
        case "Service":
            _service(item, in_use)
        case "CustomResourceDefinition":
            _crd(item)
    return item


def _service(item: dict[str, Any], in_use: set[str]) -> None:
    spec = item.setdefault("spec", {})
    spec.setdefault("type", "ClusterIP")
    spec.setdefault("sessionAffinity", "None")
    spec.setdefault("internalTrafficPolicy", "Cluster")
    for port in spec.get("ports", ()):
        port.setdefault("protocol", "TCP")
        port.setdefault("targetPort", port.get("port"))
    item.setdefault("status", {}).setdefault("loadBalancer", {})
    if spec["type"] == "ExternalName":
        return
    if spec["type"] in {"NodePort", "LoadBalancer"}:
        spec.setdefault("externalTrafficPolicy", "Cluster")
        spec.setdefault("allocateLoadBalancerNodePorts", True)
    families = spec.setdefault("ipFamilies", ["IPv4"])
    spec.setdefault("ipFamilyPolicy", "SingleStack")
    if spec.get("clusterIP") == "None":
        spec["clusterIPs"] = ["None"]
        return
    given = spec.get("clusterIPs") or ([spec["clusterIP"]] if spec.get("clusterIP") else [])
    wanted = len(families) if given == [] else len(given)
    chosen = [_free_address(family, in_use) for family in families[len(given) : wanted]]
    addresses = spec["clusterIPs"] = [*given, *chosen]
    spec["clusterIP"] = addresses[0]


def _free_address(family: str, in_use: set[str]) -> str:
    network = SERVICE_CIDRS[family == "IPv6"]
    for offset in range(10, 5000):
        address = str(network[offset])
        if address not in in_use:
            return address
    raise ApiError(500, "failed to allocate IP: range is full")


def _crd(item: dict[str, Any]) -> None:
    spec = item["spec"]
    names = spec["names"]
    names.setdefault("singular", names["kind"].lower())
    names.setdefault("listKind", f"{names['kind']}List")
    moment = now()
    item["status"] = {
        "acceptedNames": names,
        "storedVersions": [each["name"] for each in spec["versions"] if each.get("storage")],
        "conditions": [
            {
                "type": kind,
                "status": "True",
                "reason": reason,
                "message": message,
                "lastTransitionTime": moment,
            }
            for kind, reason, message in (
                ("NamesAccepted", "NoConflicts", "no conflicts found"),
                ("Established", "InitialNamesAccepted", "the initial names have been accepted"),
            )
        ],
    }

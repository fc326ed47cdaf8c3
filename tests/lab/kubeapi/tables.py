"""What `kubectl get` prints: the Table form of lists and objects."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from tests.lab.kubeapi.resources import Resource

Item = dict[str, Any]
Column = tuple[str, int, Callable[[Item], Any]]


def _at(item: Any, *path: str) -> Any:
    for part in path:
        item = item.get(part) if isinstance(item, dict) else None
    return item


def age(item: Item) -> str:
    """How old an object is, in kubectl's short form."""
    created = _at(item, "metadata", "creationTimestamp")
    if not created:
        return "<unknown>"
    seconds = int((datetime.now(UTC) - datetime.fromisoformat(created)).total_seconds())
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{max(seconds, 0)}s"


def _ready(item: Item) -> str:
    statuses = _at(item, "status", "containerStatuses") or []
    total = len(_at(item, "spec", "containers") or [])
    return f"{sum(bool(each.get('ready')) for each in statuses)}/{total}"


def _node_status(item: Item) -> str:
    conditions = _at(item, "status", "conditions") or []
    ready = next((each for each in conditions if each.get("type") == "Ready"), None)
    text = "Unknown" if ready is None else ("Ready" if ready.get("status") == "True" else "NotReady")
    return text + (",SchedulingDisabled" if _at(item, "spec", "unschedulable") else "")


def _ports(item: Item) -> str:
    return ",".join(
        f"{each['port']}/{each.get('protocol', 'TCP')}" for each in _at(item, "spec", "ports") or []
    )


def _external(item: Item) -> str:
    ingress = _at(item, "status", "loadBalancer", "ingress") or []
    addresses = [each["ip"] for each in ingress if "ip" in each] + (_at(item, "spec", "externalIPs") or [])
    return ",".join(addresses) or ("<pending>" if _at(item, "spec", "type") == "LoadBalancer" else "<none>")


def _endpoints(item: Item) -> str:
    return ",".join(address for each in item.get("endpoints") or [] for address in each.get("addresses", []))


def _internal(item: Item) -> str:
    found = [
        each["address"] for each in _at(item, "status", "addresses") or [] if each["type"] == "InternalIP"
    ]
    return found[0] if found else "<none>"


_COLUMNS: dict[str, tuple[Column, ...]] = {
    "pods": (
        ("Ready", 0, _ready),
        ("Status", 0, lambda item: _at(item, "status", "phase") or "Unknown"),
        ("Restarts", 0, lambda _: 0),
        ("Age", 0, age),
        ("IP", 1, lambda item: _at(item, "status", "podIP") or "<none>"),
        ("Node", 1, lambda item: _at(item, "spec", "nodeName") or "<none>"),
    ),
    "services": (
        ("Type", 0, lambda item: _at(item, "spec", "type")),
        ("Cluster-IP", 0, lambda item: _at(item, "spec", "clusterIP") or "<none>"),
        ("External-IP", 0, _external),
        ("Port(s)", 0, lambda item: _ports(item) or "<none>"),
        ("Age", 0, age),
    ),
    "nodes": (
        ("Status", 0, _node_status),
        ("Roles", 0, lambda _: "<none>"),
        ("Age", 0, age),
        ("Version", 0, lambda item: _at(item, "status", "nodeInfo", "kubeletVersion") or ""),
        ("Internal-IP", 1, _internal),
    ),
    "namespaces": (("Status", 0, lambda item: _at(item, "status", "phase")), ("Age", 0, age)),
    "endpointslices": (
        ("AddressType", 0, lambda item: item.get("addressType")),
        ("Ports", 0, lambda item: ",".join(str(each.get("port")) for each in item.get("ports") or [])),
        ("Endpoints", 0, _endpoints),
        ("Age", 0, age),
    ),
    "events": (
        ("Last Seen", 0, age),
        ("Type", 0, lambda item: item.get("type")),
        ("Reason", 0, lambda item: item.get("reason")),
        (
            "Object",
            0,
            lambda item: (
                f"{str(_at(item, 'involvedObject', 'kind')).lower()}/{_at(item, 'involvedObject', 'name')}"
            ),
        ),
        ("Message", 0, lambda item: item.get("message")),
    ),
    "daemonsets": (
        ("Desired", 0, lambda item: _at(item, "status", "desiredNumberScheduled") or 0),
        ("Ready", 0, lambda item: _at(item, "status", "numberReady") or 0),
        ("Age", 0, age),
    ),
}


def _json_path(path: str) -> Callable[[Item], Any]:
    """The value at a printer column's JSONPath: dots, and one filter such as `[?(@.type=="Ready")]`."""
    parts = re.findall(r"\[\?\(@\.(\w+)==[\"']([^\"']+)[\"']\)\]|\.((?:\\\.|[\w/-])+)|\[(\d+)\]", path)

    def value(item: Any) -> Any:
        for key, wanted, name, index in parts:
            if name:
                item = item.get(name.replace("\\.", ".")) if isinstance(item, dict) else None
            elif key:
                item = next((each for each in item or [] if str(each.get(key)) == wanted), None)
            else:
                item = item[int(index)] if isinstance(item, list) and int(index) < len(item) else None
        return item

    return value


def _column(column: Item) -> Callable[[Any], Any]:
    if (column.get("type"), column["jsonPath"]) == ("date", ".metadata.creationTimestamp"):
        return age
    return _json_path(column["jsonPath"])


def columns(resource: Resource) -> tuple[Column, ...]:
    """The columns after NAME."""
    if resource.columns:
        own = tuple((each["name"], each.get("priority", 0), _column(each)) for each in resource.columns)
        return own if any(name == "Age" for name, _, _ in own) else (*own, ("Age", 0, age))
    return _COLUMNS.get(resource.plural, (("Age", 0, age),))


def table(resource: Resource, items: list[Item], list_metadata: dict[str, Any], *, whole: bool) -> Item:
    """A Table; `whole` puts the whole object into each row, else its metadata."""
    shown = columns(resource)
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": list_metadata,
        "columnDefinitions": [
            {"name": name, "type": "string", "format": "name" if name == "Name" else "", "priority": priority}
            for name, priority, _ in (("Name", 0, None), *shown)
        ],
        "rows": [
            {
                "cells": [item["metadata"]["name"], *(_cell(value(item)) for _, _, value in shown)],
                "object": item
                if whole
                else {
                    "kind": "PartialObjectMetadata",
                    "apiVersion": "meta.k8s.io/v1",
                    "metadata": item["metadata"],
                },
            }
            for item in items
        ],
    }


def _cell(value: Any) -> Any:
    return "" if value is None else value if isinstance(value, str | int | float) else str(value)

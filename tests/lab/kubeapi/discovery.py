"""What kubectl asks first: groups, resources, OpenAPI, version."""

from typing import Any

from tests.lab.kubeapi.resources import VERBS, Resource

VERSION = {
    "major": "1",
    "minor": "34",
    "gitVersion": "v1.34.0+embedded",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "2026-01-01T00:00:00Z",
    "goVersion": "",
    "compiler": "python",
    "platform": "linux/amd64",
}

OPENAPI_V2_PROTOBUF = b"\x0a\x03" + b"2.0"
"""A Document that says only `swagger: 2.0`: enough for older kubectl to go on without schemas."""

_STATUS_VERBS = ["get", "patch", "update"]


def api_resources(resources: list[Resource], group_version: str) -> dict[str, Any]:
    """APIResourceList of one version."""
    listed: list[dict[str, Any]] = []
    for each in resources:
        common = {"namespaced": each.namespaced, "kind": each.kind}
        listed.append(
            {
                "name": each.plural,
                "singularName": each.kind.lower(),
                "verbs": list(VERBS),
                "shortNames": list(each.short_names),
                "categories": list(each.categories),
            }
            | common
        )
        if each.has_status:
            listed.append(
                {"name": f"{each.plural}/status", "singularName": "", "verbs": _STATUS_VERBS} | common
            )
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": group_version,
        "resources": listed,
    }


def groups(resources: list[Resource]) -> dict[str, list[str]]:
    """Each named group with its versions."""
    found: dict[str, list[str]] = {}
    for each in resources:
        if each.group:
            versions = found.setdefault(each.group, [])
            if each.version not in versions:
                versions.append(each.version)
    return found


def api_group(group: str, versions: list[str]) -> dict[str, Any]:
    """APIGroup."""
    listed = [{"groupVersion": f"{group}/{version}", "version": version} for version in versions]
    return {"name": group, "versions": listed, "preferredVersion": listed[0]}


def aggregated(resources: list[Resource], *, core: bool) -> dict[str, Any]:
    """APIGroupDiscoveryList: everything in one answer, for kubectl 1.26 and later."""
    named = {"": ["v1"]} if core else groups(resources)
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": [
            {
                "metadata": {"name": group, "creationTimestamp": None}
                if group
                else {"creationTimestamp": None},
                "versions": [
                    {
                        "version": version,
                        "freshness": "Current",
                        "resources": [
                            _aggregated_resource(each)
                            for each in resources
                            if (each.group, each.version) == (group, version)
                        ],
                    }
                    for version in versions
                ],
            }
            for group, versions in named.items()
        ],
    }


def _aggregated_resource(resource: Resource) -> dict[str, Any]:
    kind = {"group": resource.group, "version": resource.version, "kind": resource.kind}
    described: dict[str, Any] = {
        "resource": resource.plural,
        "responseKind": kind,
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.kind.lower(),
        "verbs": list(VERBS),
        "shortNames": list(resource.short_names),
        "categories": list(resource.categories),
    }
    if resource.has_status:
        described["subresources"] = [{"subresource": "status", "responseKind": kind, "verbs": _STATUS_VERBS}]
    return described


def openapi_v3(resources: list[Resource], group: str, version: str) -> dict[str, Any]:
    """The OpenAPI document of one version: its schemas, and a PATCH for each kind.

    kubectl looks for `fieldValidation` among the PATCH's parameters before it validates on the server.
    """
    schemas: dict[str, Any] = {}
    paths: dict[str, Any] = {}
    root = f"/apis/{group}/{version}" if group else f"/api/{version}"
    for each in resources:
        if (each.group, each.version) != (group, version):
            continue
        model = {"group": group, "kind": each.kind, "version": version}
        schema = dict(each.schema or {"type": "object", "x-kubernetes-preserve-unknown-fields": True})
        schemas[f"{group or 'core'}.{version}.{each.kind}"] = schema | {
            "x-kubernetes-group-version-kind": [model]
        }
        place = f"namespaces/{{namespace}}/{each.plural}" if each.namespaced else each.plural
        paths[f"{root}/{place}/{{name}}"] = {
            "patch": {
                "parameters": [{"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}],
                "responses": {"200": {"description": "OK"}},
                "x-kubernetes-action": "patch",
                "x-kubernetes-group-version-kind": model,
            }
        }
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": VERSION["gitVersion"]},
        "paths": paths,
        "components": {"schemas": schemas},
    }

"""What requests mean: create, read, write and delete objects, whatever carries the request."""

import copy
import json
from collections.abc import Callable
from typing import Any

from tests.lab.kubeapi import defaults, schemas
from tests.lab.kubeapi.errors import ApiError, conflict, invalid, not_found
from tests.lab.kubeapi.patches import json_patch, merge_patch, strategic_merge
from tests.lab.kubeapi.resources import BUILT_IN, Object, Resource, from_crd
from tests.lab.kubeapi.store import Store

CRDS = ("apiextensions.k8s.io", "customresourcedefinitions")
RETURNED_ON_DELETE = frozenset({"Pod", "Service", "ServiceAccount", "PersistentVolumeClaim", "ResourceQuota"})

Patch = Callable[[Object], Object]


class Api:
    """The objects and their rules."""

    def __init__(self, store: Store) -> None:
        self.store = store
        for name in ("default", "kube-system", "kube-public"):
            if store.get(("", "namespaces"), "", name) is None:
                self.create(BUILT_IN[0], "", {"metadata": {"name": name}})

    def resources(self) -> list[Resource]:
        """All resources there are now."""
        return [*BUILT_IN, *(each for crd in self.store.all(CRDS) for each in from_crd(crd))]

    def resource(self, group: str, version: str, plural: str) -> Resource:
        """One of them; raises ApiError 404."""
        for each in self.resources():
            if (each.group, each.version, each.plural) == (group, version, plural):
                return each
        raise ApiError(404, "the server could not find the requested resource")

    # -- reading ---------------------------------------------------------------------------------------

    def get(self, resource: Resource, namespace: str, name: str) -> Object:
        """One object; raises ApiError 404."""
        found = self.store.get(resource.storage_key, namespace, name)
        if found is None:
            raise not_found(resource.qualified, name)
        return self.shown(resource, found)

    def shown(self, resource: Resource, item: Object) -> Object:
        """A stored object as this version of the API shows it."""
        return {"apiVersion": resource.api_version, "kind": resource.kind} | {
            key: value for key, value in item.items() if key not in {"apiVersion", "kind"}
        }

    # -- writing ---------------------------------------------------------------------------------------

    def create(
        self, resource: Resource, namespace: str, item: Object, *, strict: bool = False, dry_run: bool = False
    ) -> Object:
        """Store a new object."""
        item = copy.deepcopy(item)
        metadata = item.setdefault("metadata", {})
        if resource.namespaced:
            if metadata.get("namespace", namespace) != namespace:
                raise ApiError(400, "the namespace of the object does not match the namespace on the request")
            if self.store.get(("", "namespaces"), "", namespace) is None:
                raise not_found("namespaces", namespace)
        in_use = {
            address
            for each in self.store.all(("", "services"))
            for address in each["spec"].get("clusterIPs", ())
        }
        if resource.has_status and resource.crd:
            item.pop("status", None)
        item = defaults.created(resource, item, namespace, in_use)
        name = metadata.get("name")
        if not name:
            raise invalid(
                resource.kind, "", [("metadata.name", "Required value: name or generateName is required")]
            )
        if self.store.get(resource.storage_key, metadata.get("namespace", ""), name) is not None:
            raise ApiError(409, f'{resource.qualified} "{name}" already exists', "AlreadyExists")
        item = self._checked(resource, item, strict=strict)
        return self.shown(resource, item if dry_run else self.store.put(resource.storage_key, item))

    def update(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        change: Patch,
        *,
        subresource: str = "",
        strict: bool = False,
        dry_run: bool = False,
    ) -> Object:
        """Replace an object by what `change` makes of it; a change of nothing keeps the resourceVersion."""
        stored = self.store.get(resource.storage_key, namespace, name)
        if stored is None:
            raise not_found(resource.qualified, name)
        before = self.shown(resource, stored)
        after = change(copy.deepcopy(before))
        wanted = after.get("metadata", {}).get("resourceVersion")
        if wanted not in (None, "", before["metadata"]["resourceVersion"]):
            raise conflict(resource.qualified, name)
        after = self._joined(resource, before, after, subresource)
        after = self._checked(resource, after, strict=strict)
        if _content(after) == _content(before):
            return before
        if after.get("spec") != before.get("spec") or (resource.crd and _desired(after) != _desired(before)):
            after["metadata"]["generation"] = before["metadata"].get("generation", 1) + 1
        if dry_run:
            return after
        if after["metadata"].get("deletionTimestamp") and not after["metadata"].get("finalizers"):
            return self.shown(resource, self.store.delete(resource.storage_key, after))
        return self.shown(resource, self.store.put(resource.storage_key, after))

    def replace(self, resource: Resource, namespace: str, item: Object, *, subresource: str = "") -> Object:
        """Write an object, or its status, in the place of what is stored under its name."""
        name = item["metadata"]["name"]
        return self.update(resource, namespace, name, lambda _: item, subresource=subresource)

    def _joined(self, resource: Resource, before: Object, after: Object, subresource: str) -> Object:
        """The part of `after` that this request may write, over the rest of `before`."""
        if subresource == "status":
            kept = {key: value for key, value in before.items() if key != "status"}
            status = {"status": after["status"]} if "status" in after else {}
            return kept | {"metadata": dict(before["metadata"])} | status
        metadata = after.setdefault("metadata", {})
        for key in ("uid", "creationTimestamp", "name", "namespace", "generation", "deletionTimestamp"):
            if key in before["metadata"]:
                metadata[key] = before["metadata"][key]
        metadata["resourceVersion"] = before["metadata"]["resourceVersion"]
        if resource.has_status:
            after.pop("status", None)
            if "status" in before:
                after["status"] = before["status"]
        return after

    def _checked(self, resource: Resource, item: Object, *, strict: bool) -> Object:
        metadata = item["metadata"]
        metadata.pop("managedFields", None)
        for key in ("labels", "annotations", "finalizers"):
            if metadata.get(key) in (None, {}, []):
                metadata.pop(key, None)
        name = metadata.get("name", "")
        if resource.schema is not None:
            unknown = list(schemas.unknown_fields(item, resource.schema))
            if strict and unknown:
                listed = ", ".join(f'unknown field "{each}"' for each in unknown)
                raise ApiError(
                    400,
                    f'{resource.kind} in version "{resource.version}" cannot be handled '
                    f"as a {resource.kind}: strict decoding error: {listed}",
                )
            item = schemas.prune(item, resource.schema)
            causes = list(schemas.problems(item, resource.schema))
            if causes:
                raise invalid(f"{resource.kind}.{resource.group}", name, causes)
        annotations = item["metadata"].get("annotations") or {}
        for key, value in annotations.items():
            if not isinstance(value, str):
                raise ApiError(400, f"unable to decode: metadata.annotations.{key}: expected a string")
        return item

    # -- deleting --------------------------------------------------------------------------------------

    def delete(self, resource: Resource, namespace: str, name: str, options: Object | None = None) -> Object:
        """Delete an object, or mark it while it has finalizers."""
        stored = self.store.get(resource.storage_key, namespace, name)
        if stored is None:
            raise not_found(resource.qualified, name)
        conditions = (options or {}).get("preconditions") or {}
        for key in ("uid", "resourceVersion"):
            if conditions.get(key) not in (None, stored["metadata"][key]):
                raise conflict(resource.qualified, name)
        if stored["metadata"].get("finalizers"):
            if not stored["metadata"].get("deletionTimestamp"):
                marked = copy.deepcopy(stored)
                marked["metadata"] |= {"deletionTimestamp": defaults.now(), "deletionGracePeriodSeconds": 0}
                stored = self.store.put(resource.storage_key, marked)
            return self.shown(resource, stored)
        removed = self.store.delete(resource.storage_key, stored)
        self._deleted_with(resource, removed)
        if resource.kind in RETURNED_ON_DELETE:
            return self.shown(resource, removed)
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Success",
            "details": {"name": name, "kind": resource.plural, "uid": removed["metadata"]["uid"]},
        }

    def _deleted_with(self, resource: Resource, removed: Object) -> None:
        """What a namespace holds goes with it, and the objects of a CRD with the CRD."""
        if resource.kind == "Namespace":
            for key in {each.storage_key for each in self.resources() if each.namespaced}:
                for item in self.store.all(key, removed["metadata"]["name"]):
                    self.store.delete(key, item)
        if resource.kind == "CustomResourceDefinition":
            key = (removed["spec"]["group"], removed["spec"]["names"]["plural"])
            for item in self.store.all(key):
                self.store.delete(key, item)

    # -- patches ---------------------------------------------------------------------------------------

    def patch(self, resource: Resource, content_type: str, body: Any) -> Patch:
        """The change that a PATCH asks for; raises ApiError 415."""
        match content_type:
            case "application/json-patch+json":
                return lambda item: json_patch(item, body)
            case "application/merge-patch+json" | "application/apply-patch+yaml":
                return lambda item: merge_patch(item, body)
            case "application/strategic-merge-patch+json" if not resource.crd:
                return lambda item: strategic_merge(item, body, resource.kind)
        raise ApiError(
            415,
            "the body of the request was in an unknown format - accepted media types include: "
            "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
        )


def _content(item: Object) -> str:
    return json.dumps(item, sort_keys=True)


def _desired(item: Object) -> Object:
    return {key: value for key, value in item.items() if key not in {"metadata", "status"}}

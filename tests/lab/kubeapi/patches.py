"""The four patch formats, as pure functions from an object to its successor."""

import copy
from typing import Any

from tests.lab.kubeapi.errors import ApiError

MERGE_KEYS = {
    "containers": "name",
    "initContainers": "name",
    "volumes": "name",
    "env": "name",
    "volumeMounts": "mountPath",
    "imagePullSecrets": "name",
    "conditions": "type",
    "addresses": "type",
    "taints": "key",
    "tolerations": None,
    "hostAliases": "ip",
    "podIPs": "ip",
    "ownerReferences": "uid",
    "secrets": "name",
    "topologySpreadConstraints": "topologyKey",
}
"""List fields of built-in kinds that strategic merge joins by a key; `ports` depends on its parent."""


def json_patch(target: Any, operations: Any) -> Any:
    """RFC 6902; raises ApiError 422 when an operation does not apply."""
    if not isinstance(operations, list):
        raise ApiError(400, "a JSON patch is a list of operations")
    result = copy.deepcopy(target)
    for operation in operations:
        try:
            result = _operation(result, operation)
        except (KeyError, IndexError, ValueError, TypeError) as error:
            text = f"the server rejected our request due to an error in our request: {operation}: {error}"
            raise ApiError(422, text) from None
    return result


def _operation(document: Any, operation: dict[str, Any]) -> Any:
    kind, path = operation["op"], _pointer(operation["path"])
    match kind:
        case "add":
            return _set(document, path, copy.deepcopy(operation["value"]), insert=True)
        case "replace":
            _at(document, path)
            return _set(document, path, copy.deepcopy(operation["value"]), insert=False)
        case "remove":
            return _removed(document, path)
        case "test":
            if _at(document, path) != operation["value"]:
                raise ValueError("the test failed")
            return document
        case "move" | "copy":
            value = copy.deepcopy(_at(document, _pointer(operation["from"])))
            if kind == "move":
                document = _removed(document, _pointer(operation["from"]))
            return _set(document, path, value, insert=True)
    raise ValueError(f"unknown operation {kind!r}")


def _pointer(text: str) -> list[str]:
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def _step(container: Any, part: str) -> Any:
    return container[int(part)] if isinstance(container, list) else container[part]


def _at(document: Any, path: list[str]) -> Any:
    for part in path:
        document = _step(document, part)
    return document


def _set(document: Any, path: list[str], value: Any, *, insert: bool) -> Any:
    if not path:
        return value
    container = _at(document, path[:-1])
    if isinstance(container, list):
        if path[-1] == "-":
            container.append(value)
        elif insert:
            container.insert(int(path[-1]), value)
        else:
            container[int(path[-1])] = value
    else:
        container[path[-1]] = value
    return document


def _removed(document: Any, path: list[str]) -> Any:
    container = _at(document, path[:-1])
    del container[int(path[-1]) if isinstance(container, list) else path[-1]]
    return document


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), value)
    return result


def strategic_merge(target: Any, patch: Any, kind: str = "") -> Any:
    """Strategic merge patch of a built-in kind: lists of objects are joined by their merge key."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    if patch.get("$patch") == "replace":
        return {key: copy.deepcopy(value) for key, value in patch.items() if key != "$patch"}
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if key.startswith("$setElementOrder/") or key in {"$patch", "$retainKeys"}:
            continue
        if key.startswith("$deleteFromPrimitiveList/"):
            name = key.partition("/")[2]
            result[name] = [each for each in result.get(name, []) if each not in value]
        elif value is None:
            result.pop(key, None)
        elif isinstance(value, list):
            result[key] = _merged_list(result.get(key), value, _merge_key(key, kind), kind)
        else:
            result[key] = strategic_merge(result.get(key), value, kind)
    return result


def _merge_key(field: str, kind: str) -> str | None:
    if field == "ports":
        return "port" if kind == "Service" else "containerPort"
    return MERGE_KEYS.get(field)


def _merged_list(present: Any, patch: list[Any], key: str | None, kind: str) -> list[Any]:
    if key is None or not all(isinstance(each, dict) for each in patch):
        return copy.deepcopy(patch)
    if {"$patch": "replace"} in patch:
        return [copy.deepcopy(each) for each in patch if each != {"$patch": "replace"}]
    merged = {each.get(key): each for each in present or []}
    for each in patch:
        if each.get("$patch") == "delete":
            merged.pop(each.get(key), None)
        else:
            merged[each.get(key)] = strategic_merge(merged.get(each.get(key)), each, kind)
    return list(merged.values())

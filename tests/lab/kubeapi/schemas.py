"""Structural schemas: defaults, pruning and validation of custom resources.

CEL rules (x-kubernetes-validations) are not evaluated: what they alone forbid passes here.
"""

import ipaddress
import json
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

Schema = dict[str, Any]
Cause = tuple[str, str]

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
}
_NAMES = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer", float: "number"}
_BITS = {"int32": 31, "int64": 63}
_META = ("apiVersion", "kind", "metadata")


def unknown_fields(value: Any, schema: Schema, path: str = "", *, root: bool = True) -> Iterator[str]:
    """The paths of the fields that the schema does not name, as kubectl's strict decoding lists them."""
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        return
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        extra = schema.get("additionalProperties")
        for key, each in value.items():
            at = f"{path}.{key}" if path else key
            if root and key in _META:
                continue
            if key in properties:
                yield from unknown_fields(each, properties[key], at, root=False)
            elif isinstance(extra, dict):
                yield from unknown_fields(each, extra, at, root=False)
            elif not extra:
                yield at
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from unknown_fields(each, schema.get("items", {}), f"{path}[{index}]", root=False)


def prune(value: Any, schema: Schema, *, root: bool = True) -> Any:
    """The value without the fields that the schema does not name, and with its defaults."""
    if isinstance(value, list):
        return [prune(each, schema.get("items", {}), root=False) for each in value]
    if not isinstance(value, dict):
        return value
    properties = schema.get("properties", {})
    extra = schema.get("additionalProperties")
    keep_all = bool(schema.get("x-kubernetes-preserve-unknown-fields")) or extra is True
    pruned: dict[str, Any] = {}
    for key, each in value.items():
        if root and key in _META:
            pruned[key] = each
        elif key in properties:
            pruned[key] = prune(each, properties[key], root=False)
        elif isinstance(extra, dict):
            pruned[key] = prune(each, extra, root=False)
        elif keep_all:
            pruned[key] = each
    for key, child in properties.items():
        if key not in pruned and "default" in child:
            pruned[key] = prune(child["default"], child, root=False)
    return pruned


def problems(value: Any, schema: Schema, path: str = "") -> Iterator[Cause]:
    """What is wrong with a value: (field, message), worded as the API server words it."""
    if value is None:
        if schema.get("nullable"):
            return
        yield path, f'Invalid value: "null": must be of type {schema.get("type", "object")}: "null"'
        return
    wanted = _wanted_types(schema)
    if wanted and not any(_is(value, each) for each in wanted):
        found = _NAMES.get(type(value), type(value).__name__)
        listed = " or ".join(wanted)
        yield path, f'Invalid value: "{found}": {path} in body must be of type {listed}: "{found}"'
        return
    yield from _value_problems(value, schema, path)
    if isinstance(value, dict):
        yield from _object_problems(value, schema, path)
    if isinstance(value, list):
        yield from _list_problems(value, schema, path)


def _wanted_types(schema: Schema) -> tuple[str, ...]:
    if schema.get("x-kubernetes-int-or-string"):
        return ("integer", "string")
    return (schema["type"],) if schema.get("type") else ()


def _is(value: Any, wanted: str) -> bool:
    if isinstance(value, bool):
        return wanted == "boolean"
    return isinstance(value, _TYPES[wanted])


def _value_problems(value: Any, schema: Schema, path: str) -> Iterator[Cause]:
    if "enum" in schema and value not in schema["enum"]:
        listed = ", ".join(f'"{each}"' for each in schema["enum"])
        yield path, f'Unsupported value: "{value}": supported values: {listed}'
    if isinstance(value, str):
        if "pattern" in schema and not re.search(schema["pattern"], value):
            yield path, f"Invalid value: \"{value}\": {path} in body should match '{schema['pattern']}'"
        if len(value) > schema.get("maxLength", len(value)):
            yield path, f"Too long: may not be more than {schema['maxLength']} bytes"
        if len(value) < schema.get("minLength", 0):
            yield path, f'Invalid value: "{value}": should be at least {schema["minLength"]} chars long'
        if not _has_format(value, schema.get("format", "")):
            yield path, f'Invalid value: "{value}": {path} in body must be of type {schema["format"]}'
    if isinstance(value, int | float) and not isinstance(value, bool):
        bits = _BITS.get(schema.get("format", ""))
        if bits and not -(2**bits) <= value < 2**bits:
            yield path, f"Invalid value: {value}: {path} in body must be of type {schema['format']}"
        if value < schema.get("minimum", value):
            yield path, f"Invalid value: {value}: should be greater than or equal to {schema['minimum']}"
        if value > schema.get("maximum", value):
            yield path, f"Invalid value: {value}: should be less than or equal to {schema['maximum']}"


def _has_format(value: str, name: str) -> bool:
    readers: dict[str, Callable[[str], object]] = {
        "ipv4": ipaddress.IPv4Address,
        "ipv6": ipaddress.IPv6Address,
        "cidr": ipaddress.ip_network,
        "date-time": datetime.fromisoformat,
    }
    if name not in readers:
        return True
    try:
        readers[name](value)
    except ValueError:
        return False
    return True


def _object_problems(value: dict[str, Any], schema: Schema, path: str) -> Iterator[Cause]:
    properties = schema.get("properties", {})
    for key in schema.get("required", ()):
        if key not in value:
            yield _join(path, key), "Required value"
    for key, each in value.items():
        if key in properties:
            yield from problems(each, properties[key], _join(path, key))
        elif isinstance(schema.get("additionalProperties"), dict):
            yield from problems(each, schema["additionalProperties"], _join(path, key))


def _list_problems(value: list[Any], schema: Schema, path: str) -> Iterator[Cause]:
    if len(value) > schema.get("maxItems", len(value)):
        yield path, f"Too many: {len(value)}: must have at most {schema['maxItems']} items"
    if len(value) < schema.get("minItems", 0):
        yield path, f"Invalid value: should have at least {schema['minItems']} items"
    yield from _duplicates(value, schema, path)
    for index, each in enumerate(value):
        yield from problems(each, schema.get("items", {}), f"{path}[{index}]")


def _duplicates(value: list[Any], schema: Schema, path: str) -> Iterator[Cause]:
    """Items that a list of type `set` or `map` may hold once only."""
    kind, keys = schema.get("x-kubernetes-list-type"), schema.get("x-kubernetes-list-map-keys", ())
    if kind not in {"set", "map"}:
        return
    seen: list[Any] = []
    for index, each in enumerate(value):
        identity = {key: each.get(key) for key in keys} if kind == "map" and isinstance(each, dict) else each
        if identity in seen:
            yield f"{path}[{index}]", f"Duplicate value: {json.dumps(identity, separators=(',', ':'))}"
        seen.append(identity)


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key

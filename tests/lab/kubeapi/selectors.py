"""Label and field selectors."""

import re
from collections.abc import Callable
from typing import Any

from tests.lab.kubeapi.errors import ApiError

Match = Callable[[dict[str, Any]], bool]

_SET = re.compile(r"^\s*([\w./-]+)\s+(in|notin)\s+\(([^)]*)\)\s*$")
_EQUAL = re.compile(r"^\s*([\w./-]+)\s*(==|=|!=)\s*([\w./-]*)\s*$")
_EXISTS = re.compile(r"^\s*(!?)\s*([\w./-]+)\s*$")
_DEFAULTS = {"spec.hostNetwork": "false", "spec.unschedulable": "false"}


def everything(_: dict[str, Any]) -> bool:
    """Matches all objects."""
    return True


def selector(labels: str, fields: str) -> Match:
    """What both selectors accept; raises ApiError 400 for one that cannot be read."""
    tests = [_label_test(each) for each in _split(labels)] + [_field_test(each) for each in _split(fields)]
    if not tests:
        return everything
    return lambda item: all(test(item) for test in tests)


def _split(text: str) -> list[str]:
    """At the commas outside parentheses."""
    return [each for each in re.split(r",(?![^(]*\))", text) if each.strip()]


def _labels(item: dict[str, Any]) -> dict[str, str]:
    return item["metadata"].get("labels") or {}


def _label_test(text: str) -> Match:
    if found := _SET.match(text):
        key, operator, listed = found.groups()
        values = {each.strip() for each in listed.split(",")}
        if operator == "in":
            return lambda item: _labels(item).get(key) in values
        return lambda item: _labels(item).get(key) not in values
    if found := _EQUAL.match(text):
        key, operator, value = found.groups()
        if operator == "!=":
            return lambda item: _labels(item).get(key) != value
        return lambda item: _labels(item).get(key) == value
    if found := _EXISTS.match(text):
        absent, key = found.groups()
        return lambda item: (key in _labels(item)) is not bool(absent)
    raise ApiError(400, f"unable to parse requirement: {text!r}")


def _field_test(text: str) -> Match:
    found = re.match(r"^\s*([\w./-]+?)\s*(==|=|!=)\s*(.*?)\s*$", text)
    if found is None:
        raise ApiError(400, f"invalid field selector {text!r}")
    path, operator, value = found.groups()
    return lambda item: (_field(item, path) == value) is not (operator == "!=")


def _field(item: dict[str, Any], path: str) -> str:
    value: Any = item
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if value is None:
        return _DEFAULTS.get(path, "")
    return str(value).lower() if isinstance(value, bool) else str(value)

"""Bodies in Kubernetes' protobuf, which kubectl 1.32 and later send for a few kinds.

A decoder for exactly those: Namespace, ServiceAccount, ConfigMap, Secret, Service and
SelfSubjectAccessReview, by the field numbers of their .proto files.
"""

import base64
from collections.abc import Callable, Iterator
from typing import Any

from tests.lab.kubeapi.errors import ApiError

MAGIC = b"k8s\x00"
Field = tuple[str, Callable[[Any], Any], str]


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return value, at
        shift += 7


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        match tag & 7:
            case 0:
                value, at = _varint(data, at)
                yield tag >> 3, value
            case 2:
                size, at = _varint(data, at)
                yield tag >> 3, data[at : at + size]
                at += size
            case 1:
                at += 8
            case 5:
                at += 4


def _text(value: Any) -> str:
    return bytes(value).decode()


def _message(spec: dict[int, Field]) -> Callable[[Any], dict[str, Any]]:
    def decode(data: Any) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for number, value in _fields(bytes(data)):
            if number not in spec:
                continue
            name, read, how = spec[number]
            if how == "list":
                result.setdefault(name, []).append(read(value))
            elif how == "map":
                entry = dict(_fields(bytes(value)))
                result.setdefault(name, {})[_text(entry.get(1, b""))] = read(entry.get(2, b""))
            elif read(value) not in ("", {}):
                result[name] = read(value)
        return result

    return decode


def _int_or_string(data: Any) -> int | str:
    found = dict(_fields(bytes(data)))
    return _text(found[3]) if found.get(1) else int(found.get(2, 0))


def _base64(value: Any) -> str:
    return base64.b64encode(bytes(value)).decode()


_META = _message(
    {
        1: ("name", _text, "one"),
        2: ("generateName", _text, "one"),
        3: ("namespace", _text, "one"),
        11: ("labels", _text, "map"),
        12: ("annotations", _text, "map"),
    }
)
_PORT = _message(
    {
        1: ("name", _text, "one"),
        2: ("protocol", _text, "one"),
        3: ("port", int, "one"),
        4: ("targetPort", _int_or_string, "one"),
        5: ("nodePort", int, "one"),
    }
)
_SERVICE_SPEC = _message(
    {
        1: ("ports", _PORT, "list"),
        2: ("selector", _text, "map"),
        3: ("clusterIP", _text, "one"),
        4: ("type", _text, "one"),
        5: ("externalIPs", _text, "list"),
        10: ("externalName", _text, "one"),
        11: ("externalTrafficPolicy", _text, "one"),
        18: ("clusterIPs", _text, "list"),
    }
)
_RESOURCE_ATTRIBUTES = _message(
    {
        1: ("namespace", _text, "one"),
        2: ("verb", _text, "one"),
        3: ("group", _text, "one"),
        4: ("version", _text, "one"),
        5: ("resource", _text, "one"),
        6: ("subresource", _text, "one"),
        7: ("name", _text, "one"),
    }
)
_NON_RESOURCE = _message({1: ("path", _text, "one"), 2: ("verb", _text, "one")})
_REVIEW_SPEC = _message(
    {
        1: ("resourceAttributes", _RESOURCE_ATTRIBUTES, "one"),
        2: ("nonResourceAttributes", _NON_RESOURCE, "one"),
    }
)
_KINDS = {
    "Namespace": _message({1: ("metadata", _META, "one")}),
    "ServiceAccount": _message({1: ("metadata", _META, "one")}),
    "ConfigMap": _message({1: ("metadata", _META, "one"), 2: ("data", _text, "map")}),
    "Secret": _message(
        {1: ("metadata", _META, "one"), 2: ("data", _base64, "map"), 3: ("type", _text, "one")}
    ),
    "Service": _message({1: ("metadata", _META, "one"), 2: ("spec", _SERVICE_SPEC, "one")}),
    "SelfSubjectAccessReview": _message({1: ("metadata", _META, "one"), 2: ("spec", _REVIEW_SPEC, "one")}),
}


def decode(body: bytes) -> dict[str, Any]:
    """The object in a protobuf body; raises ApiError 415 for a kind that is not known here."""
    if not body.startswith(MAGIC):
        raise ApiError(400, "the body is not Kubernetes protobuf")
    envelope = dict(_fields(body[len(MAGIC) :]))
    type_meta = dict(_fields(bytes(envelope.get(1, b""))))
    kind = _text(type_meta.get(2, b""))
    if kind not in _KINDS:
        raise ApiError(415, f"protobuf bodies of kind {kind} are not understood by the embedded API server")
    known = {"apiVersion": _text(type_meta.get(1, b"")), "kind": kind}
    return known | _KINDS[kind](envelope.get(2, b""))

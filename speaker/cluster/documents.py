"""Manifests in files as the views that the watches would have given; for `speaker plan`."""

import json
from collections.abc import Iterable, Mapping

import msgspec

from speaker.cluster.sources import API_VERSIONS, DECODERS, OWN
from speaker.cluster.translate import Translator
from speaker.model.objects import Change, Kind

_CLUSTER_SCOPED = frozenset({Kind.NODE, Kind.NAMESPACE, Kind.SUBNET, Kind.IP, Kind.IPAM_BLOCK}) | OWN
_BY_API = {(version, kind.value): kind for kind, version in API_VERSIONS.items()}


def views_from_manifest(
    document: Mapping[str, object], annotation_prefix: str
) -> tuple[list[Change], list[str]]:
    """The changes that one parsed manifest makes.

    Args:
        document: an object, or a List of objects; kinds that the speaker does not read are left out.
        annotation_prefix: annotations under it are kept.

    Returns:
        the changes, and one sentence for each value that cannot be read.
    """
    problems: list[str] = []
    translator = Translator(annotation_prefix, problems.append)
    changes = [
        change for each in _objects(document, problems) for change in _changes(each, translator, problems)
    ]
    return changes, problems


def _objects(document: Mapping[str, object], problems: list[str]) -> Iterable[Mapping[str, object]]:
    if not str(document.get("kind", "")).endswith("List"):
        yield document
        return
    items = document.get("items")
    for item in items if isinstance(items, list) else ():
        if isinstance(item, Mapping):
            # The items of a typed list carry no kind of their own.
            kind = str(document["kind"]).removesuffix("List")
            yield {"apiVersion": document.get("apiVersion"), "kind": kind} | dict(item)
        else:
            problems.append(f"items holds {str(item)[:64]!r}, which is not an object")


def _changes(document: Mapping[str, object], translator: Translator, problems: list[str]) -> Iterable[Change]:
    kind = _BY_API.get((str(document.get("apiVersion")), str(document.get("kind"))))
    if kind is None:
        return
    document = dict(document)
    metadata = document.get("metadata")
    if isinstance(metadata, Mapping) and kind not in _CLUSTER_SCOPED:
        document["metadata"] = {"namespace": "default"} | dict(metadata)
    try:
        _, view = DECODERS[kind](translator, json.dumps(document, default=str).encode())
    except msgspec.MsgspecError as error:
        problems.append(f"{kind}: {error}")
        return
    if view is not None:
        yield Change(view.meta.ref, view)

"""Manifests from files: YAML with several documents, JSON, lists, folders, standard input.

Knows files and the outermost shape of a manifest; what an object means is `speaker.cluster`'s to know.
Everything wrong is a `UsageError` that names the file and the line or the document.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from speaker.errors import UsageError
from speaker.log import escaped

STANDARD_INPUT = "-"
DEEPEST = 100
"""How far an object may nest; those of Kubernetes stay well below, CRDs included."""
LARGEST_VALUE = 1024 * 1024
"""How many octets a file that is no manifest may have; a ConfigMap holds no more."""
ENDINGS = frozenset({".yaml", ".yml", ".json"})

_FAST_LOADER: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_FAST_LOADER):  # type: ignore[valid-type, misc]  # chosen by what the machine has
    """Takes times as texts, as JSON and Kubernetes do."""

    yaml_implicit_resolvers = {  # noqa: RUF012 # the base class's own attribute
        first: [(tag, shape) for tag, shape in resolvers if not tag.endswith(":timestamp")]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


@dataclass(frozen=True, slots=True)
class Document:
    """One object of a manifest; `place` names its file and which document of it this is."""

    place: str
    content: dict[str, object]


def read_documents(paths: Sequence[str]) -> Iterator[Document]:
    """The objects in the files, in order; members of a List one by one. Raises UsageError."""
    for path in paths:
        if path == STANDARD_INPUT:
            yield from documents_in("standard input", sys.stdin.buffer.read())
            continue
        for file in _files(Path(path)):
            yield from documents_in(str(file), _content(file))


def documents_in(source: str, content: bytes) -> Iterator[Document]:
    """The objects in one file's content; `source` is what errors call it."""
    for number, value in enumerate(_values(source, content), start=1):
        if value is not None:
            yield from _members(f"{source}, document {number}", value)


def read_value(path: str) -> object:
    """The one YAML or JSON value in a file that is no manifest; None for an empty one. Raises UsageError."""
    values = list(_values(path, _content(Path(path), LARGEST_VALUE)))
    if len(values) > 1:
        raise UsageError(f"{path}: must be one document, not {len(values)}")
    return values[0] if values else None


def _values(source: str, content: bytes) -> Iterator[object]:
    """The documents in the content, each None, a scalar, a list or a mapping; raises UsageError."""
    try:
        _refuse_deep(source, content)
        yield from yaml.load_all(content, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}" if mark else ""
        reason = escaped(error.problem or "unreadable")
        raise UsageError(f"{source}{line}: this is no YAML: {reason}") from None
    except (yaml.YAMLError, ValueError) as error:
        reason = escaped(str(error).splitlines()[0])
        raise UsageError(f"{source}: this is no YAML: {reason}") from None


def _refuse_deep(source: str, content: bytes) -> None:
    """Refuse what is nested too deeply: libyaml would build it recursively, to the end of the stack."""
    depth = 0
    for event in yaml.parse(content, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > DEEPEST:
            raise UsageError(f"{source}: this is nested more than {DEEPEST} deep")


def _members(place: str, value: object) -> Iterator[Document]:
    """The object itself, or the members of a List."""
    document = _object(place, value)
    kind, items = str(document.content["kind"]), document.content.get("items")
    if not (kind.endswith("List") and "items" in document.content):
        yield document
        return
    if not isinstance(items, list):
        raise UsageError(f"{place}: items must be a list, not a {_shape(items)}")
    # Members of a typed list (PodList) need not repeat their own kind.
    implied = {} if kind == "List" else {"kind": kind.removesuffix("List")}
    for number, item in enumerate(items, start=1):
        where = f"{place}, item {number}"
        known = {"apiVersion": document.content["apiVersion"], **implied}
        yield _object(where, {**known, **item} if isinstance(item, dict) and implied else item)


def _object(place: str, value: object) -> Document:
    """A mapping that says its apiVersion and kind; raises UsageError."""
    if not isinstance(value, dict):
        raise UsageError(f"{place}: must be a Kubernetes object, not a {_shape(value)}")
    if not (isinstance(value.get("kind"), str) and isinstance(value.get("apiVersion"), str)):
        raise UsageError(f"{place}: must have apiVersion and kind")
    return Document(place, value)


def _shape(value: object) -> str:
    names = {"dict": "mapping", "str": "text", "int": "number", "float": "number", "bool": "boolean"}
    return names.get(type(value).__name__, type(value).__name__)


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    try:
        found = sorted(entry for entry in path.iterdir() if entry.suffix in ENDINGS)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    if not found:
        raise UsageError(f"{path}: holds no .yaml, .yml or .json file")
    return found


def _content(path: Path, most: int = -1) -> bytes:
    """What a file holds, refused beyond `most` octets."""
    try:
        with path.open("rb") as file:
            content = file.read(most if most < 0 else most + 1)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    if 0 <= most < len(content):
        raise UsageError(f"{path}: is larger than {most} octets")
    return content

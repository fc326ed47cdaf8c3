"""Manifests from files, and what is said about bad ones."""

import json
from pathlib import Path

import pytest

from speaker.cli.documents import documents_in, read_documents
from speaker.errors import UsageError

POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}}


def names(content: str) -> list[tuple[str, object]]:
    return [
        (document.place, document.content["kind"]) for document in documents_in("m.yaml", content.encode())
    ]


def problem(content: bytes) -> str:
    with pytest.raises(UsageError) as caught:
        list(documents_in("m.yaml", content))
    return str(caught.value)


def test_several_documents_and_empty_ones() -> None:
    text = "apiVersion: v1\nkind: Pod\n---\n---\napiVersion: v1\nkind: Node\n"
    assert names(text) == [("m.yaml, document 1", "Pod"), ("m.yaml, document 3", "Node")]


def test_json_is_read_too() -> None:
    assert names(json.dumps(POD, indent="\t")) == [("m.yaml, document 1", "Pod")]


def test_a_list_is_read_member_by_member() -> None:
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": [POD, POD]})
    assert names(text) == [("m.yaml, document 1, item 1", "Pod"), ("m.yaml, document 1, item 2", "Pod")]


def test_members_of_a_typed_list_take_its_kind() -> None:
    text = json.dumps({"apiVersion": "v1", "kind": "PodList", "items": [{"metadata": {"name": "a"}}]})
    (document,) = documents_in("m.yaml", text.encode())
    assert (document.content["apiVersion"], document.content["kind"]) == ("v1", "Pod")


def test_a_kind_that_only_ends_in_list_is_an_object() -> None:
    assert names("apiVersion: example.org/v1\nkind: AllowList\n") == [("m.yaml, document 1", "AllowList")]


def test_times_stay_texts() -> None:
    text = b"apiVersion: v1\nkind: Pod\nmetadata: {creationTimestamp: 2026-01-01T00:00:00Z}\n"
    (document,) = documents_in("m.yaml", text)
    assert document.content["metadata"] == {"creationTimestamp": "2026-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"a: [1\nb: 2\n", "m.yaml, line 2: this is no YAML: "),
        (b"a:\n\t- b\n", "m.yaml, line 2: this is no YAML: "),
        (b"\xff\xfe\xff", "m.yaml: this is no YAML: "),
        (b"a: \x1b[2J\n", "m.yaml: this is no YAML: "),
        (b"a: !!python/object:os.system {}\n", "m.yaml, line 1: this is no YAML: "),
        (b"just text\n", "m.yaml, document 1: must be a Kubernetes object, not a text"),
        (b"- a\n", "m.yaml, document 1: must be a Kubernetes object, not a list"),
        (b"kind: Pod\n", "m.yaml, document 1: must have apiVersion and kind"),
        (b"apiVersion: v1\nkind: 7\n", "m.yaml, document 1: must have apiVersion and kind"),
        (b"apiVersion: v1\nkind: List\nitems: 7\n", "m.yaml, document 1: items must be a list, not a number"),
        (
            b"apiVersion: v1\nkind: List\nitems: [7]\n",
            "m.yaml, document 1, item 1: must be a Kubernetes object, not a number",
        ),
        (b"[" * 100_000, "m.yaml"),
    ],
)
def test_a_bad_manifest_names_file_and_place(content: bytes, sentence: str) -> None:
    text = problem(content)
    assert text.startswith(sentence)
    assert "\n" not in text
    assert "\x1b" not in text


def test_a_folder_is_read_in_order_without_its_other_files(tmp_path: Path) -> None:
    (tmp_path / "b.json").write_text(json.dumps(POD | {"kind": "Service"}))
    (tmp_path / "a.yaml").write_text(json.dumps(POD))
    (tmp_path / "README.md").write_text("not: a: manifest")
    assert [document.content["kind"] for document in read_documents([str(tmp_path)])] == ["Pod", "Service"]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("absent.yaml", "cannot be read: No such file or directory"),
        ("", "holds no .yaml, .yml or .json file"),
    ],
)
def test_a_path_that_gives_nothing(tmp_path: Path, name: str, sentence: str) -> None:
    path = tmp_path / name
    with pytest.raises(UsageError, match=f"{path}: {sentence}"):
        list(read_documents([str(path)]))

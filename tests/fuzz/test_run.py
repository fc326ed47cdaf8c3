"""The command behind `make fuzz`: what it finds, it keeps, and it says so by its exit status."""

from pathlib import Path

import pytest

from tests.fuzz import run, structured, targets
from tests.fuzz.verdict import Finding


@pytest.fixture
def found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A corpus of its own for what is found."""
    monkeypatch.setattr(targets.keep, "__defaults__", (tmp_path,))
    return tmp_path


def _refuse(data: bytes) -> None:
    if b"[" in data:
        raise Finding("a bracket")


def test_nothing_found_is_success(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(["--seconds", "1", "--target", "control", "--unguided"]) == 0
    assert "control: 1 s, nothing found" in capsys.readouterr().out


def test_a_finding_is_kept_under_its_hash_and_is_a_failure(
    found: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(targets, "TARGETS", {"control": _refuse})

    assert not structured.run("control", 30)

    [kept] = found.iterdir()
    assert targets.target_of(kept) == "control"
    assert b"[" in kept.read_bytes()
    assert str(kept) in capsys.readouterr().out


def test_without_atheris_a_sentence_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)

    assert run.main(["--seconds", "1", "--target", "bfd"]) == 0
    assert "There is no atheris for this Python" in capsys.readouterr().out

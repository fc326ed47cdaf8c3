"""The reference pages say what the code says."""

import subprocess
import sys
from pathlib import Path

import pytest

from speaker.metrics import METRICS
from speaker.model.publication import ExclusionReason
from speaker.settings import FLAGS
from speaker.settings.advertise_flags import ADVERTISE_FLAGS
from speaker.settings.peer_rows import PEER_FIELDS, TOP_FIELDS

DOCS = Path(__file__).parents[2] / "docs"


def generate(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(DOCS / "generate.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)


def test_the_pages_are_current() -> None:
    result = generate("--check")
    assert (result.returncode, result.stderr) == (0, "")


def test_an_unknown_argument_is_refused() -> None:
    assert generate("--chekc").returncode == 2


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("flags.md", [f"`--{flag.name}`" for flag in FLAGS]),
        ("advertise.md", [f"`--{flag.name}`" for flag in ADVERTISE_FLAGS]),
        ("advertise.md", [f"`{field.name}`" for field in (*TOP_FIELDS, *PEER_FIELDS)]),
        ("exclusion-reasons.md", [f"`{reason.value}`" for reason in ExclusionReason]),
        ("metrics.md", [f"`{metric.name}`" for metric in METRICS]),
    ],
)
def test_everything_stands_on_its_page(page: str, names: list[str]) -> None:
    text = (DOCS / "reference" / page).read_text(encoding="utf-8")
    assert [name for name in names if name not in text] == []

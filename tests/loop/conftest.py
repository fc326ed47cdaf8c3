"""What the watched speakers need: namespaces, a router, kubectl."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def folder() -> Iterator[Path]:
    """For sockets, whose paths must be short."""
    made = Path(tempfile.mkdtemp(prefix="loop-"))
    yield made
    shutil.rmtree(made, ignore_errors=True)

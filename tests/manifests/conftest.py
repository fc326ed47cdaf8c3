"""The manifests as kubectl renders them."""

import functools
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

MANIFESTS = Path(__file__).parents[2] / "manifests"

Objects = dict[tuple[str, str], Any]
"""(kind, name) to the object."""


@functools.cache
def rendered(folder: Path) -> Objects:
    command = ["kubectl", "kustomize", str(folder)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return {(each["kind"], each["metadata"]["name"]): each for each in yaml.safe_load_all(done.stdout)}


@pytest.fixture
def render(tmp_path: Path) -> Callable[..., Objects]:
    """Render a folder of manifests/, with components on top of it."""

    def render_(folder: str, *components: str) -> Objects:
        if not components:
            return rendered(MANIFESTS / folder)
        kustomization = {
            "resources": [os.path.relpath(MANIFESTS / folder, tmp_path)],
            "components": [os.path.relpath(MANIFESTS / "components" / name, tmp_path) for name in components],
        }
        (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
        return rendered(tmp_path)

    return render_

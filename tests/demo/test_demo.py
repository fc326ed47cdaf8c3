"""The demo sees every step of its tour, with a real router and without."""

import asyncio
import os
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


async def demo(**environment: str) -> tuple[int | None, str]:
    """Run it once; its exit status and what it printed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.lab.demo", "--once"),
        cwd=ROOT,
        env=os.environ | environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode, output.decode()


@pytest.mark.netns
@pytest.mark.kubectl
@pytest.mark.bird
async def test_the_demo_with_a_router() -> None:
    status, output = await demo()

    assert status == 0, output
    assert "7 of 7 steps" in output
    assert "Router:  BIRD" in output


async def test_the_demo_without_a_router_and_without_kubectl(tmp_path: Path) -> None:
    for program in ("sh", "openssl"):
        (tmp_path / program).symlink_to(str(shutil.which(program)))

    status, output = await demo(PATH=str(tmp_path))

    assert status == 0, output
    assert "7 of 7 steps" in output
    assert "not a real one" in output
    assert "There is no kubectl here" in output

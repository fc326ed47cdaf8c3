"""Children end as they are told, and die with the process that started them."""

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.interop.rack import marked
from tests.lab.net.namespace import Namespace
from tests.lab.processes import Child
from tests.lab.routers.drivers import DRIVERS
from tests.lab.waiting import eventually
from tests.labtests.proc import alive, processes_by_namespace

pytestmark = pytest.mark.netns

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A temporary folder with a short path, for sockets."""
    with tempfile.TemporaryDirectory(prefix="doomed-") as made:
        yield Path(made)


@asynccontextmanager
async def doomed(router: str, folder: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    """A Python that has started a router, and the inode of the router's namespace."""
    process = await asyncio.create_subprocess_exec(
        *("setpriv", "--pdeathsig", "KILL", sys.executable, "-m", "tests.labtests.doomed", router),
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(folder)},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        yield process, int(await process.stdout.readline())
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.mark.parametrize("router", [marked(name) for name in DRIVERS])
async def test_a_router_dies_with_a_killed_test(router: str, folder: Path) -> None:
    """SIGKILL leaves no time to clean up: the kernel does it, for every process of the daemon."""
    async with doomed(router, folder) as (process, namespace):
        pids = processes_by_namespace()[namespace]
        assert pids
        assert all(alive(pid) for pid in pids)

        process.kill()

        await eventually(lambda: {pid for pid in pids if alive(pid)}, lambda left: not left, what="an end")
        assert namespace not in processes_by_namespace()


@pytest.mark.parametrize("router", [marked(name) for name in DRIVERS])
async def test_a_router_leaves_nothing_when_a_test_is_interrupted(router: str, folder: Path) -> None:
    """Ctrl-C takes the ordinary way out, and the files go too."""
    async with doomed(router, folder) as (process, namespace):
        pids = processes_by_namespace()[namespace]
        assert list(folder.iterdir())

        process.send_signal(signal.SIGINT)
        await process.wait()

        await eventually(lambda: {pid for pid in pids if alive(pid)}, lambda left: not left, what="an end")
        assert not list(folder.iterdir())


async def start(namespace: Namespace, folder: Path, script: str) -> Child:
    """A shell script as a child, once it has said that it runs."""
    argv = ["sh", "-c", f"{script}; echo ready; while :; do sleep 1; done"]
    child = await Child.start("script", argv, namespace=namespace, log=folder / "log")
    await eventually(lambda: "ready" in child.output(), what="the script")
    return child


async def test_a_child_is_asked_to_stop(tmp_path: Path) -> None:
    with Namespace("here") as namespace:
        child = await start(namespace, tmp_path, "trap 'echo stopping; exit 7' TERM")

        assert await child.stop() == 7
        assert "stopping" in child.output()
        assert (child.running, child.returncode) == (False, 7)


async def test_a_child_that_does_not_stop_is_killed(tmp_path: Path) -> None:
    with Namespace("here") as namespace:
        child = await start(namespace, tmp_path, "trap '' TERM")

        assert await child.stop(grace=0.05) == -signal.SIGKILL


async def test_the_pid_is_the_programs_own_and_it_is_inside(tmp_path: Path) -> None:
    with Namespace("here") as namespace:
        child = await start(namespace, tmp_path, "echo pid $$")

        assert f"pid {child.pid}\n" in child.output()
        assert child.pid in processes_by_namespace()[os.fstat(namespace.fd).st_ino]
        await child.kill()


async def test_signals_to_a_child_that_has_ended_are_nothing(tmp_path: Path) -> None:
    with Namespace("here") as namespace:
        child = await start(namespace, tmp_path, ":")
        await child.kill()

        child.send_signal(signal.SIGHUP)

        assert await child.stop() == -signal.SIGKILL

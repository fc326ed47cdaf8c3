"""Fabrics whose packets prove what the speakers do: the program on every node, Pods in namespaces."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.lab.fabric_cluster import FabricCluster

MakeFabric = Callable[..., Awaitable[FabricCluster]]

PATIENCE_SECONDS = 600
"""For one test: a dozen speakers are a dozen processes, on a machine with other work."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of them need namespaces and kubectl, and time where the machine is slow."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            for name in ("e2e", "netns", "kubectl"):
                item.add_marker(name)
            item.add_marker(pytest.mark.timeout(PATIENCE_SECONDS))


@pytest.fixture
async def make_fabric() -> AsyncIterator[MakeFabric]:
    """Makes nodes on one switch, each with a Pod; `options` are those of `FabricCluster`."""
    async with AsyncExitStack() as stack:

        async def make(nodes: int, **options: Any) -> FabricCluster:
            # Paths of sockets must be short.
            folder = Path(tempfile.mkdtemp(prefix="prove-"))
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            return await stack.enter_async_context(FabricCluster(folder, nodes, flat=True, **options))

        yield make

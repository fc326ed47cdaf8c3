"""Whole clusters: the program on every node, real routers, the real kubectl."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.lab.cluster import Cluster
from tests.lab.kubeapi.backend import Backend, Choice, backend, chosen
from tests.lab.kubeapi.crds import IPS, SUBNETS
from tests.lab.routers.drivers import DRIVERS
from tests.lab.routers.router import Router

MakeCluster = Callable[..., Awaitable[Cluster]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of them need namespaces and kubectl."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            for name in ("e2e", "netns", "kubectl"):
                item.add_marker(name)


@pytest.fixture
def folder() -> Iterator[Path]:
    """For sockets, whose paths must be short."""
    made = Path(tempfile.mkdtemp(prefix="e2e-"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(params=[pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("bird", "frr")])
def driver(request: pytest.FixtureRequest) -> type[Router]:
    """The routers that forward packets."""
    return DRIVERS[request.param]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def real_backend(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Backend | None]:
    """The real API server that the environment asks for; None stands for an embedded one in each test."""
    if chosen() is Choice.EMBEDDED:
        yield None
        return
    async with backend(tmp_path_factory.mktemp("control-plane")) as running:
        yield running


@pytest.fixture
async def make_cluster(folder: Path, real_backend: Backend | None) -> AsyncIterator[MakeCluster]:
    """Makes a cluster with Kube-OVN's CRDs and its routers; `options` are those of `Cluster`."""
    async with AsyncExitStack() as stack:

        async def make(driver: type[Router], **options: Any) -> Cluster:
            cluster = await stack.enter_async_context(Cluster(folder, backend=real_backend, **options))
            await cluster.create(SUBNETS, IPS)
            for _ in range(options.get("tors", 1)):
                await cluster.add_router(driver)
            return cluster

        yield make

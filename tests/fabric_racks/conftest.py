"""Racks of nodes below routers: real speakers with `--fabric`, real routers, packets between Pods."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.fabric_racks.racks import Racks
from tests.interop.rack import marked
from tests.lab.routers.drivers import DRIVERS
from tests.lab.routers.router import Router

MakeRacks = Callable[..., Awaitable[Racks]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of them need namespaces and kubectl."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            for name in ("e2e", "netns", "kubectl"):
                item.add_marker(name)
            # Five programs that start at once need their time on a machine that has other work.
            item.add_marker(pytest.mark.timeout(240))


@pytest.fixture
def folder() -> Iterator[Path]:
    """For sockets, whose paths must be short."""
    made = Path(tempfile.mkdtemp(prefix="rck-"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(params=[marked("bird"), marked("frr")])
def driver(request: pytest.FixtureRequest) -> type[Router]:
    """The routers that forward packets."""
    return DRIVERS[request.param]


@pytest.fixture
async def make_racks(folder: Path) -> AsyncIterator[MakeRacks]:
    """Makes racks of nodes with labels and AS numbers; the arguments are those of `Racks`."""
    async with AsyncExitStack() as stack:

        async def make(*nodes: int, **options: Any) -> Racks:
            return await stack.enter_async_context(Racks(folder, *nodes, **options))

        yield make

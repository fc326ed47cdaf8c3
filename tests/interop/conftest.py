"""Every test here runs against each router that can do what it asks for."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.interop.rack import Rack, marked
from tests.lab.net.topology import Topology
from tests.lab.routers.drivers import DRIVERS
from tests.lab.routers.router import Router


@pytest.fixture(params=[marked(name) for name in DRIVERS])
def daemon(request: pytest.FixtureRequest) -> type[Router]:
    """A kind of router."""
    return DRIVERS[request.param]


@pytest.fixture
def topology() -> Iterator[Topology]:
    """Two routers, two nodes below both, a client behind each, and nothing running yet."""
    with Topology(nodes=2, tors=2, clients=1) as network:
        yield network


@pytest.fixture
async def rack(topology: Topology, daemon: type[Router]) -> AsyncIterator[Rack]:
    """What the tests speak to."""
    async with Rack(topology, daemon) as made:
        yield made

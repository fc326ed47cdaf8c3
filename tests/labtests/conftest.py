"""Networks that vanish with their test, and the routers on them."""

from collections.abc import Iterator

import pytest

from tests.interop.rack import marked
from tests.lab.net.topology import Topology
from tests.lab.routers.drivers import DRIVERS
from tests.lab.routers.router import Router


@pytest.fixture
def topology() -> Iterator[Topology]:
    """Two routers, three nodes below both, a client behind each, and a management network."""
    with Topology(nodes=3, tors=2, clients=1, management=True) as network:
        yield network


@pytest.fixture(params=[marked(name) for name in DRIVERS])
def driver(request: pytest.FixtureRequest) -> type[Router]:
    """A kind of router."""
    return DRIVERS[request.param]

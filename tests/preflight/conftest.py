"""Routers in namespaces and raw peers on loopback, for preflight to look at."""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from tests.bgp.raw_peer import RawPeer
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
    """Two routers, two nodes below both, and a client behind each."""
    with Topology(nodes=2, tors=2, clients=1) as network:
        yield network


@pytest.fixture
async def rack(topology: Topology, daemon: type[Router]) -> AsyncIterator[Rack]:
    """What the tests look at."""
    async with Rack(topology, daemon) as made:
        yield made


@pytest.fixture
async def raw() -> AsyncIterator[Callable[..., RawPeer]]:
    """Builds raw peers."""
    peers: list[RawPeer] = []

    def make(*arguments: Any, **options: Any) -> RawPeer:
        peers.append(RawPeer(*arguments, **options))
        return peers[-1]

    yield make
    for peer in peers:
        peer.close()

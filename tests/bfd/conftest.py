"""Sessions and raw peers that end with their test."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest

from speaker.model.peer import Peer
from speaker.model.prefix import Address
from tests.bfd.builders import Bfd, RawPeer, make_bfd
from tests.interop.rack import Rack, marked
from tests.lab.net.topology import Topology
from tests.lab.routers.drivers import DRIVERS
from tests.lab.routers.router import Router


@pytest.fixture
async def start() -> AsyncIterator[Callable[..., Awaitable[Bfd]]]:
    """Builds sessions and starts them."""
    made: list[Bfd] = []

    async def begin(*peers: Peer, **arguments: Any) -> Bfd:
        made.append(make_bfd(*peers, **arguments))
        made[-1].run()
        await asyncio.sleep(0)
        return made[-1]

    yield begin
    for each in made:
        await each.end()


@pytest.fixture
def raw() -> Iterator[Callable[..., RawPeer]]:
    """Builds raw peers."""
    made: list[RawPeer] = []

    def make(own: Address, speaker: Address, **arguments: Any) -> RawPeer:
        made.append(RawPeer(own, speaker, **arguments))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture(params=[marked(name) for name in ("bird", "frr")])
def daemon(request: pytest.FixtureRequest) -> type[Router]:
    """A kind of router that has BFD."""
    return DRIVERS[request.param]


@pytest.fixture
def topology() -> Iterator[Topology]:
    """A router with two nodes below it."""
    with Topology(nodes=2, tors=1, clients=0) as network:
        yield network


@pytest.fixture
async def rack(topology: Topology, daemon: type[Router]) -> AsyncIterator[Rack]:
    """The router and the BGP sessions that make it speak BFD."""
    async with Rack(topology, daemon) as made:
        yield made

"""Networks that vanish with their test."""

from collections.abc import Iterator

import pytest

from tests.lab.net.topology import Topology


@pytest.fixture
def topology() -> Iterator[Topology]:
    """Two routers, three nodes below both, a client behind each, and a management network."""
    with Topology(nodes=3, tors=2, clients=1, management=True) as network:
        yield network

"""Hosts that advertise addresses to real routers, without a cluster."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.rack import marked
from tests.lab.net.topology import Topology
from tests.lab.routers.drivers import DRIVERS
from tests.lab.routers.router import Router


@pytest.fixture
def folder() -> Iterator[Path]:
    """For sockets, whose paths must be short."""
    made = Path(tempfile.mkdtemp(prefix="adv-"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture
def topology() -> Iterator[Topology]:
    """One node below two routers."""
    with Topology(nodes=1, tors=2, clients=0) as network:
        yield network


@pytest.fixture(params=[marked("bird"), marked("frr")])
def daemon(request: pytest.FixtureRequest) -> type[Router]:
    """A kind of router."""
    return DRIVERS[request.param]

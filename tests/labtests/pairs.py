"""A router under test on tor1 and another on node1, each with the other as its neighbor."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from _pytest.mark.structures import ParameterSet

from speaker.model.prefix import Address
from tests.bgp.builders import prefix
from tests.interop.rack import marked
from tests.lab.net.topology import Topology
from tests.lab.routers.abilities import able
from tests.lab.routers.bird import Bird
from tests.lab.routers.config import Neighbor, RouterConfig
from tests.lab.routers.router import Router
from tests.lab.routers.table import Path

ROUTER_ASN, NODE_ASN = 65030, 65000
NODE_PREFIX = prefix("10.60.0.0/24")
NODE_HOPS = {"10.60.0.0/24": {"172.30.1.2"}}

_NOTHING: Mapping[str, Any] = {}


def against(*names: str) -> pytest.MarkDecorator:
    """Runs a test with these routers under test."""
    return pytest.mark.parametrize("driver", [marked(name) for name in names], indirect=True)


def with_feature(feature: str, *more: str) -> pytest.MarkDecorator:
    """Runs a test with all routers that have the features."""
    return against(*(name for name in able(feature) if all(name in able(each) for each in more)))


def crossed(values: list[Any], feature: str) -> list[ParameterSet]:
    """Each value with each router that has the feature, as two parameters."""
    return [
        pytest.param(name, value, marks=getattr(pytest.mark, name), id=f"{name}-{value}")
        for value in values
        for name in able(feature)
    ]


def router_config(neighbor: Neighbor, **options: Any) -> RouterConfig:
    """The router under test, with one neighbor."""
    return RouterConfig(asn=ROUTER_ASN, router_id="192.168.50.1", neighbors=(neighbor,), **options)


@asynccontextmanager
async def pair(
    topology: Topology,
    driver: type[Router],
    *,
    addresses: tuple[Address, Address] | None = None,
    theirs: Mapping[str, Any] = _NOTHING,
    ours: Mapping[str, Any] = _NOTHING,
    router: Mapping[str, Any] = _NOTHING,
    node: Mapping[str, Any] = _NOTHING,
    other: type[Router] = Bird,
) -> AsyncIterator[tuple[Router, Router]]:
    """Both, started and not yet in a session; the node dials, and originates `NODE_PREFIX`.

    `theirs` are the router's options for the node, `ours` the node's for the router, `router` and `node`
    their own; `addresses` is what each end calls the other: the node's, then the router's, IPv4 unless given.
    """
    where, whence = addresses or (topology.address("node1"), topology.router_address("node1"))
    config = router_config(
        Neighbor(where=where, asn=NODE_ASN, **({"passive": True} | dict(theirs))), **router
    )
    values = {"originate": (NODE_PREFIX,)} | dict(node)
    dialler = Neighbor(where=whence, asn=ROUTER_ASN, **ours)
    node_config = RouterConfig(asn=NODE_ASN, router_id="172.30.1.2", neighbors=(dialler,), **values)
    async with (
        driver(config, topology["tor1"].namespace) as under_test,
        other(node_config, topology["node1"].namespace) as neighbor,
    ):
        yield under_test, neighbor


async def only_path(router: Router) -> Path:
    """The one path to `NODE_PREFIX` at the router, once it is there."""
    table = await router.wait_routes(lambda table: NODE_PREFIX in table)
    (path,) = table[NODE_PREFIX]
    return path

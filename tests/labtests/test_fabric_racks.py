"""Two racks with real routers: what nodes announce to theirs is routed from Pod to Pod, end to end."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Self

import pytest

from speaker.model.prefix import Family
from tests.interop.rack import marked
from tests.lab.net.fabric import Fabric
from tests.lab.pods import Pods, pod_cidrs
from tests.lab.routers.bird import Bird
from tests.lab.routers.drivers import DRIVERS
from tests.lab.routers.racks import client_config, rack_config
from tests.lab.routers.router import Router

pytestmark = [pytest.mark.netns, pytest.mark.bird]

ASNS = (64512, 64513)
ALL_PREFIXES = 5 * len(Family)


@dataclass
class Racks:
    """Three nodes below R1, two below R2, a BIRD for a speaker on each."""

    fabric: Fabric
    pods: Pods
    routers: list[Router] = field(default_factory=list)
    nodes: dict[str, Router] = field(default_factory=dict)
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def start(self, driver: type[Router]) -> Self:
        """Start everything, and return once every node knows all prefixes."""
        for rack in self.fabric.racks:
            config = rack_config(self.fabric, rack.number, ASNS)
            self.routers.append(await self.stack.enter_async_context(driver(config, rack.head.namespace)))
        for host in self.fabric.nodes:
            await self.start_node(host.name)
        for node in self.nodes.values():
            await node.wait_routes(lambda table: len(table) == ALL_PREFIXES, within=30)
        return self

    async def start_node(self, name: str) -> None:
        """Start the stand-in for the speaker of a node."""
        asn = ASNS[self.fabric.rack_of(name).number - 1]
        config = client_config(self.fabric, name, asn, *pod_cidrs(name))
        router = Bird(config, self.fabric[name].namespace)
        self.nodes[name] = await self.stack.enter_async_context(router)


@pytest.fixture(params=[marked("bird"), marked("frr")])
async def racks(request: pytest.FixtureRequest) -> AsyncIterator[Racks]:
    """Routers of each kind that forwards, and all routes learned."""
    async with AsyncExitStack() as stack:
        fabric = stack.enter_context(Fabric(3, 2))
        pods = stack.enter_context(Pods(fabric))
        pods.add_to_all()
        yield await Racks(fabric, pods, stack=stack).start(DRIVERS[request.param])


async def test_pods_reach_each_other_as_the_racks_are_built(racks: Racks) -> None:
    """Within a rack without its router, which reflects with the next hop unchanged (RFC 4456 §10)."""
    await racks.pods.wait_path("pod1", "pod5", "node1", "R1", "R2", "node5")
    await racks.pods.wait_path("pod1", "pod3", "node1", "node3")
    for family in Family:
        answer = await racks.pods.ping("pod1", "pod5", family)
        assert answer is not None
        assert answer.hops == 4


async def test_routers_set_themselves_for_next_hop_of_what_comes_from_outside_alone(racks: Racks) -> None:
    learned = await racks.nodes["node1"].next_hops()

    assert learned["10.244.2.0/24"] == {"172.31.1.12"}
    assert learned["fd00:10:244:2::/64"] == {"fd00:31:1::12"}
    assert learned["10.244.4.0/24"] == {"172.31.1.1"}
    assert learned["fd00:10:244:4::/64"] == {"fd00:31:1::1"}


async def test_what_comes_from_the_other_rack_has_its_as_number(racks: Racks) -> None:
    table = await racks.nodes["node4"].routes()
    paths = {str(prefix): path.as_path for prefix, (path,) in table.items()}
    assert (paths["10.244.1.0/24"], paths["10.244.5.0/24"]) == ((64512,), ())


async def test_the_routers_share_traffic_between_both_links_and_do_with_one(racks: Racks) -> None:
    """Their sessions are between loopback addresses, to which static routes lead over both."""
    router = racks.routers[0]
    both = {str(cidr): {"R2-1", "R2-2"} for cidr in pod_cidrs("node4")}
    await router.wait_fib(both)

    for link in racks.fabric.trunk():
        with link.cut():
            await router.wait_fib(dict.fromkeys(both, {"R2-1", "R2-2"} - {link.upper.device}))
            await racks.pods.wait_path("pod2", "pod4", "node2", "R1", "R2", "node4")
        await router.wait_fib(both)


async def test_a_node_that_goes_takes_its_routes_and_comes_back_with_them(racks: Racks) -> None:
    far = racks.nodes["node5"]
    await racks.nodes["node1"].stop()
    await far.wait_routes(lambda table: len(table) == ALL_PREFIXES - len(Family))

    await racks.nodes["node1"].start()
    await far.wait_routes(lambda table: len(table) == ALL_PREFIXES, within=30)


async def test_a_node_may_join_a_rack_and_nobody_is_told(racks: Racks) -> None:
    """The routers reflect to whoever calls from the segment."""
    name = racks.fabric.add_node(rack=2)
    pod = racks.pods.add(name)
    await racks.start_node(name)

    await racks.nodes["node1"].wait_routes(lambda table: len(table) == ALL_PREFIXES + len(Family), within=30)

    await racks.pods.wait_path("pod1", pod.name, "node1", "R1", "R2", name)

"""Learned routes in a node's kernel beside other hands: an administrator's, another program's."""

import pytest

from tests.fabric_racks.conftest import MakeRacks
from tests.fabric_racks.racks import Racks
from tests.lab.pods import pod_cidrs
from tests.lab.routers.bird import Bird
from tests.lab.waiting import eventually

ASN = 64512

pytestmark = pytest.mark.bird


@pytest.fixture
async def racks(make_racks: MakeRacks) -> Racks:
    """Three nodes below a router that reflects; no speaker runs yet."""
    made = await make_racks(3)
    await made.mark()
    await made.apply(*made.router_peers(1, ASN))
    await made.start_reflector(Bird, 1, ASN)
    return made


async def test_routes_that_someone_deletes_come_back(racks: Racks) -> None:
    """One by one, and all of them at once with `ip route flush proto 203`."""
    await racks.start_speakers("--fabric")
    await racks.wait_learned()
    before = racks.learned("node1")
    host = racks.fabric["node1"]

    host.namespace.run("ip", "route", "del", "10.244.2.0/24", "proto", "203")
    host.namespace.run("ip", "-6", "route", "del", "fd00:10:244:3::/64", "proto", "203")
    await racks.wait_table("node1", before)

    for option in ("-4", "-6"):
        host.namespace.run("ip", option, "route", "flush", "proto", "203")
    await racks.wait_table("node1", before)
    await racks.pods.wait_path("pod1", "pod2", "node1", "node2")


async def test_the_route_of_another_program_is_never_touched(racks: Racks) -> None:
    """Where one stands in the place of ours it stays and is told; ours comes when it has gone."""
    node = racks.fabric["node1"].namespace
    v4, v6 = (str(cidr) for cidr in pod_cidrs("node2"))
    other = [
        f"{v4} via 172.31.1.13 proto static metric 1024",
        f"{v6} via fd00:31:1::13 proto static metric 1024",
    ]
    node.ip(*(f"route add {each}" for each in other))
    await racks.start_speakers("--fabric")

    async def conflicts() -> set[str]:
        return set((await racks.ask("node1", "status"))["fabric"]["kernel"]["conflicts"])

    await eventually(conflicts, lambda found: found == {v4, v6}, within=60, what="conflicts")
    assert {v4, v6} <= set(racks.learned("node1", protocol="static"))
    assert not {v4, v6} & set(racks.learned("node1"))

    node.ip(*(f"route del {each}" for each in other))
    await racks.wait_learned("node1")
    await racks.pods.wait_path("pod1", "pod2", "node1", "node2")
    await eventually(conflicts, lambda found: not found, within=60, what="no conflict")


async def test_the_end_of_a_speaker_that_does_not_come_back_takes_its_routes_along(racks: Racks) -> None:
    """Those of others, and the node's own default route, stay."""
    await racks.start_speakers("--fabric", "--shutdown=withdraw")
    await racks.wait_learned()
    assert await racks.speakers["node1"].stop() == 0

    assert racks.learned("node1") == {}
    assert "0.0.0.0/0" in racks.learned("node1", protocol="boot")
    await eventually(
        lambda: set(racks.learned("node2")),
        lambda prefixes: not {str(cidr) for cidr in pod_cidrs("node1")} & prefixes,
        within=60,
        what="node2 without the routes to node1",
    )

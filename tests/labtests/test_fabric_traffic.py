"""Traffic between all Pods: what was lost is told exactly, for each pair, and nothing else is."""

import asyncio
import re
import time
from collections.abc import Iterator

import pytest

from speaker.model.prefix import Family
from tests.lab.all_pairs import PORT, AllPairs
from tests.lab.losses import Loss, Outage, Pair, outages_of, show_losses
from tests.lab.net.fabric import Fabric
from tests.lab.net.host import Host
from tests.lab.pods import Pods
from tests.lab.waiting import eventually
from tests.labtests.static_routes import route, route_all, unroute

pytestmark = pytest.mark.netns


@pytest.fixture
def pods() -> Iterator[Pods]:
    """A Pod on each of three nodes, which know all others' CIDRs."""
    with Fabric(3, flat=True) as fabric, Pods(fabric) as made:
        made.add_to_all()
        route_all(fabric)
        yield made


async def several(traffic: AllPairs, *pairs: Pair, count: int = 10) -> None:
    """Return once every one of the pairs has received that many packets since the mark."""
    await eventually(
        lambda: [pair for pair in pairs or traffic.pairs if traffic.received()[pair] < count],
        lambda waiting: not waiting,
        what="packets",
    )


def pairs_of(traffic: AllPairs, pod: str) -> set[Pair]:
    return {pair for pair in traffic.pairs if pod in {pair.source, pair.destination}}


async def test_every_pod_reaches_every_other_and_nothing_is_lost(pods: Pods) -> None:
    async with AllPairs(pods.values()) as traffic:
        await traffic.flowing()
        traffic.mark()
        await several(traffic)
        await traffic.stop()

        assert len(traffic.pairs) == 3 * 2 * len(Family)
        assert Pair("pod1", "pod3", Family.IPV6) in traffic.pairs
        assert traffic.lost() == {}


async def test_as_many_are_lost_as_were_dropped(pods: Pods) -> None:
    """A rule on node2 drops a third of what pod1 sends to pod2 over IPv4, and counts."""
    node, pair = pods.fabric["node2"], Pair("pod1", "pod2", Family.IPV4)
    async with AllPairs(pods.values()) as traffic:
        await traffic.flowing()
        traffic.mark()
        drop(node, f"ip saddr {pods['pod1'].v4} udp dport {PORT} numgen inc mod 3 0")
        await eventually(lambda: dropped(node) >= 10, what="packets that were dropped")
        await traffic.stop()

        losses = traffic.lost()
        assert set(losses) == {pair}
        assert losses[pair].count == dropped(node)
        assert {outage.count for outage in losses[pair].outages} == {1}


async def test_an_outage_is_told_with_its_first_and_last_packet(pods: Pods) -> None:
    pair = Pair("pod1", "pod2", Family.IPV6)
    async with AllPairs(pods.values()) as traffic:
        await traffic.flowing()
        traffic.mark()
        began = time.monotonic()
        with pods.fabric.link("node2").silent():
            await eventually(lambda: traffic.lost().get(pair), what="a loss")
        ended = time.monotonic()
        traffic_after = traffic.received()[pair]
        await eventually(lambda: traffic.received()[pair] > traffic_after + 5, what="traffic again")
        await traffic.stop()

        losses = traffic.lost()
        assert set(losses) == pairs_of(traffic, "pod2")
        loss = losses[pair]
        assert loss.longest.count == loss.count, "one outage"
        assert began <= loss.first <= loss.last <= ended
        assert loss.longest.seconds == loss.last - loss.first > 0


async def test_a_pod_without_a_way_loses_what_it_sends(pods: Pods) -> None:
    async with AllPairs(pods.values()) as traffic:
        await traffic.flowing()
        traffic.mark()
        unroute(pods.fabric, "node1", "node2")
        lost = {Pair("pod1", "pod2", family) for family in Family}
        await eventually(lambda: set(traffic.lost()) == lost, what="the loss of one direction")

        route(pods.fabric, "node1", "node2")
        await traffic.stop()
        assert set(traffic.lost()) == lost


async def test_losses_before_a_mark_are_forgotten(pods: Pods) -> None:
    async with AllPairs(pods.values()) as traffic:
        await traffic.flowing()
        with pods.fabric.link("node2").silent():
            await eventually(traffic.lost, what="losses")
        await traffic.stop()

        traffic.mark()
        assert traffic.lost() == {}
        assert set(traffic.received().values()) == {0}


async def test_a_loop_that_was_busy_has_lost_nothing(pods: Pods) -> None:
    """For longer than a packet may be under way."""
    async with AllPairs(pods.values()) as traffic:
        await traffic.flowing()
        traffic.mark()
        await several(traffic)
        busy_until = time.monotonic() + 1.5
        while time.monotonic() < busy_until:
            pass
        await several(traffic, count=20)
        await traffic.stop()

        assert traffic.lost() == {}
        assert traffic.latest_seconds > 1


async def test_pods_may_come_and_go_under_traffic(pods: Pods) -> None:
    async with AllPairs(pods.values()) as traffic:
        await traffic.flowing()
        traffic.mark()
        pod = pods.add("node2")
        traffic.add(pod)
        await traffic.flowing()
        assert len(traffic.pairs) == 4 * 3 * len(Family)

        traffic.remove(pod.name)
        pods.remove(pod.name)
        await several(traffic)
        await traffic.stop()

        assert not pairs_of(traffic, pod.name)
        assert traffic.lost() == {}


async def test_pairs_that_stay_silent_are_named(pods: Pods) -> None:
    unroute(pods.fabric, "node1", "node2")
    async with AllPairs(pods.values()) as traffic:
        with pytest.raises(AssertionError, match=r"nothing arrived: pod1 -> pod2 \(ipv4\)"):
            await traffic.flowing(within=0.5)


async def test_sockets_end_with_the_traffic(pods: Pods) -> None:
    """The same ports are free again."""
    for _ in range(2):
        async with AllPairs(pods.values()):
            await asyncio.sleep(0)


def test_packets_lost_one_after_the_other_are_one_outage() -> None:
    lost = [(3, 1.0), (4, 1.5), (5, 2.0), (9, 4.0)]
    loss = Loss(outages_of(lost))

    assert loss.outages == (Outage(3, 1.0, 2.0), Outage(1, 4.0, 4.0))
    assert (loss.count, loss.first, loss.last) == (4, 1.0, 4.0)
    assert loss.longest == Outage(3, 1.0, 2.0)
    assert show_losses({Pair("pod1", "pod2", Family.IPV4): loss}) == (
        "  pod1 -> pod2 (ipv4): 4 lost; the longest outage: 3 in 1.000 s"
    )
    assert show_losses({}) == "  (nothing lost)"


def drop(node: Host, match: str) -> None:
    """Have a node drop what it would forward and matches, and count it."""
    chain = f"chain forward {{ type filter hook forward priority 0; {match} counter drop\n }}"
    node.namespace.run("nft", "-f", "-", text=f"table ip toll {{ {chain}\n }}")


def dropped(node: Host) -> int:
    """How many packets `drop` has dropped."""
    found = re.search(r"counter packets (\d+)", node.namespace.run("nft", "list", "table", "ip", "toll"))
    return int(found[1]) if found else 0

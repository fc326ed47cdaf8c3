"""From received routes to the kernel's table and to other peers, and when all is told."""

import gc
from ipaddress import IPv4Address, ip_network

from speaker.clock import Clock
from speaker.daemon.learning import SLICE_SECONDS, SPARED_AT_ONCE
from speaker.model.fabric import BgpFilter, FilterAction, FilterRule
from speaker.model.peer import Peer
from speaker.model.route import Route
from speaker.routing.imports import ImportPolicy
from tests.bgp.builders import until
from tests.daemon.fabric_parts import (
    FAMILIES,
    Parts,
    closed_event,
    established_event,
    facts_of,
    learned,
)

PODS = ip_network("10.244.0.0/16")
OWN = ip_network("10.244.1.0/24")


def member(number: int, **fields: object) -> Peer:
    values = {
        "name": f"node{number}",
        "node": f"node{number}",
        "address": IPv4Address(f"10.0.0.{number}"),
        "asn": 64512,
        "local_asn": 64512,
        "router_id": IPv4Address("10.0.0.1"),
        "families": FAMILIES,
        "imports": True,
    }
    return Peer(**(values | fields))  # type: ignore[arg-type]


def parts(*peers: Peer, installs: bool = True, clock: Clock | None = None) -> Parts:
    """Node1 with established sessions; whatever is a Pod's may be learned."""
    made = Parts(installs=installs, clock=clock)
    made.host(peers, {peer.name: facts_of(peer) for peer in peers})
    made.learning.set_policy(ImportPolicy(ranges=(PODS,), own=(OWN,)))
    for peer in peers:
        made.event(established_event(peer))
    return made


async def test_what_a_peer_teaches_is_wanted_in_the_kernel() -> None:
    made = parts(member(2))

    made.teach("node2", learned("10.244.2.0/24", "10.0.0.2"))
    await made.learning.settle()

    # The kernel has said meanwhile how the next hop is reached.
    assert made.learning.has_work
    await made.learning.settle()
    assert made.table.routes == {ip_network("10.244.2.0/24"): (IPv4Address("10.0.0.2"),)}
    assert made.learning.reaches(ip_network("10.244.2.0/25"))
    assert not made.learning.reaches(ip_network("10.244.3.0/24"))


class HurriedClock:
    """A clock by which a slice is over after one step."""

    def __init__(self) -> None:
        self._now = 0.0

    def monotonic(self) -> float:
        self._now += 0.6 * SLICE_SECONDS
        return self._now

    def time(self) -> float:
        return self._now


async def test_a_next_hop_is_looked_up_while_other_routes_are_still_decided() -> None:
    """So that the routes of a full table are decided once, and not a second time after the answer."""
    made = parts(member(2), clock=HurriedClock())
    made.teach("node2", *(learned(f"10.244.2.{number}/32", "10.0.0.2") for number in range(10)))

    await made.learning.settle()

    assert len(made.table.routes) == 10


async def test_a_large_table_is_no_work_for_the_garbage_collector() -> None:
    made = parts(member(2))
    hosts = (str(IPv4Address("10.244.64.0") + number) for number in range(SPARED_AT_ONCE))
    made.teach("node2", *(learned(each, "10.0.0.2") for each in hosts))
    before = gc.get_freeze_count()
    try:
        await made.learning.settle()

        assert gc.get_freeze_count() >= before + SPARED_AT_ONCE
    finally:
        gc.unfreeze()


async def test_the_kernel_is_left_alone_where_nothing_is_installed() -> None:
    made = parts(member(2), installs=False)

    made.teach("node2", learned("10.244.2.0/24", "10.0.0.2"))
    made.learning.set_own_prefixes([OWN])
    for _ in range(2):
        await made.learning.settle()
    await made.learning.flush()

    assert made.learning.learned == 1
    assert not made.table.routes
    assert not made.table.blackholes
    assert not made.table.flushed


def test_a_blackhole_is_laid_in_the_main_table_alone() -> None:
    """A table that is looked into before the main one would hide the routes to the node's own Pods."""
    made = Parts(table=100)
    made.learning.set_own_prefixes([OWN])
    assert not made.table.blackholes

    made = Parts()
    made.learning.set_own_prefixes([OWN])
    assert made.table.blackholes == {OWN}


async def test_a_reflector_passes_on_what_its_clients_teach() -> None:
    cluster_id = IPv4Address("244.0.0.1")
    made = parts(*(member(number, client=True, cluster_id=cluster_id) for number in (2, 3)))

    made.teach("node2", learned("10.244.2.0/24", "10.0.0.2"))
    for _ in range(2):
        await made.learning.settle()

    [(prefix, paths)] = made.told["node3"].items()
    assert prefix == ip_network("10.244.2.0/24")
    assert isinstance(paths, Route)
    assert paths.attributes.learned is not None
    assert paths.attributes.learned.cluster_list == (cluster_id,)
    assert "node2" not in made.told


async def test_export_rules_hold_for_what_is_told_already() -> None:
    made = parts(member(2, node="", filters=("none",)))
    route = Route(OWN, IPv4Address("10.0.0.1"))
    reject = BgpFilter(name="none", export_v4=(FilterRule(action=FilterAction.REJECT),))
    made.learning.set_policy(ImportPolicy(filters={"none": BgpFilter(name="none")}))
    await made.learning.settle()
    made.learning.own("node2", {OWN: route})
    assert made.told["node2"] == {OWN: route}

    made.learning.set_policy(ImportPolicy(filters={"none": reject}))
    await made.learning.settle()

    assert made.told["node2"] == {OWN: None}


# -- when all is told ----------------------------------------------------------------------------------


async def test_what_an_earlier_run_left_stays_until_every_peer_has_told_all() -> None:
    peers = (member(2), member(3))
    made = parts(*peers)
    made.learning.expect(peers, 60.0)

    made.end_of_rib("node2")
    await made.learning.settle()
    assert not made.table.released

    made.end_of_rib("node3")
    await made.learning.settle()
    assert made.table.released


async def test_what_an_earlier_run_left_stays_until_the_last_next_hop_was_looked_up() -> None:
    """A route is wanted in the kernel only then, and what is not wanted would go."""
    peers = (member(2), member(3))
    made = parts(*peers)
    made.learning.expect(peers, 60.0)
    made.table.is_slow = True
    made.teach("node2", learned("10.244.2.0/24", "10.0.0.2"))
    for peer in peers:
        made.end_of_rib(peer.name)
    await made.learning.settle()
    assert not made.learning.has_work
    assert not made.table.released

    made.table.is_slow = False
    made.table.track({IPv4Address("10.0.0.2")})
    assert not made.table.routes
    await made.learning.settle()

    assert made.table.routes
    assert made.table.released


async def test_a_silent_peer_is_not_waited_for_beyond_the_deferral_time() -> None:
    peers = (member(2), member(3))
    made = parts(*peers)
    made.end_of_rib("node2")
    before = made.changes

    made.learning.expect(peers, 0.01)

    await until(lambda: made.changes > before, "the deferral time")
    await made.learning.settle()
    assert made.table.released


async def test_a_peer_that_teaches_nothing_is_not_waited_for() -> None:
    made = parts(member(2, imports=False))

    made.learning.expect((member(2, imports=False),), 60.0)
    await made.learning.settle()

    assert made.table.released


async def test_a_session_that_ends_has_told_nothing() -> None:
    made = parts(member(2))
    made.end_of_rib("node2")
    assert made.learning.has_told_all("node2")

    made.event(closed_event("node2"))

    assert not made.learning.has_told_all("node2")
    assert made.learning.awaited("node2") == frozenset()


async def test_a_reflector_waits_for_its_clients_and_for_no_other_reflector() -> None:
    peers = (member(2, client=True), member(3))
    made = parts(*peers)
    made.learning.expect(peers, 60.0)
    assert not made.learning.clients_have_told_all

    made.end_of_rib("node2")

    assert made.learning.clients_have_told_all

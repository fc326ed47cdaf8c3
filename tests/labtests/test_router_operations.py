"""What a person does to a running router: it is seen at the other end, and the session comes back."""

from dataclasses import replace

import pytest

from speaker.model.prefix import Family, Prefix
from tests.bgp.builders import prefix
from tests.lab.net.topology import Topology
from tests.lab.routers.config import tor_config
from tests.lab.routers.frr import Frr
from tests.lab.routers.router import Router
from tests.lab.routers.table import Table
from tests.lab.waiting import eventually
from tests.labtests.pairs import NODE_HOPS, NODE_PREFIX, against, only_path, pair, with_feature

pytestmark = [pytest.mark.netns, pytest.mark.bird]

ROUTER = "172.30.1.1"
ROUTER_PREFIX = prefix("10.50.0.0/24")
ORIGINATES = {"originate": (ROUTER_PREFIX,)}


async def told(router: Router, words: str) -> None:
    """The router, a BIRD, has logged a NOTIFICATION with these words; its state may have gone on since."""
    await eventually(router.log, lambda log: words.lower() in log.lower(), what=words)


async def test_a_reset_session_comes_back(topology: Topology, driver: type[Router]) -> None:
    async with pair(topology, driver) as (router, node):
        await router.wait_routes(NODE_HOPS)

        await router.reset(topology.address("node1"))

        await told(node, "Administrative reset")
        await node.wait_established(ROUTER)


async def test_a_disabled_session_comes_back_when_it_is_enabled(
    topology: Topology, driver: type[Router]
) -> None:
    async with pair(topology, driver) as (router, node):
        await router.wait_routes(NODE_HOPS)
        await router.disable(topology.address("node1"), "under repair")
        # GoBGP forgets what it was told to say.
        await told(node, "under repair" if router.name != "gobgp" else "Administrative shutdown")

        await router.enable(topology.address("node1"))

        await node.wait_established(ROUTER)


async def test_a_password_changes_at_run_time(topology: Topology, driver: type[Router]) -> None:
    """First at the router, then at the node, which resets its session to use it."""
    secret = {"password": "first"}
    async with pair(topology, driver, theirs=secret, ours=secret, router=ORIGINATES) as (router, node):
        await node.wait_established(ROUTER)

        await router.set_password(topology.address("node1"), "second")
        await node.set_password(topology.router_address("node1"), "second")

        await node.wait_established(ROUTER)
        await router.wait_routes(NODE_HOPS)


async def test_the_hold_time_changes_at_run_time(topology: Topology, driver: type[Router]) -> None:
    """BIRD resets the session for it, the others have it in the next one."""
    async with pair(topology, driver, node={"hold_seconds": 60}) as (router, node):
        await router.wait_routes(NODE_HOPS)

        await router.reconfigure(replace(router.config, hold_seconds=30, keepalive_seconds=10))
        await router.reset(topology.address("node1"))

        await node.wait_sessions(lambda found: [info.hold_seconds for info in found.values()] == [30])


async def test_what_a_router_originates_changes_at_run_time(topology: Topology, driver: type[Router]) -> None:
    async with pair(topology, driver, router=ORIGINATES) as (router, node):
        await node.wait_routes(lambda table: ROUTER_PREFIX in table)

        await router.reconfigure(replace(router.config, originate=(prefix("10.51.0.0/24"),)))

        await node.wait_routes({"10.51.0.0/24": {ROUTER}})


async def test_a_limit_of_prefixes_ends_the_session(topology: Topology, driver: type[Router]) -> None:
    """The node goes beyond it later: with data unread, a reset would overtake the router's last words."""
    async with pair(topology, driver, theirs={"max_prefixes": 2}) as (router, node):
        await router.wait_routes(NODE_HOPS)
        more = tuple(prefix(f"10.61.{number}.0/24") for number in range(5))

        await node.reconfigure(replace(node.config, originate=more))

        await told(node, "Maximum number of prefixes")


async def test_there_is_nothing_to_change_about_a_stranger(topology: Topology, driver: type[Router]) -> None:
    """A test that took it for a change would prove nothing."""
    router = driver(tor_config(), topology["tor1"].namespace)

    with pytest.raises(LookupError, match=r"nothing to change about 172\.30\.1\.2"):
        await router.change(topology.address("node1"), passive=False)


@pytest.mark.frr
@with_feature("route-refresh")
async def test_a_router_asks_again(topology: Topology, driver: type[Router]) -> None:
    """FRR at the other end counts what it is asked: for one family, or for both by those who know no less."""
    node = {"originate": (NODE_PREFIX,)}
    async with pair(topology, driver, node=node, other=Frr) as (router, other):
        await router.wait_routes(NODE_HOPS)

        await router.ask_again(topology.address("node1"), Family.IPV4)

        async def asked() -> int:
            assert isinstance(other, Frr)
            fields = (await other.command_json("show bgp neighbors json"))[ROUTER]
            return int(fields["messageStats"]["routeRefreshRecv"])

        wanted = 1 if router.name == "frr" else 2
        await eventually(asked, lambda count: count >= wanted, what="ROUTE-REFRESH")
        assert await asked() == wanted


@against("bird", "frr", "gobgp")
async def test_a_router_sends_again(topology: Topology, driver: type[Router]) -> None:
    async with pair(topology, driver, router=ORIGINATES) as (router, node):
        await node.wait_routes(lambda table: ROUTER_PREFIX in table)
        before = await received(node)

        await router.send_again(topology.address("node1"))

        await eventually(lambda: received(node), lambda now: now > before, what="the route again")


async def received(router: Router) -> int:
    """How many UPDATEs the router has got."""
    (session,) = (await router.sessions()).values()
    return session.received or 0


def stale(table: Table, destination: Prefix) -> bool:
    """The prefix is there, and only because its peer is away."""
    return destination in table and all(path.stale for path in table[destination])


@with_feature("graceful-restart-restarter")
async def test_a_router_that_crashes_and_recovers_is_helped(topology: Topology, driver: type[Router]) -> None:
    """Its routes stay at its peer, and what it forwards by stays in its own kernel."""
    router_options = {"restarts_gracefully": True} | ORIGINATES
    async with pair(topology, driver, router=router_options) as (router, node):
        await only_path(router)
        await node.wait_routes(lambda table: ROUTER_PREFIX in table)
        if router.installs_routes:
            await router.wait_fib({"10.60.0.0/24": {"node1"}})

        await router.crash()
        await node.wait_routes(lambda table: stale(table, ROUTER_PREFIX))
        if router.installs_routes:
            await router.wait_fib({"10.60.0.0/24": {"node1"}})
        await router.recover()

        await node.wait_established(ROUTER)
        await node.wait_routes(lambda table: ROUTER_PREFIX in table and not stale(table, ROUTER_PREFIX))
        await only_path(router)
        if router.installs_routes:
            await router.wait_fib({"10.60.0.0/24": {"node1"}})


@with_feature("long-lived-helper")
async def test_a_router_keeps_for_long_what_it_marks(topology: Topology, driver: type[Router]) -> None:
    """RFC 9494: after the restart time the route bears LLGR_STALE."""
    times = {"long_lived_seconds": 60, "restart_seconds": 1}
    async with pair(topology, driver, router=times, node=times) as (router, node):
        await only_path(router)

        await node.crash()

        table = await router.wait_routes(
            lambda table: any("65535:6" in path.communities for path in table.get(NODE_PREFIX, ()))
        )
        assert stale(table, NODE_PREFIX)


@pytest.mark.parametrize("hard", [True, False])
@pytest.mark.frr
@with_feature("notification-restart")
async def test_routes_stay_over_a_reset_that_is_not_hard(
    topology: Topology, driver: type[Router], hard: bool
) -> None:
    """RFC 8538: with the N bit of both, only a Hard Reset is not the beginning of a graceful restart."""
    offer = {"notification_restart": True}
    node_options = {**offer, "hard_reset": hard, "restarts_gracefully": True, "originate": (NODE_PREFIX,)}
    async with pair(topology, driver, router=offer, node=node_options, other=Frr) as (router, node):
        await only_path(router)
        # The NOTIFICATION arrives, and no answer to what the node dials after it.
        topology.link("node1").lose_toward_host()

        await node.reset(topology.router_address("node1"))

        await router.wait_sessions(lambda found: not any(info.established for info in found.values()))
        await router.wait_routes(lambda table: table == {} if hard else stale(table, NODE_PREFIX))

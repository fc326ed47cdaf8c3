"""The drivers of the routers: what any of them is told it does, and what it is asked it answers in values."""

import pytest

from speaker.model.prefix import Family
from tests.bgp.builders import prefix
from tests.interop.rack import marked
from tests.lab.net.topology import Topology
from tests.lab.routers.bird import Bird
from tests.lab.routers.config import RouterConfig, neighbor, tor_config
from tests.lab.routers.drivers import DRIVERS, missing
from tests.lab.routers.router import Router
from tests.lab.routers.table import SessionState, community, ext_community, generic_ext_community
from tests.lab.waiting import NotReachedError

pytestmark = [pytest.mark.netns, pytest.mark.bird]

ORIGINATED = (prefix("10.60.0.0/24"), prefix("fd00:60::/64"))


def node_config(**options: object) -> RouterConfig:
    """A BIRD on node1 that dials tor1 over IPv4, and originates a prefix of each family."""
    return RouterConfig(
        asn=65000,
        router_id="172.30.1.2",
        neighbors=(neighbor("172.30.1.1", 65030, **options),),
        originate=ORIGINATED,
    )


async def test_routes_and_sessions_are_values(topology: Topology, driver: type[Router]) -> None:
    """The router under test on tor1, a BIRD on node1: each sees the other, and what it originates."""
    config = tor_config(originate=(prefix("10.50.0.0/24"), prefix("fd00:51::/64")))
    async with (
        driver(config, topology["tor1"].namespace) as router,
        Bird(node_config(), topology["node1"].namespace) as node,
    ):
        await node.wait_established("172.30.1.1")
        await router.wait_established("172.30.1.2")
        session = next(iter((await router.sessions()).values()))
        assert (str(session.peer), session.asn, session.router_id) == ("172.30.1.2", 65000, "172.30.1.2")
        assert (session.state, session.hold_seconds) == (SessionState.ESTABLISHED, 9)

        table = await router.wait_routes({"10.60.0.0/24": {"172.30.1.2"}, "fd00:60::/64": {"fd00:30:1::2"}})
        (path,) = table[ORIGINATED[0]]
        assert (path.as_path, str(path.peer), path.stale) == ((65000,), "172.30.1.2", False)
        assert set(await router.routes(Family.IPV6)) <= {ORIGINATED[1], prefix("fd00:51::/64")}
        await node.wait_routes({"10.50.0.0/24": {"172.30.1.1"}}, family=Family.IPV4)


async def test_a_session_that_ends_is_seen_and_takes_its_routes(
    topology: Topology, driver: type[Router]
) -> None:
    async with (
        driver(tor_config(), topology["tor1"].namespace) as router,
        Bird(node_config(), topology["node1"].namespace) as node,
    ):
        await router.wait_routes(lambda table: len(table) == 2)

        await node.stop()

        await router.wait_routes({})
        await router.wait_sessions(lambda found: not any(info.established for info in found.values()))


async def test_a_router_can_be_started_again(topology: Topology, driver: type[Router]) -> None:
    async with (
        Bird(node_config(), topology["node1"].namespace),
        driver(tor_config(), topology["tor1"].namespace) as router,
    ):
        await router.wait_routes(lambda table: len(table) == 2)
        await router.kill()
        await router.start()
        await router.wait_routes(lambda table: len(table) == 2)


@pytest.mark.parametrize("name", [marked("bird"), marked("frr")])
async def test_the_kernel_of_a_real_router_forwards(topology: Topology, name: str) -> None:
    async with (
        DRIVERS[name](tor_config(), topology["tor1"].namespace) as router,
        Bird(node_config(), topology["node1"].namespace) as node,
    ):
        await router.wait_fib({"10.60.0.0/24": {"node1"}, "fd00:60::/64": {"node1"}})

        await node.stop()

        await router.wait_fib({"10.60.0.0/24": set(), "fd00:60::/64": set()})


async def test_a_router_listens_only_where_it_is_told(topology: Topology, driver: type[Router]) -> None:
    """Several routers may then share a namespace."""
    listen = (topology.router_address("node1"),)
    config = tor_config(listen=listen, port=1179)
    async with (
        driver(config, topology["tor1"].namespace) as router,
        Bird(node_config(port=1179), topology["node1"].namespace),
    ):
        await router.wait_established("172.30.1.2")


async def test_what_did_not_come_is_shown(topology: Topology, driver: type[Router]) -> None:
    async with driver(tor_config(), topology["tor1"].namespace) as router:
        with pytest.raises(NotReachedError, match="no routes"):
            await router.wait_routes({"10.0.0.0/8": {"1.1.1.1"}}, within=0.1)
        with pytest.raises(NotReachedError, match="no sessions"):
            await router.wait_established("1.1.1.1", within=0.1)


async def test_a_daemon_that_does_not_start_says_why(topology: Topology, driver: type[Router]) -> None:
    """A router ID that is none: the daemon's own complaint is in the error, and it is gone."""
    router = driver(RouterConfig(asn=65030, router_id="nonsense"), topology["tor1"].namespace)

    with pytest.raises(RuntimeError, match=r"nonsense|router|syntax"):
        async with router:
            pass

    assert not router.children


def test_a_missing_daemon_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")

    assert missing("bird") == "bird needs bird (apt-get install bird2)"


def test_communities_have_one_spelling() -> None:
    assert community("no-export") == community("NO_EXPORT") == "65535:65281"
    assert community("LLGR_STALE") == community("llgr-stale") == "65535:6"
    assert community("65000:1") == "65000:1"
    assert ext_community("ro", "65000:1") == ext_community("SoO", "65000:1") == "soo:65000:1"
    assert generic_ext_community(0x80060000_0000007B) == "generic:0x80060000:0x7b"

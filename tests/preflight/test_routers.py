"""Preflight against routers: what it says of each fault, and that the routers are as they were."""

import asyncio
from ipaddress import ip_network

import pytest

from speaker.model.peer import GracefulRestart, Password, SessionState
from speaker.model.prefix import Family
from speaker.preflight import Check, Result
from tests.bgp.builders import prefix
from tests.interop.rack import NODE_ASN, Rack, against
from tests.lab.waiting import eventually
from tests.preflight.looking import BRIEF, failures, look, look_at, results, said

pytestmark = pytest.mark.netns

VIP = "10.96.0.10/32"
TEST_PREFIX = ip_network("10.96.0.99/32")


@pytest.mark.parametrize("family", list(Family))
async def test_a_router_that_agrees(rack: Rack, family: Family) -> None:
    await rack.router(rack.neighbor(family=family))

    report = await look_at(rack, rack.peer(family=family))

    assert report.result is Result.PASS, report.findings
    assert str(rack.address(family=family)) in said(report, Check.SOURCE)
    assert "9 s (we offer 90 s, the peer 9 s" in said(report, Check.HOLD_TIME)
    assert "the peer helps" in said(report, Check.GRACEFUL_RESTART)
    assert {"multiprotocol ipv4 unicast", "route refresh", "4-octet AS 65030"} <= set(report.capabilities)


async def test_a_real_session_comes_up_afterwards_and_nothing_is_in_the_table(rack: Rack) -> None:
    router = await rack.router()

    assert (await look_at(rack, rack.peer())).result is Result.PASS

    assert await router.next_hops() == {}
    speaker = rack.speaker()
    speaker.peers.update("tor1", rack.routes(VIP))
    await router.wait_routes({VIP: {"172.30.1.2"}})


async def test_routes_that_a_router_keeps_for_a_restarting_speaker_stay(rack: Rack) -> None:
    """Preflight during an upgrade: its OPEN must not count as the speaker's return."""
    router = await rack.router(restart_seconds=60)
    speaker = rack.speaker(rack.peer(graceful_restart=GracefulRestart(restart_time_seconds=60)))
    speaker.peers.update("tor1", rack.routes(VIP))
    await router.wait_routes({VIP: {"172.30.1.2"}})
    await speaker.peers.stop(graceful_restart=True)
    await speaker.end()
    node = rack.address()
    await router.wait_sessions(lambda found: node not in found or not found[node].established)

    await look_at(rack, rack.peer())

    assert await router.next_hops() == {VIP: {"172.30.1.2"}}


async def test_a_test_prefix_is_seen_and_gone(rack: Rack) -> None:
    router = await rack.router()

    report = await look_at(rack, rack.peer(), test_prefix=TEST_PREFIX, settle_seconds=2.0)

    assert report.result is Result.PASS, report.findings
    assert results(report)[Check.TEST_PREFIX] is Result.PASS
    await router.wait_routes({})


@against("bird", "frr")
async def test_a_test_prefix_arrives_with_its_communities(rack: Rack) -> None:
    router = await rack.router()
    sought = prefix(str(TEST_PREFIX))
    seen: list[frozenset[str]] = []

    async def watch() -> bool:
        seen.extend(path.communities for path in (await router.routes()).get(sought, ()))
        return bool(seen)

    async def looking() -> None:
        await look_at(rack, rack.peer(), test_prefix=TEST_PREFIX, settle_seconds=5.0)

    task = asyncio.create_task(looking())
    await eventually(watch, what="the test prefix")
    await task

    assert seen[0] == frozenset({"65535:65281", "65535:0"})


async def test_a_router_in_another_as(rack: Rack) -> None:
    await rack.router()

    report = await look_at(rack, rack.peer(asn=65031))

    assert Check.AS in failures(report)
    assert "--neighbor-as=65030" in said(report, Check.AS)


async def test_a_router_that_expects_another_as_of_us(rack: Rack) -> None:
    await rack.router(rack.neighbor(asn=NODE_ASN + 5))

    report = await look_at(rack, rack.peer())

    assert Check.AS in failures(report)
    assert "we open with AS 65000; peer sent NOTIFICATION 2/2" in said(report, Check.AS)


async def test_a_router_that_does_not_know_this_node(rack: Rack) -> None:
    await rack.router(rack.neighbor("node2"))

    report = await look_at(rack, rack.peer())

    assert failures(report) == {Check.OPEN}


async def test_no_family_in_common(rack: Rack) -> None:
    await rack.router(rack.neighbor(families=(Family.IPV6,)))

    report = await look_at(rack, rack.peer(families=frozenset({Family.IPV4})))

    assert Check.FAMILIES in failures(report) or Check.OPEN in failures(report), report.findings


@pytest.mark.parametrize("family", list(Family))
async def test_the_same_password(rack: Rack, family: Family) -> None:
    await rack.router(rack.neighbor(family=family, password="s3cret"))

    report = await look_at(rack, rack.peer(family=family, password=Password("s3cret")))

    assert report.result is Result.PASS, report.findings


async def test_a_password_that_only_the_router_has(rack: Rack) -> None:
    await rack.router(rack.neighbor(password="s3cret"))

    report = await look_at(rack, rack.peer(), **BRIEF)

    assert failures(report) == {Check.TCP}
    assert "it expects a password (TCP MD5)" in said(report, Check.TCP)


async def test_a_password_that_only_we_have(rack: Rack) -> None:
    await rack.router()

    report = await look_at(rack, rack.peer(password=Password("s3cret")), timeout_seconds=5.0)

    assert failures(report) == {Check.MD5}
    assert "is silent with ours" in said(report, Check.MD5)
    assert results(report)[Check.OPEN] is Result.PASS


@pytest.mark.parametrize("family", list(Family))
async def test_ttl_security_on_both_sides(rack: Rack, family: Family) -> None:
    await rack.router(rack.neighbor(family=family, ttl_security=True))

    report = await look_at(rack, rack.peer(family=family, ttl_security_hops=1))

    assert report.result is Result.PASS, report.findings


@pytest.mark.parametrize("family", list(Family))
async def test_ttl_security_that_only_the_router_has(rack: Rack, family: Family) -> None:
    await rack.router(rack.neighbor(family=family, ttl_security=True))

    report = await look_at(rack, rack.peer(family=family), timeout_seconds=2.0)

    assert failures(report) == {Check.TTL}, report.findings
    assert "it uses TTL security" in said(report, Check.TTL)


async def test_ttl_security_that_only_we_have(rack: Rack) -> None:
    await rack.router()

    report = await look_at(rack, rack.peer(ttl_security_hops=1), timeout_seconds=2.0)

    assert failures(report) == {Check.TTL}, report.findings
    assert "does not use TTL security" in said(report, Check.TTL)


@against("bird", "frr")
@pytest.mark.parametrize("family", list(Family))
async def test_a_router_behind_another(rack: Rack, family: Family) -> None:
    """The router on the way says that the TTL ran out; how far the peer is, is found out."""
    beyond = rack.address("client1", family=family)
    neighbor = rack.neighbor(family=family, multihop=True, local_address=beyond)
    await rack.router(neighbor, host="client1")

    report = await look_at(rack, rack.peer(address=beyond))

    assert failures(report) == {Check.TTL}, report.findings
    assert "the peer is 2 hops away" in said(report, Check.TTL)
    assert "--ebgp-multihop=2" in said(report, Check.TTL)
    report = await look_at(rack, rack.peer(address=beyond, multihop_ttl=2))
    assert Check.TTL not in failures(report)


@against("bird")
async def test_a_network_that_loses_everything(rack: Rack) -> None:
    await rack.router()
    with rack.topology.link("node1").silent():
        report = await look_at(rack, rack.peer(), **BRIEF)

    assert failures(report) == {Check.TCP}
    assert "no answer from the host at all" in said(report, Check.TCP)


@against("bird")
async def test_a_firewall_that_says_so(rack: Rack) -> None:
    await rack.router()
    chain = "type filter hook input priority 0; tcp dport 179 reject with icmpx admin-prohibited;"
    rules = f"table inet wall {{ chain in {{ {chain} }}; }}"
    rack.topology["tor1"].namespace.run("nft", "-f", "-", text=rules)

    report = await look_at(rack, rack.peer())

    assert failures(report) == {Check.TCP}
    assert "administratively prohibited, says 172.30.1.1" in said(report, Check.TCP)


@against("bird")
async def test_no_route_to_the_peer(rack: Rack) -> None:
    rack.topology["node1"].namespace.ip("route del default")

    report = await look_at(rack, rack.peer(address=prefix("203.0.113.1/32").network_address))

    assert failures(report) == {Check.SOURCE}
    assert "no route to 203.0.113.1" in said(report, Check.SOURCE)


@against("bird")
async def test_nobody_has_the_peer_s_address(rack: Rack) -> None:
    """On our own link: nobody answers ARP, which takes the kernel three seconds."""
    nobody = rack.peer(address=prefix("172.30.1.77/32").network_address)

    report = await look_at(rack, nobody, timeout_seconds=10.0)

    assert failures(report) == {Check.TCP}
    assert "unreachable" in said(report, Check.TCP)


@against("frr", "bird")
async def test_a_session_that_the_router_has_shut_down(rack: Rack) -> None:
    router = await rack.router()
    speaker = rack.speaker()
    await speaker.until_state(SessionState.ESTABLISHED, "tor1")
    await router.wait_established(str(rack.address()))
    await router.disable(rack.address(), "under repair")
    await speaker.end()

    report = await look_at(rack, rack.peer())

    assert report.result is Result.FAIL
    assert failures(report) <= {Check.OPEN, Check.TCP}


@against("frr")
async def test_each_peer_has_its_own_report(rack: Rack) -> None:
    await rack.router()

    reports = await look(rack, rack.peer(), rack.peer(name="other", port=180))

    assert [report.result for report in reports] == [Result.PASS, Result.FAIL]

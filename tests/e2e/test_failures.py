"""What fails around the speaker takes no route away, and is told where a user looks."""

import pytest

from speaker.model.prefix import Family
from tests.e2e.conftest import MakeCluster
from tests.lab.cluster import Cluster
from tests.lab.objects import BGP, pod, subnet
from tests.lab.routers.bird import Bird
from tests.lab.routers.router import Router

BOTH = {"node1", "node2"}
ROUTE = {"10.16.0.5/32": BOTH}
ONLY_V4 = frozenset({Family.IPV4})


async def start(make_cluster: MakeCluster, driver: type[Router], *flags: str, **options: int) -> Cluster:
    """Two nodes that advertise one Pod, with a session of IPv4 each."""
    cluster = await make_cluster(driver, **{"nodes": 2, **options})
    await cluster.create(subnet("ovn-default", "10.16.0.0/16"))
    await cluster.create(pod("web", "node1", "10.16.0.5", annotations={BGP: "true"}))
    await cluster.start_speakers(*flags, families=ONLY_V4)
    await cluster.wait_table(ROUTE)
    return cluster


async def ready(cluster: Cluster, node: str) -> tuple[int, str]:
    return await cluster.speakers[node].get("/readyz")


# -- routers -------------------------------------------------------------------------------------------


async def test_two_routers_hear_the_same_and_one_that_dies_does_not_disturb_the_other(
    make_cluster: MakeCluster, driver: type[Router]
) -> None:
    cluster = await start(make_cluster, driver, tors=2)
    first, second = cluster.routers

    await first.kill()
    await cluster.speakers["node1"].wait_log("session closed", "peer=172.30.1.1")
    await cluster.annotate("pod", "web", f"{BGP}=local")

    await second.wait_routes({"10.16.0.5/32": {"172.31.1.2"}})
    _, body = await ready(cluster, "node1")
    # Between two attempts the session is Active.
    assert any(f"peer 172.30.1.1: {state}" in body for state in ("Idle", "Connect", "Active")), body
    assert "peer 172.31.1.1: ok" in body, body
    await first.start()
    await cluster.wait_table({"10.16.0.5/32": {"node1"}}, within=40.0)


@pytest.mark.bird
async def test_a_link_that_loses_everything_is_found_by_the_hold_timer_and_heals(
    make_cluster: MakeCluster,
) -> None:
    cluster = await start(make_cluster, Bird, "--holdtime=3s")
    link = cluster.topology.link("node1")

    link.lose_all()
    line = await cluster.speakers["node1"].wait_log("session closed", within=15.0)
    await cluster.wait_table({"10.16.0.5/32": {"node2"}}, within=15.0)
    link.heal()

    assert "hold time" in line
    await cluster.wait_table(ROUTE, within=40.0)


# -- the API server --------------------------------------------------------------------------------------


@pytest.mark.bird
@pytest.mark.emulator_only
async def test_an_outage_of_the_api_server_takes_nothing_away(make_cluster: MakeCluster) -> None:
    cluster = await start(make_cluster, Bird)

    await cluster.api.stop()
    for speaker in cluster.speakers.values():
        await speaker.wait_log("source failed", "source=pods")
    await cluster.wait_table(ROUTE)
    status, body = await ready(cluster, "node1")
    assert (status, "cannot be reached" in body) == (200, True), body
    await cluster.create(pod("new", "node2", "10.16.0.6", annotations={BGP: "true"}))
    await cluster.api.start()

    await cluster.wait_table({**ROUTE, "10.16.0.6/32": BOTH}, within=30.0)
    await cluster.kubectl("delete", "pod", "web", "--force", "--grace-period=0")
    await cluster.wait_table({"10.16.0.6/32": BOTH})


@pytest.mark.bird
@pytest.mark.emulator_only
async def test_a_speaker_that_restarts_during_an_outage_keeps_its_routes(make_cluster: MakeCluster) -> None:
    """Unknown is not empty: no End-of-RIB before everything is listed."""
    cluster = await start(make_cluster, Bird, "--graceful-restart")
    speaker = cluster.speakers["node1"]

    await cluster.api.stop()
    await speaker.stop()
    await speaker.start()
    await speaker.wait_log("session established", within=20.0)
    await speaker.wait_log("source failed", "cannot be reached")
    status, _ = await ready(cluster, "node1")
    await cluster.wait_table(ROUTE)

    assert status == 503
    await cluster.api.start()
    await speaker.wait_in_sync(within=40.0)
    await cluster.wait_table(ROUTE)
    status, body = await ready(cluster, "node1")
    assert status == 200, body


# -- the other end -------------------------------------------------------------------------------------


@pytest.mark.bird
async def test_a_wrong_as_number_is_named_and_harms_no_other_session(make_cluster: MakeCluster) -> None:
    cluster = await start(make_cluster, Bird)
    speaker = cluster.speakers["node1"]

    await speaker.stop()
    speaker.flags = [flag.replace("--neighbor-as=65030", "--neighbor-as=65099") for flag in speaker.flags]
    await speaker.start()
    line = await speaker.wait_log("65030", "65099")

    assert "peer=172.30.1.1" in line
    status, body = await ready(cluster, "node1")
    assert (status, "65030" in body) == (503, True), body
    await cluster.wait_table({"10.16.0.5/32": {"node2"}})


@pytest.mark.bird
@pytest.mark.md5
async def test_a_wrong_password_is_told_without_telling_it(make_cluster: MakeCluster) -> None:
    cluster = await make_cluster(Bird, nodes=1)
    secret = cluster.folder / "password"
    secret.write_text("not-the-routers\n")
    speaker = await cluster.speaker("node1", f"--auth-password-file={secret}", families=ONLY_V4)

    await speaker.start()
    await speaker.wait_in_sync()
    await speaker.wait_log("session failed", "the password differs", within=20.0)

    _, body = await ready(cluster, "node1")
    assert "password differs" in body
    assert "not-the-routers" not in speaker.log() + body


@pytest.mark.bird
async def test_a_peer_that_is_not_there_is_named(make_cluster: MakeCluster) -> None:
    cluster = await start(make_cluster, Bird)
    speaker = cluster.speakers["node1"]

    await speaker.stop()
    speaker.flags = [flag.replace("172.30.1.1", "172.30.1.1,172.30.1.9") for flag in speaker.flags]
    await speaker.start()
    await cluster.wait_table(ROUTE)
    await speaker.wait_log("session failed", "peer=172.30.1.9", within=20.0)

    _, body = await ready(cluster, "node1")
    assert "172.30.1.9" in body

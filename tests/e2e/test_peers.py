"""Peers that are not configured one by one, and a password that changes while everything runs."""

from dataclasses import replace
from ipaddress import ip_address

import pytest

from speaker.model.prefix import Family
from tests.e2e.conftest import MakeCluster
from tests.lab.cluster import NODE_ASN, Cluster
from tests.lab.objects import BGP, pod, subnet
from tests.lab.routers.config import Neighbor, neighbor
from tests.lab.routers.router import Router

NODE = "172.30.1.2"
ROUTE = {"10.16.0.5/32": {"node1"}}

# Words that no sentence of the log has.
FIRST, SECOND = "tin-whistle", "hurdy-gurdy"


async def one_pod(make_cluster: MakeCluster, driver: type[Router], configured: Neighbor) -> Cluster:
    """A node with an annotated Pod, and a router that knows the node as it is told."""
    cluster = await make_cluster(driver, nodes=1)
    await cluster.create(subnet("ovn-default", "10.16.0.0/16"))
    await cluster.create(pod("web", "node1", "10.16.0.5", annotations={BGP: "true"}))
    (router,) = cluster.routers
    await router.stop()
    router.config = replace(router.config, neighbors=(configured,))
    await router.start()
    return cluster


async def test_a_router_of_a_range_hears_what_a_configured_peer_would(
    make_cluster: MakeCluster, driver: type[Router]
) -> None:
    """It dials; its routes are computed for it before anything, End-of-RIB included, is sent."""
    cluster = await one_pod(make_cluster, driver, neighbor(NODE, NODE_ASN, passive=False))
    speaker = await cluster.speaker("node1", "--neighbor-range=172.30.0.0/16", families=frozenset())

    await speaker.start()
    await cluster.wait_table(ROUTE, within=30.0)

    await cluster.annotate("pod", "web", f"{BGP}-")
    await cluster.wait_table({})


@pytest.mark.md5
async def test_a_password_that_changes_is_taken_over_without_a_restart(
    make_cluster: MakeCluster, driver: type[Router]
) -> None:
    configured = neighbor(NODE, NODE_ASN, passive=True, password=FIRST)
    cluster = await one_pod(make_cluster, driver, configured)
    (router,) = cluster.routers
    secret = cluster.folder / "password"
    secret.write_text(f"{FIRST}\n")
    flags = ("--graceful-restart", f"--auth-password-file={secret}", "--connect-retry=1s")
    speaker = await cluster.speaker("node1", *flags, families=frozenset({Family.IPV4}))
    await speaker.start()
    await cluster.wait_table(ROUTE, within=30.0)

    secret.write_text(f"{SECOND}\n")
    await speaker.wait_log("password is taken over")
    await speaker.wait_log("session closed", "the peer's configuration changed")
    await router.set_password(ip_address(NODE), SECOND)

    await router.wait_established(NODE, within=30.0)
    await cluster.wait_table(ROUTE, within=30.0)
    assert FIRST not in speaker.log()
    assert SECOND not in speaker.log()

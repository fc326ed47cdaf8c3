"""What a running speaker answers: health, metrics, its commands, and the plan that came true."""

import asyncio
import json
import sys
from typing import Any

import pytest

from tests.e2e.conftest import MakeCluster
from tests.lab.cluster import NODE_ASN, ROUTER_ASN, Cluster
from tests.lab.objects import BGP, endpoint_slice, pod, service, subnet
from tests.lab.routers.bird import Bird

pytestmark = pytest.mark.bird

BOTH = {"node1", "node2"}


async def start(make_cluster: MakeCluster) -> Cluster:
    """Two nodes with a Pod, a Subnet, and a Service that has an endpoint on one of them."""
    cluster = await make_cluster(Bird, nodes=2)
    await cluster.create(
        subnet("ovn-default", "10.16.0.0/16", "fd00:10:16::/64", annotations={BGP: "true"}),
        pod("web", "node2", "10.16.0.5", "fd00:10:16::5", annotations={BGP: "local"}),
        service("shop", "192.0.2.10", policy="Local", annotations={BGP: "true"}),
        endpoint_slice("shop", "IPv4", {"10.16.0.9": "node1"}),
    )
    await cluster.start_speakers()
    await cluster.wait_table(
        {
            "10.16.0.0/16": BOTH,
            "fd00:10:16::/64": BOTH,
            "10.16.0.5/32": {"node2"},
            "fd00:10:16::5/128": {"node2"},
            "192.0.2.10/32": {"node1"},
        }
    )
    return cluster


async def command(*arguments: str) -> str:
    """What `speaker` prints."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "speaker", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return output.decode()


async def test_health_and_metrics_say_what_the_router_sees(make_cluster: MakeCluster) -> None:
    cluster = await start(make_cluster)
    speaker = cluster.speakers["node1"]

    assert await speaker.get("/livez") == (200, "ok\n")
    assert await speaker.get("/readyz") == (200, "ok\n")
    _, body = await speaker.get("/readyz?verbose")
    assert {"peer 172.30.1.1: ok", "source pods: ok"} <= set(body.splitlines()), body
    _, metrics = await speaker.get("/metrics")
    values = dict(line.rsplit(" ", 1) for line in metrics.splitlines() if not line.startswith("#"))
    advertised = {key: value for key, value in values.items() if "advertised" in key and "172.30.1.1" in key}
    assert "2.0" in advertised.values(), metrics
    assert any("NotOnThisNode" in key for key in values), metrics


async def test_the_commands_say_what_is_sent_and_why_not(make_cluster: MakeCluster) -> None:
    cluster = await start(make_cluster)
    socket = f"--control-socket={cluster.speakers['node1'].control_socket}"

    status = json.loads(await command("status", socket, "-o", "json"))
    routes = json.loads(await command("routes", socket, "-o", "json"))
    why = await command("explain", socket, "pod", "default/web")

    assert {session["state"] for session in status["sessions"]} == {"Established"}
    assert {route["prefix"] for route in routes["routes"] if route["sent"]} == {
        "10.16.0.0/16",
        "fd00:10:16::/64",
        "192.0.2.10/32",
    }
    assert "NotOnThisNode" in why


async def test_the_plan_is_what_the_router_has(make_cluster: MakeCluster) -> None:
    """The same objects and flags, planned from the live cluster and run by the speakers."""
    cluster = await start(make_cluster)
    speaker = cluster.speakers["node1"]
    flags = [flag for flag in speaker.flags if flag.startswith("--neighbor-")]

    text = await command(
        "plan",
        f"--kubeconfig={cluster.kubeconfig}",
        *flags,
        f"--neighbor-as={ROUTER_ASN}",
        f"--cluster-as={NODE_ASN}",
        "-o",
        "json",
    )

    planned: dict[str, set[str]] = {}
    for node, prefix in advertised(json.loads(text)):
        planned.setdefault(prefix, set()).add(node)
    assert planned == await cluster.table()


def advertised(plan: Any) -> list[tuple[str, str]]:
    """Node and prefix of everything that the plan would advertise."""
    return [
        (node["node"], route["prefix"])
        for node in plan["nodes"]
        for peer in node["peers"]
        for route in peer["routes"]
    ]

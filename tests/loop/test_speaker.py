"""The whole speaker under asyncio's debug mode: nothing that it does blocks its event loop.

Each test plays some of a speaker's life with a watched process, and ends with what the watcher found. The
kernel may put a thread to sleep anywhere for reasons of its own (memory, a lock of the process), and a call
that blocks sleeps where it stands each time: so a life in which somebody was found asleep is played again.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest

from speaker.model.prefix import Family
from tests.fabric_proofs.designs import mesh
from tests.lab.cluster import NODE_ASN, ROUTER_ASN, Cluster
from tests.lab.fabric_cluster import FabricCluster
from tests.lab.kubeapi.crds import IPS, SUBNETS
from tests.lab.net.topology import Topology
from tests.lab.objects import BGP, pod, subnet
from tests.lab.routers.bird import Bird
from tests.lab.routers.config import neighbor, tor_config
from tests.lab.routers.router import Router
from tests.loop.findings import Finding
from tests.loop.watched import WatchedAdvertiser, WatchedSpeaker

pytestmark = [pytest.mark.e2e, pytest.mark.netns, pytest.mark.kubectl, pytest.mark.timeout(240)]

NODE, ROUTER = "172.30.1.2", "172.30.1.1"
VIP = "10.96.255.1/32"
CHECK_PORT = 6443
PATIENCE_SECONDS = 60.0
FIRST, SECOND = "tin-whistle", "hurdy-gurdy"


Life = Callable[[Path], Awaitable[list[Finding]]]
"""Plays it in a folder of its own; returns what was found and is not allowed."""


async def never_blocks(life: Life, folder: Path) -> None:
    """Fail if something in it blocks."""
    faults = await lived(life, folder / "1")
    if faults and all(each.kind == "asleep" for each in faults):
        again = {each.place for each in await lived(life, folder / "2")}
        faults = [each for each in faults if each.place in again]
    assert not faults, "\n".join(map(str, faults))


async def lived(life: Life, folder: Path) -> list[Finding]:
    """Play it once."""
    folder.mkdir()
    return await life(folder)


async def one_node(cluster: Cluster) -> Router:
    """A node with a Pod, below a router that wants a password and BFD of it."""
    await cluster.create(SUBNETS, IPS)
    await cluster.create(subnet("ovn-default", "10.16.0.0/16"), pod("web", "node1", "10.16.0.5"))
    router = await cluster.add_router(Bird)
    await router.stop()
    configured = neighbor(NODE, NODE_ASN, passive=True, password=FIRST, bfd=True)
    router.config = replace(router.config, neighbors=(configured,))
    await router.start()
    return router


@pytest.mark.bird
@pytest.mark.md5
async def test_a_speaker_below_a_router_never_blocks(folder: Path) -> None:
    await never_blocks(below_a_router, folder)


async def below_a_router(folder: Path) -> list[Finding]:
    """Start, BFD, changes, questions, metrics, another password, a router that goes and comes, the end."""
    async with Cluster(folder, nodes=1) as cluster:
        router = await one_node(cluster)
        secret = folder / "password"
        secret.write_text(f"{FIRST}\n")
        flags = ("--graceful-restart", f"--auth-password-file={secret}", "--connect-retry=1s", "--enable-bfd")
        made = await cluster.speaker("node1", *flags, families=frozenset({Family.IPV4}))
        async with WatchedSpeaker.like(made) as speaker:
            await speaker.wait_in_sync(PATIENCE_SECONDS)
            await cluster.annotate("pod", "web", f"{BGP}=true")
            await cluster.wait_table({"10.16.0.5/32": {"node1"}}, within=PATIENCE_SECONDS)

            await speaker.ask("status")
            await speaker.ask("routes")
            await speaker.ask("explain", kind="Pod", namespace="default", name="web")
            for path in ("/healthz", "/readyz", "/metrics"):
                assert (await speaker.get(path))[0] == 200

            secret.write_text(f"{SECOND}\n")
            await speaker.wait_log("password is taken over", within=PATIENCE_SECONDS)
            await router.set_password(ip_address(NODE), SECOND)
            await router.wait_established(NODE, within=PATIENCE_SECONDS)
            await router.stop()
            await speaker.wait_log("session closed", within=PATIENCE_SECONDS)
            await router.start()
            await cluster.wait_table({"10.16.0.5/32": {"node1"}}, within=PATIENCE_SECONDS)
            await cluster.annotate("pod", "web", f"{BGP}-")
            await cluster.wait_table({}, within=PATIENCE_SECONDS)
            return await speaker.verdict()


async def test_a_speaker_of_a_fabric_never_blocks(folder: Path) -> None:
    await never_blocks(in_a_mesh, folder)


async def in_a_mesh(folder: Path) -> list[Finding]:
    """It watches its resources, listens and dials in a mesh, and writes routes into the kernel."""
    async with FabricCluster(folder, 2, flat=True) as cluster:
        await cluster.apply(mesh())
        speakers = [WatchedSpeaker.like(cluster.speaker(name, "--fabric")) for name in cluster.node_names]
        async with speakers[0], speakers[1]:
            await cluster.wait_learned(within=PATIENCE_SECONDS)
            for speaker in speakers:
                await speaker.ask("learned")
            return [fault for speaker in speakers for fault in await speaker.verdict()]


@pytest.mark.bird
async def test_a_host_that_advertises_never_blocks(folder: Path) -> None:
    await never_blocks(advertising, folder)


async def advertising(folder: Path) -> list[Finding]:
    """It has a local check, and another file of peers while it runs."""
    document = {"localIP": NODE, "localASN": NODE_ASN, "peers": [{"peerIP": ROUTER, "peerASN": ROUTER_ASN}]}
    flags = (f"--advertise-ip={VIP}", f"--check=tcp://127.0.0.1:{CHECK_PORT}", "--check-rise=1")
    with (
        Topology(nodes=1, tors=1, clients=0) as topology,
        topology["node1"].namespace.socket() as checked,
    ):
        checked.bind(("127.0.0.1", CHECK_PORT))
        checked.listen()
        async with (
            Bird(tor_config(), topology["tor1"].namespace) as router,
            WatchedAdvertiser(folder, topology["node1"].namespace, document, flags) as program,
        ):
            await router.wait_routes({VIP: {NODE}}, within=PATIENCE_SECONDS)
            program.write(document | {"holdTime": "30s"})
            await program.wait_line("file of peers", within=PATIENCE_SECONDS)
            await router.wait_routes({VIP: {NODE}}, within=PATIENCE_SECONDS)
            return await program.verdict()

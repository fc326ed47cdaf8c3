"""The cluster changes its AS number: every session ends and begins anew, and no packet is lost."""

from tests.fabric_proofs.conftest import MakeFabric
from tests.fabric_proofs.designs import FLAGS, WAIT_SECONDS, all_of, mesh, wait_sessions
from tests.fabric_proofs.packets import nothing_lost
from tests.lab.fabric_cluster import FabricCluster
from tests.lab.waiting import eventually

BEFORE, AFTER = 64512, 64600


async def as_numbers(cluster: FabricCluster) -> set[int]:
    """What the sessions of all speakers expect at the other end."""
    answers = await cluster.ask_all("status")
    return {session["asn"] for status in answers.values() for session in status["sessions"]}


async def test_another_as_number_for_the_cluster_loses_nothing(make_fabric: MakeFabric) -> None:
    cluster = await make_fabric(4)
    await cluster.apply(mesh(asNumber=BEFORE))
    await cluster.start_speakers(*FLAGS, within=WAIT_SECONDS)
    await wait_sessions(cluster, all_of(cluster.node_names))
    await cluster.wait_learned(within=WAIT_SECONDS)
    assert await as_numbers(cluster) == {BEFORE}

    async with nothing_lost(cluster):
        await cluster.apply(mesh(asNumber=AFTER))
        await eventually(
            lambda: as_numbers(cluster),
            lambda found: found == {AFTER},
            within=WAIT_SECONDS,
            what="the number",
        )
        await wait_sessions(cluster, all_of(cluster.node_names))
        await cluster.wait_learned(within=WAIT_SECONDS)

"""A full mesh: one connection a pair, every Pod CIDR in every kernel, and nodes that come and go."""

from itertools import combinations

from tests.fabric_proofs.conftest import MakeFabric
from tests.fabric_proofs.designs import FLAGS, WAIT_SECONDS, all_of, mesh, wait_forgotten, wait_sessions
from tests.fabric_proofs.packets import nothing_lost
from tests.lab.fabric_cluster import FabricCluster

BGP_PORT = 179


def connections(cluster: FabricCluster, node: str) -> list[frozenset[str]]:
    """The ends of every established BGP connection of a node."""
    shown = cluster.fabric[node].namespace.run(
        "ss", "-Htn", "state", "established", f"( sport = :{BGP_PORT} or dport = :{BGP_PORT} )"
    )
    ends = [line.split()[-2:] for line in shown.splitlines()]
    names = {str(address): name for address, name in cluster.fabric.names().items()}
    return [frozenset(names[end.rpartition(":")[0].strip("[]")] for end in pair) for pair in ends]


async def test_ten_nodes_have_one_connection_a_pair_and_every_kernel_every_pod_cidr(
    make_fabric: MakeFabric,
) -> None:
    """Then a node comes, and another goes: 10 nodes, 45 sessions, then 55, then 45 again."""
    cluster = await make_fabric(10)
    await cluster.apply(mesh())
    await cluster.start_speakers(*FLAGS, within=WAIT_SECONDS)
    await wait_sessions(cluster, all_of(cluster.node_names))
    await cluster.wait_learned(within=WAIT_SECONDS)

    pairs = {frozenset(pair) for pair in combinations(cluster.node_names, 2)}
    assert len(pairs) == 45
    for node in cluster.node_names:
        wanted = {pair for pair in pairs if node in pair}
        found = connections(cluster, node)
        assert (len(found), set(found)) == (9, wanted)

    async with nothing_lost(cluster) as traffic:
        new = await cluster.add_node()
        await cluster.start_speakers(*FLAGS, nodes=[new], within=WAIT_SECONDS)
        await wait_sessions(cluster, all_of(cluster.node_names))
        await cluster.wait_learned(within=WAIT_SECONDS)
        for pod in cluster.pods.on(new):
            traffic.add(pod)
        await traffic.flowing(WAIT_SECONDS)

        for pod in cluster.pods.on("node4"):
            traffic.remove(pod.name)
        await cluster.remove_node("node4")
        await wait_sessions(cluster, all_of(cluster.node_names))
        await wait_forgotten(cluster, "node4")

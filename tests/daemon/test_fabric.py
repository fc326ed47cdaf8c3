"""What the cluster asks of this node, from changes to the peers that should run."""

import asyncio
from ipaddress import ip_network

from speaker.model.objects import Change, Kind, Meta, ObjectRef, SecretView
from speaker.model.peer import Password
from tests.bgp.builders import until
from tests.daemon.fabric_parts import Api, Parts, gone, learned, mesh, node, report, resource


def nodes(*numbers: int) -> list[Change]:
    return [node(number) for number in numbers]


def names(parts: Parts) -> list[str]:
    return [peer.name for peer in parts.fabric.decide()]


async def test_a_mesh_is_every_other_node_that_runs_a_speaker() -> None:
    parts = Parts()
    parts.fabric.apply([*nodes(1, 2, 3), node(4, speaks=False), mesh()])

    assert names(parts) == ["node2", "node3"]
    assert parts.fabric.listen_port == 179


async def test_without_resources_there_is_no_peer_and_nobody_to_listen_for() -> None:
    parts = Parts()
    parts.fabric.apply(nodes(1, 2))

    assert names(parts) == []
    assert parts.fabric.listen_port is None


async def test_that_nothing_is_asked_is_said() -> None:
    """As where the resources' kinds are not installed: else nobody would know why there is no session."""
    parts = Parts()
    parts.fabric.apply(nodes(1, 2))
    parts.fabric.decide()
    assert "ask for no session" in parts.fabric.asks_for_nothing

    parts.fabric.apply([mesh()])
    parts.fabric.decide()

    assert parts.fabric.asks_for_nothing == ""


async def test_this_nodes_own_pods_are_no_lesson_and_end_here() -> None:
    parts = Parts()
    parts.fabric.apply([*nodes(1, 2), mesh()])
    await parts.follow("node2")

    parts.teach("node2", learned("10.244.1.0/24", "10.0.0.2"), learned("10.244.2.0/24", "10.0.0.2"))
    for _ in range(2):
        await parts.learning.settle()

    assert set(parts.table.routes) == {ip_network("10.244.2.0/24")}
    assert parts.table.blackholes == {ip_network("10.244.1.0/24")}


async def test_a_node_that_is_gone_is_no_peer_any_more() -> None:
    parts = Parts()
    parts.fabric.apply([*nodes(1, 2, 3), mesh()])
    await parts.follow("node2", "node3")

    parts.fabric.apply([gone(node(3))])

    assert names(parts) == ["node2"]


async def test_a_bad_resource_changes_nothing_that_runs() -> None:
    parts = Parts()
    parts.fabric.apply([*nodes(1, 2), mesh()])
    before = parts.fabric.decide()

    parts.fabric.apply([mesh(asNumber="many")])

    assert parts.fabric.decide() == before
    [problem] = parts.fabric.resources.problems[ObjectRef(Kind.BGP_CONFIGURATION, "", "default")]
    assert "spec.asNumber" in problem
    assert "many" in problem


async def test_a_password_is_waited_for() -> None:
    parts = Parts()
    password = {"secretKeyRef": {"name": "bgp", "key": "mesh"}}
    parts.fabric.apply([*nodes(1, 2), mesh(nodeMeshPassword=password)])
    assert names(parts) == []
    assert parts.fabric.secret_names == {"bgp"}
    assert "bgp" in parts.fabric.design.withheld["node2"]

    ref = ObjectRef(Kind.SECRET, "kube-system", "bgp")
    view = SecretView(meta=Meta(ref=ref, annotations={}), data={"mesh": Password("s3cret")})
    parts.fabric.apply([Change(ref, view)])

    [peer] = parts.fabric.decide()
    assert peer.password == Password("s3cret")


async def test_a_session_of_the_old_design_waits_for_the_new_one() -> None:
    parts = Parts()
    parts.fabric.apply([*nodes(1, 2, 3), mesh()])
    await parts.follow("node2", "node3")

    pair = resource(
        Kind.BGP_PEER,
        "pair",
        {
            "nodeSelector": "kubernetes.io/hostname == 'a'",
            "peerSelector": "kubernetes.io/hostname == 'b'",
        },
    )
    parts.fabric.apply([mesh(nodeToNodeMeshEnabled=False), pair])

    assert names(parts) == ["node2", "node3"]
    assert set(parts.fabric.step.retiring) == {"node2", "node3"}
    assert all(not held.ready or held.reason for held in parts.fabric.step.retiring.values())


async def test_after_the_deadline_it_goes_and_the_loop_is_woken() -> None:
    parts = Parts()
    parts.fabric.apply([*nodes(1, 2), mesh(switchDeadline="1s")])
    await parts.follow("node2")
    parts.fabric.apply([mesh(nodeToNodeMeshEnabled=False, switchDeadline="1s")])
    assert names(parts) == ["node2"]
    before = parts.changes

    await until(lambda: parts.changes > before, "the deadline")

    assert names(parts) == []


async def test_reports_of_others_are_watched_only_while_a_session_waits_for_them() -> None:
    parts, api = Parts(), Api()
    parts.fabric.apply([*nodes(1, 2), mesh()])
    await parts.follow("node2")
    watching = asyncio.create_task(parts.fabric.watch_reports(api.watching))
    try:
        parts.fabric.apply([mesh(nodeToNodeMeshEnabled=False)])
        assert names(parts) == ["node2"]
        await until(lambda: api.watched == 1, "the watch")

        fingerprint = parts.fabric.design.fingerprint
        session = {"peer": "node1", "node": "node1", "retiring": {"ready": True}}
        done = {"fingerprint": fingerprint, "settled": True, "sessions": [session], "sessionCount": 1}
        parts.fabric.apply([report("node2", done)])

        assert names(parts) == []
        await until(lambda: api.watched == 0, "the end of the watch")
    finally:
        watching.cancel()
        await asyncio.wait((watching,))

"""Resources under way: bad ones, contradictory ones, filters, and a password that comes late."""

from base64 import b64encode
from copy import deepcopy
from typing import Any

import pytest

from tests.fabric_proofs.conftest import MakeFabric
from tests.fabric_proofs.designs import (
    FLAGS,
    WAIT_SECONDS,
    all_of,
    mesh,
    resource,
    states,
    statuses,
    wait_sessions,
)
from tests.lab.cluster import Manifest
from tests.lab.fabric_cluster import FabricCluster, crd_manifests
from tests.lab.pods import pod_cidrs
from tests.lab.roles import SERVICE_ACCOUNT
from tests.lab.speakers import NAMESPACE
from tests.lab.waiting import eventually

ASN = 64512
TOO_LARGE = 99999999999
SECRET = "mesh"


def lenient_crds() -> list[Manifest]:
    """Our CustomResourceDefinitions as an API server of another version might have them: any spec will do."""
    found = deepcopy(crd_manifests())
    for crd in found:
        for version in crd["spec"]["versions"]:
            properties = version["schema"]["openAPIV3Schema"]["properties"]
            if "spec" in properties:
                properties["spec"] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return found


async def condition(cluster: FabricCluster, kind: str, name: str, wanted: str) -> dict[str, Any]:
    """A condition of a resource, which somebody has said of it as it stands; empty until then."""
    document = await cluster.get(kind, name)
    status = document.get("status", {})
    if status.get("observedGeneration") != document["metadata"]["generation"]:
        return {}
    return next((each for each in status["conditions"] if each["type"] == wanted), {})


async def wait_condition(cluster: FabricCluster, kind: str, name: str, wanted: str, status: str) -> str:
    """The message of a condition, once it has this status."""
    found = await eventually(
        lambda: condition(cluster, kind, name, wanted),
        lambda each: each.get("status") == status,
        within=WAIT_SECONDS,
        what=f"{wanted}={status} of {kind} {name}",
    )
    return str(found["message"])


async def wait_event(cluster: FabricCluster, name: str, *words: str) -> None:
    """Return once there is an Event on a resource of this name with all these words."""

    async def messages() -> list[str]:
        shown = await cluster.kubectl(
            "get", "events", "-A", f"--field-selector=involvedObject.name={name}", "-o", "name"
        )
        return [
            str((await cluster.get("event", each.rpartition("/")[2]))["message"]) for each in shown.split()
        ]

    await eventually(
        messages,
        lambda found: any(all(word in each for word in words) for each in found),
        within=WAIT_SECONDS,
        what=f"an Event on {name} with {words}",
    )


async def standing_since(cluster: FabricCluster) -> dict[str, dict[str, object]]:
    """Since when each session of each node is established: the same as long as none has ended."""
    answers = await cluster.ask_all("status")
    return {
        node: {each["peer"]: each["established_at"] for each in status["sessions"]}
        for node, status in answers.items()
    }


async def test_a_bad_resource_changes_nothing_that_runs_and_says_why(make_fabric: MakeFabric) -> None:
    """Also not together with a good change: a bad BGPConfiguration keeps its last good value as a whole."""
    cluster = await make_fabric(3, crds=lenient_crds())
    await cluster.apply(mesh(asNumber=ASN))
    await cluster.start_speakers(*FLAGS, within=WAIT_SECONDS)
    await wait_sessions(cluster, all_of(cluster.node_names))
    assert await wait_condition(cluster, "bgpconfiguration", "default", "Accepted", "True") == ""
    before = await standing_since(cluster)

    await cluster.apply(mesh(asNumber=TOO_LARGE))
    message = await wait_condition(cluster, "bgpconfiguration", "default", "Accepted", "False")
    assert "spec.asNumber" in message
    assert str(TOO_LARGE) in message
    await wait_event(cluster, "default", "spec.asNumber", str(TOO_LARGE))

    await cluster.apply(resource("BGPPeer", "bad", nodeSelector="has(", peerSelector="all()"))
    message = await wait_condition(cluster, "bgppeer", "bad", "Accepted", "False")
    assert "spec.nodeSelector" in message
    assert "has(" in message
    await wait_event(cluster, "bad", "spec.nodeSelector")

    assert await standing_since(cluster) == before
    await cluster.apply(mesh(asNumber=ASN))
    assert await wait_condition(cluster, "bgpconfiguration", "default", "Accepted", "True") == ""
    assert await standing_since(cluster) == before


async def test_the_older_of_two_peers_counts_and_its_sessions_are_counted(make_fabric: MakeFabric) -> None:
    cluster = await make_fabric(3)
    everybody = {"nodeSelector": "all()", "peerSelector": "all()"}
    await cluster.create(resource("BGPPeer", "older", **everybody, holdTime="60s"))
    await cluster.start_speakers(*FLAGS, within=WAIT_SECONDS)
    await wait_sessions(cluster, all_of(cluster.node_names))
    await cluster.create(resource("BGPPeer", "younger", **everybody, holdTime="30s"))

    message = await wait_condition(cluster, "bgppeer", "younger", "Conflict", "True")
    assert message == "the older BGPPeer older binds some of the same Nodes"
    await wait_condition(cluster, "bgppeer", "older", "Conflict", "False")
    await wait_event(cluster, "younger", "the older BGPPeer older")
    await wait_counts(cluster, "older", "6/6")
    await wait_counts(cluster, "younger", "0/0")

    # Who speaks for all is missed only when the Lease has run out.
    lease = ("lease", "kube-route-speaker-events", "-n", NAMESPACE)
    holder = await cluster.kubectl("get", *lease, "-o", "jsonpath={.spec.holderIdentity}")
    assert holder in cluster.node_names
    await next(speaker for node, speaker in cluster.speakers.items() if node != holder).kill()
    await wait_counts(cluster, "older", "2/6")


async def wait_counts(cluster: FabricCluster, peer: str, wanted: str) -> None:
    """Return once the status of a BGPPeer counts this many of its sessions as established."""

    async def counts() -> object:
        return (await cluster.get("bgppeer", peer)).get("status", {}).get("established")

    await eventually(counts, lambda found: found == wanted, within=WAIT_SECONDS, what=f"{peer}: {wanted}")


async def test_export_and_import_filters_take_effect_while_sessions_stand(make_fabric: MakeFabric) -> None:
    cluster = await make_fabric(3)
    await cluster.apply(
        resource("BGPPeer", "all", nodeSelector="all()", peerSelector="all()", filters=["some"]),
        resource("BGPFilter", "some"),
    )
    await cluster.start_speakers(*FLAGS, within=WAIT_SECONDS)
    await wait_sessions(cluster, all_of(cluster.node_names))
    await cluster.wait_learned(within=WAIT_SECONDS)
    before = await standing_since(cluster)
    second, third = (tuple(str(cidr) for cidr in pod_cidrs(node)) for node in ("node2", "node3"))

    reject = {"action": "Reject", "matchOperator": "In"}
    await cluster.apply(resource("BGPFilter", "some", exportV4=[{**reject, "cidr": second[0]}]))
    await wait_learned_exactly(cluster, "node1", second[1], *third)

    await cluster.apply(resource("BGPFilter", "some", importV6=[{**reject, "cidr": third[1]}]))
    await wait_learned_exactly(cluster, "node1", *second, third[0])

    await cluster.apply(resource("BGPFilter", "some"))
    await cluster.wait_learned(within=WAIT_SECONDS)
    assert await standing_since(cluster) == before


async def wait_learned_exactly(cluster: FabricCluster, node: str, *prefixes: str) -> None:
    """Return once the kernel of a node has routes of its speaker to these prefixes alone."""
    await eventually(
        lambda: set(cluster.learned(node)),
        lambda found: found == set(prefixes),
        within=WAIT_SECONDS,
        what=f"{node}: {prefixes}",
    )


@pytest.mark.md5
async def test_a_mesh_with_a_password_waits_for_its_secret_and_outlives_it(make_fabric: MakeFabric) -> None:
    cluster = await make_fabric(3)
    await cluster.create(*secret_role(SECRET))
    await cluster.apply(mesh(nodeMeshPassword={"secretKeyRef": {"name": SECRET, "key": "password"}}))
    await cluster.start_speakers(*FLAGS, within=WAIT_SECONDS)

    await eventually(
        lambda: withheld(cluster, "node1"),
        lambda found: found == dict.fromkeys(("node2", "node3"), WITHHELD),
        within=WAIT_SECONDS,
        what="withheld sessions",
    )
    found = await statuses(cluster, cluster.node_names)
    assert [states(status) for status in found.values()] == [{}, {}, {}]

    await cluster.create(secret(SECRET, "correct horse"))
    await wait_sessions(cluster, all_of(cluster.node_names))
    await cluster.wait_learned(within=WAIT_SECONDS)
    before = await standing_since(cluster)

    await cluster.kubectl("delete", "secret", SECRET, "-n", NAMESPACE, "--wait=false")
    await eventually(lambda: withheld(cluster, "node1"), within=WAIT_SECONDS, what="withheld sessions")
    assert await standing_since(cluster) == before
    assert all("correct horse" not in speaker.log() for speaker in cluster.speakers.values())


WITHHELD = f"Secret {SECRET} has no key password, or is not there"


async def withheld(cluster: FabricCluster, node: str) -> dict[str, str]:
    """The sessions that a node cannot have now, and why."""
    fabric = (await cluster.ask(node, "status"))["fabric"]
    return {each["peer"]: each["reason"] for each in fabric["withheld"]}


def secret(name: str, password: str) -> Manifest:
    """A Secret in the speakers' namespace."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "type": "Opaque",
        "data": {"password": b64encode(password.encode()).decode()},
    }


def secret_role(name: str) -> list[Manifest]:
    """What lets the speakers read one Secret."""
    namespace, _, account = SERVICE_ACCOUNT.partition("/")
    meta = {"name": f"read-{name}", "namespace": namespace}
    rule = {"apiGroups": [""], "resources": ["secrets"], "resourceNames": [name], "verbs": ["list", "watch"]}
    group = "rbac.authorization.k8s.io"
    return [
        {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": meta, "rules": [rule]},
        {
            "apiVersion": f"{group}/v1",
            "kind": "RoleBinding",
            "metadata": meta,
            "roleRef": {"apiGroup": group, "kind": "Role", "name": meta["name"]},
            "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": namespace}],
        },
    ]

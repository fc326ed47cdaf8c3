"""What `speaker render-router` prints, loaded into the real daemons: sessions come up, and routes go on."""

import shutil
import tempfile
from base64 import b64encode
from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from speaker.fabric.render.bird import PASSWORD_FILE
from speaker.model.prefix import Address, Family
from tests.lab.fabric_cluster import FabricCluster
from tests.lab.pods import pod_cidrs
from tests.lab.routers.config import RouterConfig
from tests.lab.routers.router import Router
from tests.lab.routers.table import BfdInfo
from tests.lab.routers.written import WrittenBird, WrittenFrr
from tests.lab.speakers import NAMESPACE
from tests.lab.waiting import eventually

pytestmark = [pytest.mark.netns, pytest.mark.kubectl, pytest.mark.timeout(180)]

ASN = 64512
PASSWORD = "of-the-lab"
VARIABLE = "BGP_PASSWORD_RACK_PEERS_R1"
WITHIN = 60.0
RBAC = "rbac.authorization.k8s.io/v1"

DRIVERS = [pytest.param("bird", marks=pytest.mark.bird), pytest.param("frr", marks=pytest.mark.frr)]


@pytest.fixture
async def cluster() -> AsyncIterator[FabricCluster]:
    """Two nodes below a router."""
    folder = Path(tempfile.mkdtemp(prefix="ren-"))
    async with FabricCluster(folder, 2, labels={"rack": "r1"}) as made:
        yield made
    shutil.rmtree(folder, ignore_errors=True)


def bgp_peer(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "bgp.route-speaker.io/v1alpha1",
        "kind": "BGPPeer",
        "metadata": {"name": name},
        "spec": {"asNumber": ASN, "connectRetry": "1s", **spec},
    }


def password_documents() -> list[dict[str, Any]]:
    """The Secret, and the right of the speakers to read this one."""
    metadata = {"name": "rack-peers", "namespace": NAMESPACE}
    rule = {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["rack-peers"]}
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata,
        "data": {"r1": b64encode(PASSWORD.encode()).decode()},
    }
    role = {
        "apiVersion": RBAC,
        "kind": "Role",
        "metadata": metadata,
        "rules": [rule | {"verbs": ["list", "watch"]}],
    }
    binding = {
        "apiVersion": RBAC,
        "kind": "RoleBinding",
        "metadata": metadata,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "rack-peers"},
        "subjects": [{"kind": "ServiceAccount", "name": "kube-route-speaker", "namespace": NAMESPACE}],
    }
    return [secret, role, binding]


async def rendered(cluster: FabricCluster, form: str, *arguments: str) -> str:
    """The router's side, as a person gets it."""
    routers = (f"--router={cluster.fabric.head_address(1, family)}" for family in Family)
    result = await cluster.run("render-router", f"--format={form}", *routers, *arguments)
    assert (0, "") == (result.status, result.errors)
    return result.output


def router(cluster: FabricCluster, form: str, text: str, asn: int = ASN) -> Router:
    """A router of the rack that was given the text, with the password where it is named."""
    config = RouterConfig(asn=asn, router_id=str(cluster.fabric.head_address(1)))
    namespace = cluster.fabric.racks[0].head.namespace
    if form == "frr":
        return WrittenFrr(text.replace(f"${{{VARIABLE}}}", PASSWORD), config, namespace)
    passwords = f'define {VARIABLE} = "{PASSWORD}";\n'
    return WrittenBird(text, config, namespace, {PASSWORD_FILE: passwords})


async def wait_sessions(cluster: FabricCluster, found: Router, families: Iterable[Family] = Family) -> None:
    """Return once the router has an established session with every node, over each of these families."""
    addresses = [str(cluster.fabric.address(name, each)) for name in cluster.node_names for each in families]
    await found.wait_established(*addresses, within=WITHIN)
    assert set(addresses) == {str(each) for each in await found.sessions()}


def all_up(found: Mapping[Address, BfdInfo]) -> bool:
    return bool(found) and all(each.up for each in found.values())


async def wait_well(cluster: FabricCluster) -> None:
    """Return once `speaker fabric check` has nothing to say against it."""

    async def check() -> tuple[int, str]:
        result = await cluster.run("fabric", "check")
        return result.status, result.output + result.errors

    await eventually(
        check,
        lambda found: found[0] == 0 and "without_report" not in found[1],
        within=WITHIN,
        what="a fabric",
    )


@pytest.mark.md5
@pytest.mark.parametrize("form", DRIVERS)
async def test_a_reflector_with_passwords_and_a_session_of_each_family(
    cluster: FabricCluster, form: str
) -> None:
    password = {"secretKeyRef": {"name": "rack-peers", "key": "r1"}}
    peers = [
        bgp_peer(f"r1-{each}", peerIP=str(cluster.fabric.head_address(1, each)), password=password, bfd={},
                 addPaths="Both")
        for each in Family
    ]  # fmt: skip
    await cluster.apply(*password_documents(), *peers)
    await cluster.start_speakers("--fabric")
    text = await rendered(cluster, form)
    assert PASSWORD not in text

    async with router(cluster, form, text) as found:
        await wait_sessions(cluster, found)
        await cluster.wait_learned()

        # Reflected: the next hop is the other node, not the router.
        assert {"node2"} == cluster.learned("node1")[str(pod_cidrs("node2")[0])]
        await eventually(found.bfd_sessions, all_up, within=WITHIN, what="BFD")
        await wait_well(cluster)


@pytest.mark.parametrize("form", DRIVERS)
async def test_an_as_for_each_node_with_one_session_for_both_families(
    cluster: FabricCluster, form: str
) -> None:
    for number, name in enumerate(cluster.node_names, start=65001):
        await cluster.annotate(name, f"bgp.route-speaker.io/as-number={number}")
    await cluster.apply(bgp_peer("r1", peerIP=str(cluster.fabric.head_address(1)), ttlSecurity=1))
    await cluster.start_speakers("--fabric")

    async with router(cluster, form, await rendered(cluster, form)) as found:
        await wait_sessions(cluster, found, [Family.IPV4])
        await cluster.wait_learned()
        await wait_well(cluster)


@pytest.mark.parametrize("form", DRIVERS)
async def test_ranges_take_nodes_that_are_not_named(cluster: FabricCluster, form: str) -> None:
    await cluster.apply(
        *(bgp_peer(f"r1-{each}", peerIP=str(cluster.fabric.head_address(1, each))) for each in Family)
    )
    segment = cluster.fabric.racks[0].segment
    ranges = (f"--range={segment.v4.network}", f"--range={segment.v6.network}")
    text = await rendered(cluster, form, *ranges, "--accept=10.244.0.0/16", "--accept=fd00:10:244::/48")
    assert not [name for name in cluster.node_names if name in text]
    await cluster.start_speakers("--fabric")

    async with router(cluster, form, text) as found:
        await wait_sessions(cluster, found)
        joined = await cluster.add_node(labels={"rack": "r1"})
        await cluster.start_speakers("--fabric", nodes=[joined])
        await wait_sessions(cluster, found)
        await cluster.wait_learned()

        assert text == await rendered(
            cluster, form, *ranges, "--accept=10.244.0.0/16", "--accept=fd00:10:244::/48"
        )


@pytest.mark.parametrize("form", DRIVERS)
async def test_a_router_that_calls_the_nodes_over_several_hops(cluster: FabricCluster, form: str) -> None:
    await cluster.apply(
        """
apiVersion: bgp.route-speaker.io/v1alpha1
kind: BGPConfiguration
metadata: {name: default}
spec: {asNumber: 65010, listenPort: 1790}
""",
        bgp_peer(
            "r1",
            peerIP=str(cluster.fabric.head_address(1)),
            passive=True,
            ebgpMultihop=4,
            numAllowedLocalASNumbers=1,
            maxRestartTime="0s",
        ),
    )
    await cluster.start_speakers("--fabric")

    async with router(cluster, form, await rendered(cluster, form)) as found:
        await wait_sessions(cluster, found, [Family.IPV4])
        await cluster.wait_learned()


@pytest.mark.parametrize("form", DRIVERS)
async def test_a_reflector_with_one_session_for_both_families(cluster: FabricCluster, form: str) -> None:
    """Reflected IPv6 keeps its next hop, so that the router needs no IPv6 address of its own."""
    address = str(cluster.fabric.head_address(1))
    await cluster.apply(bgp_peer("r1", peerIP=address))
    await cluster.start_speakers("--fabric")
    result = await cluster.run("render-router", f"--router={address}", f"--format={form}")

    async with router(cluster, form, result.output) as found:
        await wait_sessions(cluster, found, [Family.IPV4])
        await cluster.wait_learned()

        assert {"node2"} == cluster.learned("node1")[str(pod_cidrs("node2")[1])]

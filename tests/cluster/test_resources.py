"""What `--fabric` watches: every Node, IPAM blocks, and our own resources as they stand."""

import asyncio

import msgspec
import pytest

from speaker.cluster import ClusterConfig, views_from_manifest
from speaker.cluster.bounded import LONGEST_PART, json_object
from speaker.model.fabric import GROUP, VERSION
from speaker.model.objects import Kind, ObjectRef, ResourceView, SubnetView
from tests.cluster.watching import (
    PREFIX,
    STORED,
    Watched,
    converged,
    create,
    delete,
    node,
    pod,
    reflecting,
    subnet,
    watching,
)
from tests.lab.kubeapi import KubeApi
from tests.lab.kubeapi.crds import IPAM_BLOCKS, OPEN_CRDS
from tests.lab.kubeapi.resources import Object
from tests.lab.waiting import eventually

PEER = ObjectRef(Kind.BGP_PEER, "", "tor")
NODE = ObjectRef(Kind.NODE, "", "node-1")


def custom(kind: Kind, name: str, **parts: object) -> Object:
    return {"apiVersion": f"{GROUP}/{VERSION}", "kind": kind.value, "metadata": {"name": name}} | parts


def tor(**spec: object) -> Object:
    return custom(Kind.BGP_PEER, "tor", spec=spec)


def change(api: KubeApi, kind: Kind, name: str, subresource: str = "", **parts: object) -> None:
    """Somebody writes other parts of an object."""
    resource = next(each for each in api.api.resources() if each.storage_key == STORED[kind])
    api.api.update(resource, "", name, lambda item: item | parts, subresource=subresource)


def relabel(api: KubeApi, name: str, **labels: str) -> None:
    resource = next(each for each in api.api.resources() if each.storage_key == STORED[Kind.NODE])
    api.api.update(
        resource, "", name, lambda item: item | {"metadata": item["metadata"] | {"labels": labels}}
    )


def heartbeat(api: KubeApi, name: str, moment: int) -> None:
    """What a kubelet writes every few minutes."""
    ready = {"type": "Ready", "status": "True", "lastHeartbeatTime": f"2026-01-01T00:00:{moment:02}Z"}
    addresses = [{"type": "InternalIP", "address": "192.0.2.1"}]
    status = {"addresses": addresses, "conditions": [ready]}
    change(api, Kind.NODE, name, "status", status=status)


def resource(seen: Watched, ref: ObjectRef) -> ResourceView:
    view = seen.views[ref]
    assert isinstance(view, ResourceView)
    return view


@pytest.fixture
def fabric(empty_api: KubeApi, empty_config: ClusterConfig) -> ClusterConfig:
    """A speaker of node-1 with `--fabric`, in a cluster that has the CRDs."""
    create(empty_api, *OPEN_CRDS, node("node-1"), node("node-2"))
    return ClusterConfig(kubeconfig=empty_config.kubeconfig, node_name="node-1", fabric=True)


# -- which kinds ---------------------------------------------------------------------------------------


async def test_a_fabric_sees_all_nodes_and_blocks_and_its_resources(
    empty_api: KubeApi, fabric: ClusterConfig
) -> None:
    block = {
        "apiVersion": "crd.projectcalico.org/v1",
        "kind": "IPAMBlock",
        "metadata": {"name": "10-0-0-0-26"},
        "spec": {"cidr": "10.0.0.0/26", "affinity": "host:node-2"},
    }
    create(empty_api, IPAM_BLOCKS, block, tor(asNumber=64512))
    create(empty_api, custom(Kind.BGP_CONFIGURATION, "default"), custom(Kind.BGP_FILTER, "f", spec={}))
    async with watching(fabric) as seen:
        await seen.synced()
        await converged(empty_api, seen)
        kinds = {ref.kind for ref in seen.views}
        assert {Kind.NODE, Kind.IPAM_BLOCK, Kind.BGP_CONFIGURATION, Kind.BGP_PEER, Kind.BGP_FILTER} <= kinds
        assert {ref.name for ref in seen.views if ref.kind is Kind.NODE} == {"node-1", "node-2"}
        assert not seen.errors()


async def test_import_without_a_fabric_sees_all_nodes_and_no_resources(
    empty_api: KubeApi, fabric: ClusterConfig
) -> None:
    create(empty_api, tor())
    config = ClusterConfig(kubeconfig=fabric.kubeconfig, node_name="node-1", all_nodes=True)
    async with watching(config) as seen:
        await seen.synced()
        assert {ref.name for ref in seen.views if ref.kind is Kind.NODE} == {"node-1", "node-2"}
        assert PEER not in seen.views
        assert f"bgppeers.{GROUP}" not in seen.health
        assert "ipamblocks.crd.projectcalico.org" in seen.health


async def test_without_either_only_the_own_node_is_watched(empty_api: KubeApi, fabric: ClusterConfig) -> None:
    create(empty_api, tor())
    async with watching(ClusterConfig(kubeconfig=fabric.kubeconfig, node_name="node-1")) as seen:
        await seen.synced()
        assert {ref.name for ref in seen.views if ref.kind in {Kind.NODE, Kind.BGP_PEER}} == {"node-1"}


async def test_who_looks_at_a_part_watches_nothing_else(empty_api: KubeApi, fabric: ClusterConfig) -> None:
    create(empty_api, pod("web"), custom(Kind.BGP_NODE_STATUS, "node-1", status={"ready": True}))
    only = frozenset({Kind.NODE, Kind.BGP_NODE_STATUS})
    async with watching(ClusterConfig(kubeconfig=fabric.kubeconfig, fabric=True, only=only)) as seen:
        await seen.synced()
        assert {ref.kind for ref in seen.views} == only
        assert seen.health.keys() == {"nodes", f"bgpnodestatuses.{GROUP}"}


async def test_without_the_crds_a_fabric_is_in_sync(empty_api: KubeApi, empty_config: ClusterConfig) -> None:
    """They may be installed later, and are seen at once then."""
    async with watching(ClusterConfig(kubeconfig=empty_config.kubeconfig, fabric=True)) as seen:
        await seen.synced()
        await eventually(lambda: empty_api.faults.watches(f"bgppeers.{GROUP}"), what="a watch of the CRD")
        create(empty_api, *OPEN_CRDS, tor(asNumber=64512))
        await eventually(lambda: PEER in seen.views, what="the BGPPeer")
        assert not seen.errors()


# -- our own resources ---------------------------------------------------------------------------------


async def test_spec_and_status_are_builtin_values(empty_api: KubeApi, fabric: ClusterConfig) -> None:
    spec = {"peerIP": "192.0.2.1", "asNumber": 4200000000, "passive": True, "filters": ["a"], "bfd": {"m": 3}}
    create(empty_api, tor(**spec))
    async with watching(fabric) as seen:
        await eventually(lambda: PEER in seen.views, what="the BGPPeer")
        view = resource(seen, PEER)
        assert (view.spec, view.status, view.generation) == (spec, {}, 1)
        assert view.meta.uid
        assert view.meta.created_at > 0
        change(empty_api, Kind.BGP_PEER, "tor", "status", status={"conditions": [{"type": "Accepted"}]})
        await eventually(lambda: resource(seen, PEER).status, what="its status")
        assert resource(seen, PEER).generation == 1
        change(empty_api, Kind.BGP_PEER, "tor", spec=spec | {"passive": False})
        await eventually(lambda: resource(seen, PEER).generation == 2, what="the change")
        assert resource(seen, PEER).status == {"conditions": [{"type": "Accepted"}]}


async def test_what_is_too_large_leaves_what_was_known(
    empty_api: KubeApi, fabric: ClusterConfig, caplog: pytest.LogCaptureFixture
) -> None:
    create(empty_api, tor(asNumber=1))
    async with watching(fabric) as seen:
        await eventually(lambda: PEER in seen.views, what="the BGPPeer")
        change(empty_api, Kind.BGP_PEER, "tor", spec={"asNumber": 2, "x": "x" * LONGEST_PART})
        await eventually(lambda: "octets, and" in str([vars(each) for each in caplog.records]))
        assert resource(seen, PEER).spec == {"asNumber": 1}
        change(empty_api, Kind.BGP_PEER, "tor", spec={"asNumber": 3})
        await eventually(lambda: resource(seen, PEER).spec == {"asNumber": 3}, what="a smaller one")


async def test_what_was_never_read_is_not_told_to_be_gone(empty_api: KubeApi, fabric: ClusterConfig) -> None:
    create(empty_api, tor(x="x" * LONGEST_PART))
    async with watching(fabric) as seen:
        await seen.synced()
        delete(empty_api, Kind.BGP_PEER, "tor")
        create(empty_api, custom(Kind.BGP_PEER, "later"))
        await eventually(lambda: ObjectRef(Kind.BGP_PEER, "", "later") in seen.views)
        assert PEER not in seen.views
        assert not seen.gone


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[1]", "BGPPeer tor: spec holds list, which is not an object"),
        ('"x"', "BGPPeer tor: spec holds str, which is not an object"),
        ('{"a":' + "[" * 9000 + "]" * 9000 + "}", "BGPPeer tor: spec is nested too deep to be read"),
        (
            '"' + "x" * LONGEST_PART + '"',
            "BGPPeer tor: spec has 262146 octets, and 262144 at most are read",
        ),
    ],
    ids=["list", "text", "deep", "large"],
)
def test_what_is_no_object_is_named(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match="BGPPeer") as caught:
        json_object(PEER, "spec", msgspec.Raw(text.encode()))
    assert str(caught.value) == sentence


@pytest.mark.parametrize("text", ["", "null", "{}"])
def test_what_is_absent_is_empty(text: str) -> None:
    assert json_object(PEER, "spec", msgspec.Raw(text.encode())) == {}


def test_a_manifest_gives_the_same_views() -> None:
    changes, problems = views_from_manifest(tor(peerIP="192.0.2.1"), PREFIX)
    assert not problems
    (only,) = changes
    assert only.ref == PEER
    assert isinstance(only.view, ResourceView)
    assert only.view.spec == {"peerIP": "192.0.2.1"}


# -- Nodes ---------------------------------------------------------------------------------------------


async def test_a_heartbeat_of_a_node_is_no_change(empty_api: KubeApi, fabric: ClusterConfig) -> None:
    async with reflecting(fabric, Kind.NODE) as seen:
        await eventually(lambda: NODE in seen.views, what="the Node")
        heartbeat(empty_api, "node-1", 1)
        await converged(empty_api, seen, Kind.NODE)
        batches = seen.batches
        for moment in range(2, 9):
            heartbeat(empty_api, "node-1", moment)
        # Events of one watch come in order: after this one the heartbeats have been taken.
        relabel(empty_api, "node-2", role="gateway")
        await converged(empty_api, seen, Kind.NODE)
        assert seen.batches == batches + 1


async def test_a_node_that_is_made_again_is_a_change(empty_api: KubeApi, fabric: ClusterConfig) -> None:
    """Its view differs by the uid alone."""
    async with reflecting(fabric, Kind.NODE) as seen:
        await eventually(lambda: NODE in seen.views, what="the Node")
        before = seen.views[NODE]
        empty_api.faults.reset_watches()
        delete(empty_api, Kind.NODE, "node-1")
        create(empty_api, node("node-1"))
        await eventually(lambda: seen.views.get(NODE, before) != before, what="the new Node")


async def test_an_equal_view_after_a_gap_is_no_change(empty_api: KubeApi, fabric: ClusterConfig) -> None:
    async with reflecting(fabric, Kind.NODE) as seen:
        await eventually(lambda: empty_api.faults.watches("/api/v1/nodes"))
        heartbeat(empty_api, "node-1", 1)
        await converged(empty_api, seen, Kind.NODE)
        batches = seen.batches
        empty_api.faults.outage = True
        empty_api.faults.reset_watches()
        heartbeat(empty_api, "node-1", 2)
        empty_api.store.compact()
        heartbeat(empty_api, "node-1", 3)
        relabel(empty_api, "node-2", role="gateway")
        empty_api.faults.outage = False
        await converged(empty_api, seen, Kind.NODE)
        assert seen.batches == batches + 1


def test_the_annotations_of_a_fabric_are_kept_on_nodes_only() -> None:
    annotations = {
        f"{GROUP}/as-number": "64513",
        "projectcalico.org/RouteReflectorClusterID": "1.0.0.1",
        "example.org/other": "x",
    }

    def kept(document: Object) -> set[str]:
        document["metadata"]["annotations"] = annotations
        changes, _ = views_from_manifest(document, PREFIX)
        assert changes[0].view is not None
        return set(changes[0].view.meta.annotations)

    assert kept(node()) == {f"{GROUP}/as-number", "projectcalico.org/RouteReflectorClusterID"}
    assert not kept(pod("web"))


# -- Subnets -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "nodes"),
    [
        ({"gatewayType": "centralized", "gatewayNode": "node-1,node-2"}, ("node-1", "node-2")),
        ({"gatewayType": "centralized", "gatewayNode": " node-1 : 192.0.2.1, node-2,"}, ("node-1", "node-2")),
        ({"gatewayType": "centralized", "gatewayNode": "a:192.0.2.1,a:192.0.2.2"}, ("a",)),
        ({"gatewayType": "centralized", "gatewayNode": "a:2001:db8::1"}, ("a",)),
        ({"gatewayType": "centralized"}, ()),
        ({"gatewayType": "distributed", "gatewayNode": "node-1"}, ()),
        ({"gatewayNode": "node-1"}, ()),
    ],
    ids=["names", "addresses", "twice", "ipv6", "none", "distributed", "unset"],
)
def test_the_gateways_of_a_centralized_subnet(spec: dict[str, str], nodes: tuple[str, ...]) -> None:
    document = subnet("s")
    document["spec"] |= spec
    changes, problems = views_from_manifest(document, PREFIX)
    assert not problems
    view = changes[0].view
    assert isinstance(view, SubnetView)
    assert view.gateway_nodes == nodes


# -- for a while ---------------------------------------------------------------------------------------

STATUS = ObjectRef(Kind.BGP_NODE_STATUS, "", "node-2")
STATUSES = f"/apis/{GROUP}/{VERSION}/bgpnodestatuses"


async def test_a_kind_is_watched_inside_the_context_only(empty_api: KubeApi, fabric: ClusterConfig) -> None:
    create(empty_api, custom(Kind.BGP_NODE_STATUS, "node-2", status={"n": 1}))
    async with watching(fabric) as seen:
        await seen.synced()
        assert STATUS not in seen.views
        async with seen.cluster.watching(Kind.BGP_NODE_STATUS) as synced:
            await synced.wait()
            assert resource(seen, STATUS).status == {"n": 1}
            await eventually(lambda: empty_api.faults.watches(STATUSES), what="the watch")
            assert f"bgpnodestatuses.{GROUP}" in {each.name for each in seen.cluster.health()}
        await eventually(lambda: not empty_api.faults.watches(STATUSES), what="the end of the watch")
        assert f"bgpnodestatuses.{GROUP}" not in {each.name for each in seen.cluster.health()}
        assert seen.cluster.in_sync


async def test_the_next_time_what_has_changed_is_told(empty_api: KubeApi, fabric: ClusterConfig) -> None:
    create(empty_api, custom(Kind.BGP_NODE_STATUS, "node-2", status={"n": 1}))
    create(empty_api, custom(Kind.BGP_NODE_STATUS, "gone", status={"n": 1}))
    async with watching(fabric) as seen:
        async with seen.cluster.watching(Kind.BGP_NODE_STATUS) as synced:
            await synced.wait()
        change(empty_api, Kind.BGP_NODE_STATUS, "node-2", "status", status={"n": 2})
        delete(empty_api, Kind.BGP_NODE_STATUS, "gone")
        async with seen.cluster.watching(Kind.BGP_NODE_STATUS) as synced:
            assert not synced.is_set()
            await synced.wait()
            assert resource(seen, STATUS).status == {"n": 2}
            assert {ref.name for ref in seen.gone} == {"gone"}


async def test_two_who_want_a_kind_share_one_watch(empty_api: KubeApi, fabric: ClusterConfig) -> None:
    async with watching(fabric) as seen, seen.cluster.watching(Kind.BGP_NODE_STATUS) as first:
        async with seen.cluster.watching(Kind.BGP_NODE_STATUS) as second:
            assert first is second
            await second.wait()
        create(empty_api, custom(Kind.BGP_NODE_STATUS, "node-2"))
        await eventually(lambda: STATUS in seen.views, what="news after one has left")
        opened = [each for each in empty_api.requests if STATUSES in each and "watch=true" in each]
        assert len(opened) == 1


async def test_a_kind_that_may_not_be_read_does_not_hold_up_the_rest(
    empty_api: KubeApi, fabric: ClusterConfig
) -> None:
    empty_api.faults.answer_next(403, STATUSES, times=999)
    async with watching(fabric) as seen:
        await seen.synced()
        async with seen.cluster.watching(Kind.BGP_NODE_STATUS) as synced:
            await eventually(lambda: seen.errors(f"bgpnodestatuses.{GROUP}"), what="the refusal")
            assert not synced.is_set()
            assert seen.cluster.in_sync
            assert all(each.synced for each in seen.cluster.health())


async def test_what_is_watched_for_a_while_ends_with_the_cluster(fabric: ClusterConfig) -> None:
    async with watching(fabric) as seen:
        inside = seen.cluster.watching(Kind.BGP_NODE_STATUS)
        await (await inside.__aenter__()).wait()
    await asyncio.sleep(0)
    seen.cluster.set_secrets(frozenset({"late"}))
    await inside.__aexit__(None, None, None)

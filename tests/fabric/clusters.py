"""Clusters of Nodes with sane defaults, so that a test names only what it is about."""

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, ip_address, ip_network
from typing import Any

from speaker.fabric.design import Design, Plan
from speaker.fabric.selector import parse
from speaker.model.fabric import BgpConfiguration, BgpPeer, FabricNode, SecretKeyRef
from speaker.model.objects import Kind, Meta, ObjectRef, ResourceView
from speaker.model.peer import Password, Peer

CLUSTER_ID = IPv4Address("244.0.0.1")
MESH = BgpConfiguration(node_to_node_mesh_enabled=True)
REFLECTING = BgpConfiguration(route_reflector_selector=parse("has(rr)"))


def fabric_node(
    number: int,
    *,
    reflects: bool = False,
    addresses: Iterable[str] | None = None,
    labels: Mapping[str, str] | None = None,
    **fields: Any,
) -> FabricNode:
    """`node<number>`, dual stack, with Pod CIDRs of both families; a reflector carries the label `rr`."""
    given = (f"10.0.{number // 256}.{number % 256}", f"fd00::{number:x}") if addresses is None else addresses
    values = tuple(ip_address(text) for text in given)
    first = values[0] if values else None
    return FabricNode(
        **{
            "name": f"node{number}",
            "labels": {**({"rr": ""} if reflects else {}), **(labels or {})},
            "addresses": values,
            "cluster_id": CLUSTER_ID if reflects else None,
            "router_id": first if isinstance(first, IPv4Address) else None,
            "pod_cidrs": (
                ip_network(f"10.{128 + number // 256}.{number % 256}.0/24"),
                ip_network(f"fd00:10:{number:x}::/64"),
            ),
        }
        | fields
    )


def by_name(*nodes: FabricNode) -> dict[str, FabricNode]:
    return {node.name: node for node in nodes}


def cluster(count: int, *, reflectors: int = 0, **fields: Any) -> dict[str, FabricNode]:
    """`node1` and so on; the first ones reflect."""
    return by_name(*(fabric_node(at, reflects=at <= reflectors, **fields) for at in range(1, count + 1)))


def bgp_peer(name: str = "peer", **fields: Any) -> BgpPeer:
    """A BGPPeer; selectors and the address are texts."""
    for key in ("node_selector", "peer_selector"):
        if isinstance(fields.get(key), str):
            fields[key] = parse(fields[key])
    if isinstance(fields.get("peer_ip"), str):
        fields["peer_ip"] = ip_address(fields["peer_ip"])
    return BgpPeer(name=name, **fields)


CLIENTS = bgp_peer("clients", node_selector="!has(rr)", peer_selector="has(rr)")
"""Every Node that does not reflect peers with every one that does."""


def no_secret(ref: SecretKeyRef) -> Password | None:
    del ref
    return None


def plan(nodes: Mapping[str, FabricNode], configuration: BgpConfiguration = MESH, *peers: BgpPeer) -> Plan:
    return Plan(nodes, configuration, peers)


def part(
    own: str, nodes: Mapping[str, FabricNode], configuration: BgpConfiguration = MESH, *peers: BgpPeer
) -> Design:
    """One Node's design, without any Secret."""
    return plan(nodes, configuration, *peers).of(own, no_secret)


def peers_of(design: Design) -> dict[str, Peer]:
    return {peer.name: peer for peer in design.peers}


def resource(kind: Kind, name: str, spec: Mapping[str, object] | None = None, **fields: Any) -> ResourceView:
    """One of our resources as the API has it."""
    uid = fields.pop("uid", f"uid-of-{name}")
    created_at = fields.pop("created_at", 0.0)
    meta = Meta(ref=ObjectRef(kind, "", name), uid=uid, created_at=created_at, annotations={})
    return ResourceView(meta=meta, spec=spec or {}, **fields)

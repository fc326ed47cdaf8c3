"""The texts for all routers, word for word; those for FRR and BIRD are also loaded (`test_real_routers`).

Of Arista EOS and Junos there is no daemon here. Their lines rest on the vendors' documentation:

EOS  `neighbor G peer group`, `remote-as`, `timers KEEPALIVE HOLD`, `passive`, `password 0`, `ebgp-multihop`,
     `ttl maximum-hops`, `route-reflector-client`, `bfd interval ... min-rx ... multiplier`, `maximum-routes`
     stand in `router bgp`; `activate`, `route-map`, `additional-paths` and `next-hop address-family ipv6
     originate` in the address family. IPv4 is activated unasked. `maximum-routes` is 12000 unless it is said.
     A reflector that has next-hop-self changes the next hop of reflected routes too, unless `bgp
     route-reflector preserve-attributes` is set. `bgp listen range P peer-group G remote-as N` takes callers.
     Helping a peer that restarts is on by default.
Junos  `type internal` with `cluster` makes a reflector, `allow` takes callers, `passive` does not call.
     What the own policies accept of `route-type external` gets the next hop self, the rest keeps it.
     `multipath` lets BGP use several paths, the forwarding-table policy `load-balance per-packet` lets
     the kernel. `advertise-peer-as` sends a peer routes with its own AS number, which Junos otherwise does
     not. Helper mode is on by default. A KEEPALIVE is sent every third of the hold time.
"""

from collections.abc import Iterable
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from speaker.fabric.design import Plan
from speaker.fabric.render.formats import FORMATS
from speaker.fabric.render.gathering import router_side
from speaker.fabric.render.side import Asked, RouterSide
from speaker.model.fabric import AddPaths, BgpConfiguration, SecretKeyRef
from speaker.model.peer import BfdTimers
from tests.fabric.clusters import bgp_peer, by_name, fabric_node, plan

GOLDEN = Path(__file__).parent / "golden"
TIMERS = BfdTimers(transmit_milliseconds=300, receive_milliseconds=500, multiplier=4)


def reflector() -> RouterSide:
    """A router inside the AS, with a session of each family, passwords, BFD and several paths."""
    password = SecretKeyRef(name="rack-peers", key="r1")
    peers = [
        bgp_peer(f"rack-{address.split('.')[0]}", peer_ip=address, as_number=64512, password=password,
                 bfd=TIMERS, add_paths=AddPaths.BOTH)
        for address in ("10.0.0.254", "fd00::fe")
    ]  # fmt: skip
    cluster = plan(by_name(fabric_node(1), fabric_node(2)), BgpConfiguration(), *peers)
    return side(cluster, ("10.0.0.254", "fd00::fe"))


def external() -> RouterSide:
    """A router of another AS that calls Nodes with AS numbers of their own, several hops away."""
    peer = bgp_peer(
        "tor", peer_ip="10.9.0.1", as_number=65000, passive=True, ebgp_multihop=3, hold_time_seconds=30,
        num_allowed_local_as_numbers=1,
    )  # fmt: skip
    nodes = by_name(fabric_node(1, as_number=65001), fabric_node(2, as_number=65002))
    return side(plan(nodes, BgpConfiguration(listen_port=1790), peer), ("10.9.0.1",), max_prefixes=500)


def ranges() -> RouterSide:
    """Whoever calls over IPv6 with IPv4 routes in it, from the same link alone."""
    peer = bgp_peer(
        "tor", peer_ip="fd00::fe", peer_port=1179, as_number=65000, ttl_security=1, extended_next_hop=True
    )
    cluster = plan(by_name(fabric_node(1), fabric_node(2)), BgpConfiguration(), peer)
    return side(cluster, ("fd00::fe",), ranges=("fd00::/64",), accepted=("10.128.0.0/9", "192.0.2.0/24"))


def side(
    cluster: Plan,
    addresses: Iterable[str],
    *,
    ranges: Iterable[str] = (),
    accepted: Iterable[str] = (),
    max_prefixes: int | None = None,
) -> RouterSide:
    """The router at these addresses, with the Pod CIDRs of all Nodes."""
    return router_side(
        cluster,
        [cidr for node in cluster.whole.speakers.values() for cidr in node.pod_cidrs],
        Asked(
            addresses=tuple(map(ip_address, addresses)),
            ranges=tuple(map(ip_network, ranges)),
            accepted=tuple(map(ip_network, accepted)),
            max_prefixes=max_prefixes,
        ),
    )


SIDES = {"reflector": reflector, "external": external, "ranges": ranges}


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", SIDES)
def test_the_text_is_the_golden_one(name: str, form: str) -> None:
    file = GOLDEN / f"{name}-{form}.conf"

    assert file.read_text(encoding="utf-8") == FORMATS[form](SIDES[name]())

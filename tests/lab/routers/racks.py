"""Who talks to whom on a fabric (`tests.lab.net.fabric`), as configurations of routers.

Each rack has an AS number. Its router reflects to the nodes of its rack, whoever calls from the segment,
and has a session of eBGP with every other router, from loopback address to loopback address. Each family
has sessions of its own. A node may have a router of its own in place of a speaker.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from speaker.model.prefix import Family, Prefix
from tests.lab.net.fabric import Fabric
from tests.lab.routers.config import Neighbor, RouterConfig, StaticRoute

_NOTHING: Mapping[str, Any] = {}


def rack_config(
    fabric: Fabric,
    rack: int,
    asns: Sequence[int],
    *,
    client: Mapping[str, Any] = _NOTHING,
    trunk: Mapping[str, Any] = _NOTHING,
    **options: Any,
) -> RouterConfig:
    """The router of a rack, counted from 1; `asns` has the AS numbers of all of them.

    `client` and `trunk` are options of `Neighbor` for its nodes and for the other routers that differ
    from what they are here, `options` those of `RouterConfig`.
    """
    clients = [_clients(fabric, rack, family, asns[rack - 1], client) for family in Family]
    others = [
        _other(fabric, rack, each.number, family, asns[each.number - 1], trunk)
        for each in fabric.racks
        if each.number != rack
        for family in Family
    ]
    router_id = str(fabric.loopback(rack))
    # With a cluster ID of its own a rack may have a second reflector.
    statics = tuple(
        StaticRoute(prefix=prefix, gateways=gateways)
        for prefix, gateways in fabric.static_routes(rack).items()
    )
    values: dict[str, Any] = {"cluster_id": router_id, "static_routes": statics} | options
    return RouterConfig(asn=asns[rack - 1], router_id=router_id, neighbors=tuple(clients + others), **values)


def reflector_config(
    fabric: Fabric,
    name: str,
    asn: int,
    *others: str,
    client: Mapping[str, Any] = _NOTHING,
    **options: Any,
) -> RouterConfig:
    """A reflector on a host of its own (`Fabric.add_host`), for whoever calls from the segment.

    `others` are hosts with reflectors too: those are no clients. It forwards nothing.
    """
    rack = fabric.rack_of(name).number
    clients = [_clients(fabric, rack, family, asn, client) for family in Family]
    reflectors = [
        Neighbor(where=fabric.address(other, family), asn=asn, families=(family,))
        for other in others
        for family in Family
    ]
    router_id = str(fabric.address(name))
    values: dict[str, Any] = {"cluster_id": router_id} | options
    return RouterConfig(asn=asn, router_id=router_id, neighbors=tuple(clients + reflectors), **values)


def client_config(
    fabric: Fabric,
    node: str,
    asn: int,
    *prefixes: Prefix,
    reflectors: Sequence[str] = (),
    **options: Any,
) -> RouterConfig:
    """A stand-in for the speaker of a node: a client that originates the prefixes.

    Its reflectors are its rack's router, or those on hosts of the given names.
    """
    rack = fabric.rack_of(node).number
    neighbors = tuple(
        Neighbor(where=address, asn=asn, families=(family,))
        for family in Family
        for address in (
            [fabric.address(name, family) for name in reflectors] or [fabric.head_address(rack, family)]
        )
    )
    router_id = str(fabric.address(node))
    return RouterConfig(asn=asn, router_id=router_id, neighbors=neighbors, originate=prefixes, **options)


def _clients(fabric: Fabric, rack: int, family: Family, asn: int, options: Mapping[str, Any]) -> Neighbor:
    """All that call from the segment of the rack."""
    segment = fabric.racks[rack - 1].segment
    network = segment.v6.network if family is Family.IPV6 else segment.v4.network
    values: dict[str, Any] = {"passive": True, "rr_client": True, "families": (family,)} | dict(options)
    return Neighbor(where=network, asn=asn, **values)


def _other(
    fabric: Fabric, rack: int, other: int, family: Family, asn: int, options: Mapping[str, Any]
) -> Neighbor:
    """The router of another rack, which stays reachable as long as one of the links is."""
    own = fabric.loopback(rack, family)
    values: dict[str, Any] = {"local_address": own, "multihop": True, "families": (family,)} | dict(options)
    return Neighbor(where=fabric.loopback(other, family), asn=asn, **values)

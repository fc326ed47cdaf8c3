"""BGPConfiguration and BGPPeer as they stand in the API, read into checked values.

Knows the fields, their limits and what excludes what: the same as the schemas and CEL rules of the
CustomResourceDefinitions, which an old API server does not enforce. Knows no other resource: whether a
filter or a Secret exists is found out later.
"""

from collections.abc import Iterable, Mapping
from typing import TypeVar

from annotations.values import Communities
from speaker.fabric import scalars
from speaker.fabric.fields import FieldProblem, Fields, ResourceError
from speaker.fabric.filter_reading import read_filter
from speaker.model.fabric import (
    AddPaths,
    BgpConfiguration,
    BgpPeer,
    PrefixAdvertisement,
    ReversePeering,
    SecretKeyRef,
    SourceAddress,
)
from speaker.model.objects import ResourceView
from speaker.model.peer import BfdTimers, NextHopMode
from speaker.model.prefix import Address
from speaker.model.route import PathAttributes

__all__ = ["DEFAULT_NAME", "ResourceError", "read_configuration", "read_filter", "read_peer"]

T = TypeVar("T")

DEFAULT_NAME = "default"
"""The only BGPConfiguration that counts."""

DEFAULT_HOLD_TIME = 90
MOST_COMMUNITIES = 64
MOST_PREFIXES = 256
MOST_FILTERS = 16
MOST_ALLOWED_LOCAL_ASNS = 10
LARGEST_PREFIX_LIMIT = 10_000_000

HOLD_TIME = scalars.seconds(3, 65535, zero=True)
RESTART_TIME = scalars.seconds(1, 4095, zero=True)


def read_configuration(view: ResourceView) -> BgpConfiguration:
    """A BGPConfiguration; raises ResourceError, with every problem."""
    problems: list[FieldProblem] = []
    spec = Fields(view.spec, "spec", problems)
    if view.meta.ref.name != DEFAULT_NAME:
        problems.append(
            FieldProblem(
                "metadata.name", repr(view.meta.ref.name), f"must be {DEFAULT_NAME}: no other counts"
            )
        )
    named = _communities(spec)
    found = BgpConfiguration(
        as_number=spec.get("asNumber", scalars.as_number, 64512),
        node_to_node_mesh_enabled=spec.get("nodeToNodeMeshEnabled", scalars.boolean, default=False),
        node_mesh_max_restart_time_seconds=spec.get("nodeMeshMaxRestartTime", RESTART_TIME, 120),
        node_mesh_password=_password(spec, "nodeMeshPassword"),
        listen_port=spec.get("listenPort", scalars.number(1, 65535), 179),
        prefix_advertisements=_prefix_advertisements(spec, named),
        route_reflector_selector=spec.get("routeReflectorSelector", scalars.label_selector, None),
        import_prefixes=tuple(dict.fromkeys(spec.many("importPrefixes", scalars.prefix, MOST_PREFIXES))),
        switch_deadline_seconds=spec.get("switchDeadline", scalars.seconds(1, 3600, zero=True), 120),
        hold_time_seconds=spec.get("holdTime", HOLD_TIME, DEFAULT_HOLD_TIME),
        bfd=_bfd(spec),
    )
    spec.close()
    return _checked(found, problems)


def read_peer(view: ResourceView) -> BgpPeer:
    """A BGPPeer; raises ResourceError, with every problem."""
    problems: list[FieldProblem] = []
    spec = Fields(view.spec, "spec", problems)
    address, port = _peer_ip(spec)
    found = BgpPeer(
        name=view.meta.ref.name,
        uid=view.meta.uid,
        created_at=view.meta.created_at,
        node=spec.get("node", scalars.name, ""),
        node_selector=spec.get("nodeSelector", scalars.label_selector, None),
        peer_ip=address,
        peer_port=port,
        peer_selector=spec.get("peerSelector", scalars.label_selector, None),
        reverse_peering=spec.get("reversePeering", scalars.choice(ReversePeering), ReversePeering.AUTO),
        as_number=spec.get("asNumber", scalars.as_number, None),
        local_as_number=spec.get("localASNumber", scalars.as_number, None),
        source_address=spec.get("sourceAddress", scalars.choice(SourceAddress), SourceAddress.USE_NODE_IP),
        password=_password(spec, "password"),
        ttl_security=spec.get("ttlSecurity", scalars.number(1, 254), None),
        ebgp_multihop=spec.get("ebgpMultihop", scalars.number(1, 255), None),
        passive=spec.get("passive", scalars.boolean, default=False),
        hold_time_seconds=spec.get("holdTime", HOLD_TIME, None),
        keepalive_time_seconds=spec.get("keepaliveTime", scalars.seconds(1, 65534), None),
        connect_retry_seconds=spec.get("connectRetry", scalars.fractional_seconds(0.1, 3600), None),
        max_restart_time_seconds=spec.get("maxRestartTime", RESTART_TIME, None),
        bfd=_bfd(spec),
        add_paths=spec.get("addPaths", scalars.choice(AddPaths), None),
        next_hop_mode=spec.get("nextHopMode", scalars.choice(NextHopMode), NextHopMode.AUTO),
        num_allowed_local_as_numbers=spec.get(
            "numAllowedLocalASNumbers", scalars.number(0, MOST_ALLOWED_LOCAL_ASNS), 0
        ),
        remove_private_as_numbers=spec.get("removePrivateASNumbers", scalars.boolean, default=False),
        max_prefixes=spec.get("maxPrefixes", scalars.number(1, LARGEST_PREFIX_LIMIT), None),
        filters=tuple(dict.fromkeys(spec.many("filters", scalars.name, MOST_FILTERS))),
        families=frozenset(spec.many("families", scalars.family, 2)),
        extended_next_hop=spec.get("extendedNextHop", scalars.boolean, default=False),
    )
    _check_ends(spec, found)
    _check_session(spec, found)
    spec.close()
    return _checked(found, problems)


def _checked(found: T, problems: list[FieldProblem]) -> T:
    if problems:
        raise ResourceError(tuple(problems))
    return found


def _check_ends(spec: Fields, peer: BgpPeer) -> None:
    """Who peers with whom: what excludes and what needs what."""
    if spec.has("node") and spec.has("nodeSelector"):
        spec.wrong("nodeSelector", "excludes node: one of the two says which Nodes")
    if spec.has("peerIP") and spec.has("peerSelector"):
        spec.wrong("peerSelector", "excludes peerIP: one of the two says whom to peer with")
    if not spec.has("peerIP") and not spec.has("peerSelector"):
        spec.wrong("peerIP", "is missing: this or peerSelector says whom to peer with")
    if spec.has("peerIP") and not spec.has("peerSelector") and not spec.has("asNumber"):
        spec.wrong("asNumber", "is missing: it belongs to peerIP")
    if spec.has("peerSelector") and not spec.has("peerIP") and spec.has("asNumber"):
        spec.wrong("asNumber", "belongs to peerIP; with peerSelector the Nodes' own AS numbers count")
    if peer.reverse_peering is ReversePeering.MANUAL and not spec.has("peerSelector"):
        spec.wrong(
            "reversePeering", "belongs to peerSelector: a peer outside the cluster has its own settings"
        )


def _check_session(spec: Fields, peer: BgpPeer) -> None:
    """What the settings of one session say of each other."""
    hold_time = DEFAULT_HOLD_TIME if peer.hold_time_seconds is None else peer.hold_time_seconds
    if peer.keepalive_time_seconds is not None and hold_time and peer.keepalive_time_seconds >= hold_time:
        spec.wrong("keepaliveTime", f"must be less than holdTime ({hold_time}s), at best a third of it")
    if spec.has("ttlSecurity") and spec.has("ebgpMultihop"):
        spec.wrong("ttlSecurity", "excludes ebgpMultihop: it counts the hops by itself")
    if peer.extended_next_hop and peer.peer_ip is not None and peer.peer_ip.version == 4:
        spec.wrong("extendedNextHop", "is for IPv6 sessions (RFC 8950), and this peerIP is IPv4")


def _peer_ip(spec: Fields) -> tuple[Address | None, int | None]:
    absent: tuple[Address | None, int | None] = (None, None)
    return spec.get("peerIP", scalars.peer_ip, absent)


def _password(spec: Fields, name: str) -> SecretKeyRef | None:
    """`secretKeyRef` in a field; never shows a text that stands where the reference belongs."""
    password = spec.mapping(name, secret=True)
    if password is None:
        return None
    reference = password.mapping("secretKeyRef", secret=True)
    password.close()
    if reference is None:
        password.require("secretKeyRef")
        return None
    secret, key = reference.get("name", scalars.name, ""), reference.get("key", scalars.key, "")
    reference.close()
    reference.require("name", "key")
    return SecretKeyRef(name=secret, key=key)


def _bfd(spec: Fields) -> BfdTimers | None:
    """`bfd`: an empty mapping turns it on with its defaults."""
    bfd = spec.mapping("bfd")
    if bfd is None:
        return None
    found = BfdTimers(
        transmit_milliseconds=bfd.get("minTx", scalars.milliseconds, 1000),
        receive_milliseconds=bfd.get("minRx", scalars.milliseconds, 1000),
        multiplier=bfd.get("multiplier", scalars.number(2, 255), 3),
        multihop=bfd.get("multihop", scalars.boolean, None),
    )
    bfd.close()
    return found


def _communities(spec: Fields) -> Mapping[str, Communities]:
    """`communities`: the values by their names."""
    found: dict[str, Communities] = {}
    for each in spec.mappings("communities", MOST_COMMUNITIES):
        name = each.get("name", scalars.community_name, "")
        value = each.get("value", scalars.community, Communities())
        each.require("name", "value")
        each.close()
        if name in found:
            each.wrong("name", "is there twice")
        found[name] = value
    return found


def _prefix_advertisements(spec: Fields, named: Mapping[str, Communities]) -> tuple[PrefixAdvertisement, ...]:
    """`prefixAdvertisements`, with the communities that they name."""

    def community(value: object) -> Communities:
        by_name = named.get(scalars.text(value))
        if by_name is not None:
            return by_name
        try:
            return scalars.community(value)
        except ValueError:
            raise ValueError("must be a name in communities, or a value such as 65000:100") from None

    found = []
    for each in spec.mappings("prefixAdvertisements", MOST_PREFIXES):
        cidr = each.get("cidr", scalars.prefix, None)
        attributes = _attributes(each.many("communities", community, MOST_COMMUNITIES))
        each.require("cidr", "communities")
        each.close()
        if cidr is not None:
            found.append(PrefixAdvertisement(cidr=cidr, attributes=attributes))
    return tuple(found)


def _attributes(communities: Iterable[Communities]) -> PathAttributes:
    given = tuple(communities)
    return PathAttributes(
        communities=tuple(sorted({each for one in given for each in one.standard})),
        large_communities=tuple(sorted({each for one in given for each in one.large})),
        extended_communities=tuple(sorted({each for one in given for each in one.extended})),
    )

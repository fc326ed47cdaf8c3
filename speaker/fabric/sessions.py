"""The settings of one session: between two Nodes, or with a router outside the cluster.

Knows two ends and the resources that speak of them. Must not know why they peer. What is written here
comes out the same on both ends of a session between Nodes, each seen from its side.
"""

from dataclasses import dataclass
from hashlib import sha256
from ipaddress import IPv4Address, IPv6Address
from typing import TypeVar

from speaker.fabric.membership import Link, Membership
from speaker.model.fabric import AddPaths, BgpPeer, FabricNode, SourceAddress
from speaker.model.peer import GracefulRestart, Password, Peer
from speaker.model.prefix import Address, Family, family_of

NODE_TTL = 64
"""Between Nodes any number of routers may stand."""

NODE_CONNECT_RETRY_SECONDS = 10.0
"""A Node that comes back is peered with again sooner than a router would be."""

EXTERNAL_RESTART_SECONDS = 120
"""`maxRestartTime` of a peer outside the cluster when its BGPPeer does not say."""

EXTERNAL_HOLD_SECONDS = 90
EXTERNAL_CONNECT_RETRY_SECONDS = 30.0
DEFAULT_PORT = 179

_T = TypeVar("_T")

_SWAPPED = {AddPaths.SEND: AddPaths.RECEIVE, AddPaths.RECEIVE: AddPaths.SEND}


def router_id_of(node: FabricNode) -> IPv4Address:
    """Its BGP Identifier; for a Node with no IPv4 address one that follows from its name (RFC 6286)."""
    return node.router_id or IPv4Address(int.from_bytes(sha256(node.name.encode()).digest()[:4]) or 1)


@dataclass(frozen=True, slots=True)
class Ends:
    """The two addresses of a session between Nodes, and the families that it can carry."""

    own: Address
    other: Address
    families: frozenset[Family]


def ends_of(own: FabricNode, other: FabricNode, wanted: frozenset[Family] = frozenset()) -> Ends | None:
    """Where two Nodes meet: over IPv4 if both have it, else over IPv6; None when they cannot.

    An IPv4 session carries IPv6 too if both have addresses of it. On an IPv6 session IPv4 travels with
    IPv6 next hops (RFC 8950), for Nodes without IPv4 addresses may have Pods with them.

    Args:
        own: this end.
        other: the other end.
        wanted: the families that the BGPPeer permits; empty permits all.
    """
    here = {family_of(address): address for address in own.addresses}
    there = {family_of(address): address for address in other.addresses}
    common = here.keys() & there.keys()
    if not common:
        return None
    over = Family.IPV4 if Family.IPV4 in common else Family.IPV6
    families = frozenset(Family) if over is Family.IPV6 else frozenset(common)
    families = families & wanted if wanted else families
    if not families or here[over] == there[over]:
        return None
    return Ends(here[over], there[over], families)


def as_numbers(whole: Membership, own: str, other: str, link: Link) -> tuple[int, int]:
    """The AS numbers of both ends on their session: ours, theirs.

    What one end calls its local AS number is what the other has to expect.
    """
    ours, theirs = whole.as_number(own), whole.as_number(other)
    terms = link.terms
    if terms is None:
        return ours, theirs
    if link.forward:
        ours, theirs = terms.local_as_number or ours, terms.as_number or theirs
    else:
        ours = terms.as_number or ours
    if link.backward:
        theirs = terms.local_as_number or theirs
    return ours, theirs


def is_client(whole: Membership, own: str, other: str, link: Link) -> bool:
    """Whether the other end is a client of this one: of a reflector every internal peer is but reflectors."""
    ours, theirs = as_numbers(whole, own, other, link)
    return own in whole.reflectors and other not in whole.reflectors and ours == theirs


def node_peer(whole: Membership, own: str, other: str, link: Link, password: Password | None) -> Peer | None:
    """The session of a Node with another; None when they have no family in common."""
    here, there, configuration = whole.speakers[own], whole.speakers[other], whole.configuration
    terms = link.terms or _NO_TERMS
    ends = ends_of(here, there, terms.families)
    if ends is None:
        return None
    ours, theirs = as_numbers(whole, own, other, link)
    paths = _paths(terms.add_paths or AddPaths.BOTH, link)
    restart = _given(terms.max_restart_time_seconds, configuration.node_mesh_max_restart_time_seconds)
    return Peer(
        name=other,
        node=other,
        address=ends.other,
        source=ends.own if terms.source_address is SourceAddress.USE_NODE_IP else None,
        port=_given(terms.peer_port, configuration.listen_port),
        asn=theirs,
        local_asn=ours,
        router_id=router_id_of(here),
        families=ends.families,
        passive=_waits(ends, terms, link),
        multihop_ttl=_given(terms.ebgp_multihop, NODE_TTL),
        ttl_security_hops=terms.ttl_security,
        password=password,
        hold_time_seconds=_given(terms.hold_time_seconds, configuration.hold_time_seconds),
        keepalive_seconds=terms.keepalive_time_seconds,
        connect_retry_seconds=_given(terms.connect_retry_seconds, NODE_CONNECT_RETRY_SECONDS),
        extended_next_hop=ends.own.version == 6 and Family.IPV4 in ends.families,
        graceful_restart=_graceful_restart(restart),
        add_path_send=paths in {AddPaths.SEND, AddPaths.BOTH},
        add_path_receive=paths in {AddPaths.RECEIVE, AddPaths.BOTH},
        max_prefixes=terms.max_prefixes,
        bfd=terms.bfd or configuration.bfd,
        imports=True,
        client=is_client(whole, own, other, link),
        cluster_id=here.cluster_id if own in whole.reflectors and ours == theirs else None,
        next_hop_mode=terms.next_hop_mode,
        allowed_local_asns=terms.num_allowed_local_as_numbers,
        remove_private_asns=terms.remove_private_as_numbers,
        filters=terms.filters,
    )


def router_peer(
    whole: Membership,
    own: str,
    address: Address,
    terms: BgpPeer,
    password: Password | None,
    configured: frozenset[Family],
) -> Peer:
    """The session of a Node with a router outside the cluster.

    Args:
        whole: the cluster.
        own: the Node.
        address: the router's address.
        terms: the BGPPeer that names it; without `asNumber` the router is in the Node's AS.
        password: the TCP MD5 key.
        configured: the families that the Node's routers have addresses of. A session offers its own
            family, and the other when no router has an address of it: else all is heard twice.
    """
    node = whole.speakers[own]
    ours = terms.local_as_number or whole.as_number(own)
    theirs = terms.as_number or ours
    family = family_of(address)
    families = terms.families or frozenset({family} | (set(Family) - configured))
    if terms.extended_next_hop and not terms.families:
        families = frozenset(Family)
    return Peer(
        name=str(address),
        address=address,
        source=_source(node, address) if terms.source_address is SourceAddress.USE_NODE_IP else None,
        port=_given(terms.peer_port, DEFAULT_PORT),
        asn=theirs,
        local_asn=ours,
        router_id=router_id_of(node),
        families=families,
        passive=terms.passive,
        multihop_ttl=_given(terms.ebgp_multihop, 1),
        ttl_security_hops=terms.ttl_security,
        password=password,
        hold_time_seconds=_given(terms.hold_time_seconds, EXTERNAL_HOLD_SECONDS),
        keepalive_seconds=terms.keepalive_time_seconds,
        connect_retry_seconds=_given(terms.connect_retry_seconds, EXTERNAL_CONNECT_RETRY_SECONDS),
        extended_next_hop=terms.extended_next_hop and family is Family.IPV6 and Family.IPV4 in families,
        graceful_restart=_graceful_restart(_given(terms.max_restart_time_seconds, EXTERNAL_RESTART_SECONDS)),
        add_path_send=terms.add_paths in {AddPaths.SEND, AddPaths.BOTH},
        add_path_receive=terms.add_paths in {AddPaths.RECEIVE, AddPaths.BOTH},
        max_prefixes=terms.max_prefixes,
        bfd=terms.bfd,
        imports=True,
        cluster_id=node.cluster_id if own in whole.reflectors and theirs == ours else None,
        next_hop_mode=terms.next_hop_mode,
        allowed_local_asns=terms.num_allowed_local_as_numbers,
        remove_private_asns=terms.remove_private_as_numbers,
        filters=terms.filters,
    )


_NO_TERMS = BgpPeer(name="")
"""A BGPPeer that says nothing: all is as in the mesh."""


def _given(value: _T | None, default: _T) -> _T:
    return default if value is None else value


def _paths(asked: AddPaths, link: Link) -> AddPaths:
    """In which directions this end offers ADD-PATH: what one end sends the other has to receive."""
    if asked not in _SWAPPED or not link.backward:
        return asked
    return AddPaths.BOTH if link.forward else _SWAPPED[asked]


def _graceful_restart(seconds: int) -> GracefulRestart | None:
    return GracefulRestart(restart_time_seconds=seconds) if seconds else None


def _source(node: FabricNode, address: Address) -> Address | None:
    """The Node's address of the same family.

    A link-local neighbour is reached from a link-local address alone, which the kernel knows.
    """
    if isinstance(address, IPv6Address) and address.is_link_local:
        return None
    return next((each for each in node.addresses if each.version == address.version), None)


def _waits(ends: Ends, terms: BgpPeer, link: Link) -> bool:
    """Whether the other end dials: the lower address does, unless `passive` makes one of the ends wait."""
    if terms.passive and link.forward != link.backward:
        return link.forward
    return int(ends.own) > int(ends.other)

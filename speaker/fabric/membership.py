"""Who peers with whom: the mesh, the reflectors and the BGPPeers, by name.

Knows Nodes, the BGPConfiguration and the BGPPeers. Must not know what a session is like: that is
`speaker.fabric.sessions`. Computed once for the whole cluster; what one Node peers with then costs no
more than the Nodes and the BGPPeers that concern it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from speaker.model.fabric import BgpConfiguration, BgpPeer, FabricNode, ReversePeering, Selector
from speaker.model.prefix import Address


@dataclass(frozen=True, slots=True)
class Link:
    """Why two Nodes peer, seen from one of them.

    Attributes:
        origin: "mesh", "reflectors" or "BGPPeer <name>".
        terms: the BGPPeer whose settings hold; None for those of the BGPConfiguration.
        forward: this end is among the Nodes of the BGPPeer and the other among its peers.
        backward: the other end is among the Nodes and this one among the peers.
    """

    origin: str
    terms: BgpPeer | None = None
    forward: bool = True
    backward: bool = True


MESH = Link("mesh")
REFLECTORS = Link("reflectors")


def age(peer: BgpPeer) -> tuple[float, str]:
    """What decides between two BGPPeers that say different things: the older counts, then the name."""
    return peer.created_at, peer.name


class Binding:
    """A BGPPeer between Nodes, with the Nodes that its two sides choose.

    Args:
        terms: the BGPPeer.
        near: the Nodes of `node` and `nodeSelector`.
        far: those of `peerSelector`, or the one whose address is `peerIP`.
    """

    def __init__(self, terms: BgpPeer, near: Iterable[str], far: Iterable[str]) -> None:
        self.terms = terms
        self.near = dict.fromkeys(near)
        self.far = dict.fromkeys(far)
        self.origin = f"BGPPeer {terms.name}"
        self._forward = Link(self.origin, terms, forward=True, backward=False)
        self._both = Link(self.origin, terms, forward=True, backward=True)
        self._backward = Link(self.origin, terms, forward=False, backward=True)

    @property
    def members(self) -> Iterable[str]:
        """Every Node on either side, each once."""
        return self.near | self.far

    def add_links(self, own: str, links: dict[str, Link]) -> None:
        """Add the sessions of one Node that nothing older has asked for."""
        reverse = own in self.far and self.terms.reverse_peering is ReversePeering.AUTO
        if own in self.near:
            for name in self.far:
                if name != own and name not in links:
                    links[name] = self._both if reverse and name in self.near else self._forward
        if reverse:
            for name in self.near:
                if name != own and name not in links:
                    links[name] = self._backward

    def overlaps(self, other: "Binding") -> bool:
        """Whether both bind the same two Nodes, in whichever direction."""
        return _has_pair(self.near, other.near, self.far, other.far) or _has_pair(
            self.near, other.far, self.far, other.near
        )


Names = dict[str, None]


def _has_pair(first: Names, second: Names, third: Names, fourth: Names) -> bool:
    """Whether two different names can be chosen: one in the first two, the other in the last two."""
    ones = first.keys() & second.keys()
    return bool(ones) and any(other not in ones or len(ones) > 1 for other in third.keys() & fourth.keys())


class Membership:
    """Every session of the cluster by name.

    Args:
        nodes: every Node by name.
        configuration: the BGPConfiguration that counts.
        peers: every BGPPeer that was accepted.
    """

    def __init__(
        self, nodes: Mapping[str, FabricNode], configuration: BgpConfiguration, peers: Iterable[BgpPeer]
    ) -> None:
        self.configuration = configuration
        self.speakers = {name: nodes[name] for name in sorted(nodes) if nodes[name].is_speaker}
        self.peers = tuple(sorted(peers, key=age))
        self.reflectors = frozenset(
            name for name, node in self.speakers.items() if node.cluster_id is not None and self._chosen(node)
        )
        self.bindings: list[Binding] = []
        self.outside: list[tuple[BgpPeer, tuple[str, ...]]] = []
        self._bindings_of: dict[str, list[Binding]] = {}
        self._outside_of: dict[str, list[BgpPeer]] = {}
        at = {address: name for name, node in self.speakers.items() for address in node.addresses}
        for peer in self.peers:
            self._add(peer, at)

    def as_number(self, name: str) -> int:
        """The AS number of a Node, before what a BGPPeer says of its sessions."""
        return self.speakers[name].as_number or self.configuration.as_number

    def links(self, own: str) -> dict[str, Link]:
        """The other Nodes that a Node peers with; a BGPPeer's settings stand before those of the mesh."""
        links = self.links_beside_mesh(own)
        if self.configuration.node_to_node_mesh_enabled and own in self.speakers:
            for name in self.speakers:
                if name != own:
                    links.setdefault(name, MESH)
        return links

    def links_beside_mesh(self, own: str) -> dict[str, Link]:
        """Those that a BGPPeer or reflecting asks for: in a mesh every other Node is a peer as well."""
        links: dict[str, Link] = {}
        if own not in self.speakers:
            return links
        for binding in self._bindings_of.get(own, ()):
            binding.add_links(own, links)
        if own in self.reflectors:
            for name in self.reflectors:
                if name != own and self.as_number(name) == self.as_number(own):
                    links.setdefault(name, REFLECTORS)
        return links

    def routers(self, own: str) -> dict[Address, BgpPeer]:
        """The peers outside the cluster that a Node has, each with the oldest BGPPeer that names it."""
        found: dict[Address, BgpPeer] = {}
        for peer in self._outside_of.get(own, ()):
            if peer.peer_ip is not None and peer.peer_ip not in self.speakers[own].addresses:
                found.setdefault(peer.peer_ip, peer)
        return found

    @cached_property
    def conflicts(self) -> Mapping[str, str]:
        """The BGPPeers that do not count for all that they ask for, by name, with a sentence why.

        Two that bind the same Nodes with the same settings contradict each other in nothing.
        """
        found: dict[str, str] = {}
        for own, asked in self._outside_of.items():
            first = self.routers(own)
            for peer in asked:
                winner = first.get(peer.peer_ip) if peer.peer_ip is not None else None
                if winner is not None and winner is not peer:
                    found.setdefault(
                        peer.name, f"on {own} the older BGPPeer {winner.name} gives {peer.peer_ip} already"
                    )
        for index, younger in enumerate(self.bindings):
            for older in self.bindings[:index]:
                if _settings(older.terms) != _settings(younger.terms) and older.overlaps(younger):
                    sentence = f"the older BGPPeer {older.terms.name} binds some of the same Nodes"
                    found.setdefault(younger.terms.name, sentence)
                    break
        return found

    def _chosen(self, node: FabricNode) -> bool:
        selector = self.configuration.route_reflector_selector
        return selector is not None and selector.matches(node.labels)

    def _add(self, peer: BgpPeer, at: Mapping[Address, str]) -> None:
        near = self._near(peer)
        far = self._far(peer, at)
        if far is None:
            self.outside.append((peer, near))
            for name in near:
                self._outside_of.setdefault(name, []).append(peer)
            return
        binding = Binding(peer, near, far)
        self.bindings.append(binding)
        for name in binding.members:
            self._bindings_of.setdefault(name, []).append(binding)

    def _near(self, peer: BgpPeer) -> tuple[str, ...]:
        if peer.node:
            return (peer.node,) if peer.node in self.speakers else ()
        return self._select(peer.node_selector)

    def _far(self, peer: BgpPeer, at: Mapping[Address, str]) -> tuple[str, ...] | None:
        """The Nodes that are the peers; None when the peer is outside the cluster.

        `peerIP` with the address of a Node's speaker is that Node: two sessions between the same two
        addresses cannot be.
        """
        if peer.peer_ip is None:
            return self._select(peer.peer_selector)
        if peer.peer_ip in at and peer.peer_port in {None, self.configuration.listen_port}:
            return (at[peer.peer_ip],)
        return None

    def _select(self, selector: Selector | None) -> tuple[str, ...]:
        if selector is None:
            return tuple(self.speakers)
        return tuple(name for name, node in self.speakers.items() if selector.matches(node.labels))


def _settings(peer: BgpPeer) -> BgpPeer:
    """A BGPPeer without what says who it is and whom it chooses."""
    return replace(
        peer, name="", uid="", created_at=0.0, node="", node_selector=None, peer_selector=None, peer_ip=None
    )

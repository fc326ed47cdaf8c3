"""Which sessions there are in the whole cluster, as sets of Nodes that are quick to combine.

Knows the membership and what Nodes report; must not know what follows from it. A set of Nodes is an
integer with one bit for each: a cluster of a thousand Nodes has half a million pairs.
"""

from collections.abc import Iterable, Iterator, Mapping

from speaker.fabric.membership import Link, Membership
from speaker.fabric.report import NodeReport
from speaker.fabric.sessions import as_numbers
from speaker.model.fabric import ReversePeering
from speaker.model.peer import SessionState
from speaker.model.prefix import Address, Family, family_of


class Graph:
    """The sessions that carry one family.

    Attributes:
        names: the Nodes that run a speaker; the position of each is its bit.
        peers: the Nodes that each Node has a session with.
        internal: those of them in the same AS.
        clients: of a reflector, its clients.
        routers: the routers outside that each Node has a session with.
        internal_routers: those of them in the Node's AS.
        reflectors: the Nodes that reflect.
        same_cluster: of a reflector, the other reflectors with its cluster ID.

    Args:
        whole: the membership.
        reports: what Nodes report; where one does, its sessions count as it says, else as they are meant.
        family: the family.
    """

    def __init__(self, whole: Membership, reports: Mapping[str, NodeReport], family: Family) -> None:
        self._whole = whole
        self._reports = reports
        self._family = family
        self.names = tuple(whole.speakers)
        self._bits = {name: 1 << at for at, name in enumerate(self.names)}
        self._all = (1 << len(self.names)) - 1
        self._able = {each: self._with_address(each) for each in Family}
        self._by_as: dict[int, int] = {}
        for name in self.names:
            number = whole.as_number(name)
            self._by_as[number] = self._by_as.get(number, 0) | self._bits[name]
        self.reflectors = self.mask(whole.reflectors)
        self.peers: list[int] = []
        self.internal: list[int] = []
        self.routers: list[frozenset[Address]] = []
        self.internal_routers: list[frozenset[Address]] = []
        for name in self.names:
            self._add(name)
        self._drop_one_sided()
        self._apply_reports()
        self.clients = [
            self.internal[at] & ~self.reflectors if self.reflectors >> at & 1 else 0
            for at in range(len(self.names))
        ]
        self.same_cluster = {
            self._bits[name].bit_length() - 1: self.mask(
                other
                for other in whole.reflectors
                if whole.speakers[other].cluster_id == whole.speakers[name].cluster_id
            )
            for name in whole.reflectors
        }

    @property
    def everyone(self) -> int:
        """All Nodes."""
        return self._all

    def mask(self, names: Iterable[str]) -> int:
        """The set of these Nodes; unknown names are passed over."""
        found = 0
        for name in names:
            found |= self._bits.get(name, 0)
        return found

    def _with_address(self, family: Family) -> int:
        return self.mask(
            name
            for name, node in self._whole.speakers.items()
            if any(family_of(address) is family for address in node.addresses)
        )

    def _carrying(self, at: int) -> int:
        """The Nodes to which a session of this one could carry the family (`sessions.ends_of`)."""
        able4, able6 = self._able[Family.IPV4], self._able[Family.IPV6]
        found = able6 if able6 >> at & 1 else 0
        if self._family is Family.IPV4 and able4 >> at & 1:
            found |= able4
        return found

    def _add(self, name: str) -> None:
        whole, own = self._whole, self._bits[name]
        links = whole.links_beside_mesh(name)
        by_link: dict[int, tuple[Link, list[str]]] = {}
        for other, link in links.items():
            by_link.setdefault(id(link), (link, []))[1].append(other)
        carrying = self._carrying(len(self.peers))
        same_as = self._by_as[whole.as_number(name)]
        peers = internal = 0
        for link, others in by_link.values():
            families = link.terms.families if link.terms is not None else frozenset()
            if not families or self._family in families:
                found = self.mask(others) & carrying
                peers |= found
                internal |= found & same_as if _keeps_as(link) else self._internal(name, others, link) & found
        if whole.configuration.node_to_node_mesh_enabled:
            found = self._all & ~own & ~self.mask(links) & carrying
            peers |= found
            internal |= found & same_as
        self.peers.append(peers)
        self.internal.append(internal)
        self._add_routers(name)

    def _internal(self, name: str, others: Iterable[str], link: Link) -> int:
        same = []
        for other in others:
            ours, theirs = as_numbers(self._whole, name, other, link)
            if ours == theirs:
                same.append(other)
        return self.mask(same)

    def _add_routers(self, name: str) -> None:
        found = {
            address: terms
            for address, terms in self._whole.routers(name).items()
            if not terms.families or self._family in terms.families
        }
        ours = self._whole.as_number(name)
        self.routers.append(frozenset(found))
        self.internal_routers.append(
            frozenset(
                address
                for address, terms in found.items()
                if (terms.as_number or ours) == (terms.local_as_number or ours)
            )
        )

    def _drop_one_sided(self) -> None:
        """Without the reverse side a session never is: only `Manual` can leave it out."""
        if any(each.terms.reverse_peering is ReversePeering.MANUAL for each in self._whole.bindings):
            for at, mask in enumerate(list(self.peers)):
                for other in bits(mask):
                    if not self.peers[other] >> at & 1:
                        self._cut(at, other)

    def _apply_reports(self) -> None:
        for at, name in enumerate(self.names):
            report = self._reports.get(name)
            if report is None:
                continue
            up = self._established(report)
            for other in bits(self.peers[at] & ~up):
                self._cut(at, other)
            present = frozenset(
                each.address
                for each in report.sessions
                if not each.node and each.state is SessionState.ESTABLISHED and each.address is not None
            )
            self.routers[at] &= present
            self.internal_routers[at] &= present
        for at, name in enumerate(self.names):
            report = self._reports.get(name)
            if report is not None:
                self._add_retiring(at, report)

    def _established(self, report: NodeReport) -> int:
        """The Nodes with an established session; what a cut list leaves out is established."""
        listed = {each.node: each.state is SessionState.ESTABLISHED for each in report.sessions if each.node}
        up = self.mask(name for name, established in listed.items() if established)
        return up if report.lists_all_sessions else up | self._all & ~self.mask(listed)

    def _add_retiring(self, at: int, report: NodeReport) -> None:
        """A session that no design wants any more still carries what both ends own."""
        for each in report.sessions:
            if each.retiring is not None and each.state is SessionState.ESTABLISHED:
                for other in bits(self.mask([each.node]) & self._carrying(at)):
                    self.peers[at] |= 1 << other
                    self.peers[other] |= 1 << at

    def _cut(self, one: int, other: int) -> None:
        for at, away in ((one, other), (other, one)):
            self.peers[at] &= ~(1 << away)
            self.internal[at] &= ~(1 << away)


def bits(mask: int) -> Iterator[int]:
    """The positions in a set, ascending."""
    while mask:
        lowest = mask & -mask
        yield lowest.bit_length() - 1
        mask ^= lowest


def _keeps_as(link: Link) -> bool:
    """Whether both ends open with their Nodes' AS numbers."""
    return link.terms is None or (link.terms.as_number is None and link.terms.local_as_number is None)

"""Networks for a fabric: racks of nodes below routers that route, or all nodes on one switch.

    node1 ─┐                        ┌─ node4        node1 ─┐
    node2 ─┼─ R1 ══(two links)══ R2 ┴─ node5        node2 ─┼─ S1
    node3 ─┘                                        node3 ─┘

The nodes of a rack are neighbours on one segment (`tests.lab.net.segment`) whose head is their default
route: a router, or a switch that forwards nothing. Every two routers are joined by two parallel links;
the static routes over both, to each other's loopback address and segment, are for their routing daemons
to have, which know what to do when a link goes (`Fabric.static_routes`). Every node may have a link of
its own to a management network. Nodes come and go while the network runs. Knows addresses and routes;
starts no process.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from ipaddress import IPv4Interface, IPv6Interface
from itertools import combinations
from typing import Self

from speaker.model.prefix import Address, Family, Prefix
from tests.lab.net.host import End, Host, Link
from tests.lab.net.namespace import Namespace
from tests.lab.net.segment import UPLINK, Segment, cable, configure, unplug
from tests.lab.net.topology import MANAGEMENT_ADDRESSES

MANAGEMENT = "mgmt"

_TRUNK_LINKS = 2
_MAX_ROUTERS = 4
_FIRST_OTHER = 200
_FIRST_INDEX = 3000

# Each hop of a path answers, however often it is asked: the kernel would answer once in a second.
_ANSWERING = {"net.ipv4.icmp_ratelimit": 0, "net.ipv6.icmp.ratelimit": 0}
_FORWARDING = _ANSWERING | {
    "net.ipv4.ip_forward": 1,
    "net.ipv6.conf.all.forwarding": 1,
    "net.ipv4.fib_multipath_hash_policy": 1,
    "net.ipv6.fib_multipath_hash_policy": 1,
    # One of several parallel links that lost its carrier is not a way any more.
    "net.ipv4.conf.default.ignore_routes_with_linkdown": 1,
    "net.ipv6.conf.default.ignore_routes_with_linkdown": 1,
}


@dataclass(slots=True)
class Rack:
    """A segment and what is on it: the cables of nodes and of other hosts, by name."""

    segment: Segment
    nodes: dict[str, Link] = field(default_factory=dict)
    others: dict[str, Link] = field(default_factory=dict)

    @property
    def number(self) -> int:
        """From 1."""
        return self.segment.number

    @property
    def head(self) -> Host:
        """The router or switch."""
        return self.segment.head

    @property
    def links(self) -> dict[str, Link]:
        """All cables."""
        return self.nodes | self.others


class Fabric:
    """As many racks as there are numbers of nodes: `Fabric(3, 2)`, with routers R1, R2 unless `flat`.

    A flat one has a single rack below a switch, S1. Nodes are node1, node2, ... throughout; a node that
    was removed leaves its number unused. Use it as a context manager, or `close` it.

    Raises:
        ValueError: a flat fabric has one rack, and any other one to four.
    """

    def __init__(self, *racks: int, flat: bool = False, management: bool = False) -> None:
        if not 1 <= len(racks) <= (1 if flat else _MAX_ROUTERS):
            raise ValueError(f"a flat fabric has one rack, any other 1-{_MAX_ROUTERS}, not {len(racks)}")
        self._hosts: dict[str, Host] = {}
        self._trunks: dict[tuple[int, int], tuple[Link, ...]] = {}
        self._managed: dict[str, Link] = {}
        self._made = 0
        self._others = 0
        self._cables = 0
        with ExitStack() as undo:
            undo.callback(self.close)
            self.racks = [self._add_rack(number, flat=flat) for number in range(1, len(racks) + 1)]
            for one, other in combinations(self.racks, 2):
                self._join(one, other)
            if management:
                self._host(MANAGEMENT).add_address(*_single(MANAGEMENT_ADDRESSES))
            for number, nodes in enumerate(racks, start=1):
                for _ in range(nodes):
                    self.add_node(number)
            undo.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getitem__(self, name: str) -> Host:
        return self._hosts[name]

    def __iter__(self) -> Iterator[Host]:
        return iter(self._hosts.values())

    @property
    def nodes(self) -> tuple[Host, ...]:
        """The nodes of all racks."""
        return tuple(self[name] for rack in self.racks for name in rack.nodes)

    @property
    def management(self) -> Namespace:
        """The namespace an API server for the nodes listens in, at `MANAGEMENT_ADDRESSES`."""
        return self[MANAGEMENT].namespace

    def rack_of(self, name: str) -> Rack:
        """The rack that a node or another host is in.

        Raises:
            LookupError: there is no such host.
        """
        for rack in self.racks:
            if name in rack.links:
                return rack
        raise LookupError(f"there is no {name} in {self.racks}")

    def link(self, name: str) -> Link:
        """The cable between a host and its rack: `cut`, `silent` and the like harm the host alone."""
        return self.rack_of(name).links[name]

    def trunk(self, one: int = 1, other: int = 2) -> tuple[Link, ...]:
        """The parallel links between two routers, given by number, the smaller one first."""
        return self._trunks[one, other]

    def address(self, name: str, family: Family = Family.IPV4) -> Address:
        """The address of a node or another host in its rack."""
        return self.link(name).lower.addresses[family is Family.IPV6]

    def head_address(self, rack: int, family: Family = Family.IPV4) -> Address:
        """The address of a rack's router or switch on the segment, where its nodes find it."""
        segment = self.racks[rack - 1].segment
        return segment.v6.ip if family is Family.IPV6 else segment.v4.ip

    def loopback(self, rack: int, family: Family = Family.IPV4) -> Address:
        """The address of a router that does not belong to a link; the IPv4 one is its router ID."""
        v4, v6 = _loopbacks(rack)
        return v6.ip if family is Family.IPV6 else v4.ip

    def static_routes(self, rack: int) -> dict[Prefix, tuple[Address, ...]]:
        """What a router needs to know of the others: prefix to the far ends of the parallel links."""
        found: dict[Prefix, tuple[Address, ...]] = {}
        for (one, other), links in self._trunks.items():
            if rack not in {one, other}:
                continue
            far = self.racks[(other if rack == one else one) - 1]
            ends = [link.lower if rack == one else link.upper for link in links]
            v4, v6 = _loopbacks(far.number)
            found |= dict.fromkeys((v4.network, far.segment.v4.network), tuple(end.v4.ip for end in ends))
            found |= dict.fromkeys((v6.network, far.segment.v6.network), tuple(end.v6.ip for end in ends))
        return found

    def names(self) -> dict[Address, str]:
        """Which host or router each address is of; those of the management network are left out."""
        found: dict[Address, str] = {}
        for rack in self.racks:
            heads = (rack.segment.v4, rack.segment.v6, *_loopbacks(rack.number))
            found |= {each.ip: rack.head.name for each in heads}
            found |= {address: name for name, link in rack.links.items() for address in link.lower.addresses}
        for trunk in self._trunks.values():
            ends = (end for link in trunk for end in (link.upper, link.lower))
            found |= {address: end.host.name for end in ends for address in end.addresses}
        return found

    def add_node(self, rack: int = 1) -> str:
        """Add a node to a rack and return its name, of which the number is the next after the last."""
        self._made += 1
        name = f"node{self._made}"
        self.racks[rack - 1].nodes[name] = self._plug(name, rack, self._made, forwarding=True)
        if MANAGEMENT in self._hosts:
            self._manage(self[name], self._made)
        return name

    def add_host(self, name: str, rack: int = 1) -> Host:
        """Add a host to a rack that is no node, for a route reflector of its own for example."""
        self._others += 1
        number = _FIRST_OTHER + self._others
        self.racks[rack - 1].others[name] = self._plug(name, rack, number, forwarding=False)
        return self[name]

    def remove(self, name: str) -> None:
        """Take a host away with its cables; what still runs in its namespace has no network any more."""
        rack = self.rack_of(name)
        unplug((rack.nodes if name in rack.nodes else rack.others).pop(name))
        if name in self._managed:
            unplug(self._managed.pop(name))
        self._hosts.pop(name).namespace.close()

    def close(self) -> None:
        """Let go of all namespaces."""
        for host in self._hosts.values():
            host.namespace.close()

    def _host(self, name: str, *, forwarding: bool = False) -> Host:
        host = self._hosts[name] = Host(Namespace(name, _FORWARDING if forwarding else _ANSWERING))
        return host

    def _plug(self, name: str, rack: int, number: int, *, forwarding: bool) -> Link:
        """A host on the segment of a rack, whose head is its default route."""
        host = self._host(name, forwarding=forwarding)
        link = self.racks[rack - 1].segment.plug(host, number)
        v4, v6 = (self.head_address(rack, family) for family in Family)
        host.add_route(f"default via {v4} dev {UPLINK}", f"default via {v6} dev {UPLINK}")
        return link

    def _add_rack(self, number: int, *, flat: bool) -> Rack:
        head = self._host(f"{'S' if flat else 'R'}{number}", forwarding=not flat)
        head.add_address(*map(str, _loopbacks(number)))
        return Rack(Segment(head, number))

    def _join(self, one: Rack, other: Rack) -> None:
        """Lay the parallel links between two routers."""
        self._trunks[one.number, other.number] = tuple(
            self._lay(*_trunk_ends(one, other, number)) for number in range(1, _TRUNK_LINKS + 1)
        )

    def _manage(self, node: Host, number: int) -> None:
        networks = (f"10.255.{number}", f"fd00:255:{number}")
        upper, lower = (
            End(
                host,
                device,
                IPv4Interface(f"{networks[0]}.{last}/24"),
                IPv6Interface(f"{networks[1]}::{last}/64"),
            )
            for host, device, last in ((self[MANAGEMENT], node.name, 1), (node, MANAGEMENT, 2))
        )
        self._managed[node.name] = self._lay(upper, lower)
        v4, v6 = MANAGEMENT_ADDRESSES
        node.add_route(f"{v4} via {upper.v4.ip}", f"{v6} via {upper.v6.ip}")

    def _lay(self, upper: End, lower: End) -> Link:
        self._cables += 1
        made = cable(upper, lower, _FIRST_INDEX + self._cables)
        upper.host.namespace.ip(made, *configure(upper.device, upper.v4, upper.v6))
        lower.host.namespace.ip(*configure(lower.device, lower.v4, lower.v6))
        return Link(upper, lower)


def _trunk_ends(one: Rack, other: Rack, number: int) -> tuple[End, End]:
    third = 10 * other.number + number
    first, second = (
        End(
            rack.head,
            f"{far.head.name}-{number}",
            IPv4Interface(f"10.{100 + one.number}.{third}.{last}/24"),
            IPv6Interface(f"fd00:{100 + one.number}:{third}::{last}/64"),
        )
        for rack, far, last in ((one, other, 1), (other, one, 2))
    )
    return first, second


def _loopbacks(number: int) -> tuple[IPv4Interface, IPv6Interface]:
    return (IPv4Interface(f"192.168.50.{number}/32"), IPv6Interface(f"fd00:50::{number}/128"))


def _single(addresses: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{each}/{128 if ':' in each else 32}" for each in addresses)

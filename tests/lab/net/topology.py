"""The lab's network: top-of-rack routers, the nodes below them, clients behind, and a management network.

    client1 ── tor1 ──┬── node1 ──┐
    client2 ── tor2 ──┼── node2 ──┼── mgmt
               (each) └── node3 ──┘

Every line is a link of its own with an IPv4 /24 and an IPv6 /64; the upper end has .1, the lower .2.
Devices bear the name of what they lead to. A node has a link to every router; a client belongs to
one. Knows addresses and routes; starts no process.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from ipaddress import IPv4Interface, IPv6Address, IPv6Interface
from typing import Self

from speaker.model.prefix import Address, Family
from tests.lab.net.host import End, Host, Link
from tests.lab.net.namespace import Namespace

_ROUTER_SYSCTLS = {
    "net.ipv4.ip_forward": 1,
    "net.ipv6.conf.all.forwarding": 1,
    # By layer 4: with the default, by layer 3, one client always lands on one node.
    "net.ipv4.fib_multipath_hash_policy": 1,
    "net.ipv6.fib_multipath_hash_policy": 1,
}
_MANAGEMENT = "mgmt"
_MAX_ROUTERS = 2
_FIRST_INDEX = 1000
_MAX_NODES = 250

MANAGEMENT_ADDRESSES = ("10.255.0.1", "fd00:255::1")
"""Where every node reaches a server that listens in the management namespace."""


class Topology:
    """A network of `tors` routers, `nodes` nodes, `clients` clients behind each router.

    Use it as a context manager, or `close` it; all of it vanishes then.
    """

    def __init__(self, *, nodes: int = 3, tors: int = 1, clients: int = 1, management: bool = False) -> None:
        if not 1 <= tors <= _MAX_ROUTERS or not 0 <= nodes <= _MAX_NODES:
            raise ValueError(f"a topology has 1-{_MAX_ROUTERS} routers and at most {_MAX_NODES} nodes")
        self._hosts: dict[str, Host] = {}
        self._links: dict[tuple[str, str], Link] = {}
        self._lines: defaultdict[str, list[str]] = defaultdict(list)
        self._routes: defaultdict[str, list[str]] = defaultdict(list)
        with ExitStack() as undo:
            undo.callback(self.close)
            self.tors = [self._router(f"tor{number}", number) for number in range(1, tors + 1)]
            self.nodes = [self._host(f"node{number}") for number in range(1, nodes + 1)]
            self.clients = [self._host(f"client{number}") for number in range(1, clients * tors + 1)]
            self._connect_nodes()
            self._connect_clients()
            if management:
                self._add_management()
            self._set_up()
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
    def management(self) -> Namespace:
        """The namespace an API server for the nodes listens in, at `MANAGEMENT_ADDRESSES`."""
        return self._hosts[_MANAGEMENT].namespace

    def link(self, host: str, router: str = "tor1") -> Link:
        """The link between a node or client and a router (or `mgmt`)."""
        return self._links[host, router]

    def address(self, host: str, router: str = "tor1", family: Family = Family.IPV4) -> Address:
        """The host's address on its link to the router."""
        return self.link(host, router).lower.addresses[family is Family.IPV6]

    def router_address(self, host: str, router: str = "tor1", family: Family = Family.IPV4) -> Address:
        """The router's address on its link to the host: where the host's speaker finds its peer."""
        return self.link(host, router).upper.addresses[family is Family.IPV6]

    def link_local(self, host: str, router: str = "tor1") -> IPv6Address:
        """The host's link-local address as the router has to name it: its scope is the router's device."""
        link = self.link(host, router)
        return IPv6Address(f"{link.lower.link_local}%{link.upper.device}")

    def router_link_local(self, host: str, router: str = "tor1", *, numbered: bool = False) -> IPv6Address:
        """The router's link-local address as the host has to name it: its scope is the host's device.

        The scope is the device's number if `numbered`, for a process that uses the host's sockets from
        outside, where there is no device of that name.
        """
        lower = self.link(host, router).lower
        scope = lower.index if numbered else lower.device
        return IPv6Address(f"{self.link(host, router).upper.link_local}%{scope}")

    def names(self, router: str = "tor1") -> dict[Address, str]:
        """Which host each next hop seen at the router is."""
        return {
            address: host
            for (host, other), link in self._links.items()
            if other == router
            for address in link.lower.addresses
        }

    def close(self) -> None:
        """Let go of all namespaces."""
        for host in self._hosts.values():
            host.namespace.close()

    def _host(self, name: str, sysctls: Mapping[str, int] | None = None) -> Host:
        host = self._hosts[name] = Host(Namespace(name, sysctls))
        return host

    def _router(self, name: str, number: int) -> Host:
        """A router with a loopback address of its own, for sessions over more than one hop."""
        router = self._host(name, _ROUTER_SYSCTLS)
        self._lines[name] += _addresses(*_loopback(number))
        return router

    def _connect_nodes(self) -> None:
        for number, tor in enumerate(self.tors, start=1):
            self._connect(tor, self.nodes, (f"172.{29 + number}", f"fd00:{29 + number}"))
            for node in self.nodes:
                if number == 1:
                    self._route_via(node, tor, "default", "default")
                else:
                    self._route_via(node, tor, *_loopback(number))

    def _connect_clients(self) -> None:
        per_tor = len(self.clients) // len(self.tors)
        for number, tor in enumerate(self.tors, start=1):
            mine = self.clients[(number - 1) * per_tor : number * per_tor]
            networks = (f"10.{199 + number}", f"fd00:{199 + number}")
            self._connect(tor, mine, networks)
            for client in mine:
                self._route_via(client, tor, "default", "default")
            if number > 1:
                # The way back to a client is through the router it is behind.
                for node in self.nodes:
                    self._route_via(node, tor, f"{networks[0]}.0.0/16", f"{networks[1]}::/32")

    def _add_management(self) -> None:
        server = self._host(_MANAGEMENT)
        v4, v6 = MANAGEMENT_ADDRESSES
        self._lines[_MANAGEMENT] += _addresses(f"{v4}/32", f"{v6}/128")
        self._connect(server, self.nodes, ("10.255", "fd00:255"))
        for node in self.nodes:
            self._route_via(node, server, *MANAGEMENT_ADDRESSES)

    def _connect(self, upper: Host, hosts: list[Host], networks: tuple[str, str]) -> None:
        """Lay a cable to each host: `networks` are the leading two groups of its addresses."""
        for number, host in enumerate(hosts, start=1):
            link = _link(upper, host, networks, number)
            self._links[host.name, upper.name] = link
            peer = f"peer name {link.lower.device} netns {host.namespace.path}"
            # Were the indices of both ends equal, by chance, the kernel would take up to a second to notice
            # that the cable is plugged in.
            index = _FIRST_INDEX + len(self._links)
            cable = f"link add name {link.upper.device} index {index} type veth {peer}"
            self._lines[upper.name] += [cable, *_configure(link.upper)]
            self._lines[host.name] += _configure(link.lower)

    def _route_via(self, host: Host, upper: Host, v4: str, v6: str) -> None:
        link = self._links[host.name, upper.name]
        self._routes[host.name] += [f"{v4} via {link.upper.v4.ip}", f"{v6} via {link.upper.v6.ip}"]

    def _set_up(self) -> None:
        """Carry out what was gathered, one process for each host: upper ends first, they lay the cables."""
        uppers = {upper for _, upper in self._links}
        for host in sorted(self, key=lambda each: each.name not in uppers):
            host.set_up(self._lines[host.name], self._routes[host.name])


def _loopback(number: int) -> tuple[str, str]:
    return (f"192.168.50.{number}/32", f"fd00:50::{number}/128")


def _addresses(*prefixes: str) -> list[str]:
    return [f"address add {prefix} dev lo" for prefix in prefixes]


def _link(upper: Host, lower: Host, networks: tuple[str, str], number: int) -> Link:
    def end(host: Host, device: str, last: int) -> End:
        v4 = IPv4Interface(f"{networks[0]}.{number}.{last}/24")
        v6 = IPv6Interface(f"{networks[1]}:{number}::{last}/64")
        return End(host, device, v4, v6)

    return Link(end(upper, lower.name, 1), end(lower, upper.name, 2))


def _configure(end: End) -> list[str]:
    return [
        f"address add {end.v4} dev {end.device}",
        f"address add {end.v6} dev {end.device} nodad",
        f"link set {end.device} up",
    ]


def router_id(number: int) -> str:
    """The loopback address, and so the router ID, of router `number` (from 1)."""
    return _loopback(number)[0].partition("/")[0]

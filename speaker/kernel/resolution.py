"""Where packets toward a next hop go first, by the kernel's routes that are not ours (RFC 4271 §9.1.2.1).

A table of the routes at one moment, searched as the kernel does with its own three rules: local, main,
default. Pure: knows no socket and no time.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address

from speaker.kernel.routes import DEAD, LINK_DOWN, THROW, UNICAST, KernelHop, KernelRoute
from speaker.model.fib import UNREACHABLE, Hop, Resolution
from speaker.model.prefix import Address

LOCAL, MAIN, DEFAULT = 255, 254, 253
"""The kernel's own tables (RT_TABLE_*)."""
SEARCHED = (LOCAL, MAIN, DEFAULT)


@dataclass(frozen=True, slots=True)
class Link:
    """A network interface: its name, and whether packets leave by it."""

    name: str
    is_up: bool


class RoutingTable:
    """The routes of others at one moment.

    Args:
        links: by interface index.
    """

    def __init__(self, links: Mapping[int, Link]) -> None:
        self._links = links
        self._indices = {link.name: index for index, link in links.items()}
        # By table and version: prefix length, network, then the routes there, the preferred first.
        self._routes: dict[tuple[int, int], dict[int, dict[int, list[KernelRoute]]]] = {}
        self._lengths: dict[tuple[int, int], list[int]] = {}

    def add(self, route: KernelRoute) -> None:
        """Take a route in; routes of equal metric are preferred in the order of their coming."""
        if route.tos or route.table not in SEARCHED:
            return
        where = (route.table, route.prefix.version)
        lengths = self._routes.setdefault(where, {})
        length = route.prefix.prefixlen
        if length not in lengths:
            lengths[length] = defaultdict(list)
            self._lengths[where] = sorted(lengths, reverse=True)
        same = lengths[length][int(route.prefix.network_address)]
        same.append(route)
        same.sort(key=lambda each: each.metric)

    def resolve(self, next_hop: Address) -> Resolution:
        """How packets toward `next_hop` leave; unreachable when they do not, or when it is this host.

        A link-local next hop needs its scope: the name or the index of the interface it is on.
        """
        interface = None
        if isinstance(next_hop, IPv6Address) and (next_hop.is_link_local or next_hop.scope_id):
            interface = self._interface(next_hop.scope_id)
            if interface is None:
                return UNREACHABLE
            next_hop = IPv6Address(int(next_hop))
        for table in SEARCHED:
            found = self._look_up(table, next_hop, interface)
            if found is not None:
                return found
        return UNREACHABLE

    def _interface(self, scope: str | None) -> int | None:
        if scope is None:
            return None
        return self._indices.get(scope, int(scope) if scope.isdecimal() else None)

    def _look_up(self, table: int, next_hop: Address, interface: int | None) -> Resolution | None:
        """What one table says; None when it sends the search on to the next table."""
        for routes in self._covering(table, next_hop):
            passable = False
            for route in routes:
                ways = _ways(route, interface)
                if route.kind == THROW:
                    return None
                if route.kind != UNICAST:
                    # In table local everything is this host's own, a broadcast or a multicast address.
                    if interface is None or ways:
                        return UNREACHABLE
                    continue
                passable = passable or bool(ways)
                usable = tuple(way.hop for way in ways if self._is_usable(way))
                if usable:
                    return _resolution(next_hop, usable, by_default=route.prefix.prefixlen == 0)
            if passable:
                # The link is down. A shorter prefix, as that of the default route, would lead astray.
                return UNREACHABLE
        return None

    def _covering(self, table: int, next_hop: Address) -> Iterator[list[KernelRoute]]:
        """The routes to each prefix that holds the address, the longest first."""
        where = (table, next_hop.version)
        lengths = self._routes.get(where, {})
        number, bits = int(next_hop), next_hop.max_prefixlen
        for length in self._lengths.get(where, ()):
            shift = bits - length
            routes = lengths[length].get(number >> shift << shift)
            if routes is not None:
                yield routes

    def _is_usable(self, way: KernelHop) -> bool:
        link = self._links.get(way.hop.interface)
        return link is not None and link.is_up and not way.flags & LINK_DOWN


def _ways(route: KernelRoute, interface: int | None) -> list[KernelHop]:
    """The ways of a route that the kernel would consider."""
    return [
        way
        for way in route.hops
        if not way.flags & DEAD and (interface is None or way.hop.interface == interface)
    ]


def _resolution(next_hop: Address, ways: tuple[Hop, ...], *, by_default: bool) -> Resolution:
    hops = tuple(Hop(way.interface, next_hop) if way.gateway is None else way for way in ways)
    on_link = all(way.gateway is None for way in ways)
    return Resolution(hops=hops, on_link=on_link, by_default=by_default)

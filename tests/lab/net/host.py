"""Hosts and the links between them: what one end of a cable has, and what may happen to it.

Knows addresses on devices, routes, and faults: a link that goes down, one that silently loses all,
an address that comes or goes. Knows nothing of the shape of a network (`tests.lab.net.topology`).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Interface, IPv6Address, IPv6Interface

from speaker.model.prefix import Address
from tests.lab.net.namespace import Namespace


class Host:
    """A machine of the lab: a namespace and the routes it is meant to have."""

    def __init__(self, namespace: Namespace) -> None:
        self.namespace = namespace
        self._routes: list[str] = []

    def __repr__(self) -> str:
        return f"<Host {self.name}>"

    @property
    def name(self) -> str:
        """Its name, which is also that of the devices that lead to it."""
        return self.namespace.name

    def add_address(self, *prefixes: str, device: str = "lo") -> None:
        """Give a device addresses such as `10.96.0.10/32`; having one already is no error."""
        self.namespace.ip(
            *(
                f"address replace {prefix} dev {device}{' nodad' if ':' in prefix else ''}"
                for prefix in prefixes
            )
        )

    def remove_address(self, *prefixes: str, device: str = "lo") -> None:
        """Take addresses away."""
        self.namespace.ip(*(f"address del {prefix} dev {device}" for prefix in prefixes))

    def add_route(self, *routes: str) -> None:
        """Add routes such as `default via 172.30.1.1`; they come back when a link does."""
        self._routes.extend(routes)
        self.restore_routes()

    def set_up(self, lines: Sequence[str], routes: Sequence[str]) -> None:
        """Carry out lines of ip(8), then add routes: all in one process."""
        self._routes.extend(routes)
        self.namespace.ip(*lines, *(f"route replace {route}" for route in routes))

    def restore_routes(self) -> None:
        """Put back what the kernel took away with a link; lines whose link is down are left out."""
        if self._routes:
            lines = "\n".join(f"route replace {route}" for route in self._routes)
            self.namespace.run("ip", "-force", "-batch", "-", text=lines, check=False)

    def set_route_source(self, destination: Address, source: Address, device: str) -> None:
        """Make `source`, an address of this host, the preferred source toward a neighbour on `device`."""
        self.namespace.ip(f"route replace {destination} dev {device} src {source}")

    def clear_route_source(self, destination: Address, device: str) -> None:
        """Undo `set_route_source`."""
        self.namespace.ip(f"route del {destination} dev {device}")


@dataclass(frozen=True, slots=True)
class End:
    """One end of a link: whose it is, the device there, and the addresses it has from the start."""

    host: Host
    device: str
    v4: IPv4Interface
    v6: IPv6Interface

    @property
    def addresses(self) -> tuple[Address, Address]:
        """The IPv4 and the IPv6 address."""
        return (self.v4.ip, self.v6.ip)

    @property
    def index(self) -> int:
        """The number of the device in its namespace, which a socket takes for the scope of an address."""
        (device,) = self.host.namespace.ip_json("link", "show", "dev", self.device)
        return int(device["ifindex"])

    @property
    def link_local(self) -> IPv6Address:
        """The device's IPv6 link-local address, which is without a scope: that is the other end's to say."""
        found = self.host.namespace.ip_json("-6", "address", "show", "dev", self.device, "scope", "link")
        # Beside what was asked for, ip(8) answers with empty documents.
        addresses = (info["local"] for device in found for info in device.get("addr_info", ()) if info)
        return IPv6Address(next(addresses))

    def set(self, state: str) -> None:
        """Set the device administratively `up` or `down`."""
        self.host.namespace.ip(f"link set {self.device} {state}")


@dataclass(frozen=True, slots=True)
class Link:
    """A cable (a veth pair) between the side of a router, `upper`, and that of a host, `lower`."""

    upper: End
    lower: End
    _lossy: set[str] = field(default_factory=set, repr=False, compare=False)

    @contextmanager
    def cut(self) -> Iterator[None]:
        """`down`, and `up` again at the end of the block."""
        self.down()
        try:
            yield
        finally:
            self.up()

    @contextmanager
    def silent(self) -> Iterator[None]:
        """`lose_all`, and `heal` at the end of the block."""
        self.lose_all()
        try:
            yield
        finally:
            self.heal()

    def down(self) -> None:
        """The router's end goes down; the host sees its carrier go."""
        self.upper.set("down")

    def down_at_host(self) -> None:
        """The host's end goes down, and its routes with it; the router sees its carrier go."""
        self.lower.set("down")

    def up(self) -> None:
        """Both ends are up again, with their addresses and routes."""
        for end in (self.upper, self.lower):
            end.set("up")
            end.host.restore_routes()

    def lose_all(self) -> None:
        """Whatever is sent over it is lost, and neither end is told: the carrier stays."""
        for end in (self.upper, self.lower):
            self._drop_at(end)

    def lose_toward_host(self) -> None:
        """Only what the router sends is lost."""
        self._drop_at(self.lower)

    def lose_toward_router(self) -> None:
        """Only what the host sends is lost."""
        self._drop_at(self.upper)

    def heal(self) -> None:
        """Nothing is lost any more."""
        for end in (self.upper, self.lower):
            if end.host.name in self._lossy:
                end.host.namespace.run("nft", f"delete table netdev loss_{end.device}")
        self._lossy.clear()

    def _drop_at(self, end: End) -> None:
        # At ingress of the far end: dropping at egress would fail the sender's sendto with EPERM.
        if end.host.name in self._lossy:
            return
        hook = f'type filter hook ingress device "{end.device}" priority -500; policy drop;'
        rules = f"table netdev loss_{end.device} {{ chain ingress {{ {hook} }}; }}"
        end.host.namespace.run("nft", "-f", "-", text=rules)
        self._lossy.add(end.host.name)

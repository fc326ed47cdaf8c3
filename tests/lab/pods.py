"""Pods: namespaces behind the nodes of a fabric, as Calico lays them.

The node has a host route to each address of a Pod, toward the device that leads to it, and forwards; the
Pod sends all it has to a gateway that only its own side knows of. Packets between Pods are routed at both
nodes, and their time to live shows it. Knows addresses, devices and host routes; how nodes reach each
other's Pods is for those to say who route.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Self

from speaker.model.prefix import Address, Family
from tests.lab.net import echo
from tests.lab.net.echo import Answer
from tests.lab.net.fabric import Fabric
from tests.lab.net.host import Host
from tests.lab.net.namespace import Namespace
from tests.lab.waiting import eventually

_DEVICE = "eth0"
_FIRST_INDEX = 5000
_WAIT_SECONDS = 30.0
# The same for all: each is known on its own cable only. The IPv6 address follows from the MAC address.
_GATEWAY_MAC = "ee:ee:ee:ee:ee:ee"
_GATEWAY_V4 = "169.254.1.1"
_GATEWAY_V6 = "fe80::ecee:eeff:feee:eeee"


def pod_cidrs(node: str) -> tuple[IPv4Network, IPv6Network]:
    """The Pod CIDRs of a node, `node7` for example: 10.244.7.0/24 and fd00:10:244:7::/64."""
    number = node.removeprefix("node")
    return IPv4Network(f"10.244.{number}.0/24"), IPv6Network(f"fd00:10:244:{number}::/64")


@dataclass(frozen=True, slots=True)
class Pod:
    """A Pod on a node; its host is no router."""

    host: Host
    node: str
    v4: IPv4Address
    v6: IPv6Address

    @property
    def name(self) -> str:
        """`pod1`, `pod2`, ...; also of the node's device that leads to it."""
        return self.host.name

    def address(self, family: Family) -> Address:
        """Its address of a family."""
        return self.v6 if family is Family.IPV6 else self.v4


class Pods(Mapping[str, Pod]):
    """The Pods of a fabric by name, each with addresses of its node's CIDRs: `with Pods(fabric) as pods`."""

    def __init__(self, fabric: Fabric) -> None:
        self.fabric = fabric
        self._pods: dict[str, Pod] = {}
        self._made = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getitem__(self, name: str) -> Pod:
        return self._pods[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._pods)

    def __len__(self) -> int:
        return len(self._pods)

    def add(self, node: str) -> Pod:
        """Start a Pod on a node."""
        self._made += 1
        pod = self._pods[f"pod{self._made}"] = self._new(node)
        mac = f"02:01:00:00:{self._made >> 8:02x}:{self._made & 0xFF:02x}"
        self._lay_cable(pod, mac)
        pod.host.set_up(
            [
                f"link set {_DEVICE} address {mac} up",
                f"address add {pod.v4}/32 dev {_DEVICE}",
                f"address add {pod.v6}/128 dev {_DEVICE} nodad",
                # No neighbour needs to be looked for: what is lost between Pods is lost between nodes.
                f"neighbor replace {_GATEWAY_V4} lladdr {_GATEWAY_MAC} dev {_DEVICE} nud permanent",
                f"neighbor replace {_GATEWAY_V6} lladdr {_GATEWAY_MAC} dev {_DEVICE} nud permanent",
            ],
            (
                f"{_GATEWAY_V4} dev {_DEVICE} scope link",
                f"default via {_GATEWAY_V4} dev {_DEVICE}",
                f"default via {_GATEWAY_V6} dev {_DEVICE}",
            ),
        )
        return pod

    def add_to_all(self, each: int = 1) -> None:
        """Start Pods on every node that there is."""
        for node in self.fabric.nodes:
            for _ in range(each):
                self.add(node.name)

    def on(self, node: str) -> tuple[Pod, ...]:
        """The Pods of a node."""
        return tuple(pod for pod in self.values() if pod.node == node)

    def remove(self, name: str) -> None:
        """End a Pod; its node forgets it."""
        pod = self._pods.pop(name)
        self.fabric[pod.node].namespace.ip(f"link del {name}")
        pod.host.namespace.close()

    def remove_from(self, node: str) -> None:
        """End all Pods of a node, which is then free to go."""
        for pod in self.on(node):
            self.remove(pod.name)

    def close(self) -> None:
        """Let go of all of them."""
        for pod in self.values():
            pod.host.namespace.close()

    async def ping(self, source: str, destination: str, family: Family) -> Answer | None:
        """What one Pod's echo request to another is answered with, None if with nothing."""
        return await echo.ping(self[source].host, self[destination].address(family))

    async def path(self, source: str, destination: str, family: Family) -> tuple[str, ...]:
        """The names of all that handle a packet between two Pods, the receiver last; `*` stays silent."""
        hops = await echo.path(self[source].host, self[destination].address(family))
        names = self.names()
        return tuple("*" if hop is None else names.get(hop, str(hop)) for hop in hops)

    async def wait_path(
        self, source: str, destination: str, *routers: str, within: float = _WAIT_SECONDS
    ) -> None:
        """Return once packets of both families between two Pods pass exactly these nodes and routers."""
        for family in Family:
            await eventually(
                partial(self.path, source, destination, family),
                lambda hops: hops == (*routers, destination),
                within=within,
                what=f"{source} -> {' -> '.join((*routers, destination))} ({family})",
            )

    def names(self) -> dict[Address, str]:
        """Which Pod, node or router each address is of."""
        pods = {pod.address(family): pod.name for pod in self.values() for family in Family}
        return self.fabric.names() | pods

    def _new(self, node: str) -> Pod:
        v4, v6 = pod_cidrs(node)
        taken = {pod.v4 for pod in self.on(node)}
        # The first address of a CIDR is often a bridge's.
        number = next(each for each in range(2, 254) if v4[each] not in taken)
        return Pod(Host(Namespace(f"pod{self._made}")), node, v4[number], v6[number])

    def _lay_cable(self, pod: Pod, mac: str) -> None:
        """The node's part: a device without addresses, and routes of which the node's own is the source."""
        node = self.fabric[pod.node]
        v4, v6 = (self.fabric.address(pod.node, family) for family in Family)
        ends = f"address {_GATEWAY_MAC} type veth peer name {_DEVICE} netns {pod.host.namespace.path}"
        node.namespace.ip(
            f"link add name {pod.name} index {_FIRST_INDEX + self._made} {ends}",
            f"link set {pod.name} up",
            f"neighbor replace {pod.v4} lladdr {mac} dev {pod.name} nud permanent",
            f"neighbor replace {pod.v6} lladdr {mac} dev {pod.name} nud permanent",
            f"route replace {pod.v4} dev {pod.name} src {v4}",
            f"route replace {pod.v6} dev {pod.name} src {v6}",
        )

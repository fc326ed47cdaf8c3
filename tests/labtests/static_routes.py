"""Static routes on the hosts of a fabric, in place of what speakers and routing daemons would do."""

from itertools import permutations

from speaker.model.prefix import Family
from tests.lab.net.fabric import Fabric
from tests.lab.pods import pod_cidrs


def route_all(fabric: Fabric) -> None:
    """Every node of a flat fabric, or of one rack, reaches the Pods of every other through that node."""
    for one, other in permutations((node.name for node in fabric.nodes), 2):
        route(fabric, one, other)


def route(fabric: Fabric, one: str, other: str) -> None:
    """A node reaches the Pods of another, its neighbour, through that node."""
    for family, cidr in zip(Family, pod_cidrs(other), strict=True):
        fabric[one].add_route(f"{cidr} via {fabric.address(other, family)}")


def unroute(fabric: Fabric, one: str, other: str) -> None:
    """A node has no route to the Pods of another any more."""
    fabric[one].namespace.ip(*(f"route del {cidr}" for cidr in pod_cidrs(other)))


def route_racks(fabric: Fabric) -> None:
    """The routers of racks reach each other, and what is below each other."""
    for rack in fabric.racks:
        for prefix, gateways in fabric.static_routes(rack.number).items():
            legs = (f"nexthop via {gateway}" for gateway in gateways)
            rack.head.add_route(f"{prefix} {' '.join(legs)}")

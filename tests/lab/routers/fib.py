"""The kernel's forwarding table of a namespace: where packets really go."""

from dataclasses import dataclass
from typing import Any

from speaker.model.prefix import Family
from tests.lab.net.namespace import Namespace


@dataclass(frozen=True, slots=True)
class Leg:
    """One way to a prefix: a gateway and the device it is behind, which bears the host's name."""

    gateway: str
    device: str


Fib = dict[str, frozenset[Leg]]
"""Prefix to its legs."""


def kernel_fib(namespace: Namespace, family: Family | None = None, *, protocol: str = "all") -> Fib:
    """The routes that have a gateway, of one family or both.

    `protocol` is a name or number of ip-route(8), such as `bird`, `bgp` or `203`. Legs whose device is
    down or without carrier are left out, as forwarding leaves them out.
    """
    found: dict[str, set[Leg]] = {}
    for each in (family,) if family else Family:
        option, bits = ("-4", 32) if each is Family.IPV4 else ("-6", 128)
        for route in namespace.ip_json(option, "route", "show", "protocol", protocol):
            destination = route["dst"]
            if destination == "default":
                destination = "0.0.0.0/0" if each is Family.IPV4 else "::/0"
            prefix = destination if "/" in destination else f"{destination}/{bits}"
            found.setdefault(prefix, set()).update(_legs(route))
    return {prefix: frozenset(legs) for prefix, legs in found.items() if legs}


def _legs(route: dict[str, Any]) -> set[Leg]:
    alive = [
        leg for leg in route.get("nexthops", [route]) if not {"dead", "linkdown"} & set(leg.get("flags", ()))
    ]
    return {
        Leg(gateway, leg["dev"])
        for leg in alive
        if (gateway := leg.get("gateway") or leg.get("via", {}).get("host"))
    }

"""Where a row is measured: two namespaces, a cable, and a folder for sockets and logs.

The node has the programs that speak, the other side what they speak to.
"""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from tests.bench.collector import Collector
from tests.lab.net.namespace import Namespace
from tests.lab.routers.config import RouterConfig, neighbor

NODE = IPv4Address("172.30.0.2")
ROUTER = IPv4Address("172.30.0.1")
NODE_ASN = 65000
ROUTER_ASN = 65030
HOLD_SECONDS = 90

_FIRST_PEER = IPv4Address("172.30.1.0")


@dataclass(frozen=True, slots=True)
class Place:
    """One lab of two."""

    node: Namespace
    router: Namespace
    folder: Path

    def collector(self) -> Collector:
        """The BIRD on the other side; not started."""
        config = RouterConfig(
            asn=ROUTER_ASN,
            router_id=str(ROUTER),
            neighbors=(neighbor(str(NODE), NODE_ASN, passive=True),),
            hold_seconds=HOLD_SECONDS,
        )
        return Collector(config, self.router)


def peer_addresses(number: int) -> Sequence[IPv4Address]:
    """Addresses of the other side: one for each peer of a row with many."""
    return [_FIRST_PEER + index for index in range(1, number + 1)]


@contextmanager
def place(peers: int = 0) -> Iterator[Place]:
    """Make one; it is gone afterwards. `peers` is how many further addresses the other side has."""
    # Unix sockets live here: the path must be short.
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    try:
        with Namespace("node") as node, Namespace("router") as router:
            router.ip(
                f"link add name node type veth peer name eth0 netns {node.path}",
                f"address add {ROUTER}/16 dev node",
                *(f"address add {address}/16 dev node" for address in peer_addresses(peers)),
                "link set node up",
            )
            node.ip(f"address add {NODE}/16 dev eth0", "link set eth0 up")
            yield Place(node, router, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)

"""A layer-2 segment: a bridge at the host that heads it, and a cable from each of its hosts to a port.

Hosts of a segment are neighbours: they reach each other without the head, which is only one more of
them (a router, or a switch that answers at an address and forwards nothing). Knows cables and the two
addresses that each end has; knows nothing of routes.
"""

from collections.abc import Sequence
from ipaddress import IPv4Interface, IPv6Interface

from tests.lab.net.host import End, Host, Link

DEVICE = "lan"
"""What the head calls the bridge."""

UPLINK = "eth0"
"""What every other host calls its end of the cable."""

_FIRST_INDEX = 2000
_MAX_HOSTS = 240
_FIRST_HOST = 10


class Segment:
    """A segment numbered 1-250: IPv4 172.31.NUMBER.0/24, IPv6 fd00:31:NUMBER::/64; the head has .1.

    It begins without hosts; they may come and go at any time.
    """

    def __init__(self, head: Host, number: int) -> None:
        self.head = head
        self.number = number
        self.v4, self.v6 = self._interfaces(1)
        self._made = 0
        # A bridge takes the lowest address of its ports unless it has one of its own: the head would
        # change its address when a host comes, and its neighbours would miss it for a while.
        bridge = "stp_state 0 forward_delay 0 mcast_snooping 0"
        head.set_up(
            [
                f"link add name {DEVICE} address 02:00:00:00:{number:02x}:01 type bridge {bridge}",
                *configure(DEVICE, self.v4, self.v6),
            ],
            (),
        )

    def plug(self, host: Host, number: int) -> Link:
        """Lay a cable to the host, which gets address 10 + `number` (1-240) of the segment."""
        if not 1 <= number <= _MAX_HOSTS:
            raise ValueError(f"a segment has hosts 1-{_MAX_HOSTS}, not {number}")
        lower = End(host, UPLINK, *self._interfaces(_FIRST_HOST + number))
        upper = End(self.head, host.name, self.v4, self.v6)
        self._made += 1
        self.head.namespace.ip(
            cable(upper, lower, _FIRST_INDEX + self._made),
            # A port is no host: only the bridge is to have addresses.
            f"link set {upper.device} addrgenmode none",
            f"link set {upper.device} master {DEVICE}",
            f"link set {upper.device} up",
        )
        host.namespace.ip(*configure(lower.device, lower.v4, lower.v6))
        return Link(upper, lower)

    def _interfaces(self, last: int) -> tuple[IPv4Interface, IPv6Interface]:
        return (
            IPv4Interface(f"172.31.{self.number}.{last}/24"),
            IPv6Interface(f"fd00:31:{self.number}::{last}/64"),
        )


def cable(upper: End, lower: End, index: int) -> str:
    """The line of ip(8), for the upper host, that makes both ends of a cable; its own gets the index.

    Were the indices of both ends equal, by chance, the kernel would take up to a second to notice that
    the cable is plugged in: `index` is larger than any that the other host gives out by itself.
    """
    peer = f"peer name {lower.device} netns {lower.host.namespace.path}"
    return f"link add name {upper.device} index {index} type veth {peer}"


def unplug(link: Link) -> None:
    """Take a cable away for good, with the devices at both ends."""
    link.upper.host.namespace.ip(f"link del {link.upper.device}")


def configure(device: str, v4: IPv4Interface, v6: IPv6Interface) -> Sequence[str]:
    """The lines of ip(8) that give a device its addresses and set it up."""
    return (
        f"address add {v4} dev {device}",
        f"address add {v6} dev {device} nodad",
        f"link set {device} up",
    )

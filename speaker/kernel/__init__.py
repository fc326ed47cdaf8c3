"""This host's network as the kernel tells it: addresses, and the source toward each peer.

The only home of pyroute2. Knows peers by name and address alone; knows no BGP and no Kubernetes.
"""

from speaker.kernel.facts import HostFacts, uptime_seconds
from speaker.kernel.netlink import SocketFactory
from speaker.kernel.watch import Kernel

__all__ = ["HostFacts", "Kernel", "SocketFactory", "uptime_seconds"]

"""This host's network as the kernel tells it: addresses, the source toward each peer, our routes.

The only home of pyroute2. Knows peers by name and address alone; knows no BGP and no Kubernetes.
"""

from speaker.kernel.facts import HostFacts, uptime_seconds
from speaker.kernel.fib import Fib
from speaker.kernel.netlink import SocketFactory
from speaker.kernel.reconcile import FibStatus
from speaker.kernel.watch import Kernel

__all__ = ["Fib", "FibStatus", "HostFacts", "Kernel", "SocketFactory", "uptime_seconds"]

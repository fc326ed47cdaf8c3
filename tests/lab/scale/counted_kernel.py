"""A kernel that counts: many speakers cannot share one machine's tables.

Every next hop is a neighbour and every address is there. Knows which prefixes are wanted; writes nothing.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping

from speaker.kernel import Fib, HostFacts, Kernel
from speaker.model.fib import Hop, Resolution
from speaker.model.prefix import Address, Prefix

NEIGHBOUR = Resolution(hops=(Hop(1),), on_link=True)


class CountedFib(Fib):
    """What the kernel would be told.

    Args:
        on_resolved: as for `Fib`.
        on_routes: called after routes have changed.
    """

    def __init__(
        self, on_resolved: Callable[[Mapping[Address, Resolution]], None], on_routes: Callable[[], None]
    ) -> None:
        super().__init__(on_resolved=on_resolved, on_problem=_no_problem)
        self._neighbours: frozenset[Address] = frozenset()
        self._tell = on_resolved
        self._on_routes = on_routes
        self.routes: dict[Prefix, tuple[Address, ...]] = {}

    def track(self, next_hops: Collection[Address]) -> None:
        """Resolve them a little later, as the kernel would."""
        fresh = frozenset(next_hops) - self._neighbours
        self._neighbours = frozenset(next_hops)
        if fresh:
            asyncio.get_running_loop().call_soon(self._tell, dict.fromkeys(fresh, NEIGHBOUR))

    def set_routes(self, changes: Mapping[Prefix, tuple[Address, ...] | None]) -> None:
        """Keep the routes."""
        for prefix, next_hops in changes.items():
            if next_hops is None:
                self.routes.pop(prefix, None)
            else:
                self.routes[prefix] = next_hops
        self._on_routes()

    def set_blackholes(self, prefixes: Collection[Prefix]) -> None:
        """Nothing is dropped where nothing arrives."""

    def release(self) -> None:
        """There is nothing from an earlier run."""


class CountedKernel(Kernel):
    """A host with one address, from which every peer is reached.

    Args:
        address: the address.
        on_change: as for `Kernel`.
    """

    def __init__(self, address: Address, on_change: Callable[[HostFacts], None]) -> None:
        super().__init__(on_change=on_change)
        self._address = address
        self._tell = on_change
        self._sources: Mapping[str, Address] = {}

    async def wait_ready(self) -> None:
        """It always is."""

    def set_peers(self, addresses: Mapping[str, Address]) -> None:
        """Tell the source toward the peers a little later, as the kernel would."""
        sources = dict.fromkeys(addresses, self._address)
        if sources != self._sources:
            self._sources = sources
            facts = HostFacts(addresses=frozenset({self._address}), sources=sources)
            asyncio.get_running_loop().call_soon(self._tell, facts)


def _no_problem(sentence: str) -> None:
    raise AssertionError(sentence)

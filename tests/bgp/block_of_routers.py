"""A speaker that lets routers in from a range of addresses, and the routers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from speaker.bgp import PeerSet, SessionEvent, SessionEventKind
from speaker.bgp.messages import MessageType
from speaker.bgp.packing import pack_routes
from speaker.model.peer import GracefulRestart, PeerRange
from tests.bgp.builders import PORT, Speaker, loopback, loopback_block, peer, prefix, route, until
from tests.bgp.raw_peer import Closed, RawPeer
from tests.bgp.test_sessions import context_of

RESTARTS: dict[str, Any] = {"graceful_restart": GracefulRestart(restart_time_seconds=120)}
QUICK = {"hold_time_seconds": 0, "connect_retry_seconds": 0.01, "graceful_restart": None}


@dataclass
class Scene:
    """A speaker that lets routers in from a block of addresses."""

    speaker: Speaker
    ours: IPv4Address
    block: IPv4Network
    routers: list[RawPeer]

    @property
    def peers(self) -> PeerSet:
        return self.speaker.peers

    @property
    def names(self) -> set[str]:
        """The peers of ranges that there are now."""
        return {each.name for each in self.peers.range_peers}

    def range(self, limit: int = 3, block: IPv4Network | None = None, **template: Any) -> PeerRange:
        return PeerRange(prefix=block or self.block, limit=limit, template=peer(**(QUICK | template)))

    def router(self, number: int, **settings: Any) -> RawPeer:
        """A router at an address of the block; numbers above 15 are outside of it."""
        address = IPv4Address(int(self.block.network_address) + number)
        made = RawPeer(peer(**(QUICK | settings | {"name": str(address), "address": address})))
        self.routers.append(made)
        return made

    async def connect(self, router: RawPeer) -> None:
        await router.connect(self.ours, PORT)

    async def join(self, number: int, **settings: Any) -> RawPeer:
        """A router that has a session."""
        router = self.router(number, **settings)
        await self.rejoin(router)
        return router

    async def rejoin(self, router: RawPeer) -> None:
        """The router connects until it is let in: just after an end it has to wait a moment."""
        name = str(router.address)
        before = len(self.of(name, SessionEventKind.ESTABLISHED))
        async with asyncio.timeout(10):
            while True:
                await self.connect(router)
                try:
                    await router.establish()
                except Closed:
                    await asyncio.sleep(0.01)
                    continue
                break
        await until(lambda: len(self.of(name, SessionEventKind.ESTABLISHED)) > before)

    async def is_refused(self, router: RawPeer) -> bool:
        """Whether a connection of the router's is closed at once."""
        await self.connect(router)
        try:
            await router.expect(MessageType.OPEN)
        except Closed:
            return True
        return False

    async def tell(self, router: RawPeer, *prefixes: str) -> None:
        await router.send(*pack_routes(context_of(router), map(route, prefixes)))
        wanted = {prefix(each) for each in prefixes}
        name = str(router.address)
        await until(lambda: wanted <= {each.prefix for each in self.peers.received(name)})

    async def leave(self, router: RawPeer) -> None:
        """The router closes its connection, and the speaker has seen it."""
        name = str(router.address)
        before = len(self.of(name, SessionEventKind.CLOSED))
        router.hang_up()
        await until(lambda: len(self.of(name, SessionEventKind.CLOSED)) > before)

    def of(self, name: str, kind: SessionEventKind) -> list[SessionEvent]:
        return [event for event in self.speaker.kinds(kind) if event.peer == name]


@asynccontextmanager
async def scene(
    limit: int = 3, arguments: dict[str, Any] | None = None, **template: Any
) -> AsyncIterator[Scene]:
    """A speaker with one range of sixteen addresses."""
    events: list[SessionEvent] = []
    ours = loopback()
    assert isinstance(ours, IPv4Address)
    peers = PeerSet(on_event=events.append, listen_port=PORT, listen_addresses=(ours,), **(arguments or {}))
    made = Scene(Speaker(peers, events), ours, loopback_block(), [])
    try:
        peers.set_ranges([made.range(limit, **template)])
        peers.release()
        peers.start()
        made.speaker.run()
        yield made
    finally:
        await made.speaker.end()
        for router in made.routers:
            router.close()


async def never(condition: Any) -> None:
    """Gives the speaker some turns, after which the condition must not hold."""
    for _ in range(20):
        await asyncio.sleep(0.001)
    assert not condition()

"""`python -m tests.bench.engine`: the speaker's BGP engine alone, in a process, with routes handed to it.

A process that is asked over its input (`tests.lab.scale.process`). It stands where gobgpd and ExaBGP stand:
whoever injects routes there has decided them already, and so they are made here before the clock starts.
"""

import asyncio
import time
from collections.abc import Sequence

from speaker.bgp import PeerSet, SessionEvent, SessionEventKind
from speaker.model.peer import Peer
from speaker.model.prefix import Family, Prefix, host_prefix
from speaker.model.route import PathAttributes, Route
from tests.bench.documents import pod_address
from tests.bench.place import HOLD_SECONDS, NODE, NODE_ASN, ROUTER, ROUTER_ASN
from tests.lab.scale.process import Answer, serve

HANDED_OVER = 500
"""How many routes a turn hands over, as the daemon does."""

PEER = "collector"


class Engine:
    """One session."""

    def __init__(self) -> None:
        self._sessions = PeerSet(on_event=self._event)
        self._established = asyncio.Event()
        self._prepared: list[dict[Prefix, Route]] = []

    async def run(self) -> None:
        """Have the session until the input ends."""
        self._sessions.set_peers([_peer()])
        self._sessions.release()
        self._sessions.start()
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(self._sessions.run())
            await serve(self._carry_out)
            running.cancel()

    def _event(self, event: SessionEvent) -> None:
        if event.kind is SessionEventKind.ESTABLISHED:
            self._established.set()

    async def _carry_out(self, order: Sequence[str]) -> Answer:
        match order:
            case ["prepare", number]:
                self._prepared = list(_routes(int(number)))
                await self._established.wait()
                return {}
            case ["announce"]:
                return await self._hand_over(withdrawn=False)
            case _:
                return await self._hand_over(withdrawn=True)

    async def _hand_over(self, *, withdrawn: bool) -> Answer:
        began = time.monotonic()
        for some in self._prepared:
            self._sessions.update(PEER, dict.fromkeys(some) if withdrawn else some)
            await asyncio.sleep(0)
        return {"at": began}


def _routes(number: int) -> list[dict[Prefix, Route]]:
    attributes = PathAttributes()
    prefixes = [host_prefix(pod_address(index)) for index in range(number)]
    return [
        {prefix: Route(prefix, NODE, attributes) for prefix in prefixes[start : start + HANDED_OVER]}
        for start in range(0, number, HANDED_OVER)
    ]


def _peer() -> Peer:
    return Peer(
        name=PEER,
        address=ROUTER,
        asn=ROUTER_ASN,
        local_asn=NODE_ASN,
        router_id=NODE,
        families=frozenset({Family.IPV4}),
        hold_time_seconds=HOLD_SECONDS,
    )


if __name__ == "__main__":
    asyncio.run(Engine().run())

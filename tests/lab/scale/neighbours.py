"""All that one node peers with: `python -m tests.lab.scale.neighbours DESIGN SIZE NUMBER`.

The neighbours of Node NUMBER share this process. Each has its session with that node and no other,
advertises what it owns, and decides nothing, so a thousand of them are cheap. A neighbour that reflects
advertises what all Nodes own. Must not know what is measured.
"""

import asyncio
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from ipaddress import IPv4Network

from speaker.bgp import PeerSet, SessionEvent
from speaker.fabric.design import Plan
from speaker.fabric.nodes import NodeBook
from speaker.fabric.resources import ResourceBook
from speaker.model.peer import Peer, SessionState
from speaker.model.route import Learned, PathAttributes, Route
from tests.lab.scale.clusters import (
    CLUSTER_ID,
    PORT,
    ClusterShape,
    Design,
    address_of,
    name_of,
    number_of,
    pod_cidr,
)
from tests.lab.scale.process import Answer, prepare, serve


class Neighbours:
    """The other ends of one node's sessions.

    Args:
        shape: the cluster.
        number: the node.
    """

    def __init__(self, shape: ClusterShape, number: int) -> None:
        self._shape = shape
        self._number = number
        self._updates = 0
        self._sets = {number_of(peer.name): self._neighbour(peer) for peer in peers_of(shape, number)}

    def _neighbour(self, peer: Peer) -> PeerSet:
        """The other end of a session, which tells what it has to tell."""
        other = number_of(peer.name)
        made = PeerSet(on_event=self._heard, listen_port=PORT, listen_addresses=(address_of(other),))
        made.set_peers([self._other_end(peer)])
        made.update(name_of(self._number), {route.prefix: route for route in self._routes(other)})
        made.release()
        return made

    def _other_end(self, peer: Peer) -> Peer:
        reflects = self._shape.is_reflector(number_of(peer.name))
        return replace(
            peer,
            name=name_of(self._number),
            node=name_of(self._number),
            address=address_of(self._number),
            source=peer.address,
            router_id=address_of(number_of(peer.name)),
            passive=not peer.passive,
            imports=False,
            client=reflects and not self._shape.is_reflector(self._number),
            cluster_id=CLUSTER_ID if reflects else None,
        )

    def _routes(self, other: int) -> Iterator[Route]:
        """What a neighbour advertises: its own, and as a reflector to its client everybody's."""
        yield Route(pod_cidr(other), address_of(other))
        if self._shape.is_reflector(other) and not self._shape.is_reflector(self._number):
            for owner in range(1, self._shape.nodes + 1):
                if owner not in {other, self._number}:
                    yield _reflected(pod_cidr(owner), owner)

    async def serve(self) -> None:
        """Carry out orders until the input ends."""
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(each.run()) for each in self._sets.values()]
            for each in self._sets.values():
                each.start()
            await serve(self._carry_out)
            for task in running:
                task.cancel()

    async def _carry_out(self, order: Sequence[str]) -> Answer:
        match order:
            case ["announce", owner, which]:
                self._announce(int(owner), int(which))
                return {"at": time.monotonic()}
            case _:
                return {"updates": self._updates, "sessions": sum(map(_is_established, self._sets.values()))}

    def _announce(self, owner: int, which: int) -> None:
        """A Node has one more Pod CIDR: it says so itself, or the reflectors do."""
        prefix = pod_cidr(owner, which)
        if owner in self._sets:
            route = Route(prefix, address_of(owner))
            self._sets[owner].update(name_of(self._number), {prefix: route})
            return
        for each in self._sets.values():
            each.update(name_of(self._number), {prefix: _reflected(prefix, owner)})

    def _heard(self, event: SessionEvent) -> None:
        self._updates += bool(event.advertised or event.withdrawn)


def _is_established(peers: PeerSet) -> bool:
    return all(each.state is SessionState.ESTABLISHED for each in peers.sessions().values())


def peers_of(shape: ClusterShape, number: int) -> Sequence[Peer]:
    """The sessions that the design gives a node."""
    nodes, resources = NodeBook(), ResourceBook()
    nodes.apply(shape.changes())
    resources.apply(shape.changes())
    plan = Plan(nodes.nodes, resources.configuration, resources.peers)
    return plan.of(name_of(number), lambda _: None).peers


def _reflected(prefix: IPv4Network, owner: int) -> Route:
    learned = Learned(originator_id=address_of(owner), cluster_list=(CLUSTER_ID,))
    return Route(prefix, address_of(owner), PathAttributes(learned=learned))


def main(design: str, size: str, number: str) -> None:
    """Be the neighbours of one node."""
    prepare()
    neighbours = Neighbours(ClusterShape(Design(design), int(size)), int(number))
    asyncio.run(neighbours.serve())


if __name__ == "__main__":
    main(*sys.argv[1:])

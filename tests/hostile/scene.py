"""A speaker between a hostile peer and a well-behaved one, which must not notice.

Knows how both are configured and what the well-behaved one must still see at the end.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_network
from random import randint
from typing import Any

from speaker.bgp import PeerSet, SessionEvent, SessionEventKind
from speaker.model.peer import Peer, SessionState
from tests.bgp.builders import PORT, Speaker, route, routes, until
from tests.bgp.builders import peer as bgp_peer
from tests.fuzz import wire
from tests.hostile.stranger import Stranger, Told

GOOD_PREFIX = "10.200.0.0/16"
NEXT_HOP = wire.attribute(wire.NEXT_HOP, bytes.fromhex("c0000201"))
ORIGIN = wire.attribute(wire.ORIGIN, b"\0")


def attributes(peer: Peer) -> bytes:
    """What a plain route of this peer must have."""
    if peer.is_ibgp:
        return ORIGIN + wire.as_path() + NEXT_HOP + wire.attribute(wire.LOCAL_PREF, b"\0\0\0\x64")
    return ORIGIN + wire.as_path(peer.asn) + NEXT_HOP


def advertisement(peer: Peer, *prefixes: str) -> bytes:
    """An UPDATE of this peer with nothing wrong in it."""
    return wire.update_message(attributes(peer), wire.nlri(*prefixes))


@dataclass
class Scene:
    """All of it; `bad` speaks by the test's bytes, `good` has a session, a route each way."""

    speaker: Speaker
    bad: Stranger
    good: Stranger
    ours: Any
    extra: int = 0

    @property
    def received(self) -> set[str]:
        """The prefixes that are kept of the hostile peer's."""
        return self.kept_of("bad")

    def kept_of(self, name: str) -> set[str]:
        """The prefixes that are kept of a peer's."""
        return {str(each.prefix) for each in self.speaker.peers.received(name).values()}

    def events(self, kind: SessionEventKind) -> list[SessionEvent]:
        """What was reported of the hostile peer."""
        return [event for event in self.speaker.kinds(kind) if event.peer == "bad"]

    async def until_received(self, *prefixes: str) -> None:
        """Waits until exactly these prefixes are kept of the hostile peer's."""
        await until(lambda: self.received == set(prefixes), f"received {prefixes}")

    async def establish(self, open_message: bytes | None = None) -> None:
        """The hostile peer behaves until its session is established and the speaker has said its first."""
        await self.bad.accept()
        await self.bad.bring_to(SessionState.ESTABLISHED, open_message)
        await self.speaker.until_state(SessionState.ESTABLISHED, "bad")
        await self.bad.expect(wire.UPDATE)

    async def answer(self, state: SessionState, *messages: bytes) -> Told | None:
        """What the speaker says last when the hostile peer sends this in that state."""
        await self.bad.accept()
        await self.bad.bring_to(state)
        await self.bad.send(*messages)
        return await self.bad.last_words()

    async def good_has_not_noticed(self) -> None:
        """The session of the well-behaved peer is the one from the start, and works in both directions."""
        status = self.speaker.peers.sessions()["good"]
        assert status.state is SessionState.ESTABLISHED
        assert status.flaps == 0
        errors = [event for event in self.speaker.kinds(SessionEventKind.ERROR) if event.peer == "good"]
        assert errors == []
        assert {GOOD_PREFIX} == self.kept_of("good")
        self.extra += 1
        fresh = f"10.201.{self.extra}.0/24"
        self.speaker.peers.update("good", {ip_network(fresh): route(fresh)})
        while wire.nlri(fresh) not in await self.good.expect(wire.UPDATE):
            pass


@asynccontextmanager
async def scene(
    *, listening: bool = False, limit: int = 10_000, arguments: dict[str, Any] | None = None, **bad: Any
) -> AsyncIterator[Scene]:
    """A speaker whose well-behaved peer is established and whose hostile one is about to begin.

    Args:
        listening: the hostile peer is waited for and not dialled.
        limit: how many received prefixes are kept for each peer.
        arguments: more for the `PeerSet`.
        bad: the configuration of the hostile peer.
    """
    ours = _address()
    events: list[SessionEvent] = []
    usual = {"name": "bad", "address": _address(), "connect_retry_seconds": 0.2, "extended_messages": False}
    hostile = bgp_peer(**(usual | ({"passive": True} if listening else {}) | bad))
    behaved = bgp_peer(name="good", address=_address(), hold_time_seconds=0)
    whole: dict[str, Any] = {"listen_port": PORT, "listen_addresses": (ours,)} if listening else {}
    peers = PeerSet(on_event=events.append, received_limit=limit, **(whole | (arguments or {})))
    made = Scene(Speaker(peers, events), Stranger(hostile), Stranger(behaved).listen(), ours)
    try:
        if not listening:
            made.bad.listen()
        peers.set_peers([hostile, behaved])
        for name in ("good", "bad"):
            peers.update(name, routes("10.250.0.0/16"))
        peers.release()
        peers.start()
        made.speaker.run()
        await _behave(made.good, behaved)
        await until(lambda: peers.received("good"), "the well-behaved peer's route")
        yield made
    finally:
        # Nobody is dialled any more, and what has just been connected is served before it is cancelled.
        peers.set_peers([])
        made.bad.close()
        made.good.close()
        for _turn in range(3):
            await asyncio.sleep(0)
        await made.speaker.end()


def _address() -> IPv4Address:
    """An address of the loopback that no other test has, here or in another process."""
    # tests.bgp.builders takes its addresses below 127.220.0.0, and has fewer than are needed here.
    return IPv4Address(f"127.{randint(220, 254)}.{randint(0, 255)}.{randint(1, 254)}")


async def _behave(good: Stranger, peer: Peer) -> None:
    await good.accept()
    await good.bring_to(SessionState.ESTABLISHED)
    await good.send(advertisement(peer, GOOD_PREFIX))

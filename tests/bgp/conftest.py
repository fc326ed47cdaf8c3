"""Speakers and raw peers that end with their test."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from speaker.bgp import PeerSet, SessionEvent
from speaker.model.peer import Peer
from tests.bgp.builders import Speaker
from tests.bgp.raw_peer import RawPeer


@pytest.fixture
async def speak() -> AsyncIterator[Callable[..., Speaker]]:
    """Builds, configures and starts speakers."""
    speakers: list[Speaker] = []

    def start(*peers: Peer, released: bool = True, started: bool = True, **arguments: Any) -> Speaker:
        events: list[SessionEvent] = []
        on_event = arguments.pop("on_event", events.append)
        speaker = Speaker(PeerSet(on_event=on_event, **arguments), events)
        speakers.append(speaker)
        speaker.peers.set_peers(peers)
        if released:
            speaker.peers.release()
        if started:
            speaker.peers.start()
        speaker.run()
        return speaker

    yield start
    for speaker in speakers:
        await speaker.end()


@pytest.fixture
async def raw() -> AsyncIterator[Callable[..., RawPeer]]:
    """Builds raw peers."""
    peers: list[RawPeer] = []

    def make(*args: Any, **arguments: Any) -> RawPeer:
        peers.append(RawPeer(*args, **arguments))
        return peers[-1]

    yield make
    for raw_peer in peers:
        raw_peer.close()
    await asyncio.sleep(0)

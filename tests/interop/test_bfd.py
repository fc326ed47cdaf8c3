"""BGP shares the fate of BFD: silence ends the session at once, on both sides; what comes back is found.

The hold time is minutes, so that whatever ends is BFD's doing.
"""

import asyncio
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest

from speaker.bfd import State
from speaker.bgp import SessionEventKind
from speaker.model.peer import BfdTimers, SessionState
from speaker.model.prefix import Family
from tests.bgp.builders import Speaker, until
from tests.interop.fate import Fate
from tests.interop.matrix import proves
from tests.interop.rack import Rack, against
from tests.interop.watching import watching
from tests.lab.routers.router import Router
from tests.lab.waiting import eventually

pytestmark = pytest.mark.netns

HOLD_SECONDS = 180
MULTIPLIER = 10
"""What a busy machine may be late by, and a test still waits for."""
TIMERS = BfdTimers(transmit_milliseconds=100, receive_milliseconds=100, multiplier=MULTIPLIER)
VIP, VIP6 = "10.96.0.10/32", "fd00:96::10/128"
HOPS = {VIP: {"172.30.1.2"}, VIP6: {"fd00:30:1::2"}}


class Meeting:
    """A router and the speaker of node1, with BFD beside their session, and routes on it."""

    def __init__(self, rack: Rack, family: Family) -> None:
        self.node = rack.address(family=family)
        self.peer = rack.peer(family=family, bfd=TIMERS, hold_time_seconds=HOLD_SECONDS, source=self.node)
        self._rack = rack
        self._family = family
        self.router: Router
        self.speaker: Speaker
        self.bfd: Fate

    async def begin(self, neighbor: dict[str, Any] | None = None, **overrides: Any) -> None:
        """Starts everything, and waits until both sides are up."""
        options: dict[str, Any] = {"bfd": True, "bfd_multiplier": MULTIPLIER} | (neighbor or {})
        self.router = await self._rack.router(
            self._rack.neighbor(family=self._family, **options),
            hold_seconds=HOLD_SECONDS,
            keepalive_seconds=60,
        )
        self.peer = replace(self.peer, **overrides)
        await self.speak()

    async def speak(self) -> None:
        """Starts the speaker, and BFD beside it."""
        started_at = asyncio.get_running_loop().time()
        self.speaker = self._rack.speaker(self.peer, started_at=started_at)
        self.bfd = self._rack.bfd(self.speaker, self.peer)
        self.speaker.peers.update("tor1", self._rack.routes(*HOPS))
        await self.router.wait_routes(HOPS)
        await self.speaker.until_state(SessionState.ESTABLISHED, "tor1")
        await self.until_bfd_up()

    async def until_bfd_up(self) -> None:
        """Both sides are up."""
        await until(lambda: self.bfd.status().state is State.UP, "BFD up", seconds=30)
        await self.until_router_bfd(up=True)

    async def until_router_bfd(self, *, up: bool) -> None:
        """The router's side is so."""
        await eventually(
            self.router.bfd_sessions,
            lambda found: self.node in found and found[self.node].up is up,
            within=30,
            what=f"BFD {'up' if up else 'down'} at the router",
        )


async def dies_and_comes_back(met: Meeting, rack: Rack) -> None:
    """Silence on the wire ends the session on both sides, and its end brings everything back."""
    with rack.topology.link("node1").silent():
        await until(lambda: met.speaker.kinds(SessionEventKind.CLOSED), "the end of the session")
        (closed,) = met.speaker.kinds(SessionEventKind.CLOSED)
        await met.router.wait_sessions(
            lambda found: met.node not in found or not found[met.node].established, what="the router's end"
        )
        await met.router.wait_routes({})

    assert closed.reason.startswith(f"BFD: no BFD packet came from {met.peer.address}")
    assert "NOTIFICATION 6/10" in closed.reason
    await met.speaker.until_state(SessionState.ESTABLISHED, "tor1")
    await met.router.wait_routes(HOPS)
    await met.until_bfd_up()


@proves("bfd")
async def test_silence_over_ipv4(rack: Rack) -> None:
    met = Meeting(rack, Family.IPV4)
    await met.begin()

    await dies_and_comes_back(met, rack)


@proves("bfd-ipv6")
async def test_silence_over_ipv6(rack: Rack) -> None:
    met = Meeting(rack, Family.IPV6)
    await met.begin()

    await dies_and_comes_back(met, rack)


@proves("bfd-multihop")
async def test_silence_toward_a_loopback_address(rack: Rack) -> None:
    """Both BGP and BFD may pass routers (RFC 5883)."""
    loopback = ip_address("192.168.50.1")
    met = Meeting(rack, Family.IPV4)
    await met.begin({"multihop": True, "local_address": loopback}, address=loopback, multihop_ttl=2)

    await dies_and_comes_back(met, rack)


@pytest.mark.parametrize("graceful", [True, False])
@against("bird")
async def test_what_a_dead_link_means_is_the_router_s_to_say(rack: Rack, graceful: bool) -> None:
    """To BIRD with `bfd graceful` it is the beginning of a restart; with `bfd on` the routes go at once."""
    met = Meeting(rack, Family.IPV4)
    await met.begin({"bfd_graceful": graceful})

    with rack.topology.link("node1").silent():
        await met.until_router_bfd(up=False)
        await met.router.wait_sessions(lambda found: not found[met.node].established)
        assert await met.router.next_hops() == (HOPS if graceful else {})


@against("bird", "frr")
async def test_an_upgrade_loses_no_route_however_long_bfd_is_silent(rack: Rack) -> None:
    """TCP ends first, as in a restart; then BFD falls silent, and its end is no news of the path any more."""
    met = Meeting(rack, Family.IPV4)
    await met.begin({"bfd_graceful": rack.daemon.name == "bird"})

    async with watching(met.router) as seen:
        await met.speaker.peers.stop(graceful_restart=True)
        await met.router.wait_sessions(lambda found: not found[met.node].established)
        await met.bfd.end()
        await met.until_router_bfd(up=False)
        await met.speak()

    assert seen == [HOPS]


@against("bird")
async def test_an_upgrade_that_outlasts_bfd_loses_the_routes_without_graceful_bfd(rack: Rack) -> None:
    """BIRD with `bfd on` takes the silence of a restarting peer for the death of its forwarding."""
    met = Meeting(rack, Family.IPV4)
    await met.begin()

    await met.speaker.peers.stop(graceful_restart=True)
    await met.router.wait_sessions(lambda found: not found[met.node].established)
    assert await met.router.next_hops() == HOPS
    await met.bfd.end()

    await met.router.wait_routes({})

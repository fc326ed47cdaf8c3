"""BFD with the routers that have it: the session comes up, finds what is lost, and comes back.

The BGP sessions last for minutes without a word, so that whatever ends is BFD's doing.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from ipaddress import IPv6Address
from typing import Any

import pytest

from speaker.bfd import BfdEventKind, State
from speaker.model.peer import BfdTimers, Peer, SessionState
from speaker.model.prefix import Address, Family
from tests.bfd.builders import Bfd
from tests.bgp.builders import until
from tests.interop.rack import ROUTER_ASN, Rack, against
from tests.lab.net.host import End
from tests.lab.routers.config import Neighbor
from tests.lab.routers.frr import Frr
from tests.lab.routers.router import Router
from tests.lab.routers.table import BfdInfo
from tests.lab.waiting import eventually

pytestmark = pytest.mark.netns

Start = Callable[..., Awaitable[Bfd]]

PATIENT = 30
"""A Detect Mult that outlasts any load on the machine."""

BRISK = 10
"""One that is found in a second."""

HOLD_SECONDS = 180


def timers(multiplier: int = PATIENT, milliseconds: int = 100, **options: Any) -> BfdTimers:
    return BfdTimers(
        transmit_milliseconds=milliseconds,
        receive_milliseconds=milliseconds,
        multiplier=multiplier,
        **options,
    )


class Meeting:
    """A router, and the speaker on a node below it."""

    def __init__(self, router: Router, speaker: Bfd, peer: Peer, node: Address) -> None:
        self.router = router
        self.speaker = speaker
        self.peer = peer
        self.node = node

    async def until_router(self, holds: Callable[[BfdInfo], bool], what: str) -> BfdInfo:
        """The router's side of the session, once it is so."""

        async def side() -> BfdInfo | None:
            return (await self.router.bfd_sessions()).get(self.node)

        found = await eventually(
            side, lambda info: info is not None and holds(info), within=30, what=f"{self.router}: {what}"
        )
        assert found is not None
        return found

    async def until_up(self) -> None:
        await self.speaker.until_state(State.UP, seconds=30)
        await self.until_router(lambda info: info.up, "BFD up")

    async def until_down(self) -> None:
        await self.speaker.until_event(BfdEventKind.DOWN, seconds=30)
        await self.until_router(lambda info: not info.up, "BFD down")


async def meet(
    rack: Rack,
    start: Start,
    *,
    family: Family = Family.IPV4,
    multiplier: int = PATIENT,
    host: str | None = None,
    where: Address | None = None,
    neighbor: dict[str, Any] | None = None,
    **overrides: Any,
) -> Meeting:
    """Both ends of a BGP session with BFD, established."""
    node = rack.address(family=family) if where is None else where
    options = {"passive": True, "bfd": True, "bfd_multiplier": multiplier} | (neighbor or {})
    asn = options.pop("asn", 65000)
    router = await rack.router(
        Neighbor(where=node, asn=asn, **options),
        host=host,
        hold_seconds=HOLD_SECONDS,
        keepalive_seconds=60,
    )
    source = None if node.is_link_local else node
    values = {"bfd": timers(multiplier), "source": source, "hold_time_seconds": HOLD_SECONDS} | overrides
    peer = rack.peer(family=family, **values)
    namespace = rack.topology["node1"].namespace
    bgp = rack.speaker(peer)
    speaker = await start(peer, open_socket=lambda family: namespace.socket(family, 2))
    await bgp.until_state(SessionState.ESTABLISHED, peer.name)
    return Meeting(router, speaker, peer, node)


@pytest.mark.parametrize("family", list(Family))
async def test_a_session_comes_up_over_either_family(rack: Rack, start: Start, family: Family) -> None:
    met = await meet(rack, start, family=family)
    await met.until_up()

    await until(lambda: met.speaker.status().detection_milliseconds == 100 * PATIENT, "the negotiated time")
    info = await met.until_router(lambda info: info.transmit_milliseconds == 100, "the negotiated time")

    status = met.speaker.status()
    assert (status.transmit_milliseconds, status.receive_milliseconds) == (100, 100)
    assert (status.multihop, status.flaps, status.discards) == (False, 0, {})
    assert info.detection_milliseconds == 100 * PATIENT


@pytest.mark.parametrize("family", list(Family))
async def test_silent_loss_is_found_on_both_sides_and_forgotten(
    rack: Rack, start: Start, family: Family
) -> None:
    met = await meet(rack, start, family=family, multiplier=BRISK)
    await met.until_up()

    with rack.topology.link("node1").silent():
        await met.until_down()
    status = met.speaker.status()
    await met.until_up()

    assert status.diagnostic == "Control Detection Time Expired"
    assert status.remote_discriminator == 0


async def test_what_only_we_do_not_hear_brings_both_sides_down(rack: Rack, start: Start) -> None:
    met = await meet(rack, start, multiplier=BRISK)
    await met.until_up()
    link = rack.topology.link("node1")
    link.lose_toward_host()
    await met.until_down()
    link.heal()
    await met.until_up()


async def test_what_only_the_router_does_not_hear_it_tells_us(rack: Rack, start: Start) -> None:
    met = await meet(rack, start, multiplier=BRISK)
    await met.until_up()
    link = rack.topology.link("node1")
    link.lose_toward_router()
    await met.until_down()
    link.heal()
    down = next(event for event in met.speaker.events if event.kind is BfdEventKind.DOWN)
    assert down.reason.endswith("signals that BFD is down (Control Detection Time Expired there)")
    await met.until_up()


@pytest.mark.parametrize("ending", [Router.stop, Router.kill])
async def test_a_router_that_ends_is_noticed_and_met_anew(
    rack: Rack, start: Start, ending: Callable[[Router], Awaitable[None]]
) -> None:
    """BIRD falls silent; FRR begins anew when its bgpd goes first, and then falls silent."""
    met = await meet(rack, start, multiplier=BRISK)
    await met.until_up()
    await ending(met.router)
    await met.speaker.until_state(State.DOWN)
    await met.router.start()
    await met.speaker.until_event(BfdEventKind.UP, seconds=30)


@against("frr")
async def test_a_router_that_replaces_its_session_has_not_failed(rack: Rack, start: Start) -> None:
    """FRR does so when BFD was up before the BGP session was."""
    peer = rack.peer(bfd=timers(), source=rack.address(), hold_time_seconds=HOLD_SECONDS)
    namespace = rack.topology["node1"].namespace
    await rack.router(rack.neighbor(bfd=True, bfd_multiplier=PATIENT))
    speaker = await start(peer, open_socket=lambda family: namespace.socket(family, 2))
    await speaker.until_event(BfdEventKind.UP, seconds=30)

    bgp = rack.speaker(peer)

    event = await speaker.until_event(BfdEventKind.ADMIN_DOWN)
    assert "begins BFD anew, and nothing has failed" in event.reason
    await speaker.until_event(BfdEventKind.UP)
    assert speaker.status().flaps == 0
    assert bgp.state("tor1") is SessionState.ESTABLISHED


@against("frr")
async def test_a_router_that_turns_bfd_off_has_not_failed(rack: Rack, start: Start) -> None:
    met = await meet(rack, start)
    await met.until_up()
    assert isinstance(met.router, Frr)
    await met.router.configure("bfd", "profile PROFILE0", "shutdown", daemon="bfdd")
    event = await met.speaker.until_event(BfdEventKind.ADMIN_DOWN)
    assert "has turned BFD off" in event.reason
    assert met.speaker.status().flaps == 0
    await met.router.configure("bfd", "profile PROFILE0", "no shutdown", daemon="bfdd")
    await met.until_up()


async def test_a_speaker_that_falls_silent_is_found_by_the_router(rack: Rack, start: Start) -> None:
    met = await meet(rack, start, multiplier=BRISK)
    await met.until_up()
    await met.speaker.end()
    await met.until_router(lambda info: not info.up, "BFD down")


async def test_a_speaker_that_begins_anew_is_known_by_its_new_discriminator(rack: Rack, start: Start) -> None:
    met = await meet(rack, start)
    await met.until_up()
    await met.speaker.end()
    met.speaker.run()
    await met.until_up()


async def test_our_new_timers_reach_the_router_while_the_session_stays_up(rack: Rack, start: Start) -> None:
    met = await meet(rack, start)
    await met.until_up()

    met.speaker.sessions.set_peers([replace(met.peer, bfd=timers(milliseconds=300))])

    await until(lambda: met.speaker.status().transmit_milliseconds == 300, "our slower sending")
    await met.until_router(
        lambda info: (info.transmit_milliseconds, info.detection_milliseconds) == (300, 300 * PATIENT),
        "the new times",
    )
    met.speaker.sessions.set_peers([met.peer])
    await met.until_router(
        lambda info: (info.transmit_milliseconds, info.detection_milliseconds) == (100, 100 * PATIENT),
        "the old times",
    )
    assert met.speaker.kinds() == [BfdEventKind.UP]


async def test_the_routers_new_timers_reach_us_while_the_session_stays_up(rack: Rack, start: Start) -> None:
    met = await meet(rack, start)
    await met.until_up()

    if isinstance(met.router, Frr):
        intervals = ("receive-interval 400", "transmit-interval 400")
        await met.router.configure("bfd", "profile PROFILE0", *intervals, daemon="bfdd")
    else:
        await met.router.change(met.node, bfd_milliseconds=400)

    await until(
        lambda: (
            (met.speaker.status().transmit_milliseconds, met.speaker.status().detection_milliseconds)
            == (400, 400 * PATIENT)
        ),
        "the new times",
    )
    assert met.speaker.kinds() == [BfdEventKind.UP]


async def test_a_removed_peer_tells_the_router_that_it_is_no_failure(rack: Rack, start: Start) -> None:
    met = await meet(rack, start)
    await met.until_up()
    met.speaker.sessions.set_peers([])
    await met.until_router(lambda info: not info.up, "BFD down")


@pytest.mark.parametrize("family", list(Family))
async def test_multihop_over_a_router_between(rack: Rack, start: Start, family: Family) -> None:
    """RFC 5883: what arrives has a TTL of less than 255."""
    there = rack.topology.address("node2", family=family)
    neighbor = {"multihop": True, "local_address": there}
    met = await meet(
        rack, start, family=family, host="node2", neighbor=neighbor, address=there, multihop_ttl=5
    )
    await met.until_up()
    assert met.speaker.status().multihop


async def test_a_session_over_link_local_addresses(rack: Rack, start: Start) -> None:
    """The scope tells which link; here as a number, since the name is another namespace's."""
    link = rack.topology.link("node1")
    ours, theirs = link_local(link.lower), link_local(link.upper)
    (device,) = link.lower.host.namespace.ip_json("link", "show", "dev", link.lower.device)
    met = await meet(
        rack,
        start,
        family=Family.IPV6,
        where=IPv6Address(f"{ours}%{link.upper.device}"),
        address=IPv6Address(f"{theirs}%{device['ifindex']}"),
    )
    await met.until_up()
    assert not met.speaker.status().multihop


def link_local(end: End) -> str:
    """The link-local address that the kernel gave a device."""
    (device,) = end.host.namespace.ip_json("-6", "address", "show", "dev", end.device)
    return next(str(each["local"]) for each in device["addr_info"] if each["scope"] == "link")


@pytest.mark.parametrize("host", ["tor1", "node2"])
async def test_inside_an_as_whatever_the_router_takes_it_for(rack: Rack, start: Start, host: str) -> None:
    """BIRD speaks multihop there, FRR does unless the network is connected; we follow either."""
    there = rack.topology.router_address("node1") if host == "tor1" else rack.topology.address("node2")
    neighbor = {"asn": ROUTER_ASN, "multihop": True, "local_address": there}
    met = await meet(rack, start, host=host, neighbor=neighbor, local_asn=ROUTER_ASN, address=there)
    await met.until_up()
    assert met.speaker.status().multihop is (host == "node2" or met.router.name == "bird")

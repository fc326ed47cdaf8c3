"""One peer's configuration changes: with graceful restart no route is lost, and the others do not notice."""

from dataclasses import replace

import pytest

from speaker.bgp import SessionEventKind
from speaker.model.peer import GracefulRestart, Password, Peer, SessionState
from tests.bgp.builders import Speaker, prefix, until
from tests.interop.rack import Rack, against
from tests.interop.watching import watching
from tests.lab.routers.router import Router

pytestmark = pytest.mark.netns

VIP = "10.96.0.10/32"
HOPS = {"tor1": {VIP: {"172.30.1.2"}}, "tor2": {VIP: {"172.31.1.2"}}}


def peers(rack: Rack) -> dict[str, Peer]:
    """Both routers, with graceful restart."""
    return {name: rack.peer(router=name, graceful_restart=GracefulRestart()) for name in HOPS}


async def two(rack: Rack) -> tuple[dict[str, Router], Speaker]:
    """Sessions with two routers, and a route on each."""
    routers = {f"tor{number}": await rack.router(number=number) for number in (1, 2)}
    speaker = rack.speaker(*peers(rack).values())
    for name, router in routers.items():
        speaker.peers.update(name, rack.routes(VIP, router=name))
        await router.wait_routes(HOPS[name])
    return routers, speaker


def established(speaker: Speaker, name: str) -> int:
    """How many sessions there have been with a router."""
    return sum(event.peer == name for event in speaker.kinds(SessionEventKind.ESTABLISHED))


async def test_another_hold_time_loses_no_route(rack: Rack) -> None:
    """A new session follows at once, with the other time."""
    router = await rack.router()
    speaker = rack.speaker()
    speaker.peers.update("tor1", rack.routes(VIP))
    await router.wait_routes(HOPS["tor1"])

    async with watching(router) as seen:
        speaker.peers.set_peers([rack.peer(hold_time_seconds=6)])
        await until(lambda: established(speaker, "tor1") == 2, "the new session")
        await router.wait_sessions(
            lambda found: found[rack.address()].established and found[rack.address()].hold_seconds == 6
        )
        await router.wait_routes(lambda table: not any(path.stale for path in table[prefix(VIP)]))

    assert seen == [HOPS["tor1"]]


@against("bird")
async def test_another_description_goes_unnoticed(rack: Rack) -> None:
    """So do another pause between attempts, and another limit of prefixes."""
    router = await rack.router()
    speaker = rack.speaker()
    speaker.peers.update("tor1", rack.routes(VIP))
    await router.wait_routes(HOPS["tor1"])
    changed = rack.peer(description="rack 7", connect_retry_seconds=9.0, max_prefixes=5)

    speaker.peers.set_peers([changed])
    speaker.peers.update("tor1", rack.routes("10.96.0.11/32"))

    await router.wait_routes(lambda table: prefix("10.96.0.11/32") in table)
    assert speaker.peers.sessions()["tor1"].peer == changed
    assert not speaker.kinds(SessionEventKind.CLOSED)


@against("bird", "frr")
async def test_the_other_router_does_not_notice(rack: Rack) -> None:
    """One peer is changed, so that it has no session for a while, then removed, then added again."""
    routers, speaker = await two(rack)
    wanted = peers(rack)

    async with watching(routers["tor2"]) as seen:
        unknown = replace(wanted["tor1"], password=Password("unknown to it"))
        speaker.peers.set_peers([unknown, wanted["tor2"]])
        await speaker.until_error("the password differs", "tor1")
        assert await routers["tor1"].next_hops() == HOPS["tor1"]
        speaker.peers.set_peers([wanted["tor2"]])
        speaker.peers.set_peers([*wanted.values()])
        speaker.peers.update("tor1", rack.routes(VIP))
        await until(lambda: established(speaker, "tor1") == 2, "the first router again")

    assert seen == [HOPS["tor2"]]
    assert established(speaker, "tor2") == 1
    assert speaker.state("tor2") is SessionState.ESTABLISHED
    assert {event.peer for event in speaker.kinds(SessionEventKind.CLOSED)} == {"tor1"}


@against("bird", "frr", "openbgpd")
async def test_a_router_that_sends_too_many_prefixes_is_told_so(rack: Rack) -> None:
    """Cease, Maximum Number of Prefixes Reached (RFC 4486); the other router's session goes on."""
    origin = tuple(prefix(f"10.50.{number}.0/24") for number in range(3))
    router = await rack.router(originate=origin)
    await rack.router(number=2)
    speaker = rack.speaker(rack.peer(max_prefixes=2), rack.peer(router="tor2"))
    node = rack.address()

    await speaker.until_error("more than 2 prefixes", "tor1")

    assert not speaker.peers.received("tor1")
    words = "max-prefix exceeded" if router.name == "openbgpd" else "number of prefixes"
    await router.wait_sessions(
        lambda found: words in (found[node].last_error or "").lower(), what="the reason"
    )
    await speaker.until_state(SessionState.ESTABLISHED, "tor2")


async def test_a_router_that_has_a_limit_says_so(rack: Rack) -> None:
    # GoBGP sends its NOTIFICATION and notes that it did in two steps; when we close in between, it takes us
    # for a peer that restarts, and keeps what it was to forget.
    helps = rack.daemon.name != "gobgp"
    router = await rack.router(rack.neighbor(max_prefixes=2), graceful_restart=helps)
    speaker = rack.speaker()

    speaker.peers.update("tor1", rack.routes(*(f"10.96.0.{last}/32" for last in range(5))))

    await until(lambda: speaker.kinds(SessionEventKind.CLOSED), "the end of the session")
    (closed,) = speaker.kinds(SessionEventKind.CLOSED)
    assert "NOTIFICATION 6/1 (Cease, Maximum Number of Prefixes Reached)" in closed.reason
    await router.wait_routes({})

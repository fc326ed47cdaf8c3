"""What a user reads when a session cannot start or ends, and that it comes back when it can."""

import asyncio

import pytest

from speaker.bgp import SessionEventKind
from speaker.model.peer import Password, SessionState
from speaker.model.prefix import Family
from tests.bgp.builders import Speaker, prefix, until
from tests.interop.matrix import proves
from tests.interop.rack import NODE_ASN, ROUTER_ASN, Rack, against
from tests.lab.routers.router import Router
from tests.lab.routers.table import Table
from tests.lab.waiting import eventually

pytestmark = pytest.mark.netns

HOLD_SECONDS = 3
VIP = "10.96.0.10/32"


@pytest.mark.parametrize(
    ("ours", "theirs", "hint"),
    [
        pytest.param("wrong", "s3cret", "the password differs", id="another"),
        pytest.param(None, "s3cret", "it expects a password", id="none"),
        pytest.param("s3cret", None, "the password differs", id="unexpected"),
    ],
)
async def test_a_wrong_password_is_silence_with_a_hint(
    rack: Rack, ours: str | None, theirs: str | None, hint: str
) -> None:
    await rack.router(rack.neighbor(password=theirs))
    password = None if ours is None else Password(ours)
    speaker = rack.speaker(rack.peer(password=password))

    reason = await speaker.until_error("no answer from 172.30.1.1", "tor1")

    assert hint in reason
    assert "s3cret" not in reason


async def test_the_right_password_mends_it(rack: Rack) -> None:
    await rack.router(rack.neighbor(password="s3cret"))
    speaker = rack.speaker(rack.peer(password=Password("wrong")))
    await speaker.until_error("the password differs", "tor1")

    speaker.peers.set_peers([rack.peer(password=Password("s3cret"))])

    await speaker.until_state(SessionState.ESTABLISHED, "tor1")


async def test_a_router_in_another_as_than_configured_is_refused(rack: Rack) -> None:
    await rack.router()
    speaker = rack.speaker(rack.peer(asn=65031))

    reason = await speaker.until_error("AS 65030", "tor1")

    assert "expected 65031" in reason
    assert "NOTIFICATION 2/2" in reason


async def test_a_router_that_expects_another_as_says_so(rack: Rack) -> None:
    await rack.router(rack.neighbor(asn=NODE_ASN + 1))
    speaker = rack.speaker()

    reason = await speaker.until_error("2/2", "tor1")

    assert "peer sent NOTIFICATION 2/2 (OPEN Message Error, Bad Peer AS)" in reason


async def test_no_family_in_common(rack: Rack) -> None:
    await rack.router(rack.neighbor(families=(Family.IPV6,)))
    speaker = rack.speaker(rack.peer(families=frozenset({Family.IPV4})))

    await until(lambda: speaker.peers.sessions()["tor1"].last_error, "a reason")
    reason = speaker.peers.sessions()["tor1"].last_error
    assert "family" in reason or "NOTIFICATION 2/" in reason


@against("bird")
async def test_a_router_that_is_not_there(rack: Rack) -> None:
    """No daemon is a refusal, no machine is silence; a router that comes later is found."""
    speaker = rack.speaker()
    await speaker.until_error("connection refused", "tor1")
    with rack.topology.link("node1").silent():
        await speaker.until_error("no answer from 172.30.1.1", "tor1")

    await rack.router()

    await speaker.until_state(SessionState.ESTABLISHED, "tor1")


async def test_a_session_with_a_router_without_us_in_its_configuration(rack: Rack) -> None:
    """Whatever it does (refuse, or close at once), there is a reason to read."""
    await rack.router(rack.neighbor("node2"))
    speaker = rack.speaker()

    await until(lambda: speaker.peers.sessions()["tor1"].last_error, "a reason")


async def test_a_router_that_stops_says_so_and_is_found_again(rack: Rack) -> None:
    router, speaker = await rack.session(graceful_restart=False)
    speaker.peers.update("tor1", rack.routes(VIP))
    await router.wait_routes({VIP: {"172.30.1.2"}})

    await router.stop()
    await until(lambda: speaker.kinds(SessionEventKind.CLOSED), "the end of the session")
    (closed,) = speaker.kinds(SessionEventKind.CLOSED)
    await router.start()

    await router.wait_routes({VIP: {"172.30.1.2"}})
    assert "NOTIFICATION 6/" in closed.reason or "closed the connection" in closed.reason


@proves("shutdown-communication")
async def test_a_router_that_shuts_the_session_down_is_quoted(rack: Rack) -> None:
    router, speaker = await rack.session()
    # Only what the router has read to the end: one that closes with unread data resets the connection,
    # and the reset may overtake its last words.
    speaker.peers.update("tor1", rack.routes(VIP))
    await router.wait_routes({VIP: {"172.30.1.2"}})

    await router.disable(rack.address(), "under repair")

    await until(lambda: speaker.kinds(SessionEventKind.CLOSED), "the end of the session")
    (closed,) = speaker.kinds(SessionEventKind.CLOSED)
    assert closed.reason.startswith("peer sent NOTIFICATION 6/2 (Cease, Administrative Shutdown)")
    # GoBGP forgets what it was told to say.
    assert '"under repair"' in closed.reason or router.name == "gobgp"


async def test_a_removed_peer_withdraws_at_once(rack: Rack) -> None:
    router, speaker = await rack.session()
    speaker.peers.update("tor1", rack.routes(VIP))
    await router.wait_routes({VIP: {"172.30.1.2"}})

    speaker.peers.set_peers([])

    await router.wait_routes({})


async def short_session(rack: Rack) -> tuple[Router, Speaker]:
    """A session with the shortest hold time, and a route on it."""
    router = await rack.router(hold_seconds=HOLD_SECONDS, keepalive_seconds=1, graceful_restart=False)
    speaker = rack.speaker(rack.peer(hold_time_seconds=HOLD_SECONDS))
    speaker.peers.update("tor1", rack.routes(VIP))
    await router.wait_routes({VIP: {"172.30.1.2"}})
    return router, speaker


async def test_silent_loss_is_found_by_the_hold_timers_of_both_sides(rack: Rack) -> None:
    router, speaker = await short_session(rack)

    with rack.topology.link("node1").silent():
        await until(lambda: speaker.kinds(SessionEventKind.CLOSED), "the end of the session")
        await router.wait_routes({})

    (closed,) = speaker.kinds(SessionEventKind.CLOSED)
    assert "nothing was heard from the peer for the hold time" in closed.reason
    assert "NOTIFICATION 4/0" in closed.reason
    await router.wait_routes({VIP: {"172.30.1.2"}})


@against("bird", "frr", "openbgpd")
async def test_a_link_that_goes_and_comes_back(rack: Rack) -> None:
    router, speaker = await short_session(rack)

    with rack.topology.link("node1").cut():
        await until(lambda: speaker.kinds(SessionEventKind.CLOSED), "the end of the session")
        await router.wait_routes({})

    await router.wait_routes({VIP: {"172.30.1.2"}})
    await speaker.until_state(SessionState.ESTABLISHED, "tor1")


async def test_an_outage_shorter_than_the_hold_time_goes_unnoticed(rack: Rack) -> None:
    router, speaker = await rack.session()
    speaker.peers.update("tor1", rack.routes(VIP))
    await router.wait_routes({VIP: {"172.30.1.2"}})

    with rack.topology.link("node1").silent():
        speaker.peers.update("tor1", rack.routes(VIP, "10.96.0.11/32"))
        await until(
            lambda: prefix("10.96.0.11/32") in speaker.peers.advertised("tor1"), "an UPDATE on its way"
        )

    await router.wait_routes(lambda table: prefix("10.96.0.11/32") in table)
    assert not speaker.kinds(SessionEventKind.CLOSED)


@proves("shutdown-communication")
async def test_a_drain_is_seen_with_its_reason(rack: Rack) -> None:
    """Everything is withdrawn, then Cease with a shutdown communication (RFC 9003) ends the session."""
    router, speaker = await rack.session()
    speaker.peers.update("tor1", rack.routes(VIP))
    await router.wait_routes({VIP: {"172.30.1.2"}})

    await speaker.peers.stop(graceful_restart=False, reason="node1 is drained")

    await router.wait_routes({})

    async def said() -> str:
        return f"{(await router.sessions())[rack.address()].last_error} {router.log()}"

    await eventually(said, lambda text: "node1 is drained" in text, what="the reason")


@proves("graceful-shutdown")
async def test_a_drain_first_makes_the_routes_the_last_choice(rack: Rack) -> None:
    """GRACEFUL_SHUTDOWN (RFC 8326) for a while, so that traffic moves before the routes go."""
    router = await rack.router(rack.neighbor(asn=ROUTER_ASN))
    speaker = rack.speaker(rack.peer(local_asn=ROUTER_ASN))
    speaker.peers.update("tor1", rack.routes(VIP))
    await router.wait_routes({VIP: {"172.30.1.2"}})

    stopping = asyncio.create_task(speaker.peers.stop(graceful_restart=False, drain_seconds=0.5))

    def last_choice(table: Table) -> bool:
        found = [(path.local_pref, path.communities) for path in table.get(prefix(VIP), ())]
        return found == [(0, frozenset({"65535:0"}))]

    await router.wait_routes(last_choice)
    await stopping
    await router.wait_routes({})

"""Sessions of one speaker with a router made by hand, and with another speaker."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from speaker.bgp import SessionEvent, SessionEventKind
from speaker.bgp.codec_update import AttributeContext
from speaker.bgp.messages import KEEPALIVE, MessageType, Notification, pack_notification, pack_route_refresh
from speaker.bgp.packing import PackingContext, Withdrawal, pack_routes, pack_withdrawals
from speaker.model.peer import Peer, SessionState
from speaker.model.prefix import Family, Prefix
from speaker.model.route import PrefixPath, Route
from tests.bgp.builders import PORT, Speaker, as_sent, loopback, peer, prefix, route, routes, until
from tests.bgp.raw_peer import Closed, RawPeer

Speak = Callable[..., Speaker]
Raw = Callable[..., RawPeer]


@pytest.fixture
async def established(speak: Speak, raw: Raw) -> tuple[Speaker, RawPeer]:
    """A speaker with an established session to a raw peer that it has dialled."""
    configured = peer(address=loopback())
    router = raw(configured).listen()
    speaker = speak(configured)
    await router.accept()
    await router.establish()
    await speaker.until_state(SessionState.ESTABLISHED)
    return speaker, router


async def skip_end_of_rib(router: RawPeer) -> None:
    assert {(await router.update()).end_of_rib for _ in Family} == set(Family)


async def test_a_session_goes_through_the_states_of_the_rfc(established: tuple[Speaker, RawPeer]) -> None:
    speaker, _ = established

    changes = [event.new for event in speaker.kinds(SessionEventKind.STATE_CHANGED)]

    assert [
        SessionState.CONNECT,
        SessionState.OPEN_SENT,
        SessionState.OPEN_CONFIRM,
        SessionState.ESTABLISHED,
    ] == changes


async def test_the_facts_tell_what_both_sides_offered(speak: Speak, raw: Raw) -> None:
    ours = loopback()
    configured = peer(address=loopback(), source=ours, hold_time_seconds=30)
    router = raw(configured).listen()
    speaker = speak(configured)
    await router.accept()
    await router.establish(hold_time_seconds=9, families=frozenset({Family.IPV4}))
    await speaker.until_state(SessionState.ESTABLISHED)

    facts = speaker.peers.sessions()["tor"].facts

    assert facts is not None
    assert (ours, 9, frozenset({Family.IPV4})) == (
        facts.local_address,
        facts.hold_time_seconds,
        facts.families,
    )
    assert facts.peer_router_id == router.mirror.router_id
    assert facts.peer_graceful_restart


async def test_routes_then_end_of_rib(established: tuple[Speaker, RawPeer]) -> None:
    speaker, router = established
    await skip_end_of_rib(router)

    speaker.peers.update("tor", routes("10.0.0.0/24", "10.0.1.0/24"))

    assert {prefix("10.0.0.0/24"), prefix("10.0.1.0/24")} == {
        r.prefix for r in (await router.update()).advertised
    }
    await until(lambda: len(speaker.peers.advertised("tor")) == 2)
    assert ((Family.IPV4, 2),) == speaker.peers.sessions()["tor"].advertised


async def test_a_withdrawal_reaches_the_peer(established: tuple[Speaker, RawPeer]) -> None:
    speaker, router = established
    await skip_end_of_rib(router)
    speaker.peers.update("tor", routes("10.0.0.0/24"))
    await router.update()

    speaker.peers.update("tor", {prefix("10.0.0.0/24"): None})

    assert (PrefixPath(prefix("10.0.0.0/24")),) == (await router.update()).withdrawn
    await until(lambda: not speaker.peers.advertised("tor"))


async def test_routes_of_a_family_that_was_not_negotiated_stay_at_home(speak: Speak, raw: Raw) -> None:
    configured = peer(address=loopback())
    router = raw(configured).listen()
    speaker = speak(configured)
    speaker.peers.update("tor", routes("10.0.0.0/24", "2001:db8::/48"))
    await router.accept()
    await router.establish(families=frozenset({Family.IPV4}))

    assert (route("10.0.0.0/24"),) == (await router.update()).advertised
    assert (await router.update()).end_of_rib is Family.IPV4
    await until(lambda: speaker.peers.sessions()["tor"].pending == 0)
    assert set(speaker.peers.advertised("tor")) == {prefix("10.0.0.0/24")}


async def test_nothing_is_sent_before_the_release_and_end_of_rib_comes_last(speak: Speak, raw: Raw) -> None:
    """Not even End-of-RIB: the peer would drop what it kept over our restart (RFC 4724 §4.2)."""
    configured = peer(address=loopback())
    router = raw(configured).listen()
    speaker = speak(configured, released=False)
    await router.accept()
    await router.establish()
    await speaker.until_state(SessionState.ESTABLISHED)
    speaker.peers.update("tor", routes("10.0.0.0/24"))
    await router.send(pack_route_refresh(Family.IPV4), pack_notification(Notification(6, 4)))
    with pytest.raises(Closed):
        await router.receive()

    await router.accept()
    await router.establish()
    await speaker.until_state(SessionState.ESTABLISHED)
    speaker.peers.release()

    assert (route("10.0.0.0/24"),) == (await router.update()).advertised
    await skip_end_of_rib(router)


async def test_routes_given_in_the_established_callback_precede_end_of_rib(speak: Speak, raw: Raw) -> None:
    configured = peer(address=loopback())
    router = raw(configured).listen()
    speakers: list[Speaker] = []

    def on_event(event: SessionEvent) -> None:
        if event.kind is SessionEventKind.ESTABLISHED:
            speakers[0].peers.update("tor", routes("10.0.0.0/24"))

    speakers.append(speak(configured, on_event=on_event))
    await router.accept()
    await router.establish()

    assert (route("10.0.0.0/24"),) == (await router.update()).advertised
    await skip_end_of_rib(router)


async def test_a_new_session_hears_everything_again(established: tuple[Speaker, RawPeer]) -> None:
    speaker, router = established
    await skip_end_of_rib(router)
    speaker.peers.update("tor", routes("10.0.0.0/24"))
    await router.update()

    router.hang_up()
    await router.accept()
    assert not speaker.peers.advertised("tor")
    await router.establish()

    assert (route("10.0.0.0/24"),) == (await router.update()).advertised
    assert speaker.peers.sessions()["tor"].flaps == 1
    [closed] = speaker.kinds(SessionEventKind.CLOSED)
    assert "connection" in closed.reason


async def test_a_route_refresh_is_answered_with_the_family(established: tuple[Speaker, RawPeer]) -> None:
    speaker, router = established
    await skip_end_of_rib(router)
    speaker.peers.update("tor", routes("10.0.0.0/24"))
    await router.update()
    await until(lambda: speaker.peers.advertised("tor"))

    await router.send(pack_route_refresh(Family.IPV6), pack_route_refresh(Family.IPV4))

    assert (route("10.0.0.0/24"),) == (await router.update()).advertised


async def test_what_the_peer_advertises_is_kept_and_reported(established: tuple[Speaker, RawPeer]) -> None:
    speaker, router = established
    context = context_of(router)
    offered = [route("10.1.0.0/16", med=3), route("2001:db8:1::/48")]

    await router.send(*pack_routes(context, offered))
    await until(lambda: len(speaker.peers.received("tor")) == 2)
    await router.send(*pack_withdrawals(context, [Withdrawal(prefix("10.1.0.0/16"), multiprotocol=False)]))
    await until(lambda: len(speaker.peers.received("tor")) == 1)

    assert [offered[1]] == list(heard(speaker).values())
    updates = speaker.kinds(SessionEventKind.UPDATE_RECEIVED)
    assert offered == [as_sent(one) for event in updates for one in event.advertised]
    assert [PrefixPath(prefix("10.1.0.0/16"))] == [one for event in updates for one in event.withdrawn]
    assert ((Family.IPV6, 1),) == speaker.peers.sessions()["tor"].received


async def test_a_peer_that_sends_too_much_costs_no_memory(speak: Speak, raw: Raw) -> None:
    configured = peer(address=loopback())
    router = raw(configured).listen()
    speaker = speak(configured, received_limit=10)
    await router.accept()
    await router.establish()
    context = context_of(router)

    await router.send(*pack_routes(context, [route(f"10.0.{number}.0/24") for number in range(50)]))
    await until(lambda: len(speaker.kinds(SessionEventKind.UPDATE_RECEIVED)) > 0)

    assert len(speaker.peers.received("tor")) == 10


async def test_the_peers_own_words_are_in_the_reason(established: tuple[Speaker, RawPeer]) -> None:
    speaker, router = established

    await router.send(pack_notification(Notification(6, 2, b"\x0bmaint\n\x1b[2Jx")))
    await until(lambda: speaker.kinds(SessionEventKind.CLOSED))

    [closed] = speaker.kinds(SessionEventKind.CLOSED)
    assert closed.reason == 'peer sent NOTIFICATION 6/2 (Cease, Administrative Shutdown): "maint  [2Jx"'


async def test_a_message_cut_by_the_end_of_the_connection_is_no_message(
    established: tuple[Speaker, RawPeer],
) -> None:
    speaker, router = established

    await router.send(KEEPALIVE + KEEPALIVE[:11])
    router.hang_up()
    await until(lambda: speaker.kinds(SessionEventKind.CLOSED))

    assert "NOTIFICATION" not in speaker.kinds(SessionEventKind.CLOSED)[0].reason


@pytest.mark.parametrize("families", [{Family.IPV4}, {Family.IPV6}, set(Family)])
async def test_two_speakers_exchange_routes(speak: Speak, families: set[Family]) -> None:
    """Both dial and both listen: whatever collides, one session remains and carries both ways."""
    left, right = loopback(), loopback()
    left_peer = peer(address=right, source=left, families=frozenset(families))
    right_peer = mirrored(left_peer)
    one = speak(left_peer, listen_port=PORT, listen_addresses=(left,))
    two = speak(right_peer, listen_port=PORT, listen_addresses=(right,))
    all_routes = routes("10.0.0.0/24", "2001:db8::/48")
    one.peers.update("tor", all_routes)
    two.peers.update("tor", routes("10.9.0.0/24", "2001:db8:9::/48"))

    await until(lambda: len(one.peers.received("tor")) == len(two.peers.received("tor")) == len(families))

    assert {p: r for p, r in all_routes.items() if len(families) == 2 or p.version == version(families)} == (
        heard(two)
    )
    await asyncio.sleep(0)
    assert (0, 0) == (one.peers.sessions()["tor"].flaps, two.peers.sessions()["tor"].flaps)


def heard(speaker: Speaker) -> dict[Prefix, Route]:
    return {path.prefix: as_sent(route) for path, route in speaker.peers.received("tor").items()}


def context_of(router: RawPeer) -> PackingContext:
    """How the raw peer packs its UPDATEs."""
    return PackingContext(
        attributes=AttributeContext(local_asn=router.mirror.local_asn, ibgp=False, four_octet_as=True)
    )


def version(families: set[Family]) -> int:
    return 4 if Family.IPV4 in families else 6


def mirrored(configured: Peer) -> Peer:
    """The same session as the other side has it configured."""
    assert configured.source is not None
    return replace(
        configured,
        address=configured.source,
        source=configured.address,
        asn=configured.local_asn,
        local_asn=configured.asn,
        router_id=type(configured.router_id)(int(configured.router_id) + 1),
    )


async def test_ipv4_travels_over_ipv6_next_hops_when_both_sides_offer_it(speak: Speak) -> None:
    """RFC 8950."""
    left, right = loopback(), loopback()
    ours = peer(address=right, source=left, extended_next_hop=True)
    one = speak(ours, listen_port=PORT, listen_addresses=(left,))
    two = speak(mirrored(ours), listen_port=PORT, listen_addresses=(right,))
    sent = {prefix("10.0.0.0/24"): route("10.0.0.0/24", "2001:db8::1")}

    one.peers.update("tor", sent)
    await until(lambda: two.peers.received("tor"))
    assert sent == heard(two)

    one.peers.update("tor", {prefix("10.0.0.0/24"): None})
    await until(lambda: not two.peers.received("tor"))


async def test_an_internal_session_carries_local_preference(speak: Speak) -> None:
    left, right = loopback(), loopback()
    ours = peer(address=right, source=left, asn=65000)
    one = speak(ours, listen_port=PORT, listen_addresses=(left,))
    two = speak(mirrored(ours), listen_port=PORT, listen_addresses=(right,))

    one.peers.update("tor", routes("10.0.0.0/24", local_preference=77))
    await until(lambda: two.peers.received("tor"))

    assert routes("10.0.0.0/24", local_preference=77) == heard(two)


async def test_an_exception_of_the_daemon_ends_the_engine(speak: Speak, raw: Raw) -> None:
    configured = peer(address=loopback())
    raw(configured).listen()

    def on_event(event: SessionEvent) -> None:
        raise LookupError(event.peer)

    speaker = speak(configured, on_event=on_event)
    assert speaker.task is not None
    with pytest.raises(ExceptionGroup) as caught:
        await speaker.task

    assert caught.group_contains(LookupError, match="tor")


async def test_keepalive_is_the_answer_to_an_open(speak: Speak, raw: Raw) -> None:
    configured = peer(address=loopback())
    router = raw(configured).listen()
    speak(configured)
    await router.accept()
    await router.open_received()

    await router.send(router.open())

    assert (await router.receive())[0] is MessageType.KEEPALIVE

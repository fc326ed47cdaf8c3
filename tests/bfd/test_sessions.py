"""Two speakers over loopback: sessions come up, change, and end, each without the others."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from typing import Any

import pytest

from speaker.bfd import BfdEvent, BfdEventKind, BfdSessions, Discard, State
from speaker.bfd.packet import Diagnostic
from speaker.bfd.path import MULTIHOP_PORT, SINGLE_HOP_PORT, udp_socket
from speaker.model.peer import BfdTimers, Peer
from speaker.model.prefix import Address
from tests.bfd.builders import CALM, FAST, Bfd, RawPeer, make_bfd, packet, peer
from tests.bgp.builders import loopback, until

Start = Callable[..., Awaitable[Bfd]]
Raw = Callable[..., RawPeer]


async def pair(start: Start, **overrides: Any) -> tuple[Bfd, Bfd]:
    """Two speakers that have each other as peer."""
    one, other = loopback(), loopback()
    return (
        await start(peer(other, one, **overrides), listen_addresses=(one,)),
        await start(peer(one, other, **overrides), listen_addresses=(other,)),
    )


async def until_up(*speakers: Bfd) -> None:
    for speaker in speakers:
        await speaker.until_state(State.UP)
        await speaker.until_event(BfdEventKind.UP)


async def test_a_session_comes_up_and_its_times_are_negotiated(start: Start) -> None:
    one, other = await pair(start)
    await until_up(one, other)

    await until(lambda: one.status().detection_milliseconds == 5000, "the negotiated time")

    status = one.status()
    assert (status.transmit_milliseconds, status.receive_milliseconds) == (100, 100)
    assert status.remote_discriminator == other.status().local_discriminator
    assert (status.multihop, status.flaps, status.discards) == (False, 0, {})
    assert status.changed_at is not None


async def test_a_peer_without_bfd_has_no_session(start: Start) -> None:
    speaker = await start(peer(loopback(), bfd=None))
    await asyncio.sleep(0)
    assert speaker.sessions.statuses() == {}


async def test_multihop_uses_its_own_port(start: Start) -> None:
    """RFC 5883 §5: UDP 4784, and the TTL says nothing."""
    one, other = await pair(start, multihop_ttl=3)
    await until_up(one, other)
    assert one.status().multihop


@pytest.mark.parametrize("multihop", [False, True])
async def test_inside_an_as_the_speaker_follows_the_peer(start: Start, multihop: bool) -> None:
    """BIRD and FRR do not agree on what iBGP calls for."""
    one, other = loopback(), loopback()
    timers = BfdTimers(transmit_milliseconds=100, receive_milliseconds=100, multihop=multihop)
    decided = await start(peer(one, other, bfd=timers), listen_addresses=(other,))
    following = await start(peer(other, one, asn=65000), listen_addresses=(one,))

    await until_up(following, decided)

    assert following.status().multihop == multihop


async def test_a_peer_that_falls_silent_is_down_at_once_and_comes_back(start: Start) -> None:
    one, other = await pair(start, bfd=FAST)
    await until_up(one, other)

    await other.end()
    down = await one.until_event(BfdEventKind.DOWN)
    status = one.status()
    other.run()
    await until_up(one, other)

    assert (down.peer, down.diagnostic) == (str(one_of(one)), 1)
    assert f"no BFD packet came from {one_of(one)} for" in down.reason
    assert (status.remote_discriminator, status.flaps) == (0, 1)
    assert status.diagnostic == "Control Detection Time Expired"


def one_of(speaker: Bfd) -> str:
    (name,) = speaker.sessions.statuses()
    return name


async def test_a_speaker_that_ends_does_not_say_admin_down(start: Start) -> None:
    """On an upgrade the peer must go on to believe that BFD belongs to the session."""
    one, other = await pair(start, bfd=FAST)
    await until_up(one, other)
    await other.end()
    await one.until_event(BfdEventKind.DOWN)
    assert BfdEventKind.ADMIN_DOWN not in one.kinds()


async def test_a_removed_peer_is_told_admin_down_which_is_no_failure(start: Start) -> None:
    """RFC 5882 §3.2."""
    one, other = await pair(start)
    await until_up(one, other)

    other.sessions.set_peers([])
    event = await one.until_event(BfdEventKind.ADMIN_DOWN)

    assert other.sessions.statuses() == {}
    assert "has turned BFD off" in event.reason
    assert (one.status().state, one.status().flaps) == (State.DOWN, 0)
    assert one.status().remote_diagnostic == "Administratively Down"


async def test_a_removed_peer_that_comes_back_is_met_anew(start: Start) -> None:
    one, other = await pair(start)
    await until_up(one, other)
    peers = [peer(one_of(other), one_of(one))]
    other.sessions.set_peers([])
    await one.until_event(BfdEventKind.ADMIN_DOWN)

    other.sessions.set_peers(peers)

    await until_up(one, other)


async def test_other_timers_are_negotiated_while_the_session_stays_up(start: Start) -> None:
    one, other = await pair(start)
    await until_up(one, other)
    timers = BfdTimers(transmit_milliseconds=300, receive_milliseconds=200, multiplier=40)

    one.sessions.set_peers([peer(one_of(one), one_of(other), bfd=timers)])

    await until(lambda: one.status().transmit_milliseconds == 300, "slower sending")
    await until(lambda: other.status().detection_milliseconds == 40 * 300, "its Detection Time")
    await until(lambda: other.status().transmit_milliseconds == 200, "what we can take")
    assert (one.kinds(), other.kinds()) == ([BfdEventKind.UP], [BfdEventKind.UP])


async def test_one_peer_comes_changes_and_goes_and_the_others_do_not_notice(start: Start) -> None:
    middle, others = loopback(), [loopback() for _ in range(3)]
    around = [await start(peer(middle, each), listen_addresses=(each,)) for each in others]
    speaker = await start(peer(others[0], middle), listen_addresses=(middle,))
    await until_up(around[0])
    before = speaker.status(others[0]).local_discriminator

    speaker.sessions.set_peers([peer(each, middle) for each in others])
    await until_up(*around)
    changed = peer(others[1], middle, bfd=FAST)
    speaker.sessions.set_peers([peer(others[0], middle), changed])
    await around[2].until_event(BfdEventKind.ADMIN_DOWN)
    speaker.sessions.set_peers([peer(others[0], middle)])
    await around[1].until_event(BfdEventKind.ADMIN_DOWN)

    assert around[0].kinds() == [BfdEventKind.UP]
    assert [event.kind for event in speaker.events if event.peer == str(others[0])] == [BfdEventKind.UP]
    assert speaker.status(others[0]).local_discriminator == before


async def test_another_source_is_another_session(start: Start) -> None:
    one, other, moved = loopback(), loopback(), loopback()
    speaker = await start(peer(other, one), listen_addresses=(one, moved))
    remote = await start(peer(one, other), peer(moved, other), listen_addresses=(other,))
    await remote.until_state(State.UP, one)

    speaker.sessions.set_peers([peer(other, moved)])

    await remote.until_state(State.UP, moved)
    await remote.until_state(State.DOWN, one)
    assert BfdEventKind.DOWN not in remote.kinds()


async def test_events_may_change_the_peers(start: Start) -> None:
    """The daemon may drop a peer because of what it hears."""
    one, other = loopback(), loopback()
    speaker: Bfd

    def drop(event: BfdEvent) -> None:
        speaker.events.append(event)
        speaker.sessions.set_peers([])

    speaker = await start(peer(other, one), listen_addresses=(one,), on_event=drop)
    remote = await start(peer(one, other), listen_addresses=(other,))

    await remote.until_event(BfdEventKind.ADMIN_DOWN)

    assert speaker.kinds() == [BfdEventKind.UP]


async def test_what_an_event_raises_ends_the_run() -> None:
    one, other = loopback(), loopback()

    def fail(_event: BfdEvent) -> None:
        raise LookupError("the daemon's own trouble")

    speaker = make_bfd(peer(other, one), listen_addresses=(one,), on_event=fail)
    remote = make_bfd(peer(one, other), listen_addresses=(other,))
    speaker.run()
    remote.run()
    assert speaker.task is not None
    await asyncio.wait((speaker.task,), timeout=20)
    await remote.end()
    with pytest.raises(LookupError):
        await speaker.end()
    assert speaker.sessions.statuses() == {}


# -- sockets ---------------------------------------------------------------------------------------


async def test_what_is_sent_is_as_the_rfc_wants_it(start: Start, raw: Raw) -> None:
    """RFC 5881 §4 and §5: a source port of the upper range that stays, and a TTL of 255."""
    own, there = loopback(), loopback()
    router = raw(there, own)
    router._listening.setsockopt(socket.IPPROTO_IP, 12, 1)  # IP_RECVTTL
    router._listening.setsockopt(socket.IPPROTO_IP, 13, 1)  # IP_RECVTOS
    speaker = await start(peer(there, own), listen_addresses=(own,))
    await speaker.until_state(State.DOWN)
    await until(lambda: speaker.status().packets_out, "the first packet")

    _, ancillary, _, source = router._listening.recvmsg(256, 256)
    await router.receive()

    assert source == router.source
    assert source[0] == str(own)
    assert 49152 <= source[1] <= 65535
    assert [value[0] for _, _, value in ancillary] == [255, 0xC0]


async def test_each_session_has_a_source_port_of_its_own(start: Start, raw: Raw) -> None:
    own, others = loopback(), [loopback() for _ in range(10)]
    routers = [raw(each, own) for each in others]
    await start(*(peer(each, own) for each in others), listen_addresses=(own,))
    for router in routers:
        await router.receive()
    assert len({router.source[1] for router in routers}) == len(routers)


async def test_a_port_that_another_daemon_has_is_told_once_and_taken_when_free(start: Start) -> None:
    one, other = loopback(), loopback()
    taken = udp_socket(socket.AF_INET)
    taken.bind((str(one), SINGLE_HOP_PORT))
    speaker = await start(peer(other, one), listen_addresses=(one,))
    remote = await start(peer(one, other), listen_addresses=(other,))
    await until(lambda: speaker.problems, "the problem")
    await until(lambda: speaker.status().packets_out > 1, "packets all the same")
    assert speaker.sessions.problem
    taken.close()

    await until_up(speaker, remote)

    problem = f"cannot receive BFD on {one} port {SINGLE_HOP_PORT}: address already in use"
    assert speaker.problems == [problem, ""]


async def test_only_ports_that_are_needed_are_taken(start: Start) -> None:
    own = loopback()
    await start(peer(loopback(), own), listen_addresses=(own,))
    await asyncio.sleep(0)
    with udp_socket(socket.AF_INET) as sock:
        sock.bind((str(own), MULTIHOP_PORT))


@pytest.mark.parametrize(
    ("overrides", "error"),
    [
        ({"source": ip_address("192.0.2.77")}, "cannot assign requested address"),
        ({"interface": "nowhere0"}, "no such device"),
    ],
)
async def test_a_way_that_is_not_there_is_counted_and_tried_again(
    start: Start, overrides: dict[str, Any], error: str
) -> None:
    speaker = await start(peer("127.0.0.1", **overrides), listen_addresses=(loopback(),))
    await until(lambda: speaker.status().send_errors > 1, "another attempt")
    assert speaker.status().last_send_error == error
    assert speaker.status().packets_out == 0


async def test_a_peer_without_a_bfd_daemon_refuses_and_the_session_goes_on(start: Start) -> None:
    own, there = loopback(), loopback()
    speaker = await start(peer(there, own), listen_addresses=(own,))
    await until(lambda: speaker.status().last_send_error == "connection refused", "the refusal")

    remote = await start(peer(own, there), listen_addresses=(there,))

    await until_up(speaker, remote)
    await until(lambda: speaker.status().last_send_error == "", "its end")


async def test_a_link_local_peer_without_its_interface_hurts_nobody(start: Start) -> None:
    one, other = loopback(), loopback()
    lost = peer("fe80::1%nowhere0", name="lost", families=frozenset())
    speaker = await start(lost, peer(other, one), listen_addresses=(one, ip_address("::1")))
    remote = await start(peer(one, other), listen_addresses=(other,))
    await until_up(remote)
    await until(lambda: speaker.status("lost").send_errors, "an error")


# -- hostile packets -------------------------------------------------------------------------------


async def established(start: Start, raw: Raw, **overrides: Any) -> tuple[Bfd, RawPeer, Address]:
    """A session that is Up with a raw peer, which may be silent for a long time."""
    own, there = loopback(), loopback()
    port = MULTIHOP_PORT if overrides.get("multihop_ttl", 1) > 1 else SINGLE_HOP_PORT
    router = raw(there, own, port=port)
    speaker = await start(peer(there, own, **overrides), listen_addresses=(own,))
    await speaker.until_state(State.DOWN)
    router.send(packet(your_discriminator=0, multiplier=100))
    await speaker.until_state(State.INIT)
    router.say(State.UP, speaker.status())
    await speaker.until_event(BfdEventKind.UP)
    return speaker, router, own


async def test_a_packet_from_beyond_a_router_is_discarded(start: Start, raw: Raw) -> None:
    """RFC 5881 §5: only a TTL of 255 has met no router."""
    speaker, router, _ = await established(start, raw)
    for ttl in (254, 64, 1):
        router.send(packet(your_discriminator=speaker.status().local_discriminator), ttl)
    await until(lambda: speaker.status().discards.get(Discard.TTL) == 3, "three discards")
    assert speaker.status().state is State.UP


async def test_multihop_takes_any_ttl(start: Start, raw: Raw) -> None:
    speaker, router, _ = await established(start, raw, multihop_ttl=2)
    before = speaker.status().packets_in
    router.send(packet(state=State.UP, your_discriminator=speaker.status().local_discriminator), 64)
    await until(lambda: speaker.status().packets_in == before + 1, "the packet")


async def test_a_wrong_discriminator_is_nobodys(start: Start, raw: Raw) -> None:
    speaker, router, _ = await established(start, raw)
    router.send(packet(your_discriminator=speaker.status().local_discriminator ^ 1))
    await until(lambda: speaker.sessions.discards.get(Discard.UNKNOWN_DISCRIMINATOR) == 1, "the discard")
    assert speaker.status().state is State.UP


async def test_a_broken_packet_is_counted_by_the_rule_it_breaks(start: Start, raw: Raw) -> None:
    speaker, router, _ = await established(start, raw)
    good = packet(your_discriminator=speaker.status().local_discriminator).pack()
    router.send(good[:20])
    router.send(b"\x40" + good[1:])
    router.send(good[:1] + b"\x41" + good[2:])
    wanted = {Discard.TOO_SHORT: 1, Discard.VERSION: 1, Discard.MULTIPOINT: 1}
    await until(lambda: speaker.status().discards == wanted, "the counts")
    assert speaker.status().state is State.UP


async def test_a_peer_that_does_not_hear_us_any_more_is_believed(start: Start, raw: Raw) -> None:
    """RFC 5880 §6.8.1: its packets have no discriminator of ours any more."""
    speaker, router, _ = await established(start, raw)
    router.send(packet(your_discriminator=0, diagnostic=Diagnostic.DETECTION_TIME_EXPIRED))
    event = await speaker.until_event(BfdEventKind.DOWN)
    assert event.reason.endswith("signals that BFD is down (Control Detection Time Expired there)")


@pytest.mark.parametrize(
    ("diagnostic", "kind"),
    [
        (Diagnostic.DETECTION_TIME_EXPIRED, BfdEventKind.DOWN),
        (Diagnostic.PATH_DOWN, BfdEventKind.DOWN),
        (31, BfdEventKind.DOWN),
        (Diagnostic.NEIGHBOR_SIGNALED_DOWN, BfdEventKind.ADMIN_DOWN),
    ],
)
async def test_why_the_peer_is_down_decides_whether_something_has_failed(
    start: Start, raw: Raw, diagnostic: int, kind: BfdEventKind
) -> None:
    speaker, router, _ = await established(start, raw)
    router.say(State.DOWN, speaker.status(), diagnostic=diagnostic)
    await speaker.until_event(kind)
    assert speaker.status().flaps == (kind is BfdEventKind.DOWN)


async def test_one_forged_packet_does_not_take_a_session_down(start: Start, raw: Raw) -> None:
    """Whoever does not know our discriminator cannot speak for a session that is Up."""
    speaker, router, _ = await established(start, raw)
    for state in (State.DOWN, State.ADMIN_DOWN):
        router.send(packet(state=state, my_discriminator=66, your_discriminator=0))
    await until(lambda: speaker.status().discards.get(Discard.OVERRIDE) == 2, "the discards")
    assert speaker.status().state is State.UP
    assert speaker.status().remote_discriminator == 9


async def test_a_stranger_is_dropped_by_the_kernel_and_counted(start: Start, raw: Raw) -> None:
    speaker, _, own = await established(start, raw)
    stranger = raw(loopback(), own)
    for _ in range(20):
        stranger.send(packet(your_discriminator=0))
    await until(lambda: speaker.sessions.dropped == 20, "the count")
    assert (speaker.status().state, speaker.sessions.discards) == (State.UP, {})


async def test_one_peer_does_not_speak_for_another(start: Start, raw: Raw) -> None:
    own, first, second = loopback(), loopback(), loopback()
    router, other = raw(first, own), raw(second, own)
    speaker = await start(peer(first, own), peer(second, own), listen_addresses=(own,))
    await speaker.until_state(State.DOWN, first)
    router.send(packet(your_discriminator=0, multiplier=100))
    await speaker.until_state(State.INIT, first)

    other.send(packet(state=State.UP, your_discriminator=speaker.status(first).local_discriminator))

    await until(lambda: speaker.sessions.discards.get(Discard.SOURCE) == 1, "the discard")
    assert speaker.status(first).state is State.INIT


async def test_a_flood_leaves_the_loop_its_turns_and_the_session_up(start: Start, raw: Raw) -> None:
    speaker, router, own = await established(start, raw, bfd=FAST)
    stranger = raw(loopback(), own)
    noise = packet(your_discriminator=5).pack()
    turns = 0
    for _ in range(100):
        for _ in range(50):
            stranger.send(noise)
            router.send(noise)
        router.say(State.UP, speaker.status())
        await asyncio.sleep(0)
        turns += 1
    assert turns == 100
    assert speaker.status().state is State.UP


async def test_polls_are_answered_but_not_at_any_rate(start: Start, raw: Raw) -> None:
    speaker, router, _ = await established(start, raw)
    router.forget()
    router.say(State.UP, speaker.status(), poll=True)
    while not (await router.receive())[1] & 0x10:
        pass
    before = speaker.status().packets_in
    for _ in range(60):
        router.say(State.UP, speaker.status(), poll=True)
    await until(lambda: speaker.status().packets_in == before + 60, "all of them")
    router.forget()
    assert speaker.status().packets_out < 60


async def test_a_peer_in_demand_mode_hears_nothing_but_answers(start: Start, raw: Raw) -> None:
    speaker, router, _ = await established(start, raw)
    router.say(State.UP, speaker.status(), final=True, demand=True)
    await until(lambda: speaker.status().transmit_milliseconds is None, "silence")


async def test_two_peers_at_one_address_do_not_disturb_each_other(start: Start) -> None:
    """Only one of them can be told by its address; the other one waits, and is shown to wait."""
    one, other = loopback(), loopback()
    speaker = await start(peer(other, one), peer(other, one, name="twin"), listen_addresses=(one,))
    remote = await start(peer(one, other), listen_addresses=(other,))
    await speaker.until_state(State.UP, other)
    await until_up(remote)
    assert speaker.status("twin").state is not State.UP


def test_sessions_may_be_configured_before_there_is_a_loop() -> None:
    sessions = BfdSessions(on_event=print)
    sessions.set_peers([peer(loopback())])
    assert sessions.statuses() == {}
    assert sessions.problem == ""


def test_bfd_of_a_peer_is_a_value() -> None:
    configured: Peer = peer("192.0.2.1")
    assert configured.bfd == CALM

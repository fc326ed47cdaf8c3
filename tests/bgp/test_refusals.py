"""Peers that cannot be reached or cannot be accepted: the right NOTIFICATION, and a sentence for people."""

import socket
from collections.abc import Callable
from ipaddress import IPv4Address

import pytest

from speaker.bgp import SessionEventKind
from speaker.bgp.messages import KEEPALIVE, MessageType, Notification, pack_message, pack_route_refresh
from speaker.model.peer import Password, SessionState
from speaker.model.prefix import Family
from tests.bgp.builders import Speaker, loopback, peer, until
from tests.bgp.raw_peer import RawPeer

Speak = Callable[..., Speaker]
Raw = Callable[..., RawPeer]
OPEN_V4_ONLY = frozenset({Family.IPV4})


@pytest.mark.parametrize(
    ("ours", "theirs", "notification", "reason"),
    [
        pytest.param(
            {}, {"local_asn": 65099}, Notification(2, 2), "peer opened with AS 65099, expected 65030", id="AS"
        ),
        pytest.param(
            {"asn": 65000},
            {"router_id": IPv4Address("10.0.0.1")},
            Notification(2, 3),
            "peer opened with our own router ID 10.0.0.1",
            id="our router ID inside the AS",
        ),
        pytest.param(
            {},
            {"router_id": IPv4Address(0)},
            Notification(2, 3),
            "peer opened with router ID 0.0.0.0",
            id="ID 0",
        ),
        pytest.param(
            {},
            {"hold_time_seconds": 2},
            Notification(2, 6),
            "peer offered a hold time of 2 s, less than 3",
            id="hold time 2",
        ),
        pytest.param(
            {"families": frozenset({Family.IPV6})},
            {"families": OPEN_V4_ONLY},
            Notification(2, 7),
            "no address family in common: we offer ipv6, peer offers ipv4",
            id="families",
        ),
    ],
)
async def test_an_unacceptable_open(
    speak: Speak,
    raw: Raw,
    ours: dict[str, object],
    theirs: dict[str, object],
    notification: Notification,
    reason: str,
) -> None:
    configured = peer(address=loopback(), **ours)
    router = raw(configured).listen()
    speaker = speak(configured)
    await router.accept()
    await router.open_received()
    await router.send(router.open(**theirs))

    assert notification == await router.expect_notification()
    assert f"{reason} (NOTIFICATION {notification} sent)" == await speaker.until_error(reason)


async def test_the_same_router_id_outside_the_as_is_acceptable(speak: Speak, raw: Raw) -> None:
    """RFC 6286 §2.1: the identifier is unique within an AS only."""
    configured = peer(address=loopback())
    router = raw(configured).listen()
    speaker = speak(configured)
    await router.accept()
    await router.establish(router_id=configured.router_id)

    await speaker.until_state(SessionState.ESTABLISHED)


async def test_another_version_is_told_which_one_we_speak(speak: Speak, raw: Raw) -> None:
    configured = peer(address=loopback())
    router = raw(configured).listen()
    speak(configured)
    await router.accept()
    await router.open_received()
    packed = router.open()
    await router.send(packed[:19] + b"\x03" + packed[20:])

    assert Notification(2, 1, b"\x00\x04") == await router.expect_notification()


@pytest.mark.parametrize(
    ("before", "message", "notification"),
    [
        pytest.param(0, KEEPALIVE, Notification(5, 1), id="KEEPALIVE in OpenSent"),
        pytest.param(
            0, pack_message(MessageType.UPDATE, bytes(4)), Notification(5, 1), id="UPDATE in OpenSent"
        ),
        pytest.param(
            1, pack_message(MessageType.UPDATE, bytes(4)), Notification(5, 2), id="UPDATE too early"
        ),
        pytest.param(1, pack_route_refresh(Family.IPV4), Notification(5, 2), id="ROUTE-REFRESH too early"),
        pytest.param(1, None, Notification(5, 2), id="a second OPEN"),
        pytest.param(2, None, Notification(5, 3), id="an OPEN in Established"),
        pytest.param(2, bytes(19), Notification(1, 1), id="no marker"),
        pytest.param(
            2, pack_message(MessageType.UPDATE, b"\xff\xff\0\0"), Notification(3, 1), id="malformed UPDATE"
        ),
    ],
)
async def test_a_message_where_it_does_not_belong(
    speak: Speak, raw: Raw, before: int, message: bytes | None, notification: Notification
) -> None:
    """RFC 6608 and RFC 4271 §6, after none, one or both of OPEN and KEEPALIVE."""
    configured = peer(address=loopback())
    router = raw(configured).listen()
    speak(configured)
    await router.accept()
    await router.open_received()
    await router.send(*(router.open(), KEEPALIVE)[:before], router.open() if message is None else message)

    assert notification == await router.expect_notification()


async def test_a_closed_port_is_a_refused_connection(speak: Speak) -> None:
    configured = peer(address=loopback())
    speaker = speak(configured)

    reason = await speaker.until_error("refused")

    assert reason.startswith(
        f"cannot connect to {configured.address} port {configured.port}: connection refused"
    )


@pytest.mark.parametrize(
    ("password", "hint"),
    [
        (Password("x"), "unreachable, or the password differs"),
        (None, "unreachable, or it expects a password"),
    ],
)
async def test_silence_names_the_password_too(speak: Speak, password: Password | None, hint: str) -> None:
    """A full backlog answers no SYN, as a peer with another key does."""
    address = loopback()
    configured = peer(address=address, password=password)
    with socket.create_server((str(address), configured.port), backlog=0) as silent:
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex((str(address), configured.port))
        speaker = speak(configured)

        reason = await speaker.until_error("no answer")

        assert f"no answer from {address} port {configured.port} ({hint})" == reason
        assert "Password" not in repr(silent)
        for filler in fillers:
            filler.close()


async def test_a_connection_closed_before_the_open_hints_at_the_peers_configuration(
    speak: Speak, raw: Raw
) -> None:
    configured = peer(address=loopback())
    router = raw(configured).listen()
    speaker = speak(configured)
    await router.accept()
    await router.open_received()
    router.hang_up()

    assert "it may not be configured for our address" in await speaker.until_error("before its OPEN")


async def test_the_same_failure_is_reported_once(speak: Speak, raw: Raw) -> None:
    configured = peer(address=loopback(), connect_retry_seconds=0.2)
    router = raw(configured).listen()
    speaker = speak(configured)
    for _ in range(3):
        await router.accept()
        await router.open_received()
        await router.send(router.open(local_asn=65099))
        await router.expect_notification()

    assert len(speaker.kinds(SessionEventKind.ERROR)) == 1


async def test_after_a_refusal_the_peer_is_tried_again(speak: Speak, raw: Raw) -> None:
    configured = peer(address=loopback(), connect_retry_seconds=0.2)
    router = raw(configured).listen()
    speaker = speak(configured)
    await router.accept()
    await router.open_received()
    await router.send(router.open(local_asn=65099))
    await router.expect_notification()

    await router.accept()
    await router.establish()

    await speaker.until_state(SessionState.ESTABLISHED)
    await until(lambda: speaker.peers.sessions()["tor"].last_error == "")

"""Odd and broken peers, over loopback: what is said of each, and that nothing hangs."""

import asyncio
import contextlib
import socket
from collections.abc import Callable

import pytest

from speaker.bgp.messages import (
    KEEPALIVE,
    MessageType,
    Notification,
    pack_notification,
    shutdown_communication,
)
from speaker.bgp.sockopts import set_md5
from speaker.model.peer import Password, Peer
from speaker.preflight import Check, Options, Result, as_document, preflight
from tests.bgp.builders import PORT, loopback, peer, prefix
from tests.bgp.raw_peer import Closed, RawPeer
from tests.preflight.looking import BRIEF, failures, meet, open_message, results, said

Raw = Callable[..., RawPeer]


def here(**overrides: object) -> Peer:
    """A peer on loopback, with addresses that no other test has."""
    return peer(address=loopback(), source=loopback(), **overrides)


async def end_of(raw: RawPeer) -> Notification:
    """The NOTIFICATION with which preflight leaves."""
    return await raw.expect_notification()


async def test_a_peer_that_agrees_is_left_with_cease_and_never_established(raw: Raw) -> None:
    configured = here()
    left: list[Notification] = []

    async def script(other: RawPeer) -> None:
        await other.open_received()
        await other.send(other.open(), KEEPALIVE)
        # No KEEPALIVE comes, which would have established the session.
        left.append(await end_of(other))

    report = await meet(configured, raw(configured).listen(), script)

    assert report.result is Result.PASS
    assert left == [Notification(6, 2, shutdown_communication("preflight"))]
    assert "4-octet AS 65030" in report.capabilities


async def drained(raw: RawPeer) -> None:
    """Read until the other end is gone, whatever it says."""
    with contextlib.suppress(Closed):
        while True:
            await raw.receive()


@pytest.mark.parametrize(
    ("sent", "check", "words"),
    [
        (open_message(asn=65031) + KEEPALIVE, Check.AS, "--neighbor-as=65031"),
        (open_message(asn=65030, hold=2), Check.HOLD_TIME, "peer offers 2 s"),
        (open_message(asn=65030, router_id="0.0.0.0"), Check.OPEN, ""),
        (KEEPALIVE, Check.OPEN, "KEEPALIVE where it has no place"),
        (open_message(asn=65030) * 2, Check.OPEN, "OPEN where it has no place"),
        (b"SSH-2.0-OpenSSH_9.2\r\n" * 2, Check.OPEN, "speaks no BGP"),
        (b"\xff" * 16 + b"\xff\xff\x01", Check.OPEN, "speaks no BGP"),
        (pack_notification(Notification(2, 2)), Check.AS, "compare --cluster-as"),
        (
            pack_notification(Notification(6, 2, shutdown_communication("under\x1b repair"))),
            Check.OPEN,
            '"under  repair"',
        ),
        (pack_notification(Notification(6, 5)), Check.OPEN, "configure this node's address"),
    ],
)
async def test_a_peer_that_is_otherwise(raw: Raw, sent: bytes, check: Check, words: str) -> None:
    configured = here()

    async def script(other: RawPeer) -> None:
        await other.open_received()
        await other.send(sent)
        await drained(other)

    report = await meet(configured, raw(configured).listen(), script, **BRIEF)

    assert check in failures(report)
    assert words in said(report, check)


async def test_a_peer_that_closes_at_once_is_tried_twice(raw: Raw) -> None:
    """GoBGP does so in the first seconds after a session; an unknown neighbor is closed each time."""
    configured = here()

    async def script(other: RawPeer) -> None:
        other.hang_up()
        await other.accept()
        other.hang_up()

    report = await meet(configured, raw(configured).listen(), script)

    assert failures(report) == {Check.OPEN}
    assert "the router does not know this node" in said(report, Check.OPEN)


async def test_the_second_try_counts(raw: Raw) -> None:
    configured = here()

    async def script(other: RawPeer) -> None:
        other.hang_up()
        await other.accept()
        await other.open_received()
        await other.send(other.open(), KEEPALIVE)
        await end_of(other)

    report = await meet(configured, raw(configured).listen(), script)

    assert report.result is Result.PASS


async def test_a_peer_that_says_nothing(raw: Raw) -> None:
    configured = here()

    async def script(other: RawPeer) -> None:
        await other.open_received()
        await end_of(other)

    report = await meet(configured, raw(configured).listen(), script, **BRIEF)

    assert failures(report) == {Check.OPEN}
    assert "no OPEN came within" in said(report, Check.OPEN)


async def test_a_peer_that_sends_its_open_octet_by_octet_is_not_waited_for(raw: Raw) -> None:
    configured = here()

    async def script(other: RawPeer) -> None:
        await other.open_received()
        for octet in other.open()[:20]:
            await other.send(bytes([octet]))
        await end_of(other)

    report = await meet(configured, raw(configured).listen(), script, **BRIEF)

    assert failures(report) == {Check.OPEN}


async def test_a_peer_that_never_reads_is_left_all_the_same(raw: Raw) -> None:
    configured = here()

    async def script(other: RawPeer) -> None:
        await other.send(other.open(), KEEPALIVE)

    report = await meet(configured, raw(configured).listen(), script)

    assert report.result is Result.PASS


async def test_nobody_listens() -> None:
    configured = here()

    (report,) = await preflight([configured], Options(timeout_seconds=10.0))

    assert failures(report) == {Check.TCP}
    assert "refused" in said(report, Check.TCP)


async def test_a_source_that_this_host_does_not_have() -> None:
    configured = peer(address=loopback(), source=prefix("192.0.2.77/32").network_address)

    (report,) = await preflight([configured], Options())

    assert failures(report) == {Check.SOURCE}
    assert "this host does not have 192.0.2.77" in said(report, Check.SOURCE)


@pytest.mark.parametrize(
    ("allowed", "words"), [("127.0.0.9", "allowed; the kernel would"), ("", "the kernel's")]
)
async def test_allowed_sources_are_bound(raw: Raw, allowed: str, words: str) -> None:
    configured = peer(address=loopback())
    seen: list[str] = []

    async def script(other: RawPeer) -> None:
        assert other.sock is not None
        seen.append(str(other.sock.getpeername()[0]))
        await other.open_received()
        await other.send(other.open(), KEEPALIVE)
        await end_of(other)

    sources = (prefix(f"{allowed}/32").network_address,) if allowed else ()
    report = await meet(configured, raw(configured).listen(), script, allowed_sources=sources)

    assert report.result is Result.PASS
    assert words in said(report, Check.SOURCE)
    assert seen == [allowed or "127.0.0.1"]


async def test_an_interface_that_is_not_there() -> None:
    (report,) = await preflight([here(interface="nothere0")], Options())

    assert failures(report) == {Check.SOURCE}
    assert "over nothere0" in said(report, Check.SOURCE)


async def test_the_router_id_is_the_source_address_when_none_is_given(raw: Raw) -> None:
    configured = here()
    seen: list[object] = []

    async def script(other: RawPeer) -> None:
        seen.append((await other.open_received()).router_id)
        await other.send(other.open(), KEEPALIVE)
        await end_of(other)

    await meet(configured, raw(configured).listen(), script, router_id_from_source=True)

    assert seen == [configured.source]


@pytest.mark.md5
@pytest.mark.parametrize("password", [None, Password("s3cret")])
async def test_a_listener_that_wants_another_password_is_silent(password: Password | None) -> None:
    """And the host is alive, so that a firewall and a password are all that is left to think of."""
    configured = here(password=password)
    with socket.create_server((str(configured.address), PORT)) as listening:
        assert configured.source is not None
        set_md5(listening, configured.source, Password("another"))
        (report,) = await preflight([configured], Options(**BRIEF))

    assert failures(report) == {Check.TCP}
    assert "though the host is there" in said(report, Check.TCP)
    assert ("another password" if password else "a password (TCP MD5)") in said(report, Check.TCP)
    assert "s3cret" not in str(as_document([report]))


@pytest.mark.md5
async def test_an_unexpected_password_is_told_apart(raw: Raw) -> None:
    configured = here(password=Password("s3cret"))

    async def script(other: RawPeer) -> None:
        await other.open_received()
        await other.send(other.open(), KEEPALIVE)
        await end_of(other)

    report = await meet(configured, raw(configured).listen(), script, timeout_seconds=2.0)

    assert failures(report) == {Check.MD5}
    assert "it expects none" in said(report, Check.MD5)
    assert results(report)[Check.OPEN] is Result.PASS


@pytest.mark.md5
async def test_a_password_and_no_daemon() -> None:
    """A closed port answers unsigned connections only, and says nothing of the password."""
    (report,) = await preflight([here(password=Password("s3cret"))], Options(**BRIEF))

    assert failures(report) == {Check.TCP}
    assert results(report)[Check.MD5] is Result.SKIP


async def test_a_test_prefix_is_advertised_and_withdrawn(raw: Raw) -> None:
    configured = here()
    tested = prefix("10.96.0.99/32")
    heard: list[object] = []

    async def script(other: RawPeer) -> None:
        await other.open_received()
        await other.send(other.open(), KEEPALIVE)
        await other.expect(MessageType.KEEPALIVE)
        update = await other.update()
        (route,) = update.advertised
        heard.append((route.prefix, set(route.attributes.communities)))
        while not (update := await other.update()).withdrawn:
            assert update.end_of_rib
        heard.append(update.withdrawn[0].prefix)
        await end_of(other)

    report = await meet(configured, raw(configured).listen(), script, test_prefix=tested)

    assert results(report)[Check.TEST_PREFIX] is Result.PASS
    assert heard == [(tested, {0xFFFFFF01, 0xFFFF0000}), tested]


async def test_a_peer_that_ends_the_session_for_the_test_prefix(raw: Raw) -> None:
    configured = here()

    async def script(other: RawPeer) -> None:
        await other.open_received()
        await other.send(other.open(), KEEPALIVE)
        await other.expect(MessageType.KEEPALIVE)
        await other.update()
        await other.send(pack_notification(Notification(6, 1)))
        await other.expect_end()

    report = await meet(
        configured, raw(configured).listen(), script, test_prefix=prefix("10.96.0.99/32"), settle_seconds=10
    )

    assert failures(report) == {Check.TEST_PREFIX}
    assert "Maximum Number of Prefixes Reached" in said(report, Check.TEST_PREFIX)


async def test_no_prefix_is_advertised_to_a_peer_that_failed(raw: Raw) -> None:
    configured = here()

    async def script(other: RawPeer) -> None:
        await other.open_received()
        await other.send(other.open(local_asn=65031), KEEPALIVE)
        await other.expect(MessageType.NOTIFICATION)

    report = await meet(configured, raw(configured).listen(), script, test_prefix=prefix("10.96.0.99/32"))

    assert results(report)[Check.TEST_PREFIX] is Result.SKIP


async def test_a_silent_peer_does_not_delay_the_others(raw: Raw) -> None:
    """All of them are looked at, at the same time, in the order in which they were named."""
    silent, refused = here(), here()
    other = raw(silent).listen()
    looking = asyncio.create_task(preflight([silent, refused], Options(**BRIEF)))
    await other.accept()
    await other.open_received()
    await end_of(other)

    reports = await looking

    assert [report.peer.address for report in reports] == [silent.address, refused.address]
    assert failures(reports[0]) == {Check.OPEN}
    assert failures(reports[1]) == {Check.TCP}

"""Peers that connect to us."""

import asyncio
import socket
from collections.abc import Callable
from dataclasses import replace

import pytest

from speaker.bgp.messages import KEEPALIVE
from speaker.model.peer import Password, Peer
from speaker.model.prefix import Address
from speaker.preflight import Check, Options, PeerReport, Result, preflight
from tests.bgp.builders import PORT, loopback, peer
from tests.bgp.raw_peer import RawPeer
from tests.interop.rack import Rack, against
from tests.lab.routers.config import Neighbor
from tests.lab.waiting import eventually
from tests.preflight.looking import BRIEF, failures, look_at, results, said

Raw = Callable[..., RawPeer]


def awaited(**overrides: object) -> Peer:
    return peer(address=loopback(), passive=True, **overrides)


async def looked_at_by(rack: Rack, ours: Peer, neighbor: Neighbor) -> PeerReport:
    """The report about a router that is started once we listen: it would pause after a failure."""
    looking = asyncio.create_task(look_at(rack, ours, listen_port=179, timeout_seconds=30.0))
    node = rack.topology["node1"].namespace

    def listens() -> bool:
        return ":179" in node.run("ss", "--no-header", "--listening", "--tcp", "--numeric")

    await eventually(listens, what="a listening socket")
    await rack.router(neighbor)
    return await looking


@pytest.mark.netns
@pytest.mark.parametrize("password", [None, "s3cret"])
async def test_a_router_that_dials(rack: Rack, password: str | None) -> None:
    ours = rack.peer(passive=True, password=Password(password) if password else None)

    report = await looked_at_by(rack, ours, rack.neighbor(passive=False, password=password))

    assert report.result is Result.PASS, report.findings
    assert "the peer connected to port 179" in said(report, Check.TCP)
    assert "arrive with TTL" in said(report, Check.TTL)


@pytest.mark.netns
@against("bird", "frr")
async def test_ttl_security_of_a_router_that_dials(rack: Rack) -> None:
    ours = rack.peer(passive=True, ttl_security_hops=1)

    report = await looked_at_by(rack, ours, rack.neighbor(passive=False))

    assert Check.TTL in failures(report), report.findings
    assert "TTL security asks for 255" in said(report, Check.TTL) or "below 255" in said(report, Check.TTL)


async def test_only_awaited_peers_are_let_in(raw: Raw) -> None:
    """A stranger is closed at once and counted; the awaited one may come late."""
    configured, local, stranger = awaited(), loopback(), awaited()
    options = Options(timeout_seconds=10.0, listen_port=PORT, listen_addresses=(local,))
    looking = asyncio.create_task(preflight([configured], options))
    await eventually(lambda: _connects(stranger.address, local), what="a listening socket")
    other = raw(configured)
    await other.connect(local, PORT)
    await other.open_received()
    await other.send(other.open(), KEEPALIVE)
    await other.expect_notification()

    (report,) = await looking

    assert report.result is Result.PASS, report.findings


async def test_a_peer_that_never_calls() -> None:
    (report,) = await preflight(
        [awaited()], Options(**BRIEF, listen_port=PORT, listen_addresses=(loopback(),))
    )

    assert failures(report) == {Check.TCP}
    assert "did not connect within 1 s" in said(report, Check.TCP)


async def test_nothing_listens_without_a_port() -> None:
    (report,) = await preflight([awaited()], Options())

    assert "--listen-port is needed" in said(report, Check.TCP)


async def test_a_port_that_is_taken() -> None:
    """By the running speaker, most often."""
    local = loopback()
    with socket.create_server((str(local), PORT)):
        reports = await preflight(
            [awaited(), replace(awaited(), name="other")],
            Options(listen_port=PORT, listen_addresses=(local,)),
        )

    assert [failures(report) for report in reports] == [{Check.TCP}] * 2
    assert "address already in use" in said(reports[0], Check.TCP)
    assert Check.OPEN not in results(reports[0])


def _connects(source: Address, local: Address) -> bool:
    """Whether a stranger's connection is taken, and closed at once."""
    with socket.socket() as sock:
        sock.bind((str(source), 0))
        return sock.connect_ex((str(local), PORT)) == 0

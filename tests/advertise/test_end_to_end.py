"""`speaker advertise` against real routers: what they hear, and when not any more."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from tests.advertise.advertiser import Advertiser
from tests.lab.net.topology import Topology, router_id
from tests.lab.routers.config import RouterConfig, neighbor
from tests.lab.routers.router import Router
from tests.lab.waiting import eventually

pytestmark = pytest.mark.netns

VIP = "10.96.255.1/32"
VIP6 = "fd00:96::1/128"
NODE, TOR1, TOR2 = "172.30.1.2", "172.30.1.1", "172.31.1.1"
ROUTER_ASN, NODE_ASN = 65030, 65000
CHECK_PORT = 6443

GKE: dict[str, Any] = {
    "localIP": NODE,
    "localASN": NODE_ASN,
    "peers": [{"peerIP": TOR1, "peerASN": ROUTER_ASN}],
}
"""As GKE on bare metal writes it, and no more."""

Routers = Callable[..., Any]


@pytest.fixture
async def routers(topology: Topology, daemon: type[Router]) -> AsyncIterator[Routers]:
    """Starts the top-of-rack router of a number, which waits for the node's session over IPv4."""
    async with AsyncExitStack() as stack:

        async def start(number: int = 1, **options: Any) -> Router:
            where, passive = options.pop("where", f"172.{29 + number}.1.2"), options.pop("passive", True)
            each = neighbor(where, NODE_ASN, passive=passive, bfd=options.pop("bfd", False))
            config = RouterConfig(asn=ROUTER_ASN, router_id=router_id(number), neighbors=(each,), **options)
            return await stack.enter_async_context(daemon(config, topology[f"tor{number}"].namespace))

        yield start


@pytest.fixture
def advertiser(topology: Topology, folder: Path) -> Callable[..., Advertiser]:
    """The node's program, not yet started."""

    def make(document: object, *flags: str) -> Advertiser:
        return Advertiser(folder, topology["node1"].namespace, document, flags)

    return make


@asynccontextmanager
async def api_server(topology: Topology) -> AsyncIterator[None]:
    """What answers /readyz on the node."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        writer.close()

    sock = topology["node1"].namespace.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", CHECK_PORT))
    server = await asyncio.start_server(serve, sock=sock)
    try:
        yield
    finally:
        server.close()


async def test_the_minimal_file_of_gke_is_enough(
    routers: Routers, advertiser: Callable[..., Advertiser]
) -> None:
    router = await routers()
    async with advertiser(GKE, "--advertise-ip=10.96.255.1", "--advertise-ip=10.96.0.0/16") as program:
        await router.wait_routes({VIP: {NODE}, "10.96.0.0/16": {NODE}}, within=30)
        await program.wait_line(f" {TOR1} OpenConfirm -> Established")
        await program.wait_line(f" {VIP} unknown -> advertised: no check")


async def test_sigterm_withdraws_and_ends_with_status_0(
    routers: Routers, advertiser: Callable[..., Advertiser]
) -> None:
    """Also where the router would keep the routes of one that restarts."""
    router = await routers()
    async with advertiser(GKE | {"gracefulRestart": True}, f"--advertise-ip={VIP}") as program:
        await router.wait_routes({VIP: {NODE}}, within=30)

        assert await program.stop() == 0
        await program.wait_line(f" {VIP} advertised -> withdrawn: --shutdown=withdraw")
        await program.wait_line(f" {TOR1} Established -> Idle")
        await router.wait_routes({}, within=30)


async def test_the_address_follows_the_check(
    routers: Routers, advertiser: Callable[..., Advertiser], topology: Topology
) -> None:
    router = await routers()
    flags = (
        f"--advertise-ip={VIP}",
        f"--check=http://127.0.0.1:{CHECK_PORT}/readyz",
        "--check-interval=100ms",
        "--check-fall=2",
    )
    async with advertiser(GKE, *flags) as program:
        await program.established(TOR1)
        await program.wait_line(f" {VIP} unknown -> withdrawn", "connection refused")
        assert await router.next_hops() == {}
        async with api_server(topology):
            await router.wait_routes({VIP: {NODE}}, within=30)
        await router.wait_routes({}, within=30)
        await program.wait_line(f" {VIP} advertised -> withdrawn", "connection refused")
        async with api_server(topology):
            await router.wait_routes({VIP: {NODE}}, within=30)
        await router.wait_routes({}, within=30)
        assert (await program.session(TOR1))["flaps"] == 0
        assert (await program.get("/readyz"))[0] == 200


async def test_a_peer_that_is_added_disturbs_no_other(
    routers: Routers, advertiser: Callable[..., Advertiser]
) -> None:
    first, second = await routers(1), await routers(2)
    async with advertiser(GKE, f"--advertise-ip={VIP}") as program:
        before = await program.established(TOR1)
        await first.wait_routes({VIP: {NODE}}, within=30)
        other = {"peerIP": TOR2, "peerASN": ROUTER_ASN, "sourceAddress": "172.31.1.2", "holdTime": 9}

        program.write(GKE | {"peers": [*GKE["peers"], other]})
        await program.established(TOR2)
        await second.wait_routes({VIP: {"172.31.1.2"}}, within=30)
        after = await program.established(TOR1)
        assert (after["established_at"], after["flaps"]) == (before["established_at"], 0)

        program.write(GKE)
        await second.wait_routes({}, within=30)
        assert (await program.established(TOR1))["established_at"] == before["established_at"]


async def test_a_broken_file_changes_nothing_and_is_told_once(
    routers: Routers, advertiser: Callable[..., Advertiser]
) -> None:
    router = await routers()
    async with advertiser(GKE, f"--advertise-ip={VIP}") as program:
        before = await program.established(TOR1)
        await router.wait_routes({VIP: {NODE}}, within=30)

        program.write(GKE | {"peers": [{"peerIP": "nowhere", "peerASN": ROUTER_ASN}]})
        await program.wait_line("peers[0].peerIP='nowhere': must be an IP address")
        program.signal(signal.SIGHUP)
        program.write("peers: [")
        await program.wait_line("this is no YAML")
        assert program.output().count("nowhere") == 1
        assert (await program.session(TOR1))["established_at"] == before["established_at"]
        assert await router.next_hops() == {VIP: {NODE}}
        status, text = await program.get("/readyz?verbose")
        assert (status, "this is no YAML" in text) == (200, True)

        program.write(GKE | {"holdTime": "30s"})
        await program.wait_line("file of peers is taken over", f"changed={TOR1}")
        await program.established(TOR1)


async def test_a_killed_program_with_graceful_restart_loses_no_route(
    routers: Routers, advertiser: Callable[..., Advertiser], topology: Topology
) -> None:
    """Its successor says nothing before its check has answered: the router keeps the route until then."""
    router = await routers()
    document = GKE | {"gracefulRestart": {"restartTime": 60}}
    flags = (
        f"--advertise-ip={VIP}",
        f"--check=tcp://127.0.0.1:{CHECK_PORT}",
        "--check-interval=100ms",
        "--check-fall=1000",
    )
    seen: list[dict[str, set[str]]] = []
    async with advertiser(document, *flags) as program:
        async with api_server(topology):
            await router.wait_routes({VIP: {NODE}}, within=30)
        await program.child.kill()
        await router.wait_sessions(lambda found: not any(each.established for each in found.values()))

        await program.start()
        await program.established(TOR1)
        seen.append(await router.next_hops())
        async with api_server(topology):
            await program.wait_line(f" {VIP} unknown -> advertised")
            seen.append(await router.next_hops())
            await router.wait_routes(
                lambda table: [path.stale for paths in table.values() for path in paths] in ([False], [None])
            )
            seen.append(await router.next_hops())
    assert seen == [{VIP: {NODE}}] * 3


async def test_a_password_that_changes_in_its_file_is_taken_over(
    routers: Routers, advertiser: Callable[..., Advertiser], folder: Path
) -> None:
    """The session starts anew with the new key, and the password stands in no output."""
    router = await routers()
    secret = folder / "password"
    secret.write_text("first\n")
    document = {**GKE, "peers": [{**GKE["peers"][0], "passwordFile": str(secret), "connectRetry": "1s"}]}
    node = ip_address(NODE)
    await router.set_password(node, "first")
    async with advertiser(document, f"--advertise-ip={VIP}") as program:
        await router.wait_routes({VIP: {NODE}}, within=30)
        await router.set_password(node, "second-key")
        secret.write_text("second-key\n")
        await program.wait_line("file of peers is taken over", f"changed={TOR1}")
        await program.established(TOR1)
        await router.wait_routes({VIP: {NODE}}, within=30)
        assert "second-key" not in program.output()


async def test_routers_of_a_range_come_by_themselves(
    routers: Routers, advertiser: Callable[..., Advertiser]
) -> None:
    """The node waits for whoever dials from the prefix; the range goes, and the session with it."""
    router = await routers(passive=False)
    document = {**GKE, "peers": [{"peerRange": "172.30.1.0/24", "limit": 2, "peerASN": ROUTER_ASN}]}
    async with advertiser(document, f"--advertise-ip={VIP}") as program:
        await program.established(TOR1, within=30)
        await router.wait_routes({VIP: {NODE}}, within=30)

        program.write({**GKE, "peers": [{"peerIP": TOR2, "peerASN": ROUTER_ASN}]})
        await router.wait_routes({}, within=30)
        assert await program.session(TOR1) is None


async def test_bfd_runs_beside_the_session(routers: Routers, advertiser: Callable[..., Advertiser]) -> None:
    """It is turned on in the file of peers while the session goes on."""
    router = await routers(bfd=True)
    async with advertiser(GKE, f"--advertise-ip={VIP}") as program:
        await router.wait_routes({VIP: {NODE}}, within=30)
        program.write(GKE | {"bfd": {"minTx": 100, "minRx": "100ms"}})

        async def state() -> object:
            session = await program.session(TOR1)
            return session and session.get("bfd")

        await eventually(
            state, lambda found: str(found).upper().endswith("UP"), within=30, show=lambda _: program.output()
        )
        assert (await program.session(TOR1))["flaps"] == 0


async def test_an_ipv6_host_advertises_to_an_ipv6_router(
    routers: Routers, advertiser: Callable[..., Advertiser]
) -> None:
    router = await routers(where="fd00:30:1::2")
    document = {
        "localIP": "fd00:30:1::2",
        "localASN": NODE_ASN,
        "routerID": NODE,
        "peers": [{"peerIP": "fd00:30:1::1", "peerASN": ROUTER_ASN}],
    }
    async with advertiser(document, f"--advertise-ip={VIP6}", "--community=65000:7") as program:
        await router.wait_routes({VIP6: {"fd00:30:1::2"}}, within=30)
        (path,) = next(iter((await router.routes()).values()))
        assert path.communities == {"65000:7"}
        assert (await program.ask("routes"))["routes"] == [
            {"peer": "fd00:30:1::1", "prefix": VIP6, "next_hop": "fd00:30:1::2", "sent": True}
        ]


async def test_an_address_that_no_session_carries_is_told_once(
    routers: Routers, advertiser: Callable[..., Advertiser]
) -> None:
    router = await routers()
    document = {**GKE, "families": ["ipv4"]}
    async with advertiser(document, f"--advertise-ip={VIP},{VIP6}") as program:
        await router.wait_routes({VIP: {NODE}}, within=30)
        assert program.output().count("no peer can hear it") == 1
        assert f"prefix={VIP6}" in program.output()


async def test_a_local_ip_of_another_host_is_told(
    routers: Routers, advertiser: Callable[..., Advertiser]
) -> None:
    await routers()
    async with advertiser({**GKE, "localIP": "172.30.1.77"}, f"--advertise-ip={VIP}") as program:

        async def error() -> str:
            session = await program.session(TOR1)
            return "" if session is None else str(session["last_error"])

        assert "is no address of this host" in await eventually(error, within=20)

"""A router made of our own BGP stack, for machines without a real one: it waits on loopback and learns."""

import asyncio
import socket
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from ipaddress import IPv4Address
from pathlib import Path
from typing import Self

from speaker.bgp import PeerSet
from speaker.model.peer import GracefulRestart, Peer, SessionState
from speaker.model.prefix import Family
from tests.lab.cluster import NODE_ASN, ROUTER_ASN, Table, node_manifest
from tests.lab.control_planes import make_api
from tests.lab.demo.objects import NODES, populate
from tests.lab.roles import SERVICE_ACCOUNT, role_manifests
from tests.lab.speakers import Speaker

_NODE_ADDRESSES = tuple(IPv4Address(f"127.0.0.{number}") for number in (11, 12, 13))


class LoopbackStage:
    """Our own BGP stack as the router, on loopback: what any machine has."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._router = PassiveRouter(dict(zip(NODES, _NODE_ADDRESSES, strict=True)), node_asn=NODE_ASN)
        self._stack = AsyncExitStack()
        self.speakers: list[Speaker] = []

    @property
    def router(self) -> str:
        """What a person calls the router."""
        return f"this project's own BGP stack, AS {ROUTER_ASN}, on loopback"

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            self.api = await stack.enter_async_context(make_api(self._folder))
            self.api.create(*role_manifests())
            populate(self.api)
            await stack.enter_async_context(self._router)
            kubeconfig = self.api.kubeconfig(
                self._folder / "speaker.kubeconfig", service_account=SERVICE_ACCOUNT
            )
            for number, (name, address) in enumerate(self._router.nodes.items(), start=1):
                self.api.create(node_manifest(name, (str(address), f"fd00:30:{number}::2")))
                flags = [
                    f"--neighbor-address={self._router.address}",
                    f"--neighbor-port={self._router.port}",
                    f"--allowed-source-addresses={address}",
                    f"--neighbor-as={ROUTER_ASN}",
                    f"--cluster-as={NODE_ASN}",
                    "--graceful-restart",
                ]
                speaker = Speaker(
                    name, kubeconfig=kubeconfig, folder=self._folder, flags=flags, addresses=[address]
                )
                self.speakers.append(await stack.enter_async_context(speaker))
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def table(self) -> Table:
        """What the router has learned, by the names of nodes."""
        return self._router.table()

    async def established(self) -> int:
        """How many nodes the router has a session with."""
        return self._router.established()


class PassiveRouter:
    """Accepts every node, on an unprivileged port that the kernel chooses.

    Args:
        nodes: the names of the nodes with the loopback address that each calls from.
        node_asn: the AS number that they open with.
    """

    def __init__(self, nodes: Mapping[str, IPv4Address], *, node_asn: int) -> None:
        self.nodes = nodes
        self.address = IPv4Address("127.0.0.1")
        self.port = _free_port(self.address)
        self._sessions = PeerSet(
            on_event=lambda _event: None, listen_port=self.port, listen_addresses=(self.address,)
        )
        self._sessions.set_peers([self._peer(name, at, node_asn) for name, at in nodes.items()])
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._sessions.run(), name="router")
        self._sessions.start()
        self._sessions.release()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._sessions.stop(graceful_restart=False, reason="the demo ends")
        if self._task is not None:
            with suppress(asyncio.CancelledError):
                await self._task

    def table(self) -> dict[str, set[str]]:
        """Prefix to the names of the nodes that it was learned from."""
        table: dict[str, set[str]] = {}
        for name in self.nodes:
            for prefix, _path_id in self._sessions.received(name):
                table.setdefault(str(prefix), set()).add(name)
        return table

    def established(self) -> int:
        """How many nodes have a session."""
        statuses = self._sessions.sessions().values()
        return sum(status.state is SessionState.ESTABLISHED for status in statuses)

    def _peer(self, name: str, address: IPv4Address, node_asn: int) -> Peer:
        return Peer(
            name=name,
            address=address,
            asn=node_asn,
            local_asn=ROUTER_ASN,
            router_id=self.address,
            families=frozenset(Family),
            passive=True,
            graceful_restart=GracefulRestart(),
        )


def _free_port(address: IPv4Address) -> int:
    with socket.socket() as sock:
        sock.bind((str(address), 0))
        port: int = sock.getsockname()[1]
    return port

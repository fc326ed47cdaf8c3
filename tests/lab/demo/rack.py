"""A rack: BIRD or FRR on top, three nodes below, each in a network namespace of its own."""

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Self

from speaker.model.prefix import Family
from tests.lab.demo.objects import NODES, node, populate
from tests.lab.demo.stage import NODE_ASN, ROUTER_ASN, Table, make_api
from tests.lab.net import namespace
from tests.lab.net.topology import MANAGEMENT_ADDRESSES, Topology
from tests.lab.roles import SERVICE_ACCOUNT
from tests.lab.routers.config import tor_config
from tests.lab.routers.drivers import DRIVERS, missing
from tests.lab.speakers import Speaker

API_PORT = 6443


def missing_for_rack() -> list[str]:
    """Why there can be no real router here, as sentences; empty when there can."""
    found = namespace.available()
    why = [] if found is None else [found]
    routers = [missing(name) for name in ("bird", "frr")]
    if all(routers):
        why.append(f"no router is installed: {' or '.join(filter(None, routers))}")
    return why


class RackStage:
    """The stage with a real router."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._driver = DRIVERS["frr" if missing("bird") else "bird"]
        self._stack = AsyncExitStack()
        self.speakers: list[Speaker] = []

    @property
    def router(self) -> str:
        """What a person calls the router."""
        return f"{self._driver.name.upper()}, AS {ROUTER_ASN}, in a network namespace"

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            self._topology = stack.enter_context(Topology(nodes=len(NODES), clients=0, management=True))
            inside = self._topology.management.socket()
            inside.bind((MANAGEMENT_ADDRESSES[0], API_PORT))
            inside.listen()
            self.api = await stack.enter_async_context(
                make_api(self._folder, sockets=(inside,), names=MANAGEMENT_ADDRESSES[:1])
            )
            populate(self.api)
            self._router = self._driver(
                tor_config(asn=ROUTER_ASN, node_asn=NODE_ASN), self._topology["tor1"].namespace
            )
            await stack.enter_async_context(self._router)
            await self._start_speakers(stack)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _start_speakers(self, stack: AsyncExitStack) -> None:
        kubeconfig = self.api.kubeconfig(
            self._folder / "speaker.kubeconfig",
            service_account=SERVICE_ACCOUNT,
            server=self.api.url_at(MANAGEMENT_ADDRESSES[0], API_PORT),
        )
        for name in NODES:
            link = self._topology.link(name)
            ours, theirs = link.lower.addresses, link.upper.addresses
            self.api.create(node(name, tuple(map(str, ours))))
            flags = [
                f"--neighbor-address={theirs[0]}",
                f"--neighbor-ipv6-address={theirs[1]}",
                f"--neighbor-as={ROUTER_ASN}",
                f"--cluster-as={NODE_ASN}",
                "--graceful-restart",
            ]
            speaker = Speaker(
                name,
                kubeconfig=kubeconfig,
                folder=self._folder,
                flags=flags,
                addresses=ours,
                namespace=self._topology[name].namespace,
            )
            self.speakers.append(await stack.enter_async_context(speaker))

    async def table(self) -> Table:
        """What the router has learned, by the names of nodes."""
        names = {str(address): name for address, name in self._topology.names().items()}
        learned = await self._router.next_hops()
        return {prefix: {names.get(hop, hop) for hop in hops} for prefix, hops in learned.items()}

    async def established(self) -> int:
        """How many nodes the router has both sessions with."""
        names = self._topology.names()
        sessions = await self._router.sessions()
        up = [names.get(peer) for peer, info in sessions.items() if info.established]
        return sum(up.count(name) == len(Family) for name in NODES)

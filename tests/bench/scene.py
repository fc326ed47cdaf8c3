"""A speaker, its API server and its peers, put together for a row and ended with it."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from tests.bench.bench_speaker import BenchSpeaker, cpu_seconds
from tests.bench.place import Place, peer_addresses, place
from tests.lab.scale.process import Process
from tests.lab.scale.usage import Usage, usage

SYNC_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything there; the speaker is started by the row."""

    at: Place
    api: Process
    peers: Process
    speaker: BenchSpeaker

    def cpu_seconds(self) -> float:
        """CPU that the speaker has had."""
        return cpu_seconds(self.speaker.child.pid)

    def usage(self) -> Usage:
        """What the speaker uses."""
        return usage(self.speaker.child.pid)


@asynccontextmanager
async def scene(
    *flags: str,
    pods: int,
    nodes: int = 10,
    policy: str = "cluster",
    peers: int = 1,
    beats: bool = False,
) -> AsyncIterator[Scene]:
    """The parts of a row.

    Args:
        flags: of the speaker.
        pods: how many Pods there are.
        nodes: how many Nodes have them.
        policy: what each Pod's annotation says; "" for none.
        peers: how many routers there are.
        beats: as for `BenchSpeaker`.
    """
    async with AsyncExitStack() as stack:
        at = stack.enter_context(place(peers))
        addresses = [str(each) for each in peer_addresses(peers)]
        api = await stack.enter_async_context(
            Process.started(at.node, "tests.bench.standin", str(pods), str(nodes), policy)
        )
        sink = await stack.enter_async_context(Process.started(at.router, "tests.bench.sink", *addresses))
        named = (f"--neighbor-address={','.join(addresses)}",)
        speaker = BenchSpeaker(at, "--connect-retry=1s", *flags, peers=named, beats=beats)
        stack.push_async_exit(speaker)
        yield Scene(at, api, sink, speaker)

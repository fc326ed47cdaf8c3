"""Continuous traffic from every Pod to every other, over IPv4 and IPv6, and what of it was lost when.

Packets are numbered for each ordered pair of Pods and each family. Both ends are in this process: whether
a packet arrived is known for certain, however late it is looked at. What an event loop that was busy
elsewhere could not send in time is left out, and never counted as lost. Knows Pods; knows nothing of
routes.
"""

import asyncio
import contextlib
import socket
import struct
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Self

from speaker.model.prefix import Family
from tests.lab.losses import Loss, Pair, outages_of
from tests.lab.pods import Pod
from tests.lab.waiting import eventually

PORT = 20001

_PACKET = struct.Struct("!II")
_TICK_SECONDS = 0.01
# The kernel's queue of a CPU takes a thousand packets, and the answers to some of these as well.
_MOST_AT_ONCE = 200
# Cables deliver at once, unless the kernel finds no time for it.
_LATE_SECONDS = 1.0
_BUFFER_BYTES = 4 << 20
_SO_RCVBUFFORCE = 33


@dataclass(slots=True, eq=False)
class _Stream:
    """The packets of one pair; `under_way` has what has not arrived, by number, with its time."""

    pair: Pair
    sender: socket.socket
    destination: tuple[str, int]
    sent: int = 0
    received: int = 0
    under_way: dict[int, float] = field(default_factory=dict)


class AllPairs:
    """`rate` packets in a second for each pair and family: `async with AllPairs(pods.values()) as traffic`.

    The first packets may be lost while nodes look for their neighbours: await `flowing`, then `mark`,
    and measure from there. With ten Pods 20 packets in a second are 3600 in all.
    """

    def __init__(self, pods: Iterable[Pod], *, rate: int = 20, port: int = PORT) -> None:
        self._rate = rate
        self._port = port
        self._pods: dict[str, Pod] = {}
        self._sockets: dict[tuple[str, Family], socket.socket] = {}
        self._streams: dict[int, _Stream] = {}
        self._turns: list[int] = []
        self._made = 0
        self._latest = 0.0
        self._first = tuple(pods)
        self._sending: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        with contextlib.ExitStack() as undo:
            undo.callback(self._close)
            for pod in self._first:
                self.add(pod)
            self._sending = asyncio.create_task(self._send())
            undo.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._end_sending()
        self._close()

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """All that are counted."""
        return tuple(stream.pair for stream in self._streams.values())

    @property
    def latest_seconds(self) -> float:
        """How late the event loop has been at the most since the start or the last `mark`.

        Nothing was sent for as long: an outage of that moment is known no better.
        """
        return self._latest

    def add(self, pod: Pod) -> None:
        """Have a further Pod send to all others and they to it."""
        for family in Family:
            sock = pod.host.namespace.socket(
                socket.AF_INET6 if family is Family.IPV6 else socket.AF_INET, socket.SOCK_DGRAM
            )
            self._sockets[pod.name, family] = sock
            sock.setblocking(False)
            # Room for a loop that is busy elsewhere; without the right to it the usual room must do.
            with contextlib.suppress(PermissionError):
                sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
            sock.bind((str(pod.address(family)), self._port))
        for other in self._pods.values():
            for family in Family:
                self._begin(other, pod, family)
                self._begin(pod, other, family)
        self._pods[pod.name] = pod
        self._turns = list(self._streams)

    def remove(self, name: str) -> None:
        """Have nobody send to a Pod any more, nor it to anybody; what its pairs lost is forgotten."""
        self._read()
        del self._pods[name]
        self._streams = {
            number: stream
            for number, stream in self._streams.items()
            if name not in {stream.pair.source, stream.pair.destination}
        }
        self._turns = list(self._streams)
        for family in Family:
            self._sockets.pop((name, family)).close()

    async def stop(self) -> None:
        """Send no more, and wait until what is under way has either arrived or is lost."""
        await self._end_sending()
        if self._streams:
            await eventually(self._all_known, within=10 * _LATE_SECONDS, what="the end of what is under way")

    async def flowing(self, within: float = 30.0) -> None:
        """Return once every pair has received something since the start or the last `mark`."""

        def silent() -> list[Pair]:
            return [pair for pair, count in self.received().items() if not count]

        await eventually(
            silent,
            lambda pairs: not pairs,
            within=within,
            what="traffic between all Pods",
            show=_show_silent,
        )

    def received(self) -> dict[Pair, int]:
        """How many packets of each pair have arrived since the start or the last `mark`."""
        self._read()
        return {stream.pair: stream.received for stream in self._streams.values()}

    def lost(self) -> dict[Pair, Loss]:
        """What each pair has lost since the start or the last `mark`; pairs that lost nothing are left out.

        A packet is lost when it has not arrived within a second: await `stop` before the last look.
        """
        self._read()
        late = time.monotonic() - _LATE_SECONDS
        found = {}
        for stream in self._streams.values():
            outages = outages_of([each for each in stream.under_way.items() if each[1] < late])
            if outages:
                found[stream.pair] = Loss(outages)
        return found

    def mark(self) -> None:
        """Count anew from here: what has arrived or was lost before is forgotten."""
        self._read()
        self._latest = 0.0
        late = time.monotonic() - _LATE_SECONDS
        for stream in self._streams.values():
            stream.received = 0
            stream.under_way = {
                number: sent_at for number, sent_at in stream.under_way.items() if sent_at >= late
            }

    def _begin(self, source: Pod, destination: Pod, family: Family) -> None:
        self._made += 1
        self._streams[self._made] = _Stream(
            Pair(source.name, destination.name, family),
            self._sockets[source.name, family],
            (str(destination.address(family)), self._port),
        )

    async def _send(self) -> None:
        owed, turn, last = 0.0, 0, time.monotonic()
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            self._read()
            now = time.monotonic()
            # What a late turn could not make up for is left out for good.
            owed = min(owed + (now - last) * self._rate * len(self._turns), _MOST_AT_ONCE)
            self._latest = max(self._latest, now - last - _TICK_SECONDS)
            last = now
            for _ in range(int(owed)):
                turn = (turn + 1) % len(self._turns)
                self._send_one(self._turns[turn])
            owed -= int(owed)

    def _send_one(self, number: int) -> None:
        stream = self._streams[number]
        stream.sent += 1
        stream.under_way[stream.sent] = time.monotonic()
        # A Pod without a route has lost the packet too.
        with contextlib.suppress(OSError):
            stream.sender.sendto(_PACKET.pack(number, stream.sent), stream.destination)

    def _read(self) -> None:
        for sock in self._sockets.values():
            with contextlib.suppress(BlockingIOError):
                while True:
                    number, sequence = _PACKET.unpack(sock.recv(_PACKET.size))
                    stream = self._streams.get(number)
                    if stream is not None and stream.under_way.pop(sequence, None) is not None:
                        stream.received += 1

    def _all_known(self) -> bool:
        self._read()
        late = time.monotonic() - _LATE_SECONDS
        return all(sent_at < late for each in self._streams.values() for sent_at in each.under_way.values())

    async def _end_sending(self) -> None:
        if self._sending is not None:
            self._sending.cancel()
            await asyncio.wait((self._sending,))
            self._sending = None

    def _close(self) -> None:
        for sock in self._sockets.values():
            sock.close()
        self._sockets.clear()


def _show_silent(pairs: Sequence[Pair]) -> str:
    return "\n".join(f"  nothing arrived: {pair}" for pair in pairs)

"""What continuous traffic between Pods has lost, as values: which pair, how many packets, when.

Times are those of `time.monotonic`. Knows nothing of packets and sockets (`tests.lab.all_pairs`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from speaker.model.prefix import Family


class Pair(NamedTuple):
    """One direction between two Pods, by name."""

    source: str
    destination: str
    family: Family

    def __str__(self) -> str:
        return f"{self.source} -> {self.destination} ({self.family})"


@dataclass(frozen=True, slots=True)
class Outage:
    """Packets of a pair that were lost one after the other.

    Attributes:
        count: how many.
        first: when the first of them was sent, on the clock of `time.monotonic`.
        last: when the last of them was.
    """

    count: int
    first: float
    last: float

    @property
    def seconds(self) -> float:
        """From the first to the last: no more than it lasted, by as much as one packet follows another."""
        return self.last - self.first


@dataclass(frozen=True, slots=True)
class Loss:
    """What a pair has lost: at least one outage, in the order of time."""

    outages: tuple[Outage, ...]

    @property
    def count(self) -> int:
        """How many packets."""
        return sum(outage.count for outage in self.outages)

    @property
    def first(self) -> float:
        """When the first lost packet was sent."""
        return self.outages[0].first

    @property
    def last(self) -> float:
        """When the last one was."""
        return self.outages[-1].last

    @property
    def longest(self) -> Outage:
        """The outage that lasted longest."""
        return max(self.outages, key=lambda outage: outage.seconds)


def outages_of(lost: Sequence[tuple[int, float]]) -> tuple[Outage, ...]:
    """The outages in lost packets, each its number and when it was sent: one lasts until a packet arrived."""
    runs: list[list[tuple[int, float]]] = []
    for packet in lost:
        if runs and packet[0] == runs[-1][-1][0] + 1:
            runs[-1].append(packet)
        else:
            runs.append([packet])
    return tuple(Outage(len(run), run[0][1], run[-1][1]) for run in runs)


def show_losses(losses: Mapping[Pair, Loss]) -> str:
    """Losses for a person who asks why a test failed."""
    lines = []
    for pair, loss in losses.items():
        worst = loss.longest
        lines.append(
            f"  {pair}: {loss.count} lost; the longest outage: {worst.count} in {worst.seconds:.3f} s"
        )
    return "\n".join(lines) or "  (nothing lost)"

"""How long to wait: for an answer, and before the next attempt (exponential with full jitter)."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from speaker.clock import Clock, SystemClock

FIRST_SECONDS = 0.2
LONGEST_SECONDS = 30.0
LIVED_SECONDS = 10.0
"""A stream that lived this long was a success; only it resets the backoff.

A server that accepts each watch and closes it at once would otherwise be asked without a pause.
"""

LEAST_SECONDS = 0.05
"""Full jitter may draw nearly nothing; a floor keeps a failing server from a hot loop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long the API server may keep us waiting.

    Attributes:
        connect_seconds: for a connection, TLS included.
        answer_seconds: for a whole answer that is no stream.
        silence_seconds: between two bytes of a watch. It sends a bookmark a minute; silence for longer
            means a half-open connection.
        initial_seconds: between two bytes of what a WatchList holds at first. A server that takes it for
            a plain watch would keep us waiting for its end.
    """

    connect_seconds: float = 5.0
    answer_seconds: float = 60.0
    silence_seconds: float = 100.0
    initial_seconds: float = 20.0


@dataclass(frozen=True, slots=True)
class Pacing:
    """Time and chance, as values that tests replace.

    Attributes:
        clock: measures and dates.
        uniform: draws a float between two bounds.
        sleep: waits for so many seconds.
        patience: how long to wait for the API server.
    """

    clock: Clock = field(default_factory=SystemClock)
    uniform: Callable[[float, float], float] = random.uniform
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    patience: Patience = field(default_factory=Patience)


class Backoff:
    """Doubles a ceiling from `FIRST_SECONDS` to `LONGEST_SECONDS` and draws below it.

    Args:
        uniform: draws a float between two bounds.
    """

    def __init__(self, uniform: Callable[[float, float], float]) -> None:
        self._uniform = uniform
        self._ceiling = FIRST_SECONDS

    def next_seconds(self) -> float:
        """The next pause."""
        pause = self._uniform(0.0, self._ceiling)
        self._ceiling = min(2 * self._ceiling, LONGEST_SECONDS)
        return max(pause, LEAST_SECONDS)

    def lived(self, seconds: float) -> None:
        """Tell how long the last stream lived."""
        if seconds > LIVED_SECONDS:
            self._ceiling = FIRST_SECONDS

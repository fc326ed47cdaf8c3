"""The two clocks of the speaker, as a value that tests replace.

Knows how time is read; knows nothing of who asks. `monotonic` measures intervals, `time` dates
events for people: a step of the wall clock must never shorten a timer.
"""

import time
from typing import Protocol


class Clock(Protocol):
    """What reads the time."""

    def monotonic(self) -> float:
        """Seconds from a fixed, unknown start; never goes back."""
        ...

    def time(self) -> float:
        """Seconds since the epoch, UTC; may step."""
        ...


class SystemClock:
    """The clocks of this host."""

    def monotonic(self) -> float:
        """Seconds from a fixed, unknown start; never goes back."""
        return time.monotonic()

    def time(self) -> float:
        """Seconds since the epoch, UTC; may step."""
        return time.time()

"""How long to wait before the next attempt: exponential with full jitter."""

from collections.abc import Callable

FIRST_SECONDS = 0.2
LONGEST_SECONDS = 30.0
LIVED_SECONDS = 10.0
"""A stream that lived this long was a success; only it resets the backoff.

A server that accepts each watch and closes it at once would otherwise be asked without a pause.
"""


class Backoff:
    """Doubles a ceiling from `FIRST_SECONDS` to `LONGEST_SECONDS` and draws below it.

    Args:
        uniform: draws a float between two bounds (`random.uniform`).
    """

    def __init__(self, uniform: Callable[[float, float], float]) -> None:
        self._uniform = uniform
        self._ceiling = FIRST_SECONDS

    def next_seconds(self) -> float:
        """The next pause."""
        pause = self._uniform(0.0, self._ceiling)
        self._ceiling = min(2 * self._ceiling, LONGEST_SECONDS)
        # Full jitter may draw nearly nothing; a floor keeps a failing server from a hot loop.
        return max(pause, FIRST_SECONDS / 4)

    def lived(self, seconds: float) -> None:
        """Tell how long the last stream lived."""
        if seconds > LIVED_SECONDS:
            self._ceiling = FIRST_SECONDS

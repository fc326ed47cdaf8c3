"""An event loop whose clock the test moves: hours of silence in no time."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


class TravelLoop(asyncio.SelectorEventLoop):
    """Real time plus what `travel` has added."""

    def __init__(self) -> None:
        super().__init__()
        self._skipped = 0.0

    def time(self) -> float:
        return super().time() + self._skipped

    def travel(self, seconds: float) -> None:
        """Moves the clock; what became due runs at the next turn."""
        self._skipped += seconds


def travel(seconds: float) -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, TravelLoop)
    loop.travel(seconds)


def with_travel(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Runs a scenario on such a loop."""
    with asyncio.Runner(loop_factory=TravelLoop) as runner:
        runner.run(scenario())

"""`python -m tests.bench.beating FILE COMMAND...`: the speaker with a heartbeat in its event loop.

The beat notes how late it comes, and how much CPU this very process had between two beats: on a busy machine
the first is partly others' doing, the second is not. It writes both to FILE once a second.
"""

import asyncio
import json
import sys
import time
from pathlib import Path

from speaker.cli import main as speaker_main

BEAT_SECONDS = 0.005
_WRITE_SECONDS = 1.0


class Beat:
    """The heartbeat of one loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, file: Path) -> None:
        self._loop = loop
        self._file = file
        self._due = 0.0
        self._cpu = 0.0
        self._write_at = 0.0
        self._mark = ""
        self._worst = {"late_seconds": 0.0, "cpu_seconds": 0.0, "beats": 0.0}

    def begin(self) -> None:
        """Beat from the first turn of the loop on."""
        self._loop.call_soon(self._start)

    def _start(self) -> None:
        self._next()

    def _next(self) -> None:
        self._due = self._loop.time() + BEAT_SECONDS
        self._cpu = time.thread_time()
        self._loop.call_at(self._due, self._beat)

    def _beat(self) -> None:
        worst, now = self._worst, self._loop.time()
        worst["late_seconds"] = max(worst["late_seconds"], now - self._due)
        worst["cpu_seconds"] = max(worst["cpu_seconds"], time.thread_time() - self._cpu)
        worst["beats"] += 1
        if now >= self._write_at:
            self._exchange(now)
        self._next()

    def _exchange(self, now: float) -> None:
        """Tell what was; who measures removes the file when counting shall begin anew."""
        self._write_at = now + _WRITE_SECONDS
        if not self._file.exists():
            self._worst = dict.fromkeys(self._worst, 0.0)
        self._file.write_text(json.dumps(self._worst), encoding="utf-8")


class _Policy(asyncio.DefaultEventLoopPolicy):
    """Gives loops that beat."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self._file = file

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        loop = super().new_event_loop()
        Beat(loop, self._file).begin()
        return loop


def main() -> None:
    """Run the speaker with the rest of the arguments."""
    asyncio.set_event_loop_policy(_Policy(Path(sys.argv[1])))
    speaker_main(sys.argv[2:])


if __name__ == "__main__":
    main()

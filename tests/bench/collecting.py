"""`python -m tests.bench.collecting FILE SETTING COMMAND...`: the speaker, its garbage collector watched.

Knows the settings that are compared, and puts one in the place of the speaker's own. On SIGUSR1 it writes to
FILE what the collector has done since it was last asked, by the CPU time of the thread that it stops: what
others do on a busy machine is not in it.
"""

import gc
import json
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType

from speaker.cli import main as speaker_main
from speaker.daemon.collector import CollectorRelief

_NEVER = 1_000_000_000

_freeze = gc.freeze


@dataclass(slots=True)
class Passes:
    """What the collector did; lists are by generation, and times are CPU time."""

    number: list[int] = field(default_factory=lambda: [0, 0, 0])
    seconds: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    longest_seconds: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    found: int = 0


class Watch:
    """Watches the collector from now on, and tells FILE when it is signalled."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._passes = Passes()
        self._began = 0.0
        self._cpu = time.process_time()
        gc.callbacks.append(self._passed)
        signal.signal(signal.SIGUSR1, self._tell)

    def _passed(self, phase: str, info: Mapping[str, int]) -> None:
        if phase == "start":
            self._began = time.thread_time()
            return
        took, generation, passes = time.thread_time() - self._began, info["generation"], self._passes
        passes.number[generation] += 1
        passes.seconds[generation] += took
        passes.longest_seconds[generation] = max(passes.longest_seconds[generation], took)
        passes.found += info["collected"]

    def _tell(self, _number: int, _frame: FrameType | None) -> None:
        told, self._passes = self._passes, Passes()
        figures = asdict(told) | {"cpu_seconds": time.process_time() - self._cpu}
        fresh = self._file.with_suffix(".fresh")
        fresh.write_text(json.dumps(figures), encoding="utf-8")
        fresh.replace(self._file)
        self._cpu = time.process_time()


def _leave_alone() -> None:
    """CPython's defaults: nothing is ever spared."""
    _spare_no_more()


def _once() -> None:
    """What is there when the speaker is in sync is spared, and nothing that comes later."""
    _spare_no_more()
    _freeze()


def _rarely() -> None:
    """The same, with fewer passes over what is young, and none over what is old."""
    _once()
    gc.set_threshold(10_000, 10, _NEVER)


def _spare_no_more() -> None:
    CollectorRelief.count = lambda self, objects: None  # type: ignore[method-assign] # noqa: ARG005
    CollectorRelief.paused = lambda self: nullcontext()  # type: ignore[assignment,method-assign,return-value] # noqa: ARG005


SETTINGS: Mapping[str, Callable[[], None]] = {
    "spared": _freeze,
    "once": _once,
    "rare": _rarely,
    "default": _leave_alone,
    "off": gc.disable,
}
"""What takes the place of `gc.freeze` in the speaker; of "off", of `gc.enable` too."""


def main() -> None:
    """Run the speaker with the rest of the arguments."""
    file, setting = Path(sys.argv[1]), sys.argv[2]
    Watch(file)
    gc.freeze = SETTINGS[setting]
    if setting == "off":
        gc.disable()
        gc.enable = gc.disable
        gc.collect = lambda generation=2: 0  # noqa: ARG005 # as it is called
    speaker_main(sys.argv[3:])


if __name__ == "__main__":
    main()

"""What may go wrong on purpose.

Knows faults and which requests they fall on; `server` and `watches` ask it and do the harm. A path is
a regular expression, searched in a request's method, path and query: "GET /api/v1/pods?limit=500".
"""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from itertools import count


class Harm(Enum):
    """What is done to a request that is not answered at all."""

    RESET = auto()
    HANG = auto()


@dataclass(frozen=True)
class Planned:
    """What is given instead of the answer: a harm, a whole body, or a Status."""

    status: int = 200
    retry_after: str | None = None
    body: bytes | None = None
    harm: Harm | None = None


@dataclass
class _Plan:
    planned: Planned
    path: re.Pattern[str]
    times: int


class Tap:
    """One open watch, as a fault sees it.

    Attributes:
        path: path and query of its request.
        news: set when there is something to do.
        lines: bytes to write as they are.
        end: None to go on, "close" to end well, "reset" to break off.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.news = asyncio.Event()
        self.lines: list[bytes] = []
        self.end: str | None = None


@dataclass
class Faults:
    """Faults that are in force; all can change while the server runs.

    Attributes:
        watch_list: False answers WatchList requests with 422, as servers before 1.32 do.
        outage: True resets every connection.
        chunk_bytes: watches write at most so many bytes at once; 0 is off.
        chunk_delay_seconds: the pause between them.
        silent: True keeps watches open and sends nothing: a half-open connection.
        bookmark_seconds: how often a watch that asked for bookmarks gets one.
        longest_watch_seconds: how long a watch may last, whatever it asks for.
    """

    watch_list: bool = True
    outage: bool = False
    chunk_bytes: int = 0
    chunk_delay_seconds: float = 0.0
    silent: bool = False
    bookmark_seconds: float = 60.0
    longest_watch_seconds: float = 3600.0
    _plans: list[_Plan] = field(default_factory=list)
    _races: list[tuple[re.Pattern[str], Callable[[], object]]] = field(default_factory=list)
    _taps: dict[int, Tap] = field(default_factory=dict)
    _numbers: "count[int]" = field(default_factory=count)

    # -- requests --------------------------------------------------------------------------------------

    def answer_next(
        self,
        status: int,
        path: str = "",
        *,
        times: int = 1,
        retry_after: str | None = None,
        body: bytes | None = None,
    ) -> None:
        """Answer the next `times` requests that match with `status`, and `body` or a Status object."""
        self._plan(Planned(status, retry_after, body), path, times)

    def reset_next(self, path: str = "", *, times: int = 1) -> None:
        """Break the connection of the next `times` requests that match, before a byte of the answer."""
        self._plan(Planned(harm=Harm.RESET), path, times)

    def hang_next(self, path: str = "", *, times: int = 1) -> None:
        """Never answer the next `times` requests that match; their connections stay open."""
        self._plan(Planned(harm=Harm.HANG), path, times)

    def do_before_next(self, path: str, what: Callable[[], object]) -> None:
        """Do something just before the next request that matches is served: somebody was faster."""
        self._races.append((re.compile(path), what))

    def heal(self) -> None:
        """Plan nothing more."""
        self._plans.clear()
        self._races.clear()

    def _plan(self, planned: Planned, path: str, times: int) -> None:
        self._plans.append(_Plan(planned, re.compile(path), times))

    def planned(self, path: str) -> Planned | None:
        """What is planned for a request, used up by asking."""
        for race in [each for each in self._races if each[0].search(path)]:
            self._races.remove(race)
            race[1]()
        for plan in self._plans:
            if plan.times > 0 and plan.path.search(path):
                plan.times -= 1
                return plan.planned
        return None

    # -- open watches ----------------------------------------------------------------------------------

    def open(self, path: str) -> tuple[int, Tap]:
        """A watch is open from now on."""
        number, tap = next(self._numbers), Tap(path)
        self._taps[number] = tap
        return number, tap

    def closed(self, number: int) -> None:
        """It is no more."""
        del self._taps[number]

    def watches(self, path: str = "") -> int:
        """How many watches are open."""
        return sum(bool(re.search(path, tap.path)) for tap in self._taps.values())

    def write(self, data: bytes, path: str = "", *, end: str | None = None) -> None:
        """Write bytes into every open watch that matches, then go on, "close" or "reset" it."""
        for tap in self._taps.values():
            if re.search(path, tap.path):
                tap.lines.append(data)
                tap.end = end
                tap.news.set()

    def close_watches(self, path: str = "") -> None:
        """End open watches as a server does when their time is over."""
        self.write(b"", path, end="close")

    def reset_watches(self, path: str = "") -> None:
        """Break open watches off."""
        self.write(b"", path, end="reset")

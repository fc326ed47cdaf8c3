"""What may go wrong on purpose."""

import asyncio
import re
from dataclasses import dataclass, field


@dataclass
class _Answer:
    status: int
    path: re.Pattern[str]
    times: int
    retry_after: str | None


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
    """

    watch_list: bool = True
    outage: bool = False
    chunk_bytes: int = 0
    chunk_delay_seconds: float = 0.0
    silent: bool = False
    bookmark_seconds: float = 60.0
    answers: list[_Answer] = field(default_factory=list)
    reset: asyncio.Event = field(default_factory=asyncio.Event)

    def answer_next(
        self, status: int, path: str = "", *, times: int = 1, retry_after: str | None = None
    ) -> None:
        """Answer the next `times` requests whose path and query match with `status`."""
        self.answers.append(_Answer(status, re.compile(path), times, retry_after))

    def reset_watches(self) -> None:
        """Reset every open watch."""
        self.reset.set()
        self.reset = asyncio.Event()

    def planned(self, path: str) -> tuple[int, str | None] | None:
        """The status planned for a request, used up by asking."""
        for answer in self.answers:
            if answer.times > 0 and answer.path.search(path):
                answer.times -= 1
                return answer.status, answer.retry_after
        return None

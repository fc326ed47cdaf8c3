"""What was found in the turns of an event loop, and what of it is allowed, each with its reason.

Knows the lines that `tests.loop.watching` writes. An allowance names the place, so that the same call from
elsewhere is still a finding.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Finding:
    """One of them; `callers` are nearest first."""

    kind: str
    what: str
    callers: tuple[str, ...]
    turn: str

    @property
    def place(self) -> tuple[str, ...]:
        """The function, and the nearest callers."""
        return (self.what, *self.callers[:2])

    def __str__(self) -> str:
        place = "".join(f"\n    {each}" for each in self.callers)
        return f"{self.kind}: {self.what}, in {self.turn}{place}"


@dataclass(frozen=True, slots=True)
class Allowance:
    """What may be: a pattern of kind and what, and one that is found in a caller."""

    what: str
    caller: str
    reason: str

    def covers(self, finding: Finding) -> bool:
        """Whether it speaks of this one."""
        return re.search(self.what, f"{finding.kind} {finding.what}") is not None and any(
            re.search(self.caller, each) for each in finding.callers
        )


ALLOWED: Sequence[Allowance] = (
    Allowance(
        r"^(call open /proc/|call os\.listdir /proc/self/fd$|asleep )",
        r"^prometheus_client\.process_collector:",
        "the kernel makes these files up in memory; at the start, and when metrics are asked for",
    ),
    Allowance(
        r"^(call open /.*/password$|asleep )",
        r"^speaker\.cli\.run_command:\d+ read_password$",
        "4 KiB at most of a mounted Secret, which is in memory; when it has changed",
    ),
    Allowance(
        r"^(call open /.*\.yaml$|asleep )",
        r"^speaker\.cli\.documents:\d+ _content$",
        "the file of peers, mounted and read the same way",
    ),
    Allowance(
        r"^asleep stat$",
        r"^speaker\.daemon\.watched_files:",
        "whether such a file has changed, once a second",
    ),
    Allowance(
        r"^(call os\.(mkdir|remove) /|asleep )",
        r"^speaker\.control:\d+ (_listen|_make_room|_identity|ControlServer\.run)$",
        "the folder of the control socket and the socket itself, at the start and at the end",
    ),
    Allowance(
        r"^(call (import|open) |asleep )",
        r"^asyncio\.base_events:\d+ BaseEventLoop\.run_in_executor$",
        "asyncio imports its executor when it is first needed, a millisecond, and starts threads",
    ),
    Allowance(
        r"^asleep lock.acquire$",
        r"^asyncio\.base_events:\d+ BaseEventLoop\.shutdown_default_executor$",
        "the loop's very end: nothing else runs any more",
    ),
    Allowance(
        r"^(call (import|open) .*_strptime|asleep )",
        r"^speaker\.fabric\.report:\d+ _time$",
        "the standard library imports one small module at the first time of day that is read",
    ),
    Allowance(
        r"^asleep \S*(write|flush)$",
        r"^logging:\d+ StreamHandler\.(emit|flush)$",
        "a line of the log goes to whoever reads it, as everybody's does",
    ),
    Allowance(
        r"^asleep .* of AF_NETLINK$",
        r"^speaker\.kernel\.",
        "the kernel carries out a request before it answers, one at a time on the whole machine",
    ),
    Allowance(
        r"^asleep .*\bsetsockopt of ",
        r"^speaker\.",
        "the kernel may have to load what an option needs, once",
    ),
)


def read(file: Path) -> tuple[list[Finding], int]:
    """The findings in a file, and how many turns there were; 0 if the program did not end by itself."""
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    found = [Finding(**{**line, "callers": tuple(line["callers"])}) for line in lines]
    turns = sum(int(each.what) for each in found if each.kind == "turns")
    return [each for each in found if each.kind != "turns"], turns


def faults(found: Iterable[Finding]) -> list[Finding]:
    """Those that are not allowed. A long callback is none: how long it took is the machine's affair."""
    return [
        each
        for each in found
        if each.kind != "slow" and not any(allowance.covers(each) for allowance in ALLOWED)
    ]

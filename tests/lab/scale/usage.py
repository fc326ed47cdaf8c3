"""What a process has used: memory and CPU, from /proc.

Knows numbers of a process; must not know what it does.
"""

import os
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_UTIME = 11
_STIME = 12


@dataclass(frozen=True, slots=True)
class Usage:
    """One moment of a process.

    Attributes:
        cpu_seconds: since it began, in user and kernel mode.
        memory_bytes: resident.
        peak_bytes: the most that was ever resident.
    """

    cpu_seconds: float
    memory_bytes: int
    peak_bytes: int


def usage(pid: int | str = "self") -> Usage:
    """What a process has used so far.

    Raises:
        OSError: there is no such process.
    """
    folder = Path("/proc") / str(pid)
    fields = (folder / "stat").read_text().rpartition(")")[2].split()
    lines = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
    return Usage(
        cpu_seconds=(int(fields[_UTIME]) + int(fields[_STIME])) / _TICKS,
        memory_bytes=_kilobytes(lines["VmRSS"]),
        peak_bytes=_kilobytes(lines["VmHWM"]),
    )


def _kilobytes(text: str) -> int:
    return int(text.split(maxsplit=1)[0]) * 1024

"""Who is where, as /proc tells it."""

import contextlib
from pathlib import Path


def processes_by_namespace() -> dict[int, set[int]]:
    """The pids of this machine's processes by the inode of the network namespace they are in."""
    found: dict[int, set[int]] = {}
    for link in Path("/proc").glob("[0-9]*/ns/net"):
        # It may have ended since; a zombie is in no namespace.
        with contextlib.suppress(OSError):
            found.setdefault(link.stat().st_ino, set()).add(int(link.parts[2]))
    return found


def alive(pid: int) -> bool:
    """Whether the process runs: a zombie does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] not in {"Z", "X"}

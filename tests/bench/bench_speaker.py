"""The speaker of a row: the program itself, in the node's namespace, with the stand-in as its API server.

Knows its flags and how its figures are read; must not know what is measured.
"""

import sys
import time
from collections.abc import Sequence

from tests.bench.documents import NODE_NAME
from tests.bench.place import NODE, NODE_ASN, ROUTER, ROUTER_ASN, Place
from tests.bench.standin import PORT
from tests.lab.kubeapi.kubeconfig import write_kubeconfig
from tests.lab.processes import Child
from tests.lab.speakers import Speaker

BEATS = "beats.json"
"""The file with the heartbeat's figures, in the folder of the place."""

_CLOCK_SHIFT = 3
_CPUCLOCK_SCHED = 2
"""How the kernel names the CPU clock of a process (include/linux/posix-timers.h)."""

ONE_PEER = (f"--neighbor-address={ROUTER}",)


class BenchSpeaker(Speaker):
    """One speaker.

    Args:
        at: where.
        flags: beside those of every row.
        peers: flags that name the peers.
        beats: have its event loop beat, and write to `BEATS` how late (`tests.bench.beating`).
    """

    def __init__(self, at: Place, *flags: str, peers: Sequence[str] = ONE_PEER, beats: bool = False) -> None:
        kubeconfig = write_kubeconfig(at.folder / "kubeconfig", f"http://127.0.0.1:{PORT}", {"token": "none"})
        always = (f"--neighbor-as={ROUTER_ASN}", f"--cluster-as={NODE_ASN}", "--log-level=warning")
        super().__init__(
            NODE_NAME,
            kubeconfig=kubeconfig,
            folder=at.folder,
            flags=[*always, *peers, *flags],
            addresses=[NODE],
            namespace=at.node,
        )
        beating = ("tests.bench.beating", str(at.folder / BEATS))
        self._program: tuple[str, ...] = beating if beats else ("speaker",)

    def run_as(self, *program: str) -> None:
        """Start `python -m PROGRAM ...` next time, which starts the speaker itself."""
        self._program = program

    async def start(self) -> None:
        self._began = 0 if self._child is None else len(self._child.output())
        self._child = await Child.start(
            "speaker",
            [sys.executable, "-m", *self._program, "run", *self._own_flags(), *self.flags],
            namespace=self._namespace,
            log=self._folder / "speaker.log",
            env=self._environment(),
        )


def cpu_seconds(pid: int) -> float:
    """CPU that a process has had, of all its threads, also those that have ended.

    By its CPU clock (clock_getcpuclockid(3)), which every kernel has, to the nanosecond: /proc/PID/stat
    counts ticks of 10 ms, and /proc/PID/schedstat is all zeros where the kernel keeps no such statistics.

    Raises:
        OSError: there is no such process.
    """
    return time.clock_gettime(~pid << _CLOCK_SHIFT | _CPUCLOCK_SCHED)

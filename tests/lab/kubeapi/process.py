"""The embedded API server as a process of its own: it can be killed, and comes back as it was.

Port, objects, tokens and certificates stay the same; the history stays unless it is to be forgotten.
"""

import sys
from pathlib import Path
from typing import Self

from tests.lab.processes import Child
from tests.lab.waiting import eventually

ROOT = Path(__file__).parents[3]


class KubeApiProcess:
    """One server; it dies with this process.

    Args:
        folder: for its data, its log and the kubeconfig.
        tls: serve HTTPS.
    """

    def __init__(self, folder: Path, *, tls: bool = True) -> None:
        self.kubeconfig = folder / "kubeconfig"
        self.url = ""
        self._folder = folder
        self._tls = tls
        self._child: Child | None = None
        self._starts = 0

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.kill()

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self._child is not None
        return self._child.pid

    async def start(self, *, forget_history: bool = False) -> None:
        """Start it, or start it again where it was, and return once it serves."""
        self._starts += 1
        options = ["--data", str(self._folder / "data"), "--kubeconfig", str(self.kubeconfig)]
        options += ["--port", self.url.rpartition(":")[2] or "0"]
        options += ["--tls"] * self._tls + ["--forget-history"] * forget_history
        self._child = await Child.start(
            "kubeapi",
            [sys.executable, "-P", "-m", "tests.lab.kubeapi", *options],
            namespace=None,
            log=self._folder / f"kubeapi.{self._starts}.log",
            env={"PYTHONPATH": str(ROOT), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        )
        await eventually(self._probe, what="the embedded API server")

    def _probe(self) -> bool:
        assert self._child is not None
        said = self._child.output()
        assert self._child.running, f"the embedded API server ended:\n{said}"
        self.url = said.partition("\n")[0] if said.startswith("http") and "\n" in said else self.url
        return said.startswith("http")

    async def kill(self) -> None:
        """End it without a farewell."""
        if self._child is not None and self._child.running:
            await self._child.kill()

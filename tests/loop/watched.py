"""The programs of a test with somebody who watches their event loops."""

import os
import sys
from ipaddress import ip_address
from pathlib import Path
from typing import Self

from tests.advertise.advertiser import Advertiser
from tests.lab.processes import Child
from tests.lab.speakers import Speaker
from tests.loop import findings

_ROOT = Path(__file__).parents[2]


class WatchedSpeaker(Speaker):
    """A speaker whose turns are watched; made `like` one that a cluster has made, and not started."""

    @classmethod
    def like(cls, speaker: Speaker) -> Self:
        """The same speaker, watched."""
        return cls(
            speaker.node,
            kubeconfig=speaker._kubeconfig,
            folder=speaker._folder,
            flags=speaker.flags,
            addresses=[ip_address(each) for each in speaker._addresses],
            namespace=speaker._namespace,
        )

    async def start(self) -> None:
        self._child = await Child.start(
            f"watched-{self.node}",
            [*watched(self._findings), "speaker", "run", *self._own_flags(), *self.flags],
            namespace=self._namespace,
            log=self._folder / f"{self.node}.log",
            env={**self._environment(), "PYTHONPATH": str(_ROOT)},
        )

    @property
    def _findings(self) -> Path:
        return self._folder / f"{self.node}.findings"

    async def verdict(self) -> list[findings.Finding]:
        """End it; returns what is not allowed. Raises AssertionError as `judged` does."""
        return judged(await self.stop(), self._findings, self.log())


class WatchedAdvertiser(Advertiser):
    """`speaker advertise` whose turns are watched."""

    async def start(self) -> None:
        arguments = [f"--config={self.file}", f"--control-socket={self.control_socket}", *self.flags]
        self._child = await Child.start(
            "watched-advertise",
            [*watched(self._findings), "speaker", "advertise", *arguments],
            namespace=self._namespace,
            log=self._folder / "advertise.log",
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(_ROOT)},
        )

    @property
    def _findings(self) -> Path:
        return self._folder / "advertise.findings"

    async def verdict(self) -> list[findings.Finding]:
        """End it; returns what is not allowed. Raises AssertionError as `judged` does."""
        return judged(await self.stop(), self._findings, self.output())


def watched(file: Path) -> list[str]:
    """The beginning of a command line: a Python that watches the module which follows."""
    return [sys.executable, "-m", "tests.loop.watching", str(file)]


def judged(status: int, file: Path, output: str) -> list[findings.Finding]:
    """What a program that has ended was found to do, and is not allowed.

    Raises:
        AssertionError: it did not end by itself with status 0, or nothing was watched.
    """
    assert status == 0, output
    found, turns = findings.read(file)
    assert turns > 0
    for each in found:
        if each.kind == "slow":
            print(each.what)
    return findings.faults(found)

"""The file of peers while the speaker runs: read again when it, or a password file that it names, changes.

Knows when to read and what to tell of a file with mistakes. Must not know YAML, nor what follows from peers.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable

from speaker.daemon.watched_files import WatchedFiles
from speaker.errors import UsageError
from speaker.settings.peer_file import PeerFile

LOOK_SECONDS = 1.0
"""The pause between two looks at the files."""

RETRY_LOOKS = 10
"""A file that was found wrong is read again after so many looks: what it names may have come."""

_log = logging.getLogger(__name__)

Load = Callable[[], PeerFile]
"""Reads the file of peers and the password files that it names; raises UsageError with every problem."""


class PeerFileWatch:
    """The file of peers.

    Args:
        path: of the file.
        peers: what it said when it was first read.
        load: reads it again.
        on_change: takes over what it says now, when that is something else.
    """

    def __init__(self, path: str, peers: PeerFile, load: Load, on_change: Callable[[PeerFile], None]) -> None:
        self.problems: tuple[str, ...] = ()
        self._path = path
        self._peers = peers
        self._load = load
        self._on_change = on_change
        self._files = WatchedFiles(self._paths())
        self._asked = asyncio.Event()

    def read_soon(self) -> None:
        """Read it again without waiting for a change (SIGHUP)."""
        self._asked.set()

    async def run(self) -> None:
        """Watch until cancelled."""
        self._read()  # it may have changed since it was first read
        looks = 0
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._asked.wait()
            asked = self._asked.is_set()
            self._asked.clear()
            looks += 1
            retry = bool(self.problems) and looks % RETRY_LOOKS == 0
            if self._files.have_changed() or asked or retry:
                self._read()

    def _paths(self) -> list[str]:
        return [self._path, *sorted(set(self._peers.password_files.values()))]

    def _read(self) -> None:
        """Take over what the files say now; when something is wrong, all stays as it is."""
        try:
            peers = self._load()
        except UsageError as error:
            problems = tuple(str(error).splitlines())
            for problem in problems:
                if problem not in self.problems:
                    _log.error("file of peers is not taken over", extra={"reason": problem})
            self.problems = problems
            return
        self.problems = ()
        before, self._peers = self._peers, peers
        self._files.watch(self._paths())
        if peers != before:
            _log.info("file of peers is taken over", extra=_differences(before, peers))
            self._on_change(peers)


def _differences(before: PeerFile, after: PeerFile) -> dict[str, object]:
    """Which peers, and ranges of peers, were added, changed and removed, by name."""
    old, new = (
        {peer.name: peer for peer in peers.peers} | {each.template.name: each for each in peers.ranges}
        for peers in (before, after)
    )
    return {
        "added": [name for name in new if name not in old],
        "changed": [name for name, peer in new.items() if name in old and old[name] != peer],
        "removed": [name for name in old if name not in new],
    }

"""Files that may change while the speaker runs: whether they have, by looking at them.

Knows files as the kernel describes them, so that the symbolic links that Kubernetes swaps under a mounted
ConfigMap or Secret are followed. Must not know what is in them.
"""

from collections.abc import Iterable
from pathlib import Path

_Version = tuple[int, int, int, int] | None


class WatchedFiles:
    """Some files, as they were when they were last read.

    Args:
        paths: the files; one that is not there is watched for too.
    """

    def __init__(self, paths: Iterable[str]) -> None:
        self._paths = tuple(paths)
        self._read = self._seen = self._versions()

    def watch(self, paths: Iterable[str]) -> None:
        """Watch these files instead, which have just been read."""
        wanted = tuple(paths)
        if wanted != self._paths:
            self._paths = wanted
            self._read = self._seen = self._versions()

    def have_changed(self) -> bool:
        """Whether they differ from what was last read, and have come to rest; true once for each change.

        A file that is being written changes from one look to the next: half of it must not be read.
        """
        now = self._versions()
        at_rest, self._seen = now == self._seen, now
        if not at_rest or now == self._read:
            return False
        self._read = now
        return True

    def _versions(self) -> tuple[_Version, ...]:
        return tuple(_version(path) for path in self._paths)


def _version(path: str) -> _Version:
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size

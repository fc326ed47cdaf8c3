"""Objects and their history, in SQLite; one counter is the resourceVersion of everything.

The table `objects` is the present, `log` the past from `floor` on. Writers are one: the event loop.
"""

import asyncio
import contextlib
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.lab.kubeapi.errors import ApiError

Key = tuple[str, str]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
  grp TEXT, plural TEXT, namespace TEXT, name TEXT, rv INTEGER, body TEXT,
  PRIMARY KEY (grp, plural, namespace, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS log (rv INTEGER PRIMARY KEY, grp TEXT, plural TEXT, old TEXT, new TEXT);
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value INTEGER) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One change: what was before and what is now; None is not there."""

    rv: int
    key: Key
    old: dict[str, Any] | None
    new: dict[str, Any] | None


class Store:
    """All objects of one API server.

    Args:
        path: the database's file, or ":memory:".
        history: how many changes are kept for watches.
    """

    def __init__(self, path: str | Path = ":memory:", history: int = 20_000) -> None:
        self._db = sqlite3.connect(str(path), isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=OFF")
        self._db.executescript(_SCHEMA)
        self._history = history
        self.rv = self._number("rv", 1)
        self.floor = self._number("floor", 0)
        self._objects: dict[Key, dict[tuple[str, str], dict[str, Any]]] = {}
        for group, plural, namespace, name, body in self._db.execute(
            "SELECT grp, plural, namespace, name, body FROM objects"
        ):
            self._objects.setdefault((group, plural), {})[namespace, name] = json.loads(body)
        self._log: list[Entry] = [
            Entry(rv, (group, plural), old and json.loads(old), new and json.loads(new))
            for rv, group, plural, old, new in self._db.execute("SELECT * FROM log ORDER BY rv")
        ]
        self._changed = asyncio.Event()

    def _number(self, key: str, default: int) -> int:
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return int(row[0]) if row else default

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def get(self, key: Key, namespace: str, name: str) -> dict[str, Any] | None:
        """One object."""
        return self._objects.get(key, {}).get((namespace, name))

    def all(self, key: Key, namespace: str = "") -> list[dict[str, Any]]:
        """All objects of a resource, of one namespace or of all, in the order of their names."""
        present = self._objects.get(key, {})
        return [present[at] for at in sorted(present) if not namespace or at[0] == namespace]

    def put(self, key: Key, item: dict[str, Any]) -> dict[str, Any]:
        """Store an object under a fresh resourceVersion, which is written into it."""
        at = _place(item)
        old = self._objects.get(key, {}).get(at)
        rv = self._next()
        item["metadata"]["resourceVersion"] = str(rv)
        body = json.dumps(item)
        with self._transaction():
            self._db.execute("INSERT OR REPLACE INTO objects VALUES (?,?,?,?,?,?)", (*key, *at, rv, body))
            self._record(Entry(rv, key, old, item), json.dumps(old) if old else None, body)
        self._objects.setdefault(key, {})[at] = item
        self._announce()
        return item

    def delete(self, key: Key, item: dict[str, Any]) -> dict[str, Any]:
        """Remove an object; returns its last state with the resourceVersion of the removal."""
        at = _place(item)
        rv = self._next()
        with self._transaction():
            self._db.execute(
                "DELETE FROM objects WHERE grp=? AND plural=? AND namespace=? AND name=?", (*key, *at)
            )
            last = {**item, "metadata": {**item["metadata"], "resourceVersion": str(rv)}}
            self._record(Entry(rv, key, last, None), json.dumps(last), None)
        del self._objects[key][at]
        self._announce()
        return last

    def since(self, rv: int) -> list[Entry]:
        """The changes after `rv`; raises ApiError 410 when they are no longer known."""
        if rv < self.floor:
            raise ApiError(410, f"too old resource version: {rv} ({self.floor})")
        first = len(self._log)
        while first and self._log[first - 1].rv > rv:
            first -= 1
        return self._log[first:]

    def compact(self) -> None:
        """Forget the history: watches from any earlier resourceVersion get 410."""
        self._log.clear()
        self.floor = self.rv
        with self._transaction():
            self._db.execute("DELETE FROM log")
            self._db.execute("INSERT OR REPLACE INTO meta VALUES ('floor', ?)", (self.floor,))

    async def wait_changed(self, seconds: float) -> None:
        """Return at the next change, or after so long."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), seconds)

    def _next(self) -> int:
        self.rv += 1
        return self.rv

    def _record(self, entry: Entry, old: str | None, new: str | None) -> None:
        self._db.execute("INSERT INTO log VALUES (?,?,?,?,?)", (entry.rv, *entry.key, old, new))
        self._db.execute("INSERT OR REPLACE INTO meta VALUES ('rv', ?)", (self.rv,))
        self._log.append(entry)
        if len(self._log) > self._history:
            forgotten = len(self._log) - self._history // 2
            self.floor = self._log[forgotten - 1].rv
            del self._log[:forgotten]
            self._db.execute("DELETE FROM log WHERE rv <= ?", (self.floor,))
            self._db.execute("INSERT OR REPLACE INTO meta VALUES ('floor', ?)", (self.floor,))

    def _announce(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")


def _place(item: dict[str, Any]) -> tuple[str, str]:
    return item["metadata"].get("namespace", ""), item["metadata"]["name"]

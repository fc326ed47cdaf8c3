"""`python -m tests.loop.watching FILE PROGRAM ...`: a program with somebody who watches its event loop.

Knows what a turn of the loop is, and what in one is a blocking call. None of the evidence depends on time, so
that a slow machine changes nothing:

- `asleep`: the kernel put the loop's thread to sleep inside a function (getrusage(2), voluntary context
  switches): it waited for something, however short;
- `call`: Python's audit events of what may wait: a lookup of a name, a child process, a file, an import;
- `socket`: input or output on a socket that is not in non-blocking mode;
- `said`: what asyncio's debug mode and Python's warnings report; `slow` is its line about a long callback.

Each finding is a line of JSON in FILE; the last line says how many turns there were. Must not know what is
allowed: `tests.loop.findings` does.
"""

import asyncio
import atexit
import json
import linecache
import logging
import os
import queue
import resource
import runpy
import socket
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

FRAMES = 16
"""How many callers a finding names."""

_MAY_WAIT = (
    "import",
    "open",
    "os.",
    "socket.get",
    "subprocess.",
    "time.sleep",
    "fcntl.flock",
    "fcntl.lockf",
    "glob.",
    "shutil.",
    "tempfile.",
    "urllib.",
    "http.",
    "sqlite3.",
    "pty.",
)
"""How the audit events begin that are told; the others are about the interpreter, or `socket` covers them."""

_NEVER_WAIT = frozenset({"socket.gethostname", "os.putenv", "os.unsetenv"})

_SOCKET_CALLS = (
    "accept",
    "connect",
    "connect_ex",
    "recv",
    "recv_into",
    "recvfrom",
    "recvfrom_into",
    "recvmsg",
    "recvmsg_into",
    "send",
    "sendall",
    "sendmsg",
    "sendto",
)

_SLOW = "Executing "
"""How asyncio's line about a long callback begins: how long is a matter of the machine."""


class Watcher:
    """Watches the loops of the thread that makes it; there is one in a process.

    Args:
        file: gets the findings.
    """

    def __init__(self, file: Path) -> None:
        self._out = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._thread = threading.get_ident()
        self._turn: asyncio.Handle | None = None
        self._telling = False
        self._before = (0, 0, 0)
        self._turns = 0

    def watch(self) -> None:
        """Begin; there is no end."""
        # Debug mode notes where each callback came from, and would look into the source for it.
        linecache.checkcache = lambda *_: None
        linecache.getlines = lambda *_: []
        queue.SimpleQueue = _WorkQueue  # type: ignore[misc]
        self._watch_turns()
        for name in _SOCKET_CALLS:
            self._watch_socket(name)
        logging.getLogger("asyncio").addHandler(_Listener(self))
        warnings.showwarning = self._warned
        for kind in (RuntimeWarning, ResourceWarning):
            warnings.simplefilter("always", kind)
        sys.unraisablehook = lambda lost: self.tell("said", f"cannot be raised: {lost.exc_value!r}")
        sys.addaudithook(self._audit)
        atexit.register(lambda: self.tell("turns", str(self._turns)))

    def tell(self, kind: str, what: str, callers: list[str] | None = None) -> None:
        """Write a finding of the current turn."""
        self._telling = True
        try:
            finding = {"kind": kind, "what": what, "callers": callers or [], "turn": repr(self._turn)[:300]}
            os.write(self._out, (json.dumps(finding) + "\n").encode())
        finally:
            self._telling = False

    def _watch_turns(self) -> None:
        plain = asyncio.Handle._run

        def run(handle: asyncio.Handle) -> None:
            if threading.get_ident() != self._thread:
                plain(handle)
                return
            self._turn, self._before = handle, _state()
            self._turns += 1
            sys.setprofile(self._profile)
            try:
                plain(handle)
            finally:
                sys.setprofile(None)
                self._turn = None

        asyncio.Handle._run = run  # type: ignore[method-assign,assignment]

    def _profile(self, frame: FrameType, event: str, function: Any) -> None:
        """Compare around each function in C: what slept elsewhere waited for a page, or for the GIL."""
        now = _state()
        if now != self._before:
            slept = now[0] != self._before[0]
            # It may have waited for a page to be read from a disk: a machine's first hour, no blocking call.
            # A worker thread that ran meanwhile may have held the GIL, and that is none either.
            alone = now[1:] == self._before[1:] and _WorkQueue.others_wait()
            if slept and alone and event in {"c_return", "c_exception"}:
                self.tell("asleep", _name(function), _callers(frame))
            now = _state()
        self._before = now

    def _watch_socket(self, name: str) -> None:
        plain: Callable[..., Any] = getattr(socket.socket, name)

        def watched(sock: socket.socket, *arguments: Any) -> Any:
            if self._in_turn() and sock.gettimeout() != 0:
                self.tell("socket", _name(plain, sock), _callers(sys._getframe(1)))
            return plain(sock, *arguments)

        setattr(socket.socket, name, watched)

    def _audit(self, event: str, arguments: tuple[object, ...]) -> None:
        if event.startswith(_MAY_WAIT) and event not in _NEVER_WAIT and self._in_turn():
            # No repr of what may be large, or a secret: names and paths come first.
            what = " ".join(str(each)[:200] for each in arguments[:1])
            self.tell("call", f"{event} {what}", _callers(sys._getframe(1)))

    def _in_turn(self) -> bool:
        return self._turn is not None and not self._telling and threading.get_ident() == self._thread

    def _warned(self, message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
        if issubclass(category, RuntimeWarning | ResourceWarning):
            self.tell("said", f"{category.__name__}: {message}")


class _Listener(logging.Handler):
    """Hears asyncio's logger."""

    def __init__(self, watcher: Watcher) -> None:
        super().__init__(logging.WARNING)
        self._watcher = watcher

    def emit(self, record: logging.LogRecord) -> None:
        words = record.getMessage()
        self._watcher.tell("slow" if words.startswith(_SLOW) else "said", words)


class _WorkQueue(queue.SimpleQueue[Any]):
    """The queue of an executor, which knows whether its threads wait for work.

    Attributes:
        waiting: threads in `get`, of all queues.
        turns: how often one went in or came out.
    """

    waiting = 0
    turns = 0

    @classmethod
    def others_wait(cls) -> bool:
        """Whether every other thread waits for work."""
        return threading.active_count() - 1 == cls.waiting

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        kind = _WorkQueue
        kind.turns += 1
        kind.waiting += 1
        try:
            return super().get(block, timeout)
        finally:
            kind.waiting -= 1
            kind.turns += 1


def _state() -> tuple[int, int, int]:
    """How often this thread has slept and read a page, and how often others have begun or ended work."""
    used = resource.getrusage(resource.RUSAGE_THREAD)
    return used.ru_nvcsw, used.ru_majflt, _WorkQueue.turns


def _name(function: Any, sock: socket.socket | None = None) -> str:
    """The name of a function, and of what kind the socket is that it is a method of."""
    owner = getattr(function, "__self__", None) if sock is None else sock
    of = f" of {owner.family.name}" if isinstance(owner, socket.socket) else ""
    return getattr(function, "__qualname__", repr(function)) + of


def _callers(frame: FrameType | None) -> list[str]:
    """Who called, nearest first: module, line and function."""
    callers: list[str] = []
    while frame is not None and len(callers) < FRAMES:
        module = frame.f_globals.get("__name__", "?")
        if frame.f_code.co_filename != __file__:
            callers.append(f"{module}:{frame.f_lineno} {frame.f_code.co_qualname}")
        frame = frame.f_back
    return callers


def main() -> None:
    """Run a module as a program, watched and in debug mode."""
    file, program = Path(sys.argv[1]), sys.argv[2]
    os.environ["PYTHONASYNCIODEBUG"] = "1"
    Watcher(file).watch()
    sys.argv[:] = sys.argv[2:]
    runpy.run_module(program, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()

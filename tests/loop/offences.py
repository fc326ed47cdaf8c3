"""`python -m tests.loop.watching FILE tests.loop.offences`: one blocking call of each kind, a turn each.

What `tests.loop.watching` must find; the name of a function here is the name of its offence.
"""

import asyncio
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

SHORT_SECONDS = 0.001


def sleeps() -> None:
    time.sleep(SHORT_SECONDS)


def resolves_a_name() -> None:
    socket.getaddrinfo("localhost", 80)


def runs_a_program() -> None:
    subprocess.run([sys.executable, "-S", "-c", ""], check=True)


def reads_a_file() -> None:
    Path(__file__).read_text(encoding="utf-8")


def imports_a_module() -> None:
    import this  # noqa: F401, PLC0415 # nothing else does


def reads_a_blocking_socket() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.send(b"x")
        ours.recv(1)


def waits_for_a_descriptor() -> None:
    """No audit event tells of it, and no socket: only the sleep betrays it."""
    select.select([], [], [], SHORT_SECONDS)


def forgets_a_coroutine() -> None:
    asyncio.sleep(0)  # type: ignore[unused-coroutine]


def calls_from_another_thread() -> None:
    loop = asyncio.get_running_loop()
    caught: list[RuntimeError] = []

    def call() -> None:
        try:
            loop.call_soon(print)
        except RuntimeError as error:
            caught.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    raise caught[0]


def does_nothing_wrong() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        ours.send(b"x")


OFFENCES: tuple[Callable[[], None], ...] = (
    sleeps,
    resolves_a_name,
    runs_a_program,
    reads_a_file,
    imports_a_module,
    reads_a_blocking_socket,
    waits_for_a_descriptor,
    forgets_a_coroutine,
    calls_from_another_thread,
    does_nothing_wrong,
)


async def main() -> None:
    """Commit them, each in a turn of its own."""
    for offence in OFFENCES:
        asyncio.get_running_loop().call_soon(offence)
        await asyncio.sleep(0)
    await asyncio.to_thread(time.sleep, SHORT_SECONDS)


if __name__ == "__main__":
    asyncio.run(main())

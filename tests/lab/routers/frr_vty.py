"""A conversation with a daemon of FRR over its vty socket: a command, a zero byte, and the answer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

_READ_SECONDS = 10.0
_END_LENGTH = 4


class Vty:
    """One conversation, as long as its socket is open."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def ask(self, text: str) -> str:
        """The answer to one command: on the wire it ends with three zero bytes and a status.

        Raises:
            RuntimeError: FRR refused the command.
        """
        self._writer.write(text.encode() + b"\0")
        received = b""
        while not (len(received) >= _END_LENGTH and received[-_END_LENGTH:-1] == b"\0\0\0"):
            block = await self._reader.read(1 << 16)
            if not block:
                raise ConnectionError("the daemon closed its vty socket")
            received += block
        reply = received[:-_END_LENGTH].decode(errors="replace")
        if received[-1] != 0:
            raise RuntimeError(f"FRR refused {text!r}: {reply.strip()}")
        return reply


@asynccontextmanager
async def conversation(socket: Path) -> AsyncIterator[Vty]:
    """A conversation in enabled mode."""
    async with asyncio.timeout(_READ_SECONDS):
        reader, writer = await asyncio.open_unix_connection(str(socket))
        try:
            vty = Vty(reader, writer)
            await vty.ask("enable")
            yield vty
        finally:
            writer.close()
            await writer.wait_closed()

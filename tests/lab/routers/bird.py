"""BIRD 2: the lab's default router, for it starts in milliseconds, needs no user, and routes packets."""

import asyncio
import re
from pathlib import Path as FilePath
from typing import ClassVar

from speaker.model.prefix import Address, Family, Prefix
from tests.lab.routers import bird_config, bird_text
from tests.lab.routers.config import RouterConfig
from tests.lab.routers.router import Router
from tests.lab.routers.table import BfdInfo, Path, SessionInfo, ordered

_TABLES = {Family.IPV4: "master4", Family.IPV6: "master6"}
_END_OF_REPLY = re.compile(rb"(?:^|\n)(?:0|8|9)\d{3} [^\n]*\n$")
_READ_SECONDS = 10.0


class Bird(Router):
    """A BIRD in a namespace, asked through its control socket."""

    name: ClassVar[str] = "bird"
    package: ClassVar[str] = "bird2"
    programs: ClassVar[tuple[str, ...]] = ("bird",)
    installs_routes: ClassVar[bool] = True

    async def start(self, *, recovering: bool = False) -> None:
        """Write bird.conf, start bird and wait for its control socket."""
        file = self._write()
        control = self.folder / "bird.ctl"
        control.unlink(missing_ok=True)
        pid = self.folder / "bird.pid"
        again = ("-R",) if recovering else ()
        await self._spawn("bird", "bird", "-f", *again, "-c", str(file), "-s", str(control), "-P", str(pid))
        # It answers once its protocols have begun, and so listens; with no peer reachable it does not.
        await self._wait_ready(self._answers)

    async def routes(self, family: Family | None = None) -> dict[Prefix, tuple[Path, ...]]:
        """What BGP brought or the configuration originates; the kernel's own routes are left out."""
        sessions = await self._sessions_by_name()
        found: dict[Prefix, list[Path]] = {}
        for each in self.config.families if family is None else (family,):
            for source in ("RTS_BGP", "RTS_STATIC"):
                reply = await self.command(f"show route table {_TABLES[each]} all where source = {source}")
                for prefix, path in bird_text.parse_routes(reply, sessions):
                    found.setdefault(prefix, []).append(path)
        return {prefix: ordered(paths) for prefix, paths in found.items()}

    async def sessions(self) -> dict[Address, SessionInfo]:
        """The sessions of configured peers, and of those that called from a range."""
        return {info.peer: info for info in (await self._sessions_by_name()).values()}

    async def bfd_sessions(self) -> dict[Address, BfdInfo]:
        """The answer to `show bfd sessions`."""
        return bird_text.parse_bfd(await self.command("show bfd sessions"))

    async def command(self, text: str) -> str:
        """BIRD's whole reply to a command of birdc(8), with its codes.

        Raises:
            RuntimeError: BIRD refused the command.
        """
        async with asyncio.timeout(_READ_SECONDS):
            reader, writer = await asyncio.open_unix_connection(str(self.folder / "bird.ctl"))
            try:
                await _reply(reader)
                writer.write(f"{text}\n".encode())
                reply = await _reply(reader)
            finally:
                writer.close()
                await writer.wait_closed()
        # A trailing line with a code of 8xxx or 9xxx is an error of execution or of syntax.
        if reply.splitlines()[-1][:1] in {"8", "9"}:
            raise RuntimeError(f"{self} refused {text!r}: {reply.strip()}")
        return reply

    async def ask_again(self, peer: Address, family: Family | None = None) -> None:
        """Send ROUTE-REFRESH, for all families whichever is asked for."""
        del family
        await self.command(f"reload in {await self._name_of(peer)}")

    async def send_again(self, peer: Address) -> None:
        """Pass all routes through the export filter again."""
        await self.command(f"reload out {await self._name_of(peer)}")

    async def disable(self, peer: Address, reason: str) -> None:
        """Disable the protocol."""
        await self.command(f'disable {await self._name_of(peer)} "{reason}"')

    async def enable(self, peer: Address) -> None:
        """Enable the protocol."""
        await self.command(f"enable {await self._name_of(peer)}")

    async def reset(self, peer: Address) -> None:
        """Restart the protocol."""
        await self.command(f"restart {await self._name_of(peer)}")

    async def configure(self) -> None:
        """Have it read bird.conf again, after a test changed it."""
        await self.command("configure")

    async def _apply(self, before: RouterConfig) -> None:
        del before
        self._write()
        await self.configure()

    def _write(self) -> FilePath:
        file = self.folder / "bird.conf"
        file.write_text(bird_config.render(self.config), encoding="utf-8")
        return file

    async def _answers(self) -> bool:
        # The socket is there before the configuration is read, and an answer only after.
        try:
            return bool(await self.command("show status"))
        except OSError:
            return False

    async def _name_of(self, peer: Address) -> str:
        return next(name for name, info in (await self._sessions_by_name()).items() if info.peer == peer)

    async def _sessions_by_name(self) -> dict[str, SessionInfo]:
        return bird_text.parse_sessions(await self.command("show protocols all"))


async def _reply(reader: asyncio.StreamReader) -> str:
    received = b""
    while not _END_OF_REPLY.search(received[-400:]):
        block = await reader.read(1 << 16)
        if not block:
            raise ConnectionError("bird closed its control socket")
        received += block
    return received.decode(errors="replace")

"""Routers whose configuration is a text as it stands, in place of one made from a `RouterConfig`.

What they are asked afterwards goes by a `RouterConfig` all the same: its AS number, families and port.
"""

import asyncio
from pathlib import Path

from tests.lab.net.namespace import Namespace
from tests.lab.routers.bird import Bird
from tests.lab.routers.config import RouterConfig
from tests.lab.routers.frr import Frr

_SECONDS = 30.0


class WrittenBird(Bird):
    """A BIRD with this bird.conf.

    Args:
        text: the whole of it.
        config: what is known of it.
        namespace: where it runs.
        beside: other files in its folder, by name, which it may include.
    """

    def __init__(
        self, text: str, config: RouterConfig, namespace: Namespace, beside: dict[str, str] | None = None
    ) -> None:
        super().__init__(config, namespace)
        self.text = text
        self._beside = beside or {}

    async def rewrite(self, text: str) -> None:
        """Give the running daemon another text."""
        self.text = text
        self._write()
        await self.configure()

    def _write(self) -> Path:
        for name, content in self._beside.items():
            (self.folder / name).write_text(content, encoding="utf-8")
        file = self.folder / "bird.conf"
        file.write_text(self.text, encoding="utf-8")
        return file


class WrittenFrr(Frr):
    """An FRR that vtysh(1) has read this text into, as the packages do it with frr.conf.

    Args:
        text: for all of its daemons.
        config: what is known of it.
        namespace: where it runs.
    """

    def __init__(self, text: str, config: RouterConfig, namespace: Namespace) -> None:
        super().__init__(config, namespace)
        self.text = text

    async def start(self, *, recovering: bool = False) -> None:
        """Start zebra, bfdd and bgpd without a word, and read the text into them.

        Raises:
            RuntimeError: a line was refused.
        """
        del recovering
        await self._daemon("zebra", "")
        await self._wait_socket("zserv.api")
        await self._daemon("bfdd", "", "--bfdctl", f"{self.folder}/bfdd.sock")
        await self._daemon("bgpd", "")
        await self.rewrite(self.text)

    async def rewrite(self, text: str) -> None:
        """Read another text into the running daemons; what it does not say stays as it is."""
        self.text = text
        file = self.folder / "written.conf"
        file.write_text(text, encoding="utf-8")
        (self.folder / "vtysh.conf").touch()
        process = await asyncio.create_subprocess_exec(
            *("vtysh", "--vty_socket", str(self.folder), "--config_dir", str(self.folder), "-f", str(file)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            async with asyncio.timeout(_SECONDS):
                output, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode or output.strip():
            raise RuntimeError(f"{self} refused lines of its configuration:\n{output.decode()}")

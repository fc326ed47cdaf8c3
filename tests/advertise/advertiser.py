"""`speaker advertise` as it runs on a host: the program itself, in a node's namespace."""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import yaml

from speaker.control import ask
from speaker.errors import SpeakerError
from tests.lab.net.namespace import Namespace
from tests.lab.processes import Child
from tests.lab.waiting import eventually

HEALTH_PORT = 10668


class Advertiser:
    """The program with its file of peers: `async with Advertiser(folder, namespace, document) as advertiser`.

    Args:
        folder: for its files; a short path.
        namespace: of the node.
        document: what the file of peers holds; a text is taken as it is.
        flags: further arguments.
    """

    def __init__(
        self, folder: Path, namespace: Namespace, document: object, flags: Sequence[str] = ()
    ) -> None:
        self.file = folder / "peers.yaml"
        self.control_socket = folder / "control.sock"
        self.flags = list(flags)
        self._folder = folder
        self._namespace = namespace
        self._child: Child | None = None
        self._began = 0
        self.write(document)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._child is not None:
            await self._child.kill()

    def write(self, document: object) -> None:
        """Put another file of peers in the place of the present one, as a ConfigMap's is swapped."""
        fresh = self._folder / "peers.fresh"
        fresh.write_text(document if isinstance(document, str) else yaml.safe_dump(document))
        fresh.replace(self.file)

    @property
    def child(self) -> Child:
        """Its process."""
        assert self._child is not None
        return self._child

    async def start(self) -> None:
        """Start it, again if it has ended."""
        self._began = 0 if self._child is None else len(self._child.output())
        arguments = [f"--config={self.file}", f"--control-socket={self.control_socket}", *self.flags]
        self._child = await Child.start(
            "advertise",
            [sys.executable, "-m", "speaker", "advertise", *arguments],
            namespace=self._namespace,
            log=self._folder / "advertise.log",
            env={key: value for key, value in os.environ.items() if key in {"PATH", "HOME", "LANG"}},
        )

    async def stop(self) -> int:
        """End it as the kubelet does; returns its exit status."""
        return await self.child.stop(grace=15.0)

    def signal(self, number: signal.Signals) -> None:
        """Signal it."""
        self.child.send_signal(number)

    def output(self) -> str:
        """What it wrote to both streams since it was last started."""
        return self.child.output()[self._began :]

    async def ask(self, command: str, **request: object) -> Any:
        """What it answers over the control socket."""
        return await asyncio.to_thread(ask, self.control_socket, {"command": command, **request})

    async def session(self, peer: str) -> Any:
        """The session with a peer as `speaker status` has it; None when there is none, or no answer."""
        try:
            status = await self.ask("status")
        except SpeakerError:
            return None
        return next((each for each in status["sessions"] if each["peer"] == peer), None)

    async def established(self, peer: str, within: float = 20.0) -> Any:
        """The session with a peer, once it is established."""

        async def probe() -> Any:
            session = await self.session(peer)
            return session if session is not None and session["state"] == "Established" else None

        return await eventually(
            probe, within=within, what=f"a session with {peer}", show=lambda _: self.output()
        )

    async def wait_line(self, *words: str, within: float = 20.0, times: int = 1) -> None:
        """Return once so many lines of its output have all these words."""

        def count() -> int:
            return sum(all(word in line for word in words) for line in self.output().splitlines())

        await eventually(
            count,
            lambda found: found >= times,
            within=within,
            what=f"a line with {words}",
            show=lambda _: self.output(),
        )

    async def get(self, path: str) -> tuple[int, str]:
        """The status and the body that its health server answers with."""
        with self._namespace.socket() as sock:
            sock.setblocking(False)
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", HEALTH_PORT))
            reader, writer = await asyncio.open_connection(sock=sock)
            writer.write(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
            head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
            writer.close()
        return int(head.split()[1]), body

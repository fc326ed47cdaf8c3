"""Speakers as they run in a cluster: the program itself, a process for each node.

Knows how one is started in its node's namespace, asked (control socket, HTTP), stopped and killed.
Knows nothing of what it should say.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from speaker.control import ask
from speaker.errors import SpeakerError
from speaker.model.prefix import Address
from tests.lab.net.namespace import Namespace
from tests.lab.processes import Child
from tests.lab.waiting import eventually

HEALTH_PORT = 10667

NAMESPACE = "kube-system"
"""Where the speaker's role is, its Lease and its Secrets."""


class Speaker:
    """The speaker of one node: `async with Speaker("node1", ...) as speaker`.

    Args:
        node: the Node's name.
        kubeconfig: how it reaches the API server.
        folder: where its log and its control socket are; a short path.
        flags: further arguments of `speaker run`.
        addresses: the node's own, as the DaemonSet gives them in POD_IPS.
        namespace: of the node; None is that of this process, where the health server gets a free port.
    """

    def __init__(
        self,
        node: str,
        *,
        kubeconfig: Path,
        folder: Path,
        flags: Sequence[str],
        addresses: Sequence[Address],
        namespace: Namespace | None = None,
    ) -> None:
        self.node = node
        self.flags = list(flags)
        self._kubeconfig = kubeconfig
        self._folder = folder
        self._addresses = [str(address) for address in addresses]
        self._namespace = namespace
        self._child: Child | None = None
        self._began = 0

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.kill()

    def __repr__(self) -> str:
        return f"<Speaker of {self.node}>"

    @property
    def control_socket(self) -> Path:
        """Where `speaker status` finds it."""
        return self._folder / f"{self.node}.sock"

    @property
    def child(self) -> Child:
        """Its process.

        Raises:
            RuntimeError: it was never started.
        """
        if self._child is None:
            raise RuntimeError(f"{self} was not started")
        return self._child

    async def start(self) -> None:
        """Start it, again if it has ended."""
        self._began = 0 if self._child is None else len(self._child.output())
        self._child = await Child.start(
            f"speaker-{self.node}",
            [sys.executable, "-m", "speaker", "run", *self._own_flags(), *self.flags],
            namespace=self._namespace,
            log=self._folder / f"{self.node}.log",
            env=self._environment(),
        )

    async def stop(self) -> int:
        """End it as the kubelet does, with SIGTERM; returns its exit status."""
        return await self.child.stop(grace=15.0)

    async def kill(self) -> None:
        """End it at once, if it was started."""
        if self._child is not None:
            await self._child.kill()

    def send_signal(self, number: signal.Signals) -> None:
        """Signal it."""
        self.child.send_signal(number)

    def log(self) -> str:
        """What it wrote since it was last started."""
        return self.child.output()[self._began :]

    async def ask(self, command: str, **request: object) -> Any:
        """What it answers over the control socket: `status`, `routes`, `explain`."""
        return await asyncio.to_thread(ask, self.control_socket, {"command": command, **request})

    async def get(self, path: str) -> tuple[int, str]:
        """The status and the body that its health server answers with."""
        if self._namespace is None:
            raise RuntimeError("the port of the health server is not known outside a namespace")
        with self._namespace.socket() as sock:
            sock.setblocking(False)
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", HEALTH_PORT))
            reader, writer = await asyncio.open_connection(sock=sock)
            writer.write(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
            head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
            writer.close()
        return int(head.split()[1]), body

    async def wait_in_sync(self, within: float = 60.0) -> None:
        """Return once it has listed everything; a speaker that ended fails at once, with its log."""

        async def state() -> bool | None:
            if not self.child.running:
                return None
            try:
                status = await self.ask("status")
            except SpeakerError:
                return False
            return bool(status["in_sync"])

        seen = await eventually(
            state,
            lambda each: each is not False,
            within=within,
            what=f"{self}: in sync",
            show=lambda _: self.log(),
        )
        if seen is None:
            raise RuntimeError(f"{self} ended with status {self.child.returncode}:\n{self.log()}")

    async def wait_log(self, *words: str, within: float = 10.0) -> str:
        """The first line of the log with all these words, once there is one."""

        def line() -> str | None:
            lines = self.log().splitlines()
            return next((each for each in lines if all(word in each for word in words)), None)

        found = await eventually(
            line, within=within, what=f"{self}: a line with {words}", show=lambda _: self.log()
        )
        return str(found)

    def _own_flags(self) -> list[str]:
        port = 0 if self._namespace is None else HEALTH_PORT
        return [
            f"--node-name={self.node}",
            f"--kubeconfig={self._kubeconfig}",
            f"--control-socket={self.control_socket}",
            "--metrics-address=127.0.0.1",
            f"--metrics-port={port}",
        ]

    def _environment(self) -> Mapping[str, str]:
        kept = {key: value for key, value in os.environ.items() if key in {"PATH", "HOME", "LANG"}}
        return kept | {
            "POD_IPS": ",".join(self._addresses),
            "POD_NAMESPACE": NAMESPACE,
            "PYTHONUNBUFFERED": "1",
        }

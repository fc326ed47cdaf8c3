"""The API server of a cluster in the lab, as its nodes reach it: the embedded one, or a real one.

Both listen where every node looks for them, in the management namespace. Objects that were created
go with the embedded one; of a real one they are deleted at the end.
"""

import asyncio
import shutil
import socket
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Protocol, Self
from urllib.parse import urlsplit

import yaml

from tests.lab.kubeapi.backend import Backend
from tests.lab.kubeapi.server import KubeApi
from tests.lab.kubectl import Kubectl
from tests.lab.net.topology import MANAGEMENT_ADDRESSES
from tests.lab.relay import Relay
from tests.lab.roles import SERVICE_ACCOUNT

API_PORT = 6443

Manifest = dict[str, Any]


class ControlPlane(Protocol):
    """An API server that runs while it is entered."""

    @property
    def kubeconfig(self) -> Path:
        """An administrator's, for this process and for kubectl."""

    async def create(self, *documents: Manifest) -> None:
        """Create objects, their status included, as a controller would have left them."""

    async def speaker_kubeconfig(self, path: Path) -> None:
        """Write the kubeconfig of the speakers on the nodes, with the rights of their ServiceAccount."""

    async def __aenter__(self) -> Self:
        """Begin to serve."""

    async def __aexit__(self, *_: object) -> None:
        """End, and leave nothing."""


def make_api(
    folder: Path, *, sockets: tuple[socket.socket, ...] = (), names: tuple[str, ...] = ()
) -> KubeApi:
    """An embedded API server, with TLS where there is an openssl to make certificates."""
    if shutil.which("openssl") is None:
        return KubeApi(sockets=sockets, anonymous_admin=True)
    return KubeApi(folder, tls=True, sockets=sockets, names=names)


class EmbeddedControlPlane:
    """The embedded API server, on loopback and at `listening`.

    Args:
        folder: for what it keeps.
        listening: a socket in the management namespace.
    """

    def __init__(self, folder: Path, listening: socket.socket) -> None:
        self.api = make_api(folder, sockets=(listening,), names=MANAGEMENT_ADDRESSES[:1])
        self.kubeconfig = folder / "kubeconfig"

    async def __aenter__(self) -> Self:
        await self.api.__aenter__()
        self.api.kubeconfig(self.kubeconfig)
        return self

    async def __aexit__(self, *reason: object) -> None:
        await self.api.__aexit__(*reason)

    async def create(self, *documents: Manifest) -> None:
        """Create objects with their status."""
        self.api.create(*documents)

    async def speaker_kubeconfig(self, path: Path) -> None:
        """Write the kubeconfig of the speakers."""
        server = self.api.url_at(MANAGEMENT_ADDRESSES[0], API_PORT)
        self.api.kubeconfig(path, service_account=SERVICE_ACCOUNT, server=server)


class RealControlPlane:
    """A real API server, carried to `listening` by a relay.

    Args:
        backend: the running API server.
        listening: a socket in the management namespace.
    """

    def __init__(self, backend: Backend, listening: socket.socket) -> None:
        self.kubeconfig = Path(backend.kubeconfig)
        self._backend = backend
        self._listening = listening
        self._kubectl = Kubectl(self.kubeconfig)
        self._created: list[Manifest] = []
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        server = urlsplit(self._server())
        relay = Relay(self._listening, str(server.hostname), server.port or 443)
        await self._stack.enter_async_context(relay)
        return self

    async def __aexit__(self, *_: object) -> None:
        for document in reversed(self._created):
            await self._kubectl.run(
                ("delete", "--ignore-not-found", "--force", "--grace-period=0", "--wait=false", "-f", "-"),
                yaml.safe_dump(document),
            )
        await self._stack.aclose()

    async def create(self, *documents: Manifest) -> None:
        """Create objects with their status."""
        for document in documents:
            self._created.append(document)
            await self._backend.create(document)

    async def speaker_kubeconfig(self, path: Path) -> None:
        """Write the kubeconfig of the speakers, with a token that the API server issues."""
        namespace, _, name = SERVICE_ACCOUNT.partition("/")
        token = await self._kubectl.run(("create", "token", name, "--namespace", namespace))
        cluster = {
            "server": f"https://{MANAGEMENT_ADDRESSES[0]}:{API_PORT}",
            # Its certificate does not name the relay; the way there never leaves this machine.
            "insecure-skip-tls-verify": True,
        }
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "lab", "cluster": cluster}],
            "users": [{"name": "speaker", "user": {"token": token}}],
            "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "speaker"}}],
            "current-context": "lab",
        }
        path.touch(mode=0o600)
        await asyncio.to_thread(path.write_text, yaml.safe_dump(document))

    def _server(self) -> str:
        """The URL that the kubeconfig's current context leads to."""
        config = yaml.safe_load(self.kubeconfig.read_text())
        context = _named(config["contexts"], config["current-context"])["context"]
        return str(_named(config["clusters"], context["cluster"])["cluster"]["server"])


def _named(entries: list[Manifest], name: str) -> Manifest:
    return next(each for each in entries if each["name"] == name)

"""Which API server the tests talk to: the embedded one, a real one of our own, or a cluster that exists.

    USE_EXISTING_CLUSTER=true    the current kubeconfig's cluster; nothing is started
    KUBEBUILDER_ASSETS=folder    etcd and kube-apiserver from there, as envtest does it
    neither                      the embedded API server, in this process

One value for all: a kubeconfig, a description to print, and the means to write objects. Faults can be
injected into the embedded one only; tests that do so carry the marker `emulator_only`.
"""

import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from speaker.cluster import ClusterConfig
from speaker.cluster.backoff import Pacing
from speaker.cluster.transport import Transport
from tests.lab.kubeapi.control_plane import control_plane, find_programs
from tests.lab.kubeapi.faults import Faults
from tests.lab.kubeapi.resources import Object
from tests.lab.kubeapi.server import KubeApi
from tests.lab.waiting import eventually


class Choice(Enum):
    """The three of them."""

    EMBEDDED = "embedded"
    OWN = "own"
    EXISTING = "existing"


class RefusedError(AssertionError):
    """The API server did not take an object; the text is its answer."""


def chosen(environment: Mapping[str, str] | None = None) -> Choice:
    """What the environment asks for."""
    environment = os.environ if environment is None else environment
    if environment.get("USE_EXISTING_CLUSTER", "").lower() in {"true", "1"}:
        return Choice.EXISTING
    return Choice.OWN if environment.get("KUBEBUILDER_ASSETS") else Choice.EMBEDDED


def describe(environment: Mapping[str, str] | None = None) -> str:
    """The choice, for pytest's header."""
    environment = os.environ if environment is None else environment
    match chosen(environment):
        case Choice.EXISTING:
            return f"the cluster of {current_kubeconfig(environment)} (USE_EXISTING_CLUSTER)"
        case Choice.OWN:
            return f"kube-apiserver and etcd from {environment['KUBEBUILDER_ASSETS']} (KUBEBUILDER_ASSETS)"
        case Choice.EMBEDDED:
            return (
                "the embedded API server (KUBEBUILDER_ASSETS or USE_EXISTING_CLUSTER=true choose a real one)"
            )


def current_kubeconfig(environment: Mapping[str, str]) -> str:
    """As kubectl finds it."""
    return environment.get("KUBECONFIG") or str(Path(environment.get("HOME", "/root")) / ".kube" / "config")


@dataclass(frozen=True)
class Backend:
    """One API server.

    Attributes:
        kubeconfig: an administrator's; may be several paths, as kubectl takes them.
        description: what it is, for people.
        faults: what may go wrong on purpose; None for a real one.
        embedded: the embedded one itself; None for a real one.
    """

    kubeconfig: str
    description: str
    faults: Faults | None = None
    embedded: KubeApi | None = None

    async def create(self, *documents: Object) -> None:
        """Create objects, their status included, as a controller would have left them.

        Raises:
            RefusedError: the API server did not take one of them.
        """
        async with self._transport() as transport:
            for document in documents:
                await _create(transport, document)

    @asynccontextmanager
    async def _transport(self) -> AsyncIterator[Transport]:
        transport = await Transport.connect(ClusterConfig(kubeconfig=self.kubeconfig), Pacing())
        try:
            yield transport
        finally:
            await transport.close()


@asynccontextmanager
async def backend(folder: Path, environment: Mapping[str, str] | None = None) -> AsyncIterator[Backend]:
    """The chosen API server, running.

    Args:
        folder: for what it keeps; empty.
        environment: where the choice stands; that of this process when None.

    Raises:
        NoControlPlaneError: KUBEBUILDER_ASSETS does not hold the programs.
    """
    environment = os.environ if environment is None else environment
    description = describe(environment)
    match chosen(environment):
        case Choice.EXISTING:
            yield Backend(current_kubeconfig(environment), description)
        case Choice.OWN:
            async with control_plane(find_programs(environment), folder) as kubeconfig:
                yield Backend(str(kubeconfig), description)
        case Choice.EMBEDDED:
            async with KubeApi(folder, tls=True) as api:
                kubeconfig = api.kubeconfig(folder / "kubeconfig")
                yield Backend(str(kubeconfig), description, api.faults, api)


async def _create(transport: Transport, document: Object) -> None:
    version = document["apiVersion"]
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    resource = await _resource(transport, root, document["kind"])
    metadata = document["metadata"]
    place = f"namespaces/{metadata.get('namespace', 'default')}/" if resource["namespaced"] else ""
    created = await _send(transport, "POST", f"{root}/{place}{resource['name']}", document)
    if "status" in document and document["kind"] != "CustomResourceDefinition":
        path = f"{root}/{place}{resource['name']}/{metadata['name']}/status"
        await _send(transport, "PUT", path, created | {"status": document["status"]})


async def _resource(transport: Transport, root: str, kind: str) -> Any:
    """What discovery says of a kind; waits for one whose CRD has just been created."""

    async def find() -> Any:
        answer = await transport.request("GET", root)
        listed = json.loads(answer.body).get("resources", ()) if answer.status == 200 else ()
        return next((each for each in listed if each["kind"] == kind and "/" not in each["name"]), None)

    return await eventually(find, what=f"the kind {kind}")


async def _send(transport: Transport, method: str, path: str, document: Object) -> Any:
    answer = await transport.request(method, path, body=document)
    if answer.status not in (200, 201):
        raise RefusedError(f"{method} {path}: {answer.status} {answer.body.decode(errors='replace')}")
    return json.loads(answer.body)

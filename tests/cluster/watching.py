"""A cluster that is watched, what it has told, and a time that tests can look at.

The clock moves only when somebody sleeps or a test says so; a sleep takes a thousandth of what was
asked. Changes are folded into a view, and an illegal one (gone without having been) fails at once.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from speaker.cluster import Cluster, ClusterConfig, SourceHealth, views_from_manifest
from speaker.cluster.backoff import Pacing, Patience
from speaker.cluster.presence import Presence
from speaker.cluster.reflector import Reflector
from speaker.cluster.sources import Source, source
from speaker.cluster.translate import Translator
from speaker.cluster.transport import Transport
from speaker.model.fabric import GROUP
from speaker.model.objects import Change, Kind, Meta, ObjectRef, SecretView, View
from tests.lab.kubeapi import KubeApi
from tests.lab.kubeapi.resources import Object
from tests.lab.waiting import eventually

PREFIX = "ovn.kubernetes.io"
FASTER = 1000
NOTHING = SecretView(meta=Meta(ref=ObjectRef(Kind.SECRET, "", ""), annotations={}))
STORED = {
    Kind.POD: ("", "pods"),
    Kind.SERVICE: ("", "services"),
    Kind.NAMESPACE: ("", "namespaces"),
    Kind.NODE: ("", "nodes"),
    Kind.ENDPOINT_SLICE: ("discovery.k8s.io", "endpointslices"),
    Kind.SUBNET: ("kubeovn.io", "subnets"),
    Kind.IP: ("kubeovn.io", "ips"),
    Kind.IPAM_BLOCK: ("crd.projectcalico.org", "ipamblocks"),
    Kind.SECRET: ("", "secrets"),
    Kind.BGP_CONFIGURATION: (GROUP, "bgpconfigurations"),
    Kind.BGP_PEER: (GROUP, "bgppeers"),
    Kind.BGP_FILTER: (GROUP, "bgpfilters"),
    Kind.BGP_NODE_STATUS: (GROUP, "bgpnodestatuses"),
}

Views = dict[ObjectRef, View]


class FastTime:
    """A clock, a die and a sleep.

    Attributes:
        slept: every pause that was asked for, in seconds.
        drawn: the bounds of every draw.
    """

    def __init__(self, seed: int = 1) -> None:
        self.now = 1000.0
        self.slept: list[float] = []
        self.drawn: list[tuple[float, float]] = []
        self._die = random.Random(seed)

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return 1_700_000_000.0 + self.now

    def uniform(self, low: float, high: float) -> float:
        self.drawn.append((low, high))
        return self._die.uniform(low, high)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(seconds / FASTER)

    def pacing(self, patience: Patience | None = None) -> Pacing:
        return Pacing(self, self.uniform, self.sleep, patience or Patience())


class HeldTime(FastTime):
    """A time that passes only when a test lets it."""

    def __init__(self, seed: int = 1) -> None:
        super().__init__(seed)
        self._sleepers: list[tuple[float, asyncio.Event]] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        wake = asyncio.Event()
        sleeper = self.now + seconds, wake
        self._sleepers.append(sleeper)
        try:
            await wake.wait()
        finally:
            # Somebody who is woken by another matter sleeps no more either.
            self._sleepers = [each for each in self._sleepers if each is not sleeper]

    @property
    def sleeping(self) -> int:
        """How many sleep now."""
        return len(self._sleepers)

    def advance(self, seconds: float) -> None:
        """Let so much time pass, and wake whoever is due."""
        self.now += seconds
        for due, wake in self._sleepers:
            if due <= self.now:
                wake.set()
        self._sleepers = [each for each in self._sleepers if each[0] > self.now]


@dataclass
class Seen:
    """What has been told.

    Attributes:
        views: the objects as the changes leave them.
        gone: every object that was ever told to be gone.
        health: the latest of each source.
        told: every health, in order.
    """

    views: Views = field(default_factory=dict)
    gone: set[ObjectRef] = field(default_factory=set)
    batches: int = 0
    health: dict[str, SourceHealth] = field(default_factory=dict)
    told: list[SourceHealth] = field(default_factory=list)

    def take(self, changes: Sequence[Change]) -> None:
        assert changes, "an empty batch tells nothing"
        self.batches += 1
        for change in changes:
            if change.view is not None:
                self.views[change.ref] = change.view
                continue
            if change.ref.kind is Kind.SECRET:
                # One that is wanted and not there is told so, though it never was.
                self.views.setdefault(change.ref, NOTHING)
            assert change.ref in self.views, f"{change.ref} is told to be gone, and was never there"
            del self.views[change.ref]
            self.gone.add(change.ref)

    def hear(self, health: SourceHealth) -> None:
        assert self.health.get(health.name) != health, "a health that has not changed"
        self.health[health.name] = health
        self.told.append(health)

    def errors(self, name: str = "") -> list[str]:
        """Every error that was told, of one source or of all."""
        return [each.error for each in self.told if each.error and name in ("", each.name)]

    @property
    def failing(self) -> dict[str, str]:
        """The sources that fail now."""
        return {name: each.error for name, each in self.health.items() if each.error}


def expected(api: KubeApi, *kinds: Kind) -> Views:
    """The views of what the server stores now."""
    served = {each.storage_key: each for each in api.api.resources()}
    views: Views = {}
    for kind in kinds or Kind:
        key = STORED[kind]
        for item in api.store.all(key) if key in served else ():
            changes, problems = views_from_manifest(api.api.shown(served[key], item), PREFIX)
            assert not problems, problems
            views |= {change.ref: change.view for change in changes if change.view is not None}
    return views


async def converged(api: KubeApi, seen: Seen, *kinds: Kind, within: float = 10.0) -> None:
    """Return when what was told is what the server stores."""

    def probe() -> tuple[Views, Views]:
        mine = {ref: view for ref, view in seen.views.items() if not kinds or ref.kind in kinds}
        return mine, expected(api, *kinds)

    await eventually(probe, lambda both: both[0] == both[1], within=within, what="the server's state")


class Watched(Seen):
    """A whole cluster that is watched."""

    def __init__(self, time: FastTime) -> None:
        super().__init__()
        self.time = time
        self.cluster: Cluster

    async def synced(self) -> None:
        async with asyncio.timeout(10):
            await self.cluster.wait_in_sync()


@asynccontextmanager
async def watching(
    config: ClusterConfig,
    *,
    patience: Patience | None = None,
    time: FastTime | None = None,
    on_leader: Callable[[bool], None] = lambda _: None,
) -> AsyncIterator[Watched]:
    """Watch everything for a while."""
    watched = Watched(time or FastTime())
    watched.cluster = Cluster(
        config,
        on_changes=watched.take,
        on_health=watched.hear,
        on_leader=on_leader,
        pacing=watched.time.pacing(patience),
    )
    async with running(watched.cluster.run()):
        yield watched


@asynccontextmanager
async def reflecting(
    config: ClusterConfig,
    of: Kind | Source = Kind.POD,
    *,
    patience: Patience | None = None,
    time: FastTime | None = None,
) -> AsyncIterator[Watched]:
    """Watch one source for a while; `cluster` is not there."""
    watched = Watched(time or FastTime())
    pacing = watched.time.pacing(patience)
    transport = await Transport.connect(config, pacing)
    reflector = Reflector(
        source(of) if isinstance(of, Kind) else of,
        transport,
        Translator(PREFIX, lambda _: None),
        deliver=watched.take,
        on_health=watched.hear,
        presence=Presence(transport, pacing),
        pacing=pacing,
    )
    try:
        async with running(reflector.run()):
            yield watched
    finally:
        await transport.close()


@asynccontextmanager
async def running(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run beside the body; an error of the work is raised at its end."""
    task = asyncio.create_task(work)
    try:
        yield
        assert not task.done() or task.exception() is not None, "it ended by itself"
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


# -- waiting and counting ------------------------------------------------------------------------------

PODS = "/api/v1/pods"


async def first_sync(api: KubeApi, seen: Watched) -> int:
    """Wait until all Pods are known and watched; returns how many requests that took."""
    await converged(api, seen, Kind.POD)
    await eventually(lambda: api.faults.watches(PODS), what="a watch")
    return len(api.requests)


def lists(api: KubeApi) -> int:
    """How often Pods were read whole."""
    return sum(
        PODS in each and ("watch=true" not in each or "sendInitialEvents" in each) for each in api.requests
    )


async def nothing_happens(seconds: float) -> None:
    """Let real time pass where there is no condition to wait for, for nothing is to happen."""
    await asyncio.sleep(seconds)


# -- objects -------------------------------------------------------------------------------------------


def pod(name: str, ip: str = "10.0.0.1", node: str = "node-1", **annotations: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "annotations": _prefixed(annotations)},
        "spec": {"nodeName": node, "containers": [{"name": "main", "image": "none"}]},
        "status": {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}]},
    }


def pods(count: int) -> list[Object]:
    return [pod(f"pod-{n:04}", f"10.0.{n // 250}.{n % 250 + 1}") for n in range(count)]


def node(name: str = "node-1") -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"ovn.kubernetes.io/bgp": "true"}},
        "spec": {"podCIDRs": ["10.0.0.0/24"]},
        "status": {"addresses": [{"type": "InternalIP", "address": "192.0.2.1"}]},
    }


def service(name: str, **annotations: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default", "annotations": _prefixed(annotations)},
        "spec": {"ports": [{"port": 80}], "selector": {"app": name}},
    }


def endpoint_slice(name: str, of: str, *nodes: str) -> Object:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": name,
            "namespace": "default",
            "labels": {"kubernetes.io/service-name": of},
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.0.0.1"], "nodeName": each} for each in nodes],
    }


def subnet(name: str, cidr: str = "10.16.0.0/16") -> Object:
    return {
        "apiVersion": "kubeovn.io/v1",
        "kind": "Subnet",
        "metadata": {"name": name},
        "spec": {"cidrBlock": cidr, "vpc": "ovn-cluster"},
    }


def _prefixed(annotations: dict[str, str]) -> dict[str, str]:
    return {f"{PREFIX}/{key}": value for key, value in annotations.items()}


def create(api: KubeApi, *documents: Object) -> None:
    api.create(*documents)


def delete(api: KubeApi, kind: Kind, name: str, namespace: str = "") -> None:
    _, plural = STORED[kind]
    resource = next(each for each in api.api.resources() if each.storage_key == STORED[kind])
    assert resource.plural == plural
    api.api.delete(resource, namespace, name)


def change_pod(api: KubeApi, name: str, ip: str) -> None:
    """A Pod's address changes, as a kubelet writes it."""
    resource = next(each for each in api.api.resources() if each.plural == "pods")
    status = {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}]}
    api.api.update(resource, "default", name, lambda item: item | {"status": status}, subresource="status")

"""An embedded API server with something of everything, and the way to it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from speaker.cluster import ClusterConfig
from tests.cluster.watching import create, endpoint_slice, node, pods, service, subnet
from tests.lab.kubeapi import KubeApi
from tests.lab.kubeapi.crds import IPS, SUBNETS


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy of the machine would stand between the tests and loopback."""
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture
async def empty_api() -> AsyncIterator[KubeApi]:
    """A server without custom resources, and with nothing in it but namespaces."""
    async with KubeApi() as api:
        yield api


@pytest.fixture
async def api(empty_api: KubeApi) -> KubeApi:
    """A server with Kube-OVN's CRDs and a few objects of each kind."""
    create(empty_api, SUBNETS, IPS, node(), *pods(5), service("shop"))
    create(empty_api, endpoint_slice("shop-1", "shop", "node-1"), subnet("ovn-default"))
    return empty_api


@pytest.fixture
def config(api: KubeApi, tmp_path: Path) -> ClusterConfig:
    """How an administrator reaches it."""
    return ClusterConfig(kubeconfig=str(api.kubeconfig(tmp_path / "kubeconfig")))


@pytest.fixture
def empty_config(empty_api: KubeApi, tmp_path: Path) -> ClusterConfig:
    """How an administrator reaches the empty one."""
    return ClusterConfig(kubeconfig=str(empty_api.kubeconfig(tmp_path / "kubeconfig")))

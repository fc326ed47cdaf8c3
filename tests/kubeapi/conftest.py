"""The embedded API server, and somebody who asks it."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.kubeapi.asking import Http
from tests.lab.kubeapi import KubeApi


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy of the machine would stand between the tests and loopback."""
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture
async def api() -> AsyncIterator[KubeApi]:
    async with KubeApi() as running:
        yield running


@pytest.fixture
async def http(api: KubeApi) -> AsyncIterator[Http]:
    timeout = aiohttp.ClientTimeout(total=10)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        yield Http(session, api)

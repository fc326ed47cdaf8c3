"""Somebody who asks the API server over HTTP as it is, without a client in between."""

import json
from dataclasses import dataclass
from typing import Any, Self

import aiohttp

from tests.lab.kubeapi import KubeApi


@dataclass
class Reply:
    """Status and JSON of an answer."""

    status: int
    body: Any
    headers: dict[str, str]


class Http:
    """A client that adds nothing but the token."""

    def __init__(self, session: aiohttp.ClientSession, api: KubeApi) -> None:
        self._session = session
        self.url = api.url
        self.token = api.authority.admin_token

    async def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> Reply:
        headers = {"Authorization": f"Bearer {self.token}", "Accept": accept, "Content-Type": content_type}
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        async with self._session.request(method, f"{self.url}{path}", data=data, headers=headers) as answer:
            content = await answer.read()
            kind = answer.headers.get("Content-Type", "")
            return Reply(
                answer.status,
                json.loads(content) if kind.startswith("application/json") else content,
                dict(answer.headers),
            )

    def watch(self, path: str, *, accept: str = "application/json") -> "Watching":
        headers = {"Authorization": f"Bearer {self.token}", "Accept": accept}
        return Watching(self._session, f"{self.url}{path}", headers)


class Watching:
    """One open watch; `next` is its next event."""

    def __init__(self, session: aiohttp.ClientSession, url: str, headers: dict[str, str]) -> None:
        self._request = session.get(url, headers=headers)

    async def __aenter__(self) -> Self:
        self._answer = await self._request.__aenter__()
        assert self._answer.status == 200, await self._answer.text()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._answer.close()

    async def next(self) -> Any:
        line = await self._answer.content.readline()
        return json.loads(line) if line else None


PODS = "/api/v1/namespaces/default/pods"
SUBNET = "/apis/kubeovn.io/v1/subnets"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
MERGE = "application/merge-patch+json"
JSON = "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"


def reason(body: Any) -> str:
    """Of a Status; fails for any other object."""
    assert (body["kind"], body["apiVersion"], body["status"]) == ("Status", "v1", "Failure")
    return str(body["reason"])

"""Carries out the tour's commands: with the real kubectl, or through the `kubernetes` package.

Knows the two verbs of the tour, `annotate` and `patch`; shows each command as a user would type it.
"""

import asyncio
import json
import shlex
import shutil
from http import HTTPStatus
from pathlib import Path
from typing import Any, Protocol

from tests.lab.kubectl import CommandFailedError, Kubectl

_PATHS = {
    "pod": "/api/v1/namespaces/default/pods",
    "service": "/api/v1/namespaces/default/services",
    "subnet": "/apis/kubeovn.io/v1/subnets",
    "endpointslice": "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices",
}
_MERGE_PATCH = "application/merge-patch+json"
_JSON_PATCH = "application/json-patch+json"


class Commands(Protocol):
    """Something that carries out kubectl's commands."""

    async def run(self, arguments: tuple[str, ...]) -> str:
        """What the command prints.

        Raises:
            CommandFailedError: it failed.
        """


def shown(arguments: tuple[str, ...]) -> str:
    """The command as a user would type it."""
    return shlex.join(("kubectl", *arguments))


def commands(kubeconfig: Path) -> Commands:
    """The real kubectl if there is one, else the package."""
    return Kubectl(kubeconfig) if shutil.which("kubectl") else Package(kubeconfig)


class Package:
    """The same requests through the `kubernetes` package."""

    def __init__(self, kubeconfig: Path) -> None:
        from kubernetes import config  # noqa: PLC0415 -- slow to import, and rarely needed

        self._client: Any = config.new_client_from_config(str(kubeconfig))  # type: ignore[no-untyped-call]

    async def run(self, arguments: tuple[str, ...]) -> str:
        """What kubectl would print."""
        verb, *rest = (each for each in arguments if each != "--overwrite")
        kind, name = rest[0], rest[1]
        if verb == "annotate":
            body: object = {"metadata": {"annotations": dict(map(_annotation, rest[2:]))}}
            content_type, done = _MERGE_PATCH, "annotated"
        else:
            body, content_type, done = json.loads(rest[-1]), _JSON_PATCH, "patched"
        await asyncio.to_thread(self._patch, f"{_PATHS[kind]}/{name}", body, content_type)
        return f"{kind}/{name} {done}"

    def _patch(self, path: str, body: object, content_type: str) -> None:
        headers = {"Content-Type": content_type, "Accept": "application/json"}
        request = self._client.param_serialize(
            "PATCH", path, header_params=headers, body=body, auth_settings=["BearerToken"]
        )
        answer = self._client.call_api(*request)
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise CommandFailedError(json.loads(answer.read())["message"])


def _annotation(text: str) -> tuple[str, str | None]:
    """`key=value` sets, `key-` removes."""
    if text.endswith("-"):
        return text[:-1], None
    key, _, value = text.partition("=")
    return key, value

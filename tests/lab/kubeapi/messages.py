"""Bodies of requests and answers."""

import asyncio
import json
from typing import Any

import yaml
from aiohttp import web

from tests.lab.kubeapi import protobuf
from tests.lab.kubeapi.errors import ApiError
from tests.lab.kubeapi.faults import Harm, Planned
from tests.lab.kubeapi.resources import Object


async def harmed(request: web.Request, planned: Planned) -> web.Response:
    """The answer that a fault gives instead of the right one, if it gives one."""
    match planned.harm:
        case Harm.RESET:
            if request.transport is not None:
                request.transport.abort()
        case Harm.HANG:
            # Until the client goes: the handler is cancelled then.
            await asyncio.Event().wait()
    headers = {"Retry-After": planned.retry_after} if planned.retry_after else {}
    if planned.body is not None:
        return web.Response(body=planned.body, status=planned.status, headers=headers)
    status = ApiError(planned.status, f"planned answer {planned.status}").status()
    return answer(status, status=planned.status, headers=headers)


def bare(item: Object) -> Object:
    """An item of a built-in list carries no kind of its own."""
    return {key: value for key, value in item.items() if key not in {"apiVersion", "kind"}}


async def body_of(request: web.Request) -> Any:
    """The document that a request carries, in whatever form; raises ApiError 400."""
    content = await request.read()
    if not content:
        return {}
    if "protobuf" in request.content_type:
        return protobuf.decode(content)
    try:
        return yaml.safe_load(content) if "yaml" in request.content_type else json.loads(content)
    except (ValueError, yaml.YAMLError) as error:
        raise ApiError(400, f"the body of the request cannot be read: {error}") from None


def answer(document: object, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """JSON as the real server sends it: kubectl 1.26 and 1.27 take no charset beside it."""
    return web.Response(
        body=json.dumps(document).encode(),
        status=status,
        headers={"Content-Type": "application/json", **(headers or {})},
    )


def wants_aggregated(accept: str) -> bool:
    """kubectl before 1.30 knows aggregated discovery as v2beta1 alone, and takes the old form as well."""
    kinds = [each.strip().split(";") for each in accept.split(",")]
    return any({"v=v2", "as=APIGroupDiscoveryList"} <= set(parameters) for parameters in kinds)

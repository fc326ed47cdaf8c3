"""HTTP: routes requests to `Api`, streams watches, and applies the faults."""

import json
import socket
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Self

from aiohttp import web

from tests.lab.kubeapi import discovery
from tests.lab.kubeapi.api import Api
from tests.lab.kubeapi.auth import Attributes, Authority, User, reviewed
from tests.lab.kubeapi.errors import ApiError
from tests.lab.kubeapi.faults import Faults, Harm, Planned
from tests.lab.kubeapi.kubeconfig import write_kubeconfig
from tests.lab.kubeapi.messages import answer, bare, body_of, harmed, wants_aggregated
from tests.lab.kubeapi.pages import Pages
from tests.lab.kubeapi.resources import Object, Resource
from tests.lab.kubeapi.selectors import selector
from tests.lab.kubeapi.store import Store
from tests.lab.kubeapi.tables import table
from tests.lab.kubeapi.tls import make_certificates
from tests.lab.kubeapi.watches import Watch

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete", "GET": "get"}


class KubeApi:
    """An API server on the running event loop.

    Args:
        data: a folder for the database and certificates; None keeps everything in memory.
        host: the address to listen on.
        port: 0 lets the kernel choose.
        tls: serve HTTPS with a certificate of its own (needs `data`).
        sockets: further listening sockets, made in other namespaces, that serve the same.
        names: further addresses that the certificate covers.
        anonymous_admin: who brings no token may do everything; for kubectl over plain HTTP.
    """

    def __init__(
        self,
        data: Path | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: bool = False,
        sockets: tuple[socket.socket, ...] = (),
        names: tuple[str, ...] = (),
        anonymous_admin: bool = False,
    ) -> None:
        self.host, self.port = host, port
        self.store = Store(":memory:" if data is None else data / "objects.db")
        self.api = Api(self.store)
        keys = None if data is None else data / "keys"
        self.authority = Authority(self.store, keys, anonymous_admin=anonymous_admin)
        self.faults = Faults()
        self.requests: list[str] = []
        self._pages = Pages()
        self._sockets = sockets
        self._tls: tuple[ssl.SSLContext, Path] | None = None
        if tls:
            if data is None:
                raise ValueError("TLS needs a folder for its certificates")
            self._tls = make_certificates(data / "pki", (host, "localhost", *names))
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
        self.store.close()

    @property
    def url(self) -> str:
        """Where it listens."""
        return self.url_at(self.host)

    def url_at(self, host: str, port: int | None = None) -> str:
        """Where it listens, as seen through another of its addresses."""
        shown = f"[{host}]" if ":" in host else host
        return f"{'https' if self._tls else 'http'}://{shown}:{port or self.port}"

    async def start(self) -> None:
        """Begin to serve; after `stop` the same port is used again."""
        application = web.Application(middlewares=[self._middleware], client_max_size=64 * 2**20)
        application.router.add_route("*", "/{path:.*}", self._dispatch)
        self._runner = web.AppRunner(
            application, handler_cancellation=True, access_log=None, shutdown_timeout=0.1
        )
        await self._runner.setup()
        context = self._tls[0] if self._tls else None
        site = web.TCPSite(self._runner, self.host, self.port, ssl_context=context, reuse_address=True)
        await site.start()
        self.port = self._runner.addresses[0][1]
        for sock in self._sockets:
            # A site closes its socket at the end, and the same one is to serve after a restart.
            await web.SockSite(self._runner, sock.dup(), ssl_context=context).start()

    async def stop(self) -> None:
        """Stop serving; what is stored stays."""
        if self._runner is not None:
            self.faults.reset_watches()
            await self._runner.cleanup()
            self._runner = None

    def use_certificates(self, context: ssl.SSLContext, authority: Path) -> None:
        """Serve with other certificates from the next start on."""
        self._tls = context, authority

    def kubeconfig(self, path: Path, *, service_account: str = "", server: str = "") -> Path:
        """Write a kubeconfig for the administrator, or for a ServiceAccount "namespace/name"."""
        token = self.authority.token_for(service_account) if service_account else self.authority.admin_token
        authority = self._tls[1] if self._tls else None
        return write_kubeconfig(path, server or self.url, {"token": token}, authority)

    def create(self, *documents: Object) -> None:
        """Create objects, their status included, as a controller would have left them."""
        for document in documents:
            group, _, version = document["apiVersion"].rpartition("/")
            resource = next(
                each
                for each in self.api.resources()
                if (each.group, each.version, each.kind) == (group, version, document["kind"])
            )
            namespace = document["metadata"].get("namespace", "default") if resource.namespaced else ""
            item = self.api.create(resource, namespace, document)
            if "status" in document and resource.has_status:
                whole = item | {"status": document["status"]}
                self.api.replace(resource, namespace, whole, subresource="status")

    # -- requests --------------------------------------------------------------------------------------

    @web.middleware
    async def _middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        asked = f"{request.method} {request.path_qs}"
        self.requests.append(asked)
        if self.faults.outage:
            return await harmed(request, Planned(harm=Harm.RESET))
        planned = self.faults.planned(asked)
        if planned is not None:
            return await harmed(request, planned)
        try:
            return await handler(request)
        except ApiError as error:
            return answer(error.status(), status=error.code)

    async def _dispatch(self, request: web.Request) -> web.StreamResponse:
        parts = request.path.rstrip("/").split("/")[1:]
        public = self._public(parts)
        if public is not None:
            return public
        user = self.authority.user(request.headers.get("Authorization", ""))
        match parts:
            case ["api" | "apis" as root]:
                return self._root(request, core=root == "api")
            case ["api", "v1", *rest]:
                return await self._versioned(request, user, "", "v1", rest)
            case ["apis", group]:
                return self._group(group)
            case ["apis", group, version, *rest]:
                return await self._versioned(request, user, group, version, rest)
        raise ApiError(404, "the server could not find the requested resource")

    def _public(self, parts: list[str]) -> web.Response | None:
        """What is served to anybody."""
        match parts:
            case ["healthz" | "livez" | "readyz"]:
                return web.Response(text="ok")
            case ["version"]:
                return answer(discovery.VERSION)
            case ["openapi", "v2"]:
                return web.Response(
                    body=discovery.OPENAPI_V2_PROTOBUF,
                    content_type="application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
                )
            case ["openapi", "v3", *rest]:
                return self._openapi(rest)
        return None

    def _root(self, request: web.Request, *, core: bool) -> web.Response:
        resources = self.api.resources()
        if wants_aggregated(request.headers.get("Accept", "")):
            return web.Response(
                body=json.dumps(discovery.aggregated(resources, core=core)),
                headers={"Content-Type": _AGGREGATED},
            )
        if core:
            return answer({"kind": "APIVersions", "versions": ["v1"]})
        listed = [discovery.api_group(*each) for each in discovery.groups(resources).items()]
        return answer({"kind": "APIGroupList", "apiVersion": "v1", "groups": listed})

    def _group(self, group: str) -> web.Response:
        versions = discovery.groups(self.api.resources()).get(group)
        if versions is None:
            raise ApiError(404, "the server could not find the requested resource")
        described = {"kind": "APIGroup", "apiVersion": "v1"} | discovery.api_group(group, versions)
        return answer(described)

    def _openapi(self, rest: list[str]) -> web.Response:
        resources = self.api.resources()
        if not rest:
            roots = ["api/v1"] + [
                f"apis/{group}/{version}"
                for group, versions in discovery.groups(resources).items()
                for version in versions
            ]
            paths = {
                root: {"serverRelativeURL": f"/openapi/v3/{root}?hash={self.store.rv}"} for root in roots
            }
            return answer({"paths": paths})
        group, version = ("", rest[1]) if rest[0] == "api" else (rest[1], rest[2])
        return answer(discovery.openapi_v3(resources, group, version))

    async def _versioned(
        self, request: web.Request, user: User, group: str, version: str, rest: list[str]
    ) -> web.StreamResponse:
        if not rest:
            served = [each for each in self.api.resources() if (each.group, each.version) == (group, version)]
            if not served:
                raise ApiError(404, "the server could not find the requested resource")
            group_version = f"{group}/{version}" if group else version
            return answer(discovery.api_resources(served, group_version))
        if rest == ["selfsubjectaccessreviews"]:
            return await self._access_review(request, user)
        namespace = ""
        if rest[0] == "namespaces" and len(rest) > 2 and rest[2] != "status":
            namespace, rest = rest[1], rest[2:]
        resource = self.api.resource(group, version, rest[0])
        name, subresource = (*rest[1:], "", "")[:2]
        if (resource.plural, subresource) == ("serviceaccounts", "token"):
            self._authorize(request, user, resource, namespace, name, subresource)
            return answer(self._token_request(f"{namespace}/{name}"), status=201)
        if subresource not in {"", "status"} or (subresource and not resource.has_status):
            raise ApiError(404, f"the embedded API server has no {rest[0]}/{subresource}: it runs no Pods")
        self._authorize(request, user, resource, namespace, name, subresource)
        if name:
            return await self._one(request, resource, namespace, name, subresource)
        return await self._collection(request, resource, namespace)

    def _authorize(
        self,
        request: web.Request,
        user: User,
        resource: Resource,
        namespace: str,
        name: str,
        subresource: str,
    ) -> None:
        verb = _VERBS.get(request.method, "")
        if not name and verb == "get":
            verb = "watch" if request.query.get("watch") in {"true", "1"} else "list"
            fields = request.query.get("fieldSelector", "")
            # As the real one does: a selection by name may be granted by resourceNames.
            name = fields.removeprefix("metadata.name=") if fields.startswith("metadata.name=") else ""
        elif not name and verb == "delete":
            verb = "deletecollection"
        asked = f"{resource.plural}/{subresource}" if subresource else resource.plural
        self.authority.check(user, Attributes(verb, resource.group, asked, namespace, name))

    async def _access_review(self, request: web.Request, user: User) -> web.Response:
        review = await body_of(request)
        spec = review.get("spec", {})
        allowed = {"status": {"allowed": self.authority.allows(user, reviewed(spec))}}
        kind = {"kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "metadata": {}}
        return answer(kind | {"spec": spec} | allowed, status=201)

    def _token_request(self, service_account: str) -> Object:
        """What `kubectl create token` gets."""
        status = {
            "token": self.authority.token_for(service_account),
            "expirationTimestamp": "2099-01-01T00:00:00Z",
        }
        return {
            "kind": "TokenRequest",
            "apiVersion": "authentication.k8s.io/v1",
            "metadata": {},
            "status": status,
        }

    # -- objects ---------------------------------------------------------------------------------------

    async def _one(
        self, request: web.Request, resource: Resource, namespace: str, name: str, subresource: str
    ) -> web.StreamResponse:
        flags = {
            "strict": request.query.get("fieldValidation") == "Strict",
            "dry_run": "dryRun" in request.query,
        }
        match request.method:
            case "GET":
                return self._answer(request, resource, self.api.get(resource, namespace, name))
            case "PUT":
                body = await body_of(request)
                item = self.api.update(
                    resource, namespace, name, lambda _: body, subresource=subresource, **flags
                )
                return self._answer(request, resource, item)
            case "PATCH":
                return await self._patch(request, resource, namespace, name, subresource, flags)
            case "DELETE":
                options = await body_of(request)
                if flags["dry_run"]:
                    return answer(self.api.get(resource, namespace, name))
                return answer(self.api.delete(resource, namespace, name, options))
        raise ApiError(405, "the server does not allow this method on the requested resource")

    async def _patch(
        self,
        request: web.Request,
        resource: Resource,
        namespace: str,
        name: str,
        subresource: str,
        flags: dict[str, bool],
    ) -> web.Response:
        body = await body_of(request)
        change = self.api.patch(resource, request.content_type, body)
        applied = request.content_type == "application/apply-patch+yaml"
        if applied and self.store.get(resource.storage_key, namespace, name) is None:
            body.setdefault("metadata", {}).setdefault("name", name)
            item = self.api.create(resource, namespace, body, **flags)
            return self._answer(request, resource, item, status=201)
        item = self.api.update(resource, namespace, name, change, subresource=subresource, **flags)
        return self._answer(request, resource, item)

    def _answer(
        self, request: web.Request, resource: Resource, item: Object, status: int = 200
    ) -> web.Response:
        accept = request.headers.get("Accept", "")
        if request.method == "GET" and "as=Table" in accept:
            whole = request.query.get("includeObject") == "Object"
            metadata = {"resourceVersion": item["metadata"]["resourceVersion"]}
            return answer(table(resource, [item], metadata, whole=whole))
        return answer(item, status=status)

    async def _collection(
        self, request: web.Request, resource: Resource, namespace: str
    ) -> web.StreamResponse:
        query = request.query
        if request.method == "POST":
            item = self.api.create(
                resource,
                namespace,
                await body_of(request),
                strict=query.get("fieldValidation") == "Strict",
                dry_run="dryRun" in query,
            )
            return answer(item, status=201)
        matches = selector(query.get("labelSelector", ""), query.get("fieldSelector", ""))
        if request.method == "DELETE":
            for item in filter(matches, self.store.all(resource.storage_key, namespace)):
                self.api.delete(
                    resource, namespace or item["metadata"].get("namespace", ""), item["metadata"]["name"]
                )
            return answer({"kind": "Status", "apiVersion": "v1", "status": "Success"})
        if query.get("watch") in {"true", "1"}:
            return await Watch(self.api, self.faults, request, resource, namespace, matches).serve()
        if request.method != "GET":
            raise ApiError(405, "the server does not allow this method on the requested resource")
        items = [item for item in self.store.all(resource.storage_key, namespace) if matches(item)]
        page, metadata = self._pages.page(items, self.store.rv, query)
        if "as=Table" in request.headers.get("Accept", ""):
            whole = query.get("includeObject") == "Object"
            shown = [self.api.shown(resource, item) for item in page]
            return answer(table(resource, shown, metadata, whole=whole))
        listed = (
            [self.api.shown(resource, item) for item in page] if resource.crd else [bare(i) for i in page]
        )
        return answer(
            {
                "kind": f"{resource.kind}List",
                "apiVersion": resource.api_version,
                "metadata": metadata,
                "items": listed,
            }
        )

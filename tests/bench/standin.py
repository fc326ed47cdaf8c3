"""`python -m tests.bench.standin PODS NODES POLICY`: an API server's answers, made before they are asked for.

A process that is asked over its input and answers a line each (`tests.lab.scale.process`). It speaks as much
HTTP as a speaker asks: lists, WatchLists and watches of prepared objects, PATCH of a Pod; anything else that
is written is taken and kept as it came. Every event is a chunk of its own, as the real one flushes it. It
takes next to no CPU while others are measured; a server that made JSON then would.
"""

import asyncio
import json
import resource
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote, urlsplit

from tests.bench import documents
from tests.bench.place import NODE
from tests.lab.scale.process import Answer, serve

PORT = 8001
_BATCH = 200
"""How many prepared events are written at once."""

_BUILT_IN = {"/api/v1/nodes", "/api/v1/namespaces", "/api/v1/pods", "/api/v1/services"}
_SUBNETS = "/apis/kubeovn.io/v1/subnets"
_SLICES = "/apis/discovery.k8s.io/v1/endpointslices"
_IPS = "/apis/kubeovn.io/v1/ips"
_PODS = "/api/v1/pods"
_SERVED = _BUILT_IN | {_SUBNETS, _SLICES, _IPS}
_LONGEST_PAUSE = 0.02


def framed(line: bytes) -> bytes:
    """A chunk of HTTP/1.1."""
    return b"%x\r\n%b\r\n" % (len(line), line)


def event(kind: str, document: bytes) -> bytes:
    """An event of a watch, as a chunk."""
    return framed(b'{"type":"%b","object":%b}\n' % (kind.encode(), document))


def bookmark(version: int, *, ends: bool) -> bytes:
    """A BOOKMARK; `ends` says that the initial events are over."""
    annotations = {"k8s.io/initial-events-end": "true"} if ends else {}
    metadata = {"resourceVersion": str(version), "annotations": annotations}
    return event("BOOKMARK", json.dumps({"metadata": metadata}).encode())


@dataclass(eq=False, slots=True)
class Watcher:
    """A watch that is open."""

    path: str
    node: str
    writer: asyncio.StreamWriter

    def sees(self, pod: int, nodes: int) -> bool:
        """Whether a Pod is in its selection."""
        return not self.node or self.node == documents.node_name(pod % nodes)


@dataclass(slots=True)
class Counts:
    """What speakers cost."""

    bytes_sent: int = 0
    requests: int = 0


class StandIn:
    """The server.

    Args:
        pods: how many Pods there are.
        nodes: how many Nodes they are on.
        policy: what each Pod's annotation asks for; "" for none.
    """

    def __init__(self, pods: int, nodes: int, policy: str) -> None:
        self._pods = pods
        self._nodes = nodes
        self._version = 10
        self._initial = [event("ADDED", documents.pod(n, nodes, 1, policy)) for n in range(pods)]
        self._subnet_policy = ""
        self._changes: list[tuple[int, bytes]] = []
        self._churned = 0
        self._watchers: set[Watcher] = set()
        self._written: dict[str, bytes] = {}
        self._counts = Counts()

    async def run(self) -> None:
        """Serve until the input ends."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", PORT)
        async with server:
            await serve(self._carry_out)

    # -- orders ----------------------------------------------------------------------------------------

    async def _carry_out(self, order: Sequence[str]) -> Answer:
        match order:
            case ["subnet", policy]:
                return self._change_subnet("" if policy == "none" else policy)
            case ["prepare", number]:
                return self._prepare(int(number))
            case ["flood", rate, seconds]:
                return await self._flood(int(rate), float(seconds))
            case ["churn", number]:
                return await self._churn(int(number))
            case _:
                return self._figures()

    def _change_subnet(self, policy: str) -> Answer:
        self._subnet_policy = policy
        changed = event("MODIFIED", documents.subnet(self._next(), policy))
        at = time.monotonic()
        self._emit(_SUBNETS, changed)
        return {"at": at}

    def _prepare(self, number: int) -> Answer:
        """Have so many changes ready: each Pod in turn is published no more, or again."""
        self._changes = [self._change(index) for index in range(number)]
        return {}

    def _change(self, index: int) -> tuple[int, bytes]:
        pod, turn = index % self._pods, index // self._pods
        policy = "" if turn % 2 == 0 else "cluster"
        return pod, event("MODIFIED", documents.pod(pod, self._nodes, self._next(), policy))

    async def _flood(self, rate: int, seconds: float) -> Answer:
        """Send the prepared changes at a rate; answers with when it was done, and what is published then."""
        began, sent = time.monotonic(), 0
        total = min(int(rate * seconds), len(self._changes))
        while sent < total:
            due = min(total, int((time.monotonic() - began) * rate) + 1)
            for pod, changed in self._changes[sent:due]:
                self._emit(_PODS, changed, pod)
            sent = due
            await asyncio.sleep(1 / rate if rate < 50 else _LONGEST_PAUSE)
        return {"sent": sent, "published": self._published(sent), "began": began, "done": time.monotonic()}

    async def _churn(self, number: int) -> Answer:
        """So many changes more, made as they go, as fast as they are read."""
        for index in range(self._churned, self._churned + number):
            pod, changed = self._change(index)
            self._emit(_PODS, changed, pod)
            if index % _BATCH == 0:
                await asyncio.gather(*(watcher.writer.drain() for watcher in self._watchers))
        self._churned += number
        return {"sent": self._churned, "published": self._published(self._churned)}

    def _published(self, sent: int) -> int:
        """How many Pods are published after so many changes, each Pod having its turn after the other."""
        whole, rest = divmod(sent, self._pods)
        # After an odd number of rounds all are withdrawn but those that have had one turn more.
        return rest if whole % 2 else self._pods - rest

    def _figures(self) -> Answer:
        own = sum(1 for watcher in self._watchers if watcher.node)
        return {
            "bytes": self._counts.bytes_sent,
            "requests": self._counts.requests,
            "watches": len(self._watchers),
            "watches_of_own_node": own,
        }

    # -- HTTP ------------------------------------------------------------------------------------------

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                self._counts.requests += 1
                method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ", 2)
                body = await reader.readexactly(_length(head))
                if await self._answer(method, target, body, reader, writer):
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(
        self,
        method: str,
        target: str,
        body: bytes,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        """Answer one request; returns whether the connection is used up."""
        parts = urlsplit(target)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        path = unquote(parts.path)
        if method == "GET" and path in _SERVED and query.get("watch") == "true":
            await self._watch(path, query, reader, writer)
            return True
        if method == "GET":
            self._get(path, writer)
        elif method == "PATCH" and "/pods/" in path:
            self._patch(path, body, writer)
        else:
            self._written[path] = body
            self._reply(writer, 201 if method == "POST" else 200, body)
        await writer.drain()
        return False

    def _get(self, path: str, writer: asyncio.StreamWriter) -> None:
        if path in self._written:
            self._reply(writer, 200, self._written[path])
        elif path in _SERVED:
            listed = {"metadata": {"resourceVersion": str(self._version)}, "items": []}
            self._reply(writer, 422 if path == _PODS else 200, json.dumps(listed).encode())
        else:
            self._reply(writer, 404, b'{"kind":"Status","code":404,"message":"not found"}')

    def _patch(self, path: str, body: bytes, writer: asyncio.StreamWriter) -> None:
        pod = documents.pod_index(path.rpartition("/")[2])
        policy = json.loads(body)["metadata"]["annotations"][documents.BGP]
        document = documents.pod(pod, self._nodes, self._next(), policy or "")
        self._reply(writer, 200, document)
        self._emit(_PODS, event("MODIFIED", document), pod)

    def _reply(self, writer: asyncio.StreamWriter, status: int, body: bytes) -> None:
        head = b"HTTP/1.1 %d -\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        self._send(writer, head % (status, len(body)) + body)

    async def _watch(
        self,
        path: str,
        query: dict[str, str],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        self._send(writer, head)
        selector = query.get("fieldSelector", "")
        watcher = Watcher(path, selector.removeprefix("spec.nodeName=") if path == _PODS else "", writer)
        if query.get("sendInitialEvents") == "true":
            for batch in self._initial_events(watcher):
                self._send(writer, batch)
                await writer.drain()
            self._send(writer, bookmark(self._version, ends=True))
        self._watchers.add(watcher)
        try:
            # Nothing more is asked on this connection: this waits for its end.
            await reader.read()
        finally:
            self._watchers.discard(watcher)

    def _initial_events(self, watcher: Watcher) -> Iterable[bytes]:
        if watcher.path == _PODS:
            seen = [each for pod, each in enumerate(self._initial) if watcher.sees(pod, self._nodes)]
            for start in range(0, len(seen), _BATCH):
                yield b"".join(seen[start : start + _BATCH])
        elif watcher.path == "/api/v1/nodes":
            yield event("ADDED", documents.node(0, NODE))
        elif watcher.path == "/api/v1/namespaces":
            yield event("ADDED", documents.namespace())
        elif watcher.path == _SUBNETS:
            yield event("ADDED", documents.subnet(1, self._subnet_policy))

    def _emit(self, path: str, chunk: bytes, pod: int | None = None) -> None:
        for watcher in self._watchers:
            if watcher.path == path and (pod is None or watcher.sees(pod, self._nodes)):
                self._send(watcher.writer, chunk)

    def _send(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        self._counts.bytes_sent += len(data)
        writer.write(data)

    def _next(self) -> int:
        self._version += 1
        return self._version


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


def main(pods: str, nodes: str, policy: str = "") -> None:
    """Serve so many Pods."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    asyncio.run(StandIn(int(pods), int(nodes), policy).run())


if __name__ == "__main__":
    main(*sys.argv[1:])

"""A cluster that answers what it is told to; `tests/contract` shows that the real one answers alike."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from speaker.model.objects import Kind, Meta, NodeView, ObjectRef

NODE = NodeView(
    meta=Meta(ref=ObjectRef(Kind.NODE, "", "node1"), annotations={}),
    labels={"ovn.kubernetes.io/bgp": "true"},
)


@dataclass
class Answers:
    """What the cluster answers when it is asked for the Node and the DaemonSet."""

    node: NodeView | None = NODE
    daemonset_deleting: bool | None = False
    error: Exception | None = None
    hangs: bool = False
    asked: list[str] = field(default_factory=list)

    async def get_fresh(self, kind: Kind, namespace: str, name: str, timeout_seconds: float) -> Any:
        assert (kind, namespace) == (Kind.NODE, "")
        assert 0 < timeout_seconds <= 1.0
        self.asked.append(name)
        if self.hangs:
            await asyncio.Event().wait()
        if self.error is not None:
            raise self.error
        return self.node

    async def get_daemonset_deleting(self, namespace: str, name: str, timeout_seconds: float) -> bool | None:
        assert 0 < timeout_seconds <= 1.0
        self.asked.append(f"{namespace}/{name}")
        return self.daemonset_deleting

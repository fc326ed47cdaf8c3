"""A cluster in an API server for the commands that look at a fabric: Nodes, resources, reports."""

from ipaddress import ip_address
from pathlib import Path
from typing import Any

from speaker.fabric.report import NodeReport, SessionReport, to_status
from speaker.model.peer import SessionState
from tests.lab.fabric_cluster import crd_manifests
from tests.lab.kubeapi.server import KubeApi
from tests.lab.program import Completed, run_program

API = "bgp.route-speaker.io/v1alpha1"
LABEL = "bgp.route-speaker.io/bgp"

MESH = {
    "apiVersion": API,
    "kind": "BGPConfiguration",
    "metadata": {"name": "default"},
    "spec": {"nodeToNodeMeshEnabled": True},
}


def node(number: int, *, label: str = LABEL, **annotations: str) -> dict[str, Any]:
    """`node<number>`, with a Pod CIDR."""
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": f"node{number}", "labels": {label: "true"}, "annotations": annotations},
        "spec": {"podCIDR": f"10.244.{number}.0/24", "podCIDRs": [f"10.244.{number}.0/24"]},
        "status": {"addresses": [{"type": "InternalIP", "address": f"10.0.0.{number}"}]},
    }


def bgp_peer(name: str, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": API, "kind": "BGPPeer", "metadata": {"name": name}, "spec": spec}


def session(number: int, state: SessionState = SessionState.ESTABLISHED, **fields: Any) -> SessionReport:
    """A session with `node<number>`, of the mesh."""
    name = f"node{number}"
    values = {"address": ip_address(f"10.0.0.{number}"), "node": name, "origin": "mesh"} | fields
    return SessionReport(peer=name, state=state, **values)


def report(number: int, *sessions: SessionReport, **fields: Any) -> dict[str, Any]:
    """What `node<number>` says of itself."""
    name = f"node{number}"
    told = NodeReport(node=name, sessions=sessions, session_count=len(sessions), **fields)
    return {
        "apiVersion": API,
        "kind": "BGPNodeStatus",
        "metadata": {"name": name},
        "status": {key: value for key, value in to_status(told).items() if value is not None},
    }


class Looked:
    """A cluster to look at.

    Args:
        api: where it is.
        folder: for the kubeconfig.
    """

    def __init__(self, api: KubeApi, folder: Path) -> None:
        self.api = api
        self.kubeconfig = api.kubeconfig(folder / "kubeconfig")
        api.create(*crd_manifests())

    def create(self, *documents: dict[str, Any]) -> None:
        """Create objects with their status."""
        self.api.create(*documents)

    def delete(self, kind: str, name: str) -> None:
        """Delete a cluster-scoped object."""
        resource = next(each for each in self.api.api.resources() if each.kind == kind)
        self.api.api.delete(resource, "", name)

    async def run(self, *arguments: str) -> Completed:
        """`speaker ARGUMENTS` with a kubeconfig."""
        return await run_program(*arguments, kubeconfig=self.kubeconfig)

"""The cluster of a row as prepared bytes: Nodes, a Subnet, Pods as large as real ones are.

Knows the JSON of each object and which Node has which Pod. Must not know HTTP or who reads it.
"""

import json
from collections.abc import Mapping
from ipaddress import IPv4Address
from typing import Any

SUBNET = "ovn-default"
NAMESPACE = "default"
NODE_NAME = "node-0"
BGP = "ovn.kubernetes.io/bgp"
FIRST_ADDRESS = IPv4Address("10.16.0.0")
CIDR = "10.16.0.0/14"

_CREATED = "2026-11-01T08:00:00Z"


def pod_name(index: int) -> str:
    """The name of a Pod."""
    return f"web-7d9c5bf6c4-{index:06}"


def pod_index(name: str) -> int:
    """The number of the Pod that has this name."""
    return int(name.rpartition("-")[2])


def pod_address(index: int) -> IPv4Address:
    """The address of a Pod."""
    return FIRST_ADDRESS + 16 + index


def node_name(index: int) -> str:
    """The name of a Node; the speaker is on the first."""
    return f"node-{index}"


def pod(index: int, nodes: int, version: int, policy: str) -> bytes:
    """A running Pod as the API server sends it, `managedFields` and all: about 4 KB.

    Args:
        index: which one.
        nodes: how many Nodes share the Pods.
        version: its resourceVersion.
        policy: what its annotation asks for; "" leaves it out.
    """
    text = _POD_WITH if policy else _POD_WITHOUT
    return text % {
        b"name": pod_name(index).encode(),
        b"uid": b"%08x-1c1f-4f3e-9d30-7a1b2c3d4e5f" % index,
        b"version": b"%d" % version,
        b"ip": str(pod_address(index)).encode(),
        b"node": node_name(index % nodes).encode(),
        b"policy": policy.encode(),
    }


def _template(annotations: Mapping[str, str]) -> bytes:
    return json.dumps(_pod(annotations), separators=(",", ":")).encode()


def _pod(more: Mapping[str, str]) -> dict[str, Any]:
    mounts = [
        {"name": "token", "readOnly": True, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}
    ]
    container = {
        "name": "web",
        "image": "registry.example/shop/web:1.42.0",
        "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
        "env": [{"name": f"SETTING_{number}", "value": f"value-{number}"} for number in range(8)],
        "resources": {"limits": {"memory": "512Mi"}, "requests": {"cpu": "100m", "memory": "256Mi"}},
        "volumeMounts": mounts,
        "livenessProbe": {
            "httpGet": {"path": "/healthz", "port": 8080, "scheme": "HTTP"},
            "periodSeconds": 10,
        },
        "terminationMessagePath": "/dev/termination-log",
        "imagePullPolicy": "IfNotPresent",
    }
    conditions = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
    tolerations = [
        {
            "key": f"node.kubernetes.io/{key}",
            "operator": "Exists",
            "effect": "NoExecute",
            "tolerationSeconds": 300,
        }
        for key in ("not-ready", "unreachable")
    ]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "%(name)s",
            "generateName": "web-7d9c5bf6c4-",
            "namespace": NAMESPACE,
            "uid": "%(uid)s",
            "resourceVersion": "%(version)s",
            "creationTimestamp": _CREATED,
            "labels": {"app": "web", "pod-template-hash": "7d9c5bf6c4", "team": "shop", "tier": "front"},
            "annotations": {
                "ovn.kubernetes.io/allocated": "true",
                "ovn.kubernetes.io/cidr": CIDR,
                "ovn.kubernetes.io/gateway": "10.16.0.1",
                "ovn.kubernetes.io/ip_address": "%(ip)s",
                "ovn.kubernetes.io/logical_router": "ovn-cluster",
                "ovn.kubernetes.io/logical_switch": SUBNET,
                "ovn.kubernetes.io/mac_address": "00:00:00:aa:bb:cc",
                "ovn.kubernetes.io/pod_nic_type": "veth-pair",
                "ovn.kubernetes.io/routed": "true",
                **more,
            },
            "ownerReferences": [
                {
                    "apiVersion": "apps/v1",
                    "kind": "ReplicaSet",
                    "name": "web-7d9c5bf6c4",
                    "uid": "8d7f4d0e-93a5-4b0b-8f43-0d9d2f6f4c11",
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
            "managedFields": [
                {
                    "manager": manager,
                    "operation": "Update",
                    "apiVersion": "v1",
                    "time": _CREATED,
                    "fieldsType": "FieldsV1",
                    "fieldsV1": {"f:metadata": {"f:annotations": {f"f:field-{n}": {} for n in range(10)}}},
                }
                for manager in ("kube-controller-manager", "kube-ovn-controller", "kubelet")
            ],
        },
        "spec": {
            "containers": [container],
            "nodeName": "%(node)s",
            "restartPolicy": "Always",
            "serviceAccountName": "default",
            "tolerations": tolerations,
            "volumes": [{"name": "token", "projected": {"defaultMode": 420, "sources": []}}],
        },
        "status": {
            "phase": "Running",
            "conditions": [
                {"type": each, "status": "True", "lastTransitionTime": _CREATED} for each in conditions
            ],
            "hostIP": "172.30.0.2",
            "podIP": "%(ip)s",
            "podIPs": [{"ip": "%(ip)s"}],
            "startTime": _CREATED,
            "containerStatuses": [
                {
                    "name": "web",
                    "state": {"running": {"startedAt": _CREATED}},
                    "ready": True,
                    "restartCount": 0,
                    "image": "registry.example/shop/web:1.42.0",
                    "imageID": "registry.example/shop/web@sha256:" + "0" * 64,
                    "containerID": "containerd://" + "0" * 64,
                    "started": True,
                }
            ],
            "qosClass": "Burstable",
        },
    }


_POD_WITHOUT = _template({})
_POD_WITH = _template({BGP: "%(policy)s"})


def node(index: int, address: IPv4Address) -> bytes:
    """A Node that is chosen to advertise."""
    document = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": node_name(index),
            "uid": f"node-uid-{index}",
            "resourceVersion": "1",
            "labels": {BGP: "true"},
        },
        "spec": {},
        "status": {"addresses": [{"type": "InternalIP", "address": str(address)}]},
    }
    return json.dumps(document).encode()


def namespace() -> bytes:
    """The Namespace of all Pods."""
    metadata = {"name": NAMESPACE, "uid": "namespace-uid", "resourceVersion": "1"}
    return json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}).encode()


def subnet(version: int, policy: str) -> bytes:
    """The Subnet of all Pods; `policy` as for `pod`."""
    document = {
        "apiVersion": "kubeovn.io/v1",
        "kind": "Subnet",
        "metadata": {
            "name": SUBNET,
            "uid": "subnet-uid",
            "resourceVersion": str(version),
            "annotations": {BGP: policy} if policy else {},
        },
        "spec": {"cidrBlock": CIDR, "protocol": "IPv4", "vpc": "ovn-cluster"},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    }
    return json.dumps(document).encode()

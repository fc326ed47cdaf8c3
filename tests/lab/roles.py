"""The roles that the manifests give the speaker, for an API server to enforce."""

from pathlib import Path
from typing import Any

import yaml

SERVICE_ACCOUNT = "kube-system/kube-route-speaker"
"""Namespace and name, as in manifests/base."""

_BASE = Path(__file__).parents[2] / "manifests" / "base"
_FILES = ("service-account.yaml", "cluster-role.yaml", "role.yaml")


def role_manifests() -> list[dict[str, Any]]:
    """The ServiceAccount, the roles and their bindings of manifests/base, in kube-system."""
    documents = [
        document for name in _FILES for document in yaml.safe_load_all((_BASE / name).read_text()) if document
    ]
    for document in documents:
        if not document["kind"].startswith("Cluster"):
            document["metadata"]["namespace"] = SERVICE_ACCOUNT.partition("/")[0]
        for subject in document.get("subjects", ()):
            subject["namespace"] = SERVICE_ACCOUNT.partition("/")[0]
    return documents

"""A kubeconfig: one cluster, one user, one context."""

import base64
from pathlib import Path

import yaml


def write_kubeconfig(path: Path, server: str, user: dict[str, str], authority: Path | None = None) -> Path:
    """Write one that only its owner reads.

    Args:
        path: the file; one that is there is replaced.
        server: the API server's URL.
        user: the credentials, in the words of a kubeconfig.
        authority: the certificate of who signed the server's; None where it speaks no TLS.
    """
    cluster = {"server": server}
    if authority is not None:
        cluster["certificate-authority-data"] = in_base64(authority)
    context = {"cluster": "lab", "user": "user", "namespace": "default"}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "lab", "cluster": cluster}],
        "users": [{"name": "user", "user": user}],
        "contexts": [{"name": "lab", "context": context}],
        "current-context": "lab",
    }
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(document))
    return path


def in_base64(path: Path) -> str:
    """A file as the `-data` fields hold it."""
    return base64.b64encode(path.read_bytes()).decode()

"""What tests may need of a machine, by marker: whether it is here, and how to get it."""

import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Mapping
from functools import cache
from ipaddress import ip_address

from speaker.bgp.sockopts import set_md5
from speaker.model.peer import Password
from tests.lab.net import namespace
from tests.lab.routers import drivers

OLDEST_NEW_KUBECTL = (1, 27)


def _router(name: str) -> Callable[[], str | None]:
    return lambda: drivers.missing(name)


def _kubectl() -> str | None:
    if shutil.which("kubectl"):
        return None
    return "kubectl is not installed (apt-get install kubernetes-client, or kubernetes.io/docs/tasks/tools)"


def _new_kubectl() -> str | None:
    """Of such an age that it renders Kustomize components and knows subresources."""
    if _kubectl() is not None:
        return _kubectl()
    command = ("kubectl", "version", "--client", "--output=json")
    told = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30).stdout
    found = re.search(r'"gitVersion": "v(\d+)\.(\d+)', told)
    version = (int(found[1]), int(found[2])) if found else (0, 0)
    if version >= OLDEST_NEW_KUBECTL:
        return None
    wanted, there = (".".join(map(str, each)) for each in (OLDEST_NEW_KUBECTL, version))
    return f"kubectl is {there}, and this takes {wanted} or later (kubernetes.io/docs/tasks/tools)"


def _md5() -> str | None:
    with socket.socket() as sock:
        try:
            set_md5(sock, ip_address("127.0.0.1"), Password("probe"))
        except OSError as error:
            return f"this kernel, or the container, gives no TCP MD5: {error.strerror}"
    return None


REQUIREMENTS: Mapping[str, Callable[[], str | None]] = {
    "netns": namespace.available,
    **{name: _router(name) for name in drivers.DRIVERS},
    "kubectl": _kubectl,
    "new_kubectl": _new_kubectl,
    "md5": _md5,
}


@cache
def missing(marker: str) -> str | None:
    """Why what the marker stands for is not here, as a sentence, or None."""
    probe = REQUIREMENTS.get(marker)
    return None if probe is None else probe()

"""What tests may need of a machine, by marker: whether it is here, and how to get it."""

import shutil
import socket
from collections.abc import Callable, Mapping
from functools import cache
from ipaddress import ip_address

from speaker.bgp.sockopts import set_md5
from speaker.model.peer import Password
from tests.lab.net import namespace
from tests.lab.routers import drivers


def _router(name: str) -> Callable[[], str | None]:
    return lambda: drivers.missing(name)


def _kubectl() -> str | None:
    if shutil.which("kubectl"):
        return None
    return "kubectl is not installed (apt-get install kubernetes-client, or kubernetes.io/docs/tasks/tools)"


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
    "md5": _md5,
}


@cache
def missing(marker: str) -> str | None:
    """Why what the marker stands for is not here, as a sentence, or None."""
    probe = REQUIREMENTS.get(marker)
    return None if probe is None else probe()

"""A real control plane: etcd and kube-apiserver, from the folder where envtest keeps them.

No controller, scheduler or kubelet runs: objects stay as they are written, as with the embedded one.
"""

import asyncio
import os
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.lab.kubeapi.kubeconfig import in_base64, write_kubeconfig
from tests.lab.kubeapi.tls import Authority
from tests.lab.processes import Child
from tests.lab.waiting import eventually

HOST = "127.0.0.1"
START_SECONDS = 60.0
"""kube-apiserver takes ten on a quiet machine."""


class NoControlPlaneError(Exception):
    """The programs that were named are not there; the text says which."""


@dataclass(frozen=True)
class Programs:
    """The two programs."""

    etcd: Path
    kube_apiserver: Path


def find_programs(environment: Mapping[str, str]) -> Programs:
    """What the environment names, each by its own variable or by the folder of both.

    Raises:
        NoControlPlaneError: one of them is not there.
    """
    folder = Path(environment.get("KUBEBUILDER_ASSETS", ""))
    named = {
        name: Path(environment.get(variable) or folder / name)
        for name, variable in (
            ("etcd", "TEST_ASSET_ETCD"),
            ("kube-apiserver", "TEST_ASSET_KUBE_APISERVER"),
        )
    }
    for name, path in named.items():
        if not os.access(path, os.X_OK):
            raise NoControlPlaneError(f"KUBEBUILDER_ASSETS={folder}: there is no program {name} at {path}")
    return Programs(named["etcd"], named["kube-apiserver"])


@asynccontextmanager
async def control_plane(programs: Programs, folder: Path) -> AsyncIterator[Path]:
    """Run both for a while; gives an administrator's kubeconfig. They die with this process.

    Args:
        programs: the two.
        folder: for data, certificates and logs.
    """
    authority = await asyncio.to_thread(Authority, folder / "pki")
    etcd_url, server = f"http://{HOST}:{_free_port()}", f"https://{HOST}:{_free_port()}"
    children: list[Child] = []
    try:
        etcd = await _start("etcd", programs.etcd, _etcd_flags(folder, etcd_url), folder)
        children.append(etcd)
        await _ready(etcd, f"{etcd_url}/health", None)
        flags = await asyncio.to_thread(_apiserver_flags, authority, etcd_url, server)
        apiserver = await _start("kube-apiserver", programs.kube_apiserver, flags, folder)
        children.append(apiserver)
        certificate, key = authority.issue("admin", subject="/O=system:masters/CN=kubernetes-admin")
        context = ssl.create_default_context(cafile=str(authority.certificate))
        context.load_cert_chain(certificate, key)
        await _ready(apiserver, f"{server}/readyz", context)
        user = {"client-certificate-data": in_base64(certificate), "client-key-data": in_base64(key)}
        yield write_kubeconfig(folder / "kubeconfig", server, user, authority.certificate)
    finally:
        for child in reversed(children):
            await child.stop()


def _etcd_flags(folder: Path, url: str) -> list[str]:
    return [
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={url}",
        f"--advertise-client-urls={url}",
        f"--listen-peer-urls=http://{HOST}:{_free_port()}",
        "--unsafe-no-fsync",
    ]


def _apiserver_flags(authority: Authority, etcd_url: str, server: str) -> list[str]:
    certificate, key = authority.issue("apiserver", hosts=(HOST, "localhost", "kubernetes.default.svc"))
    signer_certificate, signer_key = authority.issue("sa-signer", subject="/CN=service-accounts")
    return [
        f"--etcd-servers={etcd_url}",
        f"--bind-address={HOST}",
        f"--secure-port={server.rpartition(':')[2]}",
        f"--tls-cert-file={certificate}",
        f"--tls-private-key-file={key}",
        f"--client-ca-file={authority.certificate}",
        f"--service-account-issuer={server}/",
        f"--service-account-key-file={signer_certificate}",
        f"--service-account-signing-key-file={signer_key}",
        "--service-cluster-ip-range=10.96.0.0/16,fd00:10:96::/112",
        "--authorization-mode=RBAC",
        "--disable-admission-plugins=ServiceAccount",
        "--allow-privileged=true",
    ]


async def _start(name: str, program: Path, flags: list[str], folder: Path) -> Child:
    return await Child.start(name, [str(program), *flags], namespace=None, log=folder / f"{name}.log")


async def _ready(child: Child, url: str, context: ssl.SSLContext | None) -> None:
    def answers() -> bool:
        try:
            with urllib.request.urlopen(url, timeout=2, context=context) as answer:
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError):
            return False

    async def probe() -> bool:
        if not child.running:
            raise NoControlPlaneError(f"{child.name} ended at its start:\n{child.output()[-2000:]}")
        return await asyncio.to_thread(answers)

    await eventually(
        probe, within=START_SECONDS, what=f"{child.name} at {url}", show=lambda _: child.output()
    )


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind((HOST, 0))
        return int(sock.getsockname()[1])

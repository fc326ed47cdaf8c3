"""The switch between the embedded API server and a real one, and the embedded one as a process."""

import asyncio
import os
import stat
import sys
from pathlib import Path

import pytest

from speaker.cluster import ClusterConfig
from speaker.model.objects import Kind, ObjectRef, PodView
from tests.cluster.watching import node, pod, subnet, watching
from tests.lab.kubeapi.backend import Choice, RefusedError, backend, chosen, describe
from tests.lab.kubeapi.control_plane import NoControlPlaneError, control_plane, find_programs
from tests.lab.kubeapi.crds import SUBNETS
from tests.lab.kubeapi.process import KubeApiProcess
from tests.lab.waiting import eventually


@pytest.mark.parametrize(
    ("environment", "expected", "words"),
    [
        ({}, Choice.EMBEDDED, "the embedded API server"),
        (
            {"KUBEBUILDER_ASSETS": "", "USE_EXISTING_CLUSTER": "false"},
            Choice.EMBEDDED,
            "the embedded API server",
        ),
        ({"KUBEBUILDER_ASSETS": "/opt/envtest"}, Choice.OWN, "kube-apiserver and etcd from /opt/envtest"),
        ({"USE_EXISTING_CLUSTER": "true", "KUBECONFIG": "/k"}, Choice.EXISTING, "the cluster of /k"),
        ({"USE_EXISTING_CLUSTER": "True", "HOME": "/h"}, Choice.EXISTING, "the cluster of /h/.kube/config"),
        ({"USE_EXISTING_CLUSTER": "true", "KUBEBUILDER_ASSETS": "/opt"}, Choice.EXISTING, "USE_EXISTING"),
    ],
)
def test_the_environment_chooses(environment: dict[str, str], expected: Choice, words: str) -> None:
    assert chosen(environment) is expected
    assert words in describe(environment)


async def test_objects_are_written_the_same_way_everywhere(tmp_path: Path) -> None:
    """Over HTTP with the kubeconfig alone; a CRD and its object in one go, and statuses."""
    async with backend(tmp_path) as chosen_backend:
        await chosen_backend.create(SUBNETS, subnet("ovn-default"), node("node-7"), pod("web", "10.0.0.7"))
        async with watching(ClusterConfig(kubeconfig=chosen_backend.kubeconfig)) as seen:
            await seen.synced()
            web = seen.views[ObjectRef(Kind.POD, "default", "web")]
            assert isinstance(web, PodView)
            assert [str(each) for each in web.pod_ips] == ["10.0.0.7"]
            assert ObjectRef(Kind.SUBNET, "", "ovn-default") in seen.views
        with pytest.raises(RefusedError, match="AlreadyExists"):
            await chosen_backend.create(node("node-7"))


async def test_the_embedded_one_offers_faults(tmp_path: Path) -> None:
    async with backend(tmp_path, {}) as embedded:
        assert embedded.embedded is not None
        assert embedded.faults is embedded.embedded.faults


async def test_an_existing_cluster_is_taken_as_it_is(tmp_path: Path) -> None:
    environment = {"USE_EXISTING_CLUSTER": "true", "KUBECONFIG": "/some/where:/else"}
    async with backend(tmp_path, environment) as existing:
        assert (existing.kubeconfig, existing.faults) == ("/some/where:/else", None)


async def test_programs_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(NoControlPlaneError, match="there is no program etcd at"):
        async with backend(tmp_path, {"KUBEBUILDER_ASSETS": str(tmp_path)}):
            pass


# -- a control plane of stand-ins: what is started, with what, and that it ends ------------------------

STAND_IN = '''#!{python} -P
"""Answers as {name} does when it is ready, to a client with a certificate of the right authority."""
import http.server, os, ssl, sys
flags = dict(each.removeprefix("--").partition("=")[::2] for each in sys.argv[1:])
with open(os.path.join({folder!r}, "{name}.pid"), "w") as file:
    file.write(str(os.getpid()))
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "{ready}" else 404)
        self.end_headers()
    def log_message(self, *arguments):
        pass
port = (flags.get("secure-port") or flags["listen-client-urls"]).rpartition(":")[2]
server = http.server.HTTPServer(("127.0.0.1", int(port)), Handler)
if "secure-port" in flags:
    for key in ("etcd-servers", "service-account-signing-key-file", "service-account-key-file"):
        assert flags[key], key
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(flags["tls-cert-file"], flags["tls-private-key-file"])
    context.load_verify_locations(flags["client-ca-file"])
    context.verify_mode = ssl.CERT_REQUIRED
    server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
'''


def stand_in(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def assets(tmp_path: Path) -> Path:
    folder = tmp_path / "assets"
    folder.mkdir()
    for name, ready in (("etcd", "/health"), ("kube-apiserver", "/readyz")):
        text = STAND_IN.format(python=sys.executable, name=name, ready=ready, folder=str(folder))
        stand_in(folder, name, text)
    return folder


async def test_a_control_plane_of_our_own_starts_and_ends(assets: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    async with backend(folder, {"KUBEBUILDER_ASSETS": str(assets)}) as own:
        assert own.faults is None
        assert "client-key-data" in Path(own.kubeconfig).read_text()
        assert stat.S_IMODE(Path(own.kubeconfig).stat().st_mode) == 0o600
        pids = [int((assets / f"{name}.pid").read_text()) for name in ("etcd", "kube-apiserver")]
        assert all(map(is_alive, pids))
    assert not any(map(is_alive, pids))


async def test_a_control_plane_that_does_not_start_says_why(assets: Path, tmp_path: Path) -> None:
    stand_in(assets, "kube-apiserver", "#!/bin/sh\necho unknown flag: --frobnicate >&2\nexit 1\n")
    with pytest.raises(NoControlPlaneError, match="kube-apiserver ended at its start:\nunknown flag"):
        async with control_plane(find_programs({"KUBEBUILDER_ASSETS": str(assets)}), tmp_path):
            pass
    assert not is_alive(int((assets / "etcd.pid").read_text()))


def test_each_program_may_be_named_by_itself(assets: Path) -> None:
    other = assets / "kube-apiserver"
    programs = find_programs({"KUBEBUILDER_ASSETS": str(assets), "TEST_ASSET_ETCD": str(other)})
    assert programs.etcd == programs.kube_apiserver == other


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


# -- the embedded one as a process ---------------------------------------------------------------------


@pytest.mark.parametrize("forget_history", [False, True])
async def test_a_killed_server_comes_back_as_it_was(tmp_path: Path, forget_history: bool) -> None:
    """Same port, same certificates, same tokens, same objects; the speaker goes on by itself."""
    async with KubeApiProcess(tmp_path) as server:
        existing = {"USE_EXISTING_CLUSTER": "true", "KUBECONFIG": str(server.kubeconfig)}
        config = ClusterConfig(kubeconfig=str(server.kubeconfig))
        async with backend(tmp_path, existing) as there, watching(config) as seen:
            await there.create(node(), pod("web", "10.0.0.7"))
            await seen.synced()
            await eventually(lambda: len(seen.views) >= 5, what="the objects")
            before, url = dict(seen.views), server.url
            await server.kill()
            await eventually(lambda: len(seen.failing) == 5, what="trouble with all that is there")
            assert (seen.views, seen.gone) == (before, set())
            await server.start(forget_history=forget_history)
            assert server.url == url
            await there.create(pod("late", "10.0.0.8"))
            await eventually(lambda: any(ref.name == "late" for ref in seen.views), what="the new Pod")
            assert not seen.gone
            await eventually(lambda: not seen.failing, what="the end of all trouble")


async def test_the_server_dies_with_its_parent(tmp_path: Path) -> None:
    """However the parent ends: here it is killed."""
    program = (
        "import asyncio, pathlib, sys\n"
        "from tests.lab.kubeapi.process import KubeApiProcess\n"
        "async def main():\n"
        "    async with KubeApiProcess(pathlib.Path(sys.argv[1]), tls=False) as server:\n"
        "        print(server.pid, flush=True)\n"
        "        await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    pid = int(await parent.stdout.readline())
    assert is_alive(pid)
    parent.kill()
    await parent.wait()
    await eventually(lambda: not is_alive(pid), what="the end of the server")

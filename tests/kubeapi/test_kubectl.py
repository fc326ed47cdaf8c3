"""The real kubectl against the embedded API server: what people type."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import yaml

from tests.cluster.watching import endpoint_slice, node, pods, service, subnet
from tests.lab.kubeapi import KubeApi
from tests.lab.kubeapi.crds import IPS, SUBNETS
from tests.lab.kubectl import CommandFailedError, Kubectl
from tests.lab.processes import mortal
from tests.lab.roles import SERVICE_ACCOUNT, role_manifests

pytestmark = pytest.mark.kubectl


class Shell:
    """kubectl, its words given as one text."""

    def __init__(self, kubeconfig: Path, home: Path) -> None:
        self.kubeconfig, self.home = kubeconfig, home
        self._kubectl = Kubectl(kubeconfig, home=home)

    async def __call__(self, words: str, *more: str, stdin: object = "") -> str:
        text = stdin if isinstance(stdin, str) else yaml.safe_dump(stdin)
        return await self._kubectl.run((*words.split(), *more), text)

    async def fails(self, words: str, *more: str, stdin: object = "") -> str:
        """What it says when it refuses."""
        with pytest.raises(CommandFailedError) as caught:
            await self(words, *more, stdin=stdin)
        return str(caught.value)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """kubectl's caches; the port of each server is another, so they do not mix."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[KubeApi]:
    """With TLS: without it kubectl sends no token."""
    async with KubeApi(tmp_path, tls=True) as running:
        running.create(SUBNETS, IPS, node(), *pods(3), service("shop"))
        running.create(endpoint_slice("shop-1", "shop", "node-1"), subnet("ovn-default"))
        yield running


@pytest.fixture
def kubectl(api: KubeApi, home: Path, tmp_path: Path) -> Shell:
    return Shell(api.kubeconfig(tmp_path / "kubeconfig"), home)


# -- reading -------------------------------------------------------------------------------------------


async def test_get_prints_the_columns_that_people_know(kubectl: Shell) -> None:
    lines = (await kubectl("get pods -o wide")).splitlines()
    assert lines[0].split()[:5] == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert "10.0.0.1" in lines[1]
    assert "node-1" in lines[1]
    assert (await kubectl("get subnets")).splitlines()[1].split()[:2] == ["ovn-default", "10.16.0.0/16"]
    assert "shop" in await kubectl("get svc,nodes,endpointslices")


async def test_get_knows_outputs_and_selectors(kubectl: Shell) -> None:
    text = await kubectl(
        "get pods --field-selector metadata.name=pod-0001 -o jsonpath={.items[*].status.podIP}"
    )
    assert text == "10.0.0.2"
    assert yaml.safe_load(await kubectl("get pod pod-0001 -o yaml"))["metadata"]["name"] == "pod-0001"
    assert json.loads(await kubectl("get pods -o json"))["kind"] == "List"
    assert await kubectl("get pods -A --sort-by=.metadata.name -o name") == "\n".join(
        f"pod/pod-{n:04}" for n in range(3)
    )
    assert "pod-0001" in await kubectl("get all")


async def test_what_is_not_there_is_said_in_kubectl_s_words(kubectl: Shell) -> None:
    assert 'pods "none" not found' in await kubectl.fails("get pod none")
    assert "the server doesn't have a resource type" in await kubectl.fails("get teapots")
    assert "No resources found" in await kubectl("get configmaps")


async def test_describe_shows_the_events_of_an_object(api: KubeApi, kubectl: Shell) -> None:
    (found,) = [each for each in api.store.all(("", "pods")) if each["metadata"]["name"] == "pod-0001"]
    about = {"kind": "Pod", "namespace": "default", "name": "pod-0001", "uid": found["metadata"]["uid"]}
    moment = found["metadata"]["creationTimestamp"]
    api.create(
        {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": "pod-0001.1"},
            "involvedObject": about,
            "type": "Warning",
            "reason": "InvalidAnnotation",
            "message": "a sentence",
            "count": 2,
            "firstTimestamp": moment,
            "lastTimestamp": moment,
            "source": {"component": "speaker"},
        }
    )
    text = await kubectl("describe pod pod-0001")
    assert "InvalidAnnotation" in text
    assert "a sentence" in text
    assert "a sentence" in await kubectl("get events")


@pytest.mark.new_kubectl
async def test_explain_and_api_resources_know_the_crds(kubectl: Shell) -> None:
    assert "cidrBlock" in await kubectl("explain subnets.spec")
    assert "kubeovn.io/v1" in await kubectl("api-resources")
    assert "kubeovn.io/v1" in await kubectl("api-versions")
    assert "embedded" in await kubectl("version")


# -- writing -------------------------------------------------------------------------------------------


async def test_annotate_and_label(api: KubeApi, kubectl: Shell) -> None:
    assert await kubectl("annotate pod pod-0001 ovn.kubernetes.io/bgp=true") == "pod/pod-0001 annotated"
    assert "already has a value" in await kubectl.fails("annotate pod pod-0001 ovn.kubernetes.io/bgp=local")
    await kubectl("annotate --overwrite pod pod-0001 ovn.kubernetes.io/bgp=local")
    await kubectl("annotate pod --all note=x")
    await kubectl("label node node-1 ovn.kubernetes.io/bgp-")
    found = {each["metadata"]["name"]: each["metadata"] for each in api.store.all(("", "pods"))}
    assert found["pod-0001"]["annotations"] == {"ovn.kubernetes.io/bgp": "local", "note": "x"}
    assert found["pod-0002"]["annotations"] == {"note": "x"}
    assert "labels" not in api.store.all(("", "nodes"))[0]["metadata"]


async def test_apply_creates_changes_and_leaves_alone(kubectl: Shell) -> None:
    wanted = service("web")
    assert await kubectl("apply -f -", stdin=wanted) == "service/web created"
    assert await kubectl("apply -f -", stdin=wanted) == "service/web unchanged"
    wanted["spec"]["ports"] = [{"port": 81, "name": "http"}]
    assert await kubectl("apply -f -", stdin=wanted) == "service/web configured"
    assert await kubectl("get service web -o jsonpath={.spec.ports[*].port}") == "81"


async def test_apply_of_a_custom_resource(kubectl: Shell) -> None:
    wanted = subnet("second", "10.17.0.0/16")
    assert await kubectl("apply -f -", stdin=wanted) == "subnet.kubeovn.io/second created"
    wanted["spec"]["vpc"] = "other"
    assert await kubectl("apply -f -", stdin=wanted) == "subnet.kubeovn.io/second configured"
    assert await kubectl("get subnet second -o jsonpath={.spec.vpc}") == "other"


@pytest.mark.new_kubectl
async def test_server_side_apply_and_diff(kubectl: Shell) -> None:
    wanted = service("web")
    assert "serverside-applied" in await kubectl("apply --server-side -f -", stdin=wanted)
    assert "serverside-applied" in await kubectl("apply --server-side -f -", stdin=wanted)
    wanted["metadata"]["labels"] = {"new": "label"}
    assert "new: label" in await kubectl.fails("diff -f -", stdin=wanted)


@pytest.mark.new_kubectl
async def test_a_mistake_in_a_custom_resource_is_named(kubectl: Shell) -> None:
    wanted = subnet("second")
    wanted["spec"] = {"cidrr": "10.0.0.0/8"}
    assert 'unknown field "spec.cidrr"' in await kubectl.fails("apply -f -", stdin=wanted)
    wanted["spec"] = {"protocol": "IPv5"}
    said = await kubectl.fails("apply -f -", stdin=wanted)
    assert 'spec.protocol: Unsupported value: "IPv5": supported values: "IPv4", "IPv6", "Dual"' in said


async def test_create_of_the_kinds_that_are_sent_in_protobuf(kubectl: Shell) -> None:
    await kubectl("create namespace shop")
    await kubectl("create configmap settings --from-literal=a=b")
    await kubectl("create secret generic password --from-literal=p=geheim")
    await kubectl("create service clusterip front --tcp=80:8080")
    assert await kubectl("get configmap settings -o jsonpath={.data.a}") == "b"
    assert await kubectl("get secret password -o jsonpath={.data.p}") == "Z2VoZWlt"
    assert await kubectl("get service front -o jsonpath={.spec.ports[0].targetPort}") == "8080"


@pytest.mark.parametrize(
    ("kind", "patch"),
    [
        ("json", '[{"op":"add","path":"/metadata/labels","value":{"a":"b"}}]'),
        ("merge", '{"metadata":{"labels":{"a":"b"}}}'),
        ("strategic", '{"metadata":{"labels":{"a":"b"}}}'),
    ],
)
async def test_patches(kubectl: Shell, kind: str, patch: str) -> None:
    await kubectl(f"patch pod pod-0001 --type={kind} -p", patch)
    assert await kubectl("get pod pod-0001 -o jsonpath={.metadata.labels.a}") == "b"


@pytest.mark.new_kubectl
async def test_a_status_is_patched_by_itself(kubectl: Shell) -> None:
    patch = '{"status":{"phase":"Succeeded"},"metadata":{"labels":{"a":"b"}}}'
    await kubectl("patch pod pod-0001 --subresource=status --type=merge -p", patch)
    assert await kubectl("get pod pod-0001 -o jsonpath={.status.phase}{.metadata.labels}") == "Succeeded"


async def test_cordon_taint_and_expose(kubectl: Shell) -> None:
    await kubectl("cordon node-1")
    await kubectl("taint node node-1 key=value:NoSchedule")
    assert "SchedulingDisabled" in await kubectl("get nodes")
    await kubectl("label pod pod-0001 app=web")
    await kubectl("expose pod pod-0001 --port=80 --type=LoadBalancer --name=web")
    assert "LoadBalancer" in await kubectl("get service web")


async def test_delete_waits_for_the_end(kubectl: Shell) -> None:
    assert 'pod "pod-0001" deleted' in await kubectl("delete pod pod-0001")
    await kubectl("delete crd subnets.kubeovn.io")
    assert "the server could not find the requested resource" in await kubectl.fails("get subnets")


async def test_replace_keeps_to_the_version(kubectl: Shell) -> None:
    old = yaml.safe_load(await kubectl("get pod pod-0001 -o yaml"))
    await kubectl("label pod pod-0001 a=b")
    assert "the object has been modified" in await kubectl.fails("replace -f -", stdin=old)


# -- watching ------------------------------------------------------------------------------------------


async def test_get_w_shows_each_change(kubectl: Shell) -> None:
    process = await asyncio.create_subprocess_exec(
        *mortal(["kubectl", "get", "pods", "-w", "--output-watch-events", "--no-headers"]),
        env={"KUBECONFIG": str(kubectl.kubeconfig), "HOME": str(kubectl.home), "PATH": "/usr/bin:/bin"},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        lines = [(await process.stdout.readline()).decode().split()[:2] for _ in range(3)]
        await kubectl("annotate pod pod-0001 a=b")
        await kubectl("delete pod pod-0002 --wait=false")
        lines += [(await process.stdout.readline()).decode().split()[:2] for _ in range(2)]
    finally:
        process.kill()
        await process.wait()
    assert lines[-2:] == [["MODIFIED", "pod-0001"], ["DELETED", "pod-0002"]]


@pytest.mark.new_kubectl
async def test_wait_returns_when_the_condition_holds(kubectl: Shell) -> None:
    waiting = asyncio.create_task(
        kubectl("wait pod/pod-0001 --for=jsonpath={.status.phase}=Failed --timeout=20s")
    )
    await kubectl("patch pod pod-0001 --subresource=status --type=merge -p", '{"status":{"phase":"Failed"}}')
    assert await waiting == "pod/pod-0001 condition met"


# -- who may -------------------------------------------------------------------------------------------


async def test_auth_can_i_reads_the_roles_of_the_speaker(api: KubeApi, home: Path, tmp_path: Path) -> None:
    api.create(*role_manifests())
    speaker = Shell(api.kubeconfig(tmp_path / "speaker", service_account=SERVICE_ACCOUNT), home)
    for question in ("list pods -A", "watch subnets.kubeovn.io", "create events", "get nodes"):
        assert (await speaker(f"auth can-i {question}")).endswith("yes"), question
    for question in ("delete pods", "list secrets", "update subnets.kubeovn.io", "get daemonsets.apps -A"):
        assert (await speaker.fails(f"auth can-i {question}")).endswith("no"), question
    assert "forbidden" in (await speaker.fails("get secrets")).lower()


async def test_a_wrong_token_is_unauthorized(api: KubeApi, kubectl: Shell) -> None:
    text = kubectl.kubeconfig.read_text().replace(api.authority.admin_token, "wrong")
    kubectl.kubeconfig.write_text(text)
    assert "Unauthorized" in await kubectl.fails("get pods") or "logged in" in await kubectl.fails("get pods")

"""Who we are to the API server: from a kubeconfig or in a Pod, and when the token or the CA changes."""

import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from speaker.cluster import ClusterConfig, list_once
from speaker.cluster.transport import TOKEN_LIVES_SECONDS
from speaker.errors import ClusterError
from speaker.model.objects import Kind
from tests.cluster.watching import converged, create, node, pod, pods, reflecting, watching
from tests.lab.kubeapi import KubeApi
from tests.lab.kubeapi.tls import make_certificates
from tests.lab.waiting import eventually

READER = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRole",
    "metadata": {"name": "reader"},
    "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"]}],
}
BINDING = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRoleBinding",
    "metadata": {"name": "reader"},
    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "reader"},
    "subjects": [{"kind": "ServiceAccount", "name": "speaker", "namespace": "kube-system"}],
}
ACCOUNT = "kube-system/speaker"
PODS = "/api/v1/pods"


@dataclass
class InPod:
    """A server with TLS, and the ServiceAccount's folder as the kubelet mounts it."""

    api: KubeApi
    folder: Path

    def write_token(self) -> str:
        """A new token in the place of the old one, newline included; returns it."""
        token = self.api.authority.token_for(ACCOUNT)
        (self.folder / "token").write_text(f"{token}\n")
        return token

    @property
    def config(self) -> ClusterConfig:
        return ClusterConfig(service_account_dir=str(self.folder))


@pytest.fixture
async def in_pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[InPod]:
    data, folder = tmp_path / "data", tmp_path / "serviceaccount"
    data.mkdir()
    folder.mkdir()
    async with KubeApi(data, tls=True) as api:
        create(api, READER, BINDING, node(), *pods(3))
        (folder / "ca.crt").write_bytes((data / "pki" / "ca.crt").read_bytes())
        (folder / "namespace").write_text("kube-system\n")
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(api.port))
        yield InPod(api, folder)


# -- in a Pod ------------------------------------------------------------------------------------------


async def test_a_pod_reads_the_cluster_as_its_service_account(in_pod: InPod) -> None:
    in_pod.write_token()
    async with watching(in_pod.config) as seen:
        await seen.synced()
        await converged(in_pod.api, seen)


async def test_a_new_token_in_the_file_is_used_before_the_old_one_expires(in_pod: InPod) -> None:
    in_pod.write_token()
    async with reflecting(in_pod.config) as seen:
        await converged(in_pod.api, seen, Kind.POD)
        fresh = in_pod.write_token()
        seen.time.now += TOKEN_LIVES_SECONDS + 1
        in_pod.api.authority.accept_only(fresh)
        in_pod.api.faults.reset_watches()
        create(in_pod.api, pod("late", "10.9.0.1"))
        await converged(in_pod.api, seen, Kind.POD)
        assert not any("does not accept the credentials" in each for each in seen.errors())


async def test_a_token_that_is_refused_early_is_read_again_at_once(in_pod: InPod) -> None:
    old = in_pod.write_token()
    async with reflecting(in_pod.config) as seen:
        await converged(in_pod.api, seen, Kind.POD)
        in_pod.write_token()
        in_pod.api.authority.revoke(old)
        in_pod.api.faults.reset_watches()
        create(in_pod.api, pod("late", "10.9.0.1"))
        await converged(in_pod.api, seen, Kind.POD)
        assert not any("does not accept the credentials" in each for each in seen.errors())


async def test_a_token_file_that_is_empty_for_a_moment_is_not_taken(in_pod: InPod) -> None:
    in_pod.write_token()
    async with reflecting(in_pod.config) as seen:
        await converged(in_pod.api, seen, Kind.POD)
        (in_pod.folder / "token").write_text("")
        seen.time.now += TOKEN_LIVES_SECONDS + 1
        in_pod.api.faults.reset_watches()
        create(in_pod.api, pod("late", "10.9.0.1"))
        await converged(in_pod.api, seen, Kind.POD)


@pytest.mark.parametrize("missing", ["token", "ca.crt"])
async def test_a_pod_without_its_account_is_told_so(in_pod: InPod, missing: str) -> None:
    in_pod.write_token()
    (in_pod.folder / missing).unlink()
    with pytest.raises(ClusterError, match="the Pod's ServiceAccount cannot be used to reach the API server"):
        await list_once(in_pod.config)


async def test_outside_a_pod_the_missing_address_is_told(
    in_pod: InPod, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST")
    with pytest.raises(ClusterError, match=r"ServiceAccount cannot be used .*Service host/port is not set"):
        await list_once(in_pod.config)


# -- with a kubeconfig ---------------------------------------------------------------------------------


async def test_a_kubeconfig_with_a_new_token_is_read_again(api: KubeApi, tmp_path: Path) -> None:
    create(api, READER, BINDING)
    kubeconfig = api.kubeconfig(tmp_path / "account", service_account=ACCOUNT)
    old = api.authority.issued[-1]
    async with reflecting(ClusterConfig(kubeconfig=str(kubeconfig))) as seen:
        await converged(api, seen, Kind.POD)
        api.kubeconfig(kubeconfig, service_account=ACCOUNT)
        api.authority.revoke(old)
        api.faults.reset_watches()
        create(api, pod("late", "10.9.0.1"))
        await converged(api, seen, Kind.POD)
        assert not any("does not accept the credentials" in each for each in seen.errors())


async def test_a_token_that_stays_refused_is_told_and_nothing_is_lost(api: KubeApi, tmp_path: Path) -> None:
    create(api, READER, BINDING)
    kubeconfig = api.kubeconfig(tmp_path / "account", service_account=ACCOUNT)
    token = api.authority.issued[-1]
    async with reflecting(ClusterConfig(kubeconfig=str(kubeconfig))) as seen:
        await converged(api, seen, Kind.POD)
        before = dict(seen.views)
        api.authority.revoke(token)
        api.faults.reset_watches()
        asked = len(api.requests)
        await eventually(lambda: sum(seen.time.slept) > 60, what="a minute of the clock that tests move")
        assert seen.failing == {
            "pods": f"the API server {api.url} does not accept the credentials (401): Unauthorized; "
            "check the token or the client certificate"
        }
        # Once with the token that is known and no more where the file holds the same one.
        assert len(api.requests) - asked <= len(seen.time.slept) + 1
        assert (seen.views, seen.gone) == (before, set())
        api.kubeconfig(kubeconfig, service_account=ACCOUNT)
        create(api, pod("late", "10.9.0.1"))
        await converged(api, seen, Kind.POD)


async def test_a_kubeconfig_that_is_unreadable_for_a_moment_changes_nothing(
    api: KubeApi, tmp_path: Path
) -> None:
    create(api, READER, BINDING)
    kubeconfig = api.kubeconfig(tmp_path / "account", service_account=ACCOUNT)
    token = api.authority.issued[-1]
    async with reflecting(ClusterConfig(kubeconfig=str(kubeconfig))) as seen:
        await converged(api, seen, Kind.POD)
        kubeconfig.write_text("half of a fi")
        api.authority.revoke(token)
        api.faults.reset_watches()
        await eventually(lambda: seen.failing)
        api.kubeconfig(kubeconfig, service_account=ACCOUNT)
        create(api, pod("late", "10.9.0.1"))
        await converged(api, seen, Kind.POD)
        assert not seen.gone


async def test_a_new_ca_is_taken_from_the_kubeconfig(tmp_path: Path) -> None:
    """A control plane that was rebuilt: the old CA is refused until the file holds the new one."""
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    new.mkdir()
    async with KubeApi(old, tls=True) as api:
        create(api, *pods(3))
        kubeconfig = api.kubeconfig(tmp_path / "kubeconfig")
        async with reflecting(ClusterConfig(kubeconfig=str(kubeconfig))) as seen:
            await converged(api, seen, Kind.POD)
            await api.stop()
            api.use_certificates(*make_certificates(new / "pki", ("127.0.0.1",)))
            await api.start()
            await eventually(lambda: any("its certificate is not trusted" in e for e in seen.errors()))
            api.kubeconfig(kubeconfig)
            create(api, pod("late", "10.9.0.1"))
            await converged(api, seen, Kind.POD)
            assert not seen.gone


async def test_an_exec_plugin_gives_the_token(api: KubeApi, tmp_path: Path) -> None:
    kubeconfig = _exec_kubeconfig(api, tmp_path, f"echo '{_credential(api.authority.admin_token)}'")
    async with reflecting(ClusterConfig(kubeconfig=kubeconfig)) as seen:
        await converged(api, seen, Kind.POD)


async def test_an_exec_plugin_that_fails_is_told(
    api: KubeApi, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kubeconfig = _exec_kubeconfig(api, tmp_path, "echo 'please log in' >&2; exit 1")
    with pytest.raises(ClusterError, match=r"the credential plugin fails: .*please log in"):
        await list_once(ClusterConfig(kubeconfig=kubeconfig))
    assert not api.requests, "nothing is asked as nobody"
    assert not caplog.records


def _credential(token: str) -> str:
    return (
        '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential",'
        f'"status":{{"token":"{token}"}}}}'
    )


def _exec_kubeconfig(api: KubeApi, folder: Path, script: str) -> str:
    plugin, kubeconfig = folder / "plugin", api.kubeconfig(folder / "kubeconfig")
    plugin.write_text(f"#!/bin/sh\n{script}\n")
    plugin.chmod(0o755)
    text = kubeconfig.read_text().replace(
        f"token: {api.authority.admin_token}",
        f"exec: {{apiVersion: client.authentication.k8s.io/v1, command: {plugin}}}",
    )
    kubeconfig.write_text(text)
    return str(kubeconfig)


# -- secrets -------------------------------------------------------------------------------------------


async def test_no_token_is_ever_said(api: KubeApi, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Not in a log at its most talkative, not in a sentence, not in a repr."""
    caplog.set_level(logging.DEBUG)
    create(api, READER, BINDING)
    kubeconfig = api.kubeconfig(tmp_path / "account", service_account=ACCOUNT)
    token = api.authority.issued[-1]
    config = ClusterConfig(kubeconfig=str(kubeconfig))
    async with watching(config) as seen:
        await seen.synced()
        api.authority.revoke(token)
        api.faults.reset_watches()
        await eventually(lambda: len(seen.failing) == 7)
        said = [caplog.text, repr(seen.cluster), repr(vars(seen.cluster)), *seen.errors(), repr(seen.told)]
        said += [repr(record.__dict__) for record in caplog.records]
    assert not [each for each in said if token in each]

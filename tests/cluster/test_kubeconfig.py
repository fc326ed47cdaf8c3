"""Accounts: what is read without the package `kubernetes` is what the package would read."""

import asyncio
import base64
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from kubernetes.aio.client import Configuration
from kubernetes.aio.config.incluster_config import InClusterConfigLoader

from speaker.cluster.account import Account, Unusable
from speaker.cluster.credentials import service_account
from speaker.cluster.kubeconfig import TOKEN, account, any_kind, plain
from tests.lab.kubeapi.kubeconfig import write_kubeconfig

AUTHORITY = "-----BEGIN CERTIFICATE-----\nbm90IGxvb2tlZCBhdCBoZXJl\n-----END CERTIFICATE-----\n"
BESIDE = "ca.crt"
"""A file in the kubeconfig's folder."""

texts = st.text(alphabet="abcxyz0189.-_:/", max_size=12)
servers = st.builds("{}://{}{}".format, st.sampled_from(["https", "http"]), texts, st.sampled_from(["", "/"]))
tokens = st.text(alphabet="abc123.-_ \n", min_size=1).filter(str.strip)
in_base64 = base64.b64encode(AUTHORITY.encode()).decode()
authorities = st.sampled_from(
    [{}, {"certificate-authority": BESIDE}, {"certificate-authority-data": in_base64}]
)
oddities = st.sampled_from(
    [
        {"insecure-skip-tls-verify": True},
        {"tls-server-name": "kubernetes"},
        {"proxy-url": "http://proxy:3128"},
        {"certificate-authority": ""},
        {"certificate-authority": "missing"},
        {"certificate-authority-data": ""},
        {"certificate-authority-data": "8J+Ygg=="},
        {"server": 1},
    ]
)
odd_users = st.sampled_from(
    [
        None,
        {},
        {"token": ""},
        {"token": 1},
        {"tokenFile": BESIDE},
        {"username": "u", "password": "p"},
        {"token": "t", "username": "u", "password": "p"},
        {"client-certificate": BESIDE, "client-key": BESIDE},
        {"client-certificate-data": in_base64, "client-key-data": in_base64},
    ]
)
plain_clusters = st.builds(lambda server, ca: {"server": server} | ca, servers, authorities)
plain_users = st.builds(lambda token: {"token": token}, tokens)
entries = st.lists(st.builds(lambda name: {"name": name}, st.sampled_from(["it", "other"])), max_size=2)


def document(
    cluster: object, user: object, *, before: list[dict[str, object]] | None = None
) -> dict[str, object]:
    """A kubeconfig in which everything that counts is called `it`."""

    def listed(kind: str, value: object) -> list[dict[str, object]]:
        others = [each | {kind: {"cluster": "it", "server": "https://other"}} for each in before or ()]
        return [*others, {"name": "it", kind: value}]

    return {
        "current-context": "it",
        "contexts": listed("context", {"cluster": "it", "user": "it"}),
        "clusters": listed("cluster", cluster),
        "users": listed("user", user),
    }


def both(content: dict[str, object]) -> tuple[Account | None, Account | None]:
    """What the quick way and the package make of a kubeconfig; None where it is not for them."""
    with TemporaryDirectory() as folder:
        Path(folder, BESIDE).write_text(AUTHORITY)
        path = Path(folder, "kubeconfig")
        path.write_text(yaml.safe_dump(content))
        quick = plain(str(path))
        try:
            packaged = asyncio.run(any_kind(str(path)))
        except (Unusable, OSError, ValueError, TypeError, KeyError, AttributeError):
            packaged = None
        return comparable(quick), comparable(packaged)


def comparable(found: Account | None) -> Account | None:
    """With the CA as a text, whether it had a file or not; `repr` keeps the token out of failures."""
    if found is None or found.ca_file is None:
        return found
    return replace(found, ca_file=None, ca_text=Path(found.ca_file).read_text())


@given(plain_clusters, plain_users)
def test_a_plain_kubeconfig_is_what_the_package_reads(cluster: object, user: object) -> None:
    quick, packaged = both(document(cluster, user))
    assert quick is not None
    assert quick == packaged


@given(
    st.one_of(plain_clusters, st.builds(lambda one, odd: one | odd, plain_clusters, oddities)),
    st.one_of(plain_users, odd_users),
    entries,
)
def test_an_odd_kubeconfig_is_left_to_the_package_or_read_as_it_would(
    cluster: object, user: object, before: list[dict[str, object]]
) -> None:
    quick, packaged = both(document(cluster, user, before=before))
    assert quick is None or quick == packaged


@pytest.mark.parametrize(
    "damage",
    [
        {"current-context": "missing"},
        {"contexts": None},
        {"clusters": "text"},
        {"users": []},
        {"users": [{"name": "it"}]},
        {"contexts": [{"name": "it", "context": None}]},
    ],
)
def test_what_is_wrong_is_left_to_the_package(damage: dict[str, object]) -> None:
    quick, _ = both(document({"server": "https://api"}, {"token": "t"}) | damage)
    assert quick is None


def test_several_files_are_left_to_the_package(tmp_path: Path) -> None:
    paths = [write_kubeconfig(tmp_path / name, f"http://{name}", {"token": "t"}) for name in ("a", "b")]
    together = ":".join(map(str, paths))
    assert plain(together) is None
    assert asyncio.run(account(together)).server == "http://a"


@given(st.sampled_from(["10.96.0.1", "fd00::1", "api"]), st.sampled_from(["443", "6443"]), tokens)
def test_a_service_account_is_what_the_package_reads(host: str, port: str, token: str) -> None:
    environment = {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}
    with TemporaryDirectory() as folder:
        (Path(folder) / "token").write_text(token)
        (Path(folder) / "ca.crt").write_text(AUTHORITY)
        found = service_account(Path(folder), environment)
        configuration = Configuration()
        loader = InClusterConfigLoader(  # type: ignore[no-untyped-call]
            f"{folder}/token", f"{folder}/ca.crt", try_refresh_token=False, environ=environment
        )
        loader.load_and_set(configuration)  # type: ignore[no-untyped-call]
    packaged = str(configuration.api_key[TOKEN])
    assert (found.server, found.ca_file) == (configuration.host, configuration.ssl_ca_cert)
    # The package writes the scheme small, and leaves the token's blanks to HTTP, which refuses them.
    assert found.authorization == f"Bearer {packaged.removeprefix('bearer ').strip()}"


@pytest.mark.parametrize("missing", ["KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"])
@pytest.mark.parametrize("value", [None, ""])
def test_an_address_that_is_half_known_is_none(tmp_path: Path, missing: str, value: str | None) -> None:
    environment = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"}
    del environment[missing]
    if value is not None:
        environment[missing] = value
    with pytest.raises(Unusable, match="Service host/port is not set"):
        service_account(tmp_path, environment)


@pytest.mark.parametrize("name", ["token", "ca.crt"])
def test_a_file_of_the_service_account_that_is_empty_is_none(tmp_path: Path, name: str) -> None:
    for each in ("token", "ca.crt"):
        (tmp_path / each).write_text("" if each == name else "something")
    with pytest.raises(Unusable, match=f"{name}, or it is empty"):
        service_account(tmp_path, {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"})


def test_no_token_and_no_password_is_in_the_repr_of_an_account() -> None:
    proxy = "http://somebody:secret@proxy.example"
    assert "secret" not in repr(Account(server="https://api", authorization="Bearer secret", proxy=proxy))


CONNECTING = """
import asyncio, sys
from speaker.cluster import ClusterConfig
from speaker.cluster.connection import connect

async def main():
    await (await connect(ClusterConfig(kubeconfig=sys.argv[1]))).close()

asyncio.run(main())
print("kubernetes" in sys.modules)
"""


@pytest.mark.parametrize(
    ("user", "expected"), [({"token": "t"}, "False"), ({"username": "u", "password": "p"}, "True")]
)
def test_the_package_is_imported_when_a_kubeconfig_needs_it(
    tmp_path: Path, user: dict[str, str], expected: str
) -> None:
    path = write_kubeconfig(tmp_path / "kubeconfig", "http://127.0.0.1:1", user)
    done = subprocess.run(
        [sys.executable, "-c", CONNECTING, str(path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == expected

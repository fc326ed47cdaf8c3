"""What a user reads when the cluster cannot be used: one plain sentence, and no secret in it."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import yaml

from speaker.cluster import ClusterConfig, list_once
from speaker.cluster.network import words
from speaker.errors import ClusterError
from tests.lab.kubeapi import KubeApi
from tests.lab.kubeapi.tls import make_certificates

SECRET = "c2VjcmV0LXRva2Vu"


def kubeconfig(path: Path, server: str, **cluster: str) -> Path:
    path.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "c", "cluster": {"server": server} | cluster}],
                "users": [{"name": "u", "user": {"token": SECRET}}],
                "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
                "current-context": "x",
            }
        )
    )
    return path


async def sentence(path: Path, caplog: pytest.LogCaptureFixture, patience_seconds: float = 2.0) -> str:
    """What `speaker plan` would print; checks that it is all that is said.

    Args:
        path: the kubeconfig.
        caplog: where nothing may stand.
        patience_seconds: how long every source has for its answer.
    """
    config = ClusterConfig(kubeconfig=str(path))
    with pytest.raises(ClusterError) as caught:
        await list_once(config, trouble_seconds=patience_seconds / 2, patience_seconds=patience_seconds)
    text = str(caught.value)
    assert "\n" not in text
    assert SECRET not in text
    assert len(text) < 600
    for library in ("ssl:default", "Connect call failed", "Errno", "aiohttp", "Traceback", "Error("):
        assert library not in text
    assert not caplog.records, "the sentence is the only one"
    return text


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


# -- the server ----------------------------------------------------------------------------------------


async def test_a_server_that_does_not_listen(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    server = f"https://127.0.0.1:{free_port()}"
    text = await sentence(kubeconfig(tmp_path / "kubeconfig", server), caplog)
    assert text.startswith("the cluster cannot be read: nodes, namespaces, ")
    assert text.endswith(f": the API server {server} cannot be reached: connection refused")


async def test_a_name_that_does_not_resolve(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    text = await sentence(kubeconfig(tmp_path / "kubeconfig", "https://no-such-host.invalid:6443"), caplog)
    assert text.endswith("cannot be reached: the name no-such-host.invalid cannot be resolved")


async def test_a_server_without_tls(api: KubeApi, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    server = api.url.replace("http:", "https:")
    text = await sentence(kubeconfig(tmp_path / "kubeconfig", server), caplog)
    assert f"{server} cannot be reached: no TLS connection comes about (" in text


@asynccontextmanager
async def tls_server(folder: Path, host: str = "127.0.0.1") -> AsyncIterator[KubeApi]:
    folder.mkdir()
    async with KubeApi(folder, tls=True) as api:
        await api.stop()
        api.use_certificates(*make_certificates(folder / "other", (host,)))
        await api.start()
        yield api


async def test_a_wrong_ca(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with tls_server(tmp_path / "server") as api:
        _, other = make_certificates(tmp_path / "stranger", ("127.0.0.1",))
        path = kubeconfig(tmp_path / "kubeconfig", api.url, **{"certificate-authority": str(other)})
        text = await sentence(path, caplog)
    assert f"{api.url} cannot be reached: its certificate is not trusted (" in text
    assert text.endswith("; check the CA")


async def test_no_ca(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with tls_server(tmp_path / "server") as api:
        text = await sentence(kubeconfig(tmp_path / "kubeconfig", api.url), caplog)
    assert "its certificate is not trusted (" in text


async def test_a_certificate_for_another_address(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with tls_server(tmp_path / "server", host="127.0.0.9") as api:
        path = api.kubeconfig(tmp_path / "kubeconfig")
        text = await sentence(path, caplog)
    assert "its certificate is not trusted (IP address mismatch" in text


async def test_plain_http_to_a_server_with_tls(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with tls_server(tmp_path / "server") as api:
        path = kubeconfig(tmp_path / "kubeconfig", api.url.replace("https:", "http:"))
        text = await sentence(path, caplog)
    assert "cannot be reached: " in text


async def test_a_server_that_takes_the_connection_and_is_silent(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        path = kubeconfig(tmp_path / "kubeconfig", f"http://127.0.0.1:{listening.getsockname()[1]}")
        text = await sentence(path, caplog)
    assert text.endswith(": no answer in time")


async def test_a_server_that_is_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A web server, a proxy's login page: it answers, but not as Kubernetes."""

    async def page(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 24\r\n\r\n<html>\x07\r\nnothing</html>\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(page, "127.0.0.1", 0)
    async with server:
        path = kubeconfig(tmp_path / "kubeconfig", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        text = await sentence(path, caplog)
    assert "(404): <html> nothing</html>" in text


async def test_a_token_that_is_refused(
    api: KubeApi, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # Every source has to have its answer, also on a machine that is busy.
    text = await sentence(kubeconfig(tmp_path / "kubeconfig", api.url), caplog, patience_seconds=10.0)
    assert text.endswith("(401): Unauthorized; check the token or the client certificate")


# -- the kubeconfig ------------------------------------------------------------------------------------


def _damaged(text: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(text)


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda path: path.unlink(), "there is no such file"),
        (lambda path: (path.unlink(), path.mkdir()), "there is no such file"),
        (_damaged(""), "cannot be understood"),
        (_damaged(f"token: {SECRET}: {{"), "cannot be understood"),
        (_damaged(f"- {SECRET}\n"), "cannot be understood"),
        (_damaged(f"\x00{SECRET}"), "cannot be understood"),
        (_damaged("apiVersion: v1\nkind: Config\n"), "current-context"),
    ],
    ids=["missing", "folder", "empty", "not YAML", "a list", "binary", "without a context"],
)
async def test_a_kubeconfig_that_is_none(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: Callable[[Path], object], expected: str
) -> None:
    path = kubeconfig(tmp_path / "kubeconfig", "https://127.0.0.1:1")
    damage(path)
    text = await sentence(path, caplog)
    assert text.startswith(f"the kubeconfig {path} cannot be used to reach the API server: ")
    assert expected in text


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("current-context: x", "current-context: y", "y"),
        ("cluster: c", "cluster: d", "d"),
        ("server: https://127.0.0.1:1", "server: 127.0.0.1:1", "is not a URL with https:// or http://"),
        ("server: https://127.0.0.1:1", "insecure-skip-tls-verify: true", "server"),
        (
            "server: https://127.0.0.1:1",
            f"{{server: 'https://127.0.0.1:1', certificate-authority-data: {SECRET}!}}",
            "a CA or client certificate in it is none",
        ),
        (
            "server: https://127.0.0.1:1",
            "{server: 'https://127.0.0.1:1', certificate-authority: /no/such/file}",
            "/no/such/file",
        ),
    ],
)
async def test_a_kubeconfig_with_a_mistake(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, old: str, new: str, expected: str
) -> None:
    path = kubeconfig(tmp_path / "kubeconfig", "https://127.0.0.1:1")
    before = path.read_text()
    assert old in before
    new = f"\n    {new}" if new.startswith("{") else new
    path.write_text(before.replace(f"\n    {old}" if new.startswith("\n") else old, new))
    assert expected in await sentence(path, caplog)


# -- words ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (TimeoutError(), "it does not answer in time"),
        (ConnectionResetError(104, "x"), "connection reset by peer"),
        (OSError(113, "Connect call failed ('192.0.2.1', 6443)"), "no route to host"),
        (OSError("two\nlines"), "two lines"),
        (OSError(), "OSError"),
        (ssl.SSLEOFError(8, "EOF"), "no TLS connection comes about (it ended)"),
    ],
)
def test_errors_without_a_library_s_wording(error: OSError, expected: str) -> None:
    assert words(error) == expected

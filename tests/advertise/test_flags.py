"""The command line of `speaker advertise`: what it means, and what is wrong with it."""

import os
import subprocess
import sys
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml

from speaker.errors import UsageError
from speaker.model.route import PathAttributes
from speaker.settings.advertise_settings import AdvertiseSettings, CheckSettings, advertise_settings
from speaker.settings.check_target import CheckTarget, check_target

GKE = {"localIP": "127.0.0.1", "localASN": 65000, "peers": [{"peerIP": "127.0.0.2", "peerASN": 65030}]}


def build(environ: dict[str, str] | None = None, **given: Any) -> AdvertiseSettings:
    flags = {"config": "FILE", "advertise_ip": "192.0.2.10"} | given
    return advertise_settings(flags, environ or {})


def test_addresses_become_host_routes_and_prefixes_stay() -> None:
    found = build(advertise_ip=["192.0.2.10,2001:db8::1", "198.51.100.0/24", "192.0.2.10/32"])
    assert found.prefixes == tuple(map(ip_network, ("192.0.2.10/32", "2001:db8::1/128", "198.51.100.0/24")))


def test_attributes() -> None:
    found = build(
        community=["no-export,65000:1", "65000:1:2", "rt:65000:100"], local_preference="50", med="0"
    )
    assert found.attributes == PathAttributes(
        communities=(65000 << 16 | 1, 0xFFFFFF01),
        large_communities=((65000, 1, 2),),
        extended_communities=(0x0002_FDE8_0000_0064,),
        med=0,
        local_preference=50,
    )


def test_a_virtual_address_leaves_at_once_unless_told_otherwise() -> None:
    assert (build().graceful_restart, build().drain_seconds) == (False, 0)
    assert build(shutdown="graceful-restart").graceful_restart


def test_the_environment_gives_flags_too() -> None:
    environ = {"KRS_CONFIG": "FILE", "KRS_ADVERTISE_IP": "192.0.2.1", "KRS_HEALTH_PORT": "0"}
    found = advertise_settings({}, environ)
    assert (found.config, found.prefixes, found.health_port) == ("FILE", (ip_network("192.0.2.1"),), 0)


def test_checks() -> None:
    found = build(
        check=["tcp://127.0.0.1:6443", "https://127.0.0.1:6443/readyz"],
        check_interval="500ms",
        check_timeout="1",
        check_rise="2",
        check_fall="1",
        check_ca="/ca.crt",
        check_server_name="kubernetes",
    )
    assert found.checks == CheckSettings(
        targets=(
            CheckTarget("tcp://127.0.0.1:6443", "tcp", "127.0.0.1", 6443),
            CheckTarget("https://127.0.0.1:6443/readyz", "https", "127.0.0.1", 6443, "/readyz"),
        ),
        interval_seconds=0.5,
        timeout_seconds=1,
        rise=2,
        fall=1,
        ca_file="/ca.crt",
        server_name="kubernetes",
    )


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://localhost", ("http", "localhost", 80, "/")),
        ("https://[::1]/livez?verbose", ("https", "::1", 443, "/livez?verbose")),
        ("tcp://[::1]:179/", ("tcp", "::1", 179, "")),
    ],
)
def test_a_check(url: str, expected: tuple[str, str, int, str]) -> None:
    found = check_target(url)
    assert (found.scheme, found.host, found.port, found.path) == expected


@pytest.mark.parametrize(
    "url",
    [
        *("", "6443", "127.0.0.1:6443", "tcp://127.0.0.1", "tcp://:6443", "tcp://127.0.0.1:0", "udp://h:1"),
        *(
            "tcp://h:65536",
            "tcp://h:1/path",
            "tcp://h:x",
            "http:///path",
            "http://user:word@h/",
            "http://h/#f",
        ),
        *("http://h/a b", "http://h/a\r\nX: y", "http://h/ä", "http://[::1/"),
    ],
)
def test_what_is_no_check_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="must be tcp://HOST:PORT"):
        check_target(url)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"config": None}, "missing required flag: --config"),
        ({"advertise_ip": None}, "missing required flag: --advertise-ip"),
        ({"advertise_ip": " "}, "must name an address"),
        ({"advertise_ip": "192.0.2.10/24"}, "has bits set beyond its length; write 192.0.2.0/24"),
        ({"advertise_ip": "web"}, "must be a prefix such as"),
        ({"advertise_ip": "127.0.0.1"}, "must be an address or a prefix that others can reach"),
        ({"advertise_ip": "0.0.0.0/0"}, "must be an address or a prefix that others can reach"),
        ({"advertise_ip": "fe80::1"}, "must be an address or a prefix that others can reach"),
        ({"advertise_ip": "ff02::1"}, "must be an address or a prefix that others can reach"),
        ({"community": "friends"}, "must be communities such as"),
        ({"community": [f"65000:{number}" for number in range(65)]}, "must be at most 64 communities"),
        ({"med": "-1"}, "--med=-1: must be a whole number from 0 to 4294967295"),
        ({"check": "6443"}, "--check=6443: must be tcp://HOST:PORT"),
        ({"check_interval": "0s"}, "--check-interval=0s: must be from 100ms to 1h"),
        ({"check_rise": "0"}, "--check-rise=0: must be a whole number from 1 to 1000"),
        ({"check_ca": "/ca.crt"}, "--check-ca=/ca.crt: needs a --check with https://"),
        (
            {"check": "https://h/", "check_ca": "/ca.crt", "check_insecure": "true"},
            "--check-ca=/ca.crt: excludes --check-insecure",
        ),
        ({"shutdown": "auto"}, "--shutdown=auto: must be withdraw or graceful-restart"),
        ({"health_port": "65536"}, "--health-port=65536: must be a whole number from 0 to 65535"),
    ],
)
def test_what_is_wrong_is_told(given: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        build(**given)
    assert words in str(caught.value)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "speaker", "advertise", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=50)


def test_a_wrong_file_ends_the_program_with_status_2_and_every_problem(tmp_path: Path) -> None:
    file = tmp_path / "peers.yaml"
    file.write_text(yaml.safe_dump(GKE | {"holdTime": 1, "localASN": 0}))
    done = run(f"--config={file}", "--advertise-ip=192.0.2.10")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "speaker: 2 problems:",
        f"  {file}: holdTime=1: must be 0 or from 3s to 65535s",
        f"  {file}: localASN=0: must be a whole number from 1 to 4294967295",
    ]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read: No such file or directory"),
        ("peers: [", "this is no YAML"),
        ("a: 1\n---\nb: 2\n", "must be one document, not 2"),
        ("", "must be a mapping with localIP, localASN and peers"),
        ("[" * 2000, "nested more than 100 deep"),
        ("#" * 1_100_000, "is larger than 1048576 octets"),
    ],
)
def test_a_file_that_cannot_be_read_is_told(tmp_path: Path, content: str | None, words: str) -> None:
    file = tmp_path / "peers.yaml"
    if content is not None:
        file.write_text(content)
    done = run(f"--config={file}", "--advertise-ip=192.0.2.10")
    assert (done.returncode, words in done.stderr) == (2, True), done.stderr


def test_a_password_file_that_is_wrong_is_told_without_its_content(tmp_path: Path) -> None:
    secret, file = tmp_path / "password", tmp_path / "peers.yaml"
    secret.write_text("x" * 81)
    file.write_text(yaml.safe_dump(GKE | {"passwordFile": str(secret)}))
    done = run(f"--config={file}", "--advertise-ip=192.0.2.10")
    assert done.returncode == 2
    assert done.stderr == (
        f"speaker: {file}: 127.0.0.2: passwordFile={secret}: the password in it must be of 1 to 80 octets\n"
    )


_WITHOUT_A_CLUSTER = """
import os, pathlib, signal, sys, threading, time
from speaker.cli.program import exit_status

def end_when_it_runs():
    while not pathlib.Path(sys.argv[2]).exists():
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGTERM)

threading.Thread(target=end_when_it_runs, daemon=True).start()
status = exit_status(["advertise", f"--config={sys.argv[1]}", "--advertise-ip=192.0.2.10",
                      f"--control-socket={sys.argv[2]}", "--health-port=0"])
print("status", status)
print("loaded", sorted({"kubernetes", "speaker.cluster", "speaker.daemon.speaker"} & set(sys.modules)))
"""


def test_nothing_of_kubernetes_is_loaded(tmp_path: Path) -> None:
    """The whole program, from its start to its end."""
    file = tmp_path / "peers.yaml"
    file.write_text(yaml.safe_dump(GKE | {"peerPort": 1}))
    command = [sys.executable, "-c", _WITHOUT_A_CLUSTER, str(file), str(tmp_path / "socket")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=50)
    assert done.stdout.splitlines()[-2:] == ["status 0", "loaded []"], done.stderr


_WITHOUT_A_READER = """
import os, signal, sys, threading, time
from speaker.cli.program import exit_status
from speaker.control import ask
from speaker.errors import HostError

def state():
    try:
        return ask(sys.argv[2], {"command": "status"})["advertise"][0]["state"]
    except HostError:
        return "not running yet"

def end_when_it_advertises():
    while state() != "advertised":
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGTERM)

threading.Thread(target=end_when_it_advertises, daemon=True).start()
sys.exit(exit_status(["advertise", f"--config={sys.argv[1]}", "--advertise-ip=192.0.2.10",
                      f"--control-socket={sys.argv[2]}", "--health-port=0"]))
"""


def test_a_reader_of_the_state_lines_may_go_away(tmp_path: Path) -> None:
    """As in `speaker advertise … | head -1`: what is advertised matters more."""
    file = tmp_path / "peers.yaml"
    file.write_text(yaml.safe_dump(GKE | {"peerPort": 1}))
    command = [sys.executable, "-c", _WITHOUT_A_READER, str(file), str(tmp_path / "socket")]
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as closed:
        done = subprocess.run(
            command, stdout=closed, stderr=subprocess.PIPE, text=True, check=False, timeout=50
        )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("nobody reads standard output any more") == 1
    assert "Traceback" not in done.stderr

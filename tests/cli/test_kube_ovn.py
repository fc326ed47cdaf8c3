"""The arguments of Kube-OVN's DaemonSet start the speaker unchanged."""

from collections.abc import Callable
from ipaddress import ip_address

import pytest

from speaker.cli.options import given_flags, spelled_as_click_does
from speaker.cli.run_command import run
from speaker.model.peer import GracefulRestart
from speaker.settings import Settings, settings_from

HOST = {"NODE_NAME": "node1", "POD_IP": "10.0.0.5", "POD_IPS": "10.0.0.5"}
LEAST = ("--neighbor-address=10.32.32.1", "--neighbor-as=65030", "--cluster-as=65000")

Start = Callable[..., Settings]


@pytest.fixture
def start() -> Start:
    """Gives the settings that a command line leads to, as `speaker run` reads it."""

    def settings(*arguments: str) -> Settings:
        with run.make_context("run", list(arguments)) as context:
            return settings_from(given_flags(context.params), HOST)

    return settings


def test_its_daemonset(start: Start) -> None:
    settings = start(
        "--neighbor-address=10.32.32.1",
        "--neighbor-as=65030",
        "--cluster-as=65000",
        "--v=3",
        "--logtostderr=false",
        "--alsologtostderr=true",
        "--log_file=/var/log/kube-ovn/kube-ovn-speaker.log",
        "--log_file_max_size=200",
    )
    assert settings.neighbors == (ip_address("10.32.32.1"),)
    assert (settings.neighbor_asn, settings.local_asn) == (65030, 65000)
    assert str(settings.router_id) == "10.0.0.5"


def test_a_full_command_line(start: Start) -> None:
    settings = start(
        "--neighbor-address=10.0.1.1,10.0.1.2",
        "--neighbor-ipv6-address=fd00:10:1::1",
        "--neighbor-as=65001",
        "--cluster-as=4294386121",
        "--router-id=10.0.1.2",
        "--node-ips=10.0.1.2,fd00:10:1::2",
        "--auth-password=secret",
        "--holdtime=1m30s",
        "--ebgp-multihop=2",
        "--graceful-restart",
        "--graceful-restart-time=2m",
        "--graceful-restart-deferral-time=360s",
        "--announce-cluster-ip=true",
        "--pprof-port=10668",
        "-v5",
    )
    assert len(settings.neighbors) == 3
    assert settings.hold_time_seconds == 90
    assert settings.graceful_restart == GracefulRestart(restart_time_seconds=120)
    assert settings.publication_policy().announce_cluster_ip
    assert settings.metrics_port == 10668


@pytest.mark.parametrize(
    "argument",
    [
        "--neighbor-ipv6-address=fd00::1",
        "--router-id=192.0.2.1",
        "--node-ips=10.0.0.5",
        "--allowed-source-addresses=10.0.0.5",
        "--allowed-source-ipv6-addresses=fd00::5",
        "--auth-password=secret",
        "--holdtime=30s",
        "--ebgp-multihop=255",
        "--passivemode",
        "--graceful-restart=true",
        "--graceful-restart-time=4095s",
        "--graceful-restart-deferral-time=18h",
        "--extended-nexthop",
        "--announce-cluster-ip",
        "--nat-gw-mode=false",
        "--node-name=Node1",
        "--enable-bfd=false",
        "--bfd-min-tx=300",
        "--bfd-min-rx=300",
        "--bfd-detection-multiplier=5",
        "--grpc-host=127.0.0.1",
        "--grpc-port=50051",
        "--pprof-port=10667",
        "--enable-metrics=true",
        "--kubeconfig=/etc/kubeconfig",
        "--log-perm=640",
        "--v=3",
        "-v=3",
        "-v3",
        "--vmodule=bgp=3",
        "--logtostderr",
        "--logtostderr=true",
        "--alsologtostderr=true",
        "--stderrthreshold=ERROR",
        "--stderrthreshold=2",
        "--alsologtostderrthreshold=ERROR",
        "--legacy_stderr_threshold_behavior=true",
        "--log_file=/var/log/speaker.log",
        "--log_dir=/var/log",
        "--log_file_max_size=1800",
        "--log_backtrace_at=:0",
        "--one_output",
        "--skip_headers=false",
        "--skip_log_headers",
        "--add_dir_header=true",
        "--log-file-max-size=1800",
        "--skip-headers",
    ],
)
def test_each_of_its_flags_is_taken(start: Start, argument: str) -> None:
    assert start(*LEAST, argument).node_name == "node1"


def test_a_password_with_commas_and_blanks_is_taken_as_it_is(start: Start) -> None:
    password = start(*LEAST, "--auth-password=a, b").password
    assert password is not None
    assert password.reveal() == "a, b"


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        (["--passivemode"], ["--passivemode=true"]),
        (["--passivemode=false"], ["--passivemode=false"]),
        (["--passivemode", "false"], ["--passivemode=true", "false"]),
        (["--neighbor-as", "65001", "--passivemode"], ["--neighbor-as", "65001", "--passivemode=true"]),
        (["--node-name", "--passivemode"], ["--node-name", "--passivemode"]),
        (["--log-file=/x"], ["--log_file=/x"]),
        (["--neighbor_as=1"], ["--neighbor-as=1"]),
        (["-v=5"], ["--v=5"]),
        (["-v", "5"], ["--v", "5"]),
        (["-v5"], ["-v5"]),
        (["--", "--passivemode"], ["--", "--passivemode"]),
        (["--unknown"], ["--unknown"]),
        (["--node-name"], ["--node-name"]),
    ],
)
def test_spellings(given: list[str], taken: list[str]) -> None:
    assert spelled_as_click_does(given) == taken

"""From flags and environment to settings, and every problem told at once."""

from collections.abc import Callable
from ipaddress import ip_address, ip_network

import pytest

from speaker.errors import UsageError
from speaker.model.peer import GracefulRestart, Password
from speaker.model.policy import PodCidrSource
from speaker.settings import PodScope, Settings, ShutdownMode, settings_from

Build = Callable[..., Settings]


def problems(call: Callable[[], object]) -> list[str]:
    with pytest.raises(UsageError) as caught:
        call()
    return str(caught.value).splitlines()


def test_the_least_that_starts(build: Build) -> None:
    settings = build()
    assert settings.node_name == "node1"
    assert settings.neighbors == (ip_address("10.0.0.1"),)
    assert (settings.neighbor_asn, settings.local_asn) == (65001, 65000)
    assert settings.notices == ()


def test_all_missing_flags_stand_in_one_line() -> None:
    first, *_ = problems(lambda: settings_from({}, {}))
    assert first == (
        "missing required flags: --node-name or NODE_NAME, --neighbor-as, --cluster-as,"
        " --neighbor-address, --neighbor-ipv6-address or --neighbor-range"
    )


def test_one_missing_flag_is_one_line(build: Build) -> None:
    assert problems(lambda: build(cluster_as=None)) == ["missing required flag: --cluster-as"]


ASN = "must be a whole number from 1 to 4294967295"
IPV4 = "must be written as an IPv4 address other than 0.0.0.0"
HOLDTIME = "must be 0 or from 3s to 65535s"
DNS = "must be a DNS name such as ovn.kubernetes.io"
LABEL = "must be a label as key=value, such as ovn.kubernetes.io/bgp=true"
ATTRIBUTES = "must be communities, med, local-preference, as-path-prepend or peers"
COMMUNITY = "must be communities such as 65000:100, 65000:1:2, rt:65000:100 or no-export"
EIPS = "this release does not publish EIPs; keep Kube-OVN's speaker in its NAT gateways"
ROLES = "must be provider, route-server, route-server-client, customer or peer"
RESTART = "must be from 1s to 4095s, in whole seconds"


@pytest.mark.parametrize(
    ("flag", "value", "sentence"),
    [
        ("neighbor-address", "fd00::1", "must be IPv4 only"),
        ("neighbor-address", "router", "must be an IP address"),
        ("neighbor-address", "10.0.0.1,", "must be an IP address"),
        ("neighbor-address", "", "must name a peer"),
        ("neighbor-address", "224.0.0.1", "must be an address of one host"),
        ("neighbor-address", "0.0.0.0", "must be an address of one host"),
        ("neighbor-address", "10.0.0.1,10.0.0.1", "names 10.0.0.1 more than once"),
        ("neighbor-ipv6-address", "10.0.0.1", "must be IPv6 only"),
        ("neighbor-ipv6-address", "fe80::1", "must carry its interface, such as fe80::1%eth0"),
        ("neighbor-as", "0", ASN),
        ("neighbor-as", "4294967296", ASN),
        ("cluster-as", "1.10", ASN),
        ("router-id", "fd00::1", IPV4),
        ("router-id", "0.0.0.0", IPV4),
        ("holdtime", "2s", HOLDTIME),
        ("holdtime", "65536s", HOLDTIME),
        ("holdtime", "3.5s", f"{HOLDTIME}, in whole seconds"),
        ("holdtime", "90", "must be a duration with its unit, such as 90s or 1m30s"),
        ("keepalive", "90s", "must be less than --holdtime, at best a third of it"),
        ("connect-retry", "0s", "must be from 100ms to 1h"),
        ("ebgp-multihop", "0", "must be a whole number from 1 to 255"),
        ("ebgp-multihop", "256", "must be a whole number from 1 to 255"),
        ("ttl-security", "255", "must be a whole number from 1 to 254"),
        ("passivemode", "maybe", "must be true or false"),
        ("families", "ipv5", "must be ipv4 or ipv6"),
        ("shutdown", "now", "must be auto, withdraw or graceful-restart"),
        ("shutdown", "graceful-restart", "needs --graceful-restart or --fabric"),
        ("drain-seconds", "601", "must be from 0s to 10m"),
        ("allowed-prefix", "10.0.0.1/8", "has bits set beyond its length; write 10.0.0.0/8"),
        ("allowed-prefix", "all", "must be a prefix such as 10.16.0.0/16 or fd00:10:16::/64"),
        ("allow-attributes", "weight", ATTRIBUTES),
        ("allowed-community", "1:2:3:4", COMMUNITY),
        ("annotation-prefix", "a/b", DNS),
        ("node-label", "bgp", LABEL),
        ("node-label", "a b=true", LABEL),
        ("node-name", "a b", DNS),
        ("metrics-port", "65536", "must be a whole number from 0 to 65535"),
        ("log-level", "trace", "must be debug, info, warning or error"),
        ("nat-gw-mode", "true", EIPS),
        ("bfd-min-tx", "0", "must be a whole number from 1 to 4294967"),
        ("bfd-detection-multiplier", "256", "must be a whole number from 1 to 255"),
        ("role", "boss", ROLES),
        ("add-path", "some", "must be none, send, receive or both"),
        ("interface", "eth0/1", "must be the name of a network interface such as eth0"),
        ("neighbor-range", "10.0.0.1/24", "has bits set beyond its length; write 10.0.0.0/24"),
        ("role-strict", "true", "needs --role"),
        ("listen-address", "10.0.0.1", "needs --listen-port, --passivemode, --neighbor-range or --fabric"),
        ("graceful-restart-notification", "true", "needs --graceful-restart"),
        ("long-lived-graceful-restart-time", "1h", "needs --graceful-restart"),
        ("max-prefixes", "0", "must be a whole number from 1 to 10000000"),
    ],
)
def test_a_wrong_value_names_flag_value_and_remedy(
    build: Build, flag: str, value: str, sentence: str
) -> None:
    assert problems(lambda: build(**{flag: value})) == [f"--{flag}={value}: {sentence}"]


@pytest.mark.parametrize(
    ("flag", "value", "sentence"),
    [
        ("graceful-restart-time", "0s", RESTART),
        ("graceful-restart-time", "4096s", RESTART),
        ("graceful-restart-time", "999ms", RESTART),
        ("graceful-restart-deferral-time", "18h0m1s", "must be from 1s to 18h, in whole seconds"),
    ],
)
def test_graceful_restart_times_out_of_range(build: Build, flag: str, value: str, sentence: str) -> None:
    call = {"graceful-restart": True, flag: value}
    assert problems(lambda: build(**call)) == [f"--{flag}={value}: {sentence}"]


def test_ttl_security_excludes_multihop(build: Build) -> None:
    (line,) = problems(lambda: build(ttl_security="1", ebgp_multihop="2"))
    assert line == "--ttl-security=1: excludes --ebgp-multihop: it counts the hops by itself"


def test_two_names_of_one_port_must_agree(build: Build) -> None:
    (line,) = problems(lambda: build(metrics_port="1", pprof_port="2"))
    assert line == "--pprof-port=2: is another name for --metrics-port, which says otherwise"


def test_every_problem_is_told_at_once(build: Build) -> None:
    lines = problems(lambda: build(neighbor_as=None, holdtime="1s", ebgp_multihop="0", node_ips="here"))
    assert lines[0] == "missing required flag: --neighbor-as"
    assert {line.partition("=")[0] for line in lines[1:]} == {"--holdtime", "--ebgp-multihop", "--node-ips"}


def test_a_wrong_value_is_shown_bounded_and_without_control_characters(build: Build) -> None:
    (line,) = problems(lambda: build(holdtime="\x1b[2J" + "9" * 500))
    assert line.startswith("--holdtime=[2J99")
    assert len(line) < 200


@pytest.mark.parametrize("password", ["p" * 81, "\x00" * 100])
def test_a_wrong_password_is_never_shown(build: Build, password: str) -> None:
    (line,) = problems(lambda: build(auth_password=password))
    assert line == "--auth-password: must be of 1 to 80 octets"


def test_a_wrong_password_in_the_environment_is_never_shown(build: Build) -> None:
    environ = {"NODE_NAME": "n", "POD_IP": "10.0.0.5", "KRS_AUTH_PASSWORD": "p" * 81}
    assert problems(lambda: build(environ)) == ["KRS_AUTH_PASSWORD: must be of 1 to 80 octets"]


def test_two_passwords_exclude_each_other(build: Build) -> None:
    (line,) = problems(
        lambda: build(auth_password="p", auth_password_file="/f")
    )  # the value itself is not shown
    assert line == "--auth-password-file=/f: excludes --auth-password; give one of them"


def test_the_password_is_masked_in_the_repr_of_settings(build: Build) -> None:
    settings = build(auth_password="open-sesame")
    assert settings.password == Password("open-sesame")
    assert settings.peers()[0].password == Password("open-sesame")
    assert "sesame" not in repr(settings) + repr(settings.peers())


def test_a_password_on_the_command_line_draws_a_notice(build: Build) -> None:
    (notice,) = build(auth_password="open-sesame").notices
    assert "--auth-password-file" in notice
    assert "sesame" not in notice


def test_every_flag_can_come_from_the_environment() -> None:
    environ = {
        "KRS_NEIGHBOR_ADDRESS": "10.0.0.1, 10.0.0.2",
        "KRS_NEIGHBOR_AS": "65001",
        "KRS_CLUSTER_AS": "65000",
        "KRS_NODE_NAME": "node7",
        "KRS_ROUTER_ID": "192.0.2.1",
        "KRS_PASSIVEMODE": "true",
    }
    settings = settings_from({}, environ)
    assert settings.neighbors == (ip_address("10.0.0.1"), ip_address("10.0.0.2"))
    assert settings.passive
    assert settings.node_name == "node7"


def test_the_command_line_is_stronger_than_the_environment(build: Build) -> None:
    environ = {"NODE_NAME": "n", "POD_IP": "10.0.0.5", "KRS_HOLDTIME": "30s"}
    assert build(environ, holdtime="9s").hold_time_seconds == 9
    assert build(environ).hold_time_seconds == 30


def test_a_wrong_value_in_the_environment_names_the_variable(build: Build) -> None:
    environ = {"NODE_NAME": "n", "POD_IP": "10.0.0.5", "KRS_HOLDTIME": "1s"}
    assert problems(lambda: build(environ)) == ["KRS_HOLDTIME=1s: must be 0 or from 3s to 65535s"]


def test_a_variable_of_no_flag_draws_a_notice_with_the_nearest(build: Build) -> None:
    environ = {"NODE_NAME": "n", "POD_IP": "10.0.0.5", "KRS_HOLD_TIME": "30s"}
    assert build(environ).notices == (
        "the environment variable KRS_HOLD_TIME is no flag's; did you mean KRS_HOLDTIME?",
    )


def test_the_last_of_several_texts_counts_for_a_single_value(build: Build) -> None:
    assert build(holdtime=("30s", "60s")).hold_time_seconds == 60


def test_lists_come_by_comma_and_by_repetition(build: Build) -> None:
    settings = build(neighbor_address=("10.0.0.1,10.0.0.2", "10.0.0.3"))
    assert [str(address) for address in settings.neighbors] == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]


def test_a_mapped_ipv4_address_is_ipv4_as_in_go(build: Build) -> None:
    assert build(neighbor_address="::ffff:10.0.0.9").neighbors == (ip_address("10.0.0.9"),)


def test_the_node_name_is_lower_cased_as_in_kube_ovn(build: Build) -> None:
    settings = build(node_name="Node-A")
    assert settings.node_name == settings.publication_policy().node_name == "node-a"


@pytest.mark.parametrize(
    ("flags", "environ", "router_id"),
    [
        pytest.param({"router-id": "192.0.2.1"}, {"POD_IPS": "10.0.0.5"}, "192.0.2.1", id="explicit"),
        pytest.param({}, {"POD_IPS": "fd00::5,10.0.0.5", "POD_IP": "10.0.0.6"}, "10.0.0.5", id="POD_IPS"),
        pytest.param({}, {"POD_IP": "10.0.0.6"}, "10.0.0.6", id="POD_IP"),
        pytest.param({"node-ips": "fd00::5,10.0.0.7"}, {"POD_IPS": "fd00::5"}, "10.0.0.7", id="node-ips"),
    ],
)
def test_the_router_id(
    build: Build, flags: dict[str, object], environ: dict[str, str], router_id: str
) -> None:
    assert str(build({"NODE_NAME": "n"} | environ, **flags).router_id) == router_id


def test_a_node_without_ipv4_must_be_told_its_router_id(build: Build) -> None:
    (line,) = problems(lambda: build({"NODE_NAME": "n", "POD_IPS": "fd00::5"}))
    assert line.startswith("--router-id: must be given")


def test_wrong_pod_addresses_are_told(build: Build) -> None:
    lines = problems(lambda: build({"NODE_NAME": "n", "POD_IPS": "here"}, router_id="192.0.2.1"))
    assert lines == ["POD_IPS=here: must be an IP address"]


def test_graceful_restart_times_are_looked_at_only_when_they_count(build: Build) -> None:
    assert build(graceful_restart_time="9000s").graceful_restart is None


@pytest.mark.parametrize(
    ("time", "deferral", "seconds"), [("1s", "1s", (1, 1)), ("4095s", "18h", (4095, 64800))]
)
def test_graceful_restart_bounds(build: Build, time: str, deferral: str, seconds: tuple[int, int]) -> None:
    settings = build(
        graceful_restart=True, graceful_restart_time=time, graceful_restart_deferral_time=deferral
    )
    restart, deferred = seconds
    assert settings.graceful_restart == GracefulRestart(
        restart_time_seconds=restart, deferral_time_seconds=deferred
    )


def test_publication_flags_reach_the_policy(build: Build) -> None:
    policy = build(
        annotation_prefix="bgp.example.org",
        announce_cluster_ip=True,
        announce_lb_ip=False,
        announce_external_ip=True,
        announce_pod_cidr=True,
        announce_subnet_pods=True,
        announce_without_endpoints=True,
        pod_cidr_source="kube-ovn",
        allowed_prefix=["10.0.0.0/8", "fd00::/8"],
        allow_attributes="med,communities",
        allowed_community="65000:1,no-export",
        trust_pod_annotations=True,
        max_advertised_prefixes=1000,
        max_prefixes_per_namespace=10,
        drain_on_cordon=True,
    ).publication_policy()
    assert policy.annotation_prefix == "bgp.example.org"
    assert policy.node_label == ("bgp.example.org/bgp", "true")
    assert (policy.announce_cluster_ip, policy.announce_lb_ip, policy.announce_external_ip) == (
        True,
        False,
        True,
    )
    assert policy.announce_pod_cidr
    assert policy.announce_subnet_pods
    assert policy.announce_without_endpoints
    assert policy.pod_cidr_source is PodCidrSource.KUBE_OVN
    assert policy.allowed_prefixes == (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
    assert policy.allow_attributes == {"med", "communities"}
    assert policy.allowed_communities == ("65000:1", "no-export")
    assert policy.trust_pod_annotations
    assert (policy.max_advertised_prefixes, policy.max_prefixes_per_namespace) == (1000, 10)
    assert policy.drain_on_cordon


@pytest.mark.parametrize(
    ("text", "label"), [("", None), ("role=edge", ("role", "edge")), ("a.b/role=", ("a.b/role", ""))]
)
def test_the_node_label(build: Build, text: str, label: tuple[str, str] | None) -> None:
    assert build(node_label=text).publication_policy().node_label == label


@pytest.mark.parametrize(
    ("flags", "port"),
    [
        ({}, None),
        ({"passivemode": True}, 179),
        ({"listen-port": "1790"}, 1790),
        ({"passivemode": True, "listen-port": "1790"}, 1790),
    ],
)
def test_who_listens(build: Build, flags: dict[str, object], port: int | None) -> None:
    assert build(**flags).listen_port == port


@pytest.mark.parametrize(
    ("flags", "address", "port"),
    [
        ({}, "10.0.0.5", 10667),
        ({"pprof-port": "9000"}, "10.0.0.5", 9000),
        ({"metrics-port": "9000", "metrics-address": "::"}, "::", 9000),
        ({"metrics-port": "0"}, "10.0.0.5", 0),
        ({"enable-metrics": "false"}, None, 10667),
    ],
)
def test_where_metrics_are_served(
    build: Build, flags: dict[str, object], address: str | None, port: int
) -> None:
    settings = build(**flags)
    assert settings.metrics_address == (ip_address(address) if address else None)
    assert settings.metrics_port == port


def test_without_a_pod_address_metrics_are_served_everywhere(build: Build) -> None:
    assert str(build({"NODE_NAME": "n"}, router_id="192.0.2.1").metrics_address) == "0.0.0.0"


def test_the_other_flags(build: Build) -> None:
    settings = build(
        shutdown="withdraw",
        drain_seconds="2.5",
        pod_scope="node",
        kubeconfig="/k",
        control_socket="",
        log_level="DEBUG",
        log_format="json",
        connect_retry="250ms",
        allowed_source_addresses="10.0.0.5",
        allowed_source_ipv6_addresses="fd00::5",
        auth_password_file="/secret/password",
    )
    assert settings.shutdown is ShutdownMode.WITHDRAW
    assert settings.drain_seconds == 2.5
    assert settings.pod_scope is PodScope.NODE
    assert settings.kubeconfig == "/k"
    assert settings.control_socket is None
    assert (settings.log_level, settings.log_format) == ("debug", "json")
    assert settings.connect_retry_seconds == 0.25
    assert settings.allowed_sources == (ip_address("10.0.0.5"), ip_address("fd00::5"))
    assert settings.password_file == "/secret/password"


def test_the_last_of_each_family_in_node_ips_counts_and_is_told(build: Build) -> None:
    settings = build(node_ips="10.0.0.7,fd00::7,10.0.0.8")
    assert {str(address) for address in settings.node_ips} == {"10.0.0.8", "fd00::7"}
    assert settings.notices == ("--node-ips names several addresses of one family; the last of each counts",)


def test_passive_with_graceful_restart_draws_a_notice(build: Build) -> None:
    (notice,) = build(passivemode=True, graceful_restart=True).notices
    assert "--graceful-restart-time" in notice


def test_flags_without_effect_share_a_notice(build: Build) -> None:
    notices = build(logtostderr="false", log_file="/l", grpc_port="1").notices
    assert notices == (
        "--grpc-port has no effect: use speaker status and speaker routes, which talk to --control-socket",
        (
            "--logtostderr, --log_file have no effect:"
            " logs go to standard error alone, where kubectl logs finds them"
        ),
    )


def test_a_fabric_needs_no_peer_in_flags() -> None:
    settings = settings_from({"fabric": True, "node-name": "node1"}, {})

    assert settings.peers() == ()
    assert settings.learns


def test_a_peer_in_flags_needs_both_as_numbers_under_a_fabric_too() -> None:
    given = {"fabric": True, "node-name": "node1", "neighbor-address": "192.0.2.1"}

    assert problems(lambda: settings_from(given, {})) == [
        "missing required flags: --neighbor-as, --cluster-as"
    ]


@pytest.mark.parametrize("flag", ["import-prefix=10.0.0.0/8", "kernel-table=100", "kernel-metric=5"])
def test_what_is_learned_needs_learning(build: Build, flag: str) -> None:
    name, _, value = flag.partition("=")

    assert problems(lambda: build(**{name.replace("-", "_"): value})) == [
        f"--{flag}: needs --fabric or --import-routes"
    ]


def test_a_peer_that_is_learned_from_has_a_limit(build: Build) -> None:
    assert [peer.max_prefixes for peer in build().peers()] == [None]
    assert [peer.max_prefixes for peer in build(import_routes=True).peers()] == [10_000]
    assert [peer.max_prefixes for peer in build(import_routes=True, max_prefixes=7).peers()] == [7]


def test_only_peers_that_teach_are_learned_from(build: Build) -> None:
    assert [peer.imports for peer in build().peers()] == [False]
    assert [peer.imports for peer in build(import_routes=True).peers()] == [True]

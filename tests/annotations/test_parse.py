"""From annotations to what they ask for, and what is said about those that ask nothing."""

from ipaddress import ip_address

import pytest

from annotations.parse import NOTHING_ASKED, PodNetwork, parse, pod_networks
from annotations.values import AddressType, Communities, PublishPolicy

PREFIX = "ovn.kubernetes.io"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("true", PublishPolicy.CLUSTER, id="true"),
        pytest.param("yes", PublishPolicy.CLUSTER, id="yes"),
        pytest.param("cluster", PublishPolicy.CLUSTER, id="cluster"),
        pytest.param("True", PublishPolicy.CLUSTER, id="any case"),
        pytest.param(" LOCAL ", PublishPolicy.LOCAL, id="white space around"),
        pytest.param("local", PublishPolicy.LOCAL, id="local"),
        pytest.param("false", PublishPolicy.OFF, id="false"),
        pytest.param("No", PublishPolicy.OFF, id="no"),
    ],
)
def test_the_policy(text: str, expected: PublishPolicy) -> None:
    request, problems = parse({f"{PREFIX}/bgp": text}, PREFIX)

    assert (request.policy, problems) == (expected, ())


@pytest.mark.parametrize("text", ["", "on", "1", "tru\u0435", "cluster,local", "x" * 1000])
def test_any_other_policy_asks_nothing_and_says_what_is_right(text: str) -> None:
    request, problems = parse({f"{PREFIX}/bgp": text}, PREFIX)

    assert request.policy is None
    assert [each.key for each in problems] == [f"{PREFIX}/bgp"]
    assert "true, yes or cluster" in problems[0].sentence


def test_no_annotation_asks_nothing() -> None:
    assert parse({}, PREFIX) == (NOTHING_ASKED, ())


def test_only_the_keys_under_the_prefix_count() -> None:
    written = {"other.example/bgp": "true", f"{PREFIX}/ip_address": "10.0.0.1"}

    assert parse(written, PREFIX) == (NOTHING_ASKED, ())


def test_the_prefix_can_be_another() -> None:
    request, _ = parse({"routes.example.org/bgp": "local"}, "routes.example.org")

    assert request.policy is PublishPolicy.LOCAL


def test_every_key_at_once() -> None:
    request, problems = parse(
        {
            f"{PREFIX}/bgp": "true",
            f"{PREFIX}/bgp-communities": "no-export, 65000:1, 65000:1:2, 65000:1, rt:65000:100",
            f"{PREFIX}/bgp-med": "50",
            f"{PREFIX}/bgp-local-preference": "200",
            f"{PREFIX}/bgp-as-path-prepend": "3",
            f"{PREFIX}/bgp-peers": "tor-1, 2001:DB8::0:1",
            f"{PREFIX}/bgp-addresses": "LoadBalancer,external",
        },
        PREFIX,
    )

    assert problems == ()
    assert request.communities == Communities(
        (65000 << 16 | 1, 0xFFFFFF01), ((65000, 1, 2),), (0x0002_FDE8_0000_0064,)
    )
    assert (request.med, request.local_preference, request.as_path_prepend) == (50, 200, 3)
    assert request.peers == ("tor-1", "2001:db8::1")
    assert request.addresses == frozenset({AddressType.LOADBALANCER, AddressType.EXTERNAL})


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("bgp-communities", "65536:1"),
        ("bgp-communities", "65000:1, nonsense"),
        ("bgp-communities", ","),
        ("bgp-communities", ",".join(["65000:1"] * 65)),
        ("bgp-med", "-1"),
        ("bgp-med", "4294967296"),
        ("bgp-med", "٣"),
        ("bgp-local-preference", "high"),
        ("bgp-as-path-prepend", "11"),
        ("bgp-peers", ""),
        ("bgp-peers", "a\nb"),
        ("bgp-addresses", "all"),
    ],
)
def test_a_value_without_meaning_is_left_out_and_the_rest_kept(key: str, text: str) -> None:
    request, problems = parse({f"{PREFIX}/bgp": "true", f"{PREFIX}/{key}": text}, PREFIX)

    assert request.policy is PublishPolicy.CLUSTER
    assert not request.has_attributes
    assert request.addresses is None
    assert [each.key for each in problems] == [f"{PREFIX}/{key}"]


def test_a_misspelt_key_is_told() -> None:
    _, problems = parse({f"{PREFIX}/bgp": "true", f"{PREFIX}/bgp-comunities": "65000:1"}, PREFIX)

    assert [each.key for each in problems] == [f"{PREFIX}/bgp-comunities"]


def test_a_problem_is_bounded_and_has_no_control_characters() -> None:
    hostile = "\x1b[31mred\x00\n\u202e" + "x" * 5000

    _, problems = parse({f"{PREFIX}/bgp": hostile}, PREFIX)

    assert problems[0].value.startswith("[31mred")
    assert len(problems[0].value) <= 64
    assert problems[0].sentence.isprintable()


def test_the_networks_of_a_pod() -> None:
    networks, problems = pod_networks(
        {
            "ovn.kubernetes.io/ip_address": "10.16.0.2,fd00::2",
            "ovn.kubernetes.io/logical_switch": "ovn-default",
            "net1.default.ovn.kubernetes.io/ip_address": "172.17.0.2",
            "net1.default.ovn.kubernetes.io/logical_switch": "attached",
            "ovn.kubernetes.io/bgp": "true",
        }
    )

    assert problems == ()
    assert networks == (
        PodNetwork("net1.default.ovn", "attached", (ip_address("172.17.0.2"),)),
        PodNetwork("ovn", "ovn-default", (ip_address("10.16.0.2"), ip_address("fd00::2"))),
    )


def test_a_network_without_an_address_yet() -> None:
    networks, problems = pod_networks(
        {"ovn.kubernetes.io/logical_switch": "ovn-default", "ovn.kubernetes.io/ip_address": ""}
    )

    assert (networks, problems) == ((PodNetwork("ovn", "ovn-default", ()),), ())


def test_an_address_list_that_cannot_be_read_counts_as_empty() -> None:
    networks, problems = pod_networks({"ovn.kubernetes.io/ip_address": "10.16.0.2,10.16.0.999"})

    assert networks == (PodNetwork("ovn", "", ()),)
    assert [each.key for each in problems] == ["ovn.kubernetes.io/ip_address"]

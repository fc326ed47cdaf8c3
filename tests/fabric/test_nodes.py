"""Nodes as the fabric sees them."""

from dataclasses import replace
from ipaddress import IPv4Address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speaker.fabric.nodes import NodeBook, read_as_number, read_node
from speaker.model.policy import PodCidrSource
from tests.builders import addresses, block, changes, gone, node, prefix, service, subnet

OURS = "bgp.route-speaker.io"
CALICO = "projectcalico.org"


def cidrs(book: NodeBook, name: str = "node-1") -> list[str]:
    return [str(cidr) for cidr in book.nodes[name].pod_cidrs]


def ranges(book: NodeBook) -> list[str]:
    return [str(cidr) for cidr in book.pod_ranges]


def test_without_annotations_the_internal_addresses_count() -> None:
    """The first of each family, IPv4 first; the router ID is the IPv4 address."""
    found = read_node(node(internal_ips=("2001:db8::1", "192.0.2.1", "192.0.2.9")))
    assert found.addresses == addresses(("192.0.2.1", "2001:db8::1"))
    assert found.router_id == IPv4Address("192.0.2.1")
    assert (found.as_number, found.cluster_id, found.problems) == (None, None, ())


def test_annotations_say_it_better() -> None:
    found = read_node(
        node(
            annotations={
                f"{OURS}/as-number": "64513",
                f"{OURS}/route-reflector-cluster-id": "244.0.0.1",
                f"{OURS}/router-id": "1.1.1.1",
                f"{OURS}/ipv4-address": "198.51.100.1",
                f"{OURS}/ipv6-address": "2001:db8::9",
            }
        )
    )
    assert found.addresses == addresses(("198.51.100.1", "2001:db8::9"))
    assert (found.as_number, str(found.cluster_id), str(found.router_id)) == (64513, "244.0.0.1", "1.1.1.1")


def test_calicos_annotations_count_where_ours_are_absent() -> None:
    """Calico writes addresses with the length of their prefix."""
    found = read_node(
        node(
            annotations={
                f"{CALICO}/ASNumber": "64513",
                f"{OURS}/as-number": "64514",
                f"{CALICO}/RouteReflectorClusterID": "244.0.0.1",
                f"{CALICO}/IPv4Address": "198.51.100.1/24",
            }
        )
    )
    assert (found.as_number, str(found.cluster_id)) == (64514, "244.0.0.1")
    assert found.addresses[0] == addresses(("198.51.100.1",))[0]


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("as-number", "0", "must be an AS number from 1 to 4294967295"),
        ("as-number", "1.2.3", "must be an AS number"),
        ("route-reflector-cluster-id", "one", "must be written as an IPv4 address"),
        ("router-id", "0.0.0.0", "other than 0.0.0.0"),
        ("ipv4-address", "2001:db8::1", "must be IPv4 only"),
        ("ipv4-address", "127.0.0.1", "must be an address that other nodes reach"),
    ],
)
def test_a_bad_annotation_is_told_and_counts_as_absent(key: str, value: str, expected: str) -> None:
    """The sentence names the key, the value and what would be right."""
    found = read_node(node(annotations={f"{OURS}/{key}": value}))
    assert len(found.problems) == 1
    assert f"{OURS}/{key}={value!r}" in found.problems[0]
    assert expected in found.problems[0]
    assert replace(found, problems=()) == read_node(node())


def test_as_numbers_may_be_written_with_a_dot() -> None:
    assert read_as_number("1.10") == 65546


def test_a_node_without_ipv4_has_no_router_id_of_its_own() -> None:
    assert read_node(node(internal_ips=("2001:db8::1",))).router_id is None


def test_only_nodes_with_the_label_run_a_speaker() -> None:
    book = NodeBook(label=("bgp", "true"))
    book.apply(changes(node("a", labels={"bgp": "true"}), node("b", labels={"bgp": "false"}), node("c")))
    assert {name for name, each in book.nodes.items() if each.is_speaker} == {"a"}


def test_pod_cidrs_come_from_the_nodes() -> None:
    book = NodeBook()
    book.apply(changes(node(pod_cidrs=("10.244.1.0/24", "fd00:10:244:1::/64"))))
    assert cidrs(book) == ["10.244.1.0/24", "fd00:10:244:1::/64"]


def test_calicos_blocks_stand_before_the_nodes_own() -> None:
    """Also on a Node that has no block yet: nothing is allocated from `podCIDRs` there."""
    book = NodeBook()
    book.apply(changes(node(pod_cidrs=("10.244.1.0/24",)), node("node-2", pod_cidrs=("10.244.2.0/24",))))
    book.apply(changes(block("10.243.0.0/26", "node-2")))
    assert (cidrs(book), cidrs(book, "node-2")) == ([], ["10.243.0.0/26"])
    book.apply([gone(block("10.243.0.0/26").meta.ref)])
    assert (cidrs(book), cidrs(book, "node-2")) == (["10.244.1.0/24"], ["10.244.2.0/24"])


def test_a_block_that_moves_leaves_its_node() -> None:
    book = NodeBook()
    book.apply(changes(node("node-1"), node("node-2"), block("10.243.0.0/26", "node-1")))
    book.apply(changes(block("10.243.0.0/26", "node-2")))
    assert (cidrs(book), cidrs(book, "node-2")) == ([], ["10.243.0.0/26"])


def test_a_kube_ovn_subnet_belongs_to_its_gateway_nodes() -> None:
    book = NodeBook()
    book.apply(changes(node(pod_cidrs=("10.244.1.0/24",))))
    book.apply(changes(replace(subnet(), gateway_nodes=("node-1", "node-2"))))
    assert cidrs(book) == ["10.16.0.0/16"]
    book.apply(changes(subnet()))
    assert cidrs(book) == []


def test_a_subnet_of_a_custom_vpc_is_nobodys() -> None:
    book = NodeBook()
    book.apply(changes(node(), replace(subnet(vpc="tenant"), gateway_nodes=("node-1",))))
    assert cidrs(book) == []
    assert ranges(book) == []


def test_the_source_may_be_chosen() -> None:
    book = NodeBook(pod_cidr_source=PodCidrSource.NODE)
    book.apply(changes(node(pod_cidrs=("10.244.1.0/24",)), block("10.243.0.0/26")))
    assert cidrs(book) == ["10.244.1.0/24"]


def test_pod_ranges_are_those_of_all_sources() -> None:
    """None lies inside another, and neighbours are not joined."""
    book = NodeBook()
    book.apply(
        changes(
            node(pod_cidrs=("10.244.0.0/24", "fd00::/64")),
            node("node-2", pod_cidrs=("10.244.1.0/24",)),
            block("10.243.0.0/26"),
            block("10.16.5.0/26"),
            subnet(),
        )
    )
    assert ranges(book) == ["10.16.0.0/16", "10.243.0.0/26", "10.244.0.0/24", "10.244.1.0/24", "fd00::/64"]


def test_an_unchanged_node_stays_the_same_object() -> None:
    """Who depends on a Node need not look at it again."""
    book = NodeBook()
    book.apply(changes(node("a"), node("b")))
    before = book.nodes["a"]
    assert book.apply(changes(node("b", labels={"x": "y"})))
    assert book.nodes["a"] is before


def test_what_concerns_no_node_changes_nothing() -> None:
    book = NodeBook()
    book.apply(changes(node()))
    assert not book.apply(changes(node(), service()))


def test_a_node_that_is_gone_is_gone() -> None:
    book = NodeBook()
    book.apply(changes(node(pod_cidrs=("10.244.1.0/24",))))
    assert book.uids == {"node-1": "uid-of-Node--node-1"}
    assert book.apply([gone(node().meta.ref)])
    assert (dict(book.nodes), ranges(book), dict(book.uids)) == ({}, [], {})


views = st.sampled_from(
    [
        node("node-1", pod_cidrs=("10.244.1.0/24",)),
        node("node-1", pod_cidrs=("10.244.2.0/24",)),
        node("node-2", pod_cidrs=("10.244.1.0/24",)),
        block("10.243.0.0/26", "node-1"),
        block("10.243.0.0/26", "node-2"),
        block("10.243.0.64/26", "node-1"),
        replace(subnet(), gateway_nodes=("node-1",)),
        replace(subnet(), gateway_nodes=("node-2",)),
        subnet(),
    ]
)


@settings(deadline=None)
@given(happened=st.lists(st.tuples(views, st.booleans(), st.booleans())))
def test_change_by_change_equals_all_at_once(happened: list[tuple[object, bool, bool]]) -> None:
    """After any sequence, with the Nodes read at any moment."""
    book = NodeBook()
    final: dict[object, object] = {}
    for view, stays, look in happened:
        ref = view.meta.ref  # type: ignore[attr-defined]
        book.apply(changes(view) if stays else [gone(ref)])  # type: ignore[arg-type]
        final.pop(ref, None)
        if stays:
            final[ref] = view
        if look:
            assert book.nodes is not None
    fresh = NodeBook()
    fresh.apply(changes(*final.values()))  # type: ignore[arg-type]
    assert dict(book.nodes) == dict(fresh.nodes)
    assert book.pod_ranges == fresh.pod_ranges


def test_ranges_know_both_families() -> None:
    """The order of prefixes does not let one family stand for the other."""
    book = NodeBook()
    book.apply(changes(node(pod_cidrs=("0.0.0.0/0", "fd00::/64"))))
    assert book.pod_ranges == (prefix("0.0.0.0/0"), prefix("fd00::/64"))


def test_the_generation_follows_all_but_pod_cidrs() -> None:
    book = NodeBook()
    book.apply(changes(node(pod_cidrs=("10.1.0.0/24",))))
    first = book.generation

    book.apply(changes(node(pod_cidrs=("10.1.0.0/24", "10.2.0.0/24"))))
    same = book.generation
    book.apply(changes(node(pod_cidrs=("10.1.0.0/24",), labels={"rr": ""})))
    labelled = book.generation
    book.apply([gone(node().meta.ref)])

    assert first == same
    assert len({same, labelled, book.generation}) == 3

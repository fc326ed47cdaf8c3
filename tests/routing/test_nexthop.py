"""The next hop, per peer and family."""

from typing import Any

import pytest

from speaker.model.prefix import Family
from speaker.routing.nexthop import next_hop
from tests.builders import addresses, facts, host, peer, peer_view

V4 = peer("v4", "192.0.2.254")
V6 = peer("v6", "2001:db8::fe")
V6_EXTENDED = peer("v6", "2001:db8::fe", extended_next_hop=True)
INTERNAL = ("192.0.2.1", "2001:db8::1")


@pytest.mark.parametrize(
    ("family", "view", "on", "internal", "expected"),
    [
        pytest.param(
            Family.IPV4,
            peer_view(V4, session=facts("192.0.2.7"), source="192.0.2.8"),
            {},
            INTERNAL,
            "192.0.2.8",
            id="the kernel's source, which may change under a running session",
        ),
        pytest.param(
            Family.IPV4,
            peer_view(V4, session=facts("192.0.2.7")),
            {},
            INTERNAL,
            "192.0.2.7",
            id="the session's address when the kernel names none",
        ),
        pytest.param(
            Family.IPV4, peer_view(V4), {}, INTERNAL, "192.0.2.1", id="the Node's InternalIP before a session"
        ),
        pytest.param(
            Family.IPV6,
            peer_view(V4, session=facts("192.0.2.7"), source="192.0.2.7"),
            {},
            INTERNAL,
            "2001:db8::1",
            id="IPv6 on an IPv4 session: the Node's InternalIP",
        ),
        pytest.param(
            Family.IPV6,
            peer_view(V4, session=facts("192.0.2.7", extended_next_hop=True), source="192.0.2.7"),
            {},
            (),
            None,
            id="RFC 8950 is IPv4 over IPv6 only",
        ),
        pytest.param(
            Family.IPV4,
            peer_view(V6, session=facts("2001:db8::7", extended_next_hop=True), source="2001:db8::7"),
            {},
            INTERNAL,
            "2001:db8::7",
            id="RFC 8950 stands before the InternalIP",
        ),
        pytest.param(
            Family.IPV4,
            peer_view(V6_EXTENDED, session=facts("2001:db8::7"), source="2001:db8::7"),
            {},
            INTERNAL,
            "192.0.2.1",
            id="offered and not taken is not negotiated",
        ),
        pytest.param(
            Family.IPV4,
            peer_view(V6, session=facts("2001:db8::7")),
            {},
            (),
            None,
            id="nothing of the family",
        ),
        pytest.param(
            Family.IPV4,
            peer_view(V4, source="10.244.0.5"),
            {"pod_ips": ["10.244.0.5"], "node_ips": ["192.0.2.1", "2001:db8::1"]},
            (),
            "192.0.2.1",
            id="--node-ips in place of the Pod's own address",
        ),
        pytest.param(
            Family.IPV4,
            peer_view(V4, source="198.51.100.5"),
            {"pod_ips": ["10.244.0.5"], "node_ips": ["192.0.2.1"]},
            (),
            "198.51.100.5",
            id="--node-ips do not replace another address",
        ),
        pytest.param(
            Family.IPV4,
            peer_view(V4, source="10.244.0.5"),
            {"pod_ips": ["10.244.0.5"], "node_ips": ["192.0.2.1", "192.0.2.2"]},
            (),
            "192.0.2.2",
            id="the last of a family counts, as in Kube-OVN",
        ),
        pytest.param(
            Family.IPV6,
            peer_view(V4, session=facts("192.0.2.7")),
            {"node_ips": ["2001:db8::9"]},
            INTERNAL,
            "2001:db8::9",
            id="--node-ips where the session has no address of the family",
        ),
        pytest.param(
            Family.IPV4,
            peer_view(V4, source="192.0.2.8", session=facts("192.0.2.7")),
            {"allowed_sources": ["192.0.2.7", "192.0.2.100"]},
            INTERNAL,
            "192.0.2.7",
            id="an allowed source before the preferred one",
        ),
        pytest.param(
            Family.IPV4,
            peer_view(V4, source="192.0.2.8"),
            {"allowed_sources": ["192.0.2.100"]},
            INTERNAL,
            None,
            id="none but the allowed sources",
        ),
        pytest.param(
            Family.IPV4,
            peer_view(V4, source="192.0.2.8"),
            {"allowed_sources": ["192.0.2.8"], "pod_ips": ["192.0.2.8"], "node_ips": ["192.0.2.1"]},
            INTERNAL,
            "192.0.2.8",
            id="an allowed source before --node-ips",
        ),
        pytest.param(
            Family.IPV4,
            peer_view(V4, source="192.0.2.8"),
            {"allowed_sources": ["2001:db8::1"]},
            INTERNAL,
            "192.0.2.8",
            id="allowed sources of the other family do not concern it",
        ),
        pytest.param(
            Family.IPV6,
            peer_view(V6, session=facts("fe80::1%eth0"), source="fe80::1%eth0"),
            {},
            INTERNAL,
            "2001:db8::1",
            id="never a link-local address alone",
        ),
        pytest.param(
            Family.IPV6,
            peer_view(V6, session=facts("fe80::1%eth0")),
            {},
            ("192.0.2.1",),
            None,
            id="rather none than a link-local one",
        ),
        pytest.param(
            Family.IPV4,
            peer_view(peer("v4", "192.0.2.254", source=addresses(["192.0.2.3"])[0]), source="192.0.2.8"),
            {},
            INTERNAL,
            "192.0.2.3",
            id="a pinned source",
        ),
    ],
)
def test_next_hop(family: Family, view: Any, on: dict[str, Any], internal: Any, expected: str | None) -> None:
    found = next_hop(family, host(view, **on), view, addresses(internal))

    assert (found and str(found)) == expected

"""Small clusters in which everything collides: few names, few addresses, every rule in reach."""

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from speaker.model.objects import Change, Endpoint, ObjectRef, PodView, View
from speaker.model.policy import HostView, PodCidrSource, PublicationPolicy
from speaker.model.prefix import Family
from speaker.model.route import PathAttributes, Route
from tests.builders import (
    BOTH,
    NODE,
    OTHER_NODE,
    address,
    addresses,
    block,
    endpoint,
    facts,
    host,
    ip_object,
    namespace,
    network,
    node,
    peer,
    peer_view,
    pod,
    policy,
    prefix,
    service,
    slice_,
    subnet,
)

NAMES = ("a", "b", "c")
NAMESPACES = ("default", "shop")
SUBNETS = ("ovn-default", "attached", "absent")
POD_IPS = ("10.16.0.2", "10.16.0.3", "172.17.0.2", "192.0.2.254", "127.0.0.1", "fd00::2")
CIDRS = ("10.16.0.0/16", "172.17.0.0/16", "0.0.0.0/0", "fd00::/64")
POLICIES = (None, "true", "local", "false", "nonsense")

policies = st.sampled_from(POLICIES)
attributes = st.fixed_dictionaries(
    {},
    optional={
        "bgp-med": st.sampled_from(("1", "2", "x")),
        "bgp-communities": st.sampled_from(("65000:1", "65000:2,1:2:3")),
        "bgp-local-preference": st.just("200"),
        "bgp-as-path-prepend": st.just("2"),
        "bgp-peers": st.sampled_from(("p1", "192.0.2.253", "nobody")),
    },
)
nodes = st.sampled_from((NODE, OTHER_NODE))
ages = st.sampled_from((0.0, 1.0, 2.0))


def some(values: tuple[str, ...], most: int = 2) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(values), max_size=most, unique=True).map(tuple)


@st.composite
def pods(draw: st.DrawFn) -> PodView:
    written: dict[str, str] = draw(attributes)
    for provider in draw(some(("ovn", "net1.default.ovn"))):
        written |= network(provider, ",".join(draw(some(POD_IPS))), draw(st.sampled_from(SUBNETS)))
    return pod(
        draw(st.sampled_from(NAMES)),
        draw(some(POD_IPS)),
        namespace=draw(st.sampled_from(NAMESPACES)),
        bgp=draw(policies),
        annotations=written,
        node=draw(nodes),
        host_network=draw(st.sampled_from((False, False, False, True))),
        phase=draw(st.sampled_from(("Running", "Pending", "Succeeded"))),
        created_at=draw(ages),
    )


subnets = st.builds(
    subnet,
    st.sampled_from(SUBNETS[:2]),
    some(CIDRS),
    bgp=policies,
    annotations=attributes,
    vpc=st.sampled_from(("ovn-cluster", "ovn-cluster", "tenant")),
    gateway_nodes=st.sampled_from(((), (NODE,), (NODE, OTHER_NODE), (OTHER_NODE,))),
    ready=st.booleans(),
    created_at=ages,
)
namespaces = st.builds(namespace, st.sampled_from(NAMESPACES), bgp=policies, annotations=attributes)
services = st.builds(
    service,
    st.sampled_from(NAMES),
    namespace=st.sampled_from(NAMESPACES),
    type=st.sampled_from(("ClusterIP", "LoadBalancer", "LoadBalancer", "ExternalName")),
    cluster_ips=some(("10.96.0.1", "10.96.0.2", "fd00:96::1")),
    ingress=st.lists(
        st.sampled_from((("203.0.113.1", ""), ("203.0.113.2", "VIP"), ("203.0.113.1", "Proxy"))), max_size=2
    ),
    external_ips=some(("203.0.113.1", "198.51.100.1")),
    external_traffic_policy=st.sampled_from(("Cluster", "Local")),
    internal_traffic_policy=st.sampled_from(("Cluster", "Local")),
    headless=st.sampled_from((False, False, True)),
    bgp=policies,
    annotations=st.builds(
        lambda keys, types: keys | ({"bgp-addresses": types} if types else {}),
        attributes,
        st.sampled_from(("", "cluster", "loadbalancer,external")),
    ),
    created_at=ages,
)
endpoints: st.SearchStrategy[Endpoint] = st.builds(
    endpoint, nodes, ready=st.booleans(), serving=st.booleans(), terminating=st.booleans()
)


@st.composite
def slices(draw: st.DrawFn) -> View:
    return slice_(
        draw(st.sampled_from(NAMES)),
        *draw(st.lists(endpoints, max_size=2)),
        namespace=draw(st.sampled_from(NAMESPACES)),
        family=draw(st.sampled_from((Family.IPV4, Family.IPV4, Family.IPV6, None))),
        name=draw(st.sampled_from(("slice-1", "slice-2", "slice-3"))),
    )


ip_objects = st.builds(
    ip_object,
    st.sampled_from(NAMES),
    some(POD_IPS),
    namespace=st.sampled_from(NAMESPACES),
    subnet=st.sampled_from(("", *SUBNETS)),
    name=st.sampled_from(("ip-1", "ip-2", "ip-3")),
)
node_views = st.builds(
    node,
    nodes,
    labels=st.sampled_from(
        (
            {},
            {"bgp": "true"},
            {"bgp": "true"},
            {"bgp": "true", "node.kubernetes.io/exclude-from-external-load-balancers": ""},
        )
    ),
    internal_ips=some(("192.0.2.1", "192.0.2.11", "2001:db8::1")),
    pod_cidrs=some(("10.244.0.0/24", "10.16.0.0/16")),
    unschedulable=st.sampled_from((False, False, True)),
    bgp=st.sampled_from((None, None, "false")),
)
blocks = st.builds(block, st.sampled_from(("10.244.1.0/26", "10.244.2.0/26")), nodes)

views: st.SearchStrategy[View] = st.one_of(
    pods(),
    pods(),
    subnets,
    namespaces,
    services,
    services,
    slices(),
    slices(),
    ip_objects,
    node_views,
    blocks,
)


@st.composite
def change_sequences(draw: st.DrawFn, most: int = 14) -> list[Change]:
    """Objects that come, change and go; what goes may never have been there."""
    brought = draw(st.lists(views, max_size=most))
    gone = draw(st.lists(st.sampled_from(brought), max_size=4)) if brought else []
    happened = [Change(view.meta.ref, view) for view in brought] + [
        Change(view.meta.ref, None) for view in gone
    ]
    return draw(st.permutations(happened))


peer_sets = st.lists(st.sampled_from(("p1", "p2", "p3", "p4")), max_size=3, unique=True)


@st.composite
def hosts(draw: st.DrawFn) -> HostView:
    """None to three peers, as they are before and after establishment; p4 is another node."""
    known: dict[str, Callable[[], Any]] = {
        "p1": lambda: peer("p1", "192.0.2.254"),
        "p2": lambda: peer("p2", "192.0.2.253", asn=65000),
        "p3": lambda: peer("p3", "2001:db8::fe", families=frozenset({Family.IPV6}), extended_next_hop=True),
        "p4": lambda: peer("p4", "192.0.2.12", asn=65000, node=OTHER_NODE),
    }
    chosen = []
    for name in draw(peer_sets):
        session = draw(
            st.sampled_from(
                (
                    None,
                    facts(),
                    facts(families=frozenset({Family.IPV4})),
                    facts("2001:db8::2", extended_next_hop=True),
                )
            )
        )
        source = draw(st.sampled_from((None, "192.0.2.1", "192.0.2.2")))
        chosen.append(peer_view(known[name](), session=session, source=source))
    return HostView(
        node_ips=addresses(draw(some(("192.0.2.5", "2001:db8::5")))),
        pod_ips=addresses(draw(some(("192.0.2.1",)))),
        peers={view.peer.name: view for view in chosen},
    )


def usual_host() -> HostView:
    """Two peers that hear both families."""
    return host(
        peer_view(peer("p1", families=BOTH), session=facts(), source="192.0.2.1"),
        peer_view(peer("p2", "192.0.2.253", asn=65000), session=facts(), source="192.0.2.2"),
        node_ips=["2001:db8::5"],
    )


flags: st.SearchStrategy[PublicationPolicy] = st.builds(
    policy,
    node_label=st.sampled_from((None, None, ("bgp", "true"))),
    announce_cluster_ip=st.booleans(),
    announce_lb_ip=st.sampled_from((True, True, False)),
    announce_external_ip=st.booleans(),
    announce_pod_cidr=st.booleans(),
    announce_subnet_pods=st.booleans(),
    announce_without_endpoints=st.booleans(),
    pod_cidr_source=st.sampled_from(list(PodCidrSource)),
    allowed_prefixes=st.sampled_from(((), (), (prefix("10.0.0.0/8"), prefix("fd00::/8")))),
    allow_attributes=st.sampled_from(
        (frozenset(), frozenset({"communities", "med", "local-preference", "as-path-prepend", "peers"}))
    ),
    trust_pod_annotations=st.booleans(),
    max_advertised_prefixes=st.sampled_from((0, 0, 1, 3)),
    max_prefixes_per_namespace=st.sampled_from((0, 0, 1, 2)),
    drain_on_cordon=st.booleans(),
)

routes = st.builds(
    Route,
    st.sampled_from([prefix(text) for text in ("10.0.0.1/32", "10.0.0.0/24", "10.0.0.0/16", "fd00::1/128")]),
    st.sampled_from([address(text) for text in ("192.0.2.1", "192.0.2.2")]),
    st.builds(PathAttributes, med=st.sampled_from((None, 1, 2))),
)
ribs = st.lists(routes, max_size=6).map(lambda found: {route.prefix: route for route in found})


def final_state(happened: list[Change]) -> list[Change]:
    """What a sequence of changes leaves behind."""
    state: dict[ObjectRef, Change] = {}
    for change in happened:
        state[change.ref] = change
    return [change for change in state.values() if change.view is not None]

"""The short ways of the core, for what nearly all objects are like, against the plain ones."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_network

from hypothesis import given, settings
from hypothesis import strategies as st

from speaker.model.objects import Change
from speaker.model.policy import HostView, PublicationPolicy
from speaker.model.prefix import Address, host_prefix
from speaker.routing.guard import RESERVED, Guard
from speaker.routing.pods import decide_at_length, select_pods
from speaker.routing.reconcile import reconcile
from speaker.routing.request import read_request
from speaker.routing.state import Store
from tests.property import strategies

EVERYTHING = (ip_network("0.0.0.0/0"), ip_network("::/0"))
NEVER_REACHED = 1_000_000

edges = st.sampled_from([ip_network(text) for text, _ in RESERVED]).flatmap(
    lambda network: st.sampled_from((network.network_address, network.broadcast_address))
)
addresses = st.one_of(st.builds(IPv4Address, st.integers(0, 2**32 - 1)), st.ip_addresses(), edges)


@settings(deadline=None, max_examples=300)
@given(flags=strategies.flags, happened=strategies.change_sequences())
def test_a_pod_with_one_address_is_decided_as_any_other(
    flags: PublicationPolicy, happened: list[Change]
) -> None:
    store = Store(flags)
    for change in happened:
        store.apply(change)

    for ref, pod in store.pods.items():
        own = read_request(pod.meta, flags)
        assert [*select_pods([ref], store, flags)] == [decide_at_length(pod, own, store, flags)]


@settings(deadline=None, max_examples=200)
@given(flags=strategies.flags, happened=strategies.change_sequences(), host=strategies.hosts())
def test_a_prefix_that_nothing_else_has_a_say_in_is_settled_as_any_other(
    flags: PublicationPolicy, happened: list[Change], host: HostView
) -> None:
    """Under limits every prefix goes the long way, and these limits are never reached."""
    state = strategies.final_state(happened)
    limited = replace(flags, max_advertised_prefixes=NEVER_REACHED, max_prefixes_per_namespace=NEVER_REACHED)
    unlimited = replace(flags, max_advertised_prefixes=0, max_prefixes_per_namespace=0)

    assert reconcile(unlimited, host, state) == reconcile(limited, host, state)


@settings(deadline=None)
@given(address=addresses, peer=addresses)
def test_a_host_route_is_refused_whichever_way_it_is_looked_at(address: Address, peer: Address) -> None:
    """With --allowed-prefix the guard looks at every range, and this one allows everything."""
    same = IPv6Address(int(address))  # an IPv6 address with the same number is another one
    for prefix in (host_prefix(address), host_prefix(same)):
        assert Guard((), (peer, address)).refuse(prefix) == Guard(EVERYTHING, (peer, address)).refuse(prefix)
        assert Guard((), (peer,)).refuse(prefix) == Guard(EVERYTHING, (peer,)).refuse(prefix)

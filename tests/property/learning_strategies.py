"""Few peers that advertise few prefixes in every way: reflection, transit, filters, several paths."""

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import IPv4Address

from hypothesis import strategies as st

from speaker.model.fabric import BgpFilter, FilterAction, FilterOperations, FilterRule
from speaker.model.fib import UNREACHABLE, Hop, Resolution
from speaker.model.peer import NextHopMode
from speaker.model.policy import HostView, PeerView
from speaker.model.prefix import Address
from speaker.model.route import Origin, PrefixPath, Route
from speaker.routing.decision import GRACEFUL_SHUTDOWN, LLGR_STALE, Contender
from speaker.routing.imports import ImportPolicy
from tests.builders import address, addresses, prefix
from tests.routing.learning import (
    BY_DEFAULT,
    CLUSTER_ID,
    ON_LINK,
    OWN_ASN,
    VIA_ROUTER,
    learned,
    view,
    without_session,
)

NUMBERS = (1, 2, 3, 4)
PREFIXES = ("10.1.0.0/24", "10.1.0.0/24", "10.1.0.7/32", "10.2.0.0/16", "0.0.0.0/0", "fd00:1::/64")
NEXT_HOPS = ("192.0.2.11", "192.0.2.12", "2001:db8::11", "192.0.2.1")
ALL = ("0.0.0.0/0", "::/0")
ROUTER_IDS = ("192.0.2.11", "192.0.2.12", "10.0.0.1")

path_ids = st.sampled_from((0, 0, 1, 2))
routes: st.SearchStrategy[Route] = st.builds(
    learned,
    st.sampled_from(PREFIXES),
    st.sampled_from((*NEXT_HOPS[:3], *NEXT_HOPS)),
    path_id=path_ids,
    path=st.sampled_from(((), (), (), (), (64999,), (64998,), (64999, 64997), (OWN_ASN,))),
    origin=st.sampled_from(list(Origin)),
    originator=st.sampled_from((None, None, None, *ROUTER_IDS)),
    clusters=st.sampled_from(((), (), (), ("10.0.0.9",), (str(CLUSTER_ID),))),
    med=st.sampled_from((None, 1, 2)),
    local_preference=st.sampled_from((None, None, 200)),
    communities=st.sampled_from(((), (), (), (), (LLGR_STALE,), (GRACEFUL_SHUTDOWN,), (0xFFFFFF01,), (5,))),
)
withdrawals = st.builds(PrefixPath, st.sampled_from([prefix(text) for text in PREFIXES]), path_ids)


@st.composite
def views(draw: st.DrawFn, number: int) -> PeerView:
    """A peer in one of its configurations, with or without a session."""
    reflecting = draw(st.sampled_from((True, True, False)))
    found = view(
        number,
        add_path=draw(st.booleans()),
        asn=draw(st.sampled_from((OWN_ASN, OWN_ASN, OWN_ASN, 64999))),
        imports=draw(st.sampled_from((True, True, True, True, False))),
        client=draw(st.sampled_from((True, True, False))),
        cluster_id=CLUSTER_ID if reflecting else None,
        filters=draw(st.sampled_from(((), (), (), ("f",), ("f", "g"), ("absent",)))),
        next_hop_mode=draw(st.sampled_from((NextHopMode.AUTO, *NextHopMode))),
    )
    return without_session(found) if draw(st.sampled_from((False, False, True))) else found


@st.composite
def hosts(draw: st.DrawFn) -> HostView:
    """None to four peers, most of the time three or four."""
    absent = draw(st.lists(st.sampled_from(NUMBERS), max_size=draw(st.sampled_from((0, 1, 1, 4)))))
    found = [draw(views(number)) for number in NUMBERS if number not in absent]
    own = addresses(draw(st.sampled_from(((), (), (), ("192.0.2.12",)))))
    return HostView(node_ips=own, peers={each.peer.name: each for each in found})


@st.composite
def neighbouring_hosts(draw: st.DrawFn, before: HostView) -> HostView:
    """The same peers but for one, which is gone, has come or is otherwise."""
    number = draw(st.sampled_from(NUMBERS))
    peers = dict(before.peers)
    had = peers.pop(f"n{number}", None)
    if had is None:
        peers[f"n{number}"] = draw(views(number))
    else:
        now = draw(st.sampled_from((None, without_session(had), usual_view(number), "otherwise")))
        found = draw(views(number)) if now == "otherwise" else now
        if isinstance(found, PeerView):
            peers[f"n{number}"] = found
    return replace(before, peers=peers)


def usual_view(number: int) -> PeerView:
    """A client; the even ones hear several paths."""
    return view(number, add_path=number % 2 == 0, client=True, cluster_id=CLUSTER_ID)


def usual_host() -> HostView:
    """A route reflector and its clients."""
    return HostView(peers={f"n{number}": usual_view(number) for number in NUMBERS})


rules = st.builds(
    FilterRule,
    action=st.sampled_from((FilterAction.ACCEPT, FilterAction.ACCEPT, FilterAction.REJECT)),
    cidr=st.sampled_from((None, prefix("10.1.0.0/16"))),
    remote_peers=st.booleans(),
    operations=st.sampled_from(
        (FilterOperations(), FilterOperations(add_communities=(9,)), FilterOperations(set_local_preference=7))
    ),
)
rule_lists = st.lists(rules, max_size=2).map(tuple)
filters: st.SearchStrategy[Mapping[str, BgpFilter]] = st.fixed_dictionaries(
    {
        name: st.builds(
            BgpFilter,
            name=st.just(name),
            import_v4=rule_lists,
            export_v4=rule_lists,
            import_v6=rule_lists,
            export_v6=rule_lists,
        )
        for name in ("f", "g")
    }
)
policies: st.SearchStrategy[ImportPolicy] = st.builds(
    ImportPolicy,
    ranges=st.sampled_from(
        [
            tuple(prefix(text) for text in texts)
            for texts in (ALL, ALL, ("10.0.0.0/8", "fd00::/8"), ("10.1.0.0/16",), ())
        ]
    ),
    own=st.sampled_from(((), (), (prefix("10.1.0.0/28"),))),
    filters=filters,
)
resolutions: st.SearchStrategy[Resolution] = st.sampled_from(
    (ON_LINK, ON_LINK, ON_LINK, VIA_ROUTER, BY_DEFAULT, UNREACHABLE, Resolution(hops=(Hop(2), Hop(3))))
)
worlds: st.SearchStrategy[Mapping[Address, Resolution]] = st.fixed_dictionaries(
    {address(text): resolutions for text in NEXT_HOPS}
)


def usual_policy() -> ImportPolicy:
    """Everything may be learned."""
    return ImportPolicy(ranges=tuple(prefix(text) for text in ALL))


def usual_world() -> dict[Address, Resolution]:
    """Every next hop is on the link."""
    return {address(text): ON_LINK for text in NEXT_HOPS}


@st.composite
def contenders(draw: st.DrawFn, most: int = 6) -> list[Contender]:
    """Eligible paths to one prefix, no two of one peer under one Path Identifier."""
    known = draw(
        st.lists(
            st.tuples(st.sampled_from(NUMBERS), st.integers(0, 2)), min_size=1, max_size=most, unique=True
        )
    )
    internal = {number: draw(st.booleans()) for number, _ in known}
    return [
        Contender(
            route=learned(
                next_hop=draw(st.sampled_from(NEXT_HOPS)),
                path_id=path_id,
                path=draw(st.sampled_from(((), (1,), (2,), (1, 3)))),
                origin=draw(st.sampled_from((Origin.IGP, Origin.EGP))),
                originator=draw(st.sampled_from((None, "10.0.0.1"))),
                clusters=draw(st.sampled_from(((), ("10.0.0.9",)))),
                med=draw(st.sampled_from((None, 1, 2))),
                local_preference=draw(st.sampled_from((None, None, 200))),
            ),
            is_ibgp=internal[number],
            router_id=IPv4Address(f"192.0.2.{number}"),
            peer=f"n{number}",
            address=address("192.0.2.11"),
            distance=draw(st.integers(0, 2)),
        )
        for number, path_id in known
    ]

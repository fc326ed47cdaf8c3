"""Random values of the model."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from hypothesis import strategies as st

from speaker.model.peer import GracefulRestart, Peer
from speaker.model.prefix import Family, Prefix
from speaker.model.route import PathAttributes, Route
from tests.bgp.builders import peer

uint32 = st.integers(0, 0xFFFFFFFF)
asns = st.one_of(st.integers(1, 0xFFFF), st.integers(0x10000, 0xFFFFFFFF)).filter(lambda asn: asn != 23456)


@st.composite
def prefixes(draw: st.DrawFn, family: Family | None = None) -> Prefix:
    if (family or draw(st.sampled_from(Family))) is Family.IPV4:
        return IPv4Network((draw(uint32), draw(st.integers(0, 32))), strict=False)
    return IPv6Network((draw(st.integers(0, 2**128 - 1)), draw(st.integers(0, 128))), strict=False)


path_attributes = st.builds(
    PathAttributes,
    communities=st.sets(uint32, max_size=70).map(lambda values: tuple(sorted(values))),
    large_communities=st.sets(st.tuples(uint32, uint32, uint32), max_size=30).map(
        lambda values: tuple(sorted(values))
    ),
    extended_communities=st.sets(st.integers(0, 2**64 - 1), max_size=4).map(
        lambda values: tuple(sorted(values))
    ),
    med=st.none() | uint32,
    local_preference=st.none() | uint32,
    as_path_prepend=st.integers(0, 10),
)


@st.composite
def routes(draw: st.DrawFn, attributes: st.SearchStrategy[PathAttributes] = path_attributes) -> Route:
    """Routes of every kind: IPv4, IPv6, and IPv4 over IPv6."""
    prefix = draw(prefixes())
    over_ipv6 = prefix.version == 6 or draw(st.booleans())
    if over_ipv6:
        next_hop: IPv4Address | IPv6Address = IPv6Address(draw(st.integers(1, 2**128 - 1)))
    else:
        next_hop = IPv4Address(draw(st.integers(1, 2**32 - 1)))
    return Route(prefix, next_hop, draw(attributes))


@st.composite
def peers(draw: st.DrawFn) -> Peer:
    return peer(
        asn=draw(asns),
        local_asn=draw(asns),
        router_id=IPv4Address(draw(st.integers(1, 2**32 - 1))),
        families=frozenset(draw(st.sets(st.sampled_from(Family), min_size=1))),
        hold_time_seconds=draw(st.one_of(st.just(0), st.integers(3, 65535))),
        extended_next_hop=draw(st.booleans()),
        graceful_restart=draw(
            st.none() | st.builds(GracefulRestart, restart_time_seconds=st.integers(1, 4095))
        ),
    )

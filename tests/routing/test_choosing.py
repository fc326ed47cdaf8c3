"""The short ways of learned routes, for full tables, against the plain ones."""

from ipaddress import ip_network
from typing import cast

from hypothesis import given, settings
from hypothesis import strategies as st

from speaker.model.prefix import Prefix
from speaker.model.route import Route
from speaker.routing.choosing import REMEMBERED_MOST, Chooser, contender
from speaker.routing.decision import Rule, decide
from speaker.routing.filters import is_inside
from speaker.routing.guard import RESERVED
from speaker.routing.imports import Admission, ImportPolicy, PrefixRules, PrefixSet, Source, source_of
from speaker.routing.paths import Entry, NextHops, Path
from tests.builders import address, prefix
from tests.property import learning_strategies as strategies
from tests.property.strategies import CIDRS
from tests.routing.learning import ON_LINK, learned, view

EDGES = ("0.0.0.0/0", "8.0.0.0/6", "10.16.0.0/17", "126.0.0.0/7", "127.0.0.0/8", "224.0.0.0/3", "f000::/4")

networks: st.SearchStrategy[Prefix] = st.one_of(
    st.sampled_from([ip_network(text) for text in (*CIDRS, *EDGES, *(text for text, _ in RESERVED))]),
    st.builds(
        lambda number, length: ip_network((number, length), strict=False),
        st.integers(0, 2**32 - 1),
        st.integers(0, 32),
    ),
    st.builds(
        lambda number, length: ip_network((number << 96, length), strict=False),
        st.integers(0, 2**32 - 1),
        st.integers(0, 128),
    ),
)
some = st.lists(networks, max_size=5).map(tuple)


@settings(deadline=None)
@given(ranges=some, own=some, asked=st.lists(networks, min_size=1, max_size=8))
def test_the_rules_for_prefixes_are_those_of_the_plain_sets(
    ranges: tuple[Prefix, ...], own: tuple[Prefix, ...], asked: list[Prefix]
) -> None:
    rules = PrefixRules(ImportPolicy(ranges=ranges, own=own))

    for each in (*asked, *ranges, *own):
        if any(is_inside(each, ip_network(text)) for text, _ in RESERVED):
            expected: Rule | None = Rule.PREFIX_RESERVED
        elif any(is_inside(each, one) for one in own):
            expected = Rule.OWN_PREFIX
        else:
            expected = None if any(is_inside(each, one) for one in ranges) else Rule.PREFIX_NOT_ALLOWED
        assert rules.refuse(each) is expected
        assert (each in PrefixSet(own)) is any(is_inside(each, one) for one in own)


@st.composite
def sources(draw: st.DrawFn) -> Source:
    """A peer in one of its configurations."""
    number = draw(st.sampled_from(strategies.NUMBERS))
    peer = draw(strategies.views(number)).peer
    return source_of(peer, address(f"192.0.2.{10 + number}"), draw(strategies.filters))  # type: ignore[arg-type]


@settings(deadline=None)
@given(
    peers=st.lists(sources(), min_size=1, max_size=3),
    several=st.lists(strategies.routes, min_size=1, max_size=4),
    data=st.data(),
)
def test_routes_are_admitted_together_as_one_by_one(
    peers: list[Source], several: list[Route], data: st.DataObject
) -> None:
    admission = Admission()

    for _ in range(data.draw(st.integers(1, 12))):
        source, route = data.draw(st.sampled_from(peers)), data.draw(st.sampled_from(several))
        assert admission.admit(source, route) == source.admit(route)


@st.composite
def eligible(draw: st.DrawFn, next_hops: NextHops, peers: list[Source], shared: list[Route]) -> list[Path]:
    """Paths to one prefix: of some peers, under some Path Identifiers, with attributes that others have."""
    known = draw(
        st.lists(st.tuples(st.sampled_from(peers), st.integers(0, 2)), min_size=1, max_size=4, unique=True)
    )
    entry = Entry(prefix("10.1.0.0/24"))
    for source, path_id in known:
        as_it_came = draw(st.sampled_from(shared))
        route = Route(entry.prefix, as_it_came.next_hop, as_it_came.attributes, path_id)
        path, _ = cast("tuple[Path, None]", entry.put(source.name, route))
        path.judged(source, route, next_hops)
    return list(entry.paths)


@settings(deadline=None, max_examples=200)
@given(shared=st.lists(strategies.routes, min_size=1, max_size=3), data=st.data())
def test_paths_are_chosen_as_the_decision_has_it(shared: list[Route], data: st.DataObject) -> None:
    """Also from memory, and also after the distances of next hops have changed."""
    chooser, next_hops = Chooser(), NextHops()
    peers = [source_of(view(number).peer, None, {}) for number in strategies.NUMBERS]
    several = data.draw(st.lists(eligible(next_hops, peers, shared), min_size=1, max_size=4))

    for _ in range(data.draw(st.integers(1, 10))):
        next_hops.set_resolutions(data.draw(strategies.worlds))
        paths = tuple(data.draw(st.sampled_from(several)))
        decision = decide([contender(each, cast("Source", each.source)) for each in paths])

        order, hops = chooser.choose(paths)

        assert order == tuple(paths[index] for index in decision.order)
        assert hops == decision.next_hops


def test_nothing_to_choose_from() -> None:
    assert Chooser().choose(()) == ((), None)


def test_outcomes_that_are_remembered_are_bounded_and_right_beyond() -> None:
    chooser, next_hops = Chooser(), NextHops()
    peers = [source_of(view(number).peer, None, {}) for number in (1, 2)]
    next_hops.set_resolutions({address("192.0.2.11"): ON_LINK})

    for number in range(REMEMBERED_MOST + 10):
        entry = Entry(prefix("10.1.0.0/24"))
        for source, preference in zip(peers, (100, 101 + number), strict=True):
            route = learned(local_preference=preference)
            path, _ = cast("tuple[Path, None]", entry.put(source.name, route))
            path.judged(source, route, next_hops)

        order, _ = chooser.choose(entry.paths)

        assert [each.peer for each in order] == ["n2", "n1"]
